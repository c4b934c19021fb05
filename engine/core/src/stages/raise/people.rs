//! What people decide about incidents.
use super::{Evidence, Raiser, reopen, say::say};
use crate::{
    domain::{
        alert::Alert,
        command::{Act, Code, IncidentAct, Refusal},
        episode::EpisodeId,
        incident::{By, Incident, IncidentId, RaiseReason, State, Ticket},
        time::Timestamp,
    },
    scope::Cx,
    timers::TimerKind,
};

/// Tickets of one incident.
pub(super) const TICKETS_MAX: usize = 20;

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
        let incident = self.incidents.get(&id).ok_or_else(missing)?;
        is_at(incident, act.revision)?;
        let moves = matches!(act.act, Act::Acknowledge | Act::State(_)) && act.act != Act::State(State::Closed);
        if moves && incident.state == State::Closed {
            return Err(self.closed(incident, &cx.core.name));
        }
        if incident.is_major() {
            self.end_branches(id, &act.act, actor, by, cx);
        }
        let incident = self.incidents.get_mut(&id).ok_or_else(missing)?;
        let at = cx.core.clock;
        let before = incident.state;
        let change = match &act.act {
            Act::State(state) => set_state(incident, *state, (at, actor), cx)?,
            Act::Acknowledge => acknowledge(incident, (at, actor), cx)?,
            Act::Assign(assignee) => assign(incident, assignee, at, actor),
            Act::Comment => None,
            Act::Ticket(ticket) => link(incident, ticket, at, actor)?,
            // These are not the incident's alone: the scope does them.
            Act::Merge(_) | Act::Split(_) | Act::Move { .. } => None,
        };
        if !act.comment.is_empty() {
            incident.note(at, actor, "comment", act.comment.as_str());
        }
        if before.is_open() && incident.state == State::Resolved && !incident.is_major() {
            self.times.resolve.observe(at - incident.started_at);
        }
        if incident.acknowledged.as_ref().is_some_and(|by| by.at == at) && before == State::New {
            self.times.acknowledge.observe(at - incident.opened_at);
        }
        let commented = Some("commented").filter(|_| !act.comment.is_empty());
        if let Some(change) = change.or(commented) {
            self.sum_up(id, by, cx);
            self.say_one(id, change, by, cx);
        }
        Ok(id)
    }

    /// Who says that a storm is over says so of its open branches.
    fn end_branches(&mut self, id: IncidentId, act: &Act, actor: &str, by: &Evidence<'_>, cx: &mut Cx<'_>) {
        let Act::State(state @ (State::Resolved | State::Closed)) = *act else { return };
        let at = cx.core.clock;
        for branch in self.open_branches(id) {
            let Some(incident) = self.incidents.get_mut(&branch) else { continue };
            let Ok(Some(change)) = set_state(incident, state, (at, actor), cx) else { continue };
            if state == State::Resolved {
                self.times.resolve.observe(at - incident.started_at);
            }
            if let Some(episode) = by.correlator.get(incident.episode) {
                say(incident, episode, change, by, cx);
            }
        }
    }
}

impl Raiser {
    /// Whether an incident may be merged, or split.
    pub fn may_regroup(&self, id: IncidentId, revision: Option<u64>, scope: &str) -> Result<(), Refusal> {
        let incident = self.incidents.get(&id);
        let incident = incident.ok_or_else(|| Refusal::new(Code::NotFound, format!("there is no incident {id}")))?;
        if incident.state == State::Closed {
            return Err(self.closed(incident, scope));
        }
        has_alerts(incident, "merge its branches")?;
        is_at(incident, revision)
    }

    /// Nothing becomes of a closed incident; of one that was merged, where to ask.
    fn closed(&self, incident: &Incident, scope: &str) -> Refusal {
        let next = |incident: &&Incident| self.incidents.get(&incident.merged_into?);
        // A survivor is older than what was merged into it, so that this ends.
        let survivor = std::iter::successors(Some(incident), next).last().filter(|last| last.id != incident.id);
        let message = match survivor {
            Some(survivor) => {
                format!(
                    "{scope}-{} was merged: it goes on as {scope}-{}; ask that one",
                    incident.number, survivor.number
                )
            }
            None => "it is closed: what comes later is another incident".to_owned(),
        };
        Refusal::new(Code::FailedPrecondition, message)
    }

