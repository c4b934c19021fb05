//! How long it took to detect, to acknowledge and to resolve: histograms that are part of the state, so that a recovery
//! does not count again. Beginnings and ends are those of the conditions, as their origins tell them. Detection is from the
//! first alert's beginning to the incident; acknowledgement from the incident to the first person; resolution from the
//! first alert's beginning to the end of the last, or to the person who says that it is over. Where an end was only
//! supposed, by the auto-clear, nothing is known of the resolution.
use crate::domain::time::Span;
use serde::{Deserialize, Serialize};

/// Upper bounds of the buckets, in seconds.
pub const BUCKET_SECONDS: [u32; 10] = [30, 60, 120, 300, 600, 1_800, 3_600, 14_400, 28_800, 86_400];

/// Durations by bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// Not cumulative; the last is beyond all bounds.
    pub counts: [u64; BUCKET_SECONDS.len() + 1],
    /// In milliseconds.
    pub sum: u64,
}

impl Histogram {
    /// Counts a duration; a negative one, of clocks that differ, is none.
    pub fn observe(&mut self, took: Span) {
        let took = took.0.max(0).unsigned_abs();
        let bucket = BUCKET_SECONDS.iter().position(|bound| took <= u64::from(*bound) * 1_000);
        self.counts[bucket.unwrap_or(BUCKET_SECONDS.len())] += 1;
        self.sum = self.sum.saturating_add(took);
    }

    /// Adds another's counts.
    pub fn add(&mut self, other: &Self) {
        self.counts.iter_mut().zip(other.counts).for_each(|(count, more)| *count += more);
        self.sum = self.sum.saturating_add(other.sum);
    }
}

/// Of the incidents of a scope.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    pub detect: Histogram,
    pub acknowledge: Histogram,
    pub resolve: Histogram,
}

impl Times {
    /// Adds another scope's counts.
    pub fn add(&mut self, other: &Self) {
        self.detect.add(&other.detect);
        self.acknowledge.add(&other.acknowledge);
        self.resolve.add(&other.resolve);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let mut histogram = Histogram::default();
        for seconds in [-5, 30, 31, 86_401] {
            histogram.observe(Span::seconds(seconds));
        }
        assert_eq!((histogram.counts[0], histogram.counts[1], histogram.counts[10]), (2, 1, 1));
        assert_eq!(histogram.sum, 86_462_000);
    }
}
