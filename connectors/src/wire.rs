//! Domain to protobuf and back: the only place where the two meet.
use bytes::Bytes;
use prost::Message as _;
use quell_core::{
    domain::{
        alert::Alert,
        correction::Correction,
        event::{Event, Kind, Status},
        health::Level,
        incident::Incident,
        kpi::KpiLevel,
        recurrence::Problem,
        severity::Severity,
        time::Timestamp,
    },
    engine::{FOLD, Pack, Range, Rejected},
    output::{AlertUpdate, Body, KpiUpdate, Output, OutputTopic, ServiceUpdate},
};
use quell_proto::v1;

pub mod command;
pub mod correction;
mod incident;
pub mod suppression;
pub use incident::{
    apart, incident, incident_update, number as incident_number, problem, problem_number, state as incident_state,
    state_back as incident_state_back,
};

/// What of a protobuf message is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

impl From<prost::DecodeError> for Invalid {
    fn from(error: prost::DecodeError) -> Self {
        Self(error.to_string())
    }
}

/// A moment of the API.
pub const fn time(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: at.0.div_euclid(1_000), nanos: (at.0.rem_euclid(1_000) * 1_000_000) as i32 }
}

/// A moment of the API, read back.
pub const fn time_back(at: &prost_types::Timestamp) -> Timestamp {
    Timestamp(at.seconds.saturating_mul(1_000).saturating_add(at.nanos as i64 / 1_000_000))
}

/// A severity of the API.
pub const fn severity(severity: Severity) -> v1::Severity {
    match severity {
        Severity::Info => v1::Severity::Info,
        Severity::Warning => v1::Severity::Warning,
        Severity::Minor => v1::Severity::Minor,
        Severity::Major => v1::Severity::Major,
        Severity::Critical => v1::Severity::Critical,
    }
}

/// An event of the journal.
pub fn event(event: Event) -> v1::Event {
    v1::Event {
        id: event.id,
        time_ms: event.time.0,
        started_at_ms: event.started_at.map(|t| t.0),
        ended_at_ms: event.ended_at.map(|t| t.0),
        origin: event.origin,
        entity: event.entity,
        check: event.check,
        status: match event.status {
            Status::Firing => v1::event::Status::Firing,
            Status::Resolved => v1::event::Status::Resolved,
        } as i32,
        severity: severity(event.severity) as i32,
        summary: event.summary,
        value: event.value,
        labels: event.labels.into_iter().map(|(key, value)| v1::Label { key, value }).collect(),
        service: event.service,
        scope: event.scope,
        fingerprint: event.fingerprint,
        identity: event.identity,
        kind: match event.kind {
            Kind::Alert => v1::event::Kind::Alert,
            Kind::Sample => v1::event::Kind::Sample,
            Kind::Log => v1::event::Kind::Log,
            Kind::Change => v1::event::Kind::Change,
        } as i32,
        arrival_ms: event.arrival.0,
        offset: event.offset,
        part: event.part,
    }
}

/// An event of the journal, read back.
///
/// # Errors
/// Where an enumeration has a value that this version does not know.
pub fn event_back(event: v1::Event) -> Result<Event, Invalid> {
    Ok(Event {
        status: match event.status() {
            v1::event::Status::Firing => Status::Firing,
            v1::event::Status::Resolved => Status::Resolved,
            v1::event::Status::Unspecified => {
                return Err(Invalid(format!("event {}: status {}", event.id, event.status)));
            }
        },
        severity: match event.severity() {
            v1::Severity::Info => Severity::Info,
            v1::Severity::Warning => Severity::Warning,
            v1::Severity::Minor => Severity::Minor,
            v1::Severity::Major => Severity::Major,
            v1::Severity::Critical => Severity::Critical,
            v1::Severity::Unspecified => {
                return Err(Invalid(format!("event {}: severity {}", event.id, event.severity)));
            }
        },
        kind: match event.kind() {
            v1::event::Kind::Alert => Kind::Alert,
            v1::event::Kind::Sample => Kind::Sample,
            v1::event::Kind::Log => Kind::Log,
            v1::event::Kind::Change => Kind::Change,
            v1::event::Kind::Unspecified => return Err(Invalid(format!("event {}: kind {}", event.id, event.kind))),
        },
        id: event.id,
        time: Timestamp(event.time_ms),
        started_at: event.started_at_ms.map(Timestamp),
        ended_at: event.ended_at_ms.map(Timestamp),
        origin: event.origin,
        entity: event.entity,
        check: event.check,
        summary: event.summary,
        value: event.value,
        labels: event.labels.into_iter().map(|l| (l.key, l.value)).collect(),
        service: event.service,
        scope: event.scope,
        fingerprint: event.fingerprint,
        identity: event.identity,
        arrival: Timestamp(event.arrival_ms),
        offset: event.offset,
        part: event.part,
    })
}

