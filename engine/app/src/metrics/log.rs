//! Watches a log: what is appended to it, what waits, how long it takes.
use super::{Family, Page, Sources, timing::observe};
use crate::progress::Durations;
use bytes::Bytes;
use futures::{FutureExt as _, future::BoxFuture};
use quell_connectors::log::{Append, Extent, Log, LogError, Reader, Topic};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::time::Instant;

/// Of one topic.
#[derive(Debug, Default)]
struct Appends {
    bytes: AtomicU64,
    pending: AtomicU64,
    failed: AtomicU64,
    took: Durations,
}

/// Of a log, by topic.
#[derive(Debug, Default)]
pub struct LogCounts([Appends; Topic::ALL.len()]);

/// A log that is watched.
pub struct Metered {
    log: Arc<dyn Log>,
    counts: Arc<LogCounts>,
}

impl Metered {
    /// Counts what is done to `log`.
    pub fn new(log: Arc<dyn Log>, counts: Arc<LogCounts>) -> Arc<Self> {
        Arc::new(Self { log, counts })
    }
}

/// An append on its way; it has ended when this is dropped, awaited or not.
struct Pending {
    counts: Arc<LogCounts>,
    topic: Topic,
    since: Instant,
}

impl Pending {
    fn of(&self) -> &Appends {
        &self.counts.0[self.topic as usize]
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.of().pending.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Log for Metered {
    fn append(&self, topic: Topic, partition: u32, bytes: Bytes) -> Append {
        let pending = Pending { counts: self.counts.clone(), topic, since: Instant::now() };
        pending.of().pending.fetch_add(1, Ordering::Relaxed);
        pending.of().bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.log
            .append(topic, partition, bytes)
            .map(move |done| {
                match &done {
                    Ok(_) => pending.of().took.observe(pending.since.elapsed()),
                    Err(_) => _ = pending.of().failed.fetch_add(1, Ordering::Relaxed),
                }
                done
            })
            .boxed()
    }

    fn read_from(
        &self,
        topic: Topic,
        partition: u32,
        position: u64,
    ) -> BoxFuture<'_, Result<Box<dyn Reader>, LogError>> {
        self.log.read_from(topic, partition, position)
    }

    fn extent(&self, topic: Topic, partition: u32) -> BoxFuture<'_, Result<Extent, LogError>> {
        self.log.extent(topic, partition)
    }

    fn trim(&self, topic: Topic, partition: u32, position: u64) -> BoxFuture<'_, Result<(), LogError>> {
        self.log.trim(topic, partition, position)
    }
}

pub(super) fn gather(sources: &Sources, page: &mut Page) {
    const TOPIC: &[&str] = &["topic"];
    let mut pending =
        Family::gauge("quell_log_appends_pending", TOPIC, "Appends to a topic of Quell's own that are on their way.");
    let mut failed = Family::counter("quell_log_appends_failed_total", TOPIC, "Appends that failed.");
    let mut bytes = Family::counter("quell_log_append_bytes_total", TOPIC, "Bytes appended, before compression.");
    let mut took = Family::histogram("quell_log_append_seconds", TOPIC, "From an append until it is durable.");
    for topic in Topic::ALL {
        let (appends, name) = (&sources.log.0[topic as usize], [topic.name()]);
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed) as f64;
        pending.add(name, load(&appends.pending));
        failed.add(name, load(&appends.failed));
        bytes.add(name, load(&appends.bytes));
        observe(&mut took, name, &appends.took);
    }
    for family in [pending, failed, bytes, took] {
        page.push(family);
    }
    let mut syncs = Family::counter("quell_log_syncs_total", &[], "Syncs of the local log to its disk.");
    if let Some(count) = &sources.syncs {
        syncs.add([], count() as f64);
    }
    page.push(syncs);
}
