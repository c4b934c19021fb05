//! Incidents.
use super::{alert_state, severity, time};
use quell_core::{
    domain::{
        alert::Alert,
        apart::{Apart, Clause, Note, Weighing},
        episode::{Evidence, Moved},
        incident::{
            Cause, Incident, IncidentId, NearbyChange, NextBest, Place, ShortAlert, State, Ticket, TimelineEntry,
        },
        recurrence::{Problem, SimilarIncident},
    },
    output::IncidentUpdate,
};
use quell_proto::v1;

/// Incidents named with a problem, the latest.
const NUMBERS_MAX: usize = 10;

/// An incident update of the API.
pub fn incident_update(update: &IncidentUpdate) -> v1::IncidentUpdate {
    let scope = &update.scope;
    v1::IncidentUpdate {
        incident: Some(incident(update)),
        added: update.added.iter().map(|id| Alert::name(scope, *id)).collect(),
        removed: update.removed.iter().map(|id| Alert::name(scope, *id)).collect(),
        change: update.change.to_owned(),
    }
}

/// An incident of the API.
pub fn incident(update: &IncidentUpdate) -> v1::Incident {
    let IncidentUpdate { scope, incident, alerts, .. } = update;
    let name = |id: &IncidentId| Incident::name(scope, *id);
    let named = |id: &Option<IncidentId>| id.as_ref().map(name).unwrap_or_default();
    v1::Incident {
        name: name(&incident.id),
        number: number(update),
        revision: incident.revision,
        state: state(incident.state) as i32,
        title: incident.title.clone(),
        severity: severity(incident.severity) as i32,
        priority: u32::from(incident.priority.value()),
        opened_at: Some(time(incident.opened_at)),
        updated_at: Some(time(incident.updated_at)),
        resolved_at: incident.resolved_at.map(time),
        closed_at: incident.closed_at.map(time),
        services: incident.services.iter().map(ToString::to_string).collect(),
        causes: incident.causes.iter().map(cause).collect(),
        alerts: alerts.iter().map(|a| short(scope, a)).collect(),
        alerts_truncated: update.alerts_truncated,
        alert_count: update.alert_count as u32,
        open_alert_count: update.open_alert_count as u32,
        raise_reason: incident.raised.to_string(),
        episode: format!("scopes/{scope}/episodes/{}", incident.episode),
        reopened: incident.reopened,
        merged_into: named(&incident.merged_into),
        muted: incident.muted,
        etag: incident.revision.to_string(),
        assignee: incident.assignee.to_string(),
        acknowledged_at: incident.acknowledged.as_ref().map(|by| time(by.at)),
        acknowledged_by: incident.acknowledged.as_ref().map(|by| by.actor.to_string()).unwrap_or_default(),
        resolved_by: incident.resolved_by.as_ref().map(ToString::to_string).unwrap_or_default(),
        impact: u32::from(incident.priority.impact),
        urgency: u32::from(incident.priority.urgency),
        priority_reason: incident.priority.reason.clone(),
        summary: incident.summary.clone(),
        started_at: Some(time(incident.started_at)),
        timeline: incident.timeline.iter().map(entry).collect(),
        tickets: incident.tickets.iter().map(ticket).collect(),
        duplicates: incident.duplicates.iter().map(name).collect(),
        split_from: named(&incident.split_from),
        previous: named(&incident.previous),
        changes: incident.changes.iter().map(change).collect(),
        similar: incident.similar.iter().map(|one| similar(scope, one)).collect(),
        problem: incident.problem.as_ref().map(|one| problem(scope, one)),
        merges: update.merges.iter().map(merge).collect(),
        major: named(&incident.major),
        branches: incident.branches.iter().map(name).collect(),
        branch_count: incident.branch_count,
    }
}

/// The number of an incident, as people say it: `payments-12`.
pub fn number(update: &IncidentUpdate) -> String {
    said_number(&update.scope, update.incident.number)
}

fn said_number(scope: &str, number: u64) -> String {
    format!("{scope}-{number}")
}

/// The number of the problem that an incident is of, as people say it: `payments-P3`; empty where it is of none.
pub fn problem_number(update: &IncidentUpdate) -> String {
    update.incident.problem.as_ref().map(|one| said_problem(&update.scope, one)).unwrap_or_default()
}

fn said_problem(scope: &str, problem: &Problem) -> String {
    format!("{scope}-P{}", problem.number)
}

/// A state of the API.
pub const fn state(state: State) -> v1::incident::State {
    match state {
        State::New => v1::incident::State::New,
        State::Acknowledged => v1::incident::State::Acknowledged,
        State::InProgress => v1::incident::State::InProgress,
        State::OnHold => v1::incident::State::OnHold,
        State::Resolved => v1::incident::State::Resolved,
        State::Closed => v1::incident::State::Closed,
    }
}

/// A state of the API, read back; `None` where it is unspecified.
pub const fn state_back(state: v1::incident::State) -> Option<State> {
    Some(match state {
        v1::incident::State::Unspecified => return None,
        v1::incident::State::New => State::New,
        v1::incident::State::Acknowledged => State::Acknowledged,
        v1::incident::State::InProgress => State::InProgress,
        v1::incident::State::OnHold => State::OnHold,
        v1::incident::State::Resolved => State::Resolved,
        v1::incident::State::Closed => State::Closed,
    })
}

