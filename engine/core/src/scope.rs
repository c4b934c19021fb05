//! The unit of the fold: its own clock, ids, counters and limits; nothing crosses it (design rule 1).
use crate::{
    domain::{
        alert::{Alert, Fingerprint},
        command::CommandResult,
        episode::EpisodeId,
        event::{Event, Kind, ORIGIN, Status},
        maintenance::Maintenance,
        matcher::AlertView,
        policy::{Clock, Policy},
        recurrence::Problem,
        silence::Silence,
        time::Timestamp,
        topology::{Topologies, Topology},
    },
    ledger::{Ledger, Outcome},
    output::{
        AlertUpdate, Body, CorrectionUpdate, IncidentUpdate, Outputs, ProblemUpdate, ServiceUpdate, SilenceUpdate,
        Verdict, WindowUpdate,
    },
    requests::Requests,
    stages::{
        absence,
        assess::HealthBoard,
        changes::Changes,
        correlate::{Correlator, Moves, tables::Tables},
        deduplicate::{Change, Deduplicator, event_key},
        enrich,
        raise::{Evidence, Held, History, Raiser, Times},
        score::{Finding, Scorer},
        suppress::{PolicyIndex, Suppressor},
    },
    timers::{TimerKind, Timers},
    totals::{Evicted, Regroupings, Suggestions, Totals},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, sync::Arc};

mod apart;
mod commands;
mod correct;
mod regroup;
mod suppression;
mod time;

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
    /// Alerts that were ever opened.
    pub alerts_opened: u64,
    /// Episodes that were ever founded.
    pub episodes_founded: u64,
    /// Alerts that the model moved and episodes that it merged when it looked again.
    pub revisions: u64,
    /// What became of incidents that people were told of.
    pub regroupings: Regroupings,
    /// What it only suggested.
    pub suggestions: Suggestions,
    /// Alerts in episodes, of origins that tell of no ends.
    pub endless: u64,
    /// Storms of incidents,
    pub storms: u64,
    /// and incidents that became their branches.
    pub branches: u64,
    /// What a limit made go.
    pub evicted: Evicted,
    /// What open incidents are about.
    pub held: Held,
    /// Incidents that are over, and what comes back.
    pub history: History,
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
    /// The newest.
    pub topology: &'a Topology,
    /// Those of earlier moments too.
    pub topologies: &'a Topologies,
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
    pub topologies: &'a Topologies,
    /// The policy's windows and rules of inhibition.
    pub index: &'a PolicyIndex,
    /// Of the policy.
    pub tables: &'a Tables,
    /// By source index: how far it is read; `None` where it feeds no more.
    pub reaches: &'a [Option<Timestamp>],
}

