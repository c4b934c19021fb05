//! The fields that filters may name.
use super::{Field, Filtered, Kind};
use quell_connectors::wire;
use quell_proto::v1;

fn ms(at: Option<&prost_types::Timestamp>) -> Option<i64> {
    at.map(|at| wire::time_back(at).0)
}

const fn field<T>(name: &'static str, kind: Kind<T>) -> Field<T> {
    Field { name, kind }
}

fn severity(number: i32) -> Option<&'static str> {
    v1::Severity::try_from(number).ok().map(|severity| severity.as_str_name())
}

impl Filtered for v1::Incident {
    const FIELDS: &'static [Field<Self>] = &[
        field("name", Kind::Text(|i| &i.name)),
        field("number", Kind::Text(|i| &i.number)),
        field(
            "state",
            Kind::Word(|i| i.state, |n| v1::incident::State::try_from(n).ok().map(|word| word.as_str_name())),
        ),
        field("severity", Kind::Word(|i| i.severity, severity)),
        field("priority", Kind::Number(|i| f64::from(i.priority))),
        field("impact", Kind::Number(|i| f64::from(i.impact))),
        field("urgency", Kind::Number(|i| f64::from(i.urgency))),
        field("title", Kind::Text(|i| &i.title)),
        field("summary", Kind::Text(|i| &i.summary)),
        field("assignee", Kind::Text(|i| &i.assignee)),
        field("acknowledged_by", Kind::Text(|i| &i.acknowledged_by)),
        field("resolved_by", Kind::Text(|i| &i.resolved_by)),
        field("merged_into", Kind::Text(|i| &i.merged_into)),
        field("muted", Kind::Flag(|i| i.muted)),
        field("services", Kind::List(|i, passes| i.services.iter().any(|service| passes(service)))),
        field("tickets", Kind::List(|i, passes| i.tickets.iter().any(|ticket| passes(&ticket.key)))),
        field("alert_count", Kind::Number(|i| f64::from(i.alert_count))),
        field("open_alert_count", Kind::Number(|i| f64::from(i.open_alert_count))),
        field("started_at", Kind::Time(|i| ms(i.started_at.as_ref()))),
        field("opened_at", Kind::Time(|i| ms(i.opened_at.as_ref()))),
        field("updated_at", Kind::Time(|i| ms(i.updated_at.as_ref()))),
        field("acknowledged_at", Kind::Time(|i| ms(i.acknowledged_at.as_ref()))),
        field("resolved_at", Kind::Time(|i| ms(i.resolved_at.as_ref()))),
        field("closed_at", Kind::Time(|i| ms(i.closed_at.as_ref()))),
    ];
}

impl Filtered for v1::Alert {
    const FIELDS: &'static [Field<Self>] = &[
        field("name", Kind::Text(|a| &a.name)),
        field("origin", Kind::Text(|a| &a.origin)),
        field("entity", Kind::Text(|a| &a.entity)),
        field("check", Kind::Text(|a| &a.check)),
        field("service", Kind::Text(|a| &a.service)),
        field("state", Kind::Word(|a| a.state, |n| v1::alert::State::try_from(n).ok().map(|word| word.as_str_name()))),
        field("severity", Kind::Word(|a| a.severity, severity)),
        field("summary", Kind::Text(|a| &a.summary)),
        field("fingerprint", Kind::Text(|a| &a.fingerprint)),
        field("episode", Kind::Text(|a| &a.episode)),
        // Counts beyond 2^53 compare as the nearest number that has a place.
        field("count", Kind::Number(|a| a.count as f64)),
        field("reopened", Kind::Number(|a| f64::from(a.reopened))),
        field("expired", Kind::Flag(|a| a.expired)),
        field("opened_at", Kind::Time(|a| ms(a.opened_at.as_ref()))),
        field("last_fired_at", Kind::Time(|a| ms(a.last_fired_at.as_ref()))),
        field("cleared_at", Kind::Time(|a| ms(a.cleared_at.as_ref()))),
        field(
            "labels",
            Kind::Labels(|a, key| a.labels.iter().find(|label| label.key == key).map(|label| label.value.as_str())),
        ),
    ];
}

impl Filtered for v1::Service {
    const FIELDS: &'static [Field<Self>] = &[
        field("name", Kind::Text(|s| &s.name)),
        field("display_name", Kind::Text(|s| &s.display_name)),
        field("tier", Kind::Text(|s| &s.tier)),
        field("level", Kind::Word(|s| s.level, |n| v1::HealthLevel::try_from(n).ok().map(|word| word.as_str_name()))),
        field("health_score", Kind::Number(|s| s.health_score())),
        field("open_alert_count", Kind::Number(|s| f64::from(s.open_alert_count))),
        field("updated_at", Kind::Time(|s| ms(s.updated_at.as_ref()))),
    ];
}

impl Filtered for v1::Silence {
    const FIELDS: &'static [Field<Self>] = &[
        field("name", Kind::Text(|s| &s.name)),
        field(
            "state",
            Kind::Word(|s| s.state, |n| v1::silence::State::try_from(n).ok().map(|word| word.as_str_name())),
        ),
        field("creator", Kind::Text(|s| &s.creator)),
        field("comment", Kind::Text(|s| &s.comment)),
        field("matchers", Kind::List(|s, passes| s.matchers.iter().any(|matcher| passes(matcher)))),
        field("starts_at", Kind::Time(|s| ms(s.starts_at.as_ref()))),
        field("ends_at", Kind::Time(|s| ms(s.ends_at.as_ref()))),
    ];
}

impl Filtered for v1::MaintenanceWindow {
    const FIELDS: &'static [Field<Self>] = &[
        field("name", Kind::Text(|w| &w.name)),
        field("title", Kind::Text(|w| &w.title)),
        field("creator", Kind::Text(|w| &w.creator)),
        field("entities", Kind::List(|w, passes| w.entities.iter().any(|entity| passes(entity)))),
        field("services", Kind::List(|w, passes| w.services.iter().any(|service| passes(service)))),
        field("active", Kind::Flag(|w| w.active)),
        field("ended", Kind::Flag(|w| w.ended)),
        field("next_change_at", Kind::Time(|w| ms(w.next_change_at.as_ref()))),
    ];
}
