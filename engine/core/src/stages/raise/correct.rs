//! What becomes of suggestions when people decide, and what is noted of alerts that they moved.
use super::{Evidence, Raiser, reopen, say::say};
use crate::{
    domain::{
        alert::AlertId,
        correction::Relation,
        incident::{Incident, IncidentId, State},
    },
    scope::Cx,
    timers::TimerKind,
};

impl Raiser {
    /// A person merges two incidents: what was suggested of the two is taken.
    pub fn on_merge_by_hand(&mut self, a: IncidentId, b: IncidentId, cx: &mut Cx<'_>) {
        cx.core.regroupings.merged.operator += 1;
        for (id, other) in [(a, b), (b, a)] {
            if let Some(incident) = self.incidents.get_mut(&id) {
                cx.core.suggestions.taken += incident.answer(|suggested| suggested.other == other);
            }
        }
    }

    /// A person takes alerts out of an incident, into another or (`from` itself) one of their own: what was suggested so is
    /// taken, and what else was suggested of them is refused.
    pub fn on_taken_out(&mut self, from: IncidentId, into: IncidentId, alerts: &[AlertId], cx: &mut Cx<'_>) {
        let Some(incident) = self.incidents.get_mut(&from) else { return };
        let is_of = |alert: Option<AlertId>| alert.is_some_and(|alert| alerts.contains(&alert));
        cx.core.suggestions.taken += incident.answer(|it| is_of(it.alert) && it.other == into);
        cx.core.suggestions.refused += incident.answer(|it| is_of(it.alert));
    }

    /// A person has moved alerts from one incident to another: both say so at once, and one that was resolved is open again
    /// where one of them fires.
    pub fn on_moved_by_hand(
        &mut self,
        (from, into): (IncidentId, IncidentId),
        (alerts, text): (u64, &str),
        (actor, comment): (&str, &str),
        by: &Evidence<'_>,
        cx: &mut Cx<'_>,
    ) {
        cx.core.regroupings.moved.operator += alerts;
        let number = |id| self.incidents.get(&id).map_or(0, |incident: &Incident| incident.number);
        let (from_number, into_number, at) = (number(from), number(into), cx.core.clock);
        if let Some(incident) = self.incidents.get_mut(&from) {
            incident.note(at, actor, "moved", format!("{text} to incident {into_number}"));
        }
        if let Some(incident) = self.incidents.get_mut(&into) {
            incident.note(at, actor, "moved", format!("{text} from incident {from_number}"));
        }
        self.comment(into, actor, comment, cx);
        for id in [from, into] {
            let Some(incident) = self.incidents.get_mut(&id) else { continue };
            let Some(episode) = by.correlator.get(incident.episode) else { continue };
            if id == into && incident.state == State::Resolved && episode.open > 0 {
                reopen(incident, "alerts were moved to it", at, "");
                cx.core.timers.cancel(TimerKind::Close, u128::from(id.0));
            }
            say(incident, episode, "moved", by, cx);
        }
    }

    /// Where an incident that was merged goes on; itself where it was not.
    pub fn survivor_of(&self, id: IncidentId) -> Option<&Incident> {
        let next = |incident: &&Incident| self.incidents.get(&incident.merged_into?);
        // A survivor is older than what was merged into it, so that this ends.
        std::iter::successors(self.incidents.get(&id), next).last()
    }

    /// A person said of an incident, or of an alert of it, how it stands to another: its people hear of it, and what was
    /// suggested otherwise is refused.
    pub fn on_related(
        &mut self,
        (id, alert): (IncidentId, Option<AlertId>),
        (other, relation): (Option<IncidentId>, Relation),
        (actor, text): (&str, String),
        by: &Evidence<'_>,
        cx: &mut Cx<'_>,
    ) {
        let Some(incident) = self.incidents.get_mut(&id).filter(|i| i.state != State::Closed) else { return };
        let is_of = |suggested: Option<AlertId>| alert.is_none() || suggested.is_none() || alert == suggested;
        let (kind, is_refused) = match relation {
            // That an alert has another cause than its incident is not so.
            Relation::Together => ("same cause", other == Some(id)),
            Relation::Apart => ("not related", other.is_some_and(|other| other != id)),
        };
        if is_refused {
            cx.core.suggestions.refused += incident.answer(|it| Some(it.other) == other && is_of(it.alert));
        }
        incident.note(cx.core.clock, actor, kind, text);
        if let Some(episode) = by.correlator.get(incident.episode) {
            say(incident, episode, kind, by, cx);
        }
    }
}
