//! The fold of one journal partition: every input, every stage, in order.
use crate::{
    domain::{
        command::{Action, Code, Command, Refusal},
        event::Event,
        policy::{Clock, Policy},
        time::{Span, Timestamp},
        topology::{Topologies, Topology, VERSIONS_MAX},
    },
    ledger::{Ledger, Outcome},
    output::{Body, ByTopic, DeadLetter, Output, OutputTopic, Outputs},
    scope::{Scope, View, World},
    shared::Restoring,
    stages::{correlate::tables::Tables, suppress::PolicyIndex},
};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

mod error;
mod input;
pub use error::EngineError;
use error::damaged;
pub use input::{Input, Pack, Range, Rejected};

/// Raised when the same input would be concluded otherwise (design rule 10).
pub const FOLD: u32 = 10;

/// The source of what came by HTTP and could not be decoded.
const HTTP: &str = "http";

/// What is known of a source partition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct SourceState {
    incarnation: u32,
    /// The next offset to fold, and how many parts of its record are folded.
    mark: (i64, u32),
    reach: Option<Timestamp>,
    removed: bool,
}

/// Rules that tests switch off to show that they are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Only what lies beyond the mark is folded, and only if the pack follows on it.
    pub marks: bool,
    /// A command is folded once, by its request id.
    pub requests: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self { marks: true, requests: true }
    }
}

/// The engine's memory.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct State {
    fold: u32,
    uuid: [u8; 16],
    /// The next journal position to fold.
    position: u64,
    policy_version: u64,
    /// The versions that are kept, and when each took effect; the newest last.
    topologies: Vec<(u64, Timestamp)>,
    sources: Vec<SourceState>,
    source_index: BTreeMap<Arc<str>, usize>,
    scopes: Vec<Scope>,
    /// What belongs to no scope: rejected records.
    numbers: ByTopic<u64>,
    /// Rejected records by source topic, and events of scopes beyond the limit.
    ledger: Ledger,
    /// The latest time that an input carried.
    latest: Timestamp,
}

/// A journal partition's fold.
#[derive(Debug)]
pub struct Engine {
    state: State,
    scope_index: FxHashMap<Arc<str>, usize>,
    reaches: Vec<Option<Timestamp>>,
    policy: Arc<Policy>,
    topologies: Topologies,
    index: PolicyIndex,
    /// Of the policy.
    tables: Tables,
    rules: Rules,
    // How the journal was packed is no part of what was concluded from it.
    packs_ignored: u64,
    records_skipped: u64,
}

/// The versions of policy and topology that a snapshot needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    pub policy: u64,
    /// The newest last: events are enriched with the topology of their moment.
    pub topologies: Vec<u64>,
}

impl Versions {
    /// The topology in effect.
    pub fn topology(&self) -> u64 {
        self.topologies.last().copied().unwrap_or(0)
    }
}

impl Engine {
    /// At the beginning of journal `uuid`, with the first policy and topology, which hold for all earlier time.
    pub fn new(uuid: [u8; 16], policy: Arc<Policy>, topology: Arc<Topology>) -> Self {
        let state = State {
            fold: FOLD,
            uuid,
            position: 0,
            policy_version: 1,
            topologies: vec![(1, Timestamp::MIN)],
            sources: Vec::new(),
            source_index: BTreeMap::new(),
            scopes: Vec::new(),
            numbers: [0; OutputTopic::ALL.len()],
            ledger: Ledger::default(),
            latest: Timestamp::MIN,
        };
        Self::of(state, policy, Topologies::of(topology, Timestamp::MIN))
    }

    fn of(state: State, policy: Arc<Policy>, topologies: Topologies) -> Self {
        let scope_index = state.scopes.iter().enumerate().map(|(n, s)| (s.name().clone(), n)).collect();
        let reaches = state.sources.iter().map(SourceState::holds).collect();
        let (index, tables) = (PolicyIndex::new(&policy), Tables::new(&policy.correlate));
        let rules = Rules::default();
        Self {
            state,
            scope_index,
            reaches,
            policy,
            index,
            tables,
            topologies,
            rules,
            packs_ignored: 0,
            records_skipped: 0,
        }
    }

