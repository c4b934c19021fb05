//! What a series will be some time ahead, with an interval, learned from its own forecasts.
//!
//! **Direct evaluation at the horizon.** Up to 12 forecasts wait for the moment that they are of; what comes then tells how far off each expert
//! was *at that horizon* ("direct" forecasts: Marcellino, Stock and Watson, 2006). Nothing is told of a series before 20 of them were seen: with a sample a minute
//! and half an hour ahead, 90 minutes.
//!
//! **Experts**, `x` the last value, `h` the horizon, `P(t)` the mean of that half hour of the day (working and rest days apart):
//!
//! ```text
//! x                          naive
//! Y(t + h)                   seasonal naive: the mean of that half hour a day ago
//! l_k                        means of the last h/3, h, 4h and 48h (Brown, 1959), and a median by steps
//! P(t + h)                   the season
//! x + P(t + h) − P(t)        the season's change
//! P(t + h) + mean r          the same from r = x − P, smoothed over h
//! l + ½·b·h                  damped trend (Gardner and McKenzie, 1985)
//! x + w·f                    regression of x(t + h) − x on f = (l_1 − x, l_3 − x, l_4 − x, P(t + h) − x, P(t + h) − P(t)), see [`Regression`]
//! ```
//!
//! **Combination.** `Σ q_i·e_i / Σ q_i`, `q_i = exp(16·(1 − E_i / min E))`, `E_i` the mean of `|error|` of the last 300 outcomes (exponential weights;
//! Vovk, 1990). It is told (adopted) where its own `E`, of forecasts made before their outcome was known, is below 0.98 of that of the naive and of the
//! seasonal naive; else the better of these two is.
//!
//! **Interval.** Adaptive conformal: the 10th and the 90th percentile of the errors of each of the three are followed by steps (Gibbs and Candès, 2021;
//! Angelopoulos, Candès and Tibshirani, "Conformal PID control", 2023), so that in the long run 80 % of what comes lies within, whatever the series does.
//!
//! **Glitches.** A lone sample a thousand mean deviations off is passed over, and any counts for no more than ten thousand of them; values are kept in single precision above
//! a base that follows where they are.
use crate::detectors::Moment;
use interval::Interval;
use profile::Profile;
use regression::Regression;
use serde::{Deserialize, Serialize};
use usual::Usual;

mod capacity;
mod interval;
mod profile;
mod regression;
mod usual;
pub use capacity::{Capacity, Full};

/// Forecasts that wait for their outcome.
const PENDING: usize = 12;
/// Outcomes before it says anything.
const WARM_UP: u32 = 20;
/// Samples before the first forecast is made, and no sooner after the first than forecasts follow each other: what a few seconds tell of half an hour
/// is wrong by so much that errors and intervals would remember it for days.
const FIRST: u32 = 5;
/// How sharply the better experts are preferred.
const SHARPNESS: f32 = 16.0;
/// Outcomes that errors are averaged over.
const MEMORY: f32 = 300.0;
/// The combination is told below this share of the naive forecasts' errors.
const MARGIN: f32 = 0.98;
/// Means over so many horizons, the last beside the season.
const LEVELS: [f32; 4] = [1.0 / 3.0, 1.0, 4.0, 48.0];
/// The median follows over so many, and a trend is learned over as many.
const MIDDLE: f32 = 2.0;
/// The share of a trend that lasts to the horizon.
const DAMPED: f32 = 0.5;
/// An outcome may be late by this share of the horizon, or by a pace.
const LATE: f32 = 0.25;
/// Larger values are taken for it.
const VALUE_MAX: f64 = 1e18;
/// Gaps are taken to be no longer, in seconds.
const GAP_MAX: f32 = 1e9;
const EXPERTS: usize = 12;
const NAIVE: usize = 0;
const SEASONAL: usize = 1;
/// Beside these two.
const COMBINED: usize = 2;

