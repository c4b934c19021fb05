//! One journal partition: recover, fold, append outputs, snapshot (design rules 4, 10, 11, 15).
use crate::{
    clock::{self, Outside},
    control::Control,
    journal,
    outputs::OutputReader,
    progress::{Counts, Folded, Progress, SnapshotTaken},
    rules::Rules,
    snapshots::{self, Draft, Mark, Snapshot},
    stop::Stop,
    views::Views,
};
use anyhow::{Context as _, anyhow};
use futures::{
    FutureExt as _, StreamExt as _,
    future::BoxFuture,
    stream::{FuturesOrdered, FuturesUnordered},
};
use prost::Message as _;
use quell_connectors::{
    log::{Append, Log, LogError, RECORD_BYTES_MAX, Reader, Record, Topic},
    wire,
};
use quell_core::{
    domain::{
        policy::Clock,
        time::{Span, Timestamp},
    },
    engine::{Engine, FOLD, Input},
    output::{ByTopic, Output, OutputTopic, Outputs},
};
use quell_proto::v1::{self, ControlKind, journal_record::Record as Journaled};
use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, MissedTickBehavior};
use xxhash_rust::xxh3::xxh3_64;

mod left;
mod load;
use left::Left;
pub use load::{LoadError, Loaded, found, load};

/// The end of a topic may be a hole, in which nothing comes.
const WAIT: Duration = Duration::from_millis(100);
/// Counting for metrics walks the scopes and takes at most one part in so many of the time.
const COUNT_SHARE: u32 = 20;

/// Limits of a task.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the journal read at once.
    pub read_bytes: usize,
    /// Outputs appended and not yet durable.
    pub outputs_in_flight: usize,
    /// Outputs of one topic that are said together make a record of about this size.
    pub output_record_bytes: usize,
    /// How often a snapshot is taken,
    pub snapshot_interval: Duration,
    /// at the latest after so many records.
    pub snapshot_records: u64,
    /// How long the journal is kept for backtests.
    pub history: Span,
}

/// What every task shares.
#[derive(Clone)]
pub struct Shared {
    pub log: Arc<dyn Log>,
    pub control: Arc<Control>,
    pub outside: Arc<dyn Outside>,
    pub progress: Arc<Progress>,
    pub clock: Clock,
    pub rules: Rules,
    pub limits: Limits,
    /// What shows what the engine holds and says.
    pub views: Option<Arc<Views>>,
    /// Those that the configuration names; `None` where it is not to be asked.
    pub topics: Option<Arc<BTreeSet<String>>>,
}

/// Owns a partition until it is stopped.
///
/// # Errors
/// Where the partition must not be folded on, with a word for a person.
pub async fn run(shared: Shared, partition: u32, mut stop: Stop) -> anyhow::Result<()> {
    let (mut panicked_at, mut trimmed_at) = (None, None);
    loop {
        let left = match own(&shared, partition, stop.clone()).await {
            Ok(()) => return Ok(()),
            Err(left) => left,
        };
        let fatal = match left {
            Left::Again(error) => {
                tracing::warn!(partition, error = format!("{error:#}"), "recovering");
                None
            }
            Left::Trimmed { topic, position } if trimmed_at == Some((topic, position)) => {
                Some(anyhow!("{topic} lost records from position {position} on that are needed"))
            }
            Left::Trimmed { topic, position } => {
                tracing::warn!(partition, %topic, position, "trimmed by another owner; recovering from its snapshot");
                trimmed_at = Some((topic, position));
                None
            }
            Left::Panicked(position) if panicked_at == Some(position) => Some(anyhow!(
                "the engine panicked twice at journal position {position}; the partition stops here: please report it with this part of the journal"
            )),
            Left::Panicked(position) => {
                tracing::error!(partition, position, "the engine panicked; recovering from the snapshot");
                panicked_at = Some(position);
                None
            }
            Left::ForGood(error) => Some(error),
            Left::Closed(error) => {
                shared.progress.fail_if_closed(&error);
                return Ok(());
            }
        };
        if let Some(error) = fatal {
            let error = error.context(format!("journal partition {partition} stopped"));
            tracing::error!(partition, error = format!("{error:#}"), "stopped");
            shared.progress.set_stopped(partition, format!("{error:#}"));
            return Err(error);
        }
        let pause = Duration::from_millis(100 + shared.outside.random() % 200);
        if tokio::time::timeout(pause, stop.requested()).await.is_ok() {
            return Ok(());
        }
    }
}

