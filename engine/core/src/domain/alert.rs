//! One condition on one entity: its events folded.
use super::{
    episode::EpisodeId,
    event::Event,
    maintenance::Maintenance,
    severity::Severity,
    silence::Silence,
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

/// What keeps an alert from being heard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SuppressedBy {
    Silence(Arc<str>),
    Maintenance(Arc<str>),
    /// Another alert, by a rule of the policy; without one by the topology: it runs on what that alert says is down.
    Inhibition {
        rule: Option<Arc<str>>,
        by: AlertId,
        fingerprint: Fingerprint,
    },
}

impl SuppressedBy {
    /// For people: `scopes/default/silences/s1`, `inhibition rule node: scopes/default/alerts/…`.
    pub fn describe(&self, scope: &str) -> String {
        match self {
            Self::Silence(id) => Silence::name(scope, id),
            Self::Maintenance(id) => Maintenance::name(scope, id),
            Self::Inhibition { rule: Some(rule), by, .. } => {
                format!("inhibition rule {rule}: {}", Alert::name(scope, *by))
            }
            Self::Inhibition { rule: None, by, .. } => format!("inhibition by topology: {}", Alert::name(scope, *by)),
        }
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
    /// Why nobody is to hear of it; of one that has cleared, why nobody was when it did.
    pub suppressed_by: Option<Box<SuppressedBy>>,
    /// When its present occurrence, or the last one, began to be heard; `None` where it never was.
    pub heard_at: Option<Timestamp>,
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
            suppressed_by: None,
            heard_at: Some(at),
            episode: None,
            member: 0,
            said_at: Timestamp::MIN,
            unsaid: false,
        }
    }

    /// When it came, as far as people are concerned: the end of a silence that hid its beginning.
    pub fn heard_since(&self) -> Timestamp {
        self.heard_at.unwrap_or(self.occurred_at)
    }

    /// Where its last occurrence was placed; one that was never heard is nowhere.
    pub fn place(&self) -> Option<EpisodeId> {
        self.episode.filter(|_| self.heard_at.is_some())
    }

    /// `scopes/{scope}/alerts/{alert}`
    pub fn name(scope: &str, id: AlertId) -> String {
        format!("scopes/{scope}/alerts/{id}")
    }
}