/// What a series will be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forecast {
    /// So many seconds after the last sample.
    pub after: u32,
    /// What is expected then.
    pub value: f64,
    /// With 80 % between these, 10 % beyond either.
    pub low: f64,
    /// See `low`.
    pub high: f64,
    /// It has beaten the naive and the seasonal naive forecast; else it is the better of these.
    pub is_adopted: bool,
    /// It is the seasonal naive forecast: what that half hour was a day ago.
    pub is_seasonal: bool,
}

/// A forecast that waits for its outcome. Values are above the series' base.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Pending {
    due: i64,
    experts: [f32; EXPERTS],
    combined: f32,
}

impl Pending {
    fn shift(&mut self, by: f32) {
        self.experts.iter_mut().for_each(|told| *told -= by);
        self.combined -= by;
    }
}

/// The memory of a series: at most 2 KiB, with what it points to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecaster {
    /// Seconds ahead.
    ahead: u32,
    /// Seconds of the last sample, and its second of the day.
    at: i64,
    of_day: u32,
    rests: bool,
    is_positive: bool,
    samples: u32,
    outcomes: u32,
    /// Seconds between samples, as usual.
    pace: f32,
    usual: Usual,
    /// All values are kept above it: the first, or what is usual since.
    base: f64,
    x: f32,
    levels: [f32; LEVELS.len()],
    median: f32,
    spread: f32,
    /// Level, and its change in a second.
    trend: [f32; 2],
    profile: Profile,
    /// Mean of what is above the season.
    above: f32,
    regression: Regression,
    /// When the last forecast was made that waits, or waited; before it, of the first sample.
    made_at: i64,
    pending: Vec<Pending>,
    /// Mean of |error|: of each expert, and of what they say together.
    errors: [f32; EXPERTS],
    error: f32,
    /// Of the naive, the seasonal naive and the combined forecast.
    intervals: [Interval; 3],
}

/// The step of a mean over `memory` seconds, `gap` seconds after its last of `n` samples.
fn step(n: f32, gap: f32, memory: f32) -> f32 {
    (1.0 / n).max(gap / (memory + gap))
}

impl Forecaster {
    /// Of values so many seconds ahead; of a series whose samples are farther apart, of its next.
    pub fn new(ahead: u32) -> Self {
        Self {
            ahead: ahead.max(1),
            at: 0,
            of_day: 0,
            rests: false,
            is_positive: true,
            samples: 0,
            outcomes: 0,
            pace: 0.0,
            usual: Usual::default(),
            base: 0.0,
            x: 0.0,
            levels: [0.0; LEVELS.len()],
            median: 0.0,
            spread: 0.0,
            trend: [0.0; 2],
            profile: Profile::default(),
            above: 0.0,
            regression: Regression::default(),
            made_at: 0,
            pending: Vec::with_capacity(PENDING),
            errors: [0.0; EXPERTS],
            error: 0.0,
            intervals: Default::default(),
        }
    }

    /// Seconds ahead that it was made for.
    pub const fn ahead(&self) -> u32 {
        self.ahead
    }

    /// Outcomes that have to be seen before something is told,
    pub const OUTCOMES_MIN: u32 = WARM_UP;

    /// and how many seconds of samples as far apart as so far that takes, about; `None` before the second sample.
    pub fn warms_up_in(&self) -> Option<u32> {
        if self.samples < 2 {
            return None;
        }
        let paces = |seconds: f32| libm::ceilf(seconds / self.pace).max(1.0) * self.pace;
        let every = paces(libm::floorf(self.horizon() / PENDING as f32));
        let first = every.max((FIRST - 1) as f32 * self.pace);
        Some((first + paces(self.horizon()) + (WARM_UP - 1) as f32 * every) as u32)
    }

