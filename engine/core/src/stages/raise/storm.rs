//! Many incidents at once are a storm: one major incident stands for them, and they are its branches. Each goes on as ever, so
//! that nothing is lost; whoever wants one of a storm takes those that are no branches.
use super::{Evidence, Raiser, reopen, say::say};
use crate::{
    domain::{
        hash::Framed,
        incident::{Incident, IncidentId, RaiseReason, State},
        time::{Span, Timestamp},
    },
    scope::Cx,
    timers::TimerKind,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

mod sum;
use sum::Sum;

/// A revision names the branches: a major incident speaks at most once an interval for each so many of them.
const REVISION_BRANCHES: i64 = 25;

/// The storms of a scope.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Storms {
    /// The latest that are no branches: fewer than make a storm, oldest first.
    recent: VecDeque<(Timestamp, IncidentId)>,
    /// The major incident of the storm that lasts,
    current: Option<IncidentId>,
    /// and when its latest branches were raised: no more of them than have to be for it to last.
    lately: VecDeque<Timestamp>,
    /// Of each major incident that is kept.
    branches: BTreeMap<IncidentId, Branches>,
}

/// Those that are kept: each incident is one of at most one storm.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Branches {
    /// Open when it last spoke,
    open: BTreeSet<IncidentId>,
    /// or resolved, closed or merged.
    over: BTreeSet<IncidentId>,
}

impl Branches {
    fn all(&self) -> impl Iterator<Item = IncidentId> {
        self.open.iter().chain(&self.over).copied()
    }

    /// A branch spoke. Whether it was the last open one.
    fn mark(&mut self, id: IncidentId, is_open: bool) -> bool {
        let (to, from) = if is_open { (&mut self.open, &mut self.over) } else { (&mut self.over, &mut self.open) };
        to.insert(id);
        let moved = from.remove(&id);
        !is_open && moved && self.open.is_empty()
    }

    /// A branch is one no more. Whether it was the last open one.
    fn remove(&mut self, id: IncidentId) -> bool {
        self.over.remove(&id);
        self.open.remove(&id) && self.open.is_empty()
    }
}

/// What an incident that is about to be raised belongs to.
pub(super) struct Shelter {
    pub major: IncidentId,
    /// Those that were raised before it and have become branches with it: the storm has just been found.
    pub older: Vec<IncidentId>,
}

impl Raiser {
    /// The storm that one more incident is of, if there is one.
    pub(super) fn shelter(
        &mut self,
        raised: &RaiseReason,
        at: Timestamp,
        by: &mut Evidence<'_>,
        cx: &mut Cx<'_>,
    ) -> Option<Shelter> {
        let storm = &cx.policy.raise.storm;
        if storm.incidents == 0 || matches!(raised, RaiseReason::Split { .. }) {
            return None;
        }
        if let Some(major) = self.lasting_storm(cx) {
            return Some(Shelter { major, older: Vec::new() });
        }
        let since = cx.core.clock - storm.within;
        if self.storms.recent.len() + 1 >= storm.incidents {
            self.make_room(by.correlator, cx);
            let counts = |id| self.incidents.get(&id).is_some_and(|i| i.state.is_open() && i.major.is_none());
            self.storms.recent.retain(|(at, id)| *at >= since && counts(*id));
        }
        if self.storms.recent.len() + 1 < storm.incidents {
            return None;
        }
        let recent = std::mem::take(&mut self.storms.recent);
        let reason = RaiseReason::Storm { incidents: recent.len() + 1, seconds: storm.within.0 / 1_000 };
        let major = self.found_major(reason, at, by, cx);
        recent.iter().for_each(|(at, id)| self.add_branch(major, *id, *at, cx));
        Some(Shelter { major, older: recent.into_iter().map(|(_, id)| id).collect() })
    }

    /// The major incident of the storm that lasts: until one is raised when few were before it, or it is over.
    fn lasting_storm(&mut self, cx: &Cx<'_>) -> Option<IncidentId> {
        let (storm, lately) = (&cx.policy.raise.storm, &self.storms.lately);
        let since = cx.core.clock - storm.within;
        let lasts = 1 + lately.iter().filter(|at| **at >= since).count() >= storm.lasting();
        let is_open = |id: &IncidentId| self.incidents.get(id).is_some_and(|i| i.state.is_open());
        self.storms.current = self.storms.current.filter(|id| lasts && is_open(id));
        self.storms.current
    }

