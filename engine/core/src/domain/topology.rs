//! Entities, services, and who depends on whom.
use super::{
    kpi::{Kpi, KpiEntry},
    time::Timestamp,
};
use crate::shared;
use indexmap::IndexMap;
use places::{Facet, Ground, Places};
use rustc_hash::{FxBuildHasher, FxHashMap};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    sync::Arc,
};
use units::Units;

pub mod places;
pub mod units;

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
    pub depends_on: Vec<Dependency>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entities: Vec<Arc<str>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kpis: Vec<KpiEntry>,
}

/// What ill health of a service that another depends on does to that one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Impact {
    /// All of it arrives.
    AsIs,
    /// The policy's share of it arrives.
    #[default]
    Damped,
    /// None does: a fallback, a cache.
    Ignore,
}

/// A service that another depends on: its id, or `{"id", "impact"}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    pub id: Arc<str>,
    pub impact: Impact,
}

impl From<Arc<str>> for Dependency {
    fn from(id: Arc<str>) -> Self {
        Self { id, impact: Impact::default() }
    }
}

/// As it is written with its impact.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    id: Arc<str>,
    #[serde(default)]
    impact: Impact,
}

impl Serialize for Dependency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.impact {
            Impact::Damped => self.id.serialize(serializer),
            impact => Written { id: self.id.clone(), impact }.serialize(serializer),
        }
    }
}

// By hand: of an untagged enum an error could not say which key is unknown.
impl<'de> Deserialize<'de> for Dependency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Dependency;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the id of a service, or {\"id\", \"impact\"}")
            }

            fn visit_str<E: de::Error>(self, id: &str) -> Result<Dependency, E> {
                Ok(Arc::<str>::from(id).into())
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Dependency, A::Error> {
                let Written { id, impact } = Written::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Dependency { id, impact })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

fn tier<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Arc<str>>, D::Error> {
    Ok(match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text.into()),
        other => Some(other.to_string().into()),
    })
}

/// How many steps of dependency are followed.
const STEPS_MAX: u8 = 3;
/// Entities of one service that it is asked for, where it may be that one of them is ill and says nothing.
const ENTITIES_MAX: usize = 32;
/// KPIs of one service. Three to six are advised: among many a bad one hides.
const KPIS_MAX: usize = 100;

/// What is known of an entity.
#[derive(Debug, Default)]
pub struct Entity {
    /// What it is, as the file says.
    pub kind: Option<Arc<str>>,
    /// Sorted by key.
    pub labels: Box<[(Arc<str>, Arc<str>)]>,
    /// What it runs on.
    pub on: Box<[Arc<str>]>,
    /// Neighbours; sorted.
    pub linked: Box<[Arc<str>]>,
    /// Services that rest on it; sorted.
    pub services: Box<[Arc<str>]>,
    /// The grounds that it lies on; sorted.
    pub facets: Box<[Facet]>,
    /// So many others run on it.
    pub carried: u32,
}

impl Entity {
    /// Others run on it.
    pub const fn carries(&self) -> bool {
        self.carried > 0
    }
}

/// What is known of a service.
#[derive(Debug, Default)]
pub struct Service {
    pub name: Option<Arc<str>>,
    pub tier: Option<Arc<str>>,
    pub depends_on: BTreeMap<Arc<str>, Impact>,
    /// Who depends on it.
    pub dependents: BTreeSet<Arc<str>>,
    /// What it rests on: the first by name,
    pub entities: Vec<Arc<str>>,
    /// of so many.
    pub entity_count: u32,
    /// What it borrows ill health from, and how often that is damped on the way where it is damped least.
    pub borrows: BTreeMap<Arc<str>, u8>,
    /// As the file has them.
    pub kpis: Vec<Kpi>,
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
    /// As they come in the file: dense, for there may be a million.
    entities: IndexMap<Arc<str>, Entity, FxBuildHasher>,
    /// Sorted by name.
    services: IndexMap<Arc<str>, Service, FxBuildHasher>,
    /// KPIs by the check of their series: the service and the place among its KPIs.
    kpis: FxHashMap<Arc<str>, Vec<(Arc<str>, usize)>>,
    places: Places,
    units: Units,
}

