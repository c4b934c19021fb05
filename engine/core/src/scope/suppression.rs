//! How a scope follows what the suppressor finds.
use super::{Scope, World, cx, evidence, place, place_anew, say_alert};
use crate::{
    domain::{
        alert::{Alert, Fingerprint, SuppressedBy},
        command::Refusal,
        episode::{Evidence, Reason},
        maintenance::Maintenance,
        matcher::AlertView,
        silence::Silence,
        time::Timestamp,
    },
    output::{Body, Outputs, SilenceUpdate, WindowUpdate},
    stages::{
        correlate::Moves,
        deduplicate::Change,
        suppress::{Judgement, Suppressor},
    },
    timers::TimerKind,
};
use std::sync::Arc;

impl Scope {
    /// An alert has opened: whether people hear of it. Tells whether it was hidden when it came.
    pub(super) fn judge_opening(&mut self, key: Fingerprint, world: World<'_>, out: &mut Outputs) -> bool {
        let mut cx = cx(&mut self.core, world, out);
        let Some(alert) = self.deduplicator.get(key) else { return false };
        self.suppressor.list(alert, world.index, &cx);
        let judgement = self.suppressor.judge(alert, alert.occurred_at, &self.deduplicator, world.index, &cx);
        let Judgement { by, heard_at, was_hidden, again_at } = judgement;
        let Some(alert) = self.deduplicator.get_mut(key).map(Arc::make_mut) else { return false };
        self.suppressor.note(key, None, by.as_ref());
        alert.heard_at = by.is_none().then_some(heard_at);
        alert.suppressed_by = by.map(Box::new);
        if let Some(at) = again_at {
            cx.set(TimerKind::Suppress, key.0, at);
        }
        was_hidden
    }

    /// An open alert is judged by `at`. Tells whether it is muted or heard now where it was not before.
    pub(super) fn judge(&mut self, key: Fingerprint, at: Timestamp, world: World<'_>, out: &mut Outputs) -> bool {
        let mut cx = cx(&mut self.core, world, out);
        let Some(alert) = self.deduplicator.get(key).filter(|a| a.open) else { return false };
        let at = at.max(alert.occurred_at);
        let Judgement { by, heard_at, again_at, .. } =
            self.suppressor.judge(alert, at, &self.deduplicator, world.index, &cx);
        match again_at {
            Some(at) => cx.set(TimerKind::Suppress, key.0, at),
            None => cx.core.timers.cancel(TimerKind::Suppress, key.0),
        }
        let Some(alert) = self.deduplicator.get(key) else { return false };
        self.suppressor.note(key, alert.suppressed_by.as_deref(), by.as_ref());
        if alert.suppressed_by.as_deref() == by.as_ref() {
            return false;
        }
        let moves = self.join_inhibitor(key, by.as_ref(), world, out);
        let mut cx = self::cx(&mut self.core, world, out);
        let Some(alert) = self.deduplicator.get_mut(key) else { return false };
        let before = std::mem::replace(&mut Arc::make_mut(alert).suppressed_by, by.map(Box::new));
        if alert.switch.is_some() {
            // Whether it is heard or not, it is of no episode.
            say_alert(alert, &mut cx);
            return false;
        }
        let is_heard = alert.suppressed_by.is_none();
        let was_placed = alert.place().is_some();
        if is_heard {
            Arc::make_mut(alert).heard_at = Some(heard_at);
        }
        if before.is_some() && !is_heard {
            // Hidden on, by something else.
            say_alert(alert, &mut cx);
            return false;
        }
        let outgrown = is_heard && was_placed && self.raiser.is_outgrown(alert, false, &self.correlator, &cx);
        let comes = is_heard && (!was_placed || outgrown);
        let episode = if outgrown {
            Some(place_anew(alert, &mut self.correlator, &self.raiser, &mut cx))
        } else if comes {
            Some(place(alert, &mut self.correlator, &self.raiser, &mut cx))
        } else {
            self.correlator.update(alert);
            self.correlator.mute(alert)
        };
        say_alert(alert, &mut cx);
        self.health.assess(alert, &mut cx);
        if let Some(episode) = episode {
            let change = if comes { Change::Opened } else { Change::Count };
            let by = &mut evidence(&mut self.correlator, &self.health, &self.changes);
            self.raiser.decide(alert, change, episode, by, &mut cx);
            self.raiser.on_moved(&moves.episodes, by, &mut cx);
        }
        true
    }

