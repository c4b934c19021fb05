//! Where things are, as correlation counts it: every entity lies on grounds, and a ground has a size.
//!
//! A *ground* is whatever alerts may have in common: an entity, what it runs on, a service, a label's value (of entities
//! that stand here; else it is learned from events). Grounds go by name alone, so that a rack in the topology and the
//! label that repeats it are one.
use super::{Entity, Layer, Service};
use crate::domain::hash::{Framed, hash_of};
use indexmap::IndexMap;
use rustc_hash::{FxBuildHasher, FxHashMap};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// How many levels of carriers are followed.
const LEVELS_MAX: u8 = 6;

/// What kind of common ground.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum GroundKind {
    Entity,
    /// Entities run on it.
    Parent,
    /// Parents run on it.
    Grandparent,
    Service,
    Label,
}

impl GroundKind {
    /// How many there are.
    pub const COUNT: usize = 5;
}

/// How something lies on a ground.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum Ring {
    /// It is the ground, or on it.
    Own,
    /// Its service depends on the ground.
    Near,
    /// Its service depends on what depends on the ground.
    Far,
    /// It mentions the ground, or is linked to it.
    Beside,
}

impl Ring {
    /// How many there are; what lies outside comes after them.
    pub const COUNT: usize = 4;
}

/// That something lies on a ground. Packed: each alert has a dozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[repr(Rust, packed)]
pub struct Facet {
    /// Hash of the ground's name.
    pub ground: u64,
    pub ring: Ring,
}

/// A ground as the topology knows it.
#[derive(Clone, Copy, Debug)]
pub struct Ground {
    pub kind: GroundKind,
    /// Entities that carry no others, by ring.
    pub size: [u32; Ring::COUNT],
}

/// The grounds of a layer.
#[derive(Debug, Default)]
pub struct Places {
    grounds: FxHashMap<u64, Ground>,
    /// Short names: `db-07` for `db-07.example.net`.
    aliases: FxHashMap<u64, u64>,
    /// Entities that carry no others.
    pub leaves: u32,
}

impl Places {
    /// A ground.
    pub fn ground(&self, ground: u64) -> Option<&Ground> {
        self.grounds.get(&ground)
    }

    /// The entity of a short name.
    pub fn alias(&self, short: u64) -> Option<u64> {
        self.aliases.get(&short).copied()
    }
}

/// A name of at least a few letters before the first dot; `10.0.0.7` has none.
pub fn short_name(entity: &str) -> Option<&str> {
    let (short, _) = entity.split_once('.')?;
    (short.len() >= 4 && short.bytes().any(|b| b.is_ascii_alphabetic())).then_some(short)
}

impl Layer {
    /// Counts what lies where, and keeps each entity's and service's facets.
    pub(super) fn survey(&mut self) {
        let mut places = Places::default();
        self.find_systems();
        let kinds = kinds(&self.entities);
        let mut carried: FxHashMap<Arc<str>, u32> = FxHashMap::default();
        for parent in self.entities.values().flat_map(|e| &*e.on) {
            *carried.entry(parent.clone()).or_default() += 1;
        }
        let ids: Vec<Arc<str>> = self.services.keys().cloned().collect();
        for id in ids {
            let (kind, size) = (GroundKind::Service, [0; Ring::COUNT]);
            places.grounds.insert(hash_of(&id), Ground { kind, size });
            if let Some(service) = self.services.get_mut(&id) {
                service.facets = service_facets(&id, service);
            }
        }
        let mut shorts = Vec::new();
        for place in 0..self.entities.len() {
            let Some((id, entity)) = self.entities.get_index(place) else { break };
            let (facets, carried) = (self.facets(id, entity), carried.get(id).copied().unwrap_or(0));
            let carries = carried > 0;
            for facet in &facets {
                let kind = GroundKind::Entity;
                let ground = places.grounds.entry(facet.ground).or_insert(Ground { kind, size: [0; Ring::COUNT] });
                ground.size[facet.ring as usize] += u32::from(!carries);
            }
            places.leaves += u32::from(!carries);
            shorts.extend(short_name(id).map(|short| (hash_of(short), id.clone())));
            let entity = &mut self.entities[place];
            (entity.facets, entity.carried) = (facets.into_boxed_slice(), carried);
        }
        // Of two with one short name the first by name has it, however the file is sorted.
        shorts.sort_unstable();
        for (short, id) in shorts {
            places.aliases.entry(short).or_insert_with(|| hash_of(&id));
        }
        places.grounds.shrink_to_fit();
        for (id, kind) in kinds {
            let size = [0; Ring::COUNT];
            let ground = places.grounds.entry(hash_of(&id)).or_insert(Ground { kind, size });
            if ground.kind == GroundKind::Entity {
                ground.kind = kind;
            }
        }
        self.count_labels(&mut places);
        self.places = places;
    }