    /// With some rules switched off; for tests.
    #[must_use]
    pub fn with_rules(mut self, rules: Rules) -> Self {
        self.rules = rules;
        self
    }

    /// Folds the input at `position`.
    ///
    /// # Errors
    /// Where this engine must not go on: another journal, or newer code.
    pub fn step(&mut self, position: u64, input: &Input, out: &mut Outputs) -> Result<(), EngineError> {
        let first = out.items.len();
        match input {
            Input::Genesis { uuid, .. } if *uuid != self.state.uuid => {
                return Err(EngineError::AnotherJournal { expected: self.state.uuid, found: *uuid });
            }
            Input::Genesis { .. } => {}
            Input::Pack(pack) => self.on_pack(pack, out),
            Input::Reaches(ranges) => self.on_reaches(ranges, out),
            Input::Tick(wall) => self.on_tick(*wall, out),
            Input::Policy { version, policy } if *version > self.state.policy_version => {
                self.state.policy_version = *version;
                (self.index, self.tables) = (PolicyIndex::new(policy), Tables::new(&policy.correlate));
                self.policy = policy.clone();
                self.each_scope(|scope, world| scope.judge_all(world, out));
                self.each_scope(|scope, world| scope.introduce(world, out));
            }
            Input::Topology { version, topology } if *version > self.versions().topology() => {
                self.adopt(*version, topology);
                self.each_scope(|scope, world| {
                    scope.introduce(world, out);
                    scope.judge_all(world, out);
                });
            }
            // It was copied in by two owners.
            Input::Policy { .. } | Input::Topology { .. } => {}
            Input::Era(era) if *era > FOLD => return Err(EngineError::NewerEra { era: *era }),
            Input::Era(_) => {}
            Input::Settle => self.each_scope(|scope, world| scope.on_settle(world, out)),
            Input::SourceRemoved(name) => self.on_source_removed(name),
            Input::Command(command) => self.on_command(command, out),
        }
        self.state.position = position + 1;
        self.number(position, &mut out.items[first..]);
        debug_assert!(self.ledger_balances(), "an event has no outcome, or two");
        Ok(())
    }

    fn number(&mut self, position: u64, items: &mut [Output]) {
        for item in items {
            let number = &mut self.state.numbers[item.body.topic() as usize];
            *number += 1;
            (item.number, item.position) = (*number, position);
        }
    }

    /// The index of a scope, made where there is none yet; `None` where the limit of scopes is reached.
    fn scope(&mut self, name: &str) -> Option<usize> {
        if let Some(scope) = self.scope_index.get(name) {
            return Some(*scope);
        }
        if self.state.scopes.len() >= self.policy.limits.scopes {
            return None;
        }
        let name: Arc<str> = name.into();
        self.scope_index.insert(name.clone(), self.state.scopes.len());
        self.state.scopes.push(Scope::new(name));
        Some(self.state.scopes.len() - 1)
    }

    /// A version of the topology takes effect at the latest time that is known: what is dated before it is enriched with
    /// the one before.
    fn adopt(&mut self, version: u64, topology: &Arc<Topology>) {
        let from = match self.policy.clock {
            Clock::Wall => self.state.latest,
            Clock::Events => self.state.scopes.iter().map(Scope::clock).max().unwrap_or(Timestamp::MIN),
        };
        self.topologies.add(topology.clone(), from);
        self.state.topologies.push((version, from));
        let beyond = self.state.topologies.len().saturating_sub(VERSIONS_MAX);
        self.state.topologies.drain(..beyond);
    }

