//! What becomes of incidents when their alerts change places: the older takes the younger in, and both are told.
use super::{
    Evidence, Raiser, are_many, are_unexpected,
    causes::SUSPECTS_MAX,
    history, one_raises,
    people::TICKETS_MAX,
    reopen,
    say::{say, update},
};
use crate::{
    domain::{
        alert::{Alert, AlertId},
        episode::{Episode, EpisodeId},
        incident::{By, Incident, IncidentId, State, Suggested, Ticket, TimelineEntry},
        time::Timestamp,
    },
    output::Body,
    scope::Cx,
    stages::{
        correlate::{Correlator, Suggestion},
        deduplicate::Change,
    },
    timers::TimerKind,
};
use std::{collections::BTreeSet, sync::Arc};

impl Raiser {
    /// When an episode's incident was opened; after all others where it has none.
    pub fn opened_at(&self, episode: &Episode) -> Timestamp {
        episode.incident.and_then(|id| self.incidents.get(&id)).map_or(Timestamp::MAX, |i| i.opened_at)
    }

    /// Whether somebody looks after an episode's incident.
    pub fn is_attended(&self, episode: &Episode) -> bool {
        episode.incident.and_then(|id| self.incidents.get(&id)).is_some_and(Incident::is_attended)
    }

    /// What the model would do with an incident that somebody looks after is noted on it; a person decides. Once for each
    /// other incident, and once for alerts that are of none.
    pub fn suggest(&mut self, it: &Suggestion, alert: Option<&Alert>, by: &Evidence<'_>, cx: &mut Cx<'_>) {
        let incident = |id| by.correlator.get(id).and_then(|episode| episode.incident);
        let (Some(episode), Some(id)) = (by.correlator.get(it.from), incident(it.from)) else { return };
        let other = it.into.map_or(Some(id), incident).and_then(|other| self.incidents.get(&other));
        let Some((other, number)) = other.map(|other| (other.id, other.number)) else { return };
        let Some(incident) = self.incidents.get_mut(&id) else { return };
        if incident.suggested.iter().any(|known| known.other == other) || incident.suggested.len() >= SUGGESTED_MAX {
            return;
        }
        incident.suggested.push(Suggested { other, alert: alert.map(|alert| alert.id), open: true });
        cx.core.suggestions.made += 1;
        let alert = alert.map(|alert| format!("{} on {}", alert.check, alert.entity));
        let text = match alert {
            Some(alert) if other == id => format!("{alert} may have another cause"),
            Some(alert) => format!("{alert} may belong to incident {number}"),
            None => format!("it may be one with incident {number}"),
        };
        let odds = format!("log-odds {}.{}", it.margin / 1_000, it.margin % 1_000 / 100);
        incident.note(cx.core.clock, "", "suggested", format!("{text} ({odds})"));
        say(incident, episode, "suggested", by, cx);
    }

    /// Whether an alert that people were told of may go to another episode without their asking.
    pub fn may_leave(&self, from: &Episode, to: &Episode, cx: &Cx<'_>) -> bool {
        let told = from.incident.and_then(|id| self.incidents.get(&id)).is_some_and(|i| i.state.is_open());
        told && self.takes_alerts(to, cx.core.clock, cx.policy)
    }

    /// An alert has left an incident's episode, where it was the member of that place.
    pub fn on_left(&mut self, id: Option<IncidentId>, member: usize, alert: AlertId) {
        let Some(incident) = id.and_then(|id| self.incidents.get_mut(&id)) else { return };
        incident.rank_again |= member < SUSPECTS_MAX;
        if member < incident.members_said {
            incident.members_said -= 1;
            incident.removed.push(alert);
        }
    }

    /// An alert has another episode. If that has no incident, it may give reason for one, though its time to settle may be
    /// over.
    pub fn on_alert_moved(&mut self, alert: &Alert, correlator: &Correlator, cx: &mut Cx<'_>) {
        let episode = alert.episode.and_then(|id| correlator.get(id));
        let Some(episode) = episode.filter(|e| alert.open && e.incident.is_none()) else { return };
        let (settle, severity_min) = one_raises(episode, Some(alert), correlator.is_endless(alert, cx.policy), cx);
        if alert.severity >= severity_min {
            let due = (alert.occurred_at + settle).max(cx.core.clock);
            cx.set(TimerKind::Settle, alert.fingerprint.0, due);
        }
    }

