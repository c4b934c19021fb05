//! Where the journal and Quell's outputs live: an append-only log by topic and partition.
//!
//! [`Log`] promises only what its weakest backend can. Positions increase, with holes. An append that failed may have
//! happened all the same; a record may stand twice; other writers may append at any time. What rests on a log has to
//! be right under all of this, and [`hostile`] does all of it.
use bytes::Bytes;
use futures::future::BoxFuture;
use std::{fmt, time::Duration};

pub mod hostile;
pub mod kafka;
pub mod local;

/// The largest record that a log takes, in bytes.
pub const RECORD_BYTES_MAX: usize = 900_000;

/// Quell's own topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// The authority for policy, topology, mappings and incarnations; one partition.
    Control,
    /// Every input, in order.
    Journal,
    /// Incident updates.
    Incidents,
    /// Alerts as they change.
    Alerts,
    /// Services as their health changes.
    Health,
    /// What could not be decoded.
    DeadLetter,
    /// What came of commands.
    Commands,
    /// The engine's memory, in chunks with manifests.
    Snapshots,
    /// How far subscriptions to the feed have acknowledged; one partition.
    Subscriptions,
}

impl Topic {
    /// Whether it has one partition, however many the journal has.
    pub const fn is_single(self) -> bool {
        matches!(self, Self::Control | Self::Subscriptions)
    }
}

impl Topic {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Control,
        Self::Journal,
        Self::Incidents,
        Self::Alerts,
        Self::Health,
        Self::DeadLetter,
        Self::Commands,
        Self::Snapshots,
        Self::Subscriptions,
    ];

    /// Its name without a prefix: `journal`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Journal => "journal",
            Self::Incidents => "incidents",
            Self::Alerts => "alerts",
            Self::Health => "health",
            Self::DeadLetter => "deadletter",
            Self::Commands => "commands",
            Self::Snapshots => "snapshots",
            Self::Subscriptions => "subscriptions",
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A record and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Increases within a partition; the next record may stand further on than one.
    pub position: u64,
    /// What was appended.
    pub bytes: Bytes,
}

/// What a partition holds: positions in `oldest..end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// No record below it is kept.
    pub oldest: u64,
    /// Above every record that is durable now.
    pub end: u64,
}

/// Why a log did not do as asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LogError {
    /// It may have been appended all the same.
    #[error("append to {topic}/{partition} failed, and may have happened all the same: {reason}")]
    Append { topic: Topic, partition: u32, reason: String },
    /// It may have been appended all the same, and the log takes no more records until it is opened anew.
    #[error("{topic}/{partition} takes no more records until it is opened anew: {reason}")]
    Closed { topic: Topic, partition: u32, reason: String },
    /// Larger than [`RECORD_BYTES_MAX`]; nothing was appended.
    #[error("a record of {size} bytes is larger than a log takes ({RECORD_BYTES_MAX})")]
    TooLarge { size: usize },
    /// The records at the position asked for were trimmed.
    #[error("{topic}/{partition} is kept from position {oldest} on; {position} is gone")]
    Trimmed { topic: Topic, partition: u32, position: u64, oldest: u64 },
    /// Anything else that the backend reports.
    #[error("log {topic}/{partition}: {reason}")]
    Backend { topic: Topic, partition: u32, reason: String },
}

/// Resolves to the record's position once it is durable.
pub type Append = BoxFuture<'static, Result<u64, LogError>>;

/// Topics of partitions of records. Topics exist from the start.
pub trait Log: Send + Sync + 'static {
    /// Appends a record. It is on its way when this returns, whether the future is polled or not, and the records of
    /// one caller to one partition are appended in the order of the calls; a failure in between leaves those behind it
    /// to fail or land. Callers bound what they have in flight.
    fn append(&self, topic: Topic, partition: u32, bytes: Bytes) -> Append;

    /// A reader of the durable records at `position` and above.
    ///
    /// # Errors
    /// [`LogError::Trimmed`] if records at `position` or above it have been trimmed; it may come with the first
    /// [`Reader::next`] instead.
    fn read_from(
        &self,
        topic: Topic,
        partition: u32,
        position: u64,
    ) -> BoxFuture<'_, Result<Box<dyn Reader>, LogError>>;

    /// What the partition holds now.
    fn extent(&self, topic: Topic, partition: u32) -> BoxFuture<'_, Result<Extent, LogError>>;

    /// Lets go of the records below `position`; the backend may keep some of them for a while.
    fn trim(&self, topic: Topic, partition: u32, position: u64) -> BoxFuture<'_, Result<(), LogError>>;
}

/// Reads one partition forwards.
pub trait Reader: Send {
    /// The next records: as many as are at hand, up to about `bytes_max` (but at least one); where there is none, the
    /// first that come within `wait`; none where none came. Cancelling it loses nothing.
    fn next(&mut self, bytes_max: usize, wait: Duration) -> BoxFuture<'_, Result<Vec<Record>, LogError>>;

    /// Where the next read begins. At the end when it is at least [`Extent::end`], even where no record stands there.
    fn position(&self) -> u64;
}