/// What happens in the order of the outputs.
enum Said {
    /// They are durable: so many were on their way, the others stood there.
    Outputs(Vec<Output>, usize),
    /// Everything before it is durable; the last record of it arrived then.
    Mark(Folded, Option<Timestamp>),
    /// A snapshot may be written: everything before it is durable.
    Snapshot { position: u64, bytes: Vec<u8>, numbers: ByTopic<u64>, since: Instant },
    /// Another record of ours in the journal is durable.
    Journaled,
}

/// What a record of outputs takes beside them, in bytes; generous, for the frames of many.
const RECORD_MARGIN: usize = 50_000;

/// Outputs of what was read of the journal at once: a record of each topic, or a few.
#[derive(Default)]
struct Batches {
    outputs: ByTopic<Vec<v1::Output>>,
    bytes: ByTopic<usize>,
    appends: Vec<Append>,
    /// How many are to be appended.
    count: usize,
    /// All, with those that stand in their topics, to be shown.
    said: Vec<Output>,
}

/// What came of a snapshot that was begun at `since`.
struct Written {
    since: Instant,
    kept: Result<Option<Vec<Snapshot>>, LogError>,
}

struct Owner<'a> {
    shared: &'a Shared,
    partition: u32,
    engine: Engine,
    reader: Box<dyn Reader>,
    /// Outputs up to these numbers stand in their topics.
    mute: ByTopic<u64>,
    /// Hashes of the outputs that stand there, to compare what is folded again.
    stands: ByTopic<BTreeMap<u64, u64>>,
    /// By output topic: reads what was said as every reader does, for the next snapshot.
    readers: Vec<OutputReader>,
    said: FuturesOrdered<BoxFuture<'static, Result<Said, LogError>>>,
    /// A snapshot on its way, at most one.
    writing: FuturesUnordered<BoxFuture<'static, Written>>,
    /// Outputs on their way.
    in_flight: usize,
    outputs: Outputs,
    kept: Vec<Snapshot>,
    snapshot_at: Instant,
    records_since: u64,
    ready_at: u64,
    ready: bool,
    /// How far it told [`Progress`] that it is.
    marked: Option<Folded>,
    /// Origins whose clock was said to be off.
    skewed: BTreeSet<Arc<str>>,
    /// When metrics may be counted again, and whether something is to be counted.
    count_at: Instant,
    uncounted: bool,
}

async fn own(shared: &Shared, partition: u32, mut stop: Stop) -> Result<(), Left> {
    Progress::count(&shared.progress.recoveries);
    let mut owner = Owner::recover(shared, partition).await?;
    let wall = shared.clock == Clock::Wall;
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut changes = shared.control.changes();
    // Where nothing is to be folded, it is ready at once.
    owner.on_records(Vec::new())?;
    loop {
        let room = owner.in_flight < shared.limits.outputs_in_flight;
        tokio::select! {
            biased;
            () = stop.requested() => break,
            Some(said) = owner.said.next() => owner.on_said(said?).await?,
            Some(written) = owner.writing.next() => owner.on_written(written),
            // At once: whoever applied it waits. What comes while we recover, the next tick finds.
            Ok(()) = changes.changed() => owner.adopt(),
            () = tokio::time::sleep_until(owner.count_at), if owner.uncounted => owner.count(),
            _ = ticks.tick() => {
                owner.adopt();
                if wall {
                    owner.journal(Journaled::Tick(v1::Tick { wall_ms: shared.outside.now().0 }));
                }
            }
            records = owner.reader.next(shared.limits.read_bytes, Duration::from_millis(200)), if room => {
                owner.on_records(records?)?;
                tokio::task::yield_now().await;
            }
        }
    }
    owner.finish().await
}