    /// Alerts have come to episodes, or left them. What was emptied first: its incident goes where they went.
    pub fn on_moved(&mut self, ids: &BTreeSet<EpisodeId>, by: &mut Evidence<'_>, cx: &mut Cx<'_>) {
        let is_empty = |id: &EpisodeId, c: &Correlator| c.get(*id).is_some_and(|e| e.members.is_empty());
        let (emptied, others): (Vec<EpisodeId>, Vec<EpisodeId>) =
            ids.iter().partition(|id| is_empty(id, by.correlator));
        for id in emptied {
            self.on_emptied(id, by, cx);
        }
        for id in others {
            self.on_changed(id, by, cx);
        }
    }

    fn on_changed(&mut self, id: EpisodeId, by: &mut Evidence<'_>, cx: &mut Cx<'_>) {
        let Some(episode) = by.correlator.get_mut(id) else { return };
        if let Some(incident) = episode.incident {
            let told = self.incidents.get(&incident).is_some_and(|i| is_told(i, episode));
            if told {
                return self.await_resolve(incident, episode, cx);
            }
            return self.follow((incident, id), Change::Count, false, by, cx);
        }
        if episode.many_due.is_none() && (are_many(episode, cx) || are_unexpected(episode, cx)) {
            let due = cx.core.clock.max(episode.founded_at + cx.policy.raise.many_settle);
            episode.many_due = Some(due);
            cx.set(TimerKind::Many, u128::from(id.0), due);
        }
    }

    /// All alerts of an episode have gone: its incident goes where most of them went.
    fn on_emptied(&mut self, id: EpisodeId, by: &mut Evidence<'_>, cx: &mut Cx<'_>) {
        let correlator = &mut *by.correlator;
        let Some(episode) = correlator.get(id) else { return };
        let (incident, went) = (episode.incident, episode.went_mostly());
        let Some(from) = incident.filter(|i| self.incidents.get(i).is_some_and(|i| i.state != State::Closed)) else {
            if incident.is_none() {
                correlator.remove(id, cx);
            }
            return;
        };
        let Some(target) = went.and_then(|went| correlator.get_mut(went)) else { return };
        match target.incident {
            Some(into) => {
                cx.core.regroupings.merged.model += 1;
                self.merge_incidents((from, into), "", by, cx);
            }
            None => {
                target.incident = Some(from);
                let target = target.id;
                if let Some(old) = correlator.get_mut(id) {
                    old.incident = None;
                }
                correlator.remove(id, cx);
                self.follow_to(from, target, by, cx);
            }
        }
    }

    /// An incident goes with its alerts to an episode that had none.
    fn follow_to(&mut self, id: IncidentId, to: EpisodeId, by: &Evidence<'_>, cx: &mut Cx<'_>) {
        let (Some(incident), Some(episode)) = (self.incidents.get_mut(&id), by.correlator.get(to)) else { return };
        incident.episode = to;
        incident.members_said = 0;
        incident.removed.retain(|alert| episode.members.iter().all(|m| m.alert != *alert));
        say(incident, episode, "updated", by, cx);
        self.await_resolve(id, episode, cx);
    }

