//! What a scope has learned of its checks, entities and grounds: in the journal's order, bounded, in the snapshot.
use super::{
    bounded::Bounded,
    pace::Pace,
    score::millinats,
    sighting::{Occurrence, Sighting},
    texts::Texts,
    wiring::{Naming, Wiring},
};
use crate::domain::{
    alert::Alert,
    hash::{Framed, hash_of},
    policy::{Clue, Limits, Policy},
    time::{Span, Timestamp},
    topology::places::{Facet, GroundKind, Ring, short_name},
};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// In seconds.
const DAY: f64 = 86_400.0;

/// A check.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// How often an alert of it opened; one that came in company counts less.
    openings: f64,
    /// How often it was found in an episode with others.
    settled: f64,
    /// How often with which; sorted by check.
    partners: Vec<(u64, f64)>,
    /// The sum of all partners, those that are no longer remembered too.
    together: f64,
}

impl Check {
    /// At the limit the lightest goes, ties by check.
    fn meet(&mut self, other: u64, weight: f64, limit: usize) {
        self.together += weight;
        match self.partners.binary_search_by_key(&other, |p| p.0) {
            Ok(place) => self.partners[place].1 += weight,
            Err(place) => self.partners.insert(place, (other, weight)),
        }
        if self.partners.len() > limit {
            let lightest = (0..self.partners.len()).min_by(|a, b| self.partners[*a].1.total_cmp(&self.partners[*b].1));
            self.partners.remove(lightest.unwrap_or(0));
        }
    }
}

/// An entity that has had an alert.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Entity {
    /// How prone to alerts it is.
    weight: f64,
    /// Where it counts as seen; sorted.
    counted: Vec<Facet>,
    short: Option<u64>,
}

/// A ground that the topology knows nothing or too little of.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Seen {
    kind: GroundKind,
    /// Entities by ring, beside those of the topology.
    entities: [u32; Ring::COUNT],
}

/// An alert that came alone.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Alone {
    times: f64,
    at: Timestamp,
}

/// What an origin tells.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Origin {
    /// When it was first heard,
    since: Option<Timestamp>,
    /// how often,
    openings: u32,
    /// and whether it has told of an end.
    ends: bool,
}

/// What a scope has learned.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Learned {
    /// When its first alert opened.
    began_at: Option<Timestamp>,
    checks: Bounded<u64, Check>,
    /// The sum of their openings.
    checked: f64,
    /// The sum of `settled` over all checks.
    settled: f64,
    entities: Bounded<u64, Entity>,
    /// The sum of their weights.
    weight: f64,
    #[serde(with = "crate::snapshot::sorted")]
    grounds: FxHashMap<u64, Seen>,
    #[serde(with = "crate::snapshot::sorted")]
    shorts: FxHashMap<u64, u64>,
    alone: Bounded<u128, Alone>,
    origins: Bounded<u64, Origin>,
    pace: Pace,
    pub wiring: Wiring,
    pub texts: Texts,
    /// How many grounds of each kind alerts lay on,
    multiplicity: [f64; GroundKind::COUNT],
    /// and how many alerts there were.
    openings: f64,
}

/// A ground: its kind, and which share of all entities lies in each of its rings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroundShares {
    pub kind: GroundKind,
    pub shares: [f64; Ring::COUNT],
}

impl Learned {
    /// The entity of a name or a short name.
    pub fn entity_of(&self, name: u64) -> Option<u64> {
        let known = self.entities.get(name).map(|_| name);
        known.or_else(|| self.shorts.get(&name).copied())
    }

    /// What an alert that occurs has checked: as its name says, or the template of its text where that does not say what is wrong.
    pub fn check_of(&mut self, alert: &Alert, cx: &super::Lens<'_>) -> u64 {
        if !cx.tables.uses(Clue::Texts) || !cx.policy.checks.is_of_text(&alert.check) {
            return hash_of(&alert.check);
        }
        let Self { texts, entities, shorts, wiring, .. } = self;
        let is_name = |word: &str| {
            let name = hash_of(word);
            *word == *alert.entity
                || cx.topology.alias(cx.scope, name).is_some()
                || cx.topology.ground(cx.scope, name).is_some()
                || entities.get(name).is_some()
                || shorts.contains_key(&name)
                || wiring.name(name).is_some()
        };
        let template = texts.template(&alert.summary, &is_name, cx.policy.limits.templates);
        Framed::default().field(&*alert.check).field(template.to_le_bytes()).hash64()
    }

