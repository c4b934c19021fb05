//! What a person or a program asks for.
use super::{Scope, World, cx, evidence};
use crate::{
    domain::{
        alert::{Alert, AlertId},
        command::{Act, Action, Code, Command, IncidentAct, Refusal},
        incident::Incident,
        policy::Clock,
    },
    output::{Body, Outputs},
};

impl Scope {
    /// A person or a program asks for something.
    pub fn on_command(&mut self, command: &Command, world: World<'_>, out: &mut Outputs) {
        if world.policy.clock == Clock::Wall {
            self.core.top = self.core.top.max(command.at);
        }
        self.advance(world, out);
        if self.requests.knows(&command.request_id) || self.questions.knows(&command.request_id) {
            return;
        }
        let done = match &command.action {
            Action::WhyNot(a, b) => return self.answer(command, [*a, *b], world, out),
            Action::Incident(act) => self.on_act(act, command, world, out),
            Action::CreateSilence { silence, force } => self.create_silence(silence, *force, world, out),
            Action::ExpireSilence(id) => self.expire_silence(id, world, out),
            Action::CreateWindow(window) => self.create_window(window, world, out),
            Action::ExpireWindow(id) => self.expire_window(id, world, out),
            Action::MarkNormal { alert, undo } => self.mark_normal(*alert, *undo, &command.actor, world, out),
            Action::Relate(relating) => self.relate(relating, command, world, out),
            Action::UndoCorrection(id) => self.undo_correction(*id, world, out),
        };
        let result = command.result(done);
        let cx = cx(&mut self.core, world, out);
        let (clock, horizon) = (cx.core.clock, cx.policy.raise.request_horizon);
        cx.core.evicted.requests += self.requests.keep(result.clone(), clock, horizon, cx.policy.limits.requests);
        out.say(Body::Result(Box::new(result)));
    }

    /// Commands that were folded may be folded again; for tests.
    pub(crate) fn forget_requests(&mut self) {
        (self.requests, self.questions) = Default::default();
    }

    fn on_act(
        &mut self,
        act: &IncidentAct,
        command: &Command,
        world: World<'_>,
        out: &mut Outputs,
    ) -> Result<String, Refusal> {
        let done = match &act.act {
            Act::Merge(other) => self.merge(act, *other, command, world, out),
            Act::Split(alerts) => self.split(act, alerts, command, world, out),
            Act::Move { alerts, into } => self.move_alerts(act, (alerts, *into), command, world, out),
            Act::State(_) | Act::Acknowledge | Act::Assign(_) | Act::Comment | Act::Ticket(_) => {
                let by = &mut evidence(&mut self.correlator, &self.health, &self.changes);
                self.raiser.act(act, &command.actor, by, &mut cx(&mut self.core, world, out))
            }
        };
        done.map(|id| Incident::name(&self.core.name, id))
    }

    /// What an alert tells of is normal, or is so no more; its name. It need not be kept any more for that.
    fn mark_normal(
        &mut self,
        id: AlertId,
        undo: bool,
        actor: &str,
        world: World<'_>,
        out: &mut Outputs,
    ) -> Result<String, Refusal> {
        let alert = self.deduplicator.iter().find(|alert| alert.id == id).cloned();
        let mut cx = cx(&mut self.core, world, out);
        let mut found = Vec::new();
        if undo {
            if !self.scorer.unteach(id) {
                let why = format!("of no series was it said by the alert {id}, or it was said by another since");
                return Err(Refusal::new(Code::NotFound, why));
            }
        } else {
            let alert =
                alert.as_ref().ok_or_else(|| Refusal::new(Code::NotFound, format!("there is no alert {id}")))?;
            if !alert.open {
                return Err(Refusal::new(Code::FailedPrecondition, "it is clear: what it told of is over"));
            }
            if !self.scorer.teach(alert, &mut cx, &mut found) {
                let why = "it is not measured against what is usual: there is nothing to learn";
                return Err(Refusal::new(Code::FailedPrecondition, why));
            }
        }
        if let Some(alert) = alert {
            let by = &evidence(&mut self.correlator, &self.health, &self.changes);
            self.raiser.on_marked_normal(&alert, undo, actor, by, &mut cx);
        }
        self.conclude(found, world, out);
        Ok(Alert::name(&self.core.name, id))
    }
}
