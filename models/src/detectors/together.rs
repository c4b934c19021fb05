//! How far from usual an entity is, by the severities of its series.
//!
//! A severity `s` counts as far as it is rare for its series: `s · ln((n + 2) / (above + 1)) / ln(n + 2)`, where `above` of the `n`
//! severities before it were higher (a histogram of 16 bins; a rank, so that nothing is assumed of how they are spread). A metric that is
//! off each hour says little, one that never was counts in full. `q` is the mean of the five largest of these (fewer where there are fewer):
//! trouble shows in several metrics, and seldom in most. The state is the mean of `q` now, over the last eight rounds and over the last 64, so that it
//! has a beginning, does not flicker, and lasts as trouble does.
use super::Score;
use serde::{Deserialize, Serialize};

/// Of so many series.
const LARGEST: usize = 5;
/// Rounds that the means remember.
const ROUNDS: [f64; 2] = [8.0, 64.0];
const BINS: usize = 16;
/// Of so many severities each counts half from then on.
const SEEN_MAX: u32 = 60_000;

/// The state of an entity: 32 bytes a series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Together {
    means: Option<[f64; 2]>,
    series: Vec<Seen>,
}

/// How often each severity was seen of a series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Seen([u16; BINS]);

impl Together {
    /// A round: one severity of each series, in the same order each time.
    ///
    /// ```
    /// # use quell_models::detectors::{Score, Together};
    /// let mut state = Together::default();
    /// // The first series is off half of the time; the second never was.
    /// for round in 0..1_000 {
    ///     state.take([Score(round % 2 * 800), Score(0)]);
    /// }
    /// assert!(state.clone().take([Score(0), Score(800)]) > state.take([Score(800), Score(0)]));
    /// ```
    pub fn take(&mut self, severities: impl IntoIterator<Item = Score>) -> f64 {
        let mut all = Vec::with_capacity(self.series.len());
        for (n, severity) in severities.into_iter().enumerate() {
            if n == self.series.len() {
                self.series.push(Seen::default());
            }
            all.push(self.series[n].take(severity));
        }
        all.sort_unstable_by(|a, b| b.total_cmp(a));
        all.truncate(LARGEST);
        let now = all.iter().sum::<f64>() / all.len().max(1) as f64;
        let means = self.means.get_or_insert([now; 2]);
        for (mean, rounds) in means.iter_mut().zip(ROUNDS) {
            *mean += (now - *mean) / rounds;
        }
        (now + means[0] + means[1]) / 3.0
    }
}

impl Seen {
    /// What it counts for, and it is seen.
    fn take(&mut self, Score(severity): Score) -> f64 {
        let share = f64::from(severity.min(1_000)) / 1_000.0;
        let place = share * BINS as f64;
        let bin = (place as usize).min(BINS - 1);
        let n: u32 = self.0.iter().map(|count| u32::from(*count)).sum();
        let higher: u32 = self.0[bin + 1..].iter().map(|count| u32::from(*count)).sum();
        let above = f64::from(higher) + f64::from(self.0[bin]) * (bin as f64 + 1.0 - place);
        let possible = f64::from(n) + 2.0;
        if n >= SEEN_MAX {
            self.0.iter_mut().for_each(|count| *count /= 2);
        }
        self.0[bin] += 1;
        share * (libm::log(possible / (above + 1.0)) / libm::log(possible)).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calm(series: usize, rounds: usize) -> Together {
        let mut state = Together::default();
        for _ in 0..rounds {
            state.take(vec![Score(10); series]);
        }
        state
    }

    #[test]
    fn several_say_more_than_one() {
        let of = |loud: usize| calm(20, 100).take((0..20).map(|n| Score(if n < loud { 900 } else { 10 })));
        assert!(of(5) > of(2) && of(2) > of(1) && of(5) == of(20));
        assert_eq!(Together::default().take([]), 0.0);
    }

    #[test]
    fn what_never_was_counts_in_full_and_what_is_common_little() {
        let mut new = Seen::default();
        (0..1_000).for_each(|_| _ = new.take(Score(10)));
        assert!((new.take(Score(1_000)) - 1.0).abs() < 1e-9);
        let mut common = Seen::default();
        (0..1_000).for_each(|n| _ = common.take(Score(n % 2 * 900)));
        assert!(common.take(Score(900)) < 0.2);
        // A quarter of a year on, what was common once is rare.
        (0..130_000).for_each(|_| _ = common.take(Score(10)));
        assert!(common.take(Score(900)) > 0.4);
    }

    #[test]
    fn it_lasts_a_while() {
        let mut state = calm(8, 100);
        let (first, second) = (state.take([Score(800); 8]), state.take([Score(800); 8]));
        assert!(first > 0.3 && second > first);
        let after = state.take([Score(10); 8]);
        assert!(after > 0.0 && after < first);
    }
}
