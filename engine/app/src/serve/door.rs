//! The way in for events, over HTTP and gRPC: what is on its way is bounded, and who comes when too much is, is told to come
//! again.
use crate::{
    ingest::{self, Part},
    progress::Progress,
};
use quell_connectors::log::LogError;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Limits of the doors.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of one body or message.
    pub body_max: usize,
    /// Bytes on their way, in all.
    pub in_flight_max: u32,
    /// A request is answered after so long.
    pub request_max: Duration,
    /// No event is taken while the unfolded tail of its journal partition is older.
    pub tail_max: Duration,
}

/// Events by answer.
#[derive(Debug, Default)]
pub struct Counts {
    pub taken: AtomicU64,
    pub refused: AtomicU64,
    pub unavailable: AtomicU64,
}

/// Why it has to be sent again.
#[derive(Debug, thiserror::Error)]
pub enum Later {
    #[error("as much is on its way as server.in_flight_max allows")]
    Bytes,
    #[error("what is in the journal is not concluded yet: its tail is older than ingest.tail_max")]
    Tail,
    #[error("it took longer than server.request_max")]
    Slow,
    #[error(transparent)]
    Journal(#[from] LogError),
}

/// What the doors share.
#[derive(Debug)]
pub struct Door {
    pub limits: Limits,
    room: Arc<Semaphore>,
    pub http: Counts,
    pub grpc: Counts,
    pub too_large: AtomicU64,
    bytes: AtomicU64,
    tail: AtomicU64,
    slow: AtomicU64,
}

impl Door {
    /// With nothing on its way.
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            room: Arc::new(Semaphore::new(limits.in_flight_max as usize)),
            limits,
            http: Counts::default(),
            grpc: Counts::default(),
            too_large: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            tail: AtomicU64::new(0),
            slow: AtomicU64::new(0),
        })
    }

    /// Room for a body of so many bytes, until what is returned is dropped.
    ///
    /// # Errors
    /// Where there is none.
    pub fn enter(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Later> {
        let bytes = u32::try_from(bytes.min(self.limits.body_max)).unwrap_or(u32::MAX);
        self.room.clone().try_acquire_many_owned(bytes).map_err(|_| self.count(Later::Bytes))
    }

    /// Appends events, and waits until they are durable; the positions of their partitions.
    ///
    /// # Errors
    /// Where they have to be sent again. Where an append failed it may have happened all the same, and a retry is caught by the
    /// events' ids.
    pub async fn append(&self, shared: &ingest::Shared, parts: Vec<Part>) -> Result<BTreeMap<u32, u64>, Later> {
        let is_behind = |partition| self.is_behind(&shared.progress, partition);
        match ingest::append_parts(shared, parts, is_behind).await {
            Some(done) => Ok(done?),
            None => Err(self.count(Later::Tail)),
        }
    }

    fn is_behind(&self, progress: &Progress, partition: u32) -> bool {
        progress.tail_age_of(partition) > self.limits.tail_max
    }

    /// Counts one that has to come again.
    pub fn count(&self, later: Later) -> Later {
        let counter = match later {
            Later::Bytes => &self.bytes,
            Later::Tail => &self.tail,
            Later::Slow => &self.slow,
            // The log has its own.
            Later::Journal(_) => return later,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        later
    }

    /// How often which limit bit.
    pub fn overloaded(&self) -> [(&'static str, u64); 3] {
        [("bytes", &self.bytes), ("tail", &self.tail), ("slow", &self.slow)]
            .map(|(reason, counter)| (reason, counter.load(Ordering::Relaxed)))
    }
}

impl Counts {
    /// Adds to one.
    pub fn add(counter: &AtomicU64, n: usize) {
        counter.fetch_add(n as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_its_way_is_bounded() {
        let limits = Limits { body_max: 8, in_flight_max: 10, request_max: Duration::ZERO, tail_max: Duration::ZERO };
        let door = Door::new(limits);
        // A body beyond the limit is refused when its limit is read.
        let large = door.enter(1_000).expect("room");
        assert!(door.enter(2).is_ok());
        assert!(matches!(door.enter(3), Err(Later::Bytes)));
        drop(large);
        assert!(door.enter(8).is_ok());
        assert_eq!(door.overloaded()[0], ("bytes", 1));
    }
}
