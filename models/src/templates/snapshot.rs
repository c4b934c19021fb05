//! What is kept of a miner.
use super::{
    Miner, Settings,
    slots::{Patterns, Slot, Together},
    store::{Entry, Store},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Everything but what only serves a line, in an order that depends on nothing else.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Snapshot {
    settings: Settings,
    lines: u64,
    entries: Vec<Entry>,
    mergers: VecDeque<u64>,
    slots: BTreeMap<u64, Slot>,
    together: BTreeMap<u64, Together>,
    patterns: Patterns,
    names: BTreeMap<u64, u64>,
    words: BTreeMap<u64, u32>,
}

impl From<Miner> for Snapshot {
    fn from(miner: Miner) -> Self {
        let mut entries: Vec<Entry> = miner.store.all().cloned().collect();
        entries.sort_unstable_by_key(|entry| entry.id);
        Self {
            settings: miner.settings,
            lines: miner.lines,
            entries,
            mergers: miner.store.mergers().clone(),
            slots: miner.slots.into_iter().collect(),
            together: miner.together,
            patterns: miner.patterns,
            names: miner.names,
            words: miner.words,
        }
    }
}

impl PartialEq for Miner {
    /// They have learned the same, whatever places it has in memory.
    fn eq(&self, other: &Self) -> bool {
        Snapshot::from(self.clone()) == Snapshot::from(other.clone())
    }
}

impl From<Snapshot> for Miner {
    fn from(kept: Snapshot) -> Self {
        Self {
            settings: kept.settings,
            lines: kept.lines,
            store: Store::restored(kept.entries, kept.mergers),
            slots: kept.slots.into_iter().collect(),
            together: kept.together,
            patterns: kept.patterns,
            names: kept.names,
            words: kept.words,
            pieces: Vec::new(),
            skeleton: Vec::new(),
        }
    }
}
