//! Snapshots: chunks, then a manifest with hashes, positions and sequence numbers (design rule 15).
use crate::clock::Outside;
use prost::Message as _;
use quell_connectors::{
    log::{Extent, Log, LogError, Topic},
    wire,
};
use quell_core::{
    domain::time::Timestamp,
    engine::FOLD,
    output::{ByTopic, OutputTopic},
};
use quell_proto::v1::{self, snapshot_record::Record};
use std::{collections::BTreeMap, mem, sync::Arc, time::Duration};
use xxhash_rust::xxh3::xxh3_64;

const CHUNK_BYTES: usize = 512 * 1024;
const READ_BYTES: usize = 4 * 1024 * 1024;
/// The end may be a hole, in which nothing comes.
const WAIT: Duration = Duration::from_millis(100);
const DAY_MS: i64 = 24 * 3_600_000;
/// Days of which positions are remembered, to trim the journal by age.
const TRAIL_MAX: usize = 400;

/// How far an output topic was written when a snapshot was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The number of the last output.
    pub number: u64,
    /// The log position behind it, or one below that from which reading on finds all that came after it.
    pub next: u64,
}

/// A snapshot that was read and verified, without its bytes: of a large memory they are many.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub position: u64,
    pub fold: u32,
    /// In bytes.
    pub size: usize,
    pub outputs: ByTopic<Mark>,
    pub trail: Vec<v1::TrailMark>,
    /// Where its first chunk stands in the log.
    pub begins: u64,
    /// The wall clock when it was written.
    pub at: Timestamp,
}

/// A chunk that was read.
struct Chunk {
    position: u64,
    hash: u64,
    size: usize,
    /// Empty where it is only to be verified.
    content: Vec<u8>,
}

/// The chunks of a snapshot, in order.
type Chunks = BTreeMap<u32, Chunk>;

/// The verified snapshots of a partition, oldest position first, at most the newest two, and the bytes of the last.
///
/// # Errors
/// Where the log can't be read.
pub async fn read(
    log: &Arc<dyn Log>,
    partition: u32,
    journal: [u8; 16],
) -> Result<(Vec<Snapshot>, Option<Vec<u8>>), LogError> {
    let (mut found, _) = scan(log, partition, journal, Contents::Newest).await?;
    let bytes = found.last_mut().map(|(_, chunks)| whole(mem::take(chunks)));
    Ok((found.into_iter().map(|(snapshot, _)| snapshot).collect(), bytes))
}

/// The bytes of a snapshot that `read` has found; `None` where it is gone since.
///
/// # Errors
/// Where the log can't be read.
pub async fn bytes(
    log: &Arc<dyn Log>,
    partition: u32,
    journal: [u8; 16],
    snapshot: &Snapshot,
) -> Result<Option<Vec<u8>>, LogError> {
    let (found, _) = scan(log, partition, journal, Contents::Of(snapshot.position)).await?;
    let found = found.into_iter().find(|(found, _)| found.position == snapshot.position);
    Ok(found.map(|(_, chunks)| whole(chunks)))
}

fn whole(chunks: Chunks) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(chunks.values().map(|chunk| chunk.size).sum());
    chunks.into_values().for_each(|chunk| bytes.extend_from_slice(&chunk.content));
    bytes
}

/// What becomes of the chunks' contents.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Contents {
    /// Those of the newest are kept: large as they are, one is enough.
    Newest,
    /// Those of the one at this position are kept.
    Of(u64),
    /// None are, once hashed: whether the snapshot with this id is whole is asked.
    Verified(u64),
}

/// The newest two, and whether the one asked for is whole.
async fn scan(
    log: &Arc<dyn Log>,
    partition: u32,
    journal: [u8; 16],
    contents: Contents,
) -> Result<(Vec<(Snapshot, Chunks)>, bool), LogError> {
    let Extent { oldest, end } = log.extent(Topic::Snapshots, partition).await?;
    let mut reader = log.read_from(Topic::Snapshots, partition, oldest).await?;
    let mut chunks: BTreeMap<u64, Chunks> = BTreeMap::new();
    let (mut found, mut is_whole) = (Vec::<(Snapshot, Chunks)>::new(), false);
    while reader.position() < end {
        for record in reader.next(READ_BYTES, WAIT).await? {
            // What can't be read is as good as not there: hashes decide.
            let Ok(read) = v1::SnapshotRecord::decode(record.bytes) else { continue };
            match read.record {
                Some(Record::Chunk(v1::SnapshotChunk { id, index, content })) => {
                    let (position, hash, size) = (record.position, xxh3_64(&content), content.len());
                    let content = if matches!(contents, Contents::Verified(_)) { Vec::new() } else { content };
                    chunks.entry(id).or_default().insert(index, Chunk { position, hash, size, content });
                }
                Some(Record::Manifest(manifest)) => {
                    let of = manifest.id;
                    let parts = chunks.remove(&of).unwrap_or_default();
                    let Some(snapshot) = verified(manifest, &parts, journal) else { continue };
                    is_whole |= contents == Contents::Verified(of);
                    found.push((snapshot, parts));
                    found.sort_by_key(|(snapshot, _)| snapshot.position);
                    found.dedup_by_key(|(snapshot, _)| snapshot.position);
                    let surplus = found.len().saturating_sub(2);
                    found.drain(..surplus);
                    let newest = found.last().map_or(0, |(snapshot, _)| snapshot.position);
                    let kept = if let Contents::Of(position) = contents { position } else { newest };
                    for (_, chunks) in found.iter_mut().filter(|(snapshot, _)| snapshot.position != kept) {
                        chunks.clear();
                    }
                }
                None => {}
            }
        }
    }
    Ok((found, is_whole))
}

