//! Whether more happens in five minutes than usual.
//!
//! Counts a minute are held against a background that forgets: for the count `k` of the last five minutes and the usual
//! count `λ`, the tail of a Poisson distribution is at most
//!
//! ```text
//! P(N ≥ k) ≤ e^-λ · λ^k / k! · 1 / (1 - λ / (k + 1))       for k ≥ λ
//! score = s / (s + s₀),   s = -ln P,   s₀ = -ln 1e-6
//! ```
//!
//! (the terms of the tail fall at least as fast as a geometric series of ratio λ/(k+1)). So a score of 0.5 is one in a
//! million. Background: an exponentially weighted mean of the counts a minute (memory a day), each clipped at three times
//! it and one more, so that a burst is not learned as usual.
use super::Score;
use serde::{Deserialize, Serialize};

/// Minutes that are counted together.
pub const WINDOW: usize = 5;
/// Minutes that the background remembers, about.
const MEMORY: f64 = 1_440.0;
/// Minutes before it says anything.
const WARM_UP: i64 = 60;
/// The background of what was never seen: one in ten hours.
const BACKGROUND_MIN: f64 = 1.0 / 600.0;
/// -ln 1e-6
const HALF: f64 = 13.815_510_557_964;

/// Counts of the last five minutes and what is usual.
///
/// ```
/// use quell_models::detectors::{Burst, Score};
///
/// let mut errors = Burst::new(0);
/// (0..600).for_each(|minute| errors.count(minute));
/// assert!(errors.in_window() == 5 && errors.score() < Score(100));
/// (0..40).for_each(|_| errors.count(600));
/// assert!(errors.score() > Score(500)); // less likely than one in a million
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Burst {
    /// By minute, modulo.
    counts: [u32; WINDOW],
    /// Number of the minute that is counted.
    minute: i64,
    /// The first minute.
    begin: i64,
    /// Usual count a minute.
    background: f64,
}

impl Burst {
    /// Counts from a minute on, numbered from anywhere.
    pub const fn new(minute: i64) -> Self {
        Self { counts: [0; WINDOW], minute, begin: minute, background: 0.0 }
    }

    /// One more, in a minute that is not before the last.
    pub fn count(&mut self, minute: i64) {
        self.pass(minute);
        let count = &mut self.counts[slot(self.minute)];
        *count = count.saturating_add(1);
    }

    /// Time passes; what leaves the window becomes background.
    pub fn pass(&mut self, minute: i64) {
        let passed = minute.saturating_sub(self.minute);
        for _ in 0..passed.clamp(0, WINDOW as i64) {
            self.minute += 1;
            let left = std::mem::take(&mut self.counts[slot(self.minute)]);
            // Before the window is full, nothing leaves it.
            if self.minute.saturating_sub(self.begin) >= WINDOW as i64 {
                self.learn(f64::from(left));
            }
        }
        if passed > WINDOW as i64 {
            // As if minute by minute: ∏ (1 − 1/age), up to the age that is remembered, and 1 − 1/MEMORY beyond it.
            let from = self.age();
            self.minute = minute;
            let to = self.age();
            self.background *= from.clamp(1.0, MEMORY) / to.clamp(1.0, MEMORY);
            self.background *= libm::exp((to.max(MEMORY) - from.max(MEMORY)) * libm::log1p(-1.0 / MEMORY));
        }
    }

    /// How many in the window.
    pub fn in_window(&self) -> u32 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Usual in a window.
    pub fn usual(&self) -> f64 {
        self.background.max(BACKGROUND_MIN) * WINDOW as f64
    }

    /// How unusual the window is; 0 while it warms up.
    pub fn score(&self) -> Score {
        if self.minute.saturating_sub(self.begin) < WARM_UP {
            return Score(0);
        }
        let s = -ln_tail(f64::from(self.in_window()), self.usual());
        Score((s / (s + HALF) * 1_000.0 + 0.5) as u16)
    }

    /// Minutes since the first.
    fn age(&self) -> f64 {
        self.minute.saturating_sub(self.begin) as f64
    }

    fn step(&self) -> f64 {
        1.0 / self.age().clamp(1.0, MEMORY)
    }

