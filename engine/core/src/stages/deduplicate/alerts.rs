//! The alerts themselves: each shared with whoever was told of it, until it changes.
use crate::{
    domain::alert::{Alert, Fingerprint},
    room::excess,
};
use hashbrown::HashTable;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, sync::Arc};

/// Alerts by fingerprint. A place in the table is a pointer: a million alerts come and go without large holes.
#[derive(Debug, Default)]
pub struct Alerts(HashTable<Arc<Alert>>);

/// A fingerprint is a hash already.
const fn hash(key: Fingerprint) -> u64 {
    key.0 as u64
}

impl Alerts {
    pub fn get(&self, key: Fingerprint) -> Option<&Arc<Alert>> {
        self.0.find(hash(key), |alert| alert.fingerprint == key)
    }

    /// To be changed by `Arc::make_mut`.
    pub fn get_mut(&mut self, key: Fingerprint) -> Option<&mut Arc<Alert>> {
        self.0.find_mut(hash(key), |alert| alert.fingerprint == key)
    }

    /// The one that was there before.
    pub fn insert(&mut self, alert: Alert) -> Option<Arc<Alert>> {
        let (key, alert) = (alert.fingerprint, Arc::new(alert));
        if let Some(known) = self.get_mut(key) {
            return Some(std::mem::replace(known, alert));
        }
        self.0.insert_unique(hash(key), alert, |alert| hash(alert.fingerprint));
        None
    }

    pub fn remove(&mut self, key: Fingerprint) -> Option<Arc<Alert>> {
        let entry = self.0.find_entry(hash(key), |alert| alert.fingerprint == key).ok()?;
        let (alert, _) = entry.remove();
        if let Some(room) = excess(self.0.len(), self.0.capacity()) {
            self.0.shrink_to(room, |alert| hash(alert.fingerprint));
        }
        Some(alert)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// In no order.
    #[expect(clippy::disallowed_methods, reason = "who asks sorts what comes of it")]
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Alert>> {
        self.0.iter()
    }
}

impl PartialEq for Alerts {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|alert| other.get(alert.fingerprint) == Some(alert))
    }
}

/// A map, in the order of its keys.
impl Serialize for Alerts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut all: Vec<_> = self.iter().collect();
        all.sort_unstable_by_key(|alert| alert.fingerprint);
        serializer.collect_map(all.into_iter().map(|alert| (alert.fingerprint, alert)))
    }
}

impl<'de> Deserialize<'de> for Alerts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> de::Visitor<'de> for Entries {
            type Value = Alerts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("alerts by fingerprint")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Alerts, A::Error> {
                let mut alerts = Alerts::default();
                while let Some((_, alert)) = map.next_entry::<Fingerprint, Alert>()? {
                    alerts.insert(alert);
                }
                Ok(alerts)
            }
        }
        deserializer.deserialize_map(Entries)
    }
}
