//! The fields that filters may name.
use super::{Field, Filtered, Kind};
use crate::views::ShownAlert;
use quell_connectors::wire;
use quell_core::{
    domain::{
        alert::Alert,
        incident::{Incident, IncidentId},
    },
    output::IncidentUpdate,
};
use quell_proto::v1;
use std::{borrow::Cow, sync::Arc};

fn ms(at: Option<&prost_types::Timestamp>) -> Option<i64> {
    at.map(|at| wire::time_back(at).0)
}

const fn field<T>(name: &'static str, kind: Kind<T>) -> Field<T> {
    Field { name, kind }
}

fn severity(number: i32) -> Option<&'static str> {
    v1::Severity::try_from(number).ok().map(|severity| severity.as_str_name())
}

fn named(update: &IncidentUpdate, id: Option<IncidentId>) -> Cow<'_, str> {
    id.map(|id| Incident::name(&update.scope, id)).unwrap_or_default().into()
}

impl Filtered for Arc<IncidentUpdate> {
    const FIELDS: &'static [Field<Self>] = &[
        field("name", Kind::Text(|u| named(u, Some(u.incident.id)))),
        field("number", Kind::Text(|u| wire::incident_number(u).into())),
        field(
            "state",
            Kind::Word(
                |u| wire::incident_state(u.incident.state) as i32,
                |n| v1::incident::State::try_from(n).ok().map(|word| word.as_str_name()),
            ),
        ),
        field("severity", Kind::Word(|u| wire::severity(u.incident.severity) as i32, severity)),
        field("priority", Kind::Number(|u| f64::from(u.incident.priority.value()))),
        field("impact", Kind::Number(|u| f64::from(u.incident.priority.impact))),
        field("urgency", Kind::Number(|u| f64::from(u.incident.priority.urgency))),
        field("title", Kind::Text(|u| (&*u.incident.title).into())),
        field("summary", Kind::Text(|u| (&*u.incident.summary).into())),
        field("assignee", Kind::Text(|u| (&*u.incident.assignee).into())),
        field("acknowledged_by", Kind::Text(|u| u.incident.acknowledged.as_ref().map_or("", |by| &*by.actor).into())),
        field("resolved_by", Kind::Text(|u| u.incident.resolved_by.as_deref().unwrap_or_default().into())),
        field("merged_into", Kind::Text(|u| named(u, u.incident.merged_into))),
        field("major", Kind::Text(|u| named(u, u.incident.major))),
        field("branch_count", Kind::Number(|u| f64::from(u.incident.branch_count))),
        field("muted", Kind::Flag(|u| u.incident.muted)),
        field("services", Kind::List(|u, passes| u.incident.services.iter().any(|service| passes(service)))),
        field("tickets", Kind::List(|u, passes| u.incident.tickets.iter().any(|ticket| passes(&ticket.key)))),
        field("problem", Kind::Text(|u| wire::problem_number(u).into())),
        field("alert_count", Kind::Number(|u| u.alert_count as f64)),
        field("open_alert_count", Kind::Number(|u| u.open_alert_count as f64)),
        field("started_at", Kind::Time(|u| Some(u.incident.started_at.0))),
        field("opened_at", Kind::Time(|u| Some(u.incident.opened_at.0))),
        field("updated_at", Kind::Time(|u| Some(u.incident.updated_at.0))),
        field("acknowledged_at", Kind::Time(|u| u.incident.acknowledged.as_ref().map(|by| by.at.0))),
        field("resolved_at", Kind::Time(|u| u.incident.resolved_at.map(|at| at.0))),
        field("closed_at", Kind::Time(|u| u.incident.closed_at.map(|at| at.0))),
    ];
}

