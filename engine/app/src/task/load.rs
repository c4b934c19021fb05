//! How a partition begins: its first records, and the engine of its newest snapshot that may be used.
use super::WAIT;
use crate::{
    control::Contents,
    outputs::{OutputError, OutputReader},
    progress::Progress,
    rules::Rules,
    snapshots::{self, Mark, Snapshot},
};
use quell_connectors::{
    log::{Log, LogError, Topic},
    wire,
};
use quell_core::{
    engine::{Engine, EngineError, FOLD, Versions},
    output::OutputTopic,
};
use quell_proto::v1::{self, journal_record::Record as Journaled};
use std::sync::Arc;

/// Where the journal of a partition ends that is founded and nothing else; beyond it in a log with holes.
pub const FOUNDED: u64 = 2;

/// Begins the journal of a partition that has none: before anybody appends to it.
///
/// # Errors
/// Where the log can't be read or written.
pub async fn found(log: &Arc<dyn Log>, contents: &Contents, partition: u32) -> Result<(), LogError> {
    if log.extent(Topic::Journal, partition).await?.end > 0 {
        return Ok(());
    }
    let (uuid, partitions) = (contents.uuid.to_vec(), contents.partitions);
    for record in [Journaled::Genesis(v1::Genesis { uuid, partitions }), Journaled::Era(v1::Era { fold: FOLD })] {
        log.append(Topic::Journal, partition, wire::bytes(&wire::journal_record(record))).await?;
    }
    Ok(())
}

/// An engine from the newest snapshot that stands on its outputs, or at the beginning.
#[derive(Debug)]
pub struct Loaded {
    pub engine: Engine,
    /// The snapshots that may be used, at most two; the engine is that of the last.
    pub kept: Vec<Snapshot>,
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("control does not have version {0} of the policy or {1} of the topology yet")]
    Control(u64, u64),
}

/// Loads a partition's engine.
///
/// # Errors
/// Where the log can't be read, or the snapshot is of code with another FOLD.
pub async fn load(
    log: &Arc<dyn Log>,
    contents: &Contents,
    partition: u32,
    progress: &Progress,
    rules: Rules,
) -> Result<Loaded, LoadError> {
    let (kept, newest) = loop {
        let (found, newest) = snapshots::read(log, partition, contents.uuid).await?;
        let (last, mut kept) = (found.last().map(|snapshot| snapshot.position), Vec::new());
        for snapshot in found {
            if !rules.snapshot_after_outputs || stands_on_outputs(log, partition, contents.uuid, &snapshot).await? {
                kept.push(snapshot);
            } else {
                tracing::warn!(partition, position = snapshot.position, "a snapshot is beyond the outputs; not used");
                Progress::count(&progress.snapshots_refused);
            }
        }
        match kept.last() {
            None => break (kept, None),
            Some(newest_kept) if Some(newest_kept.position) == last => break (kept, newest),
            // Where it is gone by now, another has written newer ones.
            Some(older) => {
                if let Some(bytes) = snapshots::bytes(log, partition, contents.uuid, older).await? {
                    break (kept, Some(bytes));
                }
            }
        }
    };
    let versions = match &newest {
        None => Versions { policy: 1, topologies: vec![1] },
        Some(bytes) => Engine::snapshot_versions(bytes)?,
    };
    let topologies = versions.topologies.iter().map(|version| contents.topology(*version)).collect::<Option<Vec<_>>>();
    let (Some(policy), Some(topologies)) = (contents.policy(versions.policy), topologies) else {
        return Err(LoadError::Control(versions.policy, versions.topology()));
    };
    let engine = match (newest, topologies.last()) {
        (Some(bytes), _) => Engine::restore(&bytes, policy, topologies)?,
        (None, Some(topology)) => Engine::new(contents.uuid, policy, topology.clone()),
        (None, None) => return Err(LoadError::Control(versions.policy, versions.topology())),
    };
    Ok(Loaded { engine, kept })
}

/// A snapshot whose numbers are beyond the topics' would make a recovery mute over outputs that were never said.
async fn stands_on_outputs(
    log: &Arc<dyn Log>,
    partition: u32,
    journal: [u8; 16],
    snapshot: &Snapshot,
) -> Result<bool, OutputError> {
    for topic in OutputTopic::ALL {
        let (place, Mark { number, next }) = ((wire::topic(topic), partition), snapshot.outputs[topic as usize]);
        let extent = log.extent(place.0, place.1).await?;
        // What is trimmed was there.
        if number == 0 || (1..=extent.oldest).contains(&next) {
            continue;
        }
        if next > extent.end {
            return Ok(false);
        }
        // It stands in the record before, or in this one where more follow on it.
        let from = next.saturating_sub(1).max(extent.oldest);
        let mut reader = OutputReader::open(log, place, journal, (number - 1, from), true).await?;
        if !matches!(reader.next(WAIT).await?, Some(found) if found.next == next) {
            return Ok(false);
        }
    }
    Ok(true)
}