impl<'a> Owner<'a> {
    /// Loads the newest snapshot and finds out what has been said since.
    async fn recover(shared: &'a Shared, partition: u32) -> Result<Self, Left> {
        let (log, rules) = (&shared.log, shared.rules);
        let contents = shared.control.latest();
        let Loaded { mut engine, kept } = load(log, &contents, partition, &shared.progress, rules).await?;
        if let Some(views) = &shared.views {
            views.load(partition, &mut engine, &kept.last().map(|snapshot| snapshot.outputs).unwrap_or_default());
        }
        let engine = engine.with_rules(rules.into());
        let mut owner = Self {
            shared,
            partition,
            reader: log.read_from(Topic::Journal, partition, engine.position()).await?,
            mute: [0; OutputTopic::ALL.len()],
            stands: Default::default(),
            readers: Vec::new(),
            said: FuturesOrdered::new(),
            writing: FuturesUnordered::new(),
            in_flight: 0,
            outputs: Outputs::default(),
            snapshot_at: Instant::now(),
            records_since: 0,
            ready_at: 0,
            ready: false,
            marked: None,
            skewed: BTreeSet::new(),
            count_at: Instant::now(),
            uncounted: false,
            kept,
            engine,
        };
        let named = owner.hear().await?;
        let end = log.extent(Topic::Journal, partition).await?.end;
        owner.ready_at = end;
        shared.progress.set_end(partition, end);
        owner.tell_snapshot(None);
        if owner.engine.position().max(named) > end {
            return Err(Left::ForGood(anyhow!(
                "the journal ends at {end}, below its snapshot or outputs ({}): it was cut, or another one stands in its place; restore it from a backup, or move Quell's topics or data directory away to begin anew",
                owner.engine.position().max(named)
            )));
        }
        let (from, to) = (owner.engine.position(), end);
        // Where nothing is to be folded again, that all are ready says enough.
        if from < to && to > load::FOUNDED {
            tracing::info!(partition, from, to, "recovering");
        } else {
            tracing::debug!(partition, from, to, "nothing to recover");
        }
        Ok(owner)
    }

    /// Reads what the output topics hold beyond the snapshot; the journal position behind the last that was named.
    async fn hear(&mut self) -> Result<u64, Left> {
        let mut named = 0;
        let log = &self.shared.log;
        let marks = self.kept.last().map_or_else(Default::default, |snapshot| snapshot.outputs);
        for topic in OutputTopic::ALL {
            let (place, mark) = ((wire::topic(topic), self.partition), marks[topic as usize]);
            let end = log.extent(place.0, place.1).await?.end;
            let journal = self.engine.journal();
            let mut reader = OutputReader::open(log, place, journal, (mark.number, mark.next), true).await?;
            while !reader.is_past(end) {
                let Some(next) = reader.next(WAIT).await? else { continue };
                if next.fold != FOLD {
                    return Err(Left::ForGood(anyhow!(
                        "the journal was being concluded by another version (FOLD {}, this is {FOLD}), which did not stop gracefully: start that version once with `quell run --drain`, then this one",
                        next.fold
                    )));
                }
                self.stands[topic as usize].insert(next.output.number, xxh3_64(&hashed(&next.output)));
                named = named.max(next.output.position + 1);
            }
            self.mute[topic as usize] = reader.number;
            self.readers.push(reader);
        }
        Ok(named)
    }

    /// Where a reader goes on who has taken everything up to `numbers`, which stand there. The position of our own last
    /// output would be too far: another owner may have said the ones after it before.
    async fn marks(&mut self, numbers: ByTopic<u64>) -> Result<ByTopic<Mark>, Left> {
        let mut marks = ByTopic::<Mark>::default();
        for (topic, (mark, reader)) in OutputTopic::ALL.into_iter().zip(marks.iter_mut().zip(&mut self.readers)) {
            let number = numbers[topic as usize];
            while self.shared.rules.snapshot_after_outputs && reader.number < number {
                if reader.next(WAIT).await?.is_some() {
                    continue;
                }
                let end = self.shared.log.extent(wire::topic(topic), self.partition).await?.end;
                if reader.is_past(end) && reader.number < number {
                    let last = reader.number;
                    return Err(Left::Again(anyhow!("{topic:?} is read to {last}, and {number} was durable")));
                }
            }
            *mark = Mark { number, next: reader.next };
        }
        Ok(marks)
    }

