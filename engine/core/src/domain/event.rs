//! The canonical event: what one origin reported about one entity at one moment.
use super::{severity::Severity, time::Timestamp};
use serde::{Deserialize, Serialize};

/// The origin of what the engine itself finds.
pub const ORIGIN: &str = "quell";

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

impl Event {
    /// The start that its origin tells, of a firing at `at`; nothing where it can't be: before 1970, or after it was told.
    pub fn told_start(&self, at: Timestamp) -> Option<Timestamp> {
        self.started_at.filter(|start| start.0 > 0 && *start <= at)
    }

    /// When the condition began, as far as its origin says; else when it was told.
    pub fn began(&self, at: Timestamp) -> Timestamp {
        self.told_start(at).unwrap_or(at)
    }

    /// When a condition that began at `start` ended, as far as its origin says; else when it was told.
    pub fn ended(&self, start: Timestamp, at: Timestamp) -> Timestamp {
        self.ended_at.filter(|end| start <= *end && *end <= at).unwrap_or(at)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn firing() -> Event {
        Event {
            id: "id".to_owned(),
            time: Timestamp(10_000),
            started_at: None,
            ended_at: None,
            origin: "tool".to_owned(),
            entity: "host".to_owned(),
            check: "up".to_owned(),
            status: Status::Firing,
            severity: Severity::Major,
            summary: String::new(),
            value: None,
            labels: Vec::new(),
            service: String::new(),
            scope: "default".to_owned(),
            fingerprint: String::new(),
            identity: String::new(),
            kind: Kind::Alert,
            arrival: Timestamp(10_000),
            offset: 0,
            part: 0,
        }
    }

    #[test]
    fn starts_and_ends_that_cannot_be_are_the_time_they_were_told() {
        let (at, year_one) = (Timestamp(10_000), Timestamp(-62_135_596_800_000));
        let told = |start, end| Event { started_at: start, ended_at: end, ..firing() };
        assert_eq!(told(Some(Timestamp(4_000)), None).began(at), Timestamp(4_000));
        for start in [None, Some(year_one), Some(Timestamp(10_001))] {
            assert_eq!(told(start, None).began(at), at, "{start:?}");
        }
        assert_eq!(told(None, Some(Timestamp(7_000))).ended(Timestamp(4_000), at), Timestamp(7_000));
        for end in [None, Some(year_one), Some(Timestamp(3_999)), Some(Timestamp(10_001))] {
            assert_eq!(told(None, end).ended(Timestamp(4_000), at), at, "{end:?}");
        }
    }
}
