//! The processes of a run, and what befalls them.
use super::{
    Bite, Failure, Scenario,
    broker::{Broker, Member, TOPIC},
    check,
    process::{Gate, Slow},
};
use crate::{
    people::People,
    stream::{self, StreamEvent},
};
use anyhow::Context as _;
use bytes::Bytes;
use prost::Message as _;
use quell::{
    clock::{Outside, Simulated},
    control::{Control, Repeat},
    ingest::{self, Ingest, IngestCounts, TopicMapping},
    outputs::OutputReader,
    progress::Progress,
    stop::{self, Stop},
    task,
};
use quell_connectors::{
    decode::{Format, Mapping},
    log::{
        Log, Topic,
        hostile::{Faults, HostileLog},
    },
    wire,
};
use quell_core::domain::{
    command::Command,
    policy::{Clock, Policy},
    time::{Span, Timestamp},
    topology::TopologyFile,
};
use quell_proto::v1::{self, journal_record::Record};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

/// Journal partitions.
pub const JOURNALS: u32 = 2;
/// Source partitions.
const SOURCES: i32 = 3;
/// When it all begins: 2026-03-02T00:00:00Z.
const EPOCH: Timestamp = Timestamp(1_772_409_600_000);
/// The longest run, in virtual time.
pub const LIMIT: Duration = Duration::from_secs(1_800);
/// The longest that anything may take once nothing is disturbed any more.
const CALM_LIMIT: Duration = Duration::from_secs(300);
/// How long the stream takes to be produced.
const PRODUCED_WITHIN: Duration = Duration::from_secs(45);

const READ_BYTES: usize = 64 * 1024;

/// What is no event.
const POISON: &str = r#"{"entity": "db-0", "time": "soon""#;

const FAULTS: Faults = Faults {
    fail: 0.004,
    fail_yet_happened: 0.004,
    duplicate: 0.03,
    hole: 0.05,
    delay: Duration::from_millis(120),
    read_short: 0.2,
    rot: 0.05,
    trim_short: 0.3,
};

/// The policy of the runs: nothing but positions tells a repeat.
pub fn policy() -> Policy {
    let mut policy = Policy { clock: Clock::Events, ..Policy::default() };
    policy.deduplicate.id_horizon = Span(0);
    policy.limits.ids = 1;
    policy
}

/// The topology of the runs.
pub fn topology() -> TopologyFile {
    serde_json::from_str(&stream::topology()).unwrap_or_default()
}

/// What stands and falls together with nothing: a machine of which single processes may die.
struct Machine {
    control: Arc<Control>,
    progress: Arc<Progress>,
    counts: Arc<IngestCounts>,
}

#[derive(Clone, Copy)]
enum Role {
    Ingest,
    Owner(u32),
}

/// A process that may run, sleep or be dead.
struct Process {
    machine: usize,
    role: Role,
    gate: Gate,
    writer: HostileLog,
    running: Option<JoinHandle<anyhow::Result<()>>>,
    /// When it wakes, if it sleeps; when it starts, if it is dead.
    next: Option<Instant>,
}

struct World {
    scenario: Scenario,
    rng: StdRng,
    log: HostileLog,
    broker: Broker,
    machines: Vec<Machine>,
    processes: Vec<Process>,
    bite: Bite,
    /// So that no two processes draw the same numbers.
    started: u32,
    clock: Simulated,
    /// Of each journal partition: who follow its incidents and give commands, and who notes down its records.
    people: Vec<JoinHandle<anyhow::Result<()>>>,
    scribes: Vec<JoinHandle<anyhow::Result<Vec<Bytes>>>>,
    evening: stop::Stopper,
    night: stop::Stopper,
}