    fn on_records(&mut self, records: Vec<Record>) -> Result<(), Left> {
        let mut said = Batches::default();
        let mut arrivals = Vec::new();
        for record in records {
            let input = journal::input(record.bytes, &self.shared.control.latest())?;
            self.records_since += 1;
            let (engine, outputs) = (&mut self.engine, &mut self.outputs);
            // A panic leaves the engine in no state to go on from: it is dropped, and recovery begins anew.
            let began = Instant::now();
            let step = catch_unwind(AssertUnwindSafe(|| engine.step(record.position, &input, outputs)));
            self.shared.progress.steps.observe(began.elapsed());
            arrivals.extend(arrival(&input));
            step.map_err(|_| Left::Panicked(record.position))??;
            self.say(&mut said)?;
        }
        for topic in OutputTopic::ALL {
            self.append(topic, &mut said);
        }
        if !said.said.is_empty() {
            self.set_in_flight(self.in_flight + said.count);
            self.said.push_back(all(said).boxed());
        }
        let position = self.engine.position().max(self.reader.position());
        if !self.ready && position >= self.ready_at {
            self.ready = true;
            self.stands = Default::default();
            self.remove_sources();
        }
        let versions = self.engine.versions();
        let (policy, topology) = (versions.policy, versions.topology());
        let folded = Folded { position, numbers: self.engine.numbers(), policy, topology, ready: self.ready };
        let arrived = if self.ready { self.folded(&arrivals) } else { None };
        // After a recovery too, which may find everything folded: those who wait look here only.
        if self.marked != Some(folded) {
            self.marked = Some(folded);
            self.said.push_back(async move { Ok(Said::Mark(folded, arrived)) }.boxed());
        }
        let due = self.records_since >= self.shared.limits.snapshot_records
            || (self.records_since > 0 && self.snapshot_at.elapsed() >= self.shared.limits.snapshot_interval);
        if due && self.ready && self.writing.is_empty() {
            self.draft()?;
        }
        Ok(())
    }

    /// What is folded live, and when the last of its records arrived: what is folded again was in time once.
    fn folded(&self, arrivals: &[Timestamp]) -> Option<Timestamp> {
        let Shared { outside, progress, clock, .. } = self.shared;
        if *clock == Clock::Events {
            return None;
        }
        arrivals.iter().for_each(|at| progress.latency.folded.observe(clock::since(*at, &**outside)));
        arrivals.iter().max().copied()
    }

    fn set_in_flight(&mut self, outputs: usize) {
        self.in_flight = outputs;
        self.shared.progress.set_outputs_in_flight(self.partition, outputs);
    }

    /// Gathers what was said and does not stand in its topic yet.
    fn say(&mut self, said: &mut Batches) -> Result<(), Left> {
        for output in std::mem::take(&mut self.outputs.items) {
            let topic = output.body.topic();
            let muted = output.number <= self.mute[topic as usize];
            if muted && self.ready {
                said.said.push(output);
                continue;
            }
            let message = wire::output(&output);
            said.said.push(output);
            if muted {
                let stands = self.stands[topic as usize].remove(&message.number);
                if stands.is_some_and(|hash| hash != xxh3_64(&hashed(&message))) {
                    Progress::count(&self.shared.progress.divergences);
                    return Err(Left::ForGood(anyhow!(
                        "output {} of {topic:?} comes out otherwise than it was said: the journal or the output topic was altered, or the same FOLD concludes differently",
                        message.number
                    )));
                }
                continue;
            }
            said.count += 1;
            let bytes = &mut said.bytes[topic as usize];
            *bytes += message.encoded_len();
            said.outputs[topic as usize].push(message);
            if *bytes >= self.shared.limits.output_record_bytes {
                self.append(topic, said);
            }
        }
        Ok(())
    }

    /// Appends what was gathered of a topic, as one record; or as one for each where together they would be too large.
    fn append(&self, topic: OutputTopic, said: &mut Batches) {
        let outputs = std::mem::take(&mut said.outputs[topic as usize]);
        if outputs.is_empty() {
            return;
        }
        // The last may be an incident of nearly a whole record: then each stands alone.
        let fits = std::mem::take(&mut said.bytes[topic as usize]) < RECORD_BYTES_MAX - RECORD_MARGIN;
        let records = if fits { vec![outputs] } else { outputs.into_iter().map(|output| vec![output]).collect() };
        for outputs in records {
            let record = wire::bytes(&wire::outputs(outputs, self.engine.journal()));
            said.appends.push(self.shared.log.append(wire::topic(topic), self.partition, record));
        }
    }