    /// How many of its entities carry each label that names nothing else.
    fn count_labels(&self, places: &mut Places) {
        let mut framed = Framed::default();
        for (id, entity) in self.entities.iter().filter(|(_, entity)| !entity.carries()) {
            for (key, value) in &entity.labels {
                let names = value.is_empty() || value == id || entity.services.contains(value);
                if names || places.grounds.contains_key(&hash_of(value)) {
                    continue;
                }
                let (kind, size) = (GroundKind::Label, [0; Ring::COUNT]);
                let ground =
                    places.grounds.entry(label_ground(&mut framed, key, value)).or_insert(Ground { kind, size });
                ground.size[Ring::Own as usize] += 1;
            }
        }
    }

    /// What is connected by dependencies; named by the first of its services.
    fn find_systems(&mut self) {
        let ids: Vec<Arc<str>> = self.services.keys().cloned().collect();
        let mut found: BTreeMap<Arc<str>, u64> = BTreeMap::new();
        for id in &ids {
            let system = hash_of(id);
            let mut open = vec![id.clone()];
            while let Some(id) = open.pop() {
                if found.contains_key(&id) {
                    continue;
                }
                found.insert(id.clone(), system);
                let service = self.services.get(&id).into_iter();
                open.extend(service.flat_map(|s| s.depends_on.keys().chain(&s.dependents)).cloned());
            }
        }
        for (id, system) in found {
            if let Some(service) = self.services.get_mut(&id) {
                service.system = system;
            }
        }
    }

    fn facets(&self, id: &Arc<str>, entity: &Entity) -> Vec<Facet> {
        let mut facets = Vec::with_capacity(8);
        let mut queue = VecDeque::from([(id, 0)]);
        while let Some((id, level)) = queue.pop_front() {
            add(&mut facets, hash_of(id), Ring::Own);
            if level < LEVELS_MAX {
                let on = self.entities.get(id).map_or(&[][..], |e| &*e.on);
                queue.extend(on.iter().map(|parent| (parent, level + 1)));
            }
        }
        for service in &*entity.services {
            for facet in self.services.get(service).into_iter().flat_map(|s| &s.facets) {
                add(&mut facets, facet.ground, facet.ring);
            }
        }
        for other in &*entity.linked {
            add(&mut facets, hash_of(other), Ring::Beside);
        }
        facets
    }
}

/// The ground of a label that names nothing else.
pub fn label_ground(framed: &mut Framed, key: &str, value: &str) -> u64 {
    framed.clear().field(key).field(value).hash64()
}

/// On a ground once, in the nearest ring; sorted by ground.
pub fn add(facets: &mut Vec<Facet>, ground: u64, ring: Ring) {
    match facets.binary_search_by_key(&ground, |f| f.ground) {
        Ok(place) => facets[place].ring = facets[place].ring.min(ring),
        Err(place) => facets.insert(place, Facet { ground, ring }),
    }
}

fn service_facets(id: &str, service: &Service) -> Vec<Facet> {
    let mut facets = Vec::new();
    add(&mut facets, hash_of(id), Ring::Own);
    for (other, steps) in &service.upstream {
        add(&mut facets, hash_of(other), if *steps == 1 { Ring::Near } else { Ring::Far });
    }
    facets
}

/// What carries others: entities, or what carries others itself.
fn kinds(entities: &IndexMap<Arc<str>, Entity, FxBuildHasher>) -> BTreeMap<Arc<str>, GroundKind> {
    let mut kinds: BTreeMap<Arc<str>, GroundKind> = BTreeMap::new();
    for parent in entities.values().flat_map(|e| &*e.on) {
        kinds.insert(parent.clone(), GroundKind::Parent);
    }
    let carriers: Vec<_> = kinds.keys().cloned().collect();
    for parent in carriers.iter().filter_map(|id| entities.get(id)).flat_map(|e| &*e.on) {
        kinds.insert(parent.clone(), GroundKind::Grandparent);
    }
    kinds
}