/// A range of the journal.
pub fn range(range: &Range) -> v1::Range {
    v1::Range {
        source: range.source.to_string(),
        incarnation: range.incarnation,
        session: range.session,
        after: range.after,
        to: range.to,
        reach_ms: range.reach.map(|t| t.0),
        part: range.part,
    }
}

/// A range of the journal, read back.
pub fn range_back(range: v1::Range) -> Range {
    Range {
        source: range.source.into(),
        incarnation: range.incarnation,
        session: range.session,
        after: range.after,
        to: range.to,
        reach: range.reach_ms.map(Timestamp),
        part: range.part,
    }
}

/// A record of the journal.
pub fn pack(pack: Pack) -> v1::JournalRecord {
    let rejected = |r: Rejected| v1::Rejected {
        offset: r.offset,
        part: r.part,
        reason: r.reason,
        payload: r.payload,
        arrival_ms: r.arrival.0,
    };
    journal_record(v1::journal_record::Record::Pack(v1::Pack {
        range: pack.range.as_ref().map(range),
        events: pack.events.into_iter().map(event).collect(),
        rejected: pack.rejected.into_iter().map(rejected).collect(),
    }))
}

/// A pack of the journal, read back.
///
/// # Errors
/// Where an event in it is not valid.
pub fn pack_back(pack: v1::Pack) -> Result<Pack, Invalid> {
    let rejected = |r: v1::Rejected| Rejected {
        offset: r.offset,
        part: r.part,
        reason: r.reason,
        payload: r.payload,
        arrival: Timestamp(r.arrival_ms),
    };
    Ok(Pack {
        range: pack.range.map(range_back),
        events: pack.events.into_iter().map(event_back).collect::<Result<_, _>>()?,
        rejected: pack.rejected.into_iter().map(rejected).collect(),
    })
}

/// A record of the journal, of its one part.
pub const fn journal_record(record: v1::journal_record::Record) -> v1::JournalRecord {
    v1::JournalRecord { record: Some(record) }
}

/// A message as the bytes of a log's record.
pub fn bytes(message: &impl prost::Message) -> Bytes {
    message.encode_to_vec().into()
}

fn gone(output: &Output) -> String {
    match &output.body {
        Body::IncidentGone { scope, id } => Incident::name(scope, *id),
        Body::AlertGone { scope, id } => Alert::name(scope, *id),
        Body::ProblemGone { scope, id } => Problem::name(scope, *id),
        Body::SuppressorGone { name, .. } => name.clone(),
        Body::CorrectionGone { scope, id } => Correction::name(scope, *id),
        _ => String::new(),
    }
}

/// An output as it stands in its topic.
pub fn output(output: &Output) -> v1::Output {
    let body = match &output.body {
        Body::Incident(update) => incident_update(update).encode_to_vec(),
        Body::Alert(update) => alert(update).encode_to_vec(),
        Body::Service(update) => service(update).encode_to_vec(),
        Body::DeadLetter(letter) => v1::DeadLetter {
            source: letter.source.to_string(),
            offset: letter.offset,
            reason: letter.reason.clone(),
            payload: letter.payload.clone(),
        }
        .encode_to_vec(),
        Body::Result(result) => command::output(command::result(result)).encode_to_vec(),
        Body::Silence(update) => command::output(command::silence_update(update)).encode_to_vec(),
        Body::Window(update) => command::output(command::window_update(update)).encode_to_vec(),
        Body::Problem(update) => command::output(command::problem_update(update)).encode_to_vec(),
        Body::Correction(update) => command::output(command::correction_update(update)).encode_to_vec(),
        Body::IncidentGone { .. }
        | Body::AlertGone { .. }
        | Body::ProblemGone { .. }
        | Body::SuppressorGone { .. }
        | Body::CorrectionGone { .. } => Vec::new(),
    };
    v1::Output { number: output.number, position: output.position, body: body.into(), gone: gone(output) }
}

/// A record of an output topic.
pub fn outputs(outputs: Vec<v1::Output>, journal: [u8; 16]) -> v1::Outputs {
    v1::Outputs { journal: journal.to_vec().into(), fold: FOLD, outputs }
}

