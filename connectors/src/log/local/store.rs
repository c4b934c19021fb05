//! What lies in the directory: a keyspace per topic, with the records by partition and position, and one with what has
//! to outlive the records of each partition.
use super::{Extent, OpenError, Record, Topic, ends::Ends};
use bytes::Bytes;
use fjall::{
    Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, OwnedWriteBatch as WriteBatch, PersistMode,
};
use std::{
    collections::BTreeMap,
    fs::{File, TryLockError},
    io,
    ops::Range,
    path::Path,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};
use tokio::sync::watch;

/// Of what was read: the index, and records read lately.
const CACHE_BYTES: u64 = 32 << 20;
/// A topic's records go from memory to a file at this size, or later where the disk is slow.
const MEMTABLE_BYTES: u64 = 8 << 20;
/// In memory of all topics; more than each of them may keep for good.
const UNWRITTEN_BYTES: u64 = 96 << 20;
/// What a start after a crash has to read at most, about.
const RECOVERY_BYTES: u64 = 128 << 20;
/// A file of records of which more than this is trimmed is written anew without it. Trims go from the oldest on, so
/// most files become empty soon, and cost nothing to remove.
const STALE_SHARE: f32 = 0.5;
/// Records that one step of a trim removes; appends get their turn in between.
const TRIM_STEP: usize = 10_000;

pub struct Store {
    topics: [Keyspace; Topic::ALL.len()],
    /// By topic and partition: the oldest position, and an end that the next position is not below.
    marks: Keyspace,
    partitions: Mutex<BTreeMap<(Topic, u32), watch::Sender<Extent>>>,
    /// Held by a trim: for each partition, below what no record is left. Unknown (0) at first, since a trim may not
    /// have ended before the process did.
    swept: Mutex<BTreeMap<(Topic, u32), u64>>,
    durable: Mutex<Ends>,
    syncs: AtomicU64,
    /// A disk that fails.
    #[cfg(test)]
    pub broken: std::sync::atomic::AtomicBool,
    database: Database,
    /// The last to be dropped.
    _lock: File,
}

