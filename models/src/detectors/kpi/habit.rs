//! What a series does at that hour, and how far it has been off from that lately.
//!
//! `x̂ = S_h + W` on working days, `x̂ = a + b·S_h` on rest days (least squares over the last eight: mostly the same wave, but flatter).
//! `s` is the mean of `|x − x̂|` over five days, and the *record* `m` the largest `|x − x̂| / s` of a day: it fades by a tenth a day, a day counts once it is
//! over, and raises it by no more than a half. A deviation is `s/5 · max(6.5, 1.5·m)` (and no less than where severity has it: 0.03 of the range): at five
//! of them a sample is beyond all that was lately by half, and beyond what noise does in a month. No distribution is assumed. Nothing
//! is claimed before the days are seen (five working ones, two rest ones) and unless hours leave less than 0.4 of the error of a plain mean.
use super::REST_DAYS;
use serde::{Deserialize, Serialize};

/// The mean error is of so many days, and of so many samples at least.
const DAYS: f32 = 5.0;
const SAMPLES: f32 = 30.0;
/// The record at the beginning, what is left of it after a day, and how fast it may grow.
const RECORD_FIRST: f32 = 20.0;
const RECORD_KEPT: f32 = 0.9;
const RECORD_GROWS: f32 = 1.5;
/// What is beyond all that was lately: so many mean errors, and so many records.
const LEAST: f32 = 6.5;
const BEYOND: f32 = 1.5;
/// At so many deviations.
pub(super) const NEWS: f32 = 5.0;
/// Days of that part that have to be seen.
const SEEN: [f32; 2] = [5.0, 2.0];
/// The share of the error of a plain mean that may be left.
const EXPLAINED: f32 = 0.4;

/// What is known of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Habit {
    spread: f32,
    record: f32,
    /// The largest error of the day, in mean ones.
    today: f32,
    /// Of rest days: mean of the hours' means and of the values, variance of the former, and covariance.
    hours: f32,
    values: f32,
    variance: f32,
    covariance: f32,
}

impl Default for Habit {
    fn default() -> Self {
        let (spread, today) = (0.0, 0.0);
        let (hours, values, variance, covariance) = (0.0, 0.0, 0.0, 0.0);
        Self { spread, record: RECORD_FIRST, today, hours, values, variance, covariance }
    }
}

impl Habit {
    /// Of a rest day, at an hour of this mean.
    pub fn at_rest(&self, of_hour: f32) -> f32 {
        let factor = if self.variance > 1e-12 { (self.covariance / self.variance).clamp(0.0, 2.0) } else { 1.0 };
        self.values + factor * (of_hour - self.hours)
    }

    /// For one deviation.
    pub fn deviation(&self) -> f32 {
        self.spread * (BEYOND * self.record).max(LEAST) / NEWS
    }

    /// Whether it says more than a mean whose error is `plain`, after so many days of that part.
    pub fn claims(&self, (part, days): (usize, f32), plain: f32) -> bool {
        days >= SEEN[part] && self.spread < EXPLAINED * plain
    }

    /// The sample was so far off: the `n`th that is learned, `day` of a day.
    pub fn learn(&mut self, off: f32, (n, day): (f32, f32)) {
        let step = (1.0 / n).max(1.0 / (DAYS / day).max(SAMPLES));
        self.today = self.today.max(off.abs() / self.spread.max(1e-12));
        self.spread += step * (off.abs() - self.spread);
    }

    /// A day is over.
    pub fn end_day(&mut self) {
        self.record = (RECORD_KEPT * self.record).max(self.today.min(RECORD_GROWS * self.record));
        self.today = 0.0;
    }

    /// A value of a rest day, at an hour of this mean, where `days` were seen and the sample is `day` of one.
    pub fn learn_rest(&mut self, value: f32, of_hour: f32, (days, day): (f32, f32)) {
        let step = (day / (days + day)).max(day / REST_DAYS);
        let (hour, value) = (of_hour - self.hours, value - self.values);
        self.hours += step * hour;
        self.values += step * value;
        self.variance += step * (hour * hour - self.variance);
        self.covariance += step * (hour * value - self.covariance);
    }

    /// What it does has moved by so much.
    pub fn shift(&mut self, by: f32) {
        self.hours += by;
        self.values += by;
    }
}
