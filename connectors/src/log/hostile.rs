//! A log in memory that does everything that [`Log`] permits, from a seed: for tests and simulations.
use super::{Append, Extent, Log, LogError, RECORD_BYTES_MAX, Reader, Record, Topic};
use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::{Notify, oneshot},
    time::{self, Instant},
};

/// How often each thing happens, as a share of the times that it can: 0 never, 1 always.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// An append fails, and did not happen.
    pub fail: f64,
    /// An append fails, and happened all the same.
    pub fail_yet_happened: f64,
    /// A record stands twice.
    pub duplicate: f64,
    /// Some positions before or after a record stay empty.
    pub hole: f64,
    /// The longest that an append takes. Each takes a random time, and those of one writer to one partition stay in
    /// order; those of several writers mix.
    pub delay: Duration,
    /// A read gives fewer records than are at hand.
    pub read_short: f64,
    /// A record of [`Topic::Snapshots`] is altered as it is appended.
    pub rot: f64,
    /// A trim keeps some of what it may let go.
    pub trim_short: f64,
}

/// One writer's view of a log in memory. A clone is the same writer; [`HostileLog::writer`] makes another.
///
/// The same seed and the same calls in the same order give the same log, as they do on a runtime of one thread with
/// tokio's time paused. A log without delays needs no runtime.
#[derive(Clone)]
pub struct HostileLog {
    shared: Arc<Mutex<State>>,
    writer: u64,
}

struct State {
    rng: StdRng,
    faults: Faults,
    counts: BTreeMap<&'static str, u64>,
    partitions: BTreeMap<(Topic, u32), Partition>,
    queues: BTreeMap<Way, Queue>,
    writers: u64,
    killed: BTreeSet<u64>,
}

/// From a writer to a partition: what goes it stays in order.
type Way = (u64, Topic, u32);

#[derive(Default)]
struct Queue {
    pending: VecDeque<Pending>,
    /// When the last of them lands.
    last: Option<Instant>,
    /// A task is on it.
    driven: bool,
}

struct Pending {
    due: Instant,
    bytes: Bytes,
    done: oneshot::Sender<Result<u64, LogError>>,
}

struct Partition {
    records: BTreeMap<u64, Bytes>,
    extent: Extent,
    /// Wakes its readers in the order in which they began to wait. (A `watch` does so in a random one.)
    grown: Arc<Notify>,
}

impl Default for Partition {
    fn default() -> Self {
        Self { records: BTreeMap::new(), extent: Extent { oldest: 0, end: 0 }, grown: Arc::default() }
    }
}

impl HostileLog {
    /// An empty log, and its first writer.
    pub fn new(seed: u64, faults: Faults) -> Self {
        let state = State {
            rng: StdRng::seed_from_u64(seed),
            faults,
            counts: BTreeMap::new(),
            partitions: BTreeMap::new(),
            queues: BTreeMap::new(),
            writers: 1,
            killed: BTreeSet::new(),
        };
        Self { shared: Arc::new(Mutex::new(state)), writer: 0 }
    }

    /// Another writer to the same log, such as another process.
    pub fn writer(&self) -> Self {
        let mut state = lock(&self.shared);
        let writer = state.writers;
        state.writers += 1;
        Self { shared: self.shared.clone(), writer }
    }

    /// Ends this writer, as if its process had been killed: of its appends on their way some still land, at their
    /// time; every later one fails. Other writers do not notice.
    pub fn kill(&self) {
        let mut state = lock(&self.shared);
        let State { queues, rng, counts, killed, .. } = &mut *state;
        if !killed.insert(self.writer) {
            return;
        }
        for queue in queues.range_mut((self.writer, Topic::Control, 0)..(self.writer + 1, Topic::Control, 0)) {
            let before = queue.1.pending.len();
            // What is let go drops its `done`, which tells those who wait.
            queue.1.pending.retain(|_| rng.random_bool(0.5));
            *counts.entry("killed").or_default() += (before - queue.1.pending.len()) as u64;
        }
    }

    /// From now on these faults.
    pub fn set_faults(&self, faults: Faults) {
        lock(&self.shared).faults = faults;
    }

    /// How often each fault has happened, by the name of its field in [`Faults`]; and as `killed`, how many appends
    /// were lost with their writer.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.shared).counts.clone()
    }
}

