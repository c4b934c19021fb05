//! How far each journal partition has been appended, folded and said; shared by those who wait for it.
use quell_connectors::log::LogError;
use quell_core::{
    domain::time::{Span, Timestamp},
    ledger::Outcome,
    output::{ByTopic, OutputTopic},
    stages::raise::Times,
    totals::{Evicted, Totals},
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{sync::watch, time::Instant};

mod durations;
pub use durations::{BUCKET_MICROS, Durations, Latency};

/// How far a partition is folded, with everything said durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// The next journal position.
    pub position: u64,
    /// The last number of each output topic.
    pub numbers: ByTopic<u64>,
    /// The versions of the policy and the topology that hold.
    pub policy: u64,
    pub topology: u64,
    /// Recovered, and mute no more.
    pub ready: bool,
}

/// Counts of a partition's engine, for metrics.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// By origin and outcome.
    pub ledger: BTreeMap<(Arc<str>, Outcome), u64>,
    pub packs_ignored: u64,
    pub records_skipped: u64,
    pub id_reused: u64,
    pub held: u64,
    /// Of the origins whose times are steadily off.
    pub skews: BTreeMap<Arc<str>, Span>,
    pub scopes: usize,
    pub totals: Totals,
    pub evicted: Evicted,
    /// Incidents of the past that are remembered.
    pub past_incidents: usize,
    pub problems: usize,
    pub times: Times,
}

/// A partition's newest snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotTaken {
    /// The journal position that it holds.
    pub position: u64,
    pub at: Timestamp,
    pub bytes: usize,
    /// From when the fold was held for it until it was written and read back; `None` of one that was found.
    pub took: Option<Duration>,
}

/// A partition's state.
#[derive(Debug)]
struct Partition {
    folded: watch::Sender<Folded>,
    /// Packs that this process appended and that are not folded: position and when.
    tail: Mutex<VecDeque<(u64, Instant)>>,
    counts: Mutex<Counts>,
    /// Behind the last journal record that this process knows to be durable.
    end: AtomicU64,
    /// Outputs on their way to their topics.
    outputs_in_flight: AtomicUsize,
    snapshot: Mutex<Option<SnapshotTaken>>,
    /// Why it stopped.
    stopped: Mutex<Option<String>>,
}

/// All partitions.
#[derive(Debug)]
pub struct Progress {
    partitions: Vec<Partition>,
    pub recoveries: AtomicU64,
    pub snapshots: AtomicU64,
    pub snapshots_refused: AtomicU64,
    /// Written, and read back otherwise.
    pub snapshots_rotten: AtomicU64,
    pub divergences: AtomicU64,
    pub latency: Latency,
    /// What the fold of one journal record takes.
    pub steps: Durations,
    /// How long the fold is held for a snapshot.
    pub snapshot_holds: Durations,
    /// Why the process must end.
    failure: watch::Sender<Option<String>>,
}

impl Progress {
    /// Of so many partitions.
    pub fn new(partitions: u32) -> Arc<Self> {
        let partition = |_| Partition {
            folded: watch::channel(Folded::default()).0,
            tail: Mutex::default(),
            counts: Mutex::default(),
            end: AtomicU64::new(0),
            outputs_in_flight: AtomicUsize::new(0),
            snapshot: Mutex::default(),
            stopped: Mutex::default(),
        };
        Arc::new(Self {
            partitions: (0..partitions).map(partition).collect(),
            recoveries: AtomicU64::new(0),
            snapshots: AtomicU64::new(0),
            snapshots_refused: AtomicU64::new(0),
            snapshots_rotten: AtomicU64::new(0),
            divergences: AtomicU64::new(0),
            latency: Latency::default(),
            steps: Durations::default(),
            snapshot_holds: Durations::default(),
            failure: watch::channel(None).0,
        })
    }

    /// How many.
    pub fn partitions(&self) -> u32 {
        self.partitions.len() as u32
    }

    fn get(&self, partition: u32) -> &Partition {
        &self.partitions[partition as usize]
    }

    /// How far a partition is.
    pub fn folded(&self, partition: u32) -> Folded {
        *self.get(partition).folded.borrow()
    }

    /// A partition is this far.
    pub fn set_folded(&self, partition: u32, folded: Folded) {
        let it = self.get(partition);
        it.folded.send_replace(folded);
        let mut tail = it.tail.lock().unwrap_or_else(PoisonError::into_inner);
        while tail.front().is_some_and(|(position, _)| *position < folded.position) {
            tail.pop_front();
        }
    }

    /// Waits until a partition is folded to `position`.
    pub async fn wait_folded(&self, partition: u32, position: u64) -> Folded {
        let mut watch = self.get(partition).folded.subscribe();
        let done = watch.wait_for(|folded| folded.ready && folded.position >= position).await;
        done.map_or_else(|_| self.folded(partition), |folded| *folded)
    }

