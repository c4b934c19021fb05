//! What of an incident's alerts each suspect explains, as odds: products only, rounded before anything is compared.
use super::reach::{Map, Reached, Way};
use crate::domain::{
    check::{CheckKind, Checks, has_word, parts},
    episode::Member,
    hash::hash_of,
    policy::{CauseModel, Policy},
    time::Timestamp,
    topology::{Topology, units::Unit},
};
use crate::stages::correlate::tables::Tables;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

/// Sufferers without an alert beyond so many do not make it any less likely.
const MISSED_MAX: usize = 1_000;
/// Bits of odds that are not compared: what differs only there is a tie.
const ROUNDED_BITS: u32 = 20;

/// The alerts of one suspect, one kind and one other end: the largest counts, so that what tells much cannot outvote the rest.
#[derive(Debug)]
pub struct Group {
    pub unit: Unit,
    kind: CheckKind,
    /// Its size by the size that doubles the odds.
    weight: f64,
    /// Alerts.
    pub count: usize,
}

/// A group, and who has what is known to cause one of its alerts, with how many of it each draws.
#[derive(Default)]
struct Found {
    weight: f64,
    count: usize,
    causes: Vec<(Unit, f64)>,
}

/// Where an alert is.
#[derive(Clone, Copy, Debug)]
pub struct Lit<'a> {
    pub started_at: Timestamp,
    /// The first of its alerts that was heard of, a prediction last,
    pub first: &'a Member,
    /// and how many there are.
    pub count: usize,
}

/// What speaks for and against suspects.
#[derive(Debug)]
pub struct Alerts<'a> {
    pub map: Map<'a>,
    pub groups: Vec<Group>,
    pub lit: BTreeMap<Unit, Lit<'a>>,
    /// The groups that trouble of each suspect may show as; sorted.
    shows: Vec<(Unit, usize, Reached)>,
    /// How many with an alert lie on each, and depend on it directly.
    heard: BTreeMap<Unit, (usize, usize)>,
    model: &'a CauseModel,
}

/// What kind of thing a suspect is, by its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Thing,
    Intervention,
    Configuration,
    Outside,
}

/// A suspect, weighed.
#[derive(Debug)]
pub struct Weighed {
    pub unit: Unit,
    pub odds: f64,
    pub sort: Sort,
    /// Alerts of others that it explains, by the way.
    pub explains: [usize; Way::COUNT],
}

