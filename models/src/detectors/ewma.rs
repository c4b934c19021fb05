//! A level and a spread that follow a series and are not carried away by what is unusual in it.
//!
//! With `r = x - level`, `σ = 1.2533 · spread` (the mean absolute deviation of a Gaussian is `σ·√(2/π)`) and
//! `c = clip(r, ±3σ)` (Huber's ψ, "Robust Estimation of a Location Parameter", 1964), each sample teaches
//!
//! ```text
//! level  += a · c
//! spread += a · (|c| - spread)        a = max(1/n, 1/300)
//! tail   *= 1.3 if u > tail, else 1 - 0.3/500, within 3 to 100,   u = |r| / σ
//! score   = d² / (d² + 5²),                                       d = 3 · u / tail
//! ```
//!
//! The level is an exponentially weighted mean (Roberts, "Control Chart Tests Based on Geometric Moving Averages", 1959).
//! `tail` follows the distance that about one sample in 450 exceeds (a stochastic approximation, Robbins and Monro,
//! 1951, of its logarithm): 3
//! for a Gaussian, further out for what has heavy tails, as latencies have; of a run of exceedances it counts the first. So a score of 0.5 stands five deviations off
//! in a Gaussian series, and correspondingly further off in a wilder one. No season is known to it.
use super::Score;
use serde::{Deserialize, Serialize};

/// Samples before it says anything.
const WARM_UP: u32 = 30;
/// Samples before what is far off is clipped: before, the spread is not known well enough to clip by.
const CLIPS_AFTER: u32 = 10;
/// Samples that it remembers, about.
const MEMORY: u32 = 300;
/// σ by mean absolute deviation: √(π/2).
const DEVIATION: f64 = 1.253_314_137_315_5;
const CLIP: f64 = 3.0;
/// The tail moves out by this factor, and in by the other.
const TAIL_OUT: f64 = 1.3;
const TAIL_IN: f64 = 1.0 - 0.3 / 500.0;
const TAIL_MIN: f64 = 3.0;
const TAIL_MAX: f64 = 100.0;
/// Deviations, in a Gaussian series, at which the score is 0.5.
const HALF: f64 = 5.0;
/// Values beyond are taken for it, so that no square overflows.
const VALUE_MAX: f64 = 1e150;
/// A series that has not moved is taken to move by this share of its level,
const FLOOR_SHARE: f64 = 0.001;
/// and one of whole numbers by half of one: a counter that goes from 0 to 1 is nothing.
const FLOOR_WHOLE: f64 = 0.5;

/// The detector's memory of a series: 40 bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ewma {
    /// Samples learned.
    n: u32,
    /// All of them were whole numbers.
    whole: bool,
    /// One of them was below 0.
    negative: bool,
    /// The last one was beyond the tail.
    beyond: bool,
    level: f64,
    /// Mean absolute deviation from the level.
    spread: f64,
    tail: f64,
}

/// What a series usually is: between these.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usual {
    pub low: f64,
    pub high: f64,
}

impl Default for Ewma {
    fn default() -> Self {
        Self { n: 0, whole: true, negative: false, beyond: false, level: 0.0, spread: 0.0, tail: TAIL_MIN }
    }
}

impl Ewma {
    /// How unusual a value would be, by what was learned; 0 while it warms up.
    pub fn score(&self, value: f64) -> Score {
        if self.is_warm() { Score::of(self.distance(value), HALF) } else { Score(0) }
    }

    /// The value was as usual as any.
    pub fn learn(&mut self, value: f64) {
        let value = clamped(value);
        if value.is_nan() {
            return;
        }
        self.whole &= value == value.trunc();
        self.negative |= value < 0.0;
        self.n = self.n.saturating_add(1);
        if self.n == 1 {
            self.level = value;
            return;
        }
        let sigma = self.sigma();
        let residual = value - self.level;
        if self.n > WARM_UP {
            let beyond = residual.abs() > self.tail * sigma;
            // A run of them counts once: a new level is no heavy tail.
            let factor = if beyond && !self.beyond { TAIL_OUT } else { TAIL_IN };
            self.beyond = beyond;
            self.tail = (self.tail * factor).clamp(TAIL_MIN, TAIL_MAX);
        }
        let clip = CLIP * sigma;
        // Nothing is clipped by a spread of nothing.
        let clipped = if self.n > CLIPS_AFTER && clip > 0.0 { residual.clamp(-clip, clip) } else { residual };
        let step = 1.0 / f64::from(self.n.min(MEMORY));
        self.level += step * clipped;
        self.spread += step * (clipped.abs() - self.spread);
    }

    /// It has seen enough to say something.
    pub const fn is_warm(&self) -> bool {
        self.n >= WARM_UP
    }

    /// Deviations from the level, with their sign; `None` while it warms up. For thresholds that adapt.
    pub fn deviations(&self, value: f64) -> Option<f64> {
        let sigma = self.sigma();
        (self.is_warm() && sigma > 0.0).then(|| (clamped(value) - self.level) / sigma)
    }

    /// What it takes for usual: what scores below 0.265; `None` while it warms up.
    pub fn usual(&self) -> Option<Usual> {
        let reach = self.tail * self.sigma();
        let least = if self.negative { -VALUE_MAX } else { 0.0 };
        self.is_warm().then(|| Usual { low: (self.level - reach).max(least), high: self.level + reach })
    }

    fn sigma(&self) -> f64 {
        let floor = FLOOR_SHARE * self.level.abs();
        (DEVIATION * self.spread).max(floor).max(if self.whole { FLOOR_WHOLE } else { 0.0 })
    }

