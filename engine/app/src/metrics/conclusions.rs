//! What stands: alerts, episodes, incidents, services.
use super::{Family, Page, Sources};
use quell_proto::v1;
use std::sync::{Arc, atomic::Ordering};

/// Services beyond so many are left out, worst health first kept: a page of 20,000 series is of use to nobody.
const SERVICES_MAX: usize = 500;

pub(super) fn gather(sources: &Sources, page: &mut Page) {
    let tally = &sources.views.tally;
    let mut alerts = Family::gauge("quell_alerts", &["state", "severity"], "Alerts kept, by state and severity.");
    for state in [v1::alert::State::Open, v1::alert::State::Cleared] {
        for severity in SEVERITIES {
            let n = tally.alerts()[state as usize][severity as usize];
            alerts.add([&lower(state.as_str_name()), &lower(severity.as_str_name())], n as f64);
        }
    }
    page.push(alerts);
    let flapping = "Open alerts that change too often for each change to be told.";
    page.push(Family::gauge("quell_alerts_flapping", &[], flapping).of(tally.flapping() as f64));
    let suppressed = "Alerts that a silence, a maintenance window or an inhibition keeps quiet.";
    page.push(Family::gauge("quell_alerts_suppressed", &[], suppressed).of(tally.suppressed() as f64));
    let episodes = "Episodes with an open alert: groups of alerts with one cause, raised as incidents or not.";
    page.push(Family::gauge("quell_episodes_open", &[], episodes).of(tally.open_episodes() as f64));
    let mut incidents =
        Family::gauge("quell_incidents", &["state", "priority"], "Incidents kept, by state and priority (P1 worst).");
    for state in INCIDENT_STATES {
        for priority in 1..=5 {
            let n = tally.incidents()[state as usize][priority];
            incidents.add([&lower(state.as_str_name()), &format!("P{priority}")], n as f64);
        }
    }
    page.push(incidents);
    let updates = sources.views.incident_updates.load(Ordering::Relaxed) as f64;
    page.push(
        Family::counter("quell_incident_updates_total", &[], "Incident updates seen since the start.").of(updates),
    );
    services(sources, page);
}

fn services(sources: &Sources, page: &mut Page) {
    let mut levels = Family::gauge("quell_services", &["level"], "Services known, by the level of their health.");
    LEVELS.into_iter().for_each(|level| levels.add([&lower(level.as_str_name())], 0.0));
    let mut worst: Vec<Arc<v1::Service>> = Vec::new();
    for entry in &sources.views.services {
        levels.add([&lower(entry.level().as_str_name())], 1.0);
        worst.push(entry.value().clone());
    }
    let by_health = |a: &Arc<v1::Service>, b: &Arc<v1::Service>| {
        a.health_score().total_cmp(&b.health_score()).then(a.name.cmp(&b.name))
    };
    if worst.len() > SERVICES_MAX {
        worst.select_nth_unstable_by(SERVICES_MAX, by_health);
        worst.truncate(SERVICES_MAX);
    }
    let mut score = Family::gauge(
        "quell_service_health_score",
        &["scope", "service"],
        "Health of a service, 0 (down) to 100 (well); of the 500 worst.",
    );
    let mut level = Family::gauge(
        "quell_service_health_level",
        &["scope", "service"],
        "Level of a service's health: 1 healthy, 2 degraded, 3 impaired, 4 failing; of the 500 worst.",
    );
    let mut kpi = Family::gauge(
        "quell_kpi_score",
        &["scope", "service", "kpi"],
        "What a KPI contributes to its service's health, 0 to 100; of the 500 worst services.",
    );
    for service in &worst {
        let parts = service.name.strip_prefix("scopes/").and_then(|rest| rest.rsplit_once("/services/"));
        let Some((scope, id)) = parts else { continue };
        score.first([scope, id], service.health_score());
        level.first([scope, id], f64::from(service.level));
        for one in &service.kpis {
            let name = one.name.rsplit_once('/').map_or(&*one.name, |(_, name)| name);
            if let Some(points) = one.score {
                kpi.first([scope, id, name], points);
            }
        }
    }
    for family in [levels, score, level, kpi] {
        page.push(family);
    }
}

const SEVERITIES: [v1::Severity; 5] =
    [v1::Severity::Info, v1::Severity::Warning, v1::Severity::Minor, v1::Severity::Major, v1::Severity::Critical];

const INCIDENT_STATES: [v1::incident::State; 6] = [
    v1::incident::State::New,
    v1::incident::State::Acknowledged,
    v1::incident::State::InProgress,
    v1::incident::State::OnHold,
    v1::incident::State::Resolved,
    v1::incident::State::Closed,
];

const LEVELS: [v1::HealthLevel; 4] =
    [v1::HealthLevel::Healthy, v1::HealthLevel::Degraded, v1::HealthLevel::Impaired, v1::HealthLevel::Failing];

fn lower(name: &str) -> String {
    name.to_ascii_lowercase()
}