impl<'a> Alerts<'a> {
    /// Of these members, in the order they were heard of.
    pub fn new(
        members: &[&'a Member],
        topology: &'a Topology,
        scope: &'a str,
        policy: &'a Policy,
        tables: &Tables,
    ) -> Self {
        let (model, checks) = (&policy.raise.cause, &policy.checks);
        let mut map = Map::new(members, topology, scope, model);
        let mut lit: BTreeMap<Unit, Lit<'_>> = BTreeMap::new();
        let mut found: BTreeMap<(Unit, CheckKind, Option<Unit>), Found> = BTreeMap::new();
        for member in members {
            let unit = map.meet(&member.entity);
            let (kind, weight) = weigh(member, checks, model);
            let peer = member.peer.as_deref().filter(|_| kind == CheckKind::Own).map(|peer| map.meet(peer));
            let group = found.entry((unit, kind, peer)).or_default();
            (group.weight, group.count) = (group.weight.max(weight), group.count + 1);
            for (other, share) in
                known_causes(member, members, tables).filter(|(other, _)| other.entity != member.entity)
            {
                group.causes.push((map.meet(&other.entity), share));
            }
            let started_at = member.started_at;
            let known = lit.entry(unit).or_insert(Lit { started_at, first: member, count: 0 });
            (known.started_at, known.count) = (known.started_at.min(started_at), known.count + 1);
            if known.first.is_prediction() {
                known.first = member;
            }
        }
        let mut shows: Vec<(Unit, usize, Reached)> = Vec::new();
        let mut groups = Vec::with_capacity(found.len());
        for ((unit, kind, peer), Found { weight, count, causes }) in found {
            let mut spread = map.spread(unit, kind);
            let peer = peer.map(|peer| (peer, model.peer, Way::Peer));
            let causes = causes.into_iter().map(|(unit, share)| (unit, share.min(model.ground), Way::Known));
            for (suspect, chance, way) in peer.into_iter().chain(causes) {
                let end = Reached { chance, way, suggests: true };
                let known = spread.entry(suspect).or_insert(end);
                *known = if known.chance < end.chance { end } else { *known };
            }
            shows.extend(spread.into_iter().map(|(suspect, reached)| (suspect, groups.len(), reached)));
            groups.push(Group { unit, kind, weight, count });
        }
        shows.sort_unstable_by_key(|(suspect, group, _)| (*suspect, *group));
        let heard = heard(&lit, &map);
        Self { map, groups, lit, shows, heard, model }
    }

    /// Who has an alert, who stands at the other end of one, and of the rest those that would explain most.
    pub fn suspects(&self) -> Vec<Unit> {
        let mut silent: Vec<_> = Vec::new();
        for shown in self.shows.chunk_by(|a, b| a.0 == b.0) {
            if shown.iter().any(|(.., reached)| reached.suggests) && !self.lit.contains_key(&shown[0].0) {
                let sum = shown.iter().map(|(_, group, reached)| reached.chance * self.groups[*group].weight).sum();
                silent.push((Reverse(rounded(sum)), shown[0].0));
            }
        }
        if silent.len() > self.model.silent_max {
            silent.sort_by_cached_key(|(sum, unit)| (*sum, self.map.order(*unit)));
            silent.truncate(self.model.silent_max);
        }
        self.lit.keys().copied().chain(silent.into_iter().map(|(_, unit)| unit)).collect()
    }

    /// The groups that trouble of a suspect may show as.
    fn shown(&self, unit: Unit) -> impl Iterator<Item = (&Group, Reached)> {
        let begin = self.shows.partition_point(|(suspect, ..)| *suspect < unit);
        let shown =
            self.shows.get(begin..).unwrap_or_default().iter().take_while(move |(suspect, ..)| *suspect == unit);
        shown.filter_map(|(_, group, reached)| Some((self.groups.get(*group)?, *reached)))
    }

    /// How much likelier its alerts are if trouble of a suspect, or of what it lies on by `share`, caused them.
    pub fn explained(&self, unit: Unit, share: f64) -> f64 {
        self.shown(unit).map(|(group, reached)| 1.0 + share * reached.chance * group.weight).product()
    }

    /// The odds of a suspect; `None` where it explains nothing.
    pub fn weigh(&self, unit: Unit) -> Option<Weighed> {
        let explained = self.explained(unit, 1.0);
        if explained <= 1.0 {
            return None;
        }
        let (sort, prior) = self.sort(unit);
        let silent = if self.lit.contains_key(&unit) { 1.0 } else { self.model.silent };
        let odds = explained * self.missed(unit) * silent * prior / self.late(unit);
        let mut explains = [0; Way::COUNT];
        for (group, reached) in self.shown(unit).filter(|(group, _)| group.unit != unit) {
            explains[reached.way as usize] += group.count;
        }
        Some(Weighed { unit, odds, sort, explains })
    }

    fn sort(&self, unit: Unit) -> (Sort, f64) {
        let (Some(kind), model) = (self.map.kind(unit), self.model) else { return (Sort::Thing, 1.0) };
        let words = parts(kind);
        if has_word(&words, &model.interventions) {
            (Sort::Intervention, model.intervention)
        } else if has_word(&words, &model.configurations) {
            (Sort::Configuration, model.configuration)
        } else if model.outsiders.iter().any(|outsider| outsider.eq_ignore_ascii_case(kind)) {
            (Sort::Outside, model.outside)
        } else {
            (Sort::Thing, 1.0)
        }
    }

    /// How much less likely it is by those that would suffer directly and have no alert.
    fn missed(&self, unit: Unit) -> f64 {
        let (on, dependants) = self.map.sufferers(unit);
        let (heard_on, heard_of) = self.heard.get(&unit).copied().unwrap_or_default();
        let factor = |chance: f64, all: usize, heard: usize| {
            power(1.0 - chance * self.model.recall, all.saturating_sub(heard).min(MISSED_MAX))
        };
        factor(self.model.ground, on, heard_on) * factor(self.model.dependency, dependants, heard_of)
    }

    /// How much less likely it is by coming after what it would have caused.
    fn late(&self, unit: Unit) -> f64 {
        let Some(own) = self.lit.get(&unit) else { return 1.0 };
        let caused = self.shown(unit).filter(|(group, _)| group.unit != unit && group.kind != CheckKind::Own);
        let first = caused.filter_map(|(group, _)| self.lit.get(&group.unit)).map(|lit| lit.started_at).min();
        let Some(first) = first else { return 1.0 };
        let late = (own.started_at - first).0.max(0) as f64;
        1.0 + self.model.late * late / (late + self.model.late_after.0 as f64)
    }
}

/// How many with an alert lie on each, and depend on it directly: a service has one where an entity of it has.
fn heard(lit: &BTreeMap<Unit, Lit<'_>>, map: &Map<'_>) -> BTreeMap<Unit, (usize, usize)> {
    let services: BTreeSet<Unit> = lit.keys().flat_map(|unit| map.services(*unit)).collect();
    let units: BTreeSet<Unit> = lit.keys().chain(&services).copied().collect();
    let mut heard: BTreeMap<Unit, (usize, usize)> = BTreeMap::new();
    for unit in &units {
        for ground in map.grounds(*unit).collect::<BTreeSet<_>>() {
            heard.entry(ground).or_default().0 += 1;
        }
    }
    for on in services.iter().flat_map(|service| map.depends_on(*service)) {
        heard.entry(on).or_default().1 += 1;
    }
    heard
}

/// Which began no later than an alert whose check theirs are known to cause, and how many of it each draws.
fn known_causes<'m>(
    member: &Member,
    members: &[&'m Member],
    tables: &Tables,
) -> impl Iterator<Item = (&'m Member, f64)> {
    let causes: Vec<_> = tables.causes(&member.check).collect();
    let before = members.iter().filter(|other| other.started_at <= member.started_at).copied();
    let before: Vec<_> = if causes.is_empty() { Vec::new() } else { before.collect() };
    before.into_iter().filter_map(move |other| {
        let check = hash_of(&other.check);
        causes.iter().find(|(cause, _)| *cause == check).map(|(_, share)| (other, *share))
    })
}

/// The kind of an alert, and its size by the one that doubles the odds.
fn weigh(member: &Member, checks: &Checks, model: &CauseModel) -> (CheckKind, f64) {
    let kind = checks.kind_of(&member.check, &member.summary);
    let size = member.score.map_or(model.plain_size, |score| f64::from(score) / 100.0);
    (kind, size / if kind == CheckKind::Own { model.own_size } else { model.symptom_size })
}

fn power(base: f64, times: usize) -> f64 {
    (0..times).fold(1.0, |product, _| product * base)
}

/// What orders as positive odds do, without the last digits.
pub const fn rounded(odds: f64) -> u64 {
    odds.to_bits().saturating_add(1 << (ROUNDED_BITS - 1)) >> ROUNDED_BITS
}

/// The shares of odds squared, where 1 stands for none of these; together less than 1.
pub fn shares(odds: &[f64]) -> Vec<f64> {
    // By the largest, so that no square overflows.
    let largest = odds.iter().copied().fold(1.0, f64::max);
    let square = |odds: f64| (odds / largest) * (odds / largest);
    let all = square(1.0) + odds.iter().map(|odds| square(*odds)).sum::<f64>();
    odds.iter().map(|odds| square(*odds) / all).collect()
}

/// How sure that makes, in thousandths: by how many are right among causes that are told.
pub fn confidence(share: f64, model: &CauseModel) -> u32 {
    let odds = share / (1.0 - share);
    let scaled = model.confidence * libm::pow(odds, model.confidence_power);
    let sure = if scaled.is_finite() { scaled / (1.0 + scaled) } else { 1.0 };
    (sure * 1_000.0 + 0.5) as u32
}
