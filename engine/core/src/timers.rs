//! What will happen by itself, and when (design rule 7).
use crate::domain::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What a timer does. Of several that may fire at one clock, the earlier variant goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TimerKind {
    /// An alert that still fires raises an incident. By fingerprint.
    Settle,
    /// Many alerts at once raise an incident. By episode.
    Many,
    /// An alert whose count changed speaks. By fingerprint.
    SpeakAlert,
    /// An incident that changed speaks. By incident.
    SpeakIncident,
    /// Services whose score changed speak.
    SpeakServices,
    /// A recovery waited in vain for its problem. By fingerprint.
    Orphan,
    /// An alert that is not heard of is cleared. By fingerprint.
    AutoClear,
    /// An incident whose alerts are clear is resolved. By incident.
    Resolve,
    /// An episode takes no more alerts. By episode.
    EndEpisode,
    /// A resolved incident is closed. By incident.
    Close,
    /// A cleared alert is no longer kept. By fingerprint.
    ForgetAlert,
    /// A closed incident is no longer kept. By incident.
    ForgetIncident,
}

impl TimerKind {
    /// What closes something waits for the watermark: a firing that is late but in time may still undo it.
    const fn closes(self) -> bool {
        matches!(
            self,
            Self::Orphan
                | Self::AutoClear
                | Self::Resolve
                | Self::EndEpisode
                | Self::Close
                | Self::ForgetAlert
                | Self::ForgetIncident
        )
    }
}

/// Ordered as they fire: by (the clock at which it may fire, kind, id).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Timer {
    /// The clock at which it may fire.
    pub fires_at: Timestamp,
    pub kind: TimerKind,
    pub id: u128,
    /// What it is stamped with.
    pub due: Timestamp,
}

/// The timers of a scope.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timers(BTreeSet<Timer>);

impl Timers {
    /// Sets a timer; the same one twice is one.
    pub fn set(&mut self, kind: TimerKind, id: u128, due: Timestamp, lateness: Span) {
        let fires_at = if kind.closes() { due + lateness } else { due };
        self.0.insert(Timer { fires_at, kind, id, due });
    }

    /// The next timer that may fire at `clock`.
    pub fn pop(&mut self, clock: Timestamp) -> Option<Timer> {
        if self.0.first()?.fires_at > clock {
            return None;
        }
        self.0.pop_first()
    }

    /// How many are set.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// None is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
