//! What the model sees of an alert: which entity and check, since when, and on which grounds it lies.
use super::{
    Lens,
    learned::{GroundShares, Learned},
};
use crate::domain::{
    alert::Alert,
    check::CheckKind,
    episode::SCORE,
    hash::{Framed, hash_of},
    policy::Clue,
    time::Timestamp,
    topology::places::{self, Facet, GroundKind, Ring, add},
};
use std::sync::Arc;

/// Grounds that one alert lies on at most.
pub const FACETS_MAX: usize = 64;
/// Words of a summary that may be names.
const WORDS_MAX: usize = 48;
/// Shorter words name nothing.
const WORD_MIN: usize = 4;

/// Which alert occurred, and when: what is learned of it goes by that.
#[derive(Clone, Copy, Debug)]
pub struct Occurrence {
    pub fingerprint: u128,
    pub entity: u64,
    pub check: u64,
    pub at: Timestamp,
}

impl Occurrence {
    /// Of an alert, the present or the latest.
    pub fn of(alert: &Alert) -> Self {
        let (entity, check) = (hash_of(&alert.entity), hash_of(&alert.check));
        Self { fingerprint: alert.fingerprint.0, entity, check, at: alert.occurred_at }
    }
}

/// An occurrence of an alert, as the model sees it.
#[derive(Clone, Debug)]
pub struct Sighting {
    pub fingerprint: u128,
    pub entity: u64,
    pub check: u64,
    /// Its services; sorted.
    services: Vec<u64>,
    /// What it is grouped by within an episode: its first service, or the entity itself.
    pub home: u64,
    /// The system of its first service that the topology knows.
    pub system: Option<u64>,
    pub at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// Sorted by ground.
    pub facets: Vec<Facet>,
    /// A bit for each ground: most grounds that are asked for are none of its.
    bits: [u64; 4],
    /// What is known of each of its grounds, in the same order.
    pub known: Vec<GroundShares>,
}

impl Sighting {
    /// Of an alert.
    pub fn of(alert: &Alert, learned: &Learned, cx: &Lens<'_>) -> Self {
        let Occurrence { fingerprint, entity, check, at } = Occurrence::of(alert);
        let known = cx.topology.entity(cx.scope, &alert.entity).filter(|_| cx.tables.uses(Clue::Topology));
        let mut facets = known.map_or_else(Vec::new, |e| e.facets.to_vec());
        add(&mut facets, entity, Ring::Own);
        let mut services: Vec<u64> = alert.services.iter().map(|s| hash_of(s)).collect();
        for (service, hash) in alert.services.iter().zip(&services) {
            // Where the entity is known to carry the service, its facets have the service's.
            if known.is_some_and(|e| e.services.contains(service)) {
                continue;
            }
            add(&mut facets, *hash, Ring::Own);
            let known = cx.topology.service(cx.scope, service).filter(|_| cx.tables.uses(Clue::Topology));
            for facet in known.into_iter().flat_map(|s| &s.facets) {
                add(&mut facets, facet.ground, facet.ring);
            }
        }
        services.sort_unstable();
        let system = alert.services.iter().find_map(|s| cx.topology.service(cx.scope, s)).map(|s| s.system);
        let mut framed = Framed::default();
        // What stays where it is does not come from what one depends on.
        let spreads = !cx.tables.uses(Clue::Kinds) || cx.policy.checks.kind(&alert.check) != CheckKind::Own;
        if !(spreads && cx.tables.uses(Clue::Dependencies)) {
            facets.retain(|facet| !matches!(facet.ring, Ring::Near | Ring::Far));
        }
        for label in &alert.labels[..] {
            if cx.tables.uses(Clue::Labels)
                && facets.len() < FACETS_MAX
                && let Some(ground) = label_ground(label, alert, &mut framed, cx)
            {
                add(&mut facets, ground, Ring::Own);
            }
        }
        for word in words(&alert.summary) {
            if cx.tables.uses(Clue::Mentions)
                && facets.len() < FACETS_MAX
                && let Some(ground) = mentioned(word, learned, cx)
            {
                mention(&mut facets, ground);
            }
        }
        facets.truncate(FACETS_MAX);
        let mut bits = [0; 4];
        for facet in &facets {
            let (word, bit) = bit_of(facet.ground);
            bits[word] |= bit;
        }
        Self {
            fingerprint,
            entity,
            check,
            home: alert.services.first().map_or(entity, |service| hash_of(service)),
            services,
            system,
            at,
            ended_at: alert.cleared_at.filter(|_| !alert.open),
            facets,
            bits,
            known: Vec::new(),
        }
    }

    /// Looks up its grounds.
    pub fn look(mut self, learned: &Learned, cx: &Lens<'_>) -> Self {
        self.known = self.facets.iter().map(|facet| learned.ground(facet.ground, cx)).collect();
        self
    }