    fn on_pack(&mut self, pack: &Pack, out: &mut Outputs) {
        let Some(range) = &pack.range else { return self.on_pack_by_http(pack, out) };
        let Some(source) = self.enter(range) else { return };
        let mut rejected = pack.rejected.iter().peekable();
        for event in &pack.events {
            let at = (event.offset, event.part);
            while let Some(bad) = rejected.next_if(|bad| (bad.offset, bad.part) < at) {
                self.on_rejected_record(bad, source, range, out);
            }
            if self.passes(source, at, event.arrival) {
                self.on_event(event, Some(source), out);
            }
        }
        for bad in rejected {
            self.on_rejected_record(bad, source, range, out);
        }
        self.leave(source, range);
    }

    /// What has no place in a source: none of it was folded before.
    fn on_pack_by_http(&mut self, pack: &Pack, out: &mut Outputs) {
        for event in &pack.events {
            self.on_event(event, None, out);
        }
        for bad in &pack.rejected {
            self.state.latest = self.state.latest.max(bad.arrival);
            self.on_rejected(bad, &HTTP.into(), HTTP, out);
        }
    }

    /// Whether a range follows on what is folded (design rule 2); the index of its source if it does. One that does not
    /// changes nothing.
    fn enter(&mut self, range: &Range) -> Option<usize> {
        let known = self.state.source_index.get(&range.source).copied();
        let (incarnation, mark) = known.map_or((0, (0, 0)), |source| {
            let state = &self.state.sources[source];
            (state.incarnation, state.mark)
        });
        let old = range.incarnation < incarnation;
        // Everything below a session's start is durable in every journal partition.
        let start = (range.session, 0);
        let mark = if range.incarnation > incarnation { start } else { mark.max(start) };
        if self.rules.marks && (old || (range.after, range.part) > mark) {
            self.packs_ignored += 1;
            return None;
        }
        let source = known.unwrap_or_else(|| self.introduce(&range.source));
        let state = &mut self.state.sources[source];
        (state.incarnation, state.mark, state.removed) = (range.incarnation.max(incarnation), mark, false);
        Some(source)
    }

    fn introduce(&mut self, source: &Arc<str>) -> usize {
        self.state.sources.push(SourceState::default());
        self.state.source_index.insert(source.clone(), self.reaches.len());
        self.reaches.push(None);
        self.reaches.len() - 1
    }

    /// Whether a part of a record lies beyond the mark, which it moves: an offset and the place in the record, since the
    /// record's other parts are still to come. The pack's end moves it past the record.
    fn passes(&mut self, source: usize, (offset, part): (i64, u32), arrival: Timestamp) -> bool {
        let state = &mut self.state.sources[source];
        if self.rules.marks && (offset, part) < state.mark {
            self.records_skipped += 1;
            return false;
        }
        state.mark = state.mark.max((offset, part.saturating_add(1)));
        state.reach = state.reach.max(Some(arrival));
        self.reaches[source] = state.reach;
        true
    }

    fn leave(&mut self, source: usize, range: &Range) {
        let state = &mut self.state.sources[source];
        state.mark = state.mark.max((range.to, 0));
        state.reach = state.reach.max(range.reach);
        self.reaches[source] = state.holds();
    }

    fn on_reaches(&mut self, ranges: &[Range], out: &mut Outputs) {
        for range in ranges {
            if let Some(source) = self.enter(range) {
                self.leave(source, range);
                self.each_scope(|scope, world| scope.on_reach(source, world, out));
            }
        }
    }

    fn on_tick(&mut self, wall: Timestamp, out: &mut Outputs) {
        self.state.latest = self.state.latest.max(wall);
        self.each_scope(|scope, world| scope.on_tick(wall, world, out));
    }

    fn on_event(&mut self, event: &Event, source: Option<usize>, out: &mut Outputs) {
        self.state.latest = self.state.latest.max(event.arrival);
        let Some(scope) = self.scope(&event.scope) else {
            self.state.ledger.receive();
            self.state.ledger.count(&event.origin, Outcome::OverQuota, self.policy.limits.origins);
            return out.judge(event, Outcome::OverQuota);
        };
        let world = World {
            policy: &self.policy,
            index: &self.index,
            tables: &self.tables,
            topologies: &self.topologies,
            reaches: &self.reaches,
        };
        self.state.scopes[scope].on_event(event, source, world, out);
    }

