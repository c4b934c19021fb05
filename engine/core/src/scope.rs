//! The unit of the fold: its own clock, ids, counters and limits; nothing crosses it (design rule 1).
use crate::{
    domain::{
        alert::{Alert, Fingerprint},
        episode::EpisodeId,
        event::{Event, Kind},
        incident::IncidentId,
        policy::{Clock, Policy},
        time::{Span, Timestamp},
        topology::Topology,
    },
    ledger::{Ledger, Outcome},
    output::{AlertUpdate, Body, IncidentUpdate, Outputs, ServiceUpdate, Verdict},
    stages::{
        assess::HealthBoard,
        correlate::{Correlator, Moves, tables::Tables},
        deduplicate::{Change, Deduplicator, event_key},
        raise::Raiser,
    },
    timers::{Timer, TimerKind, Timers},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, sync::Arc};

/// What every stage of a scope shares.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Core {
    pub name: Arc<str>,
    /// The highest time folded, held back by the reach of the sources that feed it (design rule 6).
    pub clock: Timestamp,
    /// The highest time folded.
    top: Timestamp,
    /// Indexes of the source partitions that feed it.
    feeds: BTreeSet<usize>,
    pub timers: Timers,
    pub ledger: Ledger,
    /// Things made so far.
    ordinal: u64,
    /// Alerts and incidents that a limit made go.
    pub evicted: u64,
}

impl Core {
    /// Tells things of one fingerprint and moment apart.
    pub const fn next_ordinal(&mut self) -> u64 {
        self.ordinal += 1;
        self.ordinal
    }
}

/// What a stage works with.
#[derive(Debug)]
pub struct Cx<'a> {
    pub core: &'a mut Core,
    pub policy: &'a Policy,
    pub topology: &'a Topology,
    pub tables: &'a Tables,
    pub out: &'a mut Outputs,
}

impl Cx<'_> {
    /// No event older than this is in time.
    pub fn watermark(&self) -> Timestamp {
        self.core.clock - self.policy.deduplicate.lateness
    }

    /// Sets a timer, in place of an earlier one of that kind and id.
    pub fn set(&mut self, kind: TimerKind, id: u128, due: Timestamp) {
        self.core.timers.set(kind, id, due, self.policy.deduplicate.lateness);
    }
}

/// What a scope sees of the world outside it.
#[derive(Clone, Copy, Debug)]
pub struct World<'a> {
    pub policy: &'a Policy,
    pub topology: &'a Topology,
    /// Of the policy.
    pub tables: &'a Tables,
    /// By source index: how far it is read; `None` where it feeds no more.
    pub reaches: &'a [Option<Timestamp>],
}

/// How far a clock may run ahead of the slowest source that feeds it.
const REACH_SLACK: Span = Span::seconds(10);

/// A scope.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Scope {
    core: Core,
    deduplicator: Deduplicator,
    correlator: Correlator,
    health: HealthBoard,
    raiser: Raiser,
}

impl Scope {
    /// A scope of which the first event is about to come.
    pub fn new(name: Arc<str>) -> Self {
        let core = Core {
            name,
            clock: Timestamp::MIN,
            top: Timestamp::MIN,
            feeds: BTreeSet::new(),
            timers: Timers::default(),
            ledger: Ledger::default(),
            ordinal: 0,
            evicted: 0,
        };
        Self {
            core,
            deduplicator: Deduplicator::default(),
            correlator: Correlator::default(),
            health: HealthBoard::default(),
            raiser: Raiser::default(),
        }
    }

    /// Says the services of a new topology.
    pub fn introduce(&mut self, world: World<'_>, out: &mut Outputs) {
        self.health.introduce(&mut cx(&mut self.core, world, out));
    }

