//! How far from usual an entity is, by the severities of its series.
//!
//! `q` is the mean of the six largest (fewer where there are fewer): trouble shows in several metrics, and seldom in most. The state is
//! `q / 2` and half of its mean over the last twenty rounds, so that it has a beginning and does not flicker.
use super::Score;
use serde::{Deserialize, Serialize};

/// Of so many series.
const LARGEST: usize = 6;
/// Rounds that the mean remembers.
const ROUNDS: f64 = 20.0;

/// The state of an entity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Together {
    mean: Option<f64>,
}

impl Together {
    /// A round: one severity of each series.
    pub fn take(&mut self, severities: impl IntoIterator<Item = Score>) -> f64 {
        let mut all: Vec<u16> = severities.into_iter().map(|severity| severity.0).collect();
        all.sort_unstable_by(|a, b| b.cmp(a));
        all.truncate(LARGEST);
        let sum: u32 = all.iter().map(|severity| u32::from(*severity)).sum();
        let now = f64::from(sum) / 1_000.0 / all.len().max(1) as f64;
        let mean = self.mean.map_or(now, |mean| mean + (now - mean) / ROUNDS);
        self.mean = Some(mean);
        f64::midpoint(now, mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_say_more_than_one() {
        let of = |loud: usize| Together::default().take((0..20).map(|n| Score(if n < loud { 900 } else { 10 })));
        assert!(of(6) > of(2) && of(2) > of(1) && of(6) == of(20));
        assert_eq!(Together::default().take([Score(400), Score(600)]), 0.5);
        assert_eq!(Together::default().take([]), 0.0);
    }

    #[test]
    fn it_lasts_a_while() {
        let mut state = Together::default();
        for _ in 0..50 {
            state.take([Score(0); 8]);
        }
        let (first, second) = (state.take([Score(800); 8]), state.take([Score(800); 8]));
        assert!(first > 0.4 && second > first);
        let after = state.take([Score(0); 8]);
        assert!(after > 0.0 && after < first);
    }
}
