//! A map that stays within a limit: the longest unseen go, ties by key (design rule 16).
use crate::{domain::time::Timestamp, stages::deduplicate::first_of};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::hash::Hash;

/// A share of this goes at once, so that a full map is not searched for each newcomer.
const EVICTED_SHARE: usize = 64;

/// What is kept of one key.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Kept<V> {
    seen_at: Timestamp,
    value: V,
}

/// The map.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound(
    serialize = "K: Serialize + Ord, V: Serialize",
    deserialize = "K: Deserialize<'de> + Eq + Hash, V: Deserialize<'de>"
))]
pub struct Bounded<K: Eq + Hash, V> {
    #[serde(with = "crate::snapshot::sorted")]
    kept: FxHashMap<K, Kept<V>>,
}

impl<K: Eq + Hash, V> Default for Bounded<K, V> {
    fn default() -> Self {
        Self { kept: FxHashMap::default() }
    }
}

impl<K: Copy + Eq + Hash + Ord, V: Default> Bounded<K, V> {
    /// What is known of a key.
    pub fn get(&self, key: K) -> Option<&V> {
        self.kept.get(&key).map(|kept| &kept.value)
    }

    /// What is known of a key, to be changed.
    pub fn get_mut(&mut self, key: K) -> Option<&mut V> {
        self.kept.get_mut(&key).map(|kept| &mut kept.value)
    }

    /// A key is seen; it may be new.
    pub fn see(&mut self, key: K, now: Timestamp) -> &mut V {
        let kept = self.kept.entry(key).or_insert_with(|| Kept { seen_at: now, value: V::default() });
        kept.seen_at = kept.seen_at.max(now);
        &mut kept.value
    }

    /// Those that go where there are more than `max`.
    pub fn make_room(&mut self, max: usize) -> Vec<V> {
        if self.kept.len() <= max { Vec::new() } else { self.evict() }
    }

    /// The longest unseen, a share of all.
    #[expect(clippy::disallowed_methods, reason = "victims are sorted")]
    pub fn evict(&mut self) -> Vec<V> {
        let all: Vec<(Timestamp, K)> = self.kept.iter().map(|(key, kept)| (kept.seen_at, *key)).collect();
        let share = all.len().div_ceil(EVICTED_SHARE);
        first_of(all, share).into_iter().filter_map(|(_, key)| self.kept.remove(&key)).map(|kept| kept.value).collect()
    }

    /// How many keys are known.
    pub fn len(&self) -> usize {
        self.kept.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unseen_go_first() {
        let mut map = Bounded::<u64, u8>::default();
        for key in 0..3 {
            *map.see(key, Timestamp(0)) = key as u8;
        }
        map.see(0, Timestamp(5));
        assert_eq!(map.make_room(3), Vec::<u8>::new());
        assert_eq!(map.make_room(2), [1], "seen as long ago as 2, and before it by key");
        assert_eq!((map.len(), map.get(1)), (2, None));
    }
}