    /// How many spreads a value is off; of a Gaussian series they are deviations.
    pub fn distance(&self, value: f64) -> f64 {
        let residual = (clamped(value) - self.level).abs();
        if residual > 0.0 { TAIL_MIN * residual / (self.sigma() * self.tail) } else { 0.0 }
    }
}

const fn clamped(value: f64) -> f64 {
    value.clamp(-VALUE_MAX, VALUE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look random and are the same each time (SplitMix64, <https://prng.di.unimi.it/splitmix64.c>).
    struct Numbers(u64);

    impl Numbers {
        /// From 0 to 1.
        fn uniform(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
        }

        /// Of deviation 1, by Box and Muller.
        fn gaussian(&mut self) -> f64 {
            let radius = (-2.0 * libm::log(1.0 - self.uniform())).sqrt();
            radius * libm::cos(core::f64::consts::TAU * self.uniform())
        }
    }

    const HALF_SCORE: Score = Score(500);

    /// The score of each sample, before it is learned.
    fn scores(detector: &mut Ewma, series: impl IntoIterator<Item = f64>) -> Vec<Score> {
        let one = |value| {
            let score = detector.score(value);
            detector.learn(value);
            score
        };
        series.into_iter().map(one).collect()
    }

    fn gaussian(level: f64, deviation: f64, count: usize) -> Vec<f64> {
        let mut numbers = Numbers(1);
        (0..count).map(|_| level + deviation * numbers.gaussian()).collect()
    }

    #[test]
    fn noise_stays_quiet() {
        let scores = scores(&mut Ewma::default(), gaussian(100.0, 5.0, 20_000));
        assert!(scores.iter().all(|s| *s < HALF_SCORE), "{:?}", scores.iter().max());
    }

    /// Of an exponential distribution one in 500 lies 6.2 means off, and one in 15,000 9.6.
    #[test]
    fn heavy_tails_are_learned() {
        let mut numbers = Numbers(2);
        let series: Vec<f64> = (0..20_000).map(|_| -100.0 * libm::log(1.0 - numbers.uniform())).collect();
        let loud = |scores: &[Score]| scores.iter().filter(|s| **s >= HALF_SCORE).count();
        let scores = scores(&mut Ewma::default(), series);
        assert!(loud(&scores) <= 12, "{}", loud(&scores));
        assert!(loud(&scores[5_000..]) <= 4, "{}", loud(&scores[5_000..]));
    }

    #[test]
    fn a_spike_is_unusual_and_changes_little() {
        let mut detector = Ewma::default();
        scores(&mut detector, gaussian(100.0, 5.0, 1_000));
        let before = detector.clone();
        assert!(scores(&mut detector, [200.0])[0] > Score(900));
        assert!((detector.level - before.level).abs() < 0.1);
        assert!(detector.score(100.0) < Score(50) && detector.score(160.0) >= HALF_SCORE);
    }

    #[test]
    fn a_new_level_is_unusual_until_it_is_learned() {
        let mut detector = Ewma::default();
        scores(&mut detector, gaussian(100.0, 5.0, 1_000));
        let scores = scores(&mut detector, gaussian(200.0, 5.0, 1_000));
        assert!(scores[..20].iter().all(|s| *s >= HALF_SCORE), "{:?}", &scores[..20]);
        assert!(scores[600..].iter().all(|s| *s < HALF_SCORE));
    }

    #[test]
    fn what_never_moved_and_moves_is_unusual() {
        for level in [0.0, 7.0, 0.25, 1e9, -3.5, 1e300] {
            let mut detector = Ewma::default();
            assert!(scores(&mut detector, [level; 200]).iter().all(|s| *s == Score(0)), "{level}");
            assert!(detector.score(level + 0.1 * level.abs() + 10.0) >= HALF_SCORE || level == 1e300, "{level}");
        }
    }

    #[test]
    fn counts_that_are_mostly_nothing_stay_quiet() {
        let mut detector = Ewma::default();
        let series = (0..600).map(|n| if n % 20 == 19 { 1.0 } else { 0.0 });
        assert!(scores(&mut detector, series).iter().all(|s| *s < HALF_SCORE));
        assert!(detector.score(40.0) > Score(900));
    }

    #[test]
    fn spikes_that_keep_coming_are_usual() {
        let series: Vec<f64> = (0..3_000).map(|n| if n % 100 == 99 { 50.0 } else { 0.0 }).collect();
        let loud = scores(&mut Ewma::default(), series).into_iter().enumerate().filter(|(_, s)| *s >= HALF_SCORE);
        let loud: Vec<usize> = loud.map(|(n, _)| n).collect();
        assert!(loud.first() == Some(&99) && loud.len() < 20 && loud.last() < Some(&2_000), "{loud:?}");
    }

    #[test]
    fn it_says_nothing_while_it_warms_up() {
        let mut detector = Ewma::default();
        scores(&mut detector, gaussian(100.0, 5.0, WARM_UP as usize - 1));
        assert_eq!((detector.score(1e6), detector.usual(), detector.deviations(1.0)), (Score(0), None, None));
        detector.learn(100.0);
        assert!(detector.score(1e6) > Score(990) && detector.usual().is_some());
    }

    #[test]
    fn any_number_is_taken() {
        let mut detector = Ewma::default();
        scores(&mut detector, [f64::MAX, f64::MIN, f64::INFINITY, f64::NAN, 0.0, 1e-308, -0.0].repeat(20));
        assert!(detector.level.is_finite() && detector.spread.is_finite() && detector.tail.is_finite());
        assert_eq!(detector.score(f64::NAN), Score(0));
        assert!(size_of::<Ewma>() <= 40);
    }
}