    /// An origin tells of an opening.
    pub fn hear(&mut self, alert: &Alert, limit: usize) {
        let origin = self.origins.see(hash_of(&alert.origin), alert.occurred_at);
        origin.openings = origin.openings.saturating_add(1);
        origin.since.get_or_insert(alert.occurred_at);
        self.origins.make_room(limit);
    }

    /// An origin tells of an end.
    pub fn end(&mut self, alert: &Alert) {
        if let Some(origin) = self.origins.get_mut(hash_of(&alert.origin)) {
            origin.ends = true;
        }
    }

    /// Whether an alert's origin has told of no end in so long and so many openings that it never will.
    pub fn is_endless(&self, alert: &Alert, policy: &Policy) -> bool {
        let (enough, after) = (policy.raise.endless_openings, policy.raise.endless_after);
        let never = |origin: &Origin| {
            let for_long = origin.since.is_some_and(|since| alert.last_fired_at - since >= after);
            !origin.ends && origin.openings >= enough && for_long
        };
        enough > 0 && self.origins.get(hash_of(&alert.origin)).is_some_and(never)
    }

    /// How unexpected the check of an alert is that has opened, in millinats, if its origin tells of no ends: in how few of
    /// the spans that the scope has lived through it did.
    pub fn surprise(&self, alert: &Alert, policy: &Policy) -> Option<u16> {
        if !self.is_endless(alert, policy) {
            return None;
        }
        let lived = self.began_at.map_or(0.0, |at| seconds(at, alert.occurred_at));
        let spans = 1.0 + lived / (policy.correlate.window.0.max(1_000) as f64 / 1_000.0);
        let openings = self.checks.get(alert.checked).map_or(1.0, |c| c.openings.max(1.0));
        u16::try_from(millinats(libm::log(spans / openings).max(0.0))).ok().or(Some(u16::MAX))
    }

    /// An alert opened. Who is known from now on to depend on whom.
    pub fn open(&mut self, seen: &Sighting, entity: &str, origin: &str, cx: &super::Lens<'_>) -> Vec<Naming> {
        let limits = &cx.policy.limits;
        self.began_at = Some(self.began_at.map_or(seen.at, |at| at.min(seen.at)));
        self.checks.see(seen.check, seen.at).openings += 1.0;
        self.checked += 1.0;
        for gone in self.checks.make_room(limits.checks) {
            self.checked -= gone.openings;
        }
        self.pace.open(origin, seen, &cx.policy.correlate.resolution, limits.checks);
        self.openings += 1.0;
        self.see_entity(seen, entity, cx);
        self.make_room(limits);
        self.wire(seen, cx)
    }

    /// Who turns out to depend on whom by what an alert names. Where the topology knows both it says that itself, and is
    /// right more often than not: to know better takes more.
    fn wire(&mut self, seen: &Sighting, cx: &super::Lens<'_>) -> Vec<Naming> {
        let (limit, model) = (cx.policy.limits.label_values, &cx.policy.correlate.wiring);
        let links = cx.policy.correlate.bounds.links;
        for (word, name) in &seen.carried {
            self.wiring.carry(*word, name, seen.at, limit);
        }
        let is_known = |ground| cx.topology.ground(cx.scope, ground).is_some();
        let mut sure = seen.named.clone();
        sure.retain(|naming| {
            let are_known = is_known(naming.from) && is_known(naming.to);
            let needed = if are_known { model.alerts_known } else { model.alerts };
            self.wiring.link(naming, (seen.fingerprint, seen.at), needed, (links, limit))
        });
        sure
    }