    /// An alert that people were told of before what mutes it was known goes to that one's incident, or takes its own along.
    fn join_inhibitor(
        &mut self,
        key: Fingerprint,
        by: Option<&SuppressedBy>,
        world: World<'_>,
        out: &mut Outputs,
    ) -> Moves {
        let mut moves = Moves::default();
        let cx = &mut cx(&mut self.core, world, out);
        let Some(SuppressedBy::Inhibition { fingerprint: parent, .. }) = by else { return moves };
        let (Some(alert), Some(parent)) = (self.deduplicator.get(key), self.deduplicator.get(*parent)) else {
            return moves;
        };
        let episode = |alert: &Alert| alert.place().and_then(|id| self.correlator.get(id));
        let (Some(from), Some(into)) = (episode(alert), episode(parent)) else { return moves };
        let is_decided = from.members.get(alert.member()).is_none_or(|member| member.reason.is_decided());
        let is_apart = || self.correlator.is_apart(alert, into.id, cx.policy);
        if from.id == into.id || is_decided || is_apart() || !self.raiser.may_leave(from, into, cx) {
            return moves;
        }
        let (into, why) = (into.id, (Reason::Inhibited(parent.entity.clone()), Evidence::default()));
        cx.core.regroupings.moved.model += u64::from(from.incident.is_some());
        let (alerts, raiser) = (&mut self.deduplicator, &mut self.raiser);
        self.correlator.move_alert(key, into, why, alerts, raiser, cx, &mut moves);
        moves
    }

    /// The severity of an open alert changed: it may be muted or mute otherwise. Tells whether that has been said.
    pub(super) fn judge_severity(&mut self, key: Fingerprint, world: World<'_>, out: &mut Outputs) -> bool {
        let cx = cx(&mut self.core, world, out);
        let Some(alert) = self.deduplicator.get(key).filter(|a| a.open) else { return false };
        let at = cx.core.clock;
        self.suppressor.list(alert, world.index, &cx);
        self.judge(key, at, world, out)
    }

    /// An alert opened, or is another severity: those that it may mute are judged.
    pub(super) fn judge_targets(&mut self, key: Fingerprint, world: World<'_>, out: &mut Outputs) {
        let Some(alert) = self.deduplicator.get(key) else { return };
        let at = self.core.clock.max(alert.occurred_at);
        for target in self.suppressor.targets_of(key) {
            let by = self.deduplicator.get(target).and_then(|target| target.suppressed_by.as_deref());
            // What something else hides already is hidden.
            if by.is_none_or(|by| matches!(by, SuppressedBy::Inhibition { fingerprint, .. } if *fingerprint == key)) {
                self.judge(target, at, world, out);
            }
        }
    }

    /// An alert cleared: those that it muted are heard from then on.
    pub(super) fn release_targets(&mut self, key: Fingerprint, world: World<'_>, out: &mut Outputs) {
        let Some(alert) = self.deduplicator.get(key) else { return };
        let at = alert.cleared_at.unwrap_or(self.core.clock);
        self.core.timers.cancel(TimerKind::Suppress, key.0);
        for target in self.suppressor.unlist(alert) {
            self.judge(target, at, world, out);
        }
    }

    /// The policy or the topology is another one.
    pub(crate) fn judge_all(&mut self, world: World<'_>, out: &mut Outputs) {
        let open = self.open_alerts(|_| true);
        self.suppressor.forget_listed();
        for key in &open {
            let cx = cx(&mut self.core, world, out);
            if let Some(alert) = self.deduplicator.get(*key) {
                self.suppressor.list(alert, world.index, &cx);
            }
        }
        self.judge_each(&open, world, out);
    }