impl Store {
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        let unusable = |source| OpenError::Directory { dir: dir.to_owned(), source };
        std::fs::create_dir_all(dir).map_err(unusable)?;
        let lock = File::options().create(true).truncate(false).write(true).open(dir.join("LOCK")).map_err(unusable)?;
        lock.try_lock().map_err(|e| match e {
            TryLockError::WouldBlock => OpenError::InUse { dir: dir.to_owned() },
            TryLockError::Error(source) => unusable(source),
        })?;
        let (durable, known) = Ends::open(dir).map_err(unusable)?;
        let store =
            Self::recover(dir, lock, durable).map_err(|source| OpenError::Store { dir: dir.to_owned(), source })?;
        let found = store.ends();
        for ((topic, partition), known) in known {
            let end = found.get(&(topic, partition)).copied().unwrap_or(0);
            if end < known {
                let (dir, file) = (dir.to_owned(), Ends::path(dir));
                return Err(OpenError::Lost { dir, file, topic, partition, end, known });
            }
        }
        // So that a log that is new does not vanish as a whole. What is within, the store takes care of.
        for dir in [Some(dir), dir.parent()].into_iter().flatten().filter(|dir| !dir.as_os_str().is_empty()) {
            sync_directory(dir).map_err(unusable)?;
        }
        Ok(store)
    }

    fn recover(dir: &Path, lock: File, durable: Ends) -> fjall::Result<Self> {
        // One worker: of several, the first spins while another compacts.
        let database = Database::builder(dir.join("records"))
            .cache_size(CACHE_BYTES)
            .max_journaling_size(RECOVERY_BYTES)
            .worker_threads(1)
            .open()?;
        // What a killed process wrote and did not sync is there, and readers will see it: now it has to stay.
        database.persist(PersistMode::SyncAll)?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
        // Records apart from their keys: sorting the keys does not write the records again and again.
        let records =
            || options().with_kv_separation(Some(KvSeparationOptions::default().staleness_threshold(STALE_SHARE)));
        let topic = |topic: Topic| database.keyspace(topic.name(), records);
        let topics = [
            topic(Topic::Control)?,
            topic(Topic::Journal)?,
            topic(Topic::Incidents)?,
            topic(Topic::Alerts)?,
            topic(Topic::Health)?,
            topic(Topic::DeadLetter)?,
            topic(Topic::Commands)?,
            topic(Topic::Snapshots)?,
            topic(Topic::Subscriptions)?,
        ];
        let marks = database.keyspace("marks", options)?;
        let store = Self {
            topics,
            marks,
            partitions: Mutex::default(),
            swept: Mutex::default(),
            durable: Mutex::new(durable),
            syncs: AtomicU64::new(0),
            #[cfg(test)]
            broken: false.into(),
            database,
            _lock: lock,
        };
        store.find_ends()?;
        Ok(store)
    }

    /// Every partition has a mark from its first record on, and its end is one seek away.
    fn find_ends(&self) -> fjall::Result<()> {
        for topic in Topic::ALL {
            for entry in self.marks.prefix(topic_prefix(topic)) {
                let (name, value) = entry.into_inner()?;
                let (Some((_, partition)), Some((oldest, end))) = (name.split_last_chunk(), parse_mark(&value)) else {
                    return Err(fjall::Error::Unrecoverable);
                };
                let partition = u32::from_be_bytes(*partition);
                let last = self.keyspace(topic).range(key(partition, oldest)..=key(partition, u64::MAX)).next_back();
                let end = match last {
                    Some(entry) => end.max(position_of(&entry.key()?) + 1),
                    None => end,
                };
                self.partitions().insert((topic, partition), watch::Sender::new(Extent { oldest, end }));
            }
        }
        Ok(())
    }

    fn keyspace(&self, topic: Topic) -> &Keyspace {
        &self.topics[topic as usize]
    }

    fn partitions(&self) -> MutexGuard<'_, BTreeMap<(Topic, u32), watch::Sender<Extent>>> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The partition's extent, now and as it moves.
    pub fn watch(&self, topic: Topic, partition: u32) -> watch::Receiver<Extent> {
        self.partitions().entry((topic, partition)).or_insert_with(new_partition).subscribe()
    }

    /// What the ends are, for the writer to go on from.
    pub fn ends(&self) -> BTreeMap<(Topic, u32), u64> {
        self.partitions().iter().map(|(&of, extent)| (of, extent.borrow().end)).collect()
    }

    /// Notes down how far partitions are durable, for the next opening.
    pub fn note(&self, ends: &BTreeMap<(Topic, u32), u64>) -> io::Result<()> {
        let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        ends.iter().try_for_each(|(of, end)| durable.note(*of, *end))
    }

    /// Lets readers read up to `end`.
    pub fn set_end(&self, topic: Topic, partition: u32, end: u64) {
        self.partitions()
            .entry((topic, partition))
            .or_insert_with(new_partition)
            .send_modify(|extent| extent.end = end);
    }

    pub fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    pub fn batch(&self) -> WriteBatch {
        self.database.batch()
    }

    /// Adds a record to a batch, and the partition's mark if this is its first.
    pub fn put(&self, batch: &mut WriteBatch, topic: Topic, partition: u32, position: u64, bytes: &[u8]) {
        if position == 0 {
            batch.insert(&self.marks, mark_key(topic, partition), mark(0, 0));
        }
        batch.insert(self.keyspace(topic), key(partition, position), bytes);
    }

    /// Writes a batch so that it outlasts a loss of power.
    pub fn commit(&self, batch: WriteBatch) -> fjall::Result<()> {
        self.make_room()?;
        #[cfg(test)]
        if self.broken.load(Ordering::Relaxed) {
            return Err(fjall::Error::Poisoned);
        }
        batch.durability(Some(PersistMode::SyncData)).commit()?;
        self.syncs.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Waits while the store writes more slowly than it is written to. It would wait by itself, but for good when its
    /// worker has ended for an error (a full disk), which is an error here; and it does not bound its memory.
    fn make_room(&self) -> fjall::Result<()> {
        let behind = |topic: &Keyspace| topic.sealed_memtable_count() >= 3 || topic.l0_table_count() >= 25;
        // Not for ever, since only a write starts what writes memory to a file.
        let mut patience = 200_u32;
        while self.topics.iter().any(behind) || (patience > 0 && self.database.write_buffer_size() > UNWRITTEN_BYTES) {
            self.database.persist(PersistMode::Buffer)?;
            thread::sleep(Duration::from_millis(5));
            patience = patience.saturating_sub(1);
        }
        Ok(())
    }

    /// The records of `positions`, all of which are durable, up to about `bytes_max` bytes of them.
    pub fn read(
        &self,
        topic: Topic,
        partition: u32,
        positions: Range<u64>,
        bytes_max: usize,
    ) -> Result<Vec<Record>, String> {
        let (mut records, mut bytes_sum) = (Vec::new(), 0);
        let Range { start, end } = positions;
        for (position, entry) in (start..).zip(self.keyspace(topic).range(key(partition, start)..key(partition, end))) {
            let (found, value) = entry.into_inner().map_err(|e| e.to_string())?;
            if position_of(&found) != position {
                return Err(format!("the record at {position} is missing"));
            }
            bytes_sum += value.len();
            if bytes_sum > bytes_max && !records.is_empty() {
                break;
            }
            records.push(Record { position, bytes: Bytes::copy_from_slice(&value) });
        }
        if records.is_empty() && start < end {
            return Err(format!("the record at {start} is missing"));
        }
        Ok(records)
    }

    /// Removes the records below `position`. That they are gone is durable before the first of them is.
    pub fn trim(&self, topic: Topic, partition: u32, position: u64) -> fjall::Result<()> {
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        let extent = *self.watch(topic, partition).borrow();
        let position = position.min(extent.end);
        if position <= extent.oldest {
            return Ok(());
        }
        let mut batch = self.batch();
        batch.insert(&self.marks, mark_key(topic, partition), mark(position, extent.end));
        self.commit(batch)?;
        if let Some(extent) = self.partitions().get(&(topic, partition)) {
            extent.send_modify(|extent| extent.oldest = position);
        }
        let swept = swept.entry((topic, partition)).or_default();
        while *swept < position {
            *swept = self.sweep(topic, partition, *swept..position)?;
        }
        Ok(())
    }

    /// Removes some of the records of `positions`; the position that none is left below.
    fn sweep(&self, topic: Topic, partition: u32, positions: Range<u64>) -> fjall::Result<u64> {
        self.make_room()?;
        let keyspace = self.keyspace(topic);
        let mut batch = self.batch();
        let mut swept = positions.end;
        for entry in keyspace.range(key(partition, positions.start)..key(partition, positions.end)) {
            let found = entry.key()?;
            if batch.len() == TRIM_STEP {
                swept = position_of(&found);
                break;
            }
            batch.remove(keyspace, found);
        }
        batch.commit()?;
        Ok(swept)
    }
}

