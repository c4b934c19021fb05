//! Equal texts, and equal sets of them, are kept once.
//!
//! Most of what an alert says many others say too: origin, check, services, labels. What is shared never changes, so that
//! nobody can tell whether it is: the pool is no part of the fold's memory.
use hashbrown::HashTable;
use rustc_hash::FxHasher;
use serde::{Deserialize, Deserializer};
use std::{
    borrow::Borrow,
    cell::Cell,
    hash::{Hash, Hasher},
    sync::Arc,
};

/// With more of a kind the pool begins anew: what many say is soon there again, and what one says takes no place for ever.
const POOL_MAX: usize = 4_096;

/// Keys and values, sorted by key.
pub type Labels = Arc<[(Arc<str>, Arc<str>)]>;

struct Pool {
    texts: HashTable<Arc<str>>,
    lists: HashTable<Arc<[Arc<str>]>>,
    labels: HashTable<Labels>,
    max: usize,
}

impl Default for Pool {
    fn default() -> Self {
        Self { texts: HashTable::new(), lists: HashTable::new(), labels: HashTable::new(), max: POOL_MAX }
    }
}

thread_local! {
    static POOL: Cell<Pool> = Cell::default();
}

fn with<T>(act: impl FnOnce(&mut Pool) -> T) -> T {
    let mut pool = POOL.take();
    let shared = act(&mut pool);
    POOL.set(pool);
    shared
}

fn share<T, V>(known: &mut HashTable<Arc<T>>, max: usize, value: V) -> Arc<T>
where
    T: Hash + Eq + ?Sized,
    V: Borrow<T> + Into<Arc<T>>,
{
    let hash = hash_of(value.borrow());
    if let Some(shared) = known.find(hash, |known| **known == *value.borrow()) {
        return shared.clone();
    }
    if known.len() >= max {
        known.clear();
    }
    let shared: Arc<T> = value.into();
    known.insert_unique(hash, shared.clone(), |known| hash_of(&**known));
    shared
}

fn hash_of<T: Hash + ?Sized>(value: &T) -> u64 {
    let mut hasher = FxHasher::default();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A text that others may have.
pub fn text(text: &str) -> Arc<str> {
    with(|pool| share(&mut pool.texts, pool.max, text))
}

/// A list that others may have.
pub fn list(list: Vec<Arc<str>>) -> Arc<[Arc<str>]> {
    with(|pool| share(&mut pool.lists, pool.max, list))
}

/// Labels that others may have.
pub fn labels(labels: Vec<(Arc<str>, Arc<str>)>) -> Labels {
    with(|pool| share(&mut pool.labels, pool.max, labels))
}

/// While this lives all that the thread reads is shared: in a snapshot each thing stands as often as it is held.
pub struct Restoring(());

impl Restoring {
    pub fn begin() -> Self {
        POOL.set(Pool { max: usize::MAX, ..Pool::default() });
        Self(())
    }
}

impl Drop for Restoring {
    fn drop(&mut self) {
        POOL.take();
    }
}

/// A text of a snapshot.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct Text(#[serde(deserialize_with = "read_text")] pub Arc<str>);

pub fn read_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
    <&str>::deserialize(deserializer).map(text)
}

pub fn read_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<[Arc<str>]>, D::Error> {
    let texts = Vec::<Text>::deserialize(deserializer)?;
    Ok(list(texts.into_iter().map(|text| text.0).collect()))
}

pub fn read_labels<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Labels, D::Error> {
    let pairs = Vec::<(Text, Text)>::deserialize(deserializer)?;
    Ok(labels(pairs.into_iter().map(|(key, value)| (key.0, value.0)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_one_and_a_full_pool_begins_anew() {
        let first = text("a");
        assert!(Arc::ptr_eq(&first, &text("a")));
        for n in 0..POOL_MAX {
            text(&n.to_string());
        }
        assert!(!Arc::ptr_eq(&first, &text("a")));
        let pair = || vec![(text("k"), text("v"))];
        assert!(Arc::ptr_eq(&labels(pair()), &labels(pair())));
    }
}