    /// A record of ours, whose failure harms nothing but where the log is closed for good.
    fn journal(&mut self, record: Journaled) {
        let append = self.shared.log.append(Topic::Journal, self.partition, wire::bytes(&wire::journal_record(record)));
        let (partition, progress) = (self.partition, self.shared.progress.clone());
        self.said.push_back(
            append
                .map(move |done| match done {
                    Err(closed @ LogError::Closed { .. }) => Err(closed),
                    Err(error) => {
                        tracing::debug!(partition, %error, "a tick or adoption was not appended; the next one will be");
                        Ok(Said::Journaled)
                    }
                    Ok(position) => {
                        progress.set_end(partition, position + 1);
                        Ok(Said::Journaled)
                    }
                })
                .boxed(),
        );
    }

    /// Copies into the journal what control has and this partition does not; repeats do no harm.
    fn adopt(&mut self) {
        let latest = self.shared.control.latest().latest();
        let engine = self.engine.versions();
        if latest.policy > engine.policy && self.ready {
            self.journal(Journaled::Adopt(v1::Adopt { kind: ControlKind::Policy as i32, version: latest.policy }));
        }
        if latest.topology() > engine.topology() && self.ready {
            let version = latest.topology();
            self.journal(Journaled::Adopt(v1::Adopt { kind: ControlKind::Topology as i32, version }));
        }
    }

    /// Records that a source which the configuration no longer names feeds no more: else its reach would hold the clock
    /// of its scopes back for ever.
    fn remove_sources(&mut self) {
        let Some(topics) = self.shared.topics.clone() else { return };
        let topic = |source: &str| source.rsplit_once('/').map_or(source, |(topic, _)| topic).to_owned();
        let gone: Vec<_> =
            self.engine.feeding().filter(|s| !topics.contains(&topic(s))).map(ToString::to_string).collect();
        for source in gone {
            tracing::info!(partition = self.partition, source, "the source is no longer configured; it feeds no more");
            self.journal(Journaled::SourceRemoved(v1::SourceRemoved { source }));
        }
    }

    /// Takes a snapshot now, to be written when everything before it is durable.
    fn draft(&mut self) -> Result<(), Left> {
        (self.records_since, self.snapshot_at) = (0, Instant::now());
        let since = self.snapshot_at;
        let draft = Said::Snapshot {
            position: self.engine.position(),
            bytes: self.engine.snapshot()?,
            numbers: self.engine.numbers(),
            since,
        };
        self.shared.progress.snapshot_holds.observe(since.elapsed());
        if self.shared.rules.snapshot_after_outputs {
            self.said.push_back(async move { Ok(draft) }.boxed());
        } else {
            self.said.push_front(async move { Ok(draft) }.boxed());
        }
        Ok(())
    }

    async fn on_said(&mut self, said: Said) -> Result<(), Left> {
        match said {
            Said::Mark(folded, arrived) => {
                let Shared { outside, progress, .. } = self.shared;
                progress.set_folded(self.partition, folded);
                if let Some(at) = arrived {
                    progress.latency.said.observe(clock::since(at, &**outside));
                }
                self.uncounted = true;
                if self.count_at <= Instant::now() {
                    self.count();
                }
            }
            Said::Snapshot { position, bytes, numbers, since } => {
                self.write_snapshot((position, bytes, numbers), since).await?;
            }
            Said::Outputs(outputs, count) => {
                self.set_in_flight(self.in_flight - count);
                if let Some(views) = &self.shared.views {
                    views.show(self.partition, outputs);
                }
            }
            Said::Journaled => {}
        }
        Ok(())
    }

    /// Writes a snapshot beside the fold.
    async fn write_snapshot(
        &mut self,
        (position, bytes, numbers): (u64, Vec<u8>, ByTopic<u64>),
        since: Instant,
    ) -> Result<(), Left> {
        let outputs = self.marks(numbers).await?;
        let trail = self.kept.last().map(|s| s.trail.clone()).unwrap_or_default();
        let draft = Draft { position, bytes, outputs, trail };
        let (log, outside, history) =
            (self.shared.log.clone(), self.shared.outside.clone(), self.shared.limits.history);
        let (partition, journal) = (self.partition, self.engine.journal());
        self.writing.push(
            async move {
                let kept = snapshots::write(&log, &*outside, partition, journal, draft).await;
                if let Ok(Some(kept)) = &kept
                    && let Err(error) = trim(&log, partition, kept, outside.now() - history, history).await
                {
                    tracing::warn!(partition, %error, "trim failed; the next snapshot tries again");
                }
                Written { since, kept }
            }
            .boxed(),
        );
        Ok(())
    }

