//! What is kept of a miner: everything but what only serves a line, in an order that depends on nothing else.
use super::{
    Miner, Settings,
    slots::{Patterns, Slot, Together},
    store::{Entry, Store},
};
use serde::{Deserialize, Serialize, Serializer};
use std::collections::{BTreeMap, VecDeque};

/// As it is written.
#[derive(PartialEq, Serialize)]
struct View<'a> {
    settings: &'a Settings,
    lines: u64,
    entries: Vec<&'a Entry>,
    mergers: &'a VecDeque<u64>,
    slots: BTreeMap<u64, &'a Slot>,
    together: &'a BTreeMap<u64, Together>,
    patterns: &'a Patterns,
    names: &'a BTreeMap<u64, u64>,
    words: &'a BTreeMap<u64, u32>,
}

impl<'a> From<&'a Miner> for View<'a> {
    #[expect(clippy::disallowed_methods, reason = "sorted")]
    fn from(miner: &'a Miner) -> Self {
        let mut entries: Vec<&Entry> = miner.store.all().collect();
        entries.sort_unstable_by_key(|entry| entry.id);
        Self {
            settings: &miner.settings,
            lines: miner.lines,
            entries,
            mergers: miner.store.mergers(),
            slots: miner.slots.iter().map(|(key, slot)| (*key, slot)).collect(),
            together: &miner.together,
            patterns: &miner.patterns,
            names: &miner.names,
            words: &miner.words,
        }
    }
}

impl Serialize for Miner {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        View::from(self).serialize(serializer)
    }
}

impl PartialEq for Miner {
    /// They have learned the same, whatever places it has in memory.
    fn eq(&self, other: &Self) -> bool {
        View::from(self) == View::from(other)
    }
}

/// As it is read.
#[derive(Deserialize)]
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

impl From<Snapshot> for Miner {
    fn from(kept: Snapshot) -> Self {
        Self {
            settings: kept.settings,
            lines: kept.lines,
            forgotten: 0,
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