fn lock(shared: &Mutex<State>) -> MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// Whether a fault of this share happens now.
    fn roll(&mut self, name: &'static str, share: f64) -> bool {
        let happens = share > 0.0 && self.rng.random_bool(share.min(1.0));
        if happens {
            *self.counts.entry(name).or_default() += 1;
        }
        happens
    }

    /// When an append that starts now lands.
    fn due(&mut self, way: Way) -> Instant {
        let now = Instant::now();
        let delay = self.rng.random_range(Duration::ZERO..=self.faults.delay);
        if !delay.is_zero() {
            *self.counts.entry("delay").or_default() += 1;
        }
        let queue = self.queues.entry(way).or_default();
        let due = queue.last.map_or(now + delay, |last| last.max(now + delay));
        queue.last = Some(due);
        due
    }

    /// The fate of an append that has come through.
    fn land(&mut self, topic: Topic, partition: u32, bytes: Bytes) -> Result<u64, LogError> {
        let faults = self.faults;
        let failed = |reason: &str| LogError::Append { topic, partition, reason: reason.to_owned() };
        if self.roll("fail", faults.fail) {
            return Err(failed("refused"));
        }
        let bytes = if topic == Topic::Snapshots && !bytes.is_empty() && self.roll("rot", faults.rot) {
            let mut rotten = bytes.to_vec();
            let at = self.rng.random_range(0..rotten.len());
            rotten[at] ^= 1 << self.rng.random_range(0..8);
            rotten.into()
        } else {
            bytes
        };
        let mut position = self.place(topic, partition, bytes.clone());
        if self.roll("duplicate", faults.duplicate) {
            let again = self.place(topic, partition, bytes);
            if self.rng.random() {
                position = again;
            }
        }
        if self.roll("fail_yet_happened", faults.fail_yet_happened) {
            return Err(failed("no answer"));
        }
        Ok(position)
    }

    fn place(&mut self, topic: Topic, partition: u32, bytes: Bytes) -> u64 {
        let (mut before, mut after) = (0, 0);
        if self.roll("hole", self.faults.hole) {
            let hole = if self.rng.random() { &mut before } else { &mut after };
            *hole = self.rng.random_range(1..=3);
        }
        let partition = self.partitions.entry((topic, partition)).or_default();
        let position = partition.extent.end + before;
        partition.records.insert(position, bytes);
        partition.extent.end = position + 1 + after;
        partition.grown.notify_waiters();
        position
    }
}

impl Log for HostileLog {
    fn append(&self, topic: Topic, partition: u32, bytes: Bytes) -> Append {
        if bytes.len() > RECORD_BYTES_MAX {
            return futures::future::ready(Err(LogError::TooLarge { size: bytes.len() })).boxed();
        }
        let way = (self.writer, topic, partition);
        let lost = |reason: &str| LogError::Append { topic, partition, reason: reason.to_owned() };
        let mut state = lock(&self.shared);
        if state.killed.contains(&self.writer) {
            return futures::future::ready(Err(lost("the writer was killed"))).boxed();
        }
        let due = state.due(way);
        let runtime = Handle::try_current().ok();
        let queue = state.queues.entry(way).or_default();
        let (Some(runtime), true) = (runtime, !queue.pending.is_empty() || due > Instant::now()) else {
            return futures::future::ready(state.land(topic, partition, bytes)).boxed();
        };
        let (done, result) = oneshot::channel();
        queue.pending.push_back(Pending { due, bytes, done });
        if !queue.driven {
            queue.driven = true;
            runtime.spawn(drive(Driver { shared: self.shared.clone(), way }));
        }
        let gone = lost("the writer was killed on the way");
        async move { result.await.unwrap_or(Err(gone)) }.boxed()
    }

