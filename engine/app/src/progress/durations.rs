//! How long things took, by bucket: counted from any thread, in the same memory for ever.
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Upper bounds of the buckets, in microseconds: from a step of the fold to a backlog of minutes.
pub const BUCKET_MICROS: [u64; 17] = [
    50,
    100,
    500,
    1_000,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    15_000_000,
    60_000_000,
    300_000_000,
];

/// Durations by bucket.
#[derive(Debug, Default)]
pub struct Durations {
    /// Not cumulative; the last is beyond all bounds.
    counts: [AtomicU64; BUCKET_MICROS.len() + 1],
    sum_micros: AtomicU64,
}

impl Durations {
    /// Counts one.
    pub fn observe(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKET_MICROS.partition_point(|bound| *bound < micros);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// The counts of the buckets, and the sum in seconds.
    pub fn read(&self) -> ([u64; BUCKET_MICROS.len() + 1], f64) {
        let counts = std::array::from_fn(|n| self.counts[n].load(Ordering::Relaxed));
        (counts, self.sum_micros.load(Ordering::Relaxed) as f64 / 1e6)
    }
}

/// The stages of a record's journey, each from its arrival on. Sampled: once for each pack or read.
#[derive(Debug, Default)]
pub struct Latency {
    /// It is in the journal, durably.
    pub durable: Durations,
    /// The fold has it.
    pub folded: Durations,
    /// What it made the fold say is in the output topics, durably.
    pub said: Durations,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let durations = Durations::default();
        for micros in [0, 50, 51, 300_000_000, 300_000_001] {
            durations.observe(Duration::from_micros(micros));
        }
        let (counts, sum) = durations.read();
        assert_eq!((counts[0], counts[1], counts[16], counts[17]), (2, 1, 1, 1));
        assert!((sum - 600.000_102).abs() < 1e-9, "{sum}");
    }
}