    fn on_command(&mut self, command: &Command, out: &mut Outputs) {
        self.state.latest = self.state.latest.max(command.at);
        // A silence may be there before the first event; an incident can't.
        let makes = matches!(command.action, Action::CreateSilence { .. } | Action::CreateWindow(_));
        let known = self.scope_index.get(&*command.scope).copied();
        let Some(scope) = known.or_else(|| makes.then(|| self.scope(&command.scope)).flatten()) else {
            let (code, why) = if makes {
                (Code::ResourceExhausted, "limits.scopes is reached".to_owned())
            } else {
                (Code::NotFound, format!("there is no scope {}", command.scope))
            };
            // It would be refused again: no memory is needed.
            return out.say(Body::Result(Box::new(command.result(Err(Refusal::new(code, why))))));
        };
        let world = World {
            policy: &self.policy,
            index: &self.index,
            tables: &self.tables,
            topologies: &self.topologies,
            reaches: &self.reaches,
        };
        let scope = &mut self.state.scopes[scope];
        if !self.rules.requests {
            scope.forget_requests();
        }
        scope.on_command(command, world, out);
    }

    fn on_rejected_record(&mut self, bad: &Rejected, source: usize, range: &Range, out: &mut Outputs) {
        if self.passes(source, (bad.offset, bad.part), bad.arrival) {
            let topic = range.source.rsplit_once('/').map_or(&*range.source, |(topic, _)| topic);
            self.on_rejected(bad, &range.source, topic, out);
        }
    }

    fn on_rejected(&mut self, bad: &Rejected, source: &Arc<str>, origin: &str, out: &mut Outputs) {
        self.state.ledger.receive();
        self.state.ledger.count(origin, Outcome::Rejected, self.policy.limits.origins);
        out.say(Body::DeadLetter(Box::new(DeadLetter {
            source: source.clone(),
            offset: bad.offset,
            reason: bad.reason.clone(),
            payload: bad.payload.clone(),
        })));
    }

    fn on_source_removed(&mut self, name: &str) {
        let Some(source) = self.state.source_index.get(name).copied() else { return };
        self.state.sources[source].removed = true;
        self.reaches[source] = None;
        for scope in &mut self.state.scopes {
            scope.on_source_removed(source);
        }
    }