    /// The older of two incidents, and the younger.
    pub fn by_age(&self, a: IncidentId, b: IncidentId) -> (IncidentId, IncidentId) {
        let age = |id: IncidentId| self.incidents.get(&id).map(|i| (i.opened_at, i.number));
        if age(a) <= age(b) { (a, b) } else { (b, a) }
    }

    /// Where an incident's alerts are.
    pub fn episode(&self, id: IncidentId) -> Option<EpisodeId> {
        self.incidents.get(&id).map(|incident| incident.episode)
    }

    /// What somebody said about an incident.
    pub fn comment(&mut self, id: IncidentId, actor: &str, text: &str, cx: &Cx<'_>) {
        if let Some(incident) = self.incidents.get_mut(&id).filter(|_| !text.is_empty()) {
            incident.note(cx.core.clock, actor, "comment", text);
        }
    }

    /// A person said of an alert that what it tells of is normal, or is so no more: its incident's people hear of it.
    pub fn on_marked_normal(&mut self, alert: &Alert, undo: bool, actor: &str, by: &Evidence<'_>, cx: &mut Cx<'_>) {
        let episode = alert.place().and_then(|id| by.correlator.get(id));
        let Some((episode, id)) = episode.and_then(|episode| Some((episode, episode.incident?))) else { return };
        let Some(incident) = self.incidents.get_mut(&id) else { return };
        let (kind, change) = if undo { ("not normal", "marked not normal") } else { ("normal", "marked normal") };
        incident.note(cx.core.clock, actor, kind, format!("{} on {}", alert.check, alert.entity));
        say(incident, episode, change, by, cx);
    }

    /// Alerts that were split from an incident are one of their own at once.
    pub fn raise_split(
        &mut self,
        from: IncidentId,
        episode: EpisodeId,
        (actor, comment): (&str, &str),
        by: &mut Evidence<'_>,
        cx: &mut Cx<'_>,
    ) -> Option<IncidentId> {
        let number = self.incidents.get(&from)?.number;
        let made = self.raise(episode, RaiseReason::Split { from, number }, cx.core.clock, by, cx)?;
        let made_number = self.incidents.get(&made)?.number;
        cx.core.regroupings.split.operator += 1;
        let parent = self.incidents.get_mut(&from)?;
        parent.note(cx.core.clock, actor, "split", format!("some of its alerts are incident {made_number}"));
        self.comment(from, actor, comment, cx);
        Some(made)
    }
}

/// A storm's major incident has none; what to do instead.
pub fn has_alerts(incident: &Incident, instead: &str) -> Result<(), Refusal> {
    if !incident.is_major() {
        return Ok(());
    }
    let why = format!("it is a storm's major incident and has no alerts of its own: {instead}");
    Err(Refusal::new(Code::FailedPrecondition, why))
}

fn is_at(incident: &Incident, revision: Option<u64>) -> Result<(), Refusal> {
    let now = incident.revision;
    if revision.is_none_or(|revision| revision == now) {
        return Ok(());
    }
    Err(Refusal::new(Code::Aborted, format!("etag: it has changed since; it is at revision {now}")))
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
            cx.core.suggestions.refused += incident.answer(|_| true);
            cx.core.timers.cancel(TimerKind::Resolve, id);
            cx.core.timers.cancel(TimerKind::Close, id);
            cx.set(TimerKind::ForgetIncident, id, at + cx.policy.raise.keep);
        }
    }
    incident.state = state;
    incident.note(at, actor, state.name(), "");
    Ok(Some(state.name()))
}

/// Somebody looks after it. Work that has begun goes on, and who has seen it too is noted.
fn acknowledge(
    incident: &mut Incident,
    (at, actor): (Timestamp, &str),
    cx: &mut Cx<'_>,
) -> Result<Option<&'static str>, Refusal> {
    if !matches!(incident.state, State::InProgress | State::OnHold) {
        return set_state(incident, State::Acknowledged, (at, actor), cx);
    }
    let known =
        incident.timeline.iter().any(|entry| *entry.kind == *State::Acknowledged.name() && *entry.actor == *actor);
    if known {
        return Ok(None);
    }
    incident.note(at, actor, State::Acknowledged.name(), "");
    Ok(Some(State::Acknowledged.name()))
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
