//! Time and randomness, given from outside so that a simulation can give its own.
use quell_core::domain::time::Timestamp;
use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The wall clock and a source of random numbers.
pub trait Outside: Send + Sync + 'static {
    /// The wall clock.
    fn now(&self) -> Timestamp;
    /// A random number.
    fn random(&self) -> u64;
}

/// How long ago by the wall clock; nothing where clocks differ.
pub fn since(at: Timestamp, outside: &dyn Outside) -> Duration {
    Duration::from_millis((outside.now() - at).0.max(0).unsigned_abs())
}

/// The real ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Outside for System {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn random(&self) -> u64 {
        rand::random()
    }
}

/// A clock that tokio's (paused) time drives, and a seeded sequence of numbers.
#[derive(Debug)]
pub struct Simulated {
    start: tokio::time::Instant,
    epoch: Timestamp,
    seed: AtomicI64,
}

impl Simulated {
    /// Begins at `epoch`.
    pub fn new(epoch: Timestamp, seed: u32) -> Self {
        Self { start: tokio::time::Instant::now(), epoch, seed: AtomicI64::new(i64::from(seed) << 20) }
    }
}

impl Outside for Simulated {
    fn now(&self) -> Timestamp {
        let passed = i64::try_from(self.start.elapsed().as_millis()).unwrap_or(i64::MAX);
        Timestamp(self.epoch.0.saturating_add(passed))
    }

    fn random(&self) -> u64 {
        // SplitMix64 (Steele, Lea, Flood 2014).
        let n = self.seed.fetch_add(1, Ordering::Relaxed) as u64;
        let mut z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