/// The log's topic of an output topic.
pub const fn topic(topic: OutputTopic) -> crate::log::Topic {
    match topic {
        OutputTopic::Incidents => crate::log::Topic::Incidents,
        OutputTopic::Alerts => crate::log::Topic::Alerts,
        OutputTopic::Health => crate::log::Topic::Health,
        OutputTopic::DeadLetter => crate::log::Topic::DeadLetter,
        OutputTopic::Commands => crate::log::Topic::Commands,
    }
}

/// The state of an alert, as a number of the API.
pub const fn alert_state(open: bool) -> i32 {
    if open { v1::alert::State::Open as i32 } else { v1::alert::State::Cleared as i32 }
}

/// The name of the episode that an alert belongs to; empty where it belongs to none.
pub fn alert_episode(AlertUpdate { scope, alert }: &AlertUpdate) -> String {
    alert.episode.map(|id| format!("scopes/{scope}/episodes/{id}")).unwrap_or_default()
}

/// An alert of the API. Which incident it belongs to is the reader's to add.
pub fn alert(update: &AlertUpdate) -> v1::Alert {
    let AlertUpdate { scope, alert } = update;
    let label = |(key, value): &(std::sync::Arc<str>, std::sync::Arc<str>)| v1::Label {
        key: key.to_string(),
        value: value.to_string(),
    };
    v1::Alert {
        name: Alert::name(scope, alert.id),
        fingerprint: alert.fingerprint.to_string(),
        origin: alert.origin.to_string(),
        entity: alert.entity.to_string(),
        check: alert.check.to_string(),
        service: alert.services.first().map(ToString::to_string).unwrap_or_default(),
        state: alert_state(alert.open),
        severity: severity(alert.severity) as i32,
        summary: alert.summary.to_string(),
        labels: alert.labels.iter().map(label).collect(),
        count: alert.count,
        opened_at: Some(time(alert.opened_at)),
        last_fired_at: Some(time(alert.last_fired_at)),
        told_at: alert.told_at.as_deref().copied().map(time),
        cleared_at: alert.cleared_at.filter(|_| !alert.open).map(time),
        expired: alert.expired,
        episode: alert_episode(update),
        incident: String::new(),
        reopened: alert.reopened,
        flapping: alert.flapping,
        switch: alert.switch.is_some(),
        suppressed: alert.suppressed_by.is_some(),
        suppressed_by: alert.suppressed_by.as_ref().map(|by| by.describe(scope)).unwrap_or_default(),
        services: alert.services.iter().map(ToString::to_string).collect(),
        at_its_hour: alert.at_its_hour.as_deref().unwrap_or_default().to_owned(),
    }
}

const fn kpi_level(level: KpiLevel) -> v1::KpiLevel {
    match level {
        KpiLevel::Info => v1::KpiLevel::KpiInfo,
        KpiLevel::Normal => v1::KpiLevel::KpiNormal,
        KpiLevel::Low => v1::KpiLevel::KpiLow,
        KpiLevel::Medium => v1::KpiLevel::KpiMedium,
        KpiLevel::High => v1::KpiLevel::KpiHigh,
        KpiLevel::Critical => v1::KpiLevel::KpiCritical,
    }
}

/// A service of the API.
pub fn service(update: &ServiceUpdate) -> v1::Service {
    let kpi = |k: &KpiUpdate| v1::Kpi {
        name: format!("scopes/{}/services/{}/kpis/{}", update.scope, update.id, k.id),
        title: k.title.to_string(),
        value: k.value,
        level: kpi_level(k.level) as i32,
        importance: u32::from(k.importance),
        score: k.level.score().map(f64::from),
        unit: k.unit.to_string(),
    };
    v1::Service {
        name: format!("scopes/{}/services/{}", update.scope, update.id),
        display_name: update.name.to_string(),
        tier: update.tier.to_string(),
        health_score: Some(f64::from(update.score) / 100.0),
        level: match update.level {
            Level::Healthy => v1::HealthLevel::Healthy,
            Level::Degraded => v1::HealthLevel::Degraded,
            Level::Impaired => v1::HealthLevel::Impaired,
            Level::Failing => v1::HealthLevel::Failing,
        } as i32,
        contributions: update
            .contributions
            .iter()
            .map(|c| v1::HealthContribution {
                name: c.name.clone(),
                reason: c.reason.clone(),
                points: f64::from(c.points) / 100.0,
            })
            .collect(),
        open_alert_count: update.open_alerts as u32,
        updated_at: Some(time(update.at)),
        reason: update.reason.clone(),
        kpis: update.kpis.iter().map(kpi).collect(),
    }
}