/// A scope.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Scope {
    core: Core,
    deduplicator: Deduplicator,
    suppressor: Suppressor,
    scorer: Scorer,
    correlator: Correlator,
    health: HealthBoard,
    changes: Changes,
    raiser: Raiser,
    requests: Requests,
    /// Those that only asked something: they push out none that decided something.
    questions: Requests,
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
            alerts_opened: 0,
            episodes_founded: 0,
            revisions: 0,
            regroupings: Regroupings::default(),
            suggestions: Suggestions::default(),
            endless: 0,
            storms: 0,
            branches: 0,
            evicted: Evicted::default(),
            held: Held::default(),
            history: History::default(),
        };
        Self {
            core,
            deduplicator: Deduplicator::default(),
            suppressor: Suppressor::default(),
            scorer: Scorer::default(),
            correlator: Correlator::default(),
            health: HealthBoard::default(),
            changes: Changes::default(),
            raiser: Raiser::default(),
            requests: Requests::default(),
            questions: Requests::default(),
        }
    }

    /// Policy or topology is another one: says the services that are new or do otherwise by it.
    pub fn introduce(&mut self, world: World<'_>, out: &mut Outputs) {
        self.scorer.rebind();
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
            Kind::Sample => return self.on_sample(event, key, at, world, out),
            Kind::Change => {
                let change = self.changes.note(event, at, &mut cx);
                let by = &evidence(&mut self.correlator, &self.health, &self.changes);
                self.raiser.on_change(&change, by, &mut cx);
                return cx.decide(event, key, Outcome::Noted, None);
            }
            Kind::Log => return cx.decide(event, key, Outcome::Noted, None),
            Kind::Alert => {}
        }
        let (outcome, fingerprint, hidden) = self.take(event, key, at, world, out);
        let Some(outcome) = outcome else { return };
        let alert = self.deduplicator.get(fingerprint);
        let hidden = hidden || alert.is_some_and(|alert| alert.open && alert.suppressed_by.is_some());
        let outcome = match outcome {
            Outcome::Opened | Outcome::Reopened | Outcome::Folded if hidden && event.status == Status::Firing => {
                Outcome::Suppressed
            }
            outcome => outcome,
        };
        let alert = alert.filter(|_| outcome != Outcome::OrphanResolve);
        self::cx(&mut self.core, world, out).decide(event, key, outcome, alert);
    }

    fn on_sample(&mut self, event: &Event, key: u64, at: Timestamp, world: World<'_>, out: &mut Outputs) {
        let series = self.deduplicator.fingerprint(event);
        let mut found = Vec::new();
        let (in_maintenance, held) = self.is_disturbed(event, at, world, out);
        let mut cx = cx(&mut self.core, world, out);
        let outcome =
            self.scorer.take(series, event, (at, !in_maintenance && !held, in_maintenance), &mut cx, &mut found);
        cx.decide(event, key, outcome, None);
        if in_maintenance {
            found.iter_mut().for_each(Finding::excuse);
        }
        self.conclude(found, world, out);
    }

    /// Whether what a sample is of is under maintenance, and whether an open incident is about it: what it does then is not
    /// as usual.
    fn is_disturbed(&mut self, event: &Event, at: Timestamp, world: World<'_>, out: &mut Outputs) -> (bool, bool) {
        let has_windows = self.suppressor.has_windows(world.index);
        if !has_windows && self.core.held.is_empty() {
            return (false, false);
        }
        let topology = world.topologies.at(at);
        let services = enrich::services(topology, event);
        let held = self.core.held.holds(&event.entity, &services);
        let labels = if has_windows { enrich::labels(topology, event) } else { Arc::default() };
        let view = AlertView {
            entity: &event.entity,
            check: &event.check,
            origin: &event.origin,
            services: &services,
            severity: event.severity,
            summary: &event.summary,
            labels: &labels,
        };
        let cx = cx(&mut self.core, world, out);
        (has_windows && self.suppressor.in_maintenance(&view, at, world.index, &cx), held)
    }

    /// What the scorer found is assessed, or takes the road of an event.
    fn conclude(&mut self, found: impl IntoIterator<Item = Finding>, world: World<'_>, out: &mut Outputs) {
        for finding in found {
            match finding {
                Finding::Kpi(measured) => self.health.measure(&measured, &mut cx(&mut self.core, world, out)),
                Finding::Event(mut event) => {
                    event.scope = self.core.name.to_string();
                    self.derive(&event, world, out);
                }
            }
        }
    }

    /// What the engine itself found takes the road of an event. It stands in no ledger: nobody sent it. `event.time` is
    /// that of the sample, or the due time of the timer, that found it. A recovery is heard only while its alert is open.
    pub(crate) fn derive(&mut self, event: &Event, world: World<'_>, out: &mut Outputs) {
        if event.status == Status::Resolved && !self.deduplicator.find(event).is_some_and(|alert| alert.firing) {
            return;
        }
        let key = event_key(&event.origin, &event.id);
        self.take(event, key, event.time, world, out);
    }

    /// The outcome, unless it is still open; the alert; whether it opened and was hidden when it came.
    fn take(
        &mut self,
        event: &Event,
        key: u64,
        at: Timestamp,
        world: World<'_>,
        out: &mut Outputs,
    ) -> (Option<Outcome>, Fingerprint, bool) {
        let absorbed = self.deduplicator.absorb(event, key, at, &mut cx(&mut self.core, world, out));
        for alert in absorbed.evicted {
            self.follow(alert, Change::Evicted, world, out);
        }
        if absorbed.outdated {
            self.enrich_anew(absorbed.alert, event, at, world, out);
        }
        let mut hidden = false;
        for change in [absorbed.change, absorbed.then].into_iter().flatten() {
            hidden |= self.follow(absorbed.alert, change, world, out);
        }
        (absorbed.outcome, absorbed.alert, hidden)
    }

    /// An open alert speaks of other services since the topology is another one: they suffer, those that are no longer its own do
    /// not, and its incident touches them. Where it was placed it stays.
    fn enrich_anew(&mut self, key: Fingerprint, event: &Event, at: Timestamp, world: World<'_>, out: &mut Outputs) {
        let services = enrich::services(world.topologies.at(at), event);
        let Some(alert) = self.deduplicator.get_mut(key).filter(|alert| alert.services != services) else { return };
        let gone = alert.services.iter().filter(|service| !services.contains(service)).cloned().collect();
        let before = Alert { services: gone, open: false, ..Alert::clone(alert) };
        Arc::make_mut(alert).services = services;
        let mut cx = cx(&mut self.core, world, out);
        self.health.assess(&before, &mut cx);
        if !self.judge_severity(key, world, out) {
            let mut cx = self::cx(&mut self.core, world, out);
            let Some(alert) = self.deduplicator.get_mut(key) else { return };
            self.correlator.update(alert);
            say_alert(alert, &mut cx);
            self.health.assess(alert, &mut cx);
        }
        self.judge_targets(key, world, out);
        if let Some(alert) = self.deduplicator.get(key) {
            let by = &evidence(&mut self.correlator, &self.health, &self.changes);
            self.raiser.on_enriched(alert, by, &mut self::cx(&mut self.core, world, out));
        }
    }

    /// An alert changed: suppress, correlate, assess, raise. Tells whether one that opened was hidden when it came.
    fn follow(&mut self, key: Fingerprint, change: Change, world: World<'_>, out: &mut Outputs) -> bool {
        let hidden = match change {
            Change::Opened | Change::Reopened => self.judge_opening(key, world, out),
            Change::Severity { .. } if self.judge_severity(key, world, out) => {
                self.judge_targets(key, world, out);
                return false;
            }
            _ => false,
        };
        if matches!(change, Change::Opened | Change::Reopened) {
            self.recognise(key, world, out);
        }
        self.show(key, change, world, out);
        match change {
            Change::Opened | Change::Reopened | Change::Severity { .. } => self.judge_targets(key, world, out),
            Change::Cleared | Change::Recovered | Change::Evicted => self.release_targets(key, world, out),
            Change::FlapStarted | Change::FlapEnded | Change::Count => {}
        }
        if change == Change::Evicted {
            self.deduplicator.forget(key, &mut cx(&mut self.core, world, out));
        }
        if matches!(change, Change::Opened | Change::Reopened) {
            self.count_opening(key, world, out);
        }
        hidden
    }

    /// An alert that opens may come at its hour.
    fn recognise(&mut self, key: Fingerprint, world: World<'_>, out: &mut Outputs) {
        let Some(alert) = self.deduplicator.get_mut(key).filter(|alert| alert.switch.is_none()) else { return };
        let known = self.scorer.at_its_hour(alert, &mut cx(&mut self.core, world, out));
        if alert.at_its_hour() != known.as_deref() {
            Arc::make_mut(alert).set_at_its_hour(known);
        }
    }

    /// Many alerts of one check at once are a burst.
    fn count_opening(&mut self, key: Fingerprint, world: World<'_>, out: &mut Outputs) {
        // Of what the engine says itself no rate is kept: a burst would be one of its own.
        let Some(alert) = self.deduplicator.get(key).filter(|a| *a.origin != *ORIGIN) else { return };
        let burst = self.scorer.on_opened(&alert.check, &mut cx(&mut self.core, world, out));
        self.conclude(burst, world, out);
    }

    fn show(&mut self, key: Fingerprint, change: Change, world: World<'_>, out: &mut Outputs) {
        let mut cx = cx(&mut self.core, world, out);
        if change == Change::Recovered {
            self.deduplicator.release_held(key, &mut cx);
        }
        let Some(alert) = self.deduplicator.get_mut(key) else { return };
        if change == Change::Count && !alert.unsaid {
            Arc::make_mut(alert).unsaid = true;
            cx.set(TimerKind::SpeakAlert, key.0, alert.said_at + world.policy.deduplicate.count_interval);
        }
        if alert.switch.is_some() {
            return self.follow_switch(key, change, world, out);
        }
        let episode = match change {
            Change::Opened | Change::Reopened if alert.suppressed_by.is_some() => None,
            // It may have been hidden when it came, and is heard since.
            Change::Opened | Change::Reopened => Some(place(alert, &mut self.correlator, &self.raiser, &mut cx)),
            Change::Cleared | Change::Recovered | Change::Evicted => self.correlator.clear(alert, &mut cx),
            Change::Severity { rose } if self.raiser.is_outgrown(alert, rose, &self.correlator, &cx) => {
                Some(place_anew(alert, &mut self.correlator, &self.raiser, &mut cx))
            }
            Change::Severity { .. } | Change::FlapStarted | Change::FlapEnded => self.correlator.update(alert),
            Change::Count => return,
        };
        if alert.flapping && matches!(change, Change::FlapStarted | Change::Reopened) {
            // What flaps ties nothing together: its place is looked at again.
            cx.set(TimerKind::Revise, key.0, cx.core.clock);
        }
        say_alert(alert, &mut cx);
        self.health.assess(alert, &mut cx);
        if let Some(episode) = episode {
            let by = &mut evidence(&mut self.correlator, &self.health, &self.changes);
            self.raiser.decide(alert, change, episode, by, &mut cx);
        }
    }

    /// A dead man's switch is kept as an alert and has no other consequence than that of its silence.
    fn follow_switch(&mut self, key: Fingerprint, change: Change, world: World<'_>, out: &mut Outputs) {
        let mut cx = cx(&mut self.core, world, out);
        let Some(alert) = self.deduplicator.get_mut(key) else { return };
        if change != Change::Count {
            say_alert(alert, &mut cx);
        }
        let found = match change {
            Change::Evicted => None,
            Change::Cleared | Change::Recovered if alert.expired => None,
            Change::Cleared | Change::Recovered => absence::on_resolved(Arc::make_mut(alert), &mut cx),
            _ => absence::on_heard(Arc::make_mut(alert), &mut cx),
        };
        if let Some(event) = found {
            self.derive(&event, world, out);
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
        let by = &mut evidence(&mut self.correlator, &self.health, &self.changes);
        self.raiser.on_moved(&moves.episodes, by, &mut cx);
        for suggestion in &moves.suggestions {
            let alert = suggestion.alert.and_then(|key| self.deduplicator.get(key));
            self.raiser.suggest(suggestion, alert, by, &mut cx);
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

    /// What was ever made.
    pub const fn totals(&self) -> Totals {
        let Core {
            alerts_opened,
            episodes_founded,
            revisions,
            regroupings,
            suggestions,
            endless,
            storms,
            branches,
            ..
        } = self.core;
        let incidents = self.raiser.announced();
        Totals {
            alerts: alerts_opened,
            episodes: episodes_founded,
            incidents,
            revisions,
            regroupings,
            suggestions,
            endless,
            storms,
            branches,
        }
    }

    /// What a limit made go.
    pub const fn evicted(&self) -> Evicted {
        self.core.evicted
    }

    /// How long detection, acknowledgement and resolution took.
    pub const fn times(&self) -> &Times {
        self.raiser.times()
    }

    /// What is remembered of incidents that are over.
    pub const fn history(&self) -> &History {
        &self.core.history
    }

    /// Episodes that are kept.
    pub fn episodes(&self) -> usize {
        self.correlator.kept()
    }

    /// Measured series that are kept.
    pub fn series(&self) -> usize {
        self.scorer.len()
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
        let incident = |i| self.raiser.update(i, &self.correlator, &scope);
        let incidents = self.raiser.iter().filter_map(incident).collect();
        let services = self.health.updates(&cx(&mut self.core, world, &mut out)).collect();
        let results = self.requests.iter().chain(self.questions.iter()).cloned().collect();
        let silence = |s: &Silence| SilenceUpdate { scope: scope.clone(), silence: s.clone() };
        let window = |w: &Maintenance| WindowUpdate { scope: scope.clone(), window: w.clone() };
        let silences = self.suppressor.silences().map(silence).collect();
        let windows = self.suppressor.windows().map(window).collect();
        let problem = |problem: &Arc<Problem>| ProblemUpdate { scope: scope.clone(), problem: problem.clone() };
        let problems = self.core.history.problems().map(problem).collect();
        let corrections = self.correlator.corrections();
        let corrections =
            corrections.map(|c| CorrectionUpdate { scope: scope.clone(), correction: c.clone() }).collect();
        View { alerts, incidents, services, results, silences, windows, problems, corrections }
    }
}

/// What a scope keeps, in no order.
#[derive(Debug, Default)]
pub struct View {
    pub alerts: Vec<AlertUpdate>,
    pub incidents: Vec<IncidentUpdate>,
    pub services: Vec<ServiceUpdate>,
    pub results: Vec<CommandResult>,
    pub silences: Vec<SilenceUpdate>,
    pub windows: Vec<WindowUpdate>,
    pub problems: Vec<ProblemUpdate>,
    pub corrections: Vec<CorrectionUpdate>,
}

fn evidence<'a>(correlator: &'a mut Correlator, health: &'a HealthBoard, changes: &'a Changes) -> Evidence<'a> {
    Evidence { correlator, health, changes }
}