/// Of a manifest as it is with 0 there.
fn hash_of(manifest: &v1::SnapshotManifest) -> u64 {
    xxh3_64(&v1::SnapshotManifest { hash: 0, ..manifest.clone() }.encode_to_vec())
}

fn verified(manifest: v1::SnapshotManifest, chunks: &Chunks, journal: [u8; 16]) -> Option<Snapshot> {
    if manifest.hash != hash_of(&manifest) {
        return None;
    }
    let whole = chunks.len() == manifest.chunks as usize
        && manifest.hashes.len() == chunks.len()
        && chunks.values().zip(&manifest.hashes).all(|(chunk, hash)| chunk.hash == *hash);
    if !whole || manifest.journal != journal || manifest.outputs.len() != OutputTopic::ALL.len() {
        return None;
    }
    let mut outputs = ByTopic::<Mark>::default();
    for (mark, found) in outputs.iter_mut().zip(&manifest.outputs) {
        *mark = Mark { number: found.number, next: found.next };
    }
    Some(Snapshot {
        position: manifest.position,
        fold: manifest.fold,
        at: Timestamp(manifest.at_ms),
        begins: chunks.values().map(|chunk| chunk.position).min()?,
        size: chunks.values().map(|chunk| chunk.size).sum(),
        outputs,
        trail: manifest.trail,
    })
}

/// What is written as a snapshot.
#[derive(Debug)]
pub struct Draft {
    pub position: u64,
    pub bytes: Vec<u8>,
    pub outputs: ByTopic<Mark>,
    pub trail: Vec<v1::TrailMark>,
}

/// Writes a snapshot and reads it back: it counts only if it is there and right, or else there is none. What is kept then
/// are the newest two, whoever wrote them.
///
/// # Errors
/// Where the log failed. Nothing is lost: the ones before it stand.
pub async fn write(
    log: &Arc<dyn Log>,
    outside: &dyn Outside,
    partition: u32,
    journal: [u8; 16],
    mut draft: Draft,
) -> Result<Option<Vec<Snapshot>>, LogError> {
    let id = outside.random();
    let now = outside.now().0;
    if draft.trail.last().is_none_or(|last| now - last.at_ms >= DAY_MS) {
        draft.trail.push(v1::TrailMark { at_ms: now, position: draft.position });
        let surplus = draft.trail.len().saturating_sub(TRAIL_MAX);
        draft.trail.drain(..surplus);
    }
    let chunks: Vec<&[u8]> = draft.bytes.chunks(CHUNK_BYTES).collect();
    let append =
        |record| log.append(Topic::Snapshots, partition, wire::bytes(&v1::SnapshotRecord { record: Some(record) }));
    for (index, content) in chunks.iter().enumerate() {
        append(Record::Chunk(v1::SnapshotChunk { id, index: index as u32, content: content.to_vec() })).await?;
    }
    let mut manifest = v1::SnapshotManifest {
        id,
        journal: journal.to_vec(),
        fold: FOLD,
        position: draft.position,
        chunks: chunks.len() as u32,
        hashes: chunks.iter().map(|chunk| xxh3_64(chunk)).collect(),
        outputs: draft.outputs.iter().map(|m| v1::OutputMark { number: m.number, next: m.next }).collect(),
        at_ms: now,
        trail: draft.trail,
        hash: 0,
    };
    manifest.hash = hash_of(&manifest);
    append(Record::Manifest(manifest)).await?;
    drop(draft.bytes);
    let (kept, is_whole) = scan(log, partition, journal, Contents::Verified(id)).await?;
    Ok(is_whole.then(|| kept.into_iter().map(|(snapshot, _)| snapshot).collect()))
}
