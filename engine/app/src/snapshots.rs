//! Snapshots: chunks, then a manifest with hashes, positions and sequence numbers (design rule 15).
use crate::clock::Outside;
use prost::Message as _;
use quell_connectors::{
    log::{Log, LogError, Topic},
    wire,
};
use quell_core::{
    engine::FOLD,
    output::{ByTopic, OutputTopic},
};
use quell_proto::v1::{self, snapshot_record::Record};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use xxhash_rust::xxh3::xxh3_64;

const CHUNK_BYTES: usize = 512 * 1024;
const READ_BYTES: usize = 4 * 1024 * 1024;
const WAIT: Duration = Duration::from_secs(10);
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

/// A snapshot that was read and verified.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub position: u64,
    pub fold: u32,
    pub bytes: Vec<u8>,
    pub outputs: ByTopic<Mark>,
    pub trail: Vec<v1::TrailMark>,
    /// Where its first chunk stands in the log.
    pub begins: u64,
}

/// Every verified snapshot of a partition, oldest position first, at most the newest two.
///
/// # Errors
/// Where the log can't be read.
pub async fn read(log: &Arc<dyn Log>, partition: u32, journal: [u8; 16]) -> Result<Vec<Snapshot>, LogError> {
    let extent = log.extent(Topic::Snapshots, partition).await?;
    read_from(log, partition, journal, extent.oldest).await
}

async fn read_from(
    log: &Arc<dyn Log>,
    partition: u32,
    journal: [u8; 16],
    from: u64,
) -> Result<Vec<Snapshot>, LogError> {
    let end = log.extent(Topic::Snapshots, partition).await?.end;
    let mut reader = log.read_from(Topic::Snapshots, partition, from).await?;
    let mut chunks: BTreeMap<u64, BTreeMap<u32, (u64, Vec<u8>)>> = BTreeMap::new();
    let mut found: Vec<Snapshot> = Vec::new();
    while reader.position() < end {
        for record in reader.next(READ_BYTES, WAIT).await? {
            // What can't be read is as good as not there: hashes decide.
            let Ok(read) = v1::SnapshotRecord::decode(record.bytes) else { continue };
            match read.record {
                Some(Record::Chunk(chunk)) => {
                    chunks.entry(chunk.id).or_default().insert(chunk.index, (record.position, chunk.content));
                }
                Some(Record::Manifest(manifest)) => {
                    let parts = chunks.remove(&manifest.id).unwrap_or_default();
                    found.extend(verified(manifest, parts, journal));
                    found.sort_by_key(|snapshot| snapshot.position);
                    found.dedup_by_key(|snapshot| snapshot.position);
                    let surplus = found.len().saturating_sub(2);
                    found.drain(..surplus);
                }
                None => {}
            }
        }
    }
    Ok(found)
}

fn verified(
    manifest: v1::SnapshotManifest,
    parts: BTreeMap<u32, (u64, Vec<u8>)>,
    journal: [u8; 16],
) -> Option<Snapshot> {
    let whole = parts.len() == manifest.chunks as usize
        && manifest.hashes.len() == parts.len()
        && parts.values().zip(&manifest.hashes).all(|((_, content), hash)| xxh3_64(content) == *hash);
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
        begins: parts.values().map(|(position, _)| *position).min()?,
        bytes: parts.into_values().flat_map(|(_, content)| content).collect(),
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

/// Writes a snapshot and reads it back: it counts only if it is there and right.
///
/// # Errors
/// Where the log failed. Nothing is lost: the ones before it stand.
pub async fn write(
    log: &Arc<dyn Log>,
    outside: &dyn Outside,
    partition: u32,
    journal: [u8; 16],
    mut draft: Draft,
) -> Result<Option<Snapshot>, LogError> {
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
    let mut first = None;
    for (index, content) in chunks.iter().enumerate() {
        let chunk = v1::SnapshotChunk { id, index: index as u32, content: content.to_vec() };
        let position = append(Record::Chunk(chunk)).await?;
        first.get_or_insert(position);
    }
    let manifest = v1::SnapshotManifest {
        id,
        journal: journal.to_vec(),
        fold: FOLD,
        position: draft.position,
        chunks: chunks.len() as u32,
        hashes: chunks.iter().map(|chunk| xxh3_64(chunk)).collect(),
        outputs: draft.outputs.iter().map(|m| v1::OutputMark { number: m.number, next: m.next }).collect(),
        at_ms: now,
        trail: draft.trail,
    };
    append(Record::Manifest(manifest)).await?;
    let found = read_from(log, partition, journal, first.unwrap_or(0)).await?;
    Ok(found.into_iter().rev().find(|snapshot| snapshot.position == draft.position))
}
