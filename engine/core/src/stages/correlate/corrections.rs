//! What people said of which alerts belong together, as evidence: for the alerts themselves, and less for their kind.
//!
//! It is found by the alert that is looked at and costs nothing where nobody said anything of it. Episodes remember those
//! of their alerts and kinds that somebody spoke of.
use super::score::millinats;
use crate::domain::{
    correction::{Correction, CorrectionId, Keys, Relation},
    policy::{Clue, CorrectionModel, Policy},
    time::Timestamp,
};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize, Serializer};
use std::{
    array,
    collections::{BTreeMap, BTreeSet},
};

/// Corrections that speak of one alert or kind: the latest.
const LINKS_MAX: usize = 32;
/// Alerts and kinds that an episode remembers.
const PRESENT_MAX: usize = 1_024;
/// What people put apart does not come together again: no evidence is as strong. In millinats.
pub const FORBIDDEN: i64 = -32_000;

/// A correction that speaks of an alert or a kind, and on which side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Link {
    at: Timestamp,
    id: CorrectionId,
    side: usize,
}

/// A correction, and the keys of what it speaks of on each side.
#[derive(Debug, PartialEq)]
struct Entry {
    correction: Correction,
    alerts: [Vec<u64>; 2],
    kinds: [Vec<u64>; 2],
}

impl Entry {
    fn of(correction: Correction) -> Self {
        let alerts = array::from_fn(|side| correction.sides[side].iter().map(|party| party.keys().alert).collect());
        let kinds = array::from_fn(|side| correction.kinds(side).into_iter().collect());
        Self { correction, alerts, kinds }
    }

    /// Under which keys it is found, by side.
    fn keys(&self) -> impl Iterator<Item = (usize, u64)> {
        [0, 1]
            .into_iter()
            .flat_map(|side| self.alerts[side].iter().chain(&self.kinds[side]).map(move |key| (side, *key)))
    }

    fn is_together(&self) -> bool {
        self.correction.relation == Relation::Together
    }
}

/// The corrections of a scope.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(from = "Vec<Correction>")]
pub struct Corrections {
    all: BTreeMap<CorrectionId, Entry>,
    /// By when they expire.
    by_end: BTreeSet<(Timestamp, CorrectionId)>,
    /// By key of an alert or a kind; sorted, the latest last.
    links: FxHashMap<u64, Vec<Link>>,
}

impl From<Vec<Correction>> for Corrections {
    fn from(all: Vec<Correction>) -> Self {
        let mut corrections = Self::default();
        all.into_iter().for_each(|correction| corrections.insert(correction));
        corrections
    }
}

impl Serialize for Corrections {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

/// The alerts and kinds of an episode of which somebody spoke, and how many alerts of it each is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Present(BTreeMap<u64, u32>);

impl Present {
    /// One more alert of it.
    pub fn add(&mut self, key: u64) {
        if self.0.len() < PRESENT_MAX || self.0.contains_key(&key) {
            *self.0.entry(key).or_insert(0) += 1;
        }
    }

    /// One has left.
    pub fn remove(&mut self, keys: Keys) {
        for key in [keys.alert, keys.kind] {
            if let Some(alerts) = self.0.get_mut(&key) {
                *alerts -= 1;
                if *alerts == 0 {
                    self.0.remove(&key);
                }
            }
        }
    }

