//! How finely the origins tell time: what a poller finds in one round is no nearer for it, and what it finds in the next
//! no farther.
use super::{bounded::Bounded, sighting::Sighting};
use crate::domain::{
    hash::hash_of,
    time::{Span, Timestamp},
};
use serde::{Deserialize, Serialize};

/// Gaps as long as a round of a poller, not as the work within one.
const GAP_MIN: Span = Span::seconds(2);
/// Longer ones say nothing of a poller; in seconds.
const GAP_MAX: usize = 120;
/// So many gaps are needed to tell.
const GAPS_MIN: u32 = 10;
/// With so many the past counts half.
const GAPS_MAX: u32 = 4_096;

/// Gaps between openings of one check at one origin.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    latest: Bounded<u64, Option<Timestamp>>,
    /// How many, by whole seconds; the last are longer.
    gaps: Vec<u32>,
    count: u32,
}

impl Pace {
    /// An alert opened.
    pub fn open(&mut self, origin: &str, seen: &Sighting, limit: usize) {
        // No two checks of an origin are one, whatever their hashes: they are multiplied by an odd number.
        let key = hash_of(origin) ^ seen.check.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let latest = self.latest.see(key, seen.at).replace(seen.at);
        self.latest.make_room(limit);
        let Some(gap) = latest.map(|at| Span((seen.at - at).0.saturating_abs())).filter(|gap| *gap > GAP_MIN) else {
            return;
        };
        self.gaps.resize(GAP_MAX + 1, 0);
        self.gaps[usize::try_from(gap.0 / 1_000).unwrap_or(GAP_MAX).min(GAP_MAX)] += 1;
        self.count += 1;
        if self.count >= GAPS_MAX {
            self.gaps.iter_mut().for_each(|n| *n /= 2);
            self.count = self.gaps.iter().sum();
        }
    }

    /// Two alerts less apart than this may have come together: the tenth part of all gaps is shorter.
    pub fn resolution(&self) -> Span {
        if self.count < GAPS_MIN {
            return Span(0);
        }
        let wanted = self.count.div_ceil(10);
        let mut below = 0;
        for (second, n) in (0..).zip(&self.gaps) {
            if below + n >= wanted {
                return Span(second * 1_000 + i64::from(1_000 * (wanted - below) / (*n).max(1)));
            }
            below += n;
        }
        Span(0)
    }
}
