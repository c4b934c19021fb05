//! Sources to journal: decode, map, find the scope, pack, append; commit what is durable (design rules 2, 3, 5, 6).
use crate::{
    clock::{self, Outside},
    control::{Control, MappingVersion},
    progress::Progress,
    rules::Rules,
    stop::Stop,
};
use dashmap::DashMap;
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use prost::Message as _;
use quell_connectors::{
    decode::{Format, Mapping},
    log::{Append, Log, LogError, RECORD_BYTES_MAX, Topic},
    source::{Source, SourceError, SourceEvent, SourcePartition, SourceRecord},
    wire,
};
use quell_core::{
    domain::{policy::Clock, time::Timestamp},
    engine::Range,
};
use quell_proto::v1::{self, journal_record::Record};
use std::{
    collections::{BTreeMap, VecDeque},
    iter, ops,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior},
};

mod pack;
mod records;
use pack::Packs;
pub use pack::Part;

/// How long a session that failed waits before the next.
const RETRY: Duration = Duration::from_millis(200);

/// Limits of ingest.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Records read at once.
    pub batch_records: usize,
    /// Packs appended and not yet durable.
    pub in_flight: usize,
    /// How often offsets are committed.
    pub commit_interval: Duration,
    /// Reading pauses while the journal's unfolded tail is older.
    pub tail_max: Duration,
}

/// How the records of a topic are read.
#[derive(Clone, Debug)]
pub struct TopicMapping {
    pub format: Format,
    pub mapping: Mapping,
}

/// Counts for metrics.
#[derive(Debug, Default)]
pub struct IngestCounts {
    pub records: AtomicU64,
    pub tombstones: AtomicU64,
    pub sessions: AtomicU64,
    pub sessions_failed: AtomicU64,
    pub pauses: AtomicU64,
    /// Records that retention deleted before they were read.
    pub lost: AtomicU64,
    /// Packs on their way to the journal.
    pub in_flight: AtomicUsize,
    /// By source partition: records that are not durable in the journal.
    pub lag: DashMap<String, u64>,
}

/// What every part of ingest shares.
#[derive(Clone)]
pub struct Shared {
    pub log: Arc<dyn Log>,
    pub control: Arc<Control>,
    pub outside: Arc<dyn Outside>,
    pub progress: Arc<Progress>,
    pub counts: Arc<IngestCounts>,
    pub clock: Clock,
    pub partitions: u32,
    pub rules: Rules,
}

impl Shared {
    /// Says what of the offsets that were passed over lies before the oldest that is kept. The others hold no record for
    /// readers: marks of transactions, and what was aborted or compacted away.
    fn say_lost(&self, partition: &SourcePartition, passed: impl IntoIterator<Item = ops::Range<i64>>, oldest: i64) {
        let lost: i64 = passed.into_iter().map(|gap| (gap.end.min(oldest) - gap.start).max(0)).sum();
        if lost > 0 {
            tracing::error!(%partition, lost, "retention deleted records before they were read");
            self.counts.lost.fetch_add(lost.unsigned_abs(), Ordering::Relaxed);
        }
    }

    /// A pack is durable, of which the last record arrived at `arrival`.
    fn appended(&self, journal: u32, position: u64, arrival: Option<Timestamp>) {
        self.progress.appended(journal, position);
        if let Some(arrival) = arrival.filter(|_| self.clock == Clock::Wall) {
            self.progress.latency.durable.observe(clock::since(arrival, &*self.outside));
        }
    }
}

/// Asks ingest to tell when all that stands in its sources now is durable in the journal.
pub type CaughtUp = oneshot::Sender<()>;

/// What ends a session.
#[derive(Debug, thiserror::Error)]
enum IngestError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("control: {0:#}")]
    Control(anyhow::Error),
}

/// A batch on its way to the journal.
struct Batch {
    /// The offset to commit when it is durable.
    to: i64,
    waiting: usize,
}

/// One reading of a source partition, from a committed offset on.
struct Session {
    id: u64,
    incarnation: u32,
    topic_id: Option<String>,
    start: i64,
    /// The next offset to read.
    position: i64,
    /// By journal partition: the end of the last range appended.
    last: Vec<i64>,
    batches: VecDeque<Batch>,
    /// How many batches have left `batches`.
    done: u64,
    /// Durable, and what was committed of it.
    durable: i64,
    committed: i64,
    arrival: Option<Timestamp>,
}

