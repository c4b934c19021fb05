//! How far each partition is known to be durable, in a file of its own: the store takes whatever in its journal can't be
//! read for the torn end of a last write, and goes on from there.
use super::Topic;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};
use xxhash_rust::xxh3::xxh3_64;

/// A partition's slot: topic, partition, end and a hash of these. It never goes over the border of a sector.
const SLOT: usize = 32;

/// By topic and partition: the end up to which records are durable.
pub type Known = BTreeMap<(Topic, u32), u64>;

/// The file, and where in it each partition has its slot. It is not synced: after a loss of power it may tell of less than
/// is there, never of more, as a slot is written after the records.
pub struct Ends {
    file: File,
    slots: BTreeMap<(Topic, u32), u64>,
    /// Where the next slot goes.
    next: u64,
}

impl Ends {
    /// Where it is in a log's directory.
    pub fn path(dir: &Path) -> PathBuf {
        dir.join("ENDS")
    }

    /// Opens it, and what it tells. A slot that can't be read tells nothing.
    pub fn open(dir: &Path) -> io::Result<(Self, Known)> {
        let mut file = File::options().create(true).truncate(false).read(true).write(true).open(Self::path(dir))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let (mut slots, mut known, mut next) = (BTreeMap::new(), BTreeMap::new(), 0);
        for slot in bytes.as_chunks::<SLOT>().0 {
            if let Some((of, end)) = read_slot(slot) {
                slots.insert(of, next);
                known.insert(of, end);
            }
            next += SLOT as u64;
        }
        Ok((Self { file, slots, next }, known))
    }

    /// A partition's records below `end` are durable.
    pub fn note(&mut self, of: (Topic, u32), end: u64) -> io::Result<()> {
        let at = *self.slots.entry(of).or_insert_with(|| {
            self.next += SLOT as u64;
            self.next - SLOT as u64
        });
        self.file.seek(SeekFrom::Start(at))?;
        self.file.write_all(&slot(of, end))
    }
}

fn slot((topic, partition): (Topic, u32), end: u64) -> [u8; SLOT] {
    let mut slot = [0; SLOT];
    slot[0..4].copy_from_slice(&(topic as u32).to_le_bytes());
    slot[4..8].copy_from_slice(&partition.to_le_bytes());
    slot[8..16].copy_from_slice(&end.to_le_bytes());
    let hash = xxh3_64(&slot[..16]);
    slot[16..24].copy_from_slice(&hash.to_le_bytes());
    slot
}

fn read_slot(bytes: &[u8; SLOT]) -> Option<((Topic, u32), u64)> {
    let number = |at: usize| bytes[at..].first_chunk().map(|four| u32::from_le_bytes(*four));
    let topic = *Topic::ALL.get(number(0)? as usize)?;
    let (of, end) = ((topic, number(4)?), u64::from_le_bytes(*bytes[8..].first_chunk()?));
    (slot(of, end) == *bytes).then_some((of, end))
}
