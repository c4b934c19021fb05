//! What the tests of the fold tell it.
use quell_core::domain::{
    event::{Event, Kind, Status},
    severity::Severity,
    time::Timestamp,
};

/// Major, of the check `up`, by the origin `tool`, without a service. Its id is the position.
pub fn event(position: u64, at: Timestamp, entity: &str, status: Status) -> Event {
    Event {
        id: position.to_string(),
        time: at,
        started_at: None,
        ended_at: None,
        origin: "tool".to_owned(),
        entity: entity.to_owned(),
        check: "up".to_owned(),
        status,
        severity: Severity::Major,
        summary: String::new(),
        value: None,
        labels: Vec::new(),
        service: String::new(),
        scope: "default".to_owned(),
        fingerprint: String::new(),
        identity: String::new(),
        part: 0,
        kind: Kind::Alert,
        arrival: at,
        offset: 0,
    }
}
