//! The canonical event: what one origin reported about one entity at one moment.
use super::{severity::Severity, time::Timestamp};
use serde::{Deserialize, Serialize};

/// Whether a condition holds or has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Firing,
    Resolved,
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A condition that fires or resolves.
    Alert,
    /// A measurement.
    Sample,
    /// A line of a log.
    Log,
    /// A deployment, a configuration push: a suspect.
    Change,
}

/// Decoded and valid: `entity`, `check`, `id`, `origin` and `scope` are not empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Unique at its origin.
    pub id: String,
    /// When it was observed, by the origin's clock.
    pub time: Timestamp,
    /// When the condition began, if the origin says so.
    pub started_at: Option<Timestamp>,
    /// When the condition ended, if the origin says so.
    pub ended_at: Option<Timestamp>,
    /// Which tool said it.
    pub origin: String,
    /// What it is about.
    pub entity: String,
    /// What was checked.
    pub check: String,
    pub status: Status,
    pub severity: Severity,
    /// One line for people.
    pub summary: String,
    /// The sample, when the event is a measurement.
    pub value: Option<f64>,
    /// Sorted by key, each key once.
    pub labels: Vec<(String, String)>,
    /// Empty where the origin does not say.
    pub service: String,
    /// The wall of correlation.
    pub scope: String,
    /// The identity of the condition where the origin or the source's mapping gives one; else empty, and the policy's
    /// fields are the identity.
    pub fingerprint: String,
    /// Which of a condition's reports this is about, where the origin tells several apart that are one alert (the
    /// warning and the critical of a rule, two replicas); empty where it does not.
    pub identity: String,
    pub kind: Kind,
    /// When it reached Quell.
    pub arrival: Timestamp,
    /// Offset in its source partition; 0 for events that came by HTTP.
    pub offset: i64,
    /// Its place in its record, from 0: a record may hold several events.
    pub part: u32,
}