    /// A silence begins: it hides the open alerts that it is about at once.
    pub(super) fn create_silence(
        &mut self,
        silence: &Silence,
        force: bool,
        world: World<'_>,
        out: &mut Outputs,
    ) -> Result<String, Refusal> {
        let hits = self.open_alerts(|alert| silence.matchers.matches(&alert));
        let silence = Silence { hits: u32::try_from(hits.len()).unwrap_or(u32::MAX), ..silence.clone() };
        self.suppressor.add_silence(silence.clone(), force, &mut cx(&mut self.core, world, out))?;
        self.judge_each(&hits, world, out);
        let (scope, name) = (self.core.name.clone(), Silence::name(&self.core.name, &silence.id));
        out.say(Body::Silence(Box::new(SilenceUpdate { scope, silence })));
        Ok(name)
    }

    /// A silence ends now.
    pub(super) fn expire_silence(&mut self, id: &str, world: World<'_>, out: &mut Outputs) -> Result<String, Refusal> {
        let at = self.core.clock;
        self.suppressor.end_silence(id, at, &mut cx(&mut self.core, world, out))?;
        self.let_go(&SuppressedBy::Silence(id.into()), at, world, out);
        let scope = self.core.name.clone();
        if let Some(silence) = self.suppressor.silence(id) {
            out.say(Body::Silence(Box::new(SilenceUpdate { scope, silence: silence.clone() })));
        }
        Ok(Silence::name(&self.core.name, id))
    }

    /// A maintenance window is announced; if it has begun it hides the open alerts that it is about at once.
    pub(super) fn create_window(
        &mut self,
        window: &Maintenance,
        world: World<'_>,
        out: &mut Outputs,
    ) -> Result<String, Refusal> {
        self.suppressor.add_window(window.clone(), &mut cx(&mut self.core, world, out))?;
        let hits = self.open_alerts(|alert| window.what.matches(&alert));
        self.judge_each(&hits, world, out);
        let scope = self.core.name.clone();
        out.say(Body::Window(Box::new(WindowUpdate { scope, window: window.clone() })));
        Ok(Maintenance::name(&self.core.name, &window.id))
    }

    /// A maintenance window is over now, and does not come again.
    pub(super) fn expire_window(&mut self, id: &str, world: World<'_>, out: &mut Outputs) -> Result<String, Refusal> {
        let at = self.core.clock;
        self.suppressor.end_window(id, at, &mut cx(&mut self.core, world, out))?;
        self.let_go(&SuppressedBy::Maintenance(id.into()), at, world, out);
        let scope = self.core.name.clone();
        if let Some(window) = self.suppressor.window(id) {
            out.say(Body::Window(Box::new(WindowUpdate { scope, window: window.clone() })));
        }
        Ok(Maintenance::name(&self.core.name, id))
    }

    /// Silences and windows.
    pub const fn suppressor(&self) -> &Suppressor {
        &self.suppressor
    }

    fn let_go(&mut self, by: &SuppressedBy, at: Timestamp, world: World<'_>, out: &mut Outputs) {
        let open = self.deduplicator.iter().filter(|alert| alert.open && alert.suppressed_by.as_deref() == Some(by));
        let mut hidden: Vec<_> = open.map(|alert| alert.fingerprint).collect();
        hidden.sort_unstable();
        for key in hidden {
            self.judge(key, at, world, out);
        }
    }

    /// In the order of their fingerprints. It looks at every alert: people ask for it, not events.
    fn open_alerts(&self, is_meant: impl Fn(AlertView<'_>) -> bool) -> Vec<Fingerprint> {
        let open = self.deduplicator.iter().filter(|alert| alert.open && is_meant(AlertView::from(&***alert)));
        let mut keys: Vec<_> = open.map(|alert| alert.fingerprint).collect();
        keys.sort_unstable();
        keys
    }

    fn judge_each(&mut self, keys: &[Fingerprint], world: World<'_>, out: &mut Outputs) {
        for key in keys {
            self.judge(*key, self.core.clock, world, out);
        }
    }
}