/// Indexed for reading. What names no scope is in every one.
#[derive(Debug, Default)]
pub struct Topology {
    common: Layer,
    scoped: BTreeMap<Arc<str>, Layer>,
}

/// So many versions are kept for events that are dated before a change.
pub const VERSIONS_MAX: usize = 8;

/// The latest versions of the topology, each with the time at which it took effect. The oldest that is kept holds for
/// all earlier time.
#[derive(Clone, Debug)]
pub struct Topologies {
    older: VecDeque<(Timestamp, Arc<Topology>)>,
    newest: (Timestamp, Arc<Topology>),
}

impl Topologies {
    /// The first version.
    pub const fn of(first: Arc<Topology>, from: Timestamp) -> Self {
        Self { older: VecDeque::new(), newest: (from, first) }
    }

    /// The version in effect.
    pub fn newest(&self) -> &Topology {
        &self.newest.1
    }

    /// The version that was in effect.
    pub fn at(&self, at: Timestamp) -> &Topology {
        if self.newest.0 <= at || self.older.is_empty() {
            return self.newest();
        }
        let past = self.older.iter().rev().find(|(from, _)| *from <= at).or_else(|| self.older.front());
        past.map_or_else(|| self.newest(), |(_, topology)| topology)
    }

    /// Whether the newest took effect after one moment and by another.
    pub fn changed_between(&self, before: Timestamp, at: Timestamp) -> bool {
        before < self.newest.0 && self.newest.0 <= at
    }

    /// A version takes effect.
    pub fn add(&mut self, topology: Arc<Topology>, from: Timestamp) {
        self.older.push_back(std::mem::replace(&mut self.newest, (from, topology)));
        if self.older.len() >= VERSIONS_MAX {
            self.older.pop_front();
        }
    }
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
    #[error("service `{id}`, kpi `{kpi}`: {reason}")]
    Kpi { id: Arc<str>, kpi: Arc<str>, reason: String },
}

impl Topology {
    /// Indexes a file.
    ///
    /// # Errors
    /// Where an id is empty or stands twice, a service depends on one that its scope does not have, or a KPI is not valid.
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
                depends_on: entry
                    .depends_on
                    .iter()
                    .filter(|d| d.id != entry.id)
                    .map(|d| (d.id.clone(), d.impact))
                    .collect(),
                kpis: kpis(entry)?,
                ..Service::default()
            };
            for (place, kpi) in service.kpis.iter().enumerate() {
                layer.kpis.entry(kpi.series.check.clone()).or_default().push((entry.id.clone(), place));
            }
            if layer.services.insert(entry.id.clone(), service).is_some() {
                return Err(TopologyError::Twice { kind: "service", id: entry.id.clone() });
            }
        }
        let mut drafts: BTreeMap<Option<&Arc<str>>, Draft> = BTreeMap::new();
        for (index, entry) in file.entities.iter().enumerate() {
            if entry.id.is_empty() {
                return Err(TopologyError::NoId { kind: "entity", index });
            }
            let (layer, draft) =
                (topology.layer_of(entry.scope.as_ref()), drafts.entry(entry.scope.as_ref()).or_default());
            let place = draft.place(layer, &entry.id);
            if std::mem::replace(&mut draft.stands[place], true) {
                return Err(TopologyError::Twice { kind: "entity", id: entry.id.clone() });
            }
            layer.entities[place].kind = entry.kind.as_deref().map(shared::text);
            layer.entities[place].on = entry.on.iter().map(|on| shared::text(on)).collect();
            layer.entities[place].labels =
                entry.labels.iter().map(|(k, v)| (shared::text(k), shared::text(v))).collect();
            for other in entry.linked.iter().filter(|o| **o != entry.id) {
                let of = draft.place(layer, other);
                draft.linked.push((of, entry.id.clone()));
                draft.linked.push((place, layer.entities.get_index(of).map_or(other, |(id, _)| id).clone()));
            }
        }
        for entry in &file.services {
            let (layer, draft) =
                (topology.layer_of(entry.scope.as_ref()), drafts.entry(entry.scope.as_ref()).or_default());
            let mut rests_on: Vec<&Arc<str>> = entry.entities.iter().collect();
            rests_on.sort_unstable();
            rests_on.dedup();
            for entity in &rests_on {
                let place = draft.place(layer, entity);
                draft.services.push((place, entry.id.clone()));
            }
            if let Some(service) = layer.services.get_mut(&entry.id) {
                service.entity_count = u32::try_from(rests_on.len()).unwrap_or(u32::MAX);
                service.entities = rests_on.into_iter().take(ENTITIES_MAX).cloned().collect();
            }
        }
        for (scope, draft) in drafts {
            draft.settle(topology.layer_of(scope));
        }
        topology.common.connect()?;
        topology.common.units = Units::new(&topology.common, None);
        for layer in topology.scoped.values_mut() {
            layer.connect()?;
            layer.units = Units::new(layer, Some(&topology.common));
        }
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

    /// A KPI of a service as `scope` sees it.
    pub fn kpi(&self, scope: &str, service: &str, kpi: &str) -> Option<&Kpi> {
        self.service(scope, service)?.kpis.iter().find(|k| *k.id == *kpi)
    }

    /// The KPIs that a series is, each with its service. `service` is the one that its samples name, or empty.
    pub fn kpis_of(
        &self,
        scope: &str,
        [origin, entity, check, service]: [&str; 4],
    ) -> impl Iterator<Item = (&Arc<str>, &Kpi)> {
        let rests_on = self.entity(scope, entity).map(|e| &e.services);
        let all = self.layers(scope).flat_map(|layer| {
            let places = layer.kpis.get(check).into_iter().flatten();
            places.filter_map(|(id, place)| Some((id, layer.services.get(id)?.kpis.get(*place)?)))
        });
        all.filter(move |(id, kpi)| {
            kpi.series.origin.as_ref().is_none_or(|o| **o == *origin)
                && match &kpi.series.entity {
                    Some(wanted) => **wanted == *entity,
                    None => ***id == *service || rests_on.is_some_and(|services| services.contains(*id)),
                }
        })
    }
}