    /// Whether one is there beside `own`.
    fn has(&self, key: u64, own: Option<Keys>) -> bool {
        let is_own = own.is_some_and(|own| own.alert == key || own.kind == key);
        self.0.get(&key).is_some_and(|alerts| *alerts > u32::from(is_own))
    }
}

/// What was said of an alert.
#[derive(Debug)]
pub struct Said<'a> {
    /// The latest last; of each correction the side where the alert itself stands first.
    links: Vec<(Link, &'a Entry, bool)>,
    keys: Keys,
    model: &'a CorrectionModel,
}

impl Corrections {
    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Correction> {
        self.all.values().map(|entry| &entry.correction)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// The one that expires first, ties by id.
    pub fn first_to_go(&self) -> Option<CorrectionId> {
        self.by_end.first().map(|(_, id)| *id)
    }

    /// Takes one in.
    pub fn insert(&mut self, correction: Correction) {
        self.remove(correction.id);
        let (id, at) = (correction.id, correction.at);
        self.by_end.insert((correction.expires_at, id));
        let entry = Entry::of(correction);
        for (side, key) in entry.keys() {
            let (links, link) = (self.links.entry(key).or_default(), Link { at, id, side });
            if let Err(place) = links.binary_search(&link) {
                links.insert(place, link);
            }
        }
        self.all.insert(id, entry);
    }

    /// It says nothing any more.
    pub fn remove(&mut self, id: CorrectionId) -> Option<Correction> {
        let entry = self.all.remove(&id)?;
        self.by_end.remove(&(entry.correction.expires_at, id));
        for (_, key) in entry.keys() {
            if let Some(links) = self.links.get_mut(&key) {
                links.retain(|link| link.id != id);
                if links.is_empty() {
                    self.links.remove(&key);
                }
            }
        }
        Some(entry.correction)
    }

    /// Those of the keys that somebody spoke of.
    pub fn known(&self, keys: Keys) -> impl Iterator<Item = u64> {
        [keys.alert, keys.kind].into_iter().filter(|key| self.links.contains_key(key))
    }

    /// What was said of an alert.
    pub fn of<'a>(&'a self, keys: Keys, policy: &'a Policy) -> Said<'a> {
        let links = self.linked([keys.alert], [keys.kind], policy);
        Said { links, keys, model: &policy.correlate.corrections }
    }

    fn linked(
        &self,
        alerts: impl IntoIterator<Item = u64>,
        kinds: impl IntoIterator<Item = u64>,
        policy: &Policy,
    ) -> Vec<(Link, &Entry, bool)> {
        let mut found = Vec::new();
        if self.all.is_empty() || !policy.correlate.clues.contains(&Clue::Corrections) {
            return found;
        }
        let mut add = |key: u64, itself: bool| {
            let links = self.links.get(&key).into_iter().flat_map(|links| links.iter().rev().take(LINKS_MAX));
            found.extend(links.filter_map(|link| Some((*link, self.all.get(&link.id)?, itself))));
        };
        alerts.into_iter().for_each(|key| add(key, true));
        kinds.into_iter().for_each(|key| add(key, false));
        found.sort_unstable_by_key(|(link, _, itself)| (*link, !itself));
        found
    }

    /// What speaks for two episodes being one, in millinats; [`FORBIDDEN`] where people put them apart.
    pub fn between(&self, a: &Present, b: &Present, policy: &Policy) -> i64 {
        let (few, many) = if a.0.len() <= b.0.len() { (a, b) } else { (b, a) };
        if few.0.is_empty() || many.0.is_empty() {
            return 0;
        }
        // Whether a key is an alert's or a kind's, the correction tells.
        let mut links = self.linked(few.0.keys().copied(), [], policy);
        for (link, entry, itself) in &mut links {
            *itself = entry.alerts[link.side].iter().any(|key| few.has(*key, None));
        }
        weigh(&links, many, None, &policy.correlate.corrections)
    }
}

impl Said<'_> {
    /// What speaks for the alert's being in an episode, in millinats; [`FORBIDDEN`] where people put it apart from an alert
    /// there.
    pub fn of_episode(&self, present: &Present) -> i64 {
        weigh(&self.links, present, None, self.model)
    }

    /// The same of the episode that it is in, against the rest.
    pub fn of_own(&self, present: &Present) -> i64 {
        weigh(&self.links, present, Some(self.keys), self.model)
    }

