//! A log in a directory of this machine: durable, one process, over an embedded store.
mod ends;
mod store;
mod writer;

use super::{Append, Extent, Log, LogError, RECORD_BYTES_MAX, Reader, Record, Topic};
use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};
use store::Store;
use tokio::{
    sync::{oneshot, watch},
    task, time,
};

/// Why a log's directory did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be made, or its lock not be taken.
    #[error("cannot use {} for the log: {source}", dir.display())]
    Directory { dir: PathBuf, source: io::Error },
    /// A log is one process's.
    #[error("the log in {} is open already; one process at a time", dir.display())]
    InUse { dir: PathBuf },
    /// What is in it cannot be read.
    #[error("cannot open the log in {}: {source}", dir.display())]
    Store { dir: PathBuf, source: fjall::Error },
    /// What was durable is not there any more.
    #[error(
        "the log in {} is damaged, or an older copy of itself: {topic}, partition {partition}, ends at position {end}, and was durable up to {known}. Bring a whole copy back; or delete {}, to go on without what is lost: who follows its feeds then begins anew",
        dir.display(), file.display()
    )]
    Lost { dir: PathBuf, file: PathBuf, topic: Topic, partition: u32, end: u64, known: u64 },
    /// No thread for the writer.
    #[error("cannot start the writer of the log in {}: {source}", dir.display())]
    Writer { dir: PathBuf, source: io::Error },
}

/// A log in a directory. Positions are dense: the first is 0, the next one more.
///
/// One thread writes: what queues while it syncs goes with the next sync, so many small appends cost few syncs.
/// After a write that failed it writes nothing more, and every append fails until the log is opened anew; what was
/// durable before can still be read.
///
/// Dropping it waits until what is queued is written. The directory is free once its readers are dropped too.
pub struct LocalLog {
    /// None only while it is dropped.
    ///
    /// Without a bound, since a call of `append` can neither wait nor, without ending its caller's session, fail for
    /// want of room. What callers have in flight is bounded by themselves, as [`Log::append`] asks.
    queue: Option<mpsc::Sender<writer::Request>>,
    writer: Option<thread::JoinHandle<()>>,
    store: Arc<Store>,
}

impl LocalLog {
    /// Opens the log in `dir`, which is made if it is not there. Blocks for as long as the store recovers.
    ///
    /// # Errors
    /// [`OpenError::InUse`] while another process (or another `LocalLog`) has it open; otherwise what the file system
    /// or the store reports.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        let store = Arc::new(Store::open(dir)?);
        let (queue, requests) = mpsc::channel();
        let writer = thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn({
                let store = store.clone();
                move || writer::run(&store, &requests)
            })
            .map_err(|source| OpenError::Writer { dir: dir.to_owned(), source })?;
        Ok(Self { queue: Some(queue), writer: Some(writer), store })
    }

    /// How many times it has waited for the disk since it was opened.
    pub fn syncs(&self) -> u64 {
        self.store.syncs()
    }
}

impl Drop for LocalLog {
    fn drop(&mut self) {
        self.queue = None;
        // The writer ends once the queue is empty. Had it panicked, those who wait have been told.
        self.writer.take().map(thread::JoinHandle::join);
    }
}

impl Log for LocalLog {
    fn append(&self, topic: Topic, partition: u32, bytes: Bytes) -> Append {
        if bytes.len() > RECORD_BYTES_MAX {
            return futures::future::ready(Err(LogError::TooLarge { size: bytes.len() })).boxed();
        }
        let (done, result) = oneshot::channel();
        let request = writer::Request { topic, partition, bytes, done };
        // A request that cannot be sent is dropped with its `done`, so that the future tells.
        self.queue.as_ref().map(|queue| queue.send(request).ok());
        async move {
            result.await.unwrap_or_else(|_| {
                Err(LogError::Closed { topic, partition, reason: "its writer has ended".to_owned() })
            })
        }
        .boxed()
    }