/// What the file says of a layer's entities, by their places, while it is read.
#[derive(Default)]
struct Draft {
    /// The file has it as an entity of its own; others are only named by something.
    stands: Vec<bool>,
    linked: Vec<(usize, Arc<str>)>,
    services: Vec<(usize, Arc<str>)>,
}

impl Draft {
    fn place(&mut self, layer: &mut Layer, id: &Arc<str>) -> usize {
        let place = layer
            .entities
            .get_index_of(id)
            .unwrap_or_else(|| layer.entities.insert_full(id.clone(), Entity::default()).0);
        self.stands.resize(layer.entities.len(), false);
        place
    }

    fn settle(self, layer: &mut Layer) {
        layer.entities.shrink_to_fit();
        each(self.linked, |place, linked| layer.entities[place].linked = linked);
        each(self.services, |place, services| layer.entities[place].services = services);
    }
}

/// What belongs to each place, sorted, each once.
fn each(mut all: Vec<(usize, Arc<str>)>, mut put: impl FnMut(usize, Box<[Arc<str>]>)) {
    all.sort_unstable();
    all.dedup();
    for part in all.chunk_by(|a, b| a.0 == b.0) {
        put(part[0].0, part.iter().map(|(_, text)| text.clone()).collect());
    }
}

fn kpis(entry: &ServiceEntry) -> Result<Vec<Kpi>, TopologyError> {
    let wrong = |kpi: &KpiEntry, reason| TopologyError::Kpi { id: entry.id.clone(), kpi: kpi.id.clone(), reason };
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for (index, kpi) in entry.kpis.iter().enumerate() {
        if kpi.id.is_empty() {
            return Err(TopologyError::NoId { kind: "kpi", index });
        }
        if !seen.insert(&kpi.id) {
            return Err(wrong(kpi, "it stands twice".to_owned()));
        }
        if index == KPIS_MAX {
            return Err(wrong(kpi, format!("a service has at most {KPIS_MAX}")));
        }
        all.push(Kpi::new(kpi).map_err(|reason| wrong(kpi, reason))?);
    }
    Ok(all)
}

