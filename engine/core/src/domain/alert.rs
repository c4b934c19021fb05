//! One condition on one entity: its events folded.
use super::{
    episode::EpisodeId,
    event::Event,
    severity::Severity,
    time::{Span, Timestamp},
};
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// `hash(scope, fingerprint, opened_at, ordinal)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AlertId(pub u64);

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The identity of a condition within a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fingerprint(pub u128);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// An alert as it is now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    pub id: AlertId,
    pub fingerprint: Fingerprint,
    pub origin: Arc<str>,
    pub entity: Arc<str>,
    pub check: Arc<str>,
    /// The services it speaks of: the event's own first, then those that the topology knows.
    pub services: Vec<Arc<str>>,
    pub summary: Arc<str>,
    pub labels: Arc<[(Arc<str>, Arc<str>)]>,
    /// Of the latest firing, by its time; of several at one time the worst.
    pub severity: Severity,
    pub open: bool,
    /// Firings folded.
    pub count: u64,
    /// When it first fired.
    pub opened_at: Timestamp,
    /// When the present occurrence, or the last one, began.
    pub occurred_at: Timestamp,
    /// The latest firing.
    pub last_fired_at: Timestamp,
    /// The recovery, or the auto-clear, that ended the last occurrence.
    pub cleared_at: Option<Timestamp>,
    /// The latest recovery heard of: no event dated before it opens the alert again.
    pub quiet_until: Timestamp,
    /// The longest gap between two firings of an occurrence.
    pub longest_gap: Span,
    /// It was cleared because nothing was heard of it.
    pub expired: bool,
    pub reopened: u32,
    /// Where its last occurrence was placed.
    pub episode: Option<EpisodeId>,
    /// Which member of the episode it is.
    pub member: usize,
    /// The clock when it last spoke.
    pub said_at: Timestamp,
    /// It has changed since.
    pub unsaid: bool,
}

impl Alert {
    /// A new alert of its first firing, at `at`.
    pub fn open(id: AlertId, fingerprint: Fingerprint, event: &Event, at: Timestamp, services: Vec<Arc<str>>) -> Self {
        let text = |s: &str| Arc::<str>::from(s);
        Self {
            id,
            fingerprint,
            origin: text(&event.origin),
            entity: text(&event.entity),
            check: text(&event.check),
            services,
            summary: text(&event.summary),
            labels: event.labels.iter().map(|(k, v)| (text(k), text(v))).collect(),
            severity: event.severity,
            open: true,
            count: 1,
            opened_at: at,
            occurred_at: at,
            last_fired_at: at,
            cleared_at: None,
            quiet_until: Timestamp::MIN,
            longest_gap: Span(0),
            expired: false,
            reopened: 0,
            episode: None,
            member: 0,
            said_at: Timestamp::MIN,
            unsaid: false,
        }
    }

    /// `scopes/{scope}/alerts/{alert}`
    pub fn name(scope: &str, id: AlertId) -> String {
        format!("scopes/{scope}/alerts/{id}")
    }
}
