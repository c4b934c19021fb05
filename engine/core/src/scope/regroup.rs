//! People say which incidents are one, and which are not.
use super::{Scope, World, cx, evidence};
use crate::{
    domain::{
        alert::{AlertId, Fingerprint},
        command::{Code, Command, IncidentAct, Refusal},
        correction::{Deed, Party, Relation},
        episode::{EpisodeId, Member},
        incident::IncidentId,
    },
    output::Outputs,
    stages::correlate::Moves,
};
use std::collections::BTreeSet;

impl Scope {
    /// Both have one cause: the alerts of the younger go to the older, which goes on.
    pub(super) fn merge(
        &mut self,
        act: &IncidentAct,
        other: IncidentId,
        command: &Command,
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
        let sides = [self.side(into_episode, |_| true), self.side(from_episode, |_| true)];
        let mut moves = Moves::default();
        let mut cx = cx(&mut self.core, world, out);
        let (alerts, raiser) = (&mut self.deduplicator, &mut self.raiser);
        raiser.on_merge_by_hand(from, into, &mut cx);
        self.correlator.merge((from_episode, into_episode), true, alerts, raiser, &mut cx, &mut moves);
        self.raiser.comment(into, &command.actor, &act.comment, &cx);
        let by = &evidence(&mut self.correlator, &self.health, &self.changes);
        self.raiser.merge_incidents((from, into), &command.actor, by, &mut cx);
        self.tell(moves, world, out);
        self.learn((command, &act.comment), (Relation::Together, Deed::Merge), sides, world, out);
        Ok(into)
    }

    /// Some of its alerts have another cause: they become an incident of their own.
    pub(super) fn split(
        &mut self,
        act: &IncidentAct,
        alerts: &[AlertId],
        command: &Command,
        world: World<'_>,
        out: &mut Outputs,
    ) -> Result<IncidentId, Refusal> {
        let Leaving { id, sides, stays, .. } = self.leaving(act, alerts)?;
        if !stays {
            return Err(Refusal::new(Code::FailedPrecondition, "alerts: all of its alerts; nothing would stay"));
        }
        let mut moves = Moves::default();
        let mut cx = cx(&mut self.core, world, out);
        self.raiser.on_taken_out(act.incident, act.incident, alerts, &mut cx);
        let (all, raiser) = (&mut self.deduplicator, &mut self.raiser);
        let new = self.correlator.split(id, alerts, all, raiser, &mut cx, &mut moves);
        let by = &mut evidence(&mut self.correlator, &self.health, &self.changes);
        let said = (command.actor.as_str(), act.comment.as_str());
        let made = new.and_then(|new| self.raiser.raise_split(act.incident, new, said, by, &mut cx));
        self.tell(moves, world, out);
        let made = made.ok_or_else(|| Refusal::new(Code::NotFound, "its alerts are no longer kept"))?;
        self.learn((command, &act.comment), (Relation::Apart, Deed::Split), sides, world, out);
        Ok(made)
    }

    /// Some of its alerts belong to another incident: they go there.
    pub(super) fn move_alerts(
        &mut self,
        act: &IncidentAct,
        (alerts, into): (&[AlertId], IncidentId),
        command: &Command,
        world: World<'_>,
        out: &mut Outputs,
    ) -> Result<IncidentId, Refusal> {
        let Leaving { id, keys, sides: [moved, rest], stays } = self.leaving(act, alerts)?;
        self.raiser.may_regroup(into, None, &self.core.name)?;
        if act.incident == into {
            return Err(Refusal::new(Code::InvalidArgument, "they are of this incident"));
        }
        if !stays {
            return Err(Refusal::new(Code::FailedPrecondition, "alerts: all of its alerts; merge the two incidents"));
        }
        let target = self.raiser.episode(into).filter(|target| self.correlator.get(*target).is_some());
        let target = target.ok_or_else(|| Refusal::new(Code::NotFound, "its alerts are no longer kept"))?;
        let others = self.side(target, |_| true);
        let mut moves = Moves::default();
        let mut cx = cx(&mut self.core, world, out);
        let (all, raiser) = (&mut self.deduplicator, &mut self.raiser);
        self.correlator.move_by_hand(&keys, (id, target), all, raiser, &mut cx, &mut moves);
        let text = match &*keys {
            [key] => all.get(*key).map_or_else(String::new, |alert| format!("{} on {}", alert.check, alert.entity)),
            several => format!("{} alerts", several.len()),
        };
        raiser.on_taken_out(act.incident, into, alerts, &mut cx);
        let said = (command.actor.as_str(), act.comment.as_str());
        let by = &evidence(&mut self.correlator, &self.health, &self.changes);
        raiser.on_moved_by_hand((act.incident, into), (keys.len() as u64, &text), said, by, &mut cx);
        self.tell(moves, world, out);
        self.learn((command, &act.comment), (Relation::Apart, Deed::Move), [moved.clone(), rest], world, out);
        self.learn((command, &act.comment), (Relation::Together, Deed::Move), [moved, others], world, out);
        Ok(into)
    }

    /// Which alerts are to leave an incident, and what they leave.
    fn leaving(&self, act: &IncidentAct, alerts: &[AlertId]) -> Result<Leaving, Refusal> {
        self.raiser.may_regroup(act.incident, act.revision, &self.core.name)?;
        let episode = self.raiser.episode(act.incident).and_then(|id| self.correlator.get(id));
        let gone = || Refusal::new(Code::NotFound, "its alerts are no longer kept");
        let episode = episode.ok_or_else(gone)?;
        let leave: BTreeSet<AlertId> = alerts.iter().copied().collect();
        let leaves = |member: &Member| leave.contains(&member.alert);
        let keys: Vec<Fingerprint> = episode.members.iter().filter(|m| leaves(m)).map(|m| m.fingerprint).collect();
        if keys.len() < leave.len() || keys.is_empty() {
            return Err(Refusal::new(Code::InvalidArgument, "alerts: some of them are not of this incident"));
        }
        // One that has come back may be of another since.
        let is_here = |key: &Fingerprint| self.deduplicator.get(*key).is_some_and(|a| a.episode == Some(episode.id));
        if !keys.iter().all(is_here) {
            let why = "alerts: some of them are of another incident now, or no longer kept";
            return Err(Refusal::new(Code::FailedPrecondition, why));
        }
        let sides = [self.side(episode.id, leaves), self.side(episode.id, |member| !leaves(member))];
        let stays = keys.len() < episode.members.len();
        Ok(Leaving { id: episode.id, keys, sides, stays })
    }
}

/// Alerts that are to leave an incident.
struct Leaving {
    /// The incident's episode.
    id: EpisodeId,
    keys: Vec<Fingerprint>,
    /// They, and the rest.
    sides: [Vec<Party>; 2],
    /// Whether there is a rest.
    stays: bool,
}