    /// Waits until every partition is recovered, and what it holds is shown.
    pub async fn wait_ready(&self) {
        self.wait_topology(0).await;
    }

    /// Waits until every partition has adopted a version of the topology.
    pub async fn wait_topology(&self, version: u64) {
        self.wait_all(|folded| folded.topology >= version).await;
    }

    /// Waits until every partition has adopted a version of the policy.
    pub async fn wait_policy(&self, version: u64) {
        self.wait_all(|folded| folded.policy >= version).await;
    }

    async fn wait_all(&self, is: impl Fn(&Folded) -> bool) {
        for partition in 0..self.partitions() {
            let mut watch = self.get(partition).folded.subscribe();
            // The sender lives as long as we.
            let _ = watch.wait_for(|folded| folded.ready && is(folded)).await;
        }
    }

    /// The number of the last incident update of each partition.
    pub fn incident_numbers(&self) -> Vec<u64> {
        let one = |partition| self.folded(partition).numbers[OutputTopic::Incidents as usize];
        (0..self.partitions()).map(one).collect()
    }

    /// This process appended a pack.
    pub fn appended(&self, partition: u32, position: u64) {
        let it = self.get(partition);
        self.set_end(partition, position + 1);
        if it.folded.borrow().position <= position {
            let mut tail = it.tail.lock().unwrap_or_else(PoisonError::into_inner);
            tail.push_back((position, Instant::now()));
        }
    }

    /// The age of the oldest pack that this process appended and that is not folded.
    pub fn tail_age(&self) -> Duration {
        (0..self.partitions()).map(|partition| self.tail_age_of(partition)).max().unwrap_or_default()
    }

    /// The same of one partition.
    pub fn tail_age_of(&self, partition: u32) -> Duration {
        let tail = self.get(partition).tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.front().map(|(_, at)| at.elapsed()).unwrap_or_default()
    }

    /// The journal is known to reach as far as `end`.
    pub fn set_end(&self, partition: u32, end: u64) {
        self.get(partition).end.fetch_max(end, Ordering::Relaxed);
    }

    /// Journal positions that are not folded, holes included.
    pub fn unfolded(&self, partition: u32) -> u64 {
        let it = self.get(partition);
        it.end.load(Ordering::Relaxed).saturating_sub(it.folded.borrow().position)
    }

    /// A partition has so many outputs on their way.
    pub fn set_outputs_in_flight(&self, partition: u32, outputs: usize) {
        self.get(partition).outputs_in_flight.store(outputs, Ordering::Relaxed);
    }

    /// Outputs on their way, of all partitions.
    pub fn outputs_in_flight(&self) -> usize {
        self.partitions.iter().map(|p| p.outputs_in_flight.load(Ordering::Relaxed)).sum()
    }

    /// A partition has a newer snapshot.
    pub fn set_snapshot(&self, partition: u32, taken: SnapshotTaken) {
        *self.get(partition).snapshot.lock().unwrap_or_else(PoisonError::into_inner) = Some(taken);
    }

    /// A partition's newest snapshot.
    pub fn snapshot(&self, partition: u32) -> Option<SnapshotTaken> {
        *self.get(partition).snapshot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All are recovered.
    pub fn is_ready(&self) -> bool {
        self.partitions.iter().all(|p| p.folded.borrow().ready)
    }

    /// The counts of a partition.
    pub fn set_counts(&self, partition: u32, counts: Counts) {
        *self.get(partition).counts.lock().unwrap_or_else(PoisonError::into_inner) = counts;
    }

    /// The counts of every partition.
    pub fn counts(&self) -> Vec<Counts> {
        let one = |p: &Partition| p.counts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.partitions.iter().map(one).collect()
    }

    /// A partition stopped for good.
    pub fn set_stopped(&self, partition: u32, why: String) {
        let it = self.get(partition);
        it.folded.send_modify(|folded| folded.ready = false);
        *it.stopped.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }

    /// A log that takes no more records until it is opened anew ends the process, and whoever watches over it starts it
    /// again.
    pub fn fail_if_closed(&self, error: &LogError) {
        if matches!(error, LogError::Closed { .. }) {
            self.failure.send_replace(Some(error.to_string()));
        }
    }

    /// Waits until the process must end; why.
    pub async fn failed(&self) -> String {
        let mut watch = self.failure.subscribe();
        let why = watch.wait_for(Option::is_some).await;
        why.ok().and_then(|why| why.clone()).unwrap_or_default()
    }

    /// Whether a partition stopped for good.
    pub fn is_stopped(&self, partition: u32) -> bool {
        self.get(partition).stopped.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Why partitions stopped, if some did.
    pub fn stopped(&self) -> Option<String> {
        let why = |p: &Partition| p.stopped.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.partitions.iter().find_map(why)
    }

    /// Adds one.
    pub fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