/// Plays a run.
pub async fn play(scenario: Scenario) -> Result<Bite, Failure> {
    let mut world = World::new(scenario).await.map_err(|error| Failure::Stuck(format!("{error:#}")))?;
    let mut events = stream::generate(scenario.seed, scenario.size);
    if scenario.anew {
        let rest = events.split_off(events.len() / 2);
        world.disturb(events).await?;
        world.committed().await?;
        world.broker.make_anew();
        events = rest;
    }
    world.disturb(events).await?;
    world.calm().await?;
    world.settle().await?;
    world.night.stop();
    let mut journals = Vec::new();
    for scribe in world.scribes.drain(..) {
        journals.push(ended_well(scribe.await)?);
    }
    let World { log, broker, machines, mut bite, .. } = world;
    let shared: Arc<dyn Log> = Arc::new(log.clone());
    let progress: Vec<_> = machines.iter().map(|machine| machine.progress.clone()).collect();
    let uuid = machines[0].control.latest().uuid;
    let seen = check::check(&shared, uuid, &broker.history(), &journals, scenario, &progress).await?;
    seen.into_iter().for_each(|(what, n)| bite.add(what, n));
    log.counts().into_iter().for_each(|(what, n)| bite.add(what, n));
    for machine in machines {
        let load = |n: &std::sync::atomic::AtomicU64| n.load(std::sync::atomic::Ordering::Relaxed);
        bite.add("recoveries", load(&machine.progress.recoveries));
        bite.add("snapshots written", load(&machine.progress.snapshots));
        let refused = load(&machine.progress.snapshots_refused) + load(&machine.progress.snapshots_rotten);
        bite.add("snapshots refused or rotten", refused);
        bite.add("sessions failed", load(&machine.counts.sessions_failed));
    }
    let counts = broker.counts();
    bite.add("rebalances", counts.rebalances);
    bite.add("commits that went back", counts.commits_back);
    bite.add("source requests failed", counts.requests_failed);
    Ok(bite)
}

fn ended_well<T>(ended: Result<anyhow::Result<T>, tokio::task::JoinError>) -> Result<T, Failure> {
    ended.map_err(anyhow::Error::from).flatten().map_err(|error| Failure::Stuck(format!("{error:#}")))
}

/// Every record of a journal partition in its order, before it is trimmed.
async fn note_down(log: HostileLog, partition: u32, shift: Stop) -> anyhow::Result<Vec<Bytes>> {
    let (mut reader, mut records) = (log.read_from(Topic::Journal, partition, 0).await?, Vec::new());
    loop {
        let read = reader.next(READ_BYTES, Duration::from_millis(100)).await?;
        if read.is_empty() && shift.is_requested() {
            return Ok(records);
        }
        records.extend(read.into_iter().map(|record| record.bytes));
    }
}

/// Those who look after the incidents of a journal partition.
struct Crew {
    log: HostileLog,
    uuid: [u8; 16],
    partition: u32,
    day: Stop,
}

impl Crew {
    async fn work(self, seed: u64) -> anyhow::Result<()> {
        let mut random = StdRng::seed_from_u64(seed);
        let mut people = People::new(seed, format!("team {}", self.partition));
        let log: Arc<dyn Log> = Arc::new(self.log.clone());
        let topic = (Topic::Incidents, self.partition);
        let mut reader = OutputReader::open(&log, topic, self.uuid, (0, 0), true).await?;
        while !self.day.is_requested() {
            let until = Instant::now() + Duration::from_millis(random.random_range(50..700));
            while let Some(next) = reader.next(until - Instant::now()).await? {
                let update = v1::IncidentUpdate::decode(&*next.output.body)?;
                update.incident.iter().try_for_each(|incident| people.hear(incident))?;
            }
            let Some(command) = people.command() else { continue };
            self.give(&command, &mut random).await;
            if random.random_bool(0.1) {
                self.give(&people.another(&command), &mut random).await;
            }
        }
        Ok(())
    }

    /// Until it is taken; perhaps again after that, since no answer came. Whoever asks may ask another instance each time.
    async fn give(&self, command: &Command, random: &mut StdRng) {
        let mut again = random.random_bool(0.2);
        loop {
            let at = command.at + Span(random.random_range(0..1_000));
            let command = wire::command::command(&Command { at, ..command.clone() });
            let record = wire::bytes(&wire::journal_record(Record::Command(command)));
            let writer = self.log.writer();
            let append = writer.append(Topic::Journal, self.partition, record);
            if random.random_bool(0.05) {
                // It is on its way, and who sent it is gone.
                writer.kill();
            }
            if append.await.is_ok() && !std::mem::take(&mut again) {
                return;
            }
            sleep(Duration::from_millis(random.random_range(0..500))).await;
        }
    }
}