    fn see_entity(&mut self, seen: &Sighting, name: &str, cx: &super::Lens<'_>) {
        let known = cx.topology.entity(cx.scope, name);
        let is_leaf = known.is_some_and(|e| !e.carries());
        if self.entities.get(seen.entity).is_none()
            && known.is_none()
            && let Some(short) = short_name(name).map(hash_of)
        {
            self.shorts.insert(short, seen.entity);
            self.entities.see(seen.entity, seen.at).short = Some(short);
        }
        let counted = &mut self.entities.see(seen.entity, seen.at).counted;
        for facet in &seen.facets {
            let ground = cx.topology.ground(cx.scope, facet.ground);
            let kind = ground.map_or_else(|| seen.kind_of(facet), |g| g.kind);
            let lies_on = if self.wiring.is_service(facet.ground) { GroundKind::Service } else { kind };
            self.multiplicity[lies_on as usize] += 1.0;
            let in_topology =
                is_leaf && facet.ring != Ring::Beside && ground.is_some_and(|g| g.size[facet.ring as usize] > 0);
            if in_topology {
                continue;
            }
            if let Err(place) = counted.binary_search(facet)
                && counted.len() < cx.policy.correlate.bounds.grounds
            {
                counted.insert(place, *facet);
                let seen = self.grounds.entry(facet.ground).or_insert(Seen { kind, entities: [0; Ring::COUNT] });
                seen.entities[facet.ring as usize] += 1;
            }
        }
    }

    /// Grounds go with the entities that were seen on them.
    fn make_room(&mut self, limits: &Limits) {
        let mut gone = self.entities.make_room(limits.entities);
        while self.grounds.len() > limits.label_values && self.entities.len() > 0 {
            gone.append(&mut self.entities.evict());
            self.let_go(&mut gone);
        }
        self.let_go(&mut gone);
    }

    fn let_go(&mut self, gone: &mut Vec<Entity>) {
        for entity in gone.drain(..) {
            self.weight -= entity.weight;
            if let Some(short) = entity.short {
                self.shorts.remove(&short);
            }
            for facet in entity.counted {
                let Some(seen) = self.grounds.get_mut(&{ facet.ground }) else { continue };
                seen.entities[facet.ring as usize] -= 1;
                if seen.entities == [0; Ring::COUNT] {
                    self.grounds.remove(&{ facet.ground });
                }
            }
        }
    }

    /// How many entities there are.
    pub fn population(&self, cx: &super::Lens<'_>) -> f64 {
        f64::from(cx.topology.leaves(cx.scope)).max(self.seen(cx))
    }

    /// How many entities are known from their alerts; at first more are to be expected.
    fn seen(&self, cx: &super::Lens<'_>) -> f64 {
        (self.entities.len() as f64).max(f64::from(cx.policy.correlate.place.entities_min))
    }

    /// A ground as topology and experience know it.
    pub fn ground(&self, ground: u64, cx: &super::Lens<'_>) -> GroundShares {
        let known = cx.topology.ground(cx.scope, ground);
        let seen = self.grounds.get(&ground);
        let kind = known.map(|g| g.kind).or(seen.map(|s| s.kind)).unwrap_or(GroundKind::Label);
        let kind = if self.wiring.is_service(ground) { GroundKind::Service } else { kind };
        let mut shares = [0.0; Ring::COUNT];
        // A label that all carry that were ever heard of (`cluster`, `env`) tells none from another, however few they are.
        let all = u32::try_from(self.entities.len()).unwrap_or(u32::MAX);
        let is_on_all =
            |seen: &Seen| all >= cx.policy.correlate.place.heard_min && seen.entities[Ring::Own as usize] >= all;
        if kind == GroundKind::Label && known.is_none() && seen.is_some_and(is_on_all) {
            return GroundShares { kind, shares: [1.0; Ring::COUNT] };
        }
        for (ring, share) in shares.iter_mut().enumerate() {
            let size = known.map_or(0, |g| g.size[ring]);
            let seen = f64::from(seen.map_or(0, |s| s.entities[ring]));
            let found =
                if size > 0 { (f64::from(size) + seen) / cx.population } else { (seen + 1.0) / (self.seen(cx) + 1.0) };
            *share = found.clamp(1e-6, 1.0);
        }
        GroundShares { kind, shares }
    }

    /// Two alerts less apart than this may have come together.
    pub fn resolution(&self, cx: &super::Lens<'_>) -> Span {
        if cx.tables.uses(Clue::Resolution) { self.pace.resolution(&cx.policy.correlate.resolution) } else { Span(0) }
    }

    /// How many grounds of a kind an alert lies on, on average: they share the kind's prior.
    pub fn multiplicity(&self, kind: GroundKind) -> f64 {
        (self.multiplicity[kind as usize] / self.openings.max(1.0)).max(1.0)
    }