fn cx<'a>(core: &'a mut Core, world: World<'a>, out: &'a mut Outputs) -> Cx<'a> {
    let (policy, topologies) = (world.policy, world.topologies);
    Cx { core, policy, topology: topologies.newest(), topologies, tables: world.tables, out }
}

/// An alert takes its place as if it had come when it began to be heard.
fn place(alert: &mut Arc<Alert>, correlator: &mut Correlator, raiser: &Raiser, cx: &mut Cx<'_>) -> EpisodeId {
    place_at(alert.heard_since(), alert, correlator, raiser, cx)
}

/// An open alert whose incident is over for good takes another place, as if it had come now.
fn place_anew(alert: &mut Arc<Alert>, correlator: &mut Correlator, raiser: &Raiser, cx: &mut Cx<'_>) -> EpisodeId {
    correlator.leave(alert, cx);
    place_at(cx.core.clock, alert, correlator, raiser, cx)
}

fn place_at(
    at: Timestamp,
    alert: &mut Arc<Alert>,
    correlator: &mut Correlator,
    raiser: &Raiser,
    cx: &mut Cx<'_>,
) -> EpisodeId {
    let alert = Arc::make_mut(alert);
    let occurred_at = std::mem::replace(&mut alert.occurred_at, at);
    let former = alert.episode;
    let episode = correlator.place(alert, raiser, cx);
    correlator.link(former, episode);
    alert.occurred_at = occurred_at;
    episode
}

fn say_alert(alert: &mut Arc<Alert>, cx: &mut Cx<'_>) {
    let now = Arc::make_mut(alert);
    (now.said_at, now.unsaid) = (cx.core.clock, false);
    let scope = cx.core.name.clone();
    cx.out.say(Body::Alert(Box::new(AlertUpdate { scope, alert: alert.clone() })));
}

impl Cx<'_> {
    /// An event has its outcome.
    fn decide(&mut self, event: &Event, key: u64, outcome: Outcome, alert: Option<&Alert>) {
        let limits = (self.policy.limits.origins, self.policy.deduplicate.lateness);
        let off = (self.policy.clock == Clock::Wall).then(|| (event.time - event.arrival, event.arrival));
        self.core.ledger.count_of(&event.origin, outcome, off, limits);
        if let Some(trace) = &mut self.out.trace {
            trace.verdicts.push(Verdict::of(key, outcome, alert, &self.core.name));
        }
    }
}