/// As it stands in the feed; the same fields.
impl Filtered for v1::Incident {
    const FIELDS: &'static [Field<Self>] = &[
        field("name", Kind::Text(|i| (&*i.name).into())),
        field("number", Kind::Text(|i| (&*i.number).into())),
        field(
            "state",
            Kind::Word(|i| i.state, |n| v1::incident::State::try_from(n).ok().map(|word| word.as_str_name())),
        ),
        field("severity", Kind::Word(|i| i.severity, severity)),
        field("priority", Kind::Number(|i| f64::from(i.priority))),
        field("impact", Kind::Number(|i| f64::from(i.impact))),
        field("urgency", Kind::Number(|i| f64::from(i.urgency))),
        field("title", Kind::Text(|i| (&*i.title).into())),
        field("summary", Kind::Text(|i| (&*i.summary).into())),
        field("assignee", Kind::Text(|i| (&*i.assignee).into())),
        field("acknowledged_by", Kind::Text(|i| (&*i.acknowledged_by).into())),
        field("resolved_by", Kind::Text(|i| (&*i.resolved_by).into())),
        field("merged_into", Kind::Text(|i| (&*i.merged_into).into())),
        field("major", Kind::Text(|i| (&*i.major).into())),
        field("branch_count", Kind::Number(|i| f64::from(i.branch_count))),
        field("muted", Kind::Flag(|i| i.muted)),
        field("services", Kind::List(|i, passes| i.services.iter().any(|service| passes(service)))),
        field("tickets", Kind::List(|i, passes| i.tickets.iter().any(|ticket| passes(&ticket.key)))),
        field("problem", Kind::Text(|i| i.problem.as_ref().map_or("", |problem| &*problem.number).into())),
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

impl Filtered for ShownAlert {
    const FIELDS: &'static [Field<Self>] = &[
        field("name", Kind::Text(|u| Alert::name(&u.scope, u.alert.id).into())),
        field("origin", Kind::Text(|u| (&*u.alert.origin).into())),
        field("entity", Kind::Text(|u| (&*u.alert.entity).into())),
        field("check", Kind::Text(|u| (&*u.alert.check).into())),
        field(
            "service",
            Kind::Texts(|u, passes| match &*u.alert.services {
                [] => passes(""),
                services => services.iter().any(|service| passes(service)),
            }),
        ),
        field(
            "state",
            Kind::Word(
                |u| wire::alert_state(u.alert.open),
                |n| v1::alert::State::try_from(n).ok().map(|word| word.as_str_name()),
            ),
        ),
        field("severity", Kind::Word(|u| wire::severity(u.alert.severity) as i32, severity)),
        field("summary", Kind::Text(|u| (&*u.alert.summary).into())),
        field("fingerprint", Kind::Text(|u| u.alert.fingerprint.to_string().into())),
        field("episode", Kind::Text(|u| wire::alert_episode(u).into())),
        field("incident", Kind::Text(|u| u.incident().into())),
        // Counts beyond 2^53 compare as the nearest number that has a place.
        field("count", Kind::Number(|u| u.alert.count as f64)),
        field("reopened", Kind::Number(|u| f64::from(u.alert.reopened))),
        field("expired", Kind::Flag(|u| u.alert.expired)),
        field("flapping", Kind::Flag(|u| u.alert.flapping)),
        field("suppressed", Kind::Flag(|u| u.alert.suppressed_by.is_some())),
        field(
            "suppressed_by",
            Kind::Text(|u| u.alert.suppressed_by.as_ref().map(|by| by.describe(&u.scope)).unwrap_or_default().into()),
        ),
        field("switch", Kind::Flag(|u| u.alert.switch.is_some())),
        field("at_its_hour", Kind::Text(|u| u.alert.at_its_hour.as_deref().unwrap_or_default().into())),
        field("opened_at", Kind::Time(|u| Some(u.alert.opened_at.0))),
        field("last_fired_at", Kind::Time(|u| Some(u.alert.last_fired_at.0))),
        field("cleared_at", Kind::Time(|u| u.alert.cleared_at.filter(|_| !u.alert.open).map(|at| at.0))),
        field(
            "labels",
            Kind::Labels(|u, key| u.alert.labels.iter().find(|(k, _)| &**k == key).map(|(_, value)| &**value)),
        ),
    ];
}

impl Filtered for Arc<v1::Service> {
    const FIELDS: &'static [Field<Self>] = &[
        field("name", Kind::Text(|s| (&*s.name).into())),
        field("display_name", Kind::Text(|s| (&*s.display_name).into())),
        field("tier", Kind::Text(|s| (&*s.tier).into())),
        field("level", Kind::Word(|s| s.level, |n| v1::HealthLevel::try_from(n).ok().map(|word| word.as_str_name()))),
        field("health_score", Kind::Number(|s| s.health_score())),
        field("open_alert_count", Kind::Number(|s| f64::from(s.open_alert_count))),
        field("updated_at", Kind::Time(|s| ms(s.updated_at.as_ref()))),
    ];
}

impl Filtered for Arc<v1::Problem> {
    const FIELDS: &'static [Field<Self>] = &[
        field("name", Kind::Text(|p| (&*p.name).into())),
        field("number", Kind::Text(|p| (&*p.number).into())),
        field(
            "state",
            Kind::Word(|p| p.state, |n| v1::problem::State::try_from(n).ok().map(|word| word.as_str_name())),
        ),
        field("title", Kind::Text(|p| (&*p.title).into())),
        field("incident_count", Kind::Number(|p| f64::from(p.incident_count))),
        field("incidents", Kind::List(|p, passes| p.incidents.iter().any(|number| passes(number)))),
        field("usual_time", Kind::Text(|p| (&*p.usual_time).into())),
        field("first_at", Kind::Time(|p| ms(p.first_at.as_ref()))),
        field("last_at", Kind::Time(|p| ms(p.last_at.as_ref()))),
    ];
}