type Done = (SourcePartition, u64, u64, Result<u64, LogError>);

/// Reads one source until it is stopped.
pub struct Ingest {
    shared: Shared,
    limits: Limits,
    topics: BTreeMap<String, TopicMapping>,
    sessions: BTreeMap<SourcePartition, Session>,
    in_flight: FuturesUnordered<BoxFuture<'static, Done>>,
    /// Those to open again, and when.
    reopen: BTreeMap<SourcePartition, Instant>,
    waiters: Vec<(BTreeMap<SourcePartition, i64>, CaughtUp)>,
    next_session: u64,
}

impl Ingest {
    /// For sources of these topics.
    pub fn new(shared: Shared, limits: Limits, topics: BTreeMap<String, TopicMapping>) -> Self {
        Self {
            shared,
            limits,
            topics,
            sessions: BTreeMap::new(),
            in_flight: FuturesUnordered::new(),
            reopen: BTreeMap::new(),
            waiters: Vec::new(),
            next_session: 0,
        }
    }

    /// Until `stop` says so; what is in flight is then awaited and committed. What fails on the way is tried again.
    pub async fn run(mut self, source: &mut dyn Source, mut requests: mpsc::Receiver<CaughtUp>, mut stop: Stop) {
        let every = |period| {
            let mut interval = tokio::time::interval(period);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        };
        let mut commits = every(self.limits.commit_interval);
        let mut reaches = every(Duration::from_secs(1));
        loop {
            let paused =
                self.in_flight.len() >= self.limits.in_flight || self.shared.progress.tail_age() > self.limits.tail_max;
            self.shared.counts.in_flight.store(self.in_flight.len(), Ordering::Relaxed);
            if paused {
                self.shared.counts.pauses.fetch_add(1, Ordering::Relaxed);
            }
            tokio::select! {
                biased;
                () = stop.requested() => break,
                Some(done) = self.in_flight.next() => self.on_done(done),
                _ = commits.tick() => {
                    self.commit(source).await;
                    self.reopen(source).await;
                }
                _ = reaches.tick() => self.say_reaches(source).await,
                Some(request) = requests.recv() => self.on_request(source, request).await,
                () = tokio::time::sleep(Duration::from_millis(20)), if paused => {}
                event = source.next(self.limits.batch_records, Duration::from_millis(500)), if !paused => {
                    match event {
                        Ok(event) => self.on_source(source, event).await,
                        Err(error) => {
                            tracing::warn!(%error, "reading failed; trying again");
                            tokio::time::sleep(RETRY).await;
                        }
                    }
                }
            }
        }
        while let Some(done) = self.in_flight.next().await {
            self.on_done(done);
        }
        self.commit(source).await;
    }

    async fn on_source(&mut self, source: &mut dyn Source, event: SourceEvent) {
        match event {
            SourceEvent::Assigned(partitions) => {
                let now = Instant::now();
                self.reopen.extend(partitions.into_iter().map(|partition| (partition, now)));
                self.reopen(source).await;
            }
            SourceEvent::Revoked(partitions) => {
                for partition in partitions {
                    self.sessions.remove(&partition);
                    self.reopen.remove(&partition);
                    self.shared.counts.lag.remove(&partition.to_string());
                }
            }
            SourceEvent::Records { partition, records, next } => {
                if let Err(error) = self.on_records(source, &partition, records, next).await {
                    self.end(partition, &error);
                }
            }
            SourceEvent::Idle => {}
        }
    }

    /// Ends a session; another one begins soon, at what is committed.
    fn end(&mut self, partition: SourcePartition, error: &dyn std::error::Error) {
        tracing::warn!(%partition, %error, "reading again from the last commit");
        self.shared.counts.sessions_failed.fetch_add(1, Ordering::Relaxed);
        self.sessions.remove(&partition);
        self.reopen.insert(partition, Instant::now() + RETRY);
    }

