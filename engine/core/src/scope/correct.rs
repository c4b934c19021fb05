//! People say which alerts have one cause and which have not: it is kept, as evidence for the like.
use super::{Scope, World, cx, evidence};
use crate::{
    domain::{
        alert::{Alert, AlertId},
        command::{About, Code, Command, Refusal, Relating},
        correction::{Correction, CorrectionId, Deed, Party, Relation, side},
        episode::{EpisodeId, Member},
        incident::IncidentId,
    },
    output::{Body, CorrectionUpdate, Outputs},
    stages::raise::has_alerts,
};
use std::sync::Arc;

impl Scope {
    /// Some of an episode's alerts, as one side.
    pub(super) fn side(&self, episode: EpisodeId, is: impl Fn(&Member) -> bool) -> Vec<Party> {
        let members = self.correlator.get(episode).map_or(&[][..], |episode| &episode.members);
        side(members.iter().filter(|member| is(member)))
    }

    /// What a command says of two sides is kept. `None` where nothing is left to say.
    pub(super) fn learn(
        &mut self,
        (command, comment): (&Command, &str),
        (relation, deed): (Relation, Deed),
        sides: [Vec<Party>; 2],
        world: World<'_>,
        out: &mut Outputs,
    ) -> Option<CorrectionId> {
        if sides.iter().any(Vec::is_empty) {
            return None;
        }
        let at = self.core.clock;
        let id = CorrectionId::new(&self.core.name, &command.request_id, relation);
        let (actor, comment) = (command.actor.as_str().into(), comment.into());
        let expires_at = at + world.policy.correlate.corrections.expire;
        let correction = Correction { id, relation, deed, sides, actor, comment, at, expires_at };
        let gone = self.correlator.correct(correction.clone(), &mut cx(&mut self.core, world, out));
        let scope = self.core.name.clone();
        out.say(Body::Correction(Box::new(CorrectionUpdate { scope: scope.clone(), correction })));
        gone.into_iter().for_each(|id| out.say(Body::CorrectionGone { scope: scope.clone(), id }));
        Some(id)
    }

    /// Two have the same cause, or are not related; the name of the correction.
    pub(super) fn relate(
        &mut self,
        asked: &Relating,
        command: &Command,
        world: World<'_>,
        out: &mut Outputs,
    ) -> Result<String, Refusal> {
        let [a, b] = asked.of;
        if a == b {
            return Err(Refusal::new(Code::InvalidArgument, "both are the same"));
        }
        let text = format!("{} and {}", self.told(a)?, self.told(b)?);
        let text = if asked.comment.is_empty() { text } else { format!("{text}; {}", asked.comment) };
        let sides = [self.side_of(a, b)?, self.side_of(b, a)?];
        let what = (asked.relation, Deed::Said);
        let id = self.learn((command, &asked.comment), what, sides, world, out);
        let id = id.ok_or_else(|| Refusal::new(Code::FailedPrecondition, "the incident has no other alerts"))?;
        let (one, other) = (self.incident_of(a), self.incident_of(b));
        // Where both are of one incident it is noted there once.
        let notes = [(a, one, other), (b, other.filter(|_| one != other), one)];
        for (about, id, others) in notes.into_iter().filter_map(|(about, id, others)| Some((about, id?, others))) {
            let alert = if let About::Alert(alert) = about { Some(alert) } else { None };
            let by = &evidence(&mut self.correlator, &self.health, &self.changes);
            let said = (command.actor.as_str(), text.clone());
            let cx = &mut cx(&mut self.core, world, out);
            self.raiser.on_related((id, alert), (others, asked.relation), said, by, cx);
        }
        Ok(Correction::name(&self.core.name, id))
    }

    fn alert(&self, id: AlertId) -> Result<&Arc<Alert>, Refusal> {
        let found = self.deduplicator.iter().find(|alert| alert.id == id);
        found.ok_or_else(|| Refusal::new(Code::NotFound, format!("there is no alert {id}")))
    }

    fn incident_of(&self, about: About) -> Option<IncidentId> {
        match about {
            About::Incident(id) => Some(id),
            About::Alert(id) => self.correlator.get(self.alert(id).ok()?.place()?)?.incident,
        }
    }

    /// What is spoken of, in words.
    fn told(&self, about: About) -> Result<String, Refusal> {
        match about {
            About::Alert(id) => self.alert(id).map(|alert| format!("{} on {}", alert.check, alert.entity)),
            About::Incident(id) => {
                let missing = || Refusal::new(Code::NotFound, format!("there is no incident {id}"));
                let last = self.raiser.survivor_of(id).ok_or_else(missing)?;
                has_alerts(last, "speak of its branches")?;
                if last.id == id {
                    return Ok(format!("incident {}", last.number));
                }
                let (scope, number) = (&self.core.name, last.number);
                let message = format!("it was merged: it goes on as {scope}-{number}; speak of that one");
                Err(Refusal::new(Code::FailedPrecondition, message))
            }
        }
    }

    /// What is spoken of, without what it is held against.
    fn side_of(&self, about: About, against: About) -> Result<Vec<Party>, Refusal> {
        match about {
            About::Alert(id) => self.alert(id).map(|alert| vec![Party::of(alert)]),
            About::Incident(id) => {
                let gone = || Refusal::new(Code::NotFound, "its alerts are no longer kept");
                let episode = self.raiser.episode(id).ok_or_else(gone)?;
                Ok(self.side(episode, |member| against != About::Alert(member.alert)))
            }
        }
    }

    /// What people said holds no more; its name.
    pub(super) fn undo_correction(
        &mut self,
        id: CorrectionId,
        world: World<'_>,
        out: &mut Outputs,
    ) -> Result<String, Refusal> {
        let known = self.correlator.withdraw(id, &mut cx(&mut self.core, world, out));
        known.ok_or_else(|| Refusal::new(Code::NotFound, format!("there is no correction {id}, or it has expired")))?;
        let scope = self.core.name.clone();
        let name = Correction::name(&scope, id);
        out.say(Body::CorrectionGone { scope, id });
        Ok(name)
    }

    /// It has held for long enough.
    pub(super) fn forget_correction(&mut self, id: CorrectionId, world: World<'_>, out: &mut Outputs) {
        let known = self.correlator.withdraw(id, &mut cx(&mut self.core, world, out));
        if known.is_some() {
            out.say(Body::CorrectionGone { scope: self.core.name.clone(), id });
        }
    }
}
