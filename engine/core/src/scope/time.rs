//! Time passes: the clock of a scope, and what is due by it.
use super::{Scope, World, cx, evidence, say_alert};
use crate::{
    domain::{
        alert::Fingerprint,
        correction::CorrectionId,
        episode::EpisodeId,
        incident::IncidentId,
        policy::Clock,
        time::{Span, Timestamp},
    },
    output::Outputs,
    stages::absence,
    timers::{Timer, TimerKind},
};
use std::sync::Arc;

/// How far a clock may run ahead of the slowest source that feeds it.
const REACH_SLACK: Span = Span::seconds(10);

impl Scope {
    /// Time passes for everyone.
    pub fn on_tick(&mut self, wall: Timestamp, world: World<'_>, out: &mut Outputs) {
        self.core.top = self.core.top.max(wall);
        self.advance(world, out);
    }

    /// A source that feeds it has been read further.
    pub fn on_reach(&mut self, source: usize, world: World<'_>, out: &mut Outputs) {
        if self.core.feeds.contains(&source) {
            self.advance(world, out);
        }
    }

    /// Time passes until nothing more can happen.
    pub fn on_settle(&mut self, world: World<'_>, out: &mut Outputs) {
        self.scorer.on_settle(&mut cx(&mut self.core, world, out));
        self.fire(Timestamp::MAX, world, out);
    }

    /// Moves the clock to the highest time folded, but not past the slowest source that feeds the scope.
    pub(super) fn advance(&mut self, world: World<'_>, out: &mut Outputs) {
        let hold = match world.policy.clock {
            Clock::Events => Timestamp::MAX,
            Clock::Wall => {
                let reaches = self.core.feeds.iter().filter_map(|s| world.reaches.get(*s).copied().flatten());
                reaches.min().map_or(Timestamp::MAX, |lowest| lowest + REACH_SLACK)
            }
        };
        let to = self.core.top.min(hold);
        self.fire(to, world, out);
        self.core.clock = self.core.clock.max(to);
    }

    /// Each timer fires at its own time, as if the scope had been looked at just then.
    fn fire(&mut self, to: Timestamp, world: World<'_>, out: &mut Outputs) {
        while let Some(timer) = self.core.timers.pop(to) {
            self.core.clock = self.core.clock.max(timer.fires_at);
            self.on_timer(timer, world, out);
        }
    }

    fn on_timer(&mut self, timer: Timer, world: World<'_>, out: &mut Outputs) {
        let mut cx = cx(&mut self.core, world, out);
        let (key, due) = (Fingerprint(timer.id), timer.due);
        // Ids of episodes and incidents are 64 bits wide.
        let id = timer.id as u64;
        let by = &mut evidence(&mut self.correlator, &self.health, &self.changes);
        let mut found = Vec::new();
        match timer.kind {
            TimerKind::Suppress => {
                self.judge(key, due, world, out);
            }
            TimerKind::Calm => self.scorer.on_calm(key, due, &mut cx, &mut found),
            TimerKind::Silent => self.scorer.on_silent(key, due, &mut cx, &mut found),
            TimerKind::BurstEnd => found.extend(self.scorer.on_burst_end(id, due, &mut cx)),
            TimerKind::ForgetSeries => self.scorer.on_sweep(due, &mut cx, &mut found),
            TimerKind::Revise => {
                let (alerts, raiser) = (&mut self.deduplicator, &mut self.raiser);
                let moves = self.correlator.on_revise(key, due, alerts, raiser, &mut cx);
                self.tell(moves, world, out);
            }
            TimerKind::Settle => {
                if let Some(alert) = self.deduplicator.get(key) {
                    self.raiser.on_settle(alert, due, by, &mut cx);
                }
            }
            TimerKind::Many => self.raiser.on_many(EpisodeId(id), due, by, &mut cx),
            TimerKind::SpeakAlert => {
                if let Some(alert) = self.deduplicator.get_mut(key).filter(|a| a.unsaid) {
                    say_alert(alert, &mut cx);
                }
            }
            TimerKind::Branch => self.raiser.on_branch(IncidentId(id), by, &mut cx),
            TimerKind::SpeakIncident => self.raiser.on_speak(IncidentId(id), by, &mut cx),
            TimerKind::SpeakServices => self.health.on_speak(&mut cx),
            TimerKind::Orphan => self.deduplicator.on_orphan(key, &mut cx),
            TimerKind::AutoClear => {
                if let Some(change) = self.deduplicator.on_auto_clear(key, due, &mut cx) {
                    self.follow(key, change, world, out);
                }
            }
            TimerKind::Resolve => self.raiser.on_resolve(IncidentId(id), due, by, &mut cx),
            TimerKind::Flap => {
                if let Some(change) = self.deduplicator.on_flap(key, due, &mut cx) {
                    self.follow(key, change, world, out);
                }
            }
            TimerKind::Absence => {
                let alert = self.deduplicator.get_mut(key).map(Arc::make_mut);
                if let Some(event) = alert.and_then(|alert| absence::on_timer(alert, due, &mut cx)) {
                    self.derive(&event, world, out);
                }
            }
            TimerKind::EndEpisode => self.correlator.on_end(EpisodeId(id), due, &mut cx),
            TimerKind::Close => self.raiser.on_close(IncidentId(id), due, by, &mut cx),
            TimerKind::ForgetAlert => {
                let may_go_on = self.deduplicator.may_go_on_until(key, &cx).filter(|(until, _)| *until > due);
                match may_go_on.filter(|(_, alert)| self.raiser.may_reopen(alert, by.correlator)) {
                    Some((until, _)) => cx.set(TimerKind::ForgetAlert, key.0, until),
                    None => self.deduplicator.on_forget(key, due, &mut cx),
                }
            }
            TimerKind::ForgetSuppressor => self.suppressor.on_forget(id, due, &mut cx),
            TimerKind::ForgetCorrection => self.forget_correction(CorrectionId(id), world, out),
            TimerKind::ForgetIncident => self.raiser.on_forget(IncidentId(id), &mut self.correlator, &mut cx),
        }
        self.conclude(found, world, out);
    }
}