    fn read_from(
        &self,
        topic: Topic,
        partition: u32,
        position: u64,
    ) -> BoxFuture<'_, Result<Box<dyn Reader>, LogError>> {
        let grown = lock(&self.shared).partitions.entry((topic, partition)).or_default().grown.clone();
        // That the position is trimmed comes with the first read, as it may.
        let reader = HostileReader { shared: self.shared.clone(), topic, partition, position, grown };
        futures::future::ready(Ok(Box::new(reader) as _)).boxed()
    }

    fn extent(&self, topic: Topic, partition: u32) -> BoxFuture<'_, Result<Extent, LogError>> {
        let extent = lock(&self.shared).partitions.entry((topic, partition)).or_default().extent;
        futures::future::ready(Ok(extent)).boxed()
    }

    fn trim(&self, topic: Topic, partition: u32, position: u64) -> BoxFuture<'_, Result<(), LogError>> {
        let mut state = lock(&self.shared);
        let extent = state.partitions.entry((topic, partition)).or_default().extent;
        let mut position = position.min(extent.end);
        let share = state.faults.trim_short;
        if position > extent.oldest && state.roll("trim_short", share) {
            position = state.rng.random_range(extent.oldest..position);
        }
        if let Some(partition) = state.partitions.get_mut(&(topic, partition)).filter(|_| position > extent.oldest) {
            partition.records = partition.records.split_off(&position);
            partition.extent.oldest = position;
        }
        futures::future::ready(Ok(())).boxed()
    }
}

/// The task that lands what one writer has on its way to one partition.
struct Driver {
    shared: Arc<Mutex<State>>,
    way: Way,
}

async fn drive(driver: Driver) {
    let Driver { shared, way } = &driver;
    let first_due = || {
        let mut state = lock(shared);
        let queue = state.queues.get_mut(way)?;
        let due = queue.pending.front().map(|first| first.due);
        // Under one lock with finding nothing, so that the next append starts another.
        queue.driven = due.is_some();
        due
    };
    while let Some(due) = first_due() {
        time::sleep_until(due).await;
        let mut state = lock(shared);
        let queue = state.queues.entry(*way).or_default();
        // A kill may have taken it while we slept, and what is next has its own time.
        if let Some(Pending { bytes, done, .. }) = queue.pending.pop_front_if(|first| first.due <= due) {
            let result = state.land(way.1, way.2, bytes);
            drop(state);
            done.send(result).ok();
        }
    }
}

impl Drop for Driver {
    /// Where its runtime ends before it does, what is left waits for the next append.
    fn drop(&mut self) {
        if let Some(queue) = lock(&self.shared).queues.get_mut(&self.way).filter(|queue| !queue.pending.is_empty()) {
            queue.driven = false;
        }
    }
}

struct HostileReader {
    shared: Arc<Mutex<State>>,
    topic: Topic,
    partition: u32,
    position: u64,
    grown: Arc<Notify>,
}

impl HostileReader {
    /// None if there is no record at hand.
    fn read(&mut self, bytes_max: usize) -> Result<Option<Vec<Record>>, LogError> {
        let Self { topic, partition, position, .. } = *self;
        let mut state = lock(&self.shared);
        let Extent { oldest, end } = state.partitions.entry((topic, partition)).or_default().extent;
        if position < oldest {
            return Err(LogError::Trimmed { topic, partition, position, oldest });
        }
        let mut bytes_sum = 0;
        let mut records: Vec<_> = state
            .partitions
            .entry((topic, partition))
            .or_default()
            .records
            .range(position..)
            .take_while(|(_, bytes)| {
                let first = bytes_sum == 0;
                bytes_sum += bytes.len().max(1);
                first || bytes_sum <= bytes_max
            })
            .map(|(&position, bytes)| Record { position, bytes: bytes.clone() })
            .collect();
        let share = state.faults.read_short;
        if records.len() > 1 && state.roll("read_short", share) {
            let kept = state.rng.random_range(1..records.len());
            records.truncate(kept);
        }
        let Some(last) = records.last() else {
            // There may be a hole at the end.
            self.position = position.max(end);
            return Ok(None);
        };
        self.position = last.position + 1;
        Ok(Some(records))
    }
}