    fn found_major(
        &mut self,
        reason: RaiseReason,
        at: Timestamp,
        by: &mut Evidence<'_>,
        cx: &mut Cx<'_>,
    ) -> IncidentId {
        let episode = by.correlator.found_empty(at, cx);
        self.number += 1;
        let ordinal = cx.core.next_ordinal();
        let hash = Framed::default()
            .field(cx.core.name.as_bytes())
            .field(at.0.to_le_bytes())
            .field(ordinal.to_le_bytes())
            .field("storm")
            .hash64();
        let id = IncidentId(hash);
        if let Some(episode) = by.correlator.get_mut(episode) {
            episode.incident = Some(id);
        }
        let mut incident = Incident::new(id, self.number, episode, reason, at);
        incident.note(at, "", "opened", incident.raised.to_string());
        self.incidents.insert(id, incident);
        self.storms.branches.insert(id, Branches::default());
        self.storms.current = Some(id);
        self.storms.lately.clear();
        cx.core.storms += 1;
        id
    }

    /// An incident that was raised at `at` is a branch; whoever adds it lets it say so.
    fn add_branch(&mut self, major: IncidentId, id: IncidentId, at: Timestamp, cx: &mut Cx<'_>) {
        let number = self.incidents.get(&major).map_or(0, |i| i.number);
        if let Some(incident) = self.incidents.get_mut(&id) {
            incident.major = Some(major);
            incident.note(cx.core.clock, "", "branch", format!("of incident {number}: a storm"));
        }
        if let Some(incident) = self.incidents.get_mut(&major) {
            incident.add_branch(id);
        }
        if let Some(branches) = self.storms.branches.get_mut(&major) {
            branches.open.insert(id);
        }
        self.storms.lately.push_back(at);
        while self.storms.lately.len() >= cx.policy.raise.storm.lasting() {
            self.storms.lately.pop_front();
        }
        cx.core.branches += 1;
    }

    /// An incident is about to open, in a storm or as one that may make one with others. The storm, where it has just been found.
    pub(super) fn enter(&mut self, id: IncidentId, shelter: Option<Shelter>, cx: &mut Cx<'_>) -> Option<Shelter> {
        if let Some(shelter) = shelter {
            self.add_branch(shelter.major, id, cx.core.clock, cx);
            return Some(shelter).filter(|shelter| !shelter.older.is_empty());
        }
        let counts = self.incidents.get(&id).is_some_and(|i| i.split_from.is_none());
        if counts && cx.policy.raise.storm.incidents > 0 {
            self.storms.recent.push_back((cx.core.clock, id));
        }
        None
    }

    /// The major incident of a storm opens, and those that were there before say that they are its branches.
    pub(super) fn say_storm(&mut self, Shelter { major, older }: Shelter, by: &Evidence<'_>, cx: &mut Cx<'_>) {
        self.say_major(major, "opened", by, cx);
        older.into_iter().for_each(|id| self.say_one(id, "branch", by, cx));
    }

    pub(super) fn say_one(&mut self, id: IncidentId, change: &'static str, by: &Evidence<'_>, cx: &mut Cx<'_>) {
        let Some(incident) = self.incidents.get_mut(&id) else { return };
        if let Some(episode) = by.correlator.get(incident.episode) {
            say(incident, episode, change, by, cx);
        }
    }

    /// A major incident says how its branches are.
    fn say_major(&mut self, id: IncidentId, change: &'static str, by: &Evidence<'_>, cx: &mut Cx<'_>) {
        self.sum_up(id, by, cx);
        self.say_one(id, change, by, cx);
    }

    /// A major incident becomes what its branches are together. Whether it is another than before.
    pub(super) fn sum_up(&mut self, id: IncidentId, by: &Evidence<'_>, cx: &Cx<'_>) -> bool {
        let Some(branches) = self.storms.branches.get(&id) else { return false };
        let kept = branches.all().filter_map(|id| self.incidents.get(&id));
        let sum = Sum::of(kept, by.correlator);
        self.incidents.get_mut(&id).is_some_and(|incident| sum.give(incident, cx.core.clock))
    }

    /// What has grown speaks, where there is something to say; to have looked is as good.
    pub(super) fn speak_of_storm(&mut self, id: IncidentId, by: &Evidence<'_>, cx: &mut Cx<'_>) {
        if self.sum_up(id, by, cx) {
            self.say_one(id, "updated", by, cx);
        } else if let Some(incident) = self.incidents.get_mut(&id) {
            (incident.unsaid, incident.said_at) = (false, cx.core.clock);
        }
    }