fn short(scope: &str, a: &ShortAlert) -> v1::IncidentAlert {
    v1::IncidentAlert {
        name: Alert::name(scope, a.id),
        entity: a.entity.to_string(),
        check: a.check.to_string(),
        severity: severity(a.severity) as i32,
        state: alert_state(a.open),
        reason: a.why(),
        opened_at: Some(time(a.opened_at)),
        summary: a.summary.to_string(),
        parts: parts(a.evidence),
        margin: nats(a.evidence.margin.into()),
        next_best: a.next_best.map(|next| next_best(scope, next)),
        moved_at: a.moved_at.map(time),
        at_its_hour: a.at_its_hour.as_deref().unwrap_or_default().to_owned(),
    }
}

/// Of thousandths.
fn nats(thousandths: i64) -> f64 {
    thousandths as f64 / 1_000.0
}

/// A part of what decided.
fn part(name: &str, thousandths: i64) -> v1::ReasonPart {
    v1::ReasonPart { name: name.to_owned(), log_odds: nats(thousandths), text: String::new() }
}

/// Why two are apart.
pub fn apart(scope: &str, apart: &Apart) -> v1::Apart {
    let note = |note: &Note| v1::ApartNote {
        kind: note.kind.name().to_owned(),
        text: note.text.clone(),
        decides: note.kind.decides(),
    };
    let clause = |clause: &Clause| v1::ReasonPart { text: clause.text.clone(), ..part(clause.name, clause.millinats) };
    let weighing = |weighing: &Weighing| v1::Weighing {
        alert: weighing.alert.map(|id| Alert::name(scope, id)).unwrap_or_default(),
        title: weighing.title.clone(),
        parts: weighing.parts.iter().map(clause).collect(),
        total: nats(weighing.total),
        needed: nats(weighing.needed),
        why_needed: weighing.why_needed.clone(),
    };
    v1::Apart {
        together: apart.together,
        verdict: apart.verdict.clone(),
        notes: apart.notes.iter().map(note).collect(),
        weighed: apart.weighed.iter().map(weighing).collect(),
    }
}

/// What was weighed, in the order of the sum.
fn parts(evidence: Evidence) -> Vec<v1::ReasonPart> {
    if !evidence.is_weighed() {
        return Vec::new();
    }
    evidence.parts().map(|(name, thousandths)| part(name, thousandths.into())).collect()
}

fn next_best(scope: &str, next: NextBest) -> v1::NextBest {
    use v1::next_best::Place as To;
    let (place, incident) = match next.place {
        Place::Own => (To::Own, String::new()),
        Place::Incident(id) => (To::Incident, Incident::name(scope, id)),
        Place::Alerts => (To::Alerts, String::new()),
        Place::Here => (To::Here, String::new()),
        Place::Gone => (To::Gone, String::new()),
    };
    v1::NextBest { place: place as i32, incident, log_odds: nats(next.total) }
}

fn merge((moved, alerts): &(Moved, usize)) -> v1::Merge {
    let parts = moved.gain().into_iter().flat_map(|gain| gain.parts());
    let parts = parts.map(|(name, thousandths)| part(name, thousandths)).collect();
    v1::Merge { at: Some(time(moved.at)), parts, alert_count: *alerts as u32 }
}

fn cause(c: &Cause) -> v1::Cause {
    v1::Cause {
        entity: c.entity.to_string(),
        check: c.check.to_string(),
        reason: c.reason.clone(),
        confidence: f64::from(c.confidence) / 1_000.0,
        change: c.change.as_ref().map(ToString::to_string).unwrap_or_default(),
    }
}

fn change(c: &NearbyChange) -> v1::NearbyChange {
    v1::NearbyChange {
        id: c.id.to_string(),
        entity: c.entity.to_string(),
        check: c.check.to_string(),
        summary: c.summary.to_string(),
        at: Some(time(c.at)),
        reason: c.reason.clone(),
    }
}

fn similar(scope: &str, SimilarIncident { similarity, past }: &SimilarIncident) -> v1::SimilarIncident {
    v1::SimilarIncident {
        name: Incident::name(scope, past.id),
        number: said_number(scope, past.number),
        similarity: f64::from(*similarity) / 1_000.0,
        title: past.title.clone(),
        started_at: Some(time(past.started_at)),
        resolved_at: Some(time(past.resolved_at)),
        resolved_by: past.resolved_by.as_ref().map(ToString::to_string).unwrap_or_default(),
        resolution: past.resolution.clone(),
        tickets: past.tickets.iter().map(ticket).collect(),
        cause: past.cause.clone(),
    }
}

/// A problem of the API.
pub fn problem(scope: &str, problem: &Problem) -> v1::Problem {
    let latest = problem.returned.iter().rev().take(NUMBERS_MAX);
    v1::Problem {
        name: Problem::name(scope, problem.id),
        number: said_problem(scope, problem),
        state: v1::problem::State::Candidate as i32,
        title: problem.title.clone(),
        incident_count: u32::try_from(problem.count).unwrap_or(u32::MAX),
        first_at: Some(time(problem.first_at)),
        last_at: Some(time(problem.last_at())),
        mean_interval_seconds: u32::try_from(problem.every().0 / 1_000).unwrap_or(u32::MAX),
        usual_time: problem.usual.clone().unwrap_or_default(),
        incidents: latest.map(|one| said_number(scope, one.number)).collect(),
    }
}

fn entry(e: &TimelineEntry) -> v1::TimelineEntry {
    v1::TimelineEntry {
        at: Some(time(e.at)),
        actor: e.actor.to_string(),
        kind: e.kind.to_string(),
        text: e.text.clone(),
    }
}

/// A ticket of the API.
pub fn ticket(ticket: &Ticket) -> v1::Ticket {
    v1::Ticket { system: ticket.system.clone(), key: ticket.key.clone(), url: ticket.url.clone() }
}