    /// The whole product.
    pub fn on_event(&mut self, event: &Event, source: Option<usize>, world: World<'_>, out: &mut Outputs) {
        let at = match world.policy.clock {
            Clock::Wall => event.time.min(event.arrival),
            Clock::Events => event.time,
        };
        self.core.feeds.extend(source);
        self.core.top = self.core.top.max(at);
        self.advance(world, out);
        if self.core.ledger.received() == 0 {
            self.introduce(world, out);
        }

        let mut cx = cx(&mut self.core, world, out);
        cx.core.ledger.receive();
        let (key, redelivered) = self.deduplicator.is_redelivered(event, &mut cx);
        if redelivered {
            return cx.decide(event, key, Outcome::Redelivered, None);
        }
        match event.kind {
            Kind::Sample => return cx.decide(event, key, Outcome::Sampled, None),
            Kind::Log | Kind::Change => return cx.decide(event, key, Outcome::Noted, None),
            Kind::Alert => {}
        }
        let (outcome, alert) = self.take(event, key, at, world, out);
        if let Some(outcome) = outcome {
            let alert = self.deduplicator.get(alert).filter(|_| outcome != Outcome::OrphanResolve);
            self::cx(&mut self.core, world, out).decide(event, key, outcome, alert);
        }
    }

    /// What the engine itself found takes the road of an event. It stands in no ledger: nobody sent it. `event.time` is
    /// the clock, or the due time of the timer that found it. A recovery is derived only while its alert is open.
    pub(crate) fn derive(&mut self, event: &Event, world: World<'_>, out: &mut Outputs) {
        let key = event_key(&event.origin, &event.id);
        self.take(event, key, event.time, world, out);
    }

    fn take(
        &mut self,
        event: &Event,
        key: u64,
        at: Timestamp,
        world: World<'_>,
        out: &mut Outputs,
    ) -> (Option<Outcome>, Fingerprint) {
        let absorbed = self.deduplicator.absorb(event, key, at, &mut cx(&mut self.core, world, out));
        for alert in absorbed.evicted {
            self.follow(alert, Change::Evicted, world, out);
        }
        for change in [absorbed.change, absorbed.then].into_iter().flatten() {
            self.follow(absorbed.alert, change, world, out);
        }
        (absorbed.outcome, absorbed.alert)
    }

    /// An alert changed: correlate, assess, raise.
    fn follow(&mut self, key: Fingerprint, change: Change, world: World<'_>, out: &mut Outputs) {
        let mut cx = cx(&mut self.core, world, out);
        if change == Change::Recovered {
            self.deduplicator.release_held(key, &mut cx);
        }
        let Some(alert) = self.deduplicator.get_mut(key) else { return };
        let episode = match change {
            Change::Opened | Change::Reopened => Some(self.correlator.place(alert, &self.raiser, &mut cx)),
            Change::Cleared | Change::Recovered | Change::Evicted => self.correlator.clear(alert, &mut cx),
            Change::Severity => self.correlator.update(alert),
            Change::Count => {
                if !alert.unsaid {
                    alert.unsaid = true;
                    cx.set(TimerKind::SpeakAlert, key.0, alert.said_at + world.policy.deduplicate.count_interval);
                }
                return;
            }
        };
        say_alert(alert, &mut cx);
        self.health.assess(alert, &mut cx);
        if let Some(episode) = episode {
            self.raiser.decide(alert, episode, &mut self.correlator, &mut cx);
        }
        if change == Change::Evicted {
            self.deduplicator.forget(key, &mut cx);
        }
    }