    /// An incident ends in another one: it is closed and points there, and both say so. Its alerts have gone before; who
    /// looked after it, its tickets and what people said go with them.
    pub fn merge_incidents(
        &mut self,
        (from, into): (IncidentId, IncidentId),
        actor: &str,
        by: &Evidence<'_>,
        cx: &mut Cx<'_>,
    ) {
        let Some((survivor, number)) = self.incidents.get(&into).map(|i| (i.episode, i.number)) else { return };
        let Some(incident) = self.incidents.get_mut(&from) else { return };
        let at = cx.core.clock;
        incident.note(at, actor, "merged", format!("into incident {number}"));
        incident.state = State::Closed;
        incident.closed_at = Some(at);
        incident.merged_into = Some(into);
        cx.core.suggestions.refused += incident.answer(|_| true);
        incident.summary = format!("It is one with incident {number}, which has its alerts.");
        incident.sum_up();
        incident.revision += 1;
        (incident.updated_at, incident.said_at) = (at, at);
        (incident.unsaid, incident.members_said) = (false, 0);
        let removed = std::mem::take(&mut incident.removed);
        let inherited = Inherited::of(incident);
        if let Some(episode) = by.correlator.get(incident.episode) {
            let last = update(incident, episode, (&episode.members, removed), by.correlator, &cx.core.name, "merged");
            cx.out.say(Body::Incident(Box::new(last)));
        }
        if incident.major.is_some() {
            cx.set(TimerKind::Branch, u128::from(from.0), at);
        }
        cx.core.held.release(from);
        history::forget(incident, cx);
        for kind in [TimerKind::SpeakIncident, TimerKind::Resolve, TimerKind::Close] {
            cx.core.timers.cancel(kind, u128::from(from.0));
        }
        cx.set(TimerKind::ForgetIncident, u128::from(from.0), at + cx.policy.raise.keep);
        let (Some(incident), Some(episode)) = (self.incidents.get_mut(&into), by.correlator.get(survivor)) else {
            return;
        };
        inherited.give(from, incident, at, actor);
        if incident.state == State::Resolved && episode.open > 0 {
            reopen(incident, "another incident was merged into it", at, "");
            cx.core.timers.cancel(TimerKind::Close, u128::from(into.0));
        }
        say(incident, episode, "merged", by, cx);
        self.await_resolve(into, episode, cx);
    }

    fn await_resolve(&self, id: IncidentId, episode: &Episode, cx: &mut Cx<'_>) {
        if episode.open == 0 && self.incidents.get(&id).is_some_and(|i| i.state.is_open()) {
            cx.set(TimerKind::Resolve, u128::from(id.0), episode.last_cleared_at + cx.policy.raise.resolve);
        }
    }
}

/// Suggestions about one incident.
const SUGGESTED_MAX: usize = 16;
/// Incidents that one remembers to have taken in.
const DUPLICATES_MAX: usize = 100;

/// What people gave to an incident, and the one that takes it in keeps.
struct Inherited {
    number: u64,
    started_at: Timestamp,
    assignee: Arc<str>,
    acknowledged: Option<By>,
    tickets: Vec<Ticket>,
    duplicates: Vec<IncidentId>,
    comments: Vec<TimelineEntry>,
}

impl Inherited {
    fn of(incident: &Incident) -> Self {
        Self {
            number: incident.number,
            started_at: incident.started_at,
            assignee: incident.assignee.clone(),
            acknowledged: incident.acknowledged.clone(),
            tickets: incident.tickets.clone(),
            duplicates: incident.duplicates.clone(),
            comments: incident.timeline.iter().filter(|entry| &*entry.kind == "comment").cloned().collect(),
        }
    }

    fn give(self, from: IncidentId, to: &mut Incident, at: Timestamp, actor: &str) {
        to.note(at, actor, "merged", format!("took in incident {}", self.number));
        for comment in self.comments {
            to.note(comment.at, &comment.actor, &comment.kind, comment.text);
        }
        to.sort_timeline();
        to.started_at = to.started_at.min(self.started_at);
        if to.assignee.is_empty() {
            to.assignee = self.assignee;
        }
        if to.acknowledged.is_none() && self.acknowledged.is_some() && to.state == State::New {
            to.acknowledged = self.acknowledged;
            to.state = State::Acknowledged;
        }
        to.tickets.extend(self.tickets);
        to.tickets.truncate(TICKETS_MAX);
        to.duplicates.push(from);
        to.duplicates.extend(self.duplicates);
        to.duplicates.truncate(DUPLICATES_MAX);
    }
}

/// All that came and went was said.
fn is_told(incident: &Incident, episode: &Episode) -> bool {
    incident.members_said == episode.members.len() && incident.removed.is_empty()
}