#[cfg(unix)]
fn sync_directory(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Elsewhere a directory is no file.
#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

fn new_partition() -> watch::Sender<Extent> {
    watch::Sender::new(Extent { oldest: 0, end: 0 })
}

fn key(partition: u32, position: u64) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&partition.to_be_bytes());
    key[4..].copy_from_slice(&position.to_be_bytes());
    key
}

/// Of a key that [`key`] made.
fn position_of(key: &[u8]) -> u64 {
    key.last_chunk().map_or(0, |position| u64::from_be_bytes(*position))
}

fn topic_prefix(topic: Topic) -> Vec<u8> {
    [topic.name().as_bytes(), b"/"].concat()
}

fn mark_key(topic: Topic, partition: u32) -> Vec<u8> {
    [&*topic_prefix(topic), &partition.to_be_bytes()].concat()
}

fn mark(oldest: u64, end: u64) -> [u8; 16] {
    let mut mark = [0; 16];
    mark[..8].copy_from_slice(&oldest.to_be_bytes());
    mark[8..].copy_from_slice(&end.to_be_bytes());
    mark
}

fn parse_mark(mark: &[u8]) -> Option<(u64, u64)> {
    let (oldest, end) = mark.split_first_chunk()?;
    Some((u64::from_be_bytes(*oldest), u64::from_be_bytes(end.try_into().ok()?)))
}