    fn read_from(
        &self,
        topic: Topic,
        partition: u32,
        position: u64,
    ) -> BoxFuture<'_, Result<Box<dyn Reader>, LogError>> {
        let extent = self.store.watch(topic, partition);
        let oldest = extent.borrow().oldest;
        let result = if position < oldest {
            Err(LogError::Trimmed { topic, partition, position, oldest })
        } else {
            Ok(Box::new(LocalReader { store: self.store.clone(), topic, partition, position, extent }) as _)
        };
        futures::future::ready(result).boxed()
    }

    fn extent(&self, topic: Topic, partition: u32) -> BoxFuture<'_, Result<Extent, LogError>> {
        let extent = *self.store.watch(topic, partition).borrow();
        futures::future::ready(Ok(extent)).boxed()
    }

    fn trim(&self, topic: Topic, partition: u32, position: u64) -> BoxFuture<'_, Result<(), LogError>> {
        let store = self.store.clone();
        async move {
            task::spawn_blocking(move || store.trim(topic, partition, position))
                .await
                .map_err(|e| e.to_string())
                .and_then(|result| result.map_err(|e| e.to_string()))
                .map_err(|reason| LogError::Backend { topic, partition, reason })
        }
        .boxed()
    }
}

struct LocalReader {
    store: Arc<Store>,
    topic: Topic,
    partition: u32,
    position: u64,
    extent: watch::Receiver<Extent>,
}

impl LocalReader {
    fn read(&mut self, bytes_max: usize) -> Result<Vec<Record>, LogError> {
        let Self { topic, partition, position, .. } = *self;
        let end = self.extent.borrow().end;
        let records = self.store.read(topic, partition, position..end, bytes_max);
        // A trim says so before it removes anything, so this comes after the reading.
        let oldest = self.extent.borrow().oldest;
        if position < oldest {
            return Err(LogError::Trimmed { topic, partition, position, oldest });
        }
        let records = records.map_err(|reason| LogError::Backend { topic, partition, reason })?;
        self.position += records.len() as u64;
        Ok(records)
    }
}

impl Reader for LocalReader {
    fn next(&mut self, bytes_max: usize, wait: Duration) -> BoxFuture<'_, Result<Vec<Record>, LogError>> {
        async move {
            let position = self.position;
            let more = self.extent.wait_for(|extent| extent.end > position);
            // It never closes: this reader holds the store, which has the other side.
            let more = matches!(time::timeout(wait, more).await, Ok(Ok(_)));
            if more { self.read(bytes_max) } else { Ok(Vec::new()) }
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

    const WAIT: Duration = Duration::from_secs(10);

    async fn all(log: &LocalLog, topic: Topic, partition: u32) -> Vec<Record> {
        let extent = log.extent(topic, partition).await.unwrap();
        let mut reader = log.read_from(topic, partition, extent.oldest).await.unwrap();
        let mut records = Vec::new();
        while reader.position() < extent.end {
            records.extend(reader.next(1 << 20, WAIT).await.unwrap());
        }
        records
    }

    #[tokio::test]
    async fn is_a_log() {
        let dir = tempfile::tempdir().unwrap();
        let log: Arc<dyn Log> = Arc::new(LocalLog::open(dir.path()).unwrap());
        compliance::log(async || log.clone(), Trim::Exact).await;
    }

    #[tokio::test]
    async fn opened_again_it_has_everything_and_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let mut before = Vec::new();
        for round in 0..3_u64 {
            let log = LocalLog::open(dir.path()).unwrap();
            for partition in [0, 7, u32::MAX] {
                let records = all(&log, Topic::Journal, partition).await;
                assert_eq!(records.len() as u64, round * 100);
                assert_eq!(records, before);
            }
            for partition in [0, 7, u32::MAX] {
                // Nobody waits for these: closing the log does.
                for i in 0..100_u64 {
                    drop(log.append(Topic::Journal, partition, Bytes::from(format!("{round} {i}"))));
                }
            }
            before.extend(
                (0..100).map(|i| Record { position: round * 100 + i, bytes: Bytes::from(format!("{round} {i}")) }),
            );
        }
    }