    fn learn(&mut self, count: f64) {
        // What came in the first hour is all there is to go by.
        let warm = self.minute.saturating_sub(self.begin) >= WARM_UP;
        let most = if warm { 3.0 * self.background + 1.0 } else { f64::MAX };
        self.background += self.step() * (count.min(most) - self.background);
    }
}

const fn slot(minute: i64) -> usize {
    minute.rem_euclid(WINDOW as i64) as usize
}

/// ln P(N ≥ k) of a Poisson distribution of mean `lambda`, from above; 0 where k is no more than the mean.
fn ln_tail(k: f64, lambda: f64) -> f64 {
    if k <= lambda {
        return 0.0;
    }
    let ln_term = k * libm::log(lambda) - lambda - libm::lgamma(k + 1.0);
    (ln_term - libm::log(1.0 - lambda / (k + 1.0))).min(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many a minute for so many minutes.
    fn after(per_minute: u32, minutes: i64) -> Burst {
        let mut burst = Burst::new(0);
        for minute in 0..minutes {
            (0..per_minute).for_each(|_| burst.count(minute));
        }
        burst.pass(minutes);
        burst
    }

    #[test]
    fn the_tail_is_the_poisson_tail() {
        let exact = |k: u32, lambda: f64| {
            let mut term = libm::exp(-lambda);
            let mut below = 0.0;
            for n in 0..k {
                below += term;
                term *= lambda / f64::from(n + 1);
            }
            libm::log(1.0 - below)
        };
        for (k, lambda) in [(1, 0.1), (5, 1.0), (10, 2.0), (20, 10.0), (14, 10.0)] {
            let (found, expected) = (ln_tail(f64::from(k), lambda), exact(k, lambda));
            assert!(found >= expected - 1e-6 && found - expected < 0.3, "{k} of {lambda}: {found}, not {expected}");
        }
        assert_eq!((ln_tail(3.0, 5.0), ln_tail(0.0, 0.0)), (0.0, 0.0));
    }

    #[test]
    fn what_is_usual_stays_quiet_and_ten_times_it_does_not() {
        let mut burst = after(2, 600);
        assert!(burst.score() < Score(200), "{}", burst.score());
        (0..30).for_each(|_| burst.count(600));
        assert!(burst.score() >= Score(500), "{}", burst.score());
        burst.pass(606);
        assert_eq!((burst.in_window(), burst.score()), (0, Score(0)));
    }

    #[test]
    fn quiet_minutes_pass_as_one_by_one() {
        for (busy, quiet) in [(1, 6), (1, 400), (30, 65), (600, 90), (3_000, 5_000)] {
            let (mut at_once, mut one_by_one) = (after(3, busy), after(3, busy));
            at_once.pass(busy + quiet);
            (busy..=busy + quiet).for_each(|minute| one_by_one.pass(minute));
            let (found, expected) = (at_once.usual(), one_by_one.usual());
            assert!((found - expected).abs() <= 1e-9 * expected, "{busy} {quiet}: {found}, not {expected}");
        }
    }

    #[test]
    fn what_is_rare_is_a_burst_sooner() {
        let (mut rare, mut busy) = (after(0, 600), after(10, 600));
        (0..6).for_each(|_| rare.count(600));
        (0..6).for_each(|_| busy.count(600));
        assert!(rare.score() >= Score(500) && busy.score() < Score(200), "{} {}", rare.score(), busy.score());
    }

    #[test]
    fn a_burst_is_not_learned_as_usual_at_once() {
        let mut burst = after(1, 600);
        for minute in 600..610 {
            (0..100).for_each(|_| burst.count(minute));
            assert!(minute < 601 || burst.score() >= Score(500));
        }
        assert!(burst.usual() < 6.0, "{}", burst.usual());
    }

    #[test]
    fn it_says_nothing_in_its_first_hour() {
        let mut burst = Burst::new(-5);
        (0..1_000).for_each(|_| burst.count(-5));
        (0..1_000).for_each(|_| burst.count(54));
        assert_eq!(burst.score(), Score(0));
        burst.pass(i64::MAX);
        assert!(burst.score() == Score(0) && burst.usual() > 0.0);
        assert!(size_of::<Burst>() <= 200);
    }
}