    /// Begins a session at the committed offset of the topic's present incarnation.
    async fn open(&mut self, source: &mut dyn Source, partition: &SourcePartition) -> Result<(), IngestError> {
        self.sessions.remove(partition);
        self.reopen.remove(partition);
        let control = self.shared.control.clone();
        let topic_id = source.topic_id(&partition.topic).await?;
        let extent = source.extent(partition).await?;
        let committed = source.committed(partition).await?;
        let known = control.latest().incarnation(&partition.topic).map(|(n, id)| (n, id.to_owned()));
        // Where the client does not show the topic's id, an end below what was committed shows a topic made anew.
        let shrunk = topic_id.is_none() && committed.as_ref().is_some_and(|c| c.offset > extent.end);
        let id = match (&topic_id, &known) {
            (Some(id), _) => id.clone(),
            (None, Some((n, _))) if shrunk => format!("unnamed-{}", n + 1),
            (None, Some((_, id))) => id.clone(),
            (None, None) => "unnamed-0".to_owned(),
        };
        if control.latest().incarnation_of(&partition.topic, &id).is_none() {
            if known.is_some() {
                tracing::warn!(topic = %partition.topic, "the source topic was made anew; it is read from its start");
            }
            control.record_incarnation(&partition.topic, &id).await.map_err(IngestError::Control)?;
        }
        let incarnation = control.latest().incarnation_of(&partition.topic, &id).unwrap_or(0);
        let metadata = commit_metadata(incarnation);
        let start = committed.filter(|c| c.metadata == metadata).map_or(0, |c| c.offset);
        if start > 0 {
            self.shared.say_lost(partition, iter::once(start..extent.oldest), extent.oldest);
        }
        let start = start.max(extent.oldest);
        if let Some(topic) = self.topics.get(&*partition.topic) {
            adopt_mapping(&control, topic, partition, incarnation, extent.end).await?;
        }
        source.seek(partition, start).await?;
        self.next_session += 1;
        self.shared.counts.sessions.fetch_add(1, Ordering::Relaxed);
        tracing::info!(%partition, incarnation, start, end = extent.end, "reading");
        let session = Session {
            id: self.next_session,
            incarnation,
            topic_id,
            start,
            position: start,
            last: vec![start; self.shared.partitions as usize],
            batches: VecDeque::new(),
            done: 0,
            durable: start,
            committed: start,
            arrival: None,
        };
        self.sessions.insert(partition.clone(), session);
        Ok(())
    }

    async fn reopen(&mut self, source: &mut dyn Source) {
        let now = Instant::now();
        let due: Vec<_> = self.reopen.iter().filter(|(_, at)| **at <= now).map(|(p, _)| p.clone()).collect();
        for partition in due {
            if let Err(error) = self.open(source, &partition).await {
                self.end(partition, &error);
            }
        }
    }

    async fn on_records(
        &mut self,
        source: &mut dyn Source,
        partition: &SourcePartition,
        records: Vec<SourceRecord>,
        next: i64,
    ) -> Result<(), IngestError> {
        if !self.sessions.contains_key(partition) {
            return Ok(());
        }
        // Asked after reading: whatever was read, was read of this topic.
        let topic_id = source.topic_id(&partition.topic).await?;
        let Some(session) = self.sessions.get_mut(partition) else { return Ok(()) };
        if topic_id != session.topic_id {
            return self.open(source, partition).await;
        }
        let gaps = gaps(session.position, &records, next);
        if !gaps.is_empty() {
            self.shared.say_lost(partition, gaps, source.extent(partition).await?.oldest);
        }
        self.shared.counts.records.fetch_add(records.len() as u64, Ordering::Relaxed);
        let packs = records::pack(&self.shared, partition, session, records, next);
        session.position = session.position.max(next);
        if let Some(arrival) = packs.arrival {
            session.arrival = session.arrival.max(Some(arrival));
        }
        let mut appends = Vec::new();
        for (journal, pack) in packs.packs {
            let bytes = wire::bytes(&wire::pack(pack));
            appends.push((journal, self.shared.log.append(Topic::Journal, journal, bytes)));
        }
        self.track(partition, appends, packs.arrival);
        Ok(())
    }

