//! Near neighbours among many signatures.
use super::signature::{LENGTH, Signature};
use serde::{Deserialize, Serialize};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

/// What is as similar as the floor is found with at least this chance, by its bands.
const FOUND: f64 = 0.95;
/// Of one band's place so many are looked at, those with the highest ids: a thousand that are all alike cost no more.
const BAND_MAX: usize = 64;

/// What was found near a signature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Near {
    /// That it was inserted with.
    pub id: u64,
    /// Estimate of the Jaccard index.
    pub similarity: f64,
}

/// Signatures by id, found by their bands. It keeps at most so many; the longest not inserted goes, ties are none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct Index {
    floor: f64,
    max: usize,
    /// Insertions so far.
    inserted: u64,
    entries: BTreeMap<u64, Entry>,
    /// Places a band.
    #[serde(skip)]
    pub(super) rows: usize,
    /// Band's key and id.
    #[serde(skip)]
    bands: BTreeSet<(u64, u64)>,
    /// When inserted, and id.
    #[serde(skip)]
    ages: BTreeSet<(u64, u64)>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    signature: Signature,
    inserted: u64,
}

/// As it is kept: the rest follows.
#[derive(Deserialize)]
struct Stored {
    floor: f64,
    max: usize,
    inserted: u64,
    entries: BTreeMap<u64, Entry>,
}

impl From<Stored> for Index {
    fn from(Stored { floor, max, inserted, entries }: Stored) -> Self {
        let mut index = Self { inserted, ..Self::new(floor, max) };
        entries.into_iter().for_each(|(id, entry)| index.list(id, entry));
        index
    }
}

impl Index {
    /// Of at most `max` signatures; what is at least as similar as `floor`, in 0..=1, is to be found. A floor that is no number is 1: what
    /// is the same.
    pub fn new(floor: f64, max: usize) -> Self {
        let floor = if floor.is_nan() { 1.0 } else { floor.clamp(0.0, 1.0) };
        let (entries, bands, ages) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        Self { floor, max, inserted: 0, entries, rows: rows(floor), bands, ages }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// By id.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Signature)> {
        self.entries.iter().map(|(id, entry)| (*id, &entry.signature))
    }

    /// With what chance one that is so similar is found, as long as no more than 64 share each of its bands.
    pub fn chance(&self, similarity: f64) -> f64 {
        chance(similarity, self.rows)
    }

    /// One more, or another signature of one that is known. Who makes room for it.
    pub fn insert(&mut self, id: u64, signature: Signature) -> Option<u64> {
        self.remove(id);
        let full = self.entries.len() >= self.max.max(1);
        let victim = self.ages.first().map(|(_, id)| *id).filter(|_| full);
        if let Some(victim) = victim {
            self.remove(victim);
        }
        self.inserted = self.inserted.saturating_add(1);
        self.list(id, Entry { signature, inserted: self.inserted });
        victim
    }

    /// Whether it was there.
    pub fn remove(&mut self, id: u64) -> bool {
        let Some(entry) = self.entries.remove(&id) else { return false };
        for key in entry.signature.bands(self.rows) {
            self.bands.remove(&(key, id));
        }
        self.ages.remove(&(entry.inserted, id));
        true
    }

    #[cfg(test)]
    pub(super) fn bands_are_empty(&self) -> bool {
        self.bands.is_empty() && self.ages.is_empty()
    }

    fn list(&mut self, id: u64, entry: Entry) {
        self.bands.extend(entry.signature.bands(self.rows).map(|key| (key, id)));
        self.ages.insert((entry.inserted, id));
        self.entries.insert(id, entry);
    }

    /// Up to `most` that are at least as similar as the floor, the most similar first, of as similar ones the highest id.
    pub fn near(&self, to: &Signature, most: usize) -> Vec<Near> {
        let of_band = |key| self.bands.range((key, 0)..=(key, u64::MAX)).rev().take(BAND_MAX).map(|(_, id)| *id);
        let mut ids: Vec<u64> = to.bands(self.rows).flat_map(of_band).collect();
        ids.sort_unstable();
        ids.dedup();
        let agreeing = |id| self.entries.get(&id).map(|entry| (entry.signature.agreeing(to), id));
        let mut found: Vec<(u32, u64)> = ids.into_iter().filter_map(agreeing).collect();
        found.sort_unstable_by_key(|found| Reverse(*found));
        let near = found.into_iter().map(|(places, id)| Near { id, similarity: f64::from(places) / LENGTH as f64 });
        near.take_while(|near| near.similarity >= self.floor).take(most).collect()
    }
}

/// Places a band: as many as still find what is as similar as the floor.
fn rows(floor: f64) -> usize {
    (1..=LENGTH).rev().find(|rows| chance(floor, *rows) >= FOUND).unwrap_or(1)
}

/// 1 − (1 − sʳ)ᵇ.
fn chance(similarity: f64, rows: usize) -> f64 {
    let power = |base: f64, times: usize| (0..times).fold(1.0, |product, _| product * base);
    1.0 - power(1.0 - power(similarity.clamp(0.0, 1.0), rows), LENGTH / rows)
}
