//! How finely the origins tell time: what a poller finds in one round is no nearer for it, and what it finds in the next
//! no farther.
use super::{bounded::Bounded, sighting::Sighting};
use crate::domain::{
    hash::hash_of,
    policy::ResolutionModel,
    time::{Span, Timestamp},
};
use serde::{Deserialize, Serialize};

fn whole_seconds(span: Span) -> usize {
    usize::try_from(span.0 / 1_000).unwrap_or(usize::MAX)
}

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
    pub fn open(&mut self, origin: &str, seen: &Sighting, model: &ResolutionModel, limit: usize) {
        // No two checks of an origin are one, whatever their hashes: they are multiplied by an odd number.
        let key = hash_of(origin) ^ seen.check.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let latest = self.latest.see(key, seen.at).replace(seen.at);
        self.latest.make_room(limit);
        let Some(gap) = latest.map(|at| Span((seen.at - at).0.saturating_abs())).filter(|gap| *gap > model.gap_min)
        else {
            return;
        };
        let longest = whole_seconds(model.gap_max);
        self.gaps.resize(longest + 1, 0);
        self.gaps[whole_seconds(gap).min(longest)] += 1;
        self.count += 1;
        if self.count >= model.gaps_max {
            self.gaps.iter_mut().for_each(|n| *n /= 2);
            self.count = self.gaps.iter().sum();
        }
    }

    /// Two alerts less apart than this may have come together: a share of all gaps is shorter.
    pub fn resolution(&self, model: &ResolutionModel) -> Span {
        if self.count < model.gaps_min {
            return Span(0);
        }
        let wanted = libm::ceil(f64::from(self.count) * model.share).max(1.0) as u32;
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
