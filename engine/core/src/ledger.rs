//! Where every event went: each has exactly one outcome (design rule 19).
use crate::domain::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

mod skew;
use skew::Skew;

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// Could not be decoded.
    Rejected,
    /// The same id with the same status and time came before.
    Redelivered,
    /// A limit was reached.
    OverQuota,
    /// It came late and changed nothing.
    Late,
    /// It fired, and its alert is suppressed.
    Suppressed,
    /// It opened an alert.
    Opened,
    /// It opened an alert again.
    Reopened,
    /// It was counted in its alert.
    Folded,
    /// It cleared its alert.
    Cleared,
    /// A recovery without a problem.
    OrphanResolve,
    /// A measurement.
    Sampled,
    /// A change or a log line.
    Noted,
}

impl Outcome {
    /// All, by precedence.
    pub const ALL: [Self; 12] = [
        Self::Rejected,
        Self::Redelivered,
        Self::OverQuota,
        Self::Late,
        Self::Suppressed,
        Self::Opened,
        Self::Reopened,
        Self::Folded,
        Self::Cleared,
        Self::OrphanResolve,
        Self::Sampled,
        Self::Noted,
    ];

    /// As in metrics: `orphan_resolve`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Redelivered => "redelivered",
            Self::OverQuota => "over_quota",
            Self::Late => "late",
            Self::Suppressed => "suppressed",
            Self::Opened => "opened",
            Self::Reopened => "reopened",
            Self::Folded => "folded",
            Self::Cleared => "cleared",
            Self::OrphanResolve => "orphan_resolve",
            Self::Sampled => "sampled",
            Self::Noted => "noted",
        }
    }
}

/// Counts by origin and outcome. Part of the state, so that a recovery does not count again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    by_origin: BTreeMap<Arc<str>, Origin>,
    received: u64,
    /// Recoveries that wait for their problem.
    pub held: u64,
    /// Ids that came again with another status or time.
    pub id_reused: u64,
}

/// What is known of an origin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Origin {
    counts: [u64; Outcome::ALL.len()],
    skew: Skew,
}

/// Where the counts of origins beyond the limit go.
const OTHER_ORIGINS: &str = "(other)";

impl Ledger {
    /// An event came.
    pub fn receive(&mut self) {
        self.received += 1;
    }

    /// What became of it.
    pub fn count(&mut self, origin: &str, outcome: Outcome, origins_max: usize) {
        self.count_of(origin, outcome, None, (origins_max, Span(0)));
    }

    /// What became of it, and how far its time was `off` its arrival. What is older than the lateness does harm.
    pub fn count_of(
        &mut self,
        origin: &str,
        outcome: Outcome,
        off: Option<(Span, Timestamp)>,
        (origins_max, lateness): (usize, Span),
    ) {
        if let Some(known) = self.by_origin.get_mut(origin) {
            known.counts[outcome as usize] += 1;
            if let Some((off, arrival)) = off {
                known.skew.see(off, arrival, lateness);
            }
            return;
        }
        let name = if self.by_origin.len() < origins_max { origin } else { OTHER_ORIGINS };
        self.by_origin.entry(name.into()).or_default().counts[outcome as usize] += 1;
    }

    /// The origins whose events are steadily off, and by how much: in the future where it is positive.
    pub fn skews(&self) -> impl Iterator<Item = (&Arc<str>, Span)> {
        self.by_origin.iter().filter_map(|(origin, known)| Some((origin, known.skew.known()?)))
    }

    /// Every count that is not 0.
    pub fn counts(&self) -> impl Iterator<Item = (&Arc<str>, Outcome, u64)> {
        self.by_origin
            .iter()
            .flat_map(|(origin, known)| Outcome::ALL.into_iter().map(move |o| (origin, o, known.counts[o as usize])))
            .filter(|(_, _, n)| *n > 0)
    }

    /// Events that came.
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// Each event that came has one outcome, or is held.
    pub fn balances(&self) -> bool {
        self.counts().map(|(_, _, n)| n).sum::<u64>() + self.held == self.received
    }
}