    /// Learns a sample, no older than the last; what is no number says nothing.
    pub fn take(&mut self, at: Moment, value: f64) {
        if value.is_nan() || (self.samples > 0 && at.seconds < self.at) {
            return;
        }
        let value = value.clamp(-VALUE_MAX, VALUE_MAX);
        if self.usual.is_beside_it(self.base, value) {
            *self = Self::new(self.ahead);
        }
        let Some(value) = self.usual.take(value) else { return };
        if self.samples == 0 {
            (self.base, self.at, self.made_at) = (value, at.seconds, at.seconds);
        }
        let gap = (at.seconds.saturating_sub(self.at) as f32).min(GAP_MAX);
        if let Some(base) = self.usual.base(self.base) {
            self.keep_above(base);
        }
        self.is_positive &= value >= 0.0;
        self.samples = self.samples.saturating_add(1);
        self.follow_pace(gap);
        (self.at, self.rests, self.x) = (at.seconds, at.rests, (value - self.base) as f32);
        self.of_day = u32::from(at.hour) * 3_600 + u32::from(at.minute) * 60;
        self.settle();
        self.learn(gap.min(self.horizon()));
        self.promise();
    }

    /// All that is kept above the base is kept above about this one.
    fn keep_above(&mut self, base: f64) {
        let by = (base - self.base) as f32;
        self.base += f64::from(by);
        self.levels.iter_mut().for_each(|level| *level -= by);
        self.pending.iter_mut().for_each(|pending| pending.shift(by));
        self.profile.shift(by);
        for one in [&mut self.x, &mut self.median, &mut self.trend[0]] {
            *one -= by;
        }
    }

    /// What it will be; `None` while it warms up.
    pub fn forecast(&self) -> Option<Forecast> {
        if self.outcomes < WARM_UP {
            return None;
        }
        let experts = self.experts();
        let told = self.told();
        let expert = [experts[NAIVE], experts[SEASONAL], self.combined(&experts)][told];
        let (low, high) = self.intervals[told].around(expert);
        let least = if self.is_positive { 0.0 } else { -VALUE_MAX };
        let value = |above: f32| (self.base + f64::from(above)).clamp(least, VALUE_MAX);
        let (low, high) = (value(low), value(high));
        Some(Forecast {
            after: self.horizon() as u32,
            // Not `clamp`: a snapshot that was altered may hold what is no number.
            value: value(expert).max(low).min(high),
            low,
            high,
            is_adopted: told == COMBINED,
            is_seasonal: told == SEASONAL,
        })
    }

    /// Seconds ahead, and at least to the next sample.
    const fn horizon(&self) -> f32 {
        (self.ahead as f32).max(self.pace)
    }

    fn follow_pace(&mut self, gap: f32) {
        if self.samples == 2 {
            self.pace = gap.max(1.0);
        } else if self.samples > 2 {
            let gap = gap.max(0.5 * self.pace).min(2.0 * self.pace).max(0.1);
            self.pace += (gap - self.pace) * (1.0 / self.samples as f32).max(0.02);
        }
    }

    /// Compares what waited for this sample: the nearest to its due time, or the first after a short gap.
    fn settle(&mut self) {
        let soon = self.at.saturating_add((0.5 * self.pace) as i64);
        let late = self.pace.max(LATE * self.horizon()) as i64;
        let count = self.pending.iter().take_while(|pending| pending.due <= soon).count();
        let mut waiting = std::mem::take(&mut self.pending);
        for pending in waiting.drain(..count) {
            if self.at <= pending.due.saturating_add(late) {
                self.compare(&pending);
            }
        }
        self.pending = waiting;
    }

    fn compare(&mut self, pending: &Pending) {
        self.outcomes = self.outcomes.saturating_add(1);
        let n = self.outcomes as f32;
        let (x, step) = (self.x, (2.0 / (n + 1.0)).max(1.0 / MEMORY));
        for (error, expert) in self.errors.iter_mut().zip(&pending.experts) {
            *error += step * ((x - expert).abs() - *error);
        }
        self.error += step * ((x - pending.combined).abs() - self.error);
        self.regression.learn(n, &features(&pending.experts), x - pending.experts[NAIVE]);
        let told = [pending.experts[NAIVE], pending.experts[SEASONAL], pending.combined];
        self.intervals.iter_mut().zip(told).for_each(|(interval, told)| interval.learn(n, x - told));
    }

