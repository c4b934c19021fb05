//! What becomes of incidents when their alerts change places: the older takes the younger in, and both are told.
use super::{Raiser, are_many, say, update};
use crate::{
    domain::{
        alert::{Alert, AlertId},
        episode::{Episode, EpisodeId},
        incident::{Incident, IncidentId, State},
        time::Timestamp,
    },
    output::Body,
    scope::Cx,
    stages::correlate::Correlator,
    timers::TimerKind,
};
use std::collections::BTreeSet;

impl Raiser {
    /// When an episode's incident was opened; after all others where it has none.
    pub fn opened_at(&self, episode: &Episode) -> Timestamp {
        episode.incident.and_then(|id| self.incidents.get(&id)).map_or(Timestamp::MAX, |i| i.opened_at)
    }

    /// An alert has left an incident's episode, where it was the member of that place.
    pub fn on_left(&mut self, id: Option<IncidentId>, member: usize, alert: AlertId) {
        let Some(incident) = id.and_then(|id| self.incidents.get_mut(&id)) else { return };
        if member < incident.members_said {
            incident.members_said -= 1;
            incident.removed.push(alert);
        }
    }

    /// An alert has another episode. If that has no incident, it may give reason for one, though its time to settle may be
    /// over.
    pub fn on_alert_moved(&mut self, alert: &Alert, correlator: &Correlator, cx: &mut Cx<'_>) {
        let episode = alert.episode.and_then(|id| correlator.get(id));
        if alert.open && episode.is_some_and(|e| e.incident.is_none()) && alert.severity >= cx.policy.raise.severity_min
        {
            let due = (alert.occurred_at + cx.policy.raise.settle).max(cx.core.clock);
            cx.set(TimerKind::Settle, alert.fingerprint.0, due);
        }
    }

    /// Alerts have come to episodes, or left them. What was emptied first: its incident goes where they went.
    pub fn on_moved(&mut self, ids: &BTreeSet<EpisodeId>, correlator: &mut Correlator, cx: &mut Cx<'_>) {
        let is_empty = |id: &EpisodeId, c: &Correlator| c.get(*id).is_some_and(|e| e.members.is_empty());
        let (emptied, others): (Vec<EpisodeId>, Vec<EpisodeId>) = ids.iter().partition(|id| is_empty(id, correlator));
        for id in emptied {
            self.on_emptied(id, correlator, cx);
        }
        for id in others {
            self.on_changed(id, correlator, cx);
        }
    }

    fn on_changed(&mut self, id: EpisodeId, correlator: &mut Correlator, cx: &mut Cx<'_>) {
        let Some(episode) = correlator.get_mut(id) else { return };
        if let Some(incident) = episode.incident {
            let told = self.incidents.get(&incident).is_some_and(|i| is_told(i, episode));
            return if told { self.await_resolve(incident, episode, cx) } else { self.follow(incident, episode, cx) };
        }
        if episode.many_due.is_none() && are_many(episode, cx) {
            let due = cx.core.clock.max(episode.founded_at + cx.policy.raise.many_settle);
            episode.many_due = Some(due);
            cx.set(TimerKind::Many, u128::from(id.0), due);
        }
    }

    /// All alerts of an episode have gone: its incident goes where most of them went.
    fn on_emptied(&mut self, id: EpisodeId, correlator: &mut Correlator, cx: &mut Cx<'_>) {
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
            Some(into) => self.merge_incidents(from, into, correlator, cx),
            None => {
                target.incident = Some(from);
                let target = target.id;
                if let Some(old) = correlator.get_mut(id) {
                    old.incident = None;
                }
                correlator.remove(id, cx);
                self.follow_to(from, target, correlator, cx);
            }
        }
    }

    /// An incident goes with its alerts to an episode that had none.
    fn follow_to(&mut self, id: IncidentId, to: EpisodeId, correlator: &Correlator, cx: &mut Cx<'_>) {
        let (Some(incident), Some(episode)) = (self.incidents.get_mut(&id), correlator.get(to)) else { return };
        incident.episode = to;
        incident.members_said = 0;
        incident.removed.retain(|alert| episode.members.iter().all(|m| m.alert != *alert));
        say(incident, episode, "updated", cx);
        self.await_resolve(id, episode, cx);
    }

    /// An incident ends in another one: it is closed and points there, and both say so. Its alerts have gone before.
    pub fn merge_incidents(&mut self, from: IncidentId, into: IncidentId, correlator: &Correlator, cx: &mut Cx<'_>) {
        let Some(survivor) = self.incidents.get(&into).map(|i| i.episode) else { return };
        let Some(incident) = self.incidents.get_mut(&from) else { return };
        incident.state = State::Closed;
        incident.closed_at = Some(cx.core.clock);
        incident.merged_into = Some(into);
        incident.revision += 1;
        incident.updated_at = cx.core.clock;
        incident.said_at = cx.core.clock;
        (incident.unsaid, incident.members_said) = (false, 0);
        let removed = std::mem::take(&mut incident.removed);
        if let Some(episode) = correlator.get(incident.episode) {
            let mut last = update(incident, episode, &episode.members, &cx.core.name, "merged");
            last.removed = removed;
            cx.out.say(Body::Incident(Box::new(last)));
        }
        for kind in [TimerKind::SpeakIncident, TimerKind::Resolve, TimerKind::Close] {
            cx.core.timers.cancel(kind, u128::from(from.0));
        }
        cx.set(TimerKind::ForgetIncident, u128::from(from.0), cx.core.clock + cx.policy.raise.keep);
        let (Some(incident), Some(episode)) = (self.incidents.get_mut(&into), correlator.get(survivor)) else { return };
        if incident.state == State::Resolved && episode.open > 0 {
            incident.state = State::New;
            incident.resolved_at = None;
            incident.reopened += 1;
        }
        say(incident, episode, "merged", cx);
        self.await_resolve(into, episode, cx);
    }

    fn await_resolve(&self, id: IncidentId, episode: &Episode, cx: &mut Cx<'_>) {
        if episode.open == 0 && self.incidents.get(&id).is_some_and(|i| i.state == State::New) {
            cx.set(TimerKind::Resolve, u128::from(id.0), episode.last_cleared_at + cx.policy.raise.resolve);
        }
    }
}

/// All that came and went was said.
fn is_told(incident: &Incident, episode: &Episode) -> bool {
    incident.members_said == episode.members.len() && incident.removed.is_empty()
}
