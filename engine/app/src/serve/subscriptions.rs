//! Named subscriptions to the feed: how far each has acknowledged, kept in `quell.subscriptions` (design rule 14).
//!
//! Several processes serve one name, appends fail and come late, and two streams may begin at once. Whoever begins a stream
//! raises the epoch under a random id of its own; the first record of an epoch owns it, for every reader. Acknowledgements
//! merge by the maximum, so those that come late or twice move nothing back.
use super::{
    cursor::Cursor,
    errors::{exhausted, invalid, not_found, refused, unavailable},
};
use crate::clock::Outside;
use futures::future::try_join_all;
use prost::Message as _;
use quell_connectors::{
    log::{Log, LogError, Topic},
    wire,
};
use quell_core::domain::time::Span;
use quell_proto::v1::{SubscriptionRecord, subscription_record::Kind};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use table::{Standing, Table};
use tokio::sync::watch;
use tonic::{Code, Status};

pub mod table;

const READ_BYTES: usize = 1024 * 1024;
const WAIT: Duration = Duration::from_secs(1);
const RETRY: Duration = Duration::from_millis(200);
/// How long a call waits for the log.
const CALL_MAX: Duration = Duration::from_secs(30);
/// Where there is no room for a new name, one that nobody has asked for so long is let go of.
const UNSEEN_MAX: Span = Span::hours(30 * 24);
const NAME_MAX: usize = 100;

/// Limits.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Names.
    pub names: usize,
    /// After so many records they are summed up, and trimmed.
    pub records: u64,
}

/// How far the topic is read.
#[derive(Clone, Copy, Debug, Default)]
struct Read {
    position: u64,
    /// Changes of the table, and moves of the position.
    version: u64,
}

/// All subscriptions, as this process has read of them.
pub struct Subscriptions {
    log: Arc<dyn Log>,
    outside: Arc<dyn Outside>,
    limits: Limits,
    table: Mutex<Table>,
    read: watch::Sender<Read>,
    live: Arc<AtomicUsize>,
}

impl std::fmt::Debug for Subscriptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscriptions").finish_non_exhaustive()
    }
}

/// A stream that owns its epoch.
#[derive(Debug)]
pub struct Claim {
    pub name: String,
    pub epoch: u64,
    pub stream: String,
    pub start: Cursor,
    /// Nothing was ever acknowledged under the name.
    pub fresh: bool,
    _live: Live,
}

/// Counts a stream while it lives.
#[derive(Debug)]
struct Live(Arc<AtomicUsize>);

impl Drop for Live {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether it may be the name of a subscription.
///
/// # Errors
/// `INVALID_ARGUMENT` where it may not.
pub fn check_name(name: &str) -> Result<(), Status> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if (1..=NAME_MAX).contains(&name.len()) && name.chars().all(allowed) {
        return Ok(());
    }
    Err(invalid("subscription", format_args!("a name has 1 to {NAME_MAX} of a-z A-Z 0-9 . _ -")))
}

fn superseded(name: &str) -> Status {
    let message = format!("subscription {name}: a later stream took over; watch again to take it back");
    refused(Code::Aborted, "SUBSCRIPTION_TAKEN_OVER", message)
}

