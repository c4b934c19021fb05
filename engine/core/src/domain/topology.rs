//! Entities, services, and who depends on whom.
use places::{Facet, Ground, Places};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

pub mod places;

/// The file as people write it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TopologyFile {
    pub entities: Vec<EntityEntry>,
    pub services: Vec<ServiceEntry>,
}

/// A thing that can break.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntityEntry {
    pub id: Arc<str>,
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
    /// What it runs on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<Arc<str>>,
    /// Neighbours, read both ways.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub linked: Vec<Arc<str>>,
}

/// Something users rely on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceEntry {
    pub id: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Arc<str>>,
    /// Free text or a number.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "tier")]
    pub tier: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<Arc<str>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entities: Vec<Arc<str>>,
    /// Kept for the stage that will read them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kpis: Vec<serde_json::Value>,
}

fn tier<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Arc<str>>, D::Error> {
    Ok(match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text.into()),
        other => Some(other.to_string().into()),
    })
}

/// How many steps of dependency are followed.
const STEPS_MAX: u8 = 3;

/// What is known of an entity.
#[derive(Debug, Default)]
pub struct Entity {
    /// What it runs on.
    pub on: Vec<Arc<str>>,
    /// Neighbours.
    pub linked: BTreeSet<Arc<str>>,
    /// Services that rest on it.
    pub services: BTreeSet<Arc<str>>,
    /// The grounds that it lies on; sorted.
    pub facets: Vec<Facet>,
    /// Others run on it.
    pub carries: bool,
}

/// What is known of a service.
#[derive(Debug, Default)]
pub struct Service {
    pub name: Option<Arc<str>>,
    pub tier: Option<Arc<str>>,
    pub depends_on: BTreeSet<Arc<str>>,
    /// Who depends on it.
    pub dependents: BTreeSet<Arc<str>>,
    /// All it depends on within three steps, and how many steps away.
    pub upstream: BTreeMap<Arc<str>, u8>,
    /// All that depend on it within three steps.
    pub downstream: BTreeMap<Arc<str>, u8>,
    /// The grounds that its entities lie on with it; sorted.
    pub facets: Vec<Facet>,
    /// Services that depend on each other, over however many steps, are of one system.
    pub system: u64,
}

#[derive(Debug, Default)]
struct Layer {
    entities: FxHashMap<Arc<str>, Entity>,
    services: BTreeMap<Arc<str>, Service>,
    places: Places,
}

/// Indexed for reading. What names no scope is in every one.
#[derive(Debug, Default)]
pub struct Topology {
    common: Layer,
    scoped: BTreeMap<Arc<str>, Layer>,
}