    /// How what it is grouped by lies on which grounds.
    pub fn facets_of_home(&self) -> Vec<Facet> {
        let of_home = |f: &&Facet| self.home == self.entity || f.ground == self.home || f.ring != Ring::Own;
        self.facets.iter().filter(of_home).copied().collect()
    }

    /// The kind of a ground that only alerts know.
    pub fn kind_of(&self, facet: &Facet) -> GroundKind {
        if facet.ground == self.entity || facet.ring == Ring::Beside {
            GroundKind::Entity
        } else if self.services.binary_search(&{ facet.ground }).is_ok() {
            GroundKind::Service
        } else {
            GroundKind::Label
        }
    }

    /// How it lies on a ground.
    pub fn ring(&self, ground: u64) -> Option<Ring> {
        let (word, bit) = bit_of(ground);
        if self.bits[word] & bit == 0 {
            return None;
        }
        self.facets.binary_search_by_key(&ground, |f| f.ground).ok().map(|place| self.facets[place].ring)
    }
}

const fn bit_of(ground: u64) -> (usize, u64) {
    ((ground & 3) as usize, 1 << (ground >> 58))
}

/// What is named is nearer than what one only depends on.
fn mention(facets: &mut Vec<Facet>, ground: u64) {
    match facets.binary_search_by_key(&ground, |f| f.ground) {
        Ok(place) if facets[place].ring == Ring::Own => {}
        Ok(place) => facets[place].ring = Ring::Beside,
        Err(_) => add(facets, ground, Ring::Beside),
    }
}

/// The ground of a label: a name that the topology knows, whatever the key, else the pair.
fn label_ground((key, value): &(Arc<str>, Arc<str>), alert: &Alert, framed: &mut Framed, cx: &Lens<'_>) -> Option<u64> {
    // How bad it is says nothing of where.
    if **key == *SCORE || value.is_empty() || *value == alert.entity || alert.services.contains(value) {
        return None;
    }
    let name = hash_of(value);
    let known = cx.topology.ground(cx.scope, name).is_some();
    Some(if known { name } else { places::label_ground(framed, key, value) })
}

/// Words that may be names.
pub fn words(summary: &str) -> impl Iterator<Item = &str> {
    let apart = |c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_' | '.'));
    let words = summary.split(apart).map(|word| word.trim_matches(['.', '-', '_']));
    words.filter(|word| word.len() >= WORD_MIN).take(WORDS_MAX)
}

/// The ground that a word names: an entity, by its short name too, or what the topology has.
fn mentioned(word: &str, learned: &Learned, cx: &Lens<'_>) -> Option<u64> {
    let hash = hash_of(word);
    cx.topology
        .alias(cx.scope, hash)
        .or_else(|| cx.topology.ground(cx.scope, hash).map(|_| hash))
        .or_else(|| learned.entity_of(hash))
}

/// The name of a ground that an alert lies on, for people.
pub fn name_of(ground: u64, alert: &Alert, cx: &Lens<'_>) -> Option<Arc<str>> {
    let is = |name: &&Arc<str>| hash_of(name) == ground;
    if hash_of(&alert.entity) == ground {
        return Some(alert.entity.clone());
    }
    if let Some(service) = alert.services.iter().find(is) {
        return Some(service.clone());
    }
    let services = alert.services.iter().filter_map(|s| cx.topology.service(cx.scope, s));
    if let Some(upstream) = services.flat_map(|s| s.upstream.keys()).find(is) {
        return Some(upstream.clone());
    }
    if let Some(carrier) = carriers(&alert.entity, cx).into_iter().find(|name| hash_of(name) == ground) {
        return Some(carrier);
    }
    let mut framed = Framed::default();
    let of_label = |label: &&(Arc<str>, Arc<str>)| label_ground(label, alert, &mut framed, cx) == Some(ground);
    if let Some((key, value)) = alert.labels.iter().find(of_label) {
        return Some(format!("{key} {value}").into());
    }
    let linked = cx.topology.entity(cx.scope, &alert.entity).into_iter().flat_map(|e| &e.linked).find(is);
    linked.cloned().or_else(|| {
        let names = |word: &&str| hash_of(word) == ground || cx.topology.alias(cx.scope, hash_of(word)) == Some(ground);
        words(&alert.summary).find(names).map(Into::into)
    })
}

/// What an entity runs on, level by level.
fn carriers(entity: &str, cx: &Lens<'_>) -> Vec<Arc<str>> {
    let mut found: Vec<Arc<str>> = Vec::new();
    let mut next = 0;
    let on = |id: &str| cx.topology.entity(cx.scope, id).map_or(&[][..], |e| &e.on);
    found.extend(on(entity).iter().cloned());
    while next < found.len() && found.len() < FACETS_MAX {
        let more: Vec<_> = on(&found[next]).iter().filter(|p| !found.contains(p)).cloned().collect();
        found.extend(more);
        next += 1;
    }
    found
}
