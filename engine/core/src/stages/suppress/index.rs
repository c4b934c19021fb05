//! Finds what may be about an alert without looking at all there is: by one value that the alert must have.
use crate::domain::{
    maintenance::Target,
    matcher::{AlertView, Field, Matchers},
    policy::Policy,
};
use rustc_hash::FxHashMap;
use std::{collections::BTreeMap, sync::Arc};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// The hash of a value that an alert has.
fn hash(field: &Field, value: &str) -> u64 {
    let seed = match field {
        Field::Entity => 1,
        Field::Check => 2,
        Field::Origin => 3,
        Field::Service => 4,
        Field::Severity => 5,
        Field::Summary => 6,
        Field::Label(label) => xxh3_64(label.as_bytes()),
    };
    xxh3_64_with_seed(value.as_bytes(), seed)
}

/// Sets of matchers by a value that they require. Candidates still have to be matched.
#[derive(Debug)]
pub struct MatcherIndex<K> {
    by_value: FxHashMap<u64, Vec<K>>,
    /// Those that require no value.
    others: Vec<K>,
    /// Where each stands; nowhere is among the others.
    places: BTreeMap<K, Vec<u64>>,
}

impl<K> Default for MatcherIndex<K> {
    fn default() -> Self {
        Self { by_value: FxHashMap::default(), others: Vec::new(), places: BTreeMap::new() }
    }
}

impl<K: Copy + Ord> MatcherIndex<K> {
    /// Of the values that the matchers require, the one that the fewest others stand under.
    pub fn insert(&mut self, key: K, matchers: &Matchers) {
        let required = matchers.iter().filter_map(|m| m.required()).map(|(field, value)| hash(field, value));
        let rarest = required.min_by_key(|value| self.by_value.get(value).map_or(0, Vec::len));
        self.place(key, rarest.into_iter().collect());
    }

    /// What a window is about.
    pub fn insert_target(&mut self, key: K, what: &Target) {
        let all = |field: &Field, values: &std::collections::BTreeSet<Arc<str>>| {
            values.iter().map(|value| hash(field, value)).collect()
        };
        match what {
            Target::Matchers(matchers) => self.insert(key, matchers),
            Target::Entities(entities) => self.place(key, all(&Field::Entity, entities)),
            Target::Services(services) => self.place(key, all(&Field::Service, services)),
        }
    }

    fn place(&mut self, key: K, values: Vec<u64>) {
        self.remove(key);
        for value in &values {
            self.by_value.entry(*value).or_default().push(key);
        }
        if values.is_empty() {
            self.others.push(key);
        }
        self.places.insert(key, values);
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// It is no longer found.
    pub fn remove(&mut self, key: K) {
        let Some(values) = self.places.remove(&key) else { return };
        if values.is_empty() {
            self.others.retain(|other| *other != key);
        }
        for value in values {
            if let Some(keys) = self.by_value.get_mut(&value) {
                keys.retain(|other| *other != key);
                if keys.is_empty() {
                    self.by_value.remove(&value);
                }
            }
        }
    }

    /// Those that may be about an alert, those that require no value last.
    pub fn each(&self, alert: &AlertView<'_>, mut act: impl FnMut(K)) {
        if !self.by_value.is_empty() {
            let fields = [Field::Entity, Field::Check, Field::Origin, Field::Severity, Field::Summary];
            let fixed = fields.iter().map(|field| hash(field, alert.value(field)));
            let services = alert.services.iter().map(|service| hash(&Field::Service, service));
            let label =
                |(key, value): &(Arc<str>, Arc<str>)| xxh3_64_with_seed(value.as_bytes(), xxh3_64(key.as_bytes()));
            for value in fixed.chain(services).chain(alert.labels.iter().map(label)) {
                self.by_value.get(&value).into_iter().flatten().for_each(|key| act(*key));
            }
        }
        self.others.iter().for_each(|key| act(*key));
    }
}

/// The windows and rules of a policy, indexed. No state: it follows from the policy.
#[derive(Debug, Default)]
pub struct PolicyIndex {
    pub(super) windows: MatcherIndex<usize>,
    pub(super) sources: MatcherIndex<usize>,
    pub(super) targets: MatcherIndex<usize>,
}

impl PolicyIndex {
    /// Of a policy.
    pub fn new(policy: &Policy) -> Self {
        let mut index = Self::default();
        for (n, window) in policy.maintenance.iter().enumerate() {
            index.windows.insert_target(n, &window.what);
        }
        for (n, rule) in policy.suppress.inhibit.iter().enumerate() {
            index.sources.insert(n, &rule.source);
            index.targets.insert(n, &rule.target);
        }
        index
    }
}