    fn learn(&mut self, gap: f32) {
        let (n, h, x) = (self.samples as f32, self.horizon(), self.x);
        for (level, memory) in self.levels.iter_mut().zip(LEVELS) {
            *level += step(n, gap, memory * h) * (x - *level);
        }
        let off = x - self.median;
        self.spread += step(n, gap, LEVELS[3] * h) * (off.abs() - self.spread);
        let most = step(n, gap, MIDDLE * h).min(0.5) * self.spread;
        self.median += off.clamp(-most, most);
        self.follow_trend(n, gap);
        self.profile.learn(self.of_day, self.rests, x);
        let above = x - self.profile.at(self.of_day, self.rests).unwrap_or(self.levels[3]);
        self.above += step(n, gap, h) * (above - self.above);
    }

    /// Holt's level and trend, the trend damped.
    fn follow_trend(&mut self, n: f32, gap: f32) {
        let (h, [level, change]) = (self.horizon(), self.trend);
        if n <= 2.0 {
            self.trend = [self.x, 0.0];
            return;
        }
        let change = change * h / (h + gap);
        let expected = level + change * gap;
        let now = expected + step(n, gap, LEVELS[0] * h) * (self.x - expected);
        let moved = if gap > 0.0 { (now - level) / gap } else { change };
        self.trend = [now, change + step(n, gap, MIDDLE * h) * (moved - change)];
    }

    /// Makes a forecast that waits, unless the last is fresh.
    fn promise(&mut self) {
        let every = (self.horizon() / PENDING as f32) as i64;
        let is_fresh = self.at.saturating_sub(self.made_at) < every;
        if self.samples < FIRST || is_fresh || self.pending.len() >= PENDING {
            return;
        }
        self.made_at = self.at;
        let experts = self.experts();
        let due = self.at.saturating_add(self.horizon() as i64);
        self.pending.push(Pending { due, experts, combined: self.combined(&experts) });
    }

    fn experts(&self) -> [f32; EXPERTS] {
        let (x, h, l) = (self.x, self.horizon(), self.levels);
        let then = self.of_day.saturating_add(h as u32);
        let (here, there) = (self.profile.at(self.of_day, self.rests), self.profile.at(then, self.rests));
        let change = here.zip(there).map_or(0.0, |(here, there)| there - here);
        let season = there.unwrap_or(l[3]);
        let seasonal = self.profile.yesterday(then).unwrap_or(x);
        let trend = self.trend[0] + DAMPED * self.trend[1] * h;
        let mut all =
            [x, seasonal, l[0], l[1], l[2], l[3], self.median, season, x + change, season + self.above, trend, 0.0];
        all[EXPERTS - 1] = x + self.regression.of(&features(&all));
        let most = 2.0 * VALUE_MAX as f32;
        all.map(|told| if told.is_nan() { x } else { told.clamp(-most, most) })
    }

    /// Of the experts by their errors.
    fn combined(&self, experts: &[f32; EXPERTS]) -> f32 {
        let best = self.errors.iter().copied().fold(f32::MAX, f32::min);
        let (mut sum, mut weights) = (0.0, 0.0);
        for (expert, error) in experts.iter().zip(&self.errors) {
            // Where the best is never wrong, it alone counts.
            let worse = if error <= &best { 0.0 } else { (error / best.max(f32::MIN_POSITIVE) - 1.0).min(10.0) };
            let weight = libm::expf(-SHARPNESS * worse);
            sum += weight * (expert - self.x);
            weights += weight;
        }
        self.x + sum / weights
    }

    /// Which of the naive, the seasonal naive and the combined forecast is told.
    fn told(&self) -> usize {
        let (naive, seasonal) = (self.errors[NAIVE], self.errors[SEASONAL]);
        if self.error < MARGIN * naive.min(seasonal) {
            COMBINED
        } else if seasonal < naive {
            SEASONAL
        } else {
            NAIVE
        }
    }
}

/// What the regression looks at, of what the experts say.
fn features(experts: &[f32; EXPERTS]) -> [f32; regression::FEATURES] {
    [2, 4, 5, 7, 8].map(|n: usize| experts[n] - experts[NAIVE])
}

#[cfg(test)]
mod tests;