    /// The keys of what it belongs together with, the latest said first.
    pub fn leads(&self) -> impl Iterator<Item = u64> {
        let together = self.links.iter().rev().filter(|(_, entry, _)| entry.is_together());
        together
            .flat_map(|(link, entry, _)| entry.alerts[1 - link.side].iter().chain(&entry.kinds[1 - link.side]).copied())
    }
}

/// Each correction counts once: for the alerts themselves, of which the latest that was said holds, or for their kinds.
fn weigh(links: &[(Link, &Entry, bool)], present: &Present, own: Option<Keys>, model: &CorrectionModel) -> i64 {
    let has = |keys: &[u64]| keys.iter().any(|key| present.has(*key, own));
    let (mut sum, mut latest) = (0.0, None);
    for of_one in links.chunk_by(|a, b| a.0.id == b.0.id).rev() {
        let Some((_, entry, _)) = of_one.first() else { continue };
        let sign = if entry.is_together() { 1.0 } else { -1.0 };
        if of_one.iter().any(|(link, _, itself)| *itself && has(&entry.alerts[1 - link.side])) {
            if *latest.get_or_insert(entry.correction.relation) == entry.correction.relation {
                sum += sign * model.alert;
            }
        } else if of_one.iter().any(|(link, ..)| has(&entry.kinds[1 - link.side])) {
            sum += sign * model.kind;
        }
    }
    match latest {
        Some(Relation::Apart) => FORBIDDEN,
        _ => millinats(sum.clamp(-model.max, model.max)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        alert::Fingerprint,
        correction::{Deed, Party},
    };

    fn party(n: u128, check: &str, service: &str) -> Party {
        let entity = format!("{service}-{n}").as_str().into();
        Party { fingerprint: Fingerprint(n), entity, check: check.into(), service: service.into() }
    }

    fn said(id: u64, relation: Relation, one: &[&Party], other: &[&Party]) -> Correction {
        Correction {
            id: CorrectionId(id),
            relation,
            deed: Deed::Said,
            sides: [one, other].map(|side| side.iter().copied().cloned().collect()),
            actor: "ann".into(),
            comment: "".into(),
            at: Timestamp(id as i64),
            expires_at: Timestamp(1_000 - id as i64),
        }
    }

    fn present(corrections: &Corrections, parties: &[&Party]) -> Present {
        let mut present = Present::default();
        parties.iter().flat_map(|party| corrections.known(party.keys())).for_each(|key| present.add(key));
        present
    }

    fn weight(corrections: &Corrections, alert: &Party, others: &[&Party]) -> i64 {
        corrections.of(alert.keys(), &Policy::default()).of_episode(&present(corrections, others))
    }

    #[test]
    fn alerts_count_more_than_their_kinds_and_each_correction_once() {
        let (a, b) = (party(1, "latency", "web"), party(2, "disk", "db"));
        let (like_a, like_b) = (party(3, "latency", "web"), party(4, "disk", "db"));
        let mut all = Corrections::default();
        assert_eq!(weight(&all, &a, &[&b]), 0);
        all.insert(said(1, Relation::Together, &[&a, &like_a], &[&b]));
        assert_eq!(weight(&all, &a, &[&b, &like_b]), 6_000, "once, however many are there");
        assert_eq!(weight(&all, &b, &[&a, &like_a]), 6_000, "either way");
        assert_eq!(weight(&all, &a, &[&like_b]), 2_000);
        let other = party(5, "disk", "mail");
        assert_eq!((weight(&all, &a, &[&other]), weight(&all, &other, &[&a, &b])), (0, 0));
        // Several that agree add up, to a limit; one that does not takes away.
        for id in 2..=6 {
            all.insert(said(id, Relation::Together, &[&party(10 + u128::from(id), "latency", "web")], &[&b]));
        }
        assert_eq!(weight(&all, &party(99, "latency", "web"), &[&like_b]), 8_000);
        for id in 7..=9 {
            all.insert(said(
                id,
                Relation::Apart,
                &[&party(10 + u128::from(id), "latency", "web")],
                &[&party(98, "disk", "db")],
            ));
        }
        assert_eq!(weight(&all, &party(99, "latency", "web"), &[&like_b]), 6_000);
    }

    #[test]
    fn what_was_put_apart_is_forbidden_until_somebody_says_otherwise() {
        let (a, b) = (party(1, "latency", "web"), party(2, "disk", "db"));
        let mut all = Corrections::default();
        all.insert(said(1, Relation::Apart, &[&a], &[&b]));
        let policy = Policy::default();
        assert_eq!(weight(&all, &a, &[&b]), FORBIDDEN);
        let of = |all: &Corrections, one: &Party, other: &Party| {
            all.between(&present(all, &[one]), &present(all, &[other]), &policy)
        };
        assert_eq!((of(&all, &a, &b), of(&all, &b, &a)), (FORBIDDEN, FORBIDDEN));
        assert_eq!(weight(&all, &party(3, "latency", "web"), &[&b]), -2_000);
        all.insert(said(2, Relation::Together, &[&a], &[&b]));
        assert_eq!((weight(&all, &a, &[&b]), of(&all, &a, &b)), (6_000, 6_000), "the latest holds");
        all.remove(CorrectionId(2));
        assert_eq!(weight(&all, &a, &[&b]), FORBIDDEN);
        all.remove(CorrectionId(1));
        assert_eq!(all, Corrections::default(), "nothing is left of what was withdrawn");
    }

    #[test]
    fn alerts_of_one_kind_that_were_put_apart_say_nothing_of_their_kind() {
        let (a, b) = (party(1, "latency", "web"), party(2, "latency", "web"));
        let mut all = Corrections::default();
        all.insert(said(1, Relation::Apart, &[&a], &[&b]));
        let (c, d) = (party(3, "latency", "web"), party(4, "latency", "web"));
        assert_eq!((weight(&all, &a, &[&b]), weight(&all, &c, &[&d, &a])), (FORBIDDEN, 0));
        // Put together it does, and none speaks for itself.
        all.insert(said(2, Relation::Together, &[&a], &[&b]));
        assert_eq!(weight(&all, &c, &[&d]), 2_000);
        let own = |others: &[&Party]| all.of(c.keys(), &Policy::default()).of_own(&present(&all, others));
        assert_eq!((own(&[&c]), own(&[&c, &d])), (0, 2_000));
    }

    #[test]
    fn without_its_clue_nothing_is_said() {
        let (a, b) = (party(1, "latency", "web"), party(2, "disk", "db"));
        let mut all = Corrections::default();
        all.insert(said(1, Relation::Apart, &[&a], &[&b]));
        let mut policy = Policy::default();
        policy.correlate.clues.remove(&Clue::Corrections);
        let (one, other) = (present(&all, &[&a]), present(&all, &[&b]));
        assert_eq!((all.of(a.keys(), &policy).of_episode(&other), all.between(&one, &other, &policy)), (0, 0));
    }

    #[test]
    fn what_is_looked_at_is_bounded() {
        let (a, b) = (party(1, "latency", "web"), party(2, "disk", "db"));
        let mut all = Corrections::default();
        for id in 0..100 {
            all.insert(said(id, Relation::Together, &[&a], &[&party(100 + u128::from(id), "disk", "db")]));
        }
        let policy = Policy::default();
        let found = all.of(a.keys(), &policy);
        // By the alert and by its kind.
        assert_eq!(found.links.len(), 2 * LINKS_MAX);
        assert!(found.links.iter().all(|(link, ..)| link.at >= Timestamp(100 - LINKS_MAX as i64)), "the latest");
        assert_eq!(all.first_to_go(), Some(CorrectionId(99)), "which expires first");
        let mut present = present(&all, &[&b]);
        (0..2 * PRESENT_MAX as u64).for_each(|key| present.add(key));
        assert_eq!(present.0.len(), PRESENT_MAX);
        present.remove(b.keys());
        assert!(!present.has(b.keys().kind, None));
    }

    #[test]
    fn restored_they_are_the_same() {
        let (a, b) = (party(1, "latency", "web"), party(2, "disk", "db"));
        let mut all = Corrections::default();
        all.insert(said(2, Relation::Together, &[&a], &[&b]));
        all.insert(said(1, Relation::Apart, &[&b], &[&a]));
        let text = serde_json::to_string(&all).expect("it has a form");
        assert_eq!(serde_json::from_str::<Corrections>(&text).expect("its own"), all);
    }
}