    fn on_written(&mut self, Written { since, kept }: Written) {
        let progress = &self.shared.progress;
        match kept {
            Ok(Some(kept)) => {
                self.kept = kept;
                Progress::count(&progress.snapshots);
                self.tell_snapshot(Some(since.elapsed()));
            }
            Ok(None) => {
                tracing::warn!(partition = self.partition, "a snapshot did not read back right; not counted");
                Progress::count(&progress.snapshots_rotten);
            }
            Err(error) => tracing::warn!(partition = self.partition, %error, "a snapshot was not written"),
        }
    }

    fn tell_snapshot(&self, took: Option<Duration>) {
        if let Some(Snapshot { position, at, size, outputs, .. }) = self.kept.last() {
            let taken = SnapshotTaken { position: *position, at: *at, bytes: *size, took };
            self.shared.progress.set_snapshot(self.partition, taken);
            if let Some(views) = &self.shared.views {
                views.set_incidents_mark(self.partition, outputs[OutputTopic::Incidents as usize]);
            }
        }
    }

    /// Sums up the scopes, for metrics.
    fn count(&mut self) {
        let began = Instant::now();
        let mut counts = Counts {
            packs_ignored: self.engine.packs_ignored(),
            records_skipped: self.engine.records_skipped(),
            scopes: self.engine.scopes().len(),
            ..Counts::default()
        };
        for (origin, outcome, n) in self.engine.ledger_counts() {
            *counts.ledger.entry((origin.clone(), outcome)).or_default() += n;
        }
        for scope in self.engine.scopes() {
            counts.id_reused += scope.ledger().id_reused;
            counts.held += scope.ledger().held;
            counts.totals.add(&scope.totals());
            counts.evicted.add(&scope.evicted());
            counts.past_incidents += scope.history().len();
            counts.problems += scope.history().problems().len();
            counts.times.add(scope.times());
        }
        for (origin, skew) in self.engine.skews() {
            if self.skewed.insert(origin.clone()) {
                let seconds = skew.0 / 1_000;
                tracing::warn!(%origin, seconds, "the times of this origin are steadily off: is its clock right?");
            }
            counts.skews.insert(origin.clone(), skew);
        }
        self.shared.progress.set_counts(self.partition, counts);
        (self.uncounted, self.count_at) = (false, Instant::now() + began.elapsed() * COUNT_SHARE);
    }

    /// A graceful stop ends with a snapshot at the last output, from which newer code may start.
    async fn finish(mut self) -> Result<(), Left> {
        self.write_all().await;
        if self.ready {
            self.draft()?;
        }
        while let Some(said) = self.said.next().await {
            let said = said.context("stopping").map_err(Left::Again)?;
            self.on_said(said).await?;
        }
        self.write_all().await;
        Ok(())
    }

    /// Waits for the snapshot on its way.
    async fn write_all(&mut self) {
        while let Some(written) = self.writing.next().await {
            self.on_written(written);
        }
    }
}

/// When the last event of a pack arrived.
fn arrival(input: &Input) -> Option<Timestamp> {
    match input {
        Input::Pack(pack) => pack.events.last().map(|event| event.arrival),
        _ => None,
    }
}

/// Lets go of what no recovery needs: older snapshots, and the journal below the second newest, less the history.
async fn trim(
    log: &Arc<dyn Log>,
    partition: u32,
    kept: &[Snapshot],
    horizon: Timestamp,
    history: Span,
) -> Result<(), LogError> {
    let [older, newest] = kept else { return Ok(()) };
    log.trim(Topic::Snapshots, partition, older.begins.min(newest.begins)).await?;
    let past = newest.trail.iter().rev().find(|mark| mark.at_ms <= horizon.0).map(|mark| mark.position);
    let below = if history.0 == 0 { Some(older.position) } else { past.map(|p| p.min(older.position)) };
    match below {
        Some(below) => log.trim(Topic::Journal, partition, below).await,
        None => Ok(()),
    }
}

/// Waits for appends in turn. They are on their way, and become durable about together: who waits for the first is woken
/// once for most of them.
async fn all(batches: Batches) -> Result<Said, LogError> {
    for append in batches.appends {
        append.await?;
    }
    Ok(Said::Outputs(batches.said, batches.count))
}

/// What two owners must say alike: all but the journal position's packing.
fn hashed(output: &v1::Output) -> Vec<u8> {
    let mut bytes = output.body.to_vec();
    bytes.extend_from_slice(output.gone.as_bytes());
    bytes
}