impl Filtered for v1::Silence {
    const FIELDS: &'static [Field<Self>] = &[
        field("name", Kind::Text(|s| (&*s.name).into())),
        field(
            "state",
            Kind::Word(|s| s.state, |n| v1::silence::State::try_from(n).ok().map(|word| word.as_str_name())),
        ),
        field("creator", Kind::Text(|s| (&*s.creator).into())),
        field("comment", Kind::Text(|s| (&*s.comment).into())),
        field("matchers", Kind::List(|s, passes| s.matchers.iter().any(|matcher| passes(matcher)))),
        field("starts_at", Kind::Time(|s| ms(s.starts_at.as_ref()))),
        field("ends_at", Kind::Time(|s| ms(s.ends_at.as_ref()))),
    ];
}

impl Filtered for v1::MaintenanceWindow {
    const FIELDS: &'static [Field<Self>] = &[
        field("name", Kind::Text(|w| (&*w.name).into())),
        field("title", Kind::Text(|w| (&*w.title).into())),
        field("creator", Kind::Text(|w| (&*w.creator).into())),
        field("entities", Kind::List(|w, passes| w.entities.iter().any(|entity| passes(entity)))),
        field("services", Kind::List(|w, passes| w.services.iter().any(|service| passes(service)))),
        field("active", Kind::Flag(|w| w.active)),
        field("ended", Kind::Flag(|w| w.ended)),
        field("next_change_at", Kind::Time(|w| ms(w.next_change_at.as_ref()))),
    ];
}

impl Filtered for v1::Correction {
    const FIELDS: &'static [Field<Self>] = &[
        field("name", Kind::Text(|c| (&*c.name).into())),
        field(
            "relation",
            Kind::Word(|c| c.relation, |n| v1::correction::Relation::try_from(n).ok().map(|word| word.as_str_name())),
        ),
        field(
            "deed",
            Kind::Word(|c| c.deed, |n| v1::correction::Deed::try_from(n).ok().map(|word| word.as_str_name())),
        ),
        field("actor", Kind::Text(|c| (&*c.actor).into())),
        field("comment", Kind::Text(|c| (&*c.comment).into())),
        field("created_at", Kind::Time(|c| ms(c.created_at.as_ref()))),
        field("expires_at", Kind::Time(|c| ms(c.expires_at.as_ref()))),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{serve::filter::Filter, views::tests::incident_update};
    use quell_core::domain::incident::{State, Ticket};

    #[test]
    fn an_incident_of_the_feed_is_filtered_as_in_a_list() {
        let names = |fields: Vec<&'static str>| fields;
        let listed = names(Arc::<IncidentUpdate>::FIELDS.iter().map(|field| field.name).collect());
        assert_eq!(listed, names(v1::Incident::FIELDS.iter().map(|field| field.name).collect()));

        let mut update = incident_update(7, State::OnHold, 2);
        let incident = &mut update.incident;
        (incident.title, incident.summary, incident.assignee) = ("Disk".into(), "full".into(), "ann".into());
        incident.services = vec!["db".into()];
        incident.tickets = vec![Ticket { system: "x".into(), key: "INC1".into(), url: String::new() }];
        incident.merged_into = Some(IncidentId(9));
        (incident.major, incident.branch_count) = (Some(IncidentId(8)), 2);
        let (update, message) = (Arc::new(update.clone()), wire::incident(&update));
        for field in listed {
            let set = |op: &str, value: &str| format!("{field} {op} {value}");
            let filters = ["*", "1", "2", "true", "false", "ann", "DISK", "db", "INC1", "ON_HOLD", "INFO", "s-1"];
            let times = ["\"2026-01-05T00:00:00Z\"", "\"2027-01-05T00:00:00Z\""];
            for value in filters.into_iter().chain(times) {
                for op in [":", "=", "!=", "<", ">="] {
                    let filter = set(op, value);
                    let listed = Filter::<Arc<IncidentUpdate>>::parse(&filter);
                    let fed = Filter::<v1::Incident>::parse(&filter);
                    assert_eq!(listed.is_ok(), fed.is_ok(), "{filter}");
                    if let (Ok(listed), Ok(fed)) = (listed, fed) {
                        assert_eq!(listed.matches(&update), fed.matches(&message), "{filter}");
                    }
                }
            }
        }
    }
}