impl Layer {
    fn connect(&mut self) -> Result<(), TopologyError> {
        self.services.sort_unstable_keys();
        let ids: Vec<Arc<str>> = self.services.keys().cloned().collect();
        let mut dependents: BTreeMap<Arc<str>, BTreeSet<Arc<str>>> = BTreeMap::new();
        for id in &ids {
            for other in self.services.get(id).into_iter().flat_map(|s| s.depends_on.keys()) {
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
        for id in ids {
            let upstream = self.reach(&id, |s| s.depends_on.keys());
            let downstream = self.reach(&id, |s| s.dependents.iter());
            let borrows = self.borrows(&id);
            if let Some(service) = self.services.get_mut(&id) {
                (service.upstream, service.downstream, service.borrows) = (upstream, downstream, borrows);
            }
        }
        self.survey();
        Ok(())
    }

    /// Within the same steps, over dependencies that are not ignored.
    fn borrows(&self, from: &Arc<str>) -> BTreeMap<Arc<str>, u8> {
        let mut found: BTreeMap<Arc<str>, u8> = BTreeMap::new();
        let mut reached = BTreeMap::from([(from.clone(), 0)]);
        for _ in 0..STEPS_MAX {
            let mut next: BTreeMap<Arc<str>, u8> = BTreeMap::new();
            for (id, damped) in reached {
                for (other, impact) in self.services.get(&id).into_iter().flat_map(|s| &s.depends_on) {
                    let damped = match impact {
                        Impact::Ignore => continue,
                        Impact::AsIs => damped,
                        Impact::Damped => damped + 1,
                    };
                    if other != from && found.get(other).is_none_or(|least| damped < *least) {
                        found.insert(other.clone(), damped);
                        next.insert(other.clone(), damped);
                    }
                }
            }
            reached = next;
        }
        found
    }

    fn reach<'a, I: Iterator<Item = &'a Arc<str>>>(
        &'a self,
        from: &Arc<str>,
        next: impl Fn(&'a Service) -> I,
    ) -> BTreeMap<Arc<str>, u8> {
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
    use crate::domain::hash::{Framed, hash_of};

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
        assert!(t.entity("any", "y").expect("linked both ways").linked.contains(&"x".into()));
    }

    #[test]
    fn the_topology_of_a_moment() {
        let version = |n: i64| parse(&format!(r#"{{"services":[{{"id":"v{n}"}}]}}"#)).expect("valid");
        let mut all = Topologies::of(version(0).into(), Timestamp(0));
        let has = |all: &Topologies, at: i64, n: i64| all.at(Timestamp(at)).service("any", &format!("v{n}")).is_some();
        assert!(has(&all, -5, 0) && has(&all, 5, 0));
        for n in 1..20 {
            all.add(version(n).into(), Timestamp(10 * n));
        }
        assert!(has(&all, 190, 19) && has(&all, 189, 18) && has(&all, 180, 18));
        assert!(has(&all, 0, 12) && !has(&all, 0, 11), "the oldest that is kept");
        assert_eq!(all.older.len() + 1, VERSIONS_MAX);
    }

    #[test]
    fn ill_health_is_borrowed_as_the_file_says() {
        let t = parse(
            r#"{"services":[{"id":"a","depends_on":["b",{"id":"c","impact":"as_is"},{"id":"e","impact":"ignore"}]},
                {"id":"b","depends_on":[{"id":"d","impact":"as_is"}]},{"id":"c","depends_on":[{"id":"b","impact":"as_is"}]},
                {"id":"d"},{"id":"e","depends_on":["f"]},{"id":"f"}]}"#,
        )
        .expect("valid");
        let a = t.service("any", "a").expect("known");
        // On the way straight to it `b` is damped, by way of `c` it is not.
        assert_eq!(a.borrows.iter().map(|(k, v)| (&**k, *v)).collect::<Vec<_>>(), [("b", 0), ("c", 0), ("d", 0)]);
        assert!(a.upstream.contains_key("f"), "it is near all the same");
        let written = r#"["x",{"id":"y","impact":"ignore"}]"#;
        let read: Vec<Dependency> = serde_json::from_str(written).expect("dependencies");
        assert_eq!(serde_json::to_string(&read).expect("text"), written);
        let unknown = serde_json::from_str::<Dependency>(r#"{"id":"y","impakt":"ignore"}"#).unwrap_err();
        assert!(unknown.to_string().contains("impakt"), "{unknown}");
    }

    const KPI: &str = r#"{"id":"p99","series":{"check":"latency"},"thresholds":{"high":500,"critical":800}}"#;

    #[test]
    fn a_series_is_the_kpi_of_who_rests_on_its_entity() {
        let of = |id: &str, kpi: &str| format!(r#"{{"id":"{id}","entities":["{id}-1"],"kpis":[{kpi}]}}"#);
        let named = KPI.replace(r#""series":{"#, r#""series":{"origin":"prom","entity":"lb","#);
        let t = parse(&format!(r#"{{"services":[{},{}]}}"#, of("pay", KPI), of("shop", &named))).expect("valid");
        let found = |series| t.kpis_of("any", series).map(|(service, _)| &**service).collect::<Vec<_>>();
        assert_eq!(found(["x", "pay-1", "latency", ""]), ["pay"]);
        assert_eq!(found(["x", "elsewhere", "latency", "pay"]), ["pay"]);
        assert_eq!(found(["prom", "lb", "latency", ""]), ["shop"]);
        assert!(found(["x", "lb", "latency", ""]).is_empty() && found(["x", "pay-1", "errors", ""]).is_empty());
        assert_eq!(t.kpi("any", "pay", "p99").map(|k| (&*k.title, k.importance)), Some(("p99", 5)));
    }

    #[test]
    fn a_kpi_that_is_not_valid_is_named() {
        let wrong = |kpis: &str| parse(&format!(r#"{{"services":[{{"id":"pay","kpis":[{kpis}]}}]}}"#)).unwrap_err();
        for (kpi, reason) in [
            (KPI.replace("500", "900"), "further out"),
            (KPI.replace("latency", ""), "series.check is empty"),
            (KPI.replace(r#""id":"p99","#, r#""id":"p99","importance":12,"#), "from 0 to 11"),
            (format!("{KPI},{KPI}"), "twice"),
        ] {
            let error = wrong(&kpi).to_string();
            assert!(error.contains(reason) && error.contains("pay") && error.contains("p99"), "{error}");
        }
        assert!(matches!(wrong(&KPI.replace("p99", "")), TopologyError::NoId { kind: "kpi", .. }));
        let unknown = serde_json::from_str::<KpiEntry>(&KPI.replace("high", "hihg")).unwrap_err();
        assert!(unknown.to_string().contains("hihg"), "{unknown}");
    }

    #[test]
    fn grounds_have_sizes() {
        let t = parse(
            r#"{"entities":[{"id":"h1.x","on":["rack"],"labels":{"role":"db","on":"rack","svc":"db"}},
                    {"id":"h2","on":["rack"],"labels":{"role":"front"}},{"id":"rack","on":["site"],"labels":{"role":"front"}}],
                "services":[{"id":"db","entities":["h1.x"]},{"id":"web","depends_on":["db"],"entities":["h2"]}]}"#,
        )
        .expect("valid");
        let ground = |name: &str| t.ground("any", hash_of(name)).expect("known");
        assert_eq!((ground("rack").kind, ground("rack").size), (GroundKind::Parent, [2, 0, 0, 0]));
        assert_eq!((ground("site").kind, ground("site").size), (GroundKind::Grandparent, [2, 0, 0, 0]));
        assert_eq!((ground("db").kind, ground("db").size), (GroundKind::Service, [1, 1, 0, 0]));
        assert_eq!((ground("h2").kind, t.leaves("any")), (GroundKind::Entity, 2));
        // A label's value is a ground, unless it names one; of what carries others it does not count.
        let label = |value| t.ground("any", places::label_ground(&mut Framed::default(), "role", value));
        assert_eq!(label("front").map(|it| (it.kind, it.size)), Some((GroundKind::Label, [1, 0, 0, 0])));
        assert!(label("db").is_none(), "the service");
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