/// What is wrong with a topology.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopologyError {
    #[error("{kind} `{id}` stands twice")]
    Twice { kind: &'static str, id: Arc<str> },
    #[error("{kind} number {index} has an empty id")]
    NoId { kind: &'static str, index: usize },
    #[error("service `{id}` depends on `{other}`, which is not a service of the same scope")]
    Unknown { id: Arc<str>, other: Arc<str> },
}

impl Topology {
    /// Indexes a file.
    ///
    /// # Errors
    /// Where an id is empty or stands twice, or a service depends on one that its scope does not have.
    pub fn new(file: &TopologyFile) -> Result<Self, TopologyError> {
        let mut topology = Self::default();
        for (index, entry) in file.services.iter().enumerate() {
            let layer = topology.layer_of(entry.scope.as_ref());
            if entry.id.is_empty() {
                return Err(TopologyError::NoId { kind: "service", index });
            }
            let service = Service {
                name: entry.name.clone(),
                tier: entry.tier.clone(),
                depends_on: entry.depends_on.iter().filter(|d| **d != entry.id).cloned().collect(),
                ..Service::default()
            };
            if layer.services.insert(entry.id.clone(), service).is_some() {
                return Err(TopologyError::Twice { kind: "service", id: entry.id.clone() });
            }
        }
        let mut seen = BTreeSet::new();
        for (index, entry) in file.entities.iter().enumerate() {
            if entry.id.is_empty() {
                return Err(TopologyError::NoId { kind: "entity", index });
            }
            if !seen.insert((&entry.scope, &entry.id)) {
                return Err(TopologyError::Twice { kind: "entity", id: entry.id.clone() });
            }
            let layer = topology.layer_of(entry.scope.as_ref());
            layer.entities.entry(entry.id.clone()).or_default().on.clone_from(&entry.on);
            for other in entry.linked.iter().filter(|o| **o != entry.id) {
                layer.entities.entry(other.clone()).or_default().linked.insert(entry.id.clone());
                layer.entities.entry(entry.id.clone()).or_default().linked.insert(other.clone());
            }
        }
        for entry in &file.services {
            let layer = topology.layer_of(entry.scope.as_ref());
            for entity in &entry.entities {
                layer.entities.entry(entity.clone()).or_default().services.insert(entry.id.clone());
            }
        }
        topology.common.connect()?;
        topology.scoped.values_mut().try_for_each(Layer::connect)?;
        Ok(topology)
    }

    fn layer_of(&mut self, scope: Option<&Arc<str>>) -> &mut Layer {
        match scope {
            Some(scope) => self.scoped.entry(scope.clone()).or_default(),
            None => &mut self.common,
        }
    }

    fn layers(&self, scope: &str) -> impl Iterator<Item = &Layer> {
        self.scoped.get(scope).into_iter().chain([&self.common])
    }

    /// An entity as `scope` sees it.
    pub fn entity(&self, scope: &str, id: &str) -> Option<&Entity> {
        self.layers(scope).find_map(|layer| layer.entities.get(id))
    }

    /// A service as `scope` sees it.
    pub fn service(&self, scope: &str, id: &str) -> Option<&Service> {
        self.layers(scope).find_map(|layer| layer.services.get(id))
    }

    /// What `scope` sees of a ground.
    pub fn ground(&self, scope: &str, ground: u64) -> Option<Ground> {
        let mut found: Option<Ground> = None;
        for ground in self.layers(scope).filter_map(|layer| layer.places.ground(ground)) {
            match &mut found {
                None => found = Some(*ground),
                Some(known) => known.size.iter_mut().zip(ground.size).for_each(|(n, more)| *n += more),
            }
        }
        found
    }

    /// The entity that a short name means in `scope`.
    pub fn alias(&self, scope: &str, short: u64) -> Option<u64> {
        self.layers(scope).find_map(|layer| layer.places.alias(short))
    }

    /// How many entities `scope` sees that carry no others.
    pub fn leaves(&self, scope: &str) -> u32 {
        self.layers(scope).map(|layer| layer.places.leaves).sum()
    }

    /// The ids of the services of `scope`, those of every scope too.
    pub fn services(&self, scope: &str) -> BTreeSet<&Arc<str>> {
        self.layers(scope).flat_map(|layer| layer.services.keys()).collect()
    }
}

impl Layer {
    fn connect(&mut self) -> Result<(), TopologyError> {
        let mut dependents: BTreeMap<Arc<str>, BTreeSet<Arc<str>>> = BTreeMap::new();
        for (id, service) in &self.services {
            for other in &service.depends_on {
                if !self.services.contains_key(other) {
                    return Err(TopologyError::Unknown { id: id.clone(), other: other.clone() });
                }
                dependents.entry(other.clone()).or_default().insert(id.clone());
            }
        }
        for (id, of) in dependents {
            if let Some(service) = self.services.get_mut(&id) {
                service.dependents = of;
            }
        }
        let ids: Vec<Arc<str>> = self.services.keys().cloned().collect();
        for id in ids {
            let upstream = self.reach(&id, |s| &s.depends_on);
            let downstream = self.reach(&id, |s| &s.dependents);
            if let Some(service) = self.services.get_mut(&id) {
                (service.upstream, service.downstream) = (upstream, downstream);
            }
        }
        self.survey();
        Ok(())
    }

    fn reach(&self, from: &Arc<str>, next: impl Fn(&Service) -> &BTreeSet<Arc<str>>) -> BTreeMap<Arc<str>, u8> {
        let mut found = BTreeMap::new();
        let mut queue = VecDeque::from([(from.clone(), 0)]);
        while let Some((id, steps)) = queue.pop_front() {
            if steps == STEPS_MAX {
                continue;
            }
            for other in self.services.get(&id).map(&next).into_iter().flatten() {
                if other != from && !found.contains_key(other) {
                    found.insert(other.clone(), steps + 1);
                    queue.push_back((other.clone(), steps + 1));
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::{places::GroundKind, *};
    use crate::domain::hash::hash_of;

    fn parse(text: &str) -> Result<Topology, TopologyError> {
        Topology::new(&serde_json::from_str(text).expect("a topology file"))
    }

    #[test]
    fn dependencies_are_followed_three_steps() {
        let t = parse(
            r#"{"services":[{"id":"a","depends_on":["b"],"tier":1},{"id":"b","depends_on":["c"]},{"id":"c","depends_on":["d"]},
                {"id":"d","depends_on":["e"]},{"id":"e","depends_on":["a"]}],"entities":[{"id":"x","on":["r"],"linked":["y"]}]}"#,
        )
        .expect("valid");
        let a = t.service("any", "a").expect("known");
        assert_eq!(a.upstream.iter().map(|(k, v)| (&**k, *v)).collect::<Vec<_>>(), [("b", 1), ("c", 2), ("d", 3)]);
        assert_eq!(a.tier.as_deref(), Some("1"));
        assert_eq!(a.downstream.keys().map(|k| &**k).collect::<Vec<_>>(), ["c", "d", "e"]);
        assert!(t.entity("any", "y").expect("linked both ways").linked.contains("x"));
    }

    #[test]
    fn grounds_have_sizes() {
        let t = parse(
            r#"{"entities":[{"id":"h1.x","on":["rack"]},{"id":"h2","on":["rack"]},{"id":"rack","on":["site"]}],
                "services":[{"id":"db","entities":["h1.x"]},{"id":"web","depends_on":["db"],"entities":["h2"]}]}"#,
        )
        .expect("valid");
        let ground = |name: &str| t.ground("any", hash_of(name)).expect("known");
        assert_eq!((ground("rack").kind, ground("rack").size), (GroundKind::Parent, [2, 0, 0, 0]));
        assert_eq!((ground("site").kind, ground("site").size), (GroundKind::Grandparent, [2, 0, 0, 0]));
        assert_eq!((ground("db").kind, ground("db").size), (GroundKind::Service, [1, 1, 0, 0]));
        assert_eq!((ground("h2").kind, t.leaves("any")), (GroundKind::Entity, 2));
    }

    #[test]
    fn scopes_have_their_own() {
        let t = parse(r#"{"services":[{"id":"s","scope":"eu","entities":["h"]},{"id":"t"}]}"#).expect("valid");
        assert!(t.service("eu", "s").is_some() && t.service("us", "s").is_none() && t.service("us", "t").is_some());
        assert!(t.entity("eu", "h").is_some() && t.entity("us", "h").is_none());
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert!(matches!(parse(r#"{"services":[{"id":"a"},{"id":"a"}]}"#), Err(TopologyError::Twice { .. })));
        assert!(matches!(parse(r#"{"entities":[{"id":""}]}"#), Err(TopologyError::NoId { index: 0, .. })));
        let other_scope = r#"{"services":[{"id":"a","scope":"eu","depends_on":["b"]},{"id":"b","scope":"us"}]}"#;
        assert!(matches!(parse(other_scope), Err(TopologyError::Unknown { .. })));
    }
}
