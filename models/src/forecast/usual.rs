//! What a series usually is, so that a glitch says nothing.
use serde::{Deserialize, Serialize};

/// A sample off by more deviations is passed over, unless another was among so many samples before it: what comes twice is no glitch.
const LONE: f64 = 1_000.0;
const APART: u32 = 100;
/// Any counts for no more deviations than so many.
const FAR: f64 = 10_000.0;
/// A deviation is at least this share of the usual value; of the first few, which tell little of it, that one.
const SHARE: f64 = 1e-5;
const SHARE_YOUNG: f64 = 0.1;
/// Of so few it is not known which of them is the glitch: what is so many times as large as the next is.
const FEW: u32 = 5;
const TIMES: f64 = 100.0;
/// Samples that a deviation is a mean of, and how far the median goes in one, in deviations.
const MEMORY: f64 = 1_000.0;
const STEP: f64 = 0.02;

/// A running median `m` and the mean of `|value − m|`, its deviation, in the samples' own double precision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Usual {
    median: f64,
    spread: f64,
    samples: u32,
    /// Samples since one was passed over.
    since: u32,
}

impl Default for Usual {
    fn default() -> Self {
        Self { median: 0.0, spread: 0.0, samples: 0, since: APART }
    }
}

impl Usual {
    /// The few samples since the `first` were glitches beside this one: 2³², then 50.
    pub fn is_beside_it(&self, first: f64, value: f64) -> bool {
        (1..FEW).contains(&self.samples) && first.abs() > TIMES * value.abs()
    }

    /// The next sample as far as it counts; `None`: it is passed over.
    pub fn take(&mut self, value: f64) -> Option<f64> {
        self.since = self.since.saturating_add(1);
        if self.samples == 0 {
            (self.median, self.samples) = (value, 1);
            return Some(value);
        }
        let (off, is_young) = (value - self.median, self.samples < FEW);
        let scale = self.spread.max(if is_young { SHARE_YOUNG } else { SHARE } * self.median.abs());
        if off.abs() > LONE * scale && self.since > APART && (scale > 0.0 || !is_young) {
            self.since = 0;
            return None;
        }
        // Of what has always been 0 nothing is known to be far.
        let far = if scale > 0.0 { FAR * scale } else { f64::MAX };
        let off = off.clamp(-far, far);
        let value = if off.abs() < far { value } else { self.median + off };
        self.samples = self.samples.saturating_add(1);
        let young = 1.0 / f64::from(self.samples);
        self.spread += young.max(1.0 / MEMORY) * (off.abs() - self.spread);
        let most = (young.max(STEP) * self.spread).max(0.0);
        self.median += off.clamp(-most, most);
        Some(value)
    }

    /// Where values that are kept above `base` in single precision are better kept above: it lies so far from them that little of their deviations is left.
    pub fn base(&self, base: f64) -> Option<f64> {
        ((self.median - base).abs() > FAR * self.spread).then_some(self.median)
    }
}
