//! Room that tables no longer need is given back: a storm is over sooner than the process.
use rustc_hash::FxHashMap;
use std::hash::Hash;

/// Smaller tables are not worth it.
const SMALL: usize = 1_024;

/// How much room is left to `len` entries, where they have far more.
pub fn excess(len: usize, capacity: usize) -> Option<usize> {
    (capacity > SMALL && len < capacity / 4).then_some(2 * len)
}

/// Room for one more: exactly that in an empty list, for most stay at one.
pub fn one_more<T>(list: &mut Vec<T>) {
    if list.is_empty() {
        list.reserve_exact(1);
    }
}

/// Gives back what a map has far too much of.
pub fn give_back<K: Eq + Hash, V>(map: &mut FxHashMap<K, V>) {
    if let Some(room) = excess(map.len(), map.capacity()) {
        map.shrink_to(room);
    }
}