impl Subscriptions {
    /// Of a journal; `zero` is its cursor before everything.
    pub fn new(log: Arc<dyn Log>, outside: Arc<dyn Outside>, limits: Limits, zero: Cursor) -> Arc<Self> {
        let (table, live) = (Mutex::new(Table::new(zero)), Arc::default());
        Arc::new(Self { log, outside, limits, table, read: watch::channel(Read::default()).0, live })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows the topic until the future is dropped.
    pub async fn follow(&self) {
        loop {
            match self.try_follow().await {
                // What stood below is told again by the summary that the trim rests on.
                Err(LogError::Trimmed { .. }) => {}
                Err(error) => tracing::warn!(%error, "subscriptions can't be read; trying again"),
                Ok(never) => match never {},
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Reads from the oldest record on: what was read before merges into what is known.
    async fn try_follow(&self) -> Result<std::convert::Infallible, LogError> {
        let extent = self.log.extent(Topic::Subscriptions, 0).await?;
        let known = self.read.borrow().position;
        // Where nothing is missing in between, what follows is read in full knowledge.
        let whole_from = if known >= extent.oldest { 0 } else { extent.end };
        let mut reader = self.log.read_from(Topic::Subscriptions, 0, known.max(extent.oldest)).await?;
        let mut records = 0;
        loop {
            // Nobody decides on what is known in part.
            if reader.position() >= whole_from {
                self.publish(reader.position());
            }
            for record in reader.next(READ_BYTES, WAIT).await? {
                let Ok(read) = SubscriptionRecord::decode(record.bytes) else {
                    tracing::warn!(position = record.position, "a record of a subscription can't be read; left out");
                    continue;
                };
                // Somebody has summed up.
                records = if read.kind() == Kind::Stands { 0 } else { records + 1 };
                self.table().fold(&read, record.position >= whole_from);
            }
            if records >= self.limits.records && reader.position() >= whole_from {
                records = 0;
                self.sum_up(reader.position()).await;
            }
        }
    }

    fn publish(&self, position: u64) {
        self.read.send_modify(|read| {
            read.position = read.position.max(position);
            read.version += 1;
        });
    }

    /// Says all that is known again, and lets go of what it was read from, so that a start need not read for ever.
    async fn sum_up(&self, below: u64) {
        let summary: Vec<_> = self.table().summary().collect();
        let appends = summary.iter().map(|record| self.log.append(Topic::Subscriptions, 0, wire::bytes(record)));
        let done = async {
            // All are durable before anything goes.
            try_join_all(appends).await?;
            self.log.trim(Topic::Subscriptions, 0, below).await
        };
        if let Err(error) = done.await {
            tracing::debug!(%error, "subscriptions were not summed up; the next time will do");
        }
    }

    /// Waits until everything that stands in the topic now is read.
    async fn refresh(&self) -> Result<(), Status> {
        let end = self.log.extent(Topic::Subscriptions, 0).await.map_err(unavailable)?.end;
        let mut read = self.read.subscribe();
        let reached = read.wait_for(|read| read.position >= end);
        // The sender lives as long as we.
        tokio::time::timeout(CALL_MAX, reached).await.map_err(|_| unavailable("subscriptions can't be read now"))?.ok();
        Ok(())
    }

    async fn append(&self, kind: Kind, name: &str, standing: (u64, &str), cursor: &Cursor) -> Result<u64, LogError> {
        let (epoch, stream) = (standing.0, standing.1.to_owned());
        let (name, cursor, at_ms) = (name.to_owned(), cursor.encode(), self.outside.now().0);
        let record = SubscriptionRecord { kind: kind as i32, name, epoch, stream, cursor, at_ms, acknowledged: false };
        self.log.append(Topic::Subscriptions, 0, wire::bytes(&record)).await
    }

    /// Begins a stream, which ends the one before it; a new subscription begins at `new`.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` where there are too many names, `UNAVAILABLE` where the log does not take it.
    pub async fn begin(&self, name: &str, new: &Cursor) -> Result<Claim, Status> {
        let claim = tokio::time::timeout(CALL_MAX, self.try_begin(name, new)).await;
        claim.map_err(|_| unavailable(format!("subscription {name}: can't begin now")))?
    }

    async fn try_begin(&self, name: &str, new: &Cursor) -> Result<Claim, Status> {
        self.refresh().await?;
        loop {
            self.make_room(name).await?;
            let standing = self.table().get(name).map(|standing| (standing.epoch, standing.reached()));
            let (epoch, cursor) = standing.unwrap_or_else(|| (0, new.clone()));
            let (epoch, stream) = (epoch + 1, format!("{:016x}", self.outside.random()));
            let appended = self.append(Kind::Began, name, (epoch, &stream), &cursor).await;
            self.refresh().await?;
            // It may stand there though its append failed; and be second, or followed by another, though it did not.
            if let Some(standing) = self.table().get(name)
                && (standing.epoch, &standing.stream) == (epoch, &stream)
                && let Some(start) = standing.start.clone()
            {
                let fresh = !standing.acknowledged;
                self.live.fetch_add(1, Ordering::Relaxed);
                let live = Live(self.live.clone());
                return Ok(Claim { name: name.to_owned(), epoch, stream, start, fresh, _live: live });
            }
            if let Err(closed @ LogError::Closed { .. }) = appended {
                return Err(unavailable(closed));
            }
            tokio::time::sleep(Duration::from_millis(self.outside.random() % 50)).await;
        }
    }

    /// Lets go of the name that nobody has asked for the longest, if for long enough, where a new one has no room.
    async fn make_room(&self, name: &str) -> Result<(), Status> {
        loop {
            let victim = {
                let table = self.table();
                if table.get(name).is_some() || table.names() < self.limits.names {
                    return Ok(());
                }
                table.longest_unseen().map(|(name, standing)| (name.clone(), standing.clone()))
            };
            let Some((victim, Standing { epoch, stream, at, .. })) =
                victim.filter(|(_, standing)| self.outside.now() - standing.at > UNSEEN_MAX)
            else {
                return Err(exhausted(
                    "SUBSCRIPTIONS_MAX",
                    "too many subscriptions: server.subscriptions_max is reached; use a name that stands, or wait until one was not used for 30 days",
                ));
            };
            tracing::info!(subscription = victim, "let go of: nobody has asked for it for 30 days");
            let record = SubscriptionRecord {
                kind: Kind::Gone as i32,
                name: victim,
                epoch,
                stream,
                cursor: self.table().zero().encode(),
                at_ms: at.0,
                acknowledged: false,
            };
            // Where it failed, the victim is still there, and is tried again.
            let _ = self.log.append(Topic::Subscriptions, 0, wire::bytes(&record)).await;
            self.refresh().await?;
        }
    }

    /// A stream has dealt with everything up to `cursor`; durable when this returns.
    ///
    /// # Errors
    /// `ABORTED` where a later stream took over, `NOT_FOUND` where there is no such subscription, `UNAVAILABLE` where the
    /// log does not take it.
    pub async fn acknowledge(&self, name: &str, stream: &str, cursor: &Cursor) -> Result<(), Status> {
        let epoch_of = || {
            let table = self.table();
            table.get(name).map(|standing| (standing.stream == stream).then_some(standing.epoch))
        };
        let epoch = match epoch_of() {
            Some(Some(epoch)) => epoch,
            // The stream may be another process's, and newer than what we have read.
            _ => {
                self.refresh().await?;
                epoch_of().ok_or_else(|| not_found("subscription", name))?.ok_or_else(|| superseded(name))?
            }
        };
        let known = |standing: &Standing| standing.reached().covers(cursor);
        if self.table().get(name).is_some_and(known) {
            return Ok(());
        }
        let appended = self.append(Kind::Acknowledged, name, (epoch, stream), cursor).await;
        appended.map(drop).map_err(unavailable)
    }

    /// Waits until a later stream has taken over; what to tell the client.
    pub async fn taken_over(&self, claim: &Claim) -> Status {
        let mut read = self.read.subscribe();
        let ended = |_: &Read| {
            let table = self.table();
            let standing = table.get(&claim.name);
            standing.is_none_or(|standing| (standing.epoch, &standing.stream) != (claim.epoch, &claim.stream))
        };
        // The sender lives as long as we.
        let _ = read.wait_for(ended).await;
        superseded(&claim.name)
    }

    /// By name: how many of the updates up to `numbers` (the last of each partition) were not acknowledged. At most
    /// `server.subscriptions_max`.
    pub fn lags(&self, numbers: &[u64]) -> Vec<(String, u64)> {
        let table = self.table();
        let one = |(name, standing): (&String, &Standing)| {
            (name.clone(), table::lag(&standing.reached(), numbers.iter().copied()))
        };
        table.iter().map(one).collect()
    }

    /// Streams that this process serves.
    pub fn streams(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// Where the next stream of a subscription starts, as far as this process has read.
    pub fn reached(&self, name: &str) -> Option<Cursor> {
        self.table().get(name).map(Standing::reached)
    }
}
