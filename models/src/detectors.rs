//! How unusual a number is, against what came before it. Each detector is a small value: pure, O(1) a number, the same on
//! every machine.
mod burst;
mod kpi;
mod shape;
mod together;

pub use burst::Burst;
pub use kpi::{Kpi, Moment, Usual, Verdict, What};
pub use shape::Shape;
pub use together::Together;

use serde::{Deserialize, Serialize};
use std::fmt;

/// How unusual, in thousandths: 0 (as ever) to 1,000. Rounded before it is compared or leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Score(pub u16);

impl Score {
    /// `distance² / (distance² + half²)`: 0.5 at `half`, and never quite 1. It orders; it is no probability.
    fn of(distance: f64, half: f64) -> Self {
        let (d, h) = (distance * distance, half * half);
        let share = d / (d + h);
        // An infinite distance is as unusual as can be; what is no number says nothing.
        Self::share(if d.is_infinite() { 1.0 } else { share })
    }

    /// Of 0 to 1.
    fn share(share: f64) -> Self {
        Self((share * 1_000.0 + 0.5) as u16)
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1_000, self.0 % 1_000)
    }
}