impl Reader for HostileReader {
    fn next(&mut self, bytes_max: usize, wait: Duration) -> BoxFuture<'_, Result<Vec<Record>, LogError>> {
        async move {
            let grown = self.grown.clone();
            let come = async {
                loop {
                    // Begins to wait before it reads: what comes in between is not missed.
                    let mut more = pin!(grown.notified());
                    more.as_mut().enable();
                    if let Some(records) = self.read(bytes_max)? {
                        return Ok(records);
                    }
                    more.await;
                }
            };
            time::timeout(wait, come).await.unwrap_or(Ok(Vec::new()))
        }
        .boxed()
    }

    fn position(&self) -> u64 {
        self.position
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compliance::{self, Trim};

    const ALL: Faults = Faults {
        fail: 0.1,
        fail_yet_happened: 0.1,
        duplicate: 0.1,
        hole: 0.1,
        delay: Duration::from_millis(50),
        read_short: 0.3,
        rot: 0.0,
        trim_short: 0.5,
    };

    async fn contents(log: &HostileLog, topic: Topic) -> Vec<Record> {
        let end = log.extent(topic, 0).await.unwrap().end;
        let mut reader = log.read_from(topic, 0, 0).await.unwrap();
        let mut records = Vec::new();
        while reader.position() < end {
            records.extend(reader.next(usize::MAX, Duration::ZERO).await.unwrap());
        }
        records
    }

    #[tokio::test(start_paused = true)]
    async fn is_a_log() {
        let log = HostileLog::new(1, Faults::default());
        compliance::log(async || Arc::new(log.writer()) as _, Trim::Exact).await;
        assert!(log.counts().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn is_a_log_whatever_it_does() {
        for seed in 0..20 {
            let log = HostileLog::new(seed, ALL);
            compliance::log(async || Arc::new(log.writer()) as _, Trim::Later).await;
            let counts = log.counts();
            assert!(counts.len() >= 6, "{counts:?}");
        }
    }

    /// Appends by two writers, one of which is killed in the midst.
    async fn scene(seed: u64) -> (HostileLog, Vec<bool>, Vec<bool>) {
        let log = HostileLog::new(seed, ALL);
        let other = log.writer();
        let append = |log: &HostileLog, i: u8| log.append(Topic::Journal, 0, Bytes::from(vec![i]));
        let ours: Vec<_> = (0..100).map(|i| append(&log, i)).collect();
        let theirs: Vec<_> = (100..200).map(|i| append(&other, i)).collect();
        time::sleep(Duration::from_millis(25)).await;
        other.kill();
        assert!(append(&other, 255).await.is_err());
        let done = |results: Vec<Result<u64, LogError>>| results.iter().map(Result::is_ok).collect();
        let ours = done(futures::future::join_all(ours).await);
        let theirs = done(futures::future::join_all(theirs).await);
        (log, ours, theirs)
    }

    #[tokio::test(start_paused = true)]
    async fn a_seed_gives_the_same_log() {
        let (one, ..) = scene(7).await;
        let (two, ..) = scene(7).await;
        let (three, ..) = scene(8).await;
        assert_eq!(contents(&one, Topic::Journal).await, contents(&two, Topic::Journal).await);
        assert_eq!(one.counts(), two.counts());
        assert_ne!(contents(&one, Topic::Journal).await, contents(&three, Topic::Journal).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_killed_writer_may_still_land() {
        let (log, ours, theirs) = scene(3).await;
        let records = contents(&log, Topic::Journal).await;
        let stands = |i: usize| records.iter().any(|record| usize::from(record.bytes[0]) == i);
        assert!((0..100).all(|i| !ours[i] || stands(i)));
        assert!((0..100).all(|i| !theirs[i] || stands(100 + i)));
        assert!(!stands(255));
        assert!(log.counts()["killed"] > 0);
    }

    #[tokio::test]
    async fn snapshots_rot() {
        let log = HostileLog::new(1, Faults { rot: 1.0, ..Faults::default() });
        log.append(Topic::Snapshots, 0, Bytes::from_static(b"whole")).await.unwrap();
        log.append(Topic::Journal, 0, Bytes::from_static(b"whole")).await.unwrap();
        assert_ne!(contents(&log, Topic::Snapshots).await[0].bytes, "whole");
        assert_eq!(contents(&log, Topic::Journal).await[0].bytes, "whole");
    }

    #[tokio::test(start_paused = true)]
    async fn faults_can_stop() {
        let log = HostileLog::new(1, Faults { fail: 1.0, ..ALL });
        assert!(log.append(Topic::Journal, 0, Bytes::new()).await.is_err());
        log.set_faults(Faults::default());
        assert_eq!(log.append(Topic::Journal, 0, Bytes::new()).await.unwrap(), 0);
    }

    #[test]
    fn without_delays_no_runtime_is_needed() {
        let log = HostileLog::new(1, Faults::default());
        assert_eq!(log.append(Topic::Journal, 0, Bytes::new()).now_or_never().unwrap().unwrap(), 0);
    }
}
