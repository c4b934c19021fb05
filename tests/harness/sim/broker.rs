//! Source topics in memory: partitions, committed offsets, and members that hear late what is theirs.
use bytes::Bytes;
use futures::{FutureExt as _, future::BoxFuture};
use quell_connectors::source::{
    Committed, Source, SourceError, SourceEvent, SourceExtent, SourcePartition, SourceRecord,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, sleep_until},
};

/// The one source topic.
pub const TOPIC: &str = "alerts";

/// A record that was produced, in the order of all.
#[derive(Clone, Debug)]
pub struct Produced {
    /// How often the topic had been made anew.
    pub incarnation: u32,
    pub partition: i32,
    pub offset: i64,
    pub timestamp_ms: i64,
    pub payload: Bytes,
}

/// What happened to it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub rebalances: u64,
    /// Commits that landed below one that had landed before.
    pub commits_back: u64,
    /// Requests that failed; of commits, some landed all the same.
    pub requests_failed: u64,
}

/// The cluster that has the topic.
#[derive(Clone)]
pub struct Broker(Arc<Mutex<State>>);

struct State {
    rng: StdRng,
    incarnation: u32,
    partitions: Vec<Partition>,
    history: Vec<Produced>,
    calm: bool,
    counts: Counts,
}

struct Partition {
    records: Vec<(i64, Bytes)>,
    /// The offset of the oldest that retention has left.
    oldest: i64,
    committed: Option<Committed>,
    /// The highest that was ever committed of this incarnation.
    highest: i64,
    /// Who it is assigned to, when that one hears of it, and when the others do.
    member: usize,
    member_hears: Instant,
    others_hear: Instant,
}

