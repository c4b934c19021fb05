//! What open incidents are about: entities and services, of which nothing is learned as usual meanwhile.
use crate::domain::{episode::Member, incident::IncidentId};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// By hashes of names. An incident holds what it ever was about until it is resolved.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// How many incidents hold it.
    #[serde(with = "crate::snapshot::sorted")]
    counts: FxHashMap<u64, u32>,
    by_incident: BTreeMap<IncidentId, BTreeSet<u64>>,
}

impl Held {
    /// Nothing is.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// An open incident is of these too; of all of its `members` where it was not open before.
    pub(super) fn hold(&mut self, id: IncidentId, members: &[Member], joined: &[Member]) {
        let new = if self.by_incident.contains_key(&id) { joined } else { members };
        let names = self.by_incident.entry(id).or_default();
        for member in new {
            for key in [entity(&member.entity)].into_iter().chain(member.services.iter().map(|s| service(s))) {
                if names.insert(key) {
                    *self.counts.entry(key).or_default() += 1;
                }
            }
        }
    }

    /// An incident is open no more.
    pub(super) fn release(&mut self, id: IncidentId) {
        for key in self.by_incident.remove(&id).into_iter().flatten() {
            if let Some(count) = self.counts.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    self.counts.remove(&key);
                }
            }
        }
    }

    /// Whether an incident is, and is open.
    pub(super) fn is_about(&self, id: IncidentId, of: &str, services: &[Arc<str>]) -> bool {
        let holds =
            |names: &BTreeSet<u64>| names.contains(&entity(of)) || services.iter().any(|s| names.contains(&service(s)));
        self.by_incident.get(&id).is_some_and(holds)
    }

    /// Whether an open incident is about this entity, or about one of these services.
    pub fn holds(&self, of: &str, services: &[Arc<str>]) -> bool {
        self.counts.contains_key(&entity(of)) || services.iter().any(|s| self.counts.contains_key(&service(s)))
    }
}

fn entity(name: &str) -> u64 {
    xxh3_64_with_seed(name.as_bytes(), 1)
}

fn service(name: &str) -> u64 {
    xxh3_64_with_seed(name.as_bytes(), 2)
}