    /// Follows a batch, of which the last record arrived at `arrival`, until it is durable.
    fn track(&mut self, partition: &SourcePartition, appends: Vec<(u32, Append)>, arrival: Option<Timestamp>) {
        let Some(session) = self.sessions.get_mut(partition) else { return };
        let batch = session.done + session.batches.len() as u64;
        session.batches.push_back(Batch { to: session.position, waiting: appends.len() });
        for (journal, append) in appends {
            let (partition, session, shared) = (partition.clone(), session.id, self.shared.clone());
            let done = append.map(move |result| {
                if let Ok(position) = result {
                    shared.appended(journal, position, arrival);
                }
                (partition, session, batch, result)
            });
            self.in_flight.push(done.boxed());
        }
        self.settle_batches(partition);
    }

    fn on_done(&mut self, (partition, id, batch, result): Done) {
        let Some(session) = self.sessions.get_mut(&partition).filter(|s| s.id == id) else { return };
        if let Err(error) = result {
            self.shared.progress.fail_if_closed(&error);
            // What was appended behind it may have landed: everything from the committed offset on goes again.
            if self.shared.rules.commit_after_durable {
                self.end(partition, &error);
            }
            return;
        }
        let index = batch.checked_sub(session.done).and_then(|n| usize::try_from(n).ok());
        if let Some(batch) = index.and_then(|n| session.batches.get_mut(n)) {
            batch.waiting -= 1;
        }
        self.settle_batches(&partition);
    }

    /// The batches at the front that are durable may be committed.
    fn settle_batches(&mut self, partition: &SourcePartition) {
        let Some(session) = self.sessions.get_mut(partition) else { return };
        let after_durable = self.shared.rules.commit_after_durable;
        while session.batches.front().is_some_and(|batch| batch.waiting == 0 || !after_durable) {
            if let Some(batch) = session.batches.pop_front() {
                session.durable = session.durable.max(batch.to);
                session.done += 1;
            }
        }
        self.answer();
    }

    /// Tells those who waited for what is durable now.
    fn answer(&mut self) {
        let sessions = &self.sessions;
        self.waiters.retain_mut(|(ends, tell)| {
            ends.retain(|partition, end| sessions.get(partition).is_none_or(|s| s.durable < *end));
            if ends.is_empty() {
                let (gone, _) = oneshot::channel();
                // Who asked may have left.
                let _ = std::mem::replace(tell, gone).send(());
            }
            !ends.is_empty()
        });
    }

    async fn commit(&mut self, source: &dyn Source) {
        for (partition, session) in &mut self.sessions {
            if session.durable > session.committed {
                match source.commit(partition, session.durable, commit_metadata(session.incarnation)).await {
                    Ok(()) => session.committed = session.durable,
                    Err(error) => tracing::warn!(%partition, %error, "commit failed; trying again"),
                }
            }
        }
    }

    /// Tells every journal partition how far each source partition is read (design rule 6).
    async fn say_reaches(&mut self, source: &mut dyn Source) {
        let mut ranges: Vec<Vec<v1::Range>> = vec![Vec::new(); self.shared.partitions as usize];
        let mut said = Vec::new();
        for (partition, session) in &mut self.sessions {
            let asked_at = self.shared.outside.now();
            let end = match source.extent(partition).await {
                Ok(extent) => extent.end,
                Err(error) => {
                    tracing::debug!(%partition, %error, "its end is not known; the next second asks again");
                    continue;
                }
            };
            let lag = end.saturating_sub(session.durable).max(0).unsigned_abs();
            self.shared.counts.lag.insert(partition.to_string(), lag);
            if self.shared.clock == Clock::Events {
                continue;
            }
            // Another topic of the same name ends the session with its next records.
            let same = source.topic_id(&partition.topic).await.is_ok_and(|id| id == session.topic_id);
            let reach = if session.position >= end { Some(asked_at) } else { session.arrival };
            let Some(reach) = reach.filter(|_| same) else { continue };
            let name: Arc<str> = partition.to_string().into();
            for (ranges, last) in ranges.iter_mut().zip(&mut session.last) {
                let after = std::mem::replace(last, session.position);
                ranges.push(wire::range(&Range {
                    source: name.clone(),
                    incarnation: session.incarnation,
                    session: session.start,
                    after,
                    part: 0,
                    to: session.position,
                    reach: Some(reach),
                }));
            }
            said.push(partition.clone());
        }
        if said.is_empty() {
            return;
        }
        let mut appends = Vec::new();
        for (journal, ranges) in (0..).zip(ranges) {
            let record = wire::journal_record(Record::Reaches(v1::Reaches { ranges }));
            appends.push((journal, self.shared.log.append(Topic::Journal, journal, wire::bytes(&record)).shared()));
        }
        for partition in said {
            let appends = appends.iter().map(|(journal, append)| (*journal, append.clone().boxed())).collect();
            self.track(&partition, appends, None);
        }
    }