    /// A branch has spoken: its major incident resolves with the last of them, and opens again with one.
    pub fn on_branch(&mut self, id: IncidentId, by: &Evidence<'_>, cx: &mut Cx<'_>) {
        let Some(branch) = self.incidents.get(&id) else { return };
        let (is_open, ended_at) = (branch.state.is_open(), branch.resolved_at.or(branch.closed_at));
        let Some(major) = branch.major else { return self.on_forgotten_branch(id, by, cx) };
        let Some(state) = self.incidents.get(&major).map(|i| i.state).filter(|state| *state != State::Closed) else {
            return if is_open {
                self.leave_storm(id, major, by, cx)
            };
        };
        let is_last = self.storms.branches.get_mut(&major).is_some_and(|branches| branches.mark(id, is_open));
        match state {
            State::Resolved if is_open => self.reopen_storm(major, by, cx),
            State::Resolved => {}
            _ if is_last => self.resolve_storm(major, ended_at.unwrap_or(cx.core.clock), by, cx),
            _ => self.await_storm(major, by, cx),
        }
    }

    /// A major incident speaks as soon as it may.
    fn await_storm(&mut self, id: IncidentId, by: &Evidence<'_>, cx: &mut Cx<'_>) {
        let Some(incident) = self.incidents.get_mut(&id) else { return };
        let parts = (i64::from(incident.branch_count) / REVISION_BRANCHES).max(1);
        let next = incident.said_at + Span(cx.policy.raise.revision_interval.0.saturating_mul(parts));
        if cx.core.clock >= next {
            self.speak_of_storm(id, by, cx);
        } else if !incident.unsaid {
            incident.unsaid = true;
            cx.set(TimerKind::SpeakIncident, u128::from(id.0), next);
        }
    }

    fn resolve_storm(&mut self, id: IncidentId, at: Timestamp, by: &Evidence<'_>, cx: &mut Cx<'_>) {
        let Some(incident) = self.incidents.get_mut(&id) else { return };
        incident.note(at, "", "resolved", "none of its branches is open");
        incident.state = State::Resolved;
        incident.resolved_at = Some(at);
        cx.set(TimerKind::Close, u128::from(id.0), at + cx.policy.raise.close);
        self.say_major(id, "resolved", by, cx);
    }

    fn reopen_storm(&mut self, id: IncidentId, by: &Evidence<'_>, cx: &mut Cx<'_>) {
        let Some(incident) = self.incidents.get_mut(&id) else { return };
        reopen(incident, "a branch is open again", cx.core.clock, "");
        cx.core.timers.cancel(TimerKind::Close, u128::from(id.0));
        self.say_major(id, "reopened", by, cx);
    }

    /// An incident of a storm that is over for good, or is no longer kept, is open again: it stands for itself.
    fn leave_storm(&mut self, id: IncidentId, major: IncidentId, by: &Evidence<'_>, cx: &mut Cx<'_>) {
        let Some(incident) = self.incidents.get_mut(&id) else { return };
        incident.major = None;
        incident.note(cx.core.clock, "", "no branch", "its storm is over");
        self.say_one(id, "no branch", by, cx);
        if let Some(branches) = self.storms.branches.get_mut(&major) {
            branches.remove(id);
        }
        if let Some(incident) = self.incidents.get_mut(&major) {
            incident.drop_branch(id);
            self.say_one(major, "updated", by, cx);
        }
    }

    /// An incident is no longer kept: neither storm nor branch hears of it any more.
    pub(super) fn forget_in_storms(&mut self, incident: &Incident, cx: &mut Cx<'_>) {
        if let Some(branches) = self.storms.branches.remove(&incident.id) {
            // Those that are open stand for themselves from now on; others as soon as they are open again.
            for branch in branches.open {
                cx.set(TimerKind::Branch, u128::from(branch.0), cx.core.clock);
            }
        }
        let branches = incident.major.and_then(|major| self.storms.branches.get_mut(&major));
        if branches.is_some_and(|branches| branches.remove(incident.id))
            && let Some(major) = incident.major
        {
            cx.set(TimerKind::Branch, u128::from(major.0), cx.core.clock);
        }
    }

    /// The last open branch of a storm is not kept any more.
    fn on_forgotten_branch(&mut self, id: IncidentId, by: &Evidence<'_>, cx: &mut Cx<'_>) {
        let is_none_open = self.storms.branches.get(&id).is_some_and(|branches| branches.open.is_empty());
        if is_none_open && self.incidents.get(&id).is_some_and(|i| i.state.is_open()) {
            self.resolve_storm(id, cx.core.clock, by, cx);
        }
    }

    /// The open branches of a major incident.
    pub(super) fn open_branches(&self, id: IncidentId) -> Vec<IncidentId> {
        let is_open = |id: &IncidentId| self.incidents.get(id).is_some_and(|i| i.state.is_open());
        self.storms.branches.get(&id).into_iter().flat_map(Branches::all).filter(is_open).collect()
    }
}
