//! The fold of one journal partition: every input, every stage, in order.
use crate::{
    domain::{event::Event, policy::Policy, time::Timestamp, topology::Topology},
    ledger::{Ledger, Outcome},
    output::{Body, ByTopic, DeadLetter, OutputTopic, Outputs},
    scope::{Scope, View, World},
    stages::correlate::tables::Tables,
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
pub const FOLD: u32 = 1;

/// What is known of a source partition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct SourceState {
    incarnation: u32,
    /// The next offset to fold.
    mark: i64,
    reach: Option<Timestamp>,
    removed: bool,
}

/// Rules that tests switch off to show that they are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Only what lies beyond the mark is folded, and only if the pack follows on it.
    pub marks: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self { marks: true }
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
    topology_version: u64,
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
    topology: Arc<Topology>,
    /// Of the policy.
    tables: Tables,
    rules: Rules,
    // How the journal was packed is no part of what was concluded from it.
    packs_ignored: u64,
    records_skipped: u64,
}

/// The versions of policy and topology that a snapshot needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    pub policy: u64,
    pub topology: u64,
}

impl Engine {
    /// At the beginning of journal `uuid`, with the first policy and topology, which hold for all earlier time.
    pub fn new(uuid: [u8; 16], policy: Arc<Policy>, topology: Arc<Topology>) -> Self {
        let state = State {
            fold: FOLD,
            uuid,
            position: 0,
            policy_version: 1,
            topology_version: 1,
            sources: Vec::new(),
            source_index: BTreeMap::new(),
            scopes: Vec::new(),
            numbers: [0; OutputTopic::ALL.len()],
            ledger: Ledger::default(),
            latest: Timestamp::MIN,
        };
        Self::of(state, policy, topology)
    }