impl Broker {
    /// With so many empty partitions, all of them the first member's.
    pub fn new(seed: u64, partitions: i32) -> Self {
        let now = Instant::now();
        let partition = |_| Partition {
            records: Vec::new(),
            oldest: 0,
            committed: None,
            highest: 0,
            member: 0,
            member_hears: now,
            others_hear: now,
        };
        Self(Arc::new(Mutex::new(State {
            rng: StdRng::seed_from_u64(seed),
            incarnation: 0,
            partitions: (0..partitions).map(partition).collect(),
            history: Vec::new(),
            calm: false,
            counts: Counts::default(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a record.
    pub fn produce(&self, partition: i32, timestamp_ms: i64, payload: Bytes) {
        let state = &mut *self.lock();
        let records = &mut state.partitions[partition as usize].records;
        let offset = records.len() as i64;
        records.push((timestamp_ms, payload.clone()));
        state.history.push(Produced { incarnation: state.incarnation, partition, offset, timestamp_ms, payload });
    }

    /// Everything that was produced.
    pub fn history(&self) -> Vec<Produced> {
        self.lock().history.clone()
    }

    /// Gives a partition to a member, who hears of it within two seconds, as the one before does.
    pub fn rebalance(&self, partition: usize, member: usize) {
        let state = &mut *self.lock();
        let now = Instant::now();
        let mut soon = || now + state.rng.random_range(Duration::ZERO..Duration::from_secs(2));
        let (member_hears, others_hear) = (soon(), soon());
        let it = &mut state.partitions[partition];
        (it.member, it.member_hears, it.others_hear) = (member, member_hears, others_hear);
        state.counts.rebalances += 1;
    }

    /// What retention does: nothing before `oldest` can be read any more.
    pub fn trim(&self, partition: usize, oldest: i64) {
        self.lock().partitions[partition].oldest = oldest;
    }

    /// Deletes the topic and makes one of the same name. The group's commits are kept, as brokers may.
    pub fn make_anew(&self) {
        let state = &mut *self.lock();
        state.incarnation += 1;
        for partition in &mut state.partitions {
            partition.records.clear();
            partition.oldest = 0;
            partition.highest = 0;
        }
    }

    /// No more faults.
    pub fn calm_down(&self) {
        self.lock().calm = true;
    }

    /// What happened.
    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// Whether everything has been committed at some time; a commit that lands late may have hidden it.
    pub fn all_committed(&self) -> bool {
        self.lock().partitions.iter().all(|partition| partition.highest == partition.records.len() as i64)
    }
}

impl std::fmt::Display for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (n, it) in self.lock().partitions.iter().enumerate() {
            let (end, highest, member) = (it.records.len(), it.highest, it.member);
            write!(f, "{n}: {highest} of {end} committed, member {member}, now {:?}; ", it.committed)?;
        }
        Ok(())
    }
}

impl State {
    fn roll(&mut self, share: f64) -> bool {
        !self.calm && self.rng.random_bool(share)
    }

    fn land(&mut self, partition: usize, commit: Committed) {
        let present = format!("incarnation={}", self.incarnation);
        let Partition { committed, highest, .. } = &mut self.partitions[partition];
        if commit.metadata == present {
            self.counts.commits_back += u64::from(*highest > commit.offset);
            *highest = commit.offset.max(*highest);
        }
        *committed = Some(commit);
    }
}

/// A member of the group.
pub struct Member {
    broker: Broker,
    number: usize,
    held: BTreeSet<usize>,
    positions: BTreeMap<usize, i64>,
    /// Read, and not yet handed out.
    fetched: Option<Fetched>,
}

struct Fetched {
    partition: usize,
    records: Vec<SourceRecord>,
    next: i64,
    at: Instant,
}

impl Member {
    /// Holds nothing yet.
    pub fn new(broker: Broker, number: usize) -> Self {
        Self { broker, number, held: BTreeSet::new(), positions: BTreeMap::new(), fetched: None }
    }

    /// What it hears of its assignment.
    fn heard(&mut self) -> Option<SourceEvent> {
        let (now, state) = (Instant::now(), self.broker.lock());
        let of = |n: usize| SourcePartition { topic: TOPIC.into(), partition: n as i32 };
        for (n, it) in state.partitions.iter().enumerate() {
            if it.member == self.number && it.member_hears <= now && self.held.insert(n) {
                return Some(SourceEvent::Assigned(vec![of(n)]));
            }
            if it.member != self.number && it.others_hear <= now && self.held.remove(&n) {
                self.positions.remove(&n);
                self.fetched.take_if(|fetched| fetched.partition == n);
                return Some(SourceEvent::Revoked(vec![of(n)]));
            }
        }
        None
    }

    /// Reads some records of one of its partitions.
    fn fetch(&mut self, records_max: usize) {
        let state = &mut *self.broker.lock();
        let at_hand: Vec<usize> = self
            .positions
            .iter_mut()
            .filter_map(|(n, position)| {
                let Partition { records, oldest, .. } = &state.partitions[*n];
                let end = records.len() as i64;
                if *position > end || *position < *oldest {
                    // As `auto.offset.reset = earliest` does.
                    *position = *oldest;
                }
                (*position < end).then_some(*n)
            })
            .collect();
        if at_hand.is_empty() {
            return;
        }
        let partition = at_hand[state.rng.random_range(0..at_hand.len())];
        let from = self.positions[&partition];
        let most = state.rng.random_range(1..=records_max.min(40));
        let record = |(n, (timestamp, payload)): (usize, &(i64, Bytes))| SourceRecord {
            offset: n as i64,
            timestamp_ms: Some(*timestamp),
            headers: Vec::new(),
            payload: Some(payload.clone()),
        };
        let all = &state.partitions[partition].records;
        let records: Vec<_> = all.iter().enumerate().skip(from as usize).take(most).map(record).collect();
        let next = from + records.len() as i64;
        let at = Instant::now() + Duration::from_millis(state.rng.random_range(0..40));
        self.fetched = Some(Fetched { partition, records, next, at });
    }

    /// A request to the cluster and its answer.
    async fn request(&self, what: &str) -> Result<(), SourceError> {
        let (takes, fails) = {
            let state = &mut *self.broker.lock();
            let fails = state.roll(0.01);
            state.counts.requests_failed += u64::from(fails);
            (Duration::from_millis(state.rng.random_range(0..15)), fails)
        };
        sleep(takes).await;
        if fails { Err(SourceError { what: what.to_owned(), reason: "no answer".to_owned() }) } else { Ok(()) }
    }
}

impl Source for Member {
    fn next(&mut self, records_max: usize, wait: Duration) -> BoxFuture<'_, Result<SourceEvent, SourceError>> {
        async move {
            let until = Instant::now() + wait;
            loop {
                if let Some(event) = self.heard() {
                    return Ok(event);
                }
                if self.fetched.is_none() {
                    self.fetch(records_max);
                }
                if let Some(at) = self.fetched.as_ref().map(|fetched| fetched.at) {
                    sleep_until(at).await;
                    if let Some(Fetched { partition: n, records, next, .. }) = self.fetched.take() {
                        self.positions.insert(n, next);
                        let partition = SourcePartition { topic: TOPIC.into(), partition: n as i32 };
                        return Ok(SourceEvent::Records { partition, records, next });
                    }
                }
                if Instant::now() >= until {
                    return Ok(SourceEvent::Idle);
                }
                sleep(Duration::from_millis(50)).await;
            }
        }
        .boxed()
    }

    fn partitions(&self) -> BoxFuture<'_, Result<Vec<SourcePartition>, SourceError>> {
        async move {
            self.request("partitions").await?;
            let count = self.broker.lock().partitions.len() as i32;
            Ok((0..count).map(|partition| SourcePartition { topic: TOPIC.into(), partition }).collect())
        }
        .boxed()
    }

    fn topic_id<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Option<String>, SourceError>> {
        async move {
            self.request(topic).await?;
            Ok(Some(format!("id-{}", self.broker.lock().incarnation)))
        }
        .boxed()
    }

    fn committed<'a>(
        &'a self,
        partition: &'a SourcePartition,
    ) -> BoxFuture<'a, Result<Option<Committed>, SourceError>> {
        async move {
            self.request("committed").await?;
            Ok(self.broker.lock().partitions[partition.partition as usize].committed.clone())
        }
        .boxed()
    }

