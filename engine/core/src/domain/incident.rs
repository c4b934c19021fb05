//! An episode that people are asked to act on.
use super::{
    alert::AlertId,
    episode::{EpisodeId, Evidence, Reason},
    severity::Severity,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// `hash(scope, founding fingerprint, opened_at, ordinal)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IncidentId(pub u64);

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Where an incident is in its life. People's states come with people's commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum State {
    New,
    Resolved,
    Closed,
}

impl State {
    /// In lower case: `resolved`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Resolved => "resolved",
            Self::Closed => "closed",
        }
    }
}

/// Why an incident was raised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum RaiseReason {
    /// An alert fired on for this many seconds.
    Fires { entity: Arc<str>, check: Arc<str>, seconds: i64 },
    /// So many alerts at once.
    Many { alerts: usize, entities: usize },
}

impl fmt::Display for RaiseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fires { entity, check, seconds } if seconds % 60 == 0 && *seconds > 0 => {
                write!(f, "{check} on {entity} has fired for {} min", seconds / 60)
            }
            Self::Fires { entity, check, seconds } => write!(f, "{check} on {entity} has fired for {seconds} s"),
            Self::Many { alerts, entities } => write!(f, "{alerts} alerts on {entities} entities at once"),
        }
    }
}

/// What most likely caused an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cause {
    pub entity: Arc<str>,
    pub check: Arc<str>,
    pub reason: String,
    /// In thousandths.
    pub confidence: u32,
}

/// An incident as it is now; its alerts are its episode's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    pub id: IncidentId,
    /// Counted in its scope, from 1.
    pub number: u64,
    pub episode: EpisodeId,
    pub revision: u64,
    pub state: State,
    pub opened_at: Timestamp,
    pub updated_at: Timestamp,
    pub resolved_at: Option<Timestamp>,
    pub closed_at: Option<Timestamp>,
    pub raised: RaiseReason,
    pub severity: Severity,
    /// 1 (worst) to 5.
    pub priority: u8,
    pub title: String,
    /// Best first.
    pub causes: Vec<Cause>,
    pub services: Vec<Arc<str>>,
    pub reopened: u32,
    /// The clock when it last spoke.
    pub said_at: Timestamp,
    /// How many of the episode's members were told.
    pub members_said: usize,
    /// Alerts that have left since it last spoke.
    pub removed: Vec<AlertId>,
    /// The incident that took it in.
    pub merged_into: Option<IncidentId>,
    /// It has changed since it last spoke.
    pub unsaid: bool,
}

impl Incident {
    /// `scopes/{scope}/incidents/{incident}`
    pub fn name(scope: &str, id: IncidentId) -> String {
        format!("scopes/{scope}/incidents/{id}")
    }
}

/// An alert of an incident, in short.
#[derive(Clone, Debug, PartialEq)]
pub struct ShortAlert {
    pub id: AlertId,
    pub entity: Arc<str>,
    pub check: Arc<str>,
    pub summary: Arc<str>,
    pub severity: Severity,
    pub open: bool,
    pub reason: Reason,
    pub evidence: Evidence,
    /// Seconds after the alert it joined; 0 where it did not come after it.
    pub after: i64,
    pub opened_at: Timestamp,
}

impl ShortAlert {
    /// Why it is in the incident, for people.
    pub fn why(&self) -> String {
        match self.after {
            ..=0 => self.reason.to_string(),
            after => format!("{}, {after} s after the alert before", self.reason),
        }
    }
}