    #[tokio::test]
    async fn is_open_once() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("not/there/yet");
        let log = LocalLog::open(&dir).unwrap();
        let refused = LocalLog::open(&dir).err().unwrap();
        assert!(matches!(refused, OpenError::InUse { .. }));
        assert!(refused.to_string().contains(dir.to_str().unwrap()), "{refused}");
        drop(log);
        LocalLog::open(&dir).unwrap();
    }

    /// The store would go on from the last record that it can read, and give the positions after it a second time.
    #[tokio::test]
    async fn what_is_lost_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let dir = directory.path();
        let log = LocalLog::open(dir).unwrap();
        for i in 0..100_u64 {
            log.append(Topic::Journal, 3, Bytes::from(format!("record {i}"))).await.unwrap();
        }
        drop(log);
        let file = dir.join("records/0.jnl");
        let bytes = std::fs::read(&file).unwrap();
        let at = bytes.windows(9).position(|found| found == b"record 50").unwrap();
        std::fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(at as u64).unwrap();
        for _ in 0..2 {
            let lost = LocalLog::open(dir).err().unwrap();
            assert!(matches!(lost, OpenError::Lost { partition: 3, end: 50, known: 100, .. }), "{lost}");
        }
        // Whoever reads why may decide to go on.
        std::fs::remove_file(ends::Ends::path(dir)).unwrap();
        let log = LocalLog::open(dir).unwrap();
        assert_eq!(all(&log, Topic::Journal, 3).await.len(), 50);
    }

    #[tokio::test]
    async fn positions_go_on_after_a_trim_of_everything() {
        let dir = tempfile::tempdir().unwrap();
        let log = LocalLog::open(dir.path()).unwrap();
        for i in 0..5 {
            assert_eq!(log.append(Topic::Alerts, 3, Bytes::from_static(b"old")).await.unwrap(), i);
        }
        // Further than there is anything: what comes later is kept.
        log.trim(Topic::Alerts, 3, 1000).await.unwrap();
        log.trim(Topic::Alerts, 4, 1000).await.unwrap();
        drop(log);
        for i in 0..3 {
            let log = LocalLog::open(dir.path()).unwrap();
            assert_eq!(log.extent(Topic::Alerts, 3).await.unwrap(), Extent { oldest: 5, end: 5 + i });
            assert_eq!(log.extent(Topic::Alerts, 4).await.unwrap(), Extent { oldest: 0, end: 0 });
            let refused = log.read_from(Topic::Alerts, 3, 4).await.err().unwrap();
            assert!(matches!(refused, LogError::Trimmed { position: 4, oldest: 5, .. }));
            assert_eq!(log.append(Topic::Alerts, 3, Bytes::from_static(b"new")).await.unwrap(), 5 + i);
            assert!(all(&log, Topic::Alerts, 3).await.iter().all(|record| record.bytes == "new"));
        }
    }

    #[tokio::test]
    async fn a_reader_learns_that_it_was_overtaken_by_a_trim() {
        let dir = tempfile::tempdir().unwrap();
        let log = LocalLog::open(dir.path()).unwrap();
        for _ in 0..5 {
            log.append(Topic::Health, 0, Bytes::new()).await.unwrap();
        }
        let mut reader = log.read_from(Topic::Health, 0, 2).await.unwrap();
        log.trim(Topic::Health, 0, 3).await.unwrap();
        let refused = reader.next(1, WAIT).await.unwrap_err();
        assert!(matches!(refused, LogError::Trimmed { position: 2, oldest: 3, .. }));
    }

    #[tokio::test]
    async fn after_a_failed_write_it_writes_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let log = LocalLog::open(dir.path()).unwrap();
        let append = |log: &LocalLog| log.append(Topic::Journal, 0, Bytes::from_static(b"x"));
        assert_eq!(append(&log).await.unwrap(), 0);
        log.store.broken.store(true, std::sync::atomic::Ordering::Relaxed);
        let pending: Vec<_> = (0..10).map(|_| append(&log)).collect();
        for result in futures::future::join_all(pending).await {
            assert!(matches!(result, Err(LogError::Closed { .. })));
        }
        log.store.broken.store(false, std::sync::atomic::Ordering::Relaxed);
        assert!(append(&log).await.is_err());
        assert_eq!(all(&log, Topic::Journal, 0).await.len(), 1);
        drop(log);
        assert_eq!(append(&LocalLog::open(dir.path()).unwrap()).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn small_appends_share_syncs() {
        let dir = tempfile::tempdir().unwrap();
        let log = LocalLog::open(dir.path()).unwrap();
        let bytes = Bytes::from(vec![1; 100]);
        let appends: Vec<_> = (0..2000).map(|i| log.append(Topic::Journal, i % 16, bytes.clone())).collect();
        futures::future::try_join_all(appends).await.unwrap();
        assert!((1..1000).contains(&log.syncs()), "{}", log.syncs());
    }
}