    /// Alerts have changed their episodes: they say so, and the episodes raise otherwise.
    fn tell(&mut self, moves: Moves, world: World<'_>, out: &mut Outputs) {
        let mut cx = cx(&mut self.core, world, out);
        for key in moves.alerts {
            if let Some(alert) = self.deduplicator.get_mut(key) {
                say_alert(alert, &mut cx);
                self.raiser.on_alert_moved(alert, &self.correlator, &mut cx);
            }
        }
        self.raiser.on_moved(&moves.episodes, &mut self.correlator, &mut cx);
    }

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
        self.fire(Timestamp::MAX, world, out);
    }

    /// Moves the clock to the highest time folded, but not past the slowest source that feeds the scope.
    fn advance(&mut self, world: World<'_>, out: &mut Outputs) {
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
        match timer.kind {
            TimerKind::Revise => {
                let (alerts, raiser) = (&mut self.deduplicator, &mut self.raiser);
                let moves = self.correlator.on_revise(key, due, alerts, raiser, &mut cx);
                self.tell(moves, world, out);
            }
            TimerKind::Settle => {
                if let Some(alert) = self.deduplicator.get(key) {
                    self.raiser.on_settle(alert, due, &mut self.correlator, &mut cx);
                }
            }
            TimerKind::Many => self.raiser.on_many(EpisodeId(id), due, &mut self.correlator, &mut cx),
            TimerKind::SpeakAlert => {
                if let Some(alert) = self.deduplicator.get_mut(key).filter(|a| a.unsaid) {
                    say_alert(alert, &mut cx);
                }
            }
            TimerKind::SpeakIncident => self.raiser.on_speak(IncidentId(id), &self.correlator, &mut cx),
            TimerKind::SpeakServices => self.health.on_speak(&mut cx),
            TimerKind::Orphan => self.deduplicator.on_orphan(key, &mut cx),
            TimerKind::AutoClear => {
                if let Some(change) = self.deduplicator.on_auto_clear(key, due, &mut cx) {
                    self.follow(key, change, world, out);
                }
            }
            TimerKind::Resolve => self.raiser.on_resolve(IncidentId(id), due, &self.correlator, &mut cx),
            TimerKind::EndEpisode => self.correlator.on_end(EpisodeId(id), due, &mut cx),
            TimerKind::Close => self.raiser.on_close(IncidentId(id), due, &self.correlator, &mut cx),
            TimerKind::ForgetAlert => self.deduplicator.on_forget(key, due, &mut cx),
            TimerKind::ForgetIncident => self.raiser.on_forget(IncidentId(id), &mut self.correlator, &mut cx),
        }
    }

    /// Its name.
    pub const fn name(&self) -> &Arc<str> {
        &self.core.name
    }

    /// Its clock.
    pub const fn clock(&self) -> Timestamp {
        self.core.clock
    }

    /// Where its events went.
    pub const fn ledger(&self) -> &Ledger {
        &self.core.ledger
    }

    /// Alerts and incidents that a limit made go.
    pub const fn evicted(&self) -> u64 {
        self.core.evicted
    }

    /// Episodes that are kept.
    pub fn episodes(&self) -> usize {
        self.correlator.iter().count()
    }

    /// Timers that are set.
    pub fn timers(&self) -> usize {
        self.core.timers.len()
    }

    /// The source feeds no more.
    pub fn on_source_removed(&mut self, source: usize) {
        self.core.feeds.remove(&source);
    }

    /// Everything that is kept, as outputs would say it.
    pub fn view(&mut self, world: World<'_>) -> View {
        let mut out = Outputs::default();
        let scope = self.core.name.clone();
        let alerts = self.deduplicator.iter().cloned();
        let alerts = alerts.map(|alert| AlertUpdate { scope: scope.clone(), alert }).collect();
        let incident = |i| Some(self.raiser.update(i, self.correlator.get(i.episode)?, &scope));
        let incidents = self.raiser.iter().filter_map(incident).collect();
        let services = self.health.updates(&cx(&mut self.core, world, &mut out)).collect();
        View { alerts, incidents, services }
    }
}

#[cfg(test)]
impl Scope {
    /// For tests of stages that no input reaches yet.
    pub(crate) fn stages(&mut self) -> (&mut Core, &mut Deduplicator, &mut Correlator, &mut Raiser) {
        (&mut self.core, &mut self.deduplicator, &mut self.correlator, &mut self.raiser)
    }
}

/// What a scope keeps, in no order.
#[derive(Debug, Default)]
pub struct View {
    pub alerts: Vec<AlertUpdate>,
    pub incidents: Vec<IncidentUpdate>,
    pub services: Vec<ServiceUpdate>,
}

fn cx<'a>(core: &'a mut Core, world: World<'a>, out: &'a mut Outputs) -> Cx<'a> {
    Cx { core, policy: world.policy, topology: world.topology, tables: world.tables, out }
}

fn say_alert(alert: &mut Alert, cx: &mut Cx<'_>) {
    alert.said_at = cx.core.clock;
    alert.unsaid = false;
    let scope = cx.core.name.clone();
    cx.out.say(Body::Alert(Box::new(AlertUpdate { scope, alert: alert.clone() })));
}

impl Cx<'_> {
    /// An event has its outcome.
    fn decide(&mut self, event: &Event, key: u64, outcome: Outcome, alert: Option<&Alert>) {
        self.core.ledger.count(&event.origin, outcome, self.policy.limits.origins);
        if let Some(trace) = &mut self.out.trace {
            let (alert, episode) = (alert.map(|a| a.id), alert.and_then(|a| a.episode));
            trace.verdicts.push(Verdict { event: key, outcome, alert, episode });
        }
    }
}
