//! What people decide about incidents.
use super::{Evidence, Raiser, reopen, say::say};
use crate::{
    domain::{
        command::{Act, Code, IncidentAct, Refusal},
        incident::{By, Incident, IncidentId, State, Ticket},
        time::Timestamp,
    },
    scope::Cx,
    timers::TimerKind,
};

/// Tickets of one incident.
const TICKETS_MAX: usize = 20;

impl Raiser {
    /// Does what a person decided; the incident that it is about afterwards.
    pub fn act(
        &mut self,
        act: &IncidentAct,
        actor: &str,
        by: &mut Evidence<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<IncidentId, Refusal> {
        let id = act.incident;
        let missing = || Refusal::new(Code::NotFound, format!("there is no incident {id}"));
        let incident = self.incidents.get_mut(&id).ok_or_else(missing)?;
        if act.revision.is_some_and(|revision| revision != incident.revision) {
            let now = incident.revision;
            return Err(Refusal::new(Code::Aborted, format!("etag: it has changed since; it is at revision {now}")));
        }
        let at = cx.core.clock;
        let before = incident.state;
        let change = match &act.act {
            Act::State(state) => set_state(incident, *state, (at, actor), cx)?,
            Act::Assign(assignee) => assign(incident, assignee, at, actor),
            Act::Comment => None,
            Act::Ticket(ticket) => link(incident, ticket, at, actor)?,
            Act::Merge(_) | Act::Split(_) => {
                return Err(Refusal::new(Code::FailedPrecondition, "episodes can not be merged or split yet"));
            }
        };
        if !act.comment.is_empty() {
            incident.note(at, actor, "comment", act.comment.as_str());
        }
        if before.is_open() && incident.state == State::Resolved {
            self.times.resolve.observe(at - incident.started_at);
        }
        if incident.acknowledged.as_ref().is_some_and(|by| by.at == at) && before == State::New {
            self.times.acknowledge.observe(at - incident.opened_at);
        }
        let commented = Some("commented").filter(|_| !act.comment.is_empty());
        if let (Some(change), Some(episode)) = (change.or(commented), by.correlator.get(incident.episode)) {
            say(incident, episode, change, by, cx);
        }
        Ok(id)
    }
}

/// What has changed, if anything has.
fn set_state(
    incident: &mut Incident,
    state: State,
    (at, actor): (Timestamp, &str),
    cx: &mut Cx<'_>,
) -> Result<Option<&'static str>, Refusal> {
    if incident.state == state {
        return Ok(None);
    }
    let id = u128::from(incident.id.0);
    match (incident.state, state) {
        (State::Closed, _) => {
            return Err(Refusal::new(Code::FailedPrecondition, "it is closed: what comes later is another incident"));
        }
        (State::Resolved, State::New) => {
            cx.core.timers.cancel(TimerKind::Close, id);
            reopen(incident, "by hand", at, actor);
            return Ok(Some("reopened"));
        }
        (State::Resolved, State::Acknowledged | State::InProgress | State::OnHold) => {
            return Err(Refusal::new(Code::FailedPrecondition, "it is resolved: reopen it first, with the state NEW"));
        }
        (_, State::New) => incident.acknowledged = None,
        (_, State::Acknowledged | State::InProgress | State::OnHold) => {
            incident.acknowledged.get_or_insert_with(|| By { actor: actor.into(), at });
        }
        (_, State::Resolved) => {
            (incident.resolved_at, incident.resolved_by) = (Some(at), Some(actor.into()));
            cx.core.timers.cancel(TimerKind::Resolve, id);
            cx.set(TimerKind::Close, id, at + cx.policy.raise.close);
        }
        (before, State::Closed) => {
            if before.is_open() {
                (incident.resolved_at, incident.resolved_by) = (Some(at), Some(actor.into()));
            }
            incident.closed_at = Some(at);
            cx.core.timers.cancel(TimerKind::Resolve, id);
            cx.core.timers.cancel(TimerKind::Close, id);
            cx.set(TimerKind::ForgetIncident, id, at + cx.policy.raise.keep);
        }
    }
    incident.state = state;
    incident.note(at, actor, state.name(), "");
    Ok(Some(state.name()))
}

fn assign(incident: &mut Incident, assignee: &str, at: Timestamp, actor: &str) -> Option<&'static str> {
    if *incident.assignee == *assignee {
        return None;
    }
    incident.assignee = assignee.into();
    incident.note(at, actor, "assigned", if assignee.is_empty() { "to nobody" } else { assignee });
    Some("assigned")
}

fn link(incident: &mut Incident, ticket: &Ticket, at: Timestamp, actor: &str) -> Result<Option<&'static str>, Refusal> {
    let place = incident.tickets.iter().position(|t| (&t.system, &t.key) == (&ticket.system, &ticket.key));
    match place {
        Some(place) if incident.tickets[place] == *ticket => return Ok(None),
        Some(place) => incident.tickets[place].url.clone_from(&ticket.url),
        None if incident.tickets.len() >= TICKETS_MAX => {
            return Err(Refusal::new(Code::ResourceExhausted, format!("it has {TICKETS_MAX} tickets already")));
        }
        None => incident.tickets.push(ticket.clone()),
    }
    incident.note(at, actor, "ticket", format!("{} {}", ticket.system, ticket.key));
    Ok(Some("ticket linked"))
}
