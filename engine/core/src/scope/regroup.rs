//! People say which incidents are one, and which are not.
use super::{Scope, World, cx, evidence};
use crate::{
    domain::{
        alert::AlertId,
        command::{Code, IncidentAct, Refusal},
        incident::IncidentId,
    },
    output::Outputs,
    stages::correlate::Moves,
};

impl Scope {
    /// Both have one cause: the alerts of the younger go to the older, which goes on.
    pub(super) fn merge(
        &mut self,
        act: &IncidentAct,
        other: IncidentId,
        actor: &str,
        world: World<'_>,
        out: &mut Outputs,
    ) -> Result<IncidentId, Refusal> {
        self.raiser.may_regroup(act.incident, act.revision, &self.core.name)?;
        self.raiser.may_regroup(other, None, &self.core.name)?;
        if act.incident == other {
            return Err(Refusal::new(Code::InvalidArgument, "it is the same incident"));
        }
        let (into, from) = self.raiser.by_age(act.incident, other);
        let episodes = (self.raiser.episode(from), self.raiser.episode(into));
        let (Some(from_episode), Some(into_episode)) = episodes else {
            return Err(Refusal::new(Code::NotFound, "its alerts are no longer kept"));
        };
        let mut moves = Moves::default();
        let mut cx = cx(&mut self.core, world, out);
        let (alerts, raiser) = (&mut self.deduplicator, &mut self.raiser);
        self.correlator.merge((from_episode, into_episode), true, alerts, raiser, &mut cx, &mut moves);
        self.raiser.comment(into, actor, &act.comment, &cx);
        let by = &evidence(&mut self.correlator, &self.health, &self.changes);
        self.raiser.merge_incidents((from, into), actor, by, &mut cx);
        self.tell(moves, world, out);
        Ok(into)
    }

    /// Some of its alerts have another cause: they become an incident of their own.
    pub(super) fn split(
        &mut self,
        act: &IncidentAct,
        alerts: &[AlertId],
        actor: &str,
        world: World<'_>,
        out: &mut Outputs,
    ) -> Result<IncidentId, Refusal> {
        self.raiser.may_regroup(act.incident, act.revision, &self.core.name)?;
        let episode = self.raiser.episode(act.incident).and_then(|id| self.correlator.get(id));
        let Some(episode) = episode else {
            return Err(Refusal::new(Code::NotFound, "its alerts are no longer kept"));
        };
        let leave = episode.members.iter().filter(|m| alerts.contains(&m.alert)).count();
        if leave < alerts.len() || leave == 0 {
            return Err(Refusal::new(Code::InvalidArgument, "alerts: some of them are not of this incident"));
        }
        if leave == episode.members.len() {
            return Err(Refusal::new(Code::FailedPrecondition, "alerts: all of its alerts; nothing would stay"));
        }
        let (id, mut moves) = (episode.id, Moves::default());
        let mut cx = cx(&mut self.core, world, out);
        let (all, raiser) = (&mut self.deduplicator, &mut self.raiser);
        let new = self.correlator.split(id, alerts, all, raiser, &mut cx, &mut moves);
        let by = &mut evidence(&mut self.correlator, &self.health, &self.changes);
        let made = new.and_then(|new| self.raiser.raise_split(act.incident, new, (actor, &act.comment), by, &mut cx));
        self.tell(moves, world, out);
        made.ok_or_else(|| Refusal::new(Code::NotFound, "its alerts are no longer kept"))
    }
}