    fn of(state: State, policy: Arc<Policy>, topology: Arc<Topology>) -> Self {
        let scope_index = state.scopes.iter().enumerate().map(|(n, s)| (s.name().clone(), n)).collect();
        let reaches = state.sources.iter().map(SourceState::holds).collect();
        let (rules, tables) = (Rules::default(), Tables::new(&policy.correlate));
        Self { state, scope_index, reaches, policy, topology, tables, rules, packs_ignored: 0, records_skipped: 0 }
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
                self.policy = policy.clone();
                self.tables = Tables::new(&policy.correlate);
            }
            Input::Topology { version, topology } if *version > self.state.topology_version => {
                self.state.topology_version = *version;
                self.topology = topology.clone();
                self.each_scope(|scope, world| scope.introduce(world, out));
            }
            // It was copied in by two owners.
            Input::Policy { .. } | Input::Topology { .. } => {}
            Input::Era(era) if *era > FOLD => return Err(EngineError::NewerEra { era: *era }),
            Input::Era(_) => {}
            Input::Settle => self.each_scope(|scope, world| scope.on_settle(world, out)),
            Input::SourceRemoved(name) => self.on_source_removed(name),
        }
        self.state.position = position + 1;
        for item in &mut out.items[first..] {
            let number = &mut self.state.numbers[item.body.topic() as usize];
            *number += 1;
            (item.number, item.position) = (*number, position);
        }
        debug_assert!(self.ledger_balances(), "an event has no outcome, or two");
        Ok(())
    }

    fn on_pack(&mut self, pack: &Pack, out: &mut Outputs) {
        let Some(range) = &pack.range else {
            for event in &pack.events {
                self.on_event(event, None, out);
            }
            return;
        };
        let Some(source) = self.enter(range) else { return };
        let mut rejected = pack.rejected.iter().peekable();
        for event in &pack.events {
            while let Some(bad) = rejected.next_if(|bad| bad.offset < event.offset) {
                self.on_rejected(bad, source, range, out);
            }
            if self.passes(source, event.offset, event.arrival) {
                self.on_event(event, Some(source), out);
            }
        }
        for bad in rejected {
            self.on_rejected(bad, source, range, out);
        }
        self.leave(source, range);
    }

    /// Whether a range follows on what is folded (design rule 2); the index of its source if it does. One that does not
    /// changes nothing.
    fn enter(&mut self, range: &Range) -> Option<usize> {
        let known = self.state.source_index.get(&range.source).copied();
        let (incarnation, mark) = known.map_or((0, 0), |source| {
            let state = &self.state.sources[source];
            (state.incarnation, state.mark)
        });
        let old = range.incarnation < incarnation;
        // Everything below a session's start is durable in every journal partition.
        let mark = if range.incarnation > incarnation { range.session } else { mark.max(range.session) };
        if self.rules.marks && (old || range.after > mark) {
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

    /// Whether a record lies beyond the mark, which it moves.
    fn passes(&mut self, source: usize, offset: i64, arrival: Timestamp) -> bool {
        let state = &mut self.state.sources[source];
        if self.rules.marks && offset < state.mark {
            self.records_skipped += 1;
            return false;
        }
        state.mark = state.mark.max(offset.saturating_add(1));
        state.reach = state.reach.max(Some(arrival));
        self.reaches[source] = state.reach;
        true
    }

    fn leave(&mut self, source: usize, range: &Range) {
        let state = &mut self.state.sources[source];
        state.mark = state.mark.max(range.to);
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
        let world =
            World { policy: &self.policy, topology: &self.topology, tables: &self.tables, reaches: &self.reaches };
        let scope = match self.scope_index.get(&*event.scope) {
            Some(scope) => *scope,
            None if self.state.scopes.len() >= world.policy.limits.scopes => {
                self.state.ledger.receive();
                self.state.ledger.count(&event.origin, Outcome::OverQuota, world.policy.limits.origins);
                return out.judge(event, Outcome::OverQuota);
            }
            None => {
                let name: Arc<str> = event.scope.as_str().into();
                self.scope_index.insert(name.clone(), self.state.scopes.len());
                self.state.scopes.push(Scope::new(name));
                self.state.scopes.len() - 1
            }
        };
        self.state.scopes[scope].on_event(event, source, world, out);
    }

    fn on_rejected(&mut self, bad: &Rejected, source: usize, range: &Range, out: &mut Outputs) {
        if !self.passes(source, bad.offset, bad.arrival) {
            return;
        }
        self.state.ledger.receive();
        let topic = range.source.rsplit_once('/').map_or(&*range.source, |(topic, _)| topic);
        self.state.ledger.count(topic, Outcome::Rejected, self.policy.limits.origins);
        out.say(Body::DeadLetter(Box::new(DeadLetter {
            source: range.source.clone(),
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
        let world =
            World { policy: &self.policy, topology: &self.topology, tables: &self.tables, reaches: &self.reaches };
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

    /// The engine that wrote a snapshot, with the policy and topology of its [`Versions`].
    ///
    /// # Errors
    /// Where the bytes are no snapshot, or one of code with another [`FOLD`].
    pub fn restore(bytes: &[u8], policy: Arc<Policy>, topology: Arc<Topology>) -> Result<Self, EngineError> {
        let ((fold, _), rest) = postcard::take_from_bytes::<(u32, Versions)>(bytes).map_err(damaged)?;
        if fold != FOLD {
            return Err(EngineError::OtherFold { found: fold });
        }
        let (state, rest) = postcard::take_from_bytes(rest).map_err(damaged)?;
        if !rest.is_empty() {
            return Err(EngineError::Snapshot(format!("{} bytes too many", rest.len())));
        }
        Ok(Self::of(state, policy, topology))
    }

    /// The versions of policy and topology in effect.
    pub const fn versions(&self) -> Versions {
        Versions { policy: self.state.policy_version, topology: self.state.topology_version }
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
            (name, source.incarnation, source.mark)
        })
    }
}

impl SourceState {
    /// Its reach, unless it feeds no more.
    fn holds(&self) -> Option<Timestamp> {
        self.reach.filter(|_| !self.removed)
    }
}
