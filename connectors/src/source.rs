//! Where events come from: partitions of records that someone else writes.
use bytes::Bytes;
use futures::future::BoxFuture;
use std::{fmt, sync::Arc, time::Duration};

pub mod kafka;

/// A partition of a source topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourcePartition {
    /// The topic.
    pub topic: Arc<str>,
    /// Its partition.
    pub partition: i32,
}

impl fmt::Display for SourcePartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// A record of a source.
#[derive(Clone, Debug)]
pub struct SourceRecord {
    /// Its offset.
    pub offset: i64,
    /// The record's own timestamp, in milliseconds since the epoch, where it has one.
    pub timestamp_ms: Option<i64>,
    /// Its headers that formats read: those of CloudEvents.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Its value; `None` for a tombstone.
    pub payload: Option<Bytes>,
}

/// What can happen at a source.
#[derive(Debug)]
pub enum SourceEvent {
    /// These partitions are ours from now on. Nothing is delivered of one until [`Source::seek`].
    Assigned(Vec<SourcePartition>),
    /// These are no longer ours.
    Revoked(Vec<SourcePartition>),
    /// Records of one partition, in order, those after the last ones.
    Records {
        partition: SourcePartition,
        records: Vec<SourceRecord>,
        /// The offset after what has been read; beyond the last record's where there are holes.
        next: i64,
    },
    /// Nothing happened within the time given.
    Idle,
}

/// An offset that was committed, and what was written beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The next offset to read.
    pub offset: i64,
    /// What the committer wrote beside it.
    pub metadata: String,
}

/// The records that a partition holds: offsets in `oldest..end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceExtent {
    /// The oldest offset kept.
    pub oldest: i64,
    /// The offset that the next record gets.
    pub end: i64,
}

/// Why a source did not do as asked.
#[derive(Clone, Debug, thiserror::Error)]
#[error("source {what}: {reason}")]
pub struct SourceError {
    /// The partition or topic.
    pub what: String,
    /// In words.
    pub reason: String,
}

/// A client of topics with partitions. It assigns and delivers; what is read, from where and what is committed is the
/// caller's business.
pub trait Source: Send + Sync {
    /// What happens next, within `wait`. At most about `records_max` records. Cancelling it loses nothing.
    fn next(&mut self, records_max: usize, wait: Duration) -> BoxFuture<'_, Result<SourceEvent, SourceError>>;

    /// All partitions of its topics, ours or not, asked of the cluster now.
    fn partitions(&self) -> BoxFuture<'_, Result<Vec<SourcePartition>, SourceError>>;

    /// An id that changes when the topic of this name is deleted and made anew, asked of the cluster now; `None` where
    /// it does not tell.
    fn topic_id<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Option<String>, SourceError>>;

    /// What is committed for a partition.
    fn committed<'a>(&'a self, partition: &'a SourcePartition)
    -> BoxFuture<'a, Result<Option<Committed>, SourceError>>;

    /// What the partition holds, asked now.
    fn extent<'a>(&'a self, partition: &'a SourcePartition) -> BoxFuture<'a, Result<SourceExtent, SourceError>>;

    /// Delivers from `offset` on; what was read before and not yet delivered is thrown away.
    fn seek<'a>(&'a mut self, partition: &'a SourcePartition, offset: i64) -> BoxFuture<'a, Result<(), SourceError>>;

    /// Commits the next offset to read, with `metadata` beside it.
    fn commit<'a>(
        &'a self,
        partition: &'a SourcePartition,
        offset: i64,
        metadata: String,
    ) -> BoxFuture<'a, Result<(), SourceError>>;
}