    /// Somebody waits for all that stands in the sources now.
    async fn on_request(&mut self, source: &mut dyn Source, tell: CaughtUp) {
        // Where an end can't be asked, who waits is told by the channel that closes.
        if let Ok(ends) = ends(source).await {
            self.waiters.push((ends, tell));
            self.answer();
        }
    }
}

/// A mapping of the configuration that is new is recorded first, and takes effect where nobody has read yet.
async fn adopt_mapping(
    control: &Control,
    TopicMapping { format, mapping }: &TopicMapping,
    partition: &SourcePartition,
    incarnation: u32,
    end: i64,
) -> Result<(), IngestError> {
    let name = partition.to_string();
    let contents = control.latest();
    let known = contents.latest_mapping(&name);
    if known.is_some_and(|known| known.format == *format && known.mapping == *mapping) {
        return Ok(());
    }
    // The first one holds from the first record on.
    let (incarnation, from) = if known.is_some() { (incarnation, end) } else { (0, 0) };
    let version = MappingVersion { format: *format, mapping: mapping.clone(), incarnation, from };
    control.record_mapping(&name, &version).await.map_err(IngestError::Control)
}

/// The offsets that a batch from `position` to `next` passes over.
fn gaps(position: i64, records: &[SourceRecord], next: i64) -> Vec<ops::Range<i64>> {
    let mut from = position;
    let mut gaps = Vec::new();
    for to in records.iter().map(|record| record.offset).chain([next]) {
        if to > from {
            gaps.push(from..to);
        }
        from = from.max(to + 1);
    }
    gaps
}

async fn ends(source: &dyn Source) -> Result<BTreeMap<SourcePartition, i64>, SourceError> {
    let mut ends = BTreeMap::new();
    for partition in source.partitions().await? {
        let extent = source.extent(&partition).await?;
        if extent.end > extent.oldest {
            ends.insert(partition, extent.end);
        }
    }
    Ok(ends)
}

/// What is committed beside an offset: a commit of another incarnation counts as none.
fn commit_metadata(incarnation: u32) -> String {
    format!("incarnation={incarnation}")
}

/// What came by a door: appended, and answered when it is durable. `None` where one of its partitions `is_behind`: then nothing is
/// appended.
///
/// # Errors
/// Where an append failed; it may have happened all the same, and a retry is caught by the events' ids.
pub async fn append_parts(
    shared: &Shared,
    mut parts: Vec<Part>,
    is_behind: impl Fn(u32) -> bool,
) -> Option<Result<BTreeMap<u32, u64>, LogError>> {
    let arrival = parts.iter().map(Part::arrival).max();
    let mut packs = Packs::new(shared.partitions);
    // No pack has a range, so that they may end anywhere.
    packs.add(&mut parts);
    let packs = packs.finish(0);
    if packs.iter().any(|closed| is_behind(closed.journal)) {
        return None;
    }
    let append = |closed: pack::Closed| {
        let record = wire::pack(closed.pack);
        debug_assert!(record.encoded_len() <= RECORD_BYTES_MAX, "a pack is larger than was counted");
        (closed.journal, shared.log.append(Topic::Journal, closed.journal, wire::bytes(&record)))
    };
    let appends: Vec<_> = packs.into_iter().map(append).collect();
    let mut positions = BTreeMap::new();
    for (journal, done) in appends {
        let position = match done.await {
            Ok(position) => position,
            Err(error) => {
                shared.progress.fail_if_closed(&error);
                return Some(Err(error));
            }
        };
        shared.appended(journal, position, arrival);
        positions.insert(journal, position);
    }
    Some(Ok(positions))
}