    /// `ln` of how many alerts a second a check opens by itself, all entities together; an alert that keeps coming alone
    /// is to be expected again, and one that flaps even more so.
    pub fn ln_background(&self, seen: &Sighting, cx: &super::Lens<'_>) -> f64 {
        let model = &cx.policy.correlate.background;
        let lived = self.began_at.map_or(0.0, |at| seconds(at, seen.at));
        // Its own opening is what is to be explained.
        let openings = self.checks.get(seen.check).map_or(0.0, |c| c.openings - 1.0).max(0.0);
        let usual = cx.population * model.daily / DAY;
        let span = (model.weight / usual).min(model.span.0 as f64 / 1_000.0);
        let of_check = (usual * span * self.share(seen.check, cx) + openings) / (span + lived);
        let alone = self.alone.get(seen.fingerprint).filter(|_| cx.tables.uses(Clue::Alone));
        let alone = alone.map_or(0.0, |a| a.left(seen.at, cx.policy));
        let again = model.again.0.max(1_000) as f64 / 1_000.0;
        libm::log(of_check + (alone / again + seen.flaps) * cx.population)
    }

    /// The share of a check among all openings.
    fn share(&self, check: u64, cx: &super::Lens<'_>) -> f64 {
        let what = &cx.policy.correlate.what;
        let of_check = self.checks.get(check).map_or(0.0, |c| c.openings);
        (of_check + what.unheard) / (self.checked + what.unheard * self.checks.len().max(what.checks_min) as f64)
    }

    /// The share of a check among what is found together.
    pub fn usual(&self, check: u64, cx: &super::Lens<'_>) -> f64 {
        let settled = self.checks.get(check).map_or(0.0, |c| c.settled);
        let prior = cx.policy.correlate.what.openings;
        (settled + prior * self.share(check, cx)) / (self.settled + prior)
    }

    /// The share of any one check among all that are known.
    pub fn any(&self) -> f64 {
        1.0 / self.checks.len().max(1) as f64
    }

    /// How often a check was seen with another, and how often that one was seen with any.
    pub fn met(&self, check: u64, other: u64) -> (f64, f64) {
        self.checks.get(other).map_or((0.0, 0.0), |other| {
            let partner = other.partners.binary_search_by_key(&check, |p| p.0);
            (partner.map_or(0.0, |place| other.partners[place].1), other.together)
        })
    }

    /// One over the share of an entity's alerts among all.
    pub fn rarity(&self, entity: u64, population: f64) -> f64 {
        let own = self.entities.get(entity).map_or(0.0, |e| e.weight);
        (self.weight + population) / (1.0 + own)
    }

    /// An alert has settled among checks, of which it is one, with so many around it in time; or it is alone.
    pub fn settle(&mut self, seen: Occurrence, checks: &[(u64, u32)], around: u32, policy: &Policy) {
        let members: u32 = checks.iter().map(|c| c.1).sum();
        if members > 1 {
            let company = policy.correlate.background.company * f64::from(members - 1) / f64::from(members);
            let check = self.checks.see(seen.check, seen.at);
            check.settled += 1.0;
            self.settled += 1.0;
            let company = company.min(check.openings);
            check.openings -= company;
            self.checked -= company;
            for (other, count) in checks {
                let count = count - u32::from(*other == seen.check);
                if count > 0 {
                    let share = f64::from(count) / f64::from(members - 1);
                    let limit = policy.correlate.bounds.partners;
                    self.checks.see(*other, seen.at).meet(seen.check, share, limit);
                }
            }
        }
        let comes_back = self.alone.get(seen.fingerprint).is_some_and(|a| a.left(seen.at, policy) > 0.5);
        let weight = if comes_back { 1.0 } else { 1.0 / f64::from(around.max(1)) };
        if let Some(entity) = self.entities.get_mut(seen.entity) {
            entity.weight += weight;
            self.weight += weight;
        }
        if members == 1 {
            let alone = self.alone.see(seen.fingerprint, seen.at);
            *alone = Alone { times: alone.left(seen.at, policy) + 1.0, at: seen.at };
            self.alone.make_room(policy.limits.entities);
        }
    }
}

impl Alone {
    /// What is left of it.
    fn left(&self, now: Timestamp, policy: &Policy) -> f64 {
        let memory = policy.correlate.background.alone.0.max(1) as f64 / 1_000.0;
        self.times * libm::exp(-seconds(self.at, now) / memory)
    }
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    (to - from).0.max(0) as f64 / 1_000.0
}