    fn each_scope(&mut self, mut act: impl FnMut(&mut Scope, World<'_>)) {
        let world = World {
            policy: &self.policy,
            index: &self.index,
            tables: &self.tables,
            topologies: &self.topologies,
            reaches: &self.reaches,
        };
        for scope in &mut self.state.scopes {
            act(scope, world);
        }
    }

    /// The whole memory, as bytes: equal states are equal bytes.
    ///
    /// # Errors
    /// None that can be met in practice: memory has a form as bytes.
    pub fn snapshot(&self) -> Result<Vec<u8>, EngineError> {
        let versions = postcard::to_stdvec(&(FOLD, self.versions())).map_err(damaged)?;
        postcard::to_extend(&self.state, versions).map_err(damaged)
    }

    /// The versions that a snapshot needs, to find them in `quell.control`.
    ///
    /// # Errors
    /// Where the bytes are no snapshot, or one of code with another [`FOLD`].
    pub fn snapshot_versions(bytes: &[u8]) -> Result<Versions, EngineError> {
        let (fold, rest) = postcard::take_from_bytes::<u32>(bytes).map_err(damaged)?;
        if fold != FOLD {
            return Err(EngineError::OtherFold { found: fold });
        }
        postcard::take_from_bytes(rest).map(|(versions, _)| versions).map_err(damaged)
    }

    /// The engine that wrote a snapshot, with the policy and the topologies of its [`Versions`], in their order.
    ///
    /// # Errors
    /// Where the bytes are no snapshot, or one of code with another [`FOLD`], or the topologies are not as many.
    pub fn restore(bytes: &[u8], policy: Arc<Policy>, topologies: Vec<Arc<Topology>>) -> Result<Self, EngineError> {
        let ((fold, _), rest) = postcard::take_from_bytes::<(u32, Versions)>(bytes).map_err(damaged)?;
        if fold != FOLD {
            return Err(EngineError::OtherFold { found: fold });
        }
        let _sharing = Restoring::begin();
        let (state, rest) = postcard::take_from_bytes::<State>(rest).map_err(damaged)?;
        if !rest.is_empty() {
            return Err(EngineError::Snapshot(format!("{} bytes too many", rest.len())));
        }
        if topologies.len() != state.topologies.len() {
            let (needs, has) = (state.topologies.len(), topologies.len());
            return Err(EngineError::Snapshot(format!("it needs {needs} topologies, and there are {has}")));
        }
        let mut dated = topologies.into_iter().zip(&state.topologies).map(|(topology, (_, from))| (topology, *from));
        let first = dated.next().ok_or_else(|| EngineError::Snapshot("it has no topology".to_owned()))?;
        let mut topologies = Topologies::of(first.0, first.1);
        dated.for_each(|(topology, from)| topologies.add(topology, from));
        Ok(Self::of(state, policy, topologies))
    }

    /// The versions of policy and topology in effect, and those of the topology before.
    pub fn versions(&self) -> Versions {
        let topologies = self.state.topologies.iter().map(|(version, _)| *version).collect();
        Versions { policy: self.state.policy_version, topologies }
    }

    /// The next journal position to fold.
    pub const fn position(&self) -> u64 {
        self.state.position
    }

    /// The number of the last output of each topic.
    pub const fn numbers(&self) -> ByTopic<u64> {
        self.state.numbers
    }

    /// The journal's uuid.
    pub const fn journal(&self) -> [u8; 16] {
        self.state.uuid
    }

    /// The latest time that an event or a tick carried.
    pub const fn latest(&self) -> Timestamp {
        self.state.latest
    }

    /// The policy in effect.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Everything that is kept, as outputs would say it, by scope.
    pub fn views(&mut self) -> Vec<View> {
        let mut views = Vec::new();
        self.each_scope(|scope, world| views.push(scope.view(world)));
        views
    }

    /// The scopes.
    pub fn scopes(&self) -> &[Scope] {
        &self.state.scopes
    }

    /// Every count of the ledgers: origin, outcome, events.
    pub fn ledger_counts(&self) -> impl Iterator<Item = (&Arc<str>, Outcome, u64)> {
        self.state.ledger.counts().chain(self.state.scopes.iter().flat_map(|s| s.ledger().counts()))
    }

    /// The origins whose events are steadily off, by how much: in the future where it is positive.
    pub fn skews(&self) -> impl Iterator<Item = (&Arc<str>, Span)> {
        self.state.scopes.iter().flat_map(|scope| scope.ledger().skews())
    }

    /// Each event that came has one outcome, or is held.
    pub fn ledger_balances(&self) -> bool {
        self.state.ledger.balances() && self.state.scopes.iter().all(|s| s.ledger().balances())
    }

    /// Packs since the start that did not follow on what is folded.
    pub const fn packs_ignored(&self) -> u64 {
        self.packs_ignored
    }

    /// Records since the start that had been folded before.
    pub const fn records_skipped(&self) -> u64 {
        self.records_skipped
    }

    /// The source partitions that hold clocks back, by name.
    pub fn feeding(&self) -> impl Iterator<Item = &Arc<str>> {
        self.state.source_index.iter().filter(|(_, n)| !self.state.sources[**n].removed).map(|(name, _)| name)
    }

    /// The next offset to fold of each source partition, by name and incarnation.
    pub fn marks(&self) -> impl Iterator<Item = (&Arc<str>, u32, i64)> {
        self.state.source_index.iter().map(|(name, n)| {
            let source = &self.state.sources[*n];
            (name, source.incarnation, source.mark.0)
        })
    }
}

impl SourceState {
    /// Its reach, unless it feeds no more.
    fn holds(&self) -> Option<Timestamp> {
        self.reach.filter(|_| !self.removed)
    }
}
