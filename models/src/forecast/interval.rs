//! Percentiles of errors that follow what happens.
use serde::{Deserialize, Serialize};

/// Beyond either end.
const BEYOND: f32 = 0.1;
/// A step, in mean errors; a young one's are larger.
const STEP: f32 = 0.1;
const YOUNG: f32 = 20.0;
/// The mean error is of so many outcomes.
const MEMORY: f32 = 100.0;
/// Of so many the least and the largest begin it.
const FIRST: f32 = 5.0;
/// A tenth lies beyond ten mean errors at most (Markov); of a mean that forgets sooner than the ends move, beyond so many.
const REACH: f32 = 100.0;

/// The 10th and the 90th percentile of the errors of a forecast: `q ← q + η·(0.1 − [beyond q])`, which is the gradient of the pinball loss.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    low: f32,
    high: f32,
    error: f32,
}

impl Interval {
    /// Around a forecast.
    pub fn around(&self, told: f32) -> (f32, f32) {
        (told + self.low.min(self.high), told + self.high.max(self.low))
    }

    /// The `n`th outcome was so far above the forecast.
    pub fn learn(&mut self, n: f32, off: f32) {
        self.error += (1.0 / n).max(1.0 / MEMORY) * (off.abs() - self.error);
        if n <= FIRST {
            (self.low, self.high) = (self.low.min(off), self.high.max(off));
            return;
        }
        let step = STEP * self.error * (YOUNG / n).max(1.0);
        self.low += step * (BEYOND - f32::from(u8::from(off < self.low)));
        self.high -= step * (BEYOND - f32::from(u8::from(off > self.high)));
        let most = REACH * self.error;
        (self.low, self.high) = (self.low.max(-most), self.high.min(most));
    }
}
