//! Which checks are known to cause which, from history or from people: how many alerts of a check its causes draw.
//!
//! An edge is a rate of its own beside the episode's, as in a Hawkes process with a kernel for each pair of types (Hawkes,
//! "Spectra of some self-exciting and mutually exciting point processes", 1971). What it adds is told as its own part.
use super::profile::Profile;
use crate::domain::{
    hash::hash_of,
    policy::{CausalEdge, Clue, Correlate},
    time::{Span, Timestamp},
};
use rustc_hash::FxHashMap;

/// An edge, seen from one of its ends.
#[derive(Clone, Copy, Debug)]
struct Edge {
    /// Where it stands in the policy.
    place: usize,
    /// The check at the other end.
    other: u64,
    is_cause: bool,
    share: f64,
    /// In seconds.
    within: f64,
}

impl Edge {
    /// Alerts a second that one of the cause draws so long after it; what lies within the resolution of the origins is at hand.
    fn density(&self, gap: Span, resolution: Span) -> f64 {
        if gap.0 < -resolution.0 {
            return 0.0;
        }
        let late = (gap.0 - resolution.0).max(0) as f64 / 1_000.0;
        self.share / self.within * libm::exp(-late / self.within)
    }
}

/// Edges by each of their ends.
#[derive(Debug, Default)]
pub struct Causality(FxHashMap<u64, Vec<Edge>>);

impl Causality {
    /// Of a policy.
    pub fn new(policy: &Correlate) -> Self {
        let mut ends = Self::default();
        let edges = policy.causality.iter().filter(|_| policy.clues.contains(&Clue::Causality));
        for (place, CausalEdge { cause, effect, share, within }) in edges.enumerate() {
            let [cause, effect] = [cause, effect].map(|name| hash_of(name));
            let (share, within) = (*share, within.0.max(1_000) as f64 / 1_000.0);
            ends.0.entry(effect).or_default().push(Edge { place, other: cause, is_cause: true, share, within });
            ends.0.entry(cause).or_default().push(Edge { place, other: effect, is_cause: false, share, within });
        }
        ends
    }

    /// Whether something is known of a check.
    pub fn knows(&self, check: u64) -> bool {
        self.0.contains_key(&check)
    }

    /// What is known to cause a check, and how many of it one of each draws.
    pub(super) fn causes(&self, check: u64) -> impl Iterator<Item = (u64, f64)> {
        let edges = self.0.get(&check).into_iter().flatten();
        edges.filter(|edge| edge.is_cause).map(|edge| (edge.other, edge.share))
    }

    /// What is known of a check and an episode, and how many alerts a second the latest of each cause draws: of the check, where
    /// its causes are in the episode, or of the episode's, where it is a cause of theirs.
    fn drawn(
        &self,
        (check, at): (u64, Timestamp),
        resolution: Span,
        profile: &Profile,
    ) -> impl Iterator<Item = (Edge, f64)> {
        let edges = self.0.get(&check).into_iter().flatten();
        edges.filter_map(move |edge| {
            let latest = profile.latest_of(edge.other)?;
            let gap = if edge.is_cause { at - latest } else { latest - at };
            Some((*edge, edge.density(gap, resolution)))
        })
    }

    /// Alerts a second that are drawn so.
    pub(super) fn density(&self, opened: (u64, Timestamp), resolution: Span, profile: &Profile) -> f64 {
        self.drawn(opened, resolution, profile).map(|(_, density)| density).sum()
    }

    /// By which edge most are, as its place in the policy, and whether the episode has the cause of it.
    pub(super) fn strongest(
        &self,
        opened: (u64, Timestamp),
        resolution: Span,
        profile: &Profile,
    ) -> Option<(usize, bool)> {
        let drawn = self.drawn(opened, resolution, profile).filter(|(_, density)| *density > 0.0);
        let most = drawn.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.place.cmp(&a.0.place)));
        most.map(|(edge, _)| (edge.place, edge.is_cause))
    }
}