impl World {
    async fn new(scenario: Scenario) -> anyhow::Result<Self> {
        let log = HostileLog::new(scenario.seed, FAULTS);
        let ((evening, day), (night, shift)) = (stop::pair(), stop::pair());
        let mut world = Self {
            scenario,
            rng: StdRng::seed_from_u64(scenario.seed ^ 0x5eed),
            broker: Broker::new(scenario.seed, SOURCES),
            log,
            machines: Vec::new(),
            processes: Vec::new(),
            bite: Bite::default(),
            started: 0,
            clock: Simulated::new(EPOCH, 0),
            people: Vec::new(),
            scribes: Vec::new(),
            evening,
            night,
        };
        for number in 0..2 {
            let log = Slow::new(world.log.writer(), world.rng.random());
            let control = Control::open(log, world.outside(), JOURNALS).await?;
            control.offer_policy(&policy(), Repeat::OnceOnly).await?;
            control.offer_topology(&topology()).await?;
            let followed = control.clone();
            tokio::spawn(async move { followed.follow().await });
            let progress = Progress::new(JOURNALS);
            world.machines.push(Machine { control, progress, counts: Arc::default() });
            for role in (0..JOURNALS).map(Role::Owner).chain([Role::Ingest]) {
                let (gate, writer) = (Gate::default(), world.log.writer());
                world.processes.push(Process { machine: number, role, gate, writer, running: None, next: None });
                let index = world.processes.len() - 1;
                world.start(index);
            }
        }
        let uuid = world.machines.first().context("a machine")?.control.latest().uuid;
        for partition in 0..JOURNALS {
            let seed = world.rng.random();
            let people = Crew { log: world.log.writer(), uuid, partition, day: day.clone() }.work(seed);
            world.people.push(tokio::spawn(people));
            world.scribes.push(tokio::spawn(note_down(world.log.writer(), partition, shift.clone())));
        }
        Ok(world)
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn outside(&mut self) -> Arc<dyn Outside> {
        self.started += 1;
        let seed = (self.scenario.seed as u32).wrapping_mul(4_096).wrapping_add(self.started);
        Arc::new(Simulated::new(EPOCH, seed))
    }

    /// Starts a process that does not run.
    fn start(&mut self, index: usize) {
        let outside = self.outside();
        let writer = self.log.writer();
        let log = Slow::new(writer.clone(), self.rng.random());
        let rules = self.scenario.rules;
        // How outputs are packed is no part of what is said: each start packs its own way.
        let output_record_bytes = [1, 1, 2_000, 128 * 1024][self.rng.random_range(0..4)];
        let process = &mut self.processes[index];
        (process.writer, process.gate, process.next) = (writer, Gate::default(), None);
        let machine = &self.machines[process.machine];
        let (control, progress) = (machine.control.clone(), machine.progress.clone());
        let (stopper, stop) = stop::pair();
        let running = match process.role {
            Role::Owner(partition) => {
                let limits = task::Limits {
                    read_bytes: 16 * 1024,
                    outputs_in_flight: 64,
                    output_record_bytes,
                    snapshot_interval: Duration::from_millis(1_500),
                    snapshot_records: 200,
                    history: Span(0),
                };
                let shared = task::Shared {
                    log,
                    control,
                    outside,
                    progress,
                    clock: Clock::Events,
                    rules,
                    limits,
                    views: None,
                    topics: None,
                };
                tokio::spawn(process.gate.clone().run(async move {
                    let _alive = stopper;
                    task::run(shared, partition, stop).await
                }))
            }
            Role::Ingest => {
                let shared = ingest::Shared {
                    log,
                    control,
                    outside,
                    progress,
                    counts: machine.counts.clone(),
                    clock: Clock::Events,
                    partitions: JOURNALS,
                    rules,
                };
                let limits = ingest::Limits {
                    batch_records: 40,
                    in_flight: 16,
                    commit_interval: Duration::from_millis(500),
                    tail_max: Duration::from_secs(20),
                };
                let mapping = TopicMapping { format: Format::Canonical, mapping: Mapping::default() };
                let ingest = Ingest::new(shared, limits, BTreeMap::from([(TOPIC.to_owned(), mapping)]));
                let mut source = Member::new(self.broker.clone(), process.machine);
                tokio::spawn(process.gate.clone().run(async move {
                    let (_asks, requests) = mpsc::channel(1);
                    let _alive = stopper;
                    ingest.run(&mut source, requests, stop).await;
                    Ok(())
                }))
            }
        };
        process.running = Some(running);
    }

    /// Produces a stream while everything goes wrong.
    async fn disturb(&mut self, events: Vec<StreamEvent>) -> Result<(), Failure> {
        let step = PRODUCED_WITHIN / events.len().max(1) as u32;
        for event in events {
            let partition = event.partition(SOURCES);
            if self.rng.random_bool(0.005) {
                self.broker.produce(partition, self.now().0, POISON.into());
            }
            self.broker.produce(partition, self.now().0, event.json.into());
            sleep(step).await;
            self.mishap().await?;
        }
        Ok(())
    }

    /// Perhaps something befalls someone; those who should wake or start do.
    async fn mishap(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        for index in 0..self.processes.len() {
            let process = &mut self.processes[index];
            let dead = process.running.is_none();
            if process.next.is_some_and(|next| next <= now) {
                if dead {
                    self.start(index);
                } else {
                    process.next = None;
                    process.gate.set_shut(false);
                    self.bite.add("zombies woken", 1);
                }
            } else if process.running.as_ref().is_some_and(JoinHandle::is_finished) {
                return Err(self.ended(index).await);
            }
        }
        let index = self.rng.random_range(0..self.processes.len());
        let sleeps = now + Duration::from_millis(self.rng.random_range(200..12_000));
        let dies = now + Duration::from_millis(self.rng.random_range(100..4_000));
        match self.rng.random_range(0..400) {
            0..10 => {
                let partition = self.rng.random_range(0..SOURCES) as usize;
                let member = self.rng.random_range(0..2);
                self.broker.rebalance(partition, member);
            }
            10..16 => {
                let process = &mut self.processes[index];
                if process.next.is_none() {
                    process.next = Some(sleeps);
                    process.gate.set_shut(true);
                }
            }
            16..19 => {
                let process = &mut self.processes[index];
                if let Some(running) = process.running.take() {
                    process.next = Some(dies);
                    running.abort();
                    // What it sent last is still on its way.
                    process.writer.kill();
                    self.bite.add("processes killed", 1);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Why a process ended by itself.
    async fn ended(&mut self, index: usize) -> Failure {
        let Some(running) = self.processes[index].running.take() else { return Failure::Stopped(String::new()) };
        match running.await {
            Ok(Ok(())) => Failure::Stopped("a process ended without a word".to_owned()),
            Ok(Err(error)) => Failure::Stopped(format!("{error:#}")),
            Err(error) => Failure::Stopped(error.to_string()),
        }
    }

    /// Waits, with everything going wrong, until all that was produced is committed.
    async fn committed(&mut self) -> Result<(), Failure> {
        let since = Instant::now();
        while !self.broker.all_committed() {
            sleep(Duration::from_millis(100)).await;
            self.mishap().await?;
            if since.elapsed() > CALM_LIMIT {
                return Err(Failure::Stuck("committing the first half".to_owned()));
            }
        }
        Ok(())
    }

    /// From here on nothing goes wrong, and nobody asks for anything; until all is durable in the journal.
    async fn calm(&mut self) -> Result<(), Failure> {
        self.log.set_faults(Faults::default());
        self.evening.stop();
        for people in self.people.drain(..) {
            ended_well(people.await)?;
        }
        self.broker.calm_down();
        for index in 0..self.processes.len() {
            if self.processes[index].running.is_none() {
                self.start(index);
            }
            self.processes[index].next = None;
            self.processes[index].gate.set_shut(false);
        }
        // Zombies have had their last word after this.
        sleep(Duration::from_secs(10)).await;
        let since = Instant::now();
        while !self.broker.all_committed() {
            sleep(Duration::from_millis(100)).await;
            self.alive().await?;
            if since.elapsed() > CALM_LIMIT {
                let folded = |machine: &Machine| (0..JOURNALS).map(|n| machine.progress.folded(n)).collect::<Vec<_>>();
                let folded: Vec<_> = self.machines.iter().map(folded).collect();
                return Err(Failure::Stuck(format!("committing all: {}folded {folded:?}", self.broker)));
            }
        }
        Ok(())
    }

    async fn alive(&mut self) -> Result<(), Failure> {
        let ended = |p: &Process| p.running.as_ref().is_none_or(JoinHandle::is_finished);
        match self.processes.iter().position(ended) {
            Some(index) => Err(self.ended(index).await),
            None => Ok(()),
        }
    }

    /// Lets the time of the events pass until nothing more can happen, and all owners say it.
    async fn settle(&mut self) -> Result<(), Failure> {
        for partition in 0..JOURNALS {
            let settle = wire::bytes(&wire::journal_record(Record::Settle(v1::Settle {})));
            let position = self.log.append(Topic::Journal, partition, settle).await;
            let position = position.map_err(|error| Failure::Stuck(error.to_string()))?;
            for machine in 0..self.machines.len() {
                let progress = self.machines[machine].progress.clone();
                if timeout(CALM_LIMIT, progress.wait_folded(partition, position + 1)).await.is_err() {
                    self.alive().await?;
                    return Err(Failure::Stuck(format!("folding journal partition {partition} on machine {machine}")));
                }
            }
        }
        self.alive().await
    }
}