    fn extent<'a>(&'a self, partition: &'a SourcePartition) -> BoxFuture<'a, Result<SourceExtent, SourceError>> {
        async move {
            self.request("extent").await?;
            let Partition { records, oldest, .. } = &self.broker.lock().partitions[partition.partition as usize];
            Ok(SourceExtent { oldest: *oldest, end: records.len() as i64 })
        }
        .boxed()
    }

    fn seek<'a>(&'a mut self, partition: &'a SourcePartition, offset: i64) -> BoxFuture<'a, Result<(), SourceError>> {
        async move {
            self.request("seek").await?;
            let n = partition.partition as usize;
            self.positions.insert(n, offset);
            self.fetched.take_if(|fetched| fetched.partition == n);
            Ok(())
        }
        .boxed()
    }

    fn commit<'a>(
        &'a self,
        partition: &'a SourcePartition,
        offset: i64,
        metadata: String,
    ) -> BoxFuture<'a, Result<(), SourceError>> {
        // Once it is sent, it lands, whatever becomes of the sender.
        let (done, landed) = oneshot::channel();
        let (fails, takes) = {
            let state = &mut *self.broker.lock();
            let fails = state.roll(0.05);
            state.counts.requests_failed += u64::from(fails);
            let longest = if fails { 5_000 } else { 50 };
            (fails, Duration::from_millis(state.rng.random_range(0..longest)))
        };
        let (broker, n) = (self.broker.clone(), partition.partition as usize);
        tokio::spawn(async move {
            sleep(takes).await;
            broker.lock().land(n, Committed { offset, metadata });
            done.send(()).ok();
        });
        async move {
            if !fails && landed.await.is_ok() {
                return Ok(());
            }
            Err(SourceError { what: partition.to_string(), reason: "the commit was not answered".to_owned() })
        }
        .boxed()
    }
}
