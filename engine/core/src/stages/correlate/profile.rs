//! What an episode that takes alerts is made of, as the model counts it: entities by ground, checks, openings by time.
use super::{
    Lens,
    corrections::Present,
    learned::Learned,
    nest::{self, Nest},
    place::{self, Posterior, Tally},
    sighting::{Occurrence, Sighting},
    wiring::Naming,
};
use crate::domain::{
    correction::Keys,
    episode::{Episode, Member},
    hash::hash_of,
    policy::Clue,
    time::{Span, Timestamp},
    topology::places::{Facet, Ring},
};
use crate::room::one_more;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Openings are counted by so many milliseconds.
const BIN: i64 = 10_000;

/// An entity in an episode.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Tenant {
    /// Its alerts.
    alerts: u32,
    /// Its service, or itself.
    home: u64,
    /// Whether one of them may come from what it depends on.
    spreads: bool,
    facets: Vec<Facet>,
}

/// How an episode began.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seed {
    pub at: Timestamp,
    pub check: u64,
    /// `ln` of the rate at which the background would have brought it.
    pub background: f64,
}

/// The make-up of an episode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    pub seed: Seed,
    /// Where all its alerts are of one.
    system: Option<u64>,
    #[serde(with = "crate::snapshot::sorted")]
    tenants: FxHashMap<u64, Tenant>,
    #[serde(with = "crate::snapshot::sorted")]
    grounds: FxHashMap<u64, Tally>,
    /// In the order they came, with how many alerts.
    pub checks: Vec<(u64, u32)>,
    /// Openings by time.
    bins: Vec<(i64, u32)>,
    /// When each of the episode's members opened and ended, in their order.
    lives: Vec<(Timestamp, Timestamp)>,
    /// By entity, alerts of origins that tell of no ends.
    endless: BTreeMap<u64, u32>,
    /// By check of which something is known to cause or to follow, when the latest opened.
    causal: BTreeMap<u64, Timestamp>,
    /// When the latest opened.
    pub latest: Timestamp,
    /// Alerts.
    pub alerts: u32,
    /// Grounds on which enough of the entities lie.
    leaders: Vec<u64>,
    pub posterior: Posterior,
    /// The same by service.
    pub nest: Nest,
    /// The part of Pitman and Yor's likelihood that lies in entities with several alerts.
    pub crowding: f64,
    /// When one of its alerts was last reconsidered.
    pub revised_at: Timestamp,
    /// When it was last tested for a joint merge.
    pub joint_at: Timestamp,
    /// What of it people spoke of.
    said_of: Present,
}

impl Profile {
    /// Of no alerts yet.
    pub fn new(seed: Seed) -> Self {
        Self {
            seed,
            system: None,
            tenants: FxHashMap::default(),
            grounds: FxHashMap::default(),
            checks: Vec::new(),
            bins: Vec::new(),
            lives: Vec::new(),
            endless: BTreeMap::new(),
            causal: BTreeMap::new(),
            latest: seed.at,
            alerts: 0,
            leaders: Vec::new(),
            posterior: Posterior::default(),
            nest: Nest::default(),
            crowding: 0.0,
            revised_at: Timestamp::MIN,
            joint_at: Timestamp::MIN,
            said_of: Present::default(),
        }
    }

    /// Whether something is known to connect it with another, however far.
    pub fn is_connected(&self, system: Option<u64>) -> bool {
        self.system.is_some() && self.system == system
    }

    /// The system that all its alerts are of.
    pub const fn system(&self) -> Option<u64> {
        self.system
    }

    /// What of it people spoke of.
    pub const fn said_of(&self) -> &Present {
        &self.said_of
    }

    /// People spoke of one more of its alerts, or of its kind.
    pub fn is_said_of(&mut self, key: u64) {
        self.said_of.add(key);
    }

    /// One of them has left.
    pub fn is_said_of_less(&mut self, keys: Keys) {
        self.said_of.remove(keys);
    }

    /// All that people spoke of is counted anew.
    pub fn unsay(&mut self) {
        self.said_of = Present::default();
    }

    /// Distinct entities.
    pub fn entities(&self) -> u32 {
        self.tenants.len() as u32
    }

    /// Alerts of an entity.
    pub fn alerts_of(&self, entity: u64) -> u32 {
        self.tenants.get(&entity).map_or(0, |t| t.alerts)
    }

    /// Alerts of an entity of which nobody tells when they have ended.
    pub fn endless_of(&self, entity: u64) -> u32 {
        self.endless.get(&entity).copied().unwrap_or(0)
    }

    /// Whether there are any.
    pub fn has_endless(&self) -> bool {
        !self.endless.is_empty()
    }

    /// How many entities lie on a ground, by ring.
    pub fn tally(&self, ground: u64) -> Tally {
        self.grounds.get(&ground).copied().unwrap_or_default()
    }

    /// When members opened and ended.
    pub fn lives(&self) -> &[(Timestamp, Timestamp)] {
        &self.lives
    }

    /// A member opened or ended.
    pub fn live(&mut self, episode: &Episode, member: usize) {
        let Some(it) = episode.members.get(member) else { return };
        match self.lives.get_mut(member) {
            Some(known) => *known = it.life(),
            None => {
                one_more(&mut self.lives);
                self.lives.push(it.life());
                self.go_on(it);
            }
        }
    }

    /// Members are others.
    pub fn relive(&mut self, episode: &Episode) {
        self.lives = episode.members.iter().map(|m| m.life()).collect();
        self.endless.clear();
        episode.members.iter().for_each(|member| self.go_on(member));
    }

    /// A member may go on where it is for all we know.
    fn go_on(&mut self, member: &Member) {
        if member.surprise.is_some() {
            *self.endless.entry(hash_of(&member.entity)).or_insert(0) += 1;
        }
    }

    /// Grounds on which enough of the entities lie, sorted where they were all looked at.
    pub fn leaders(&self) -> &[u64] {
        &self.leaders
    }

    /// An alert joins.
    pub fn add(&mut self, seen: &Sighting, learned: &Learned, cx: &Lens<'_>) {
        self.system = if self.alerts == 0 { seen.system } else { self.system.filter(|s| Some(*s) == seen.system) };
        self.alerts += 1;
        self.latest = self.latest.max(seen.at);
        count(&mut self.checks, (seen.check, 1), cx);
        if cx.tables.causality.knows(seen.check) {
            self.mark(seen.check, seen.at);
        }
        self.open(seen.at, 1);
        let tenant = self.tenants.entry(seen.entity).or_default();
        if tenant.alerts > 0 {
            self.crowding += crowd(tenant.alerts, seen.entity, learned, cx);
        } else {
            tenant.home = seen.home;
            self.nest.add(seen);
        }
        tenant.alerts += 1;
        tenant.spreads |= seen.spreads;
        if self.grounds.is_empty() {
            self.grounds.reserve(seen.facets.len());
        }
        let mut count = |facet: &Facet| {
            let tally = self.grounds.entry(facet.ground).or_default();
            let is_new = tally.total() == 0;
            tally.0[facet.ring as usize] += 1;
            // One that did not lead may do so now.
            if is_new || !self.leaders.contains(&{ facet.ground }) {
                self.leaders.push(facet.ground);
            }
        };
        if tenant.facets.is_empty() {
            tenant.facets.clone_from(&seen.facets);
            seen.facets.iter().for_each(count);
        } else if tenant.facets != seen.facets {
            for facet in &seen.facets {
                if let Err(place) = tenant.facets.binary_search_by_key(&{ facet.ground }, |f| f.ground) {
                    tenant.facets.insert(place, *facet);
                    count(facet);
                }
            }
        }
        let (grounds, entities) = (&self.grounds, self.tenants.len() as u32);
        self.leaders.retain(|ground| grounds.get(ground).is_some_and(|tally| tally.leads(entities, cx)));
        self.weigh(learned, cx);
    }

    /// One turns out to depend on another: what lies on it lies around the other too. Whether anything does.
    #[expect(clippy::disallowed_methods, reason = "what is counted has no order")]
    pub fn connect(&mut self, naming: &Naming, learned: &Learned, cx: &Lens<'_>) -> bool {
        let mut found = Tally::default();
        for tenant in self.tenants.values_mut().filter(|tenant| tenant.spreads) {
            let from = tenant.facets.binary_search_by_key(&naming.from, |f| f.ground);
            let ring = match from.map(|place| tenant.facets[place].ring) {
                Ok(Ring::Own) => Ring::Near,
                Ok(Ring::Near) => Ring::Far,
                _ => continue,
            };
            if let Err(place) = tenant.facets.binary_search_by_key(&naming.to, |f| f.ground) {
                tenant.facets.insert(place, Facet { ground: naming.to, ring });
                found.0[ring as usize] += 1;
            }
        }
        if found.total() == 0 {
            return false;
        }
        let tally = self.grounds.entry(naming.to).or_default();
        tally.0.iter_mut().zip(found.0).for_each(|(n, more)| *n += more);
        self.look_around(cx);
        self.weigh(learned, cx);
        true
    }

    /// An alert leaves.
    pub fn remove(&mut self, seen: Occurrence, learned: &Learned, cx: &Lens<'_>) {
        self.alerts = self.alerts.saturating_sub(1);
        if let Some(place) = self.checks.iter().position(|c| c.0 == seen.check) {
            self.checks[place].1 -= 1;
            if self.checks[place].1 == 0 {
                self.checks.remove(place);
                self.causal.remove(&seen.check);
            }
        }
        if let Ok(place) = self.bins.binary_search_by_key(&bin(seen.at), |b| b.0) {
            self.bins[place].1 -= 1;
            if self.bins[place].1 == 0 {
                self.bins.remove(place);
            }
        }
        let Some(tenant) = self.tenants.get_mut(&seen.entity) else { return };
        tenant.alerts -= 1;
        if tenant.alerts > 0 {
            self.crowding -= crowd(tenant.alerts, seen.entity, learned, cx);
        } else if let Some(tenant) = self.tenants.remove(&seen.entity) {
            self.nest.remove(tenant.home);
            for facet in tenant.facets {
                self.uncount(facet);
            }
        }
        self.look_around(cx);
        self.weigh(learned, cx);
    }

    fn uncount(&mut self, facet: Facet) {
        let Some(tally) = self.grounds.get_mut(&{ facet.ground }) else { return };
        tally.0[facet.ring as usize] -= 1;
        if tally.total() == 0 {
            self.grounds.remove(&{ facet.ground });
        }
    }

    /// Another episode's alerts join.
    pub fn absorb(&mut self, other: Self, learned: &Learned, cx: &Lens<'_>) {
        self.system = self.system.filter(|s| Some(*s) == other.system);
        self.alerts += other.alerts;
        self.latest = self.latest.max(other.latest);
        if other.seed.at < self.seed.at {
            self.seed = other.seed;
        }
        for (check, n) in other.checks {
            count(&mut self.checks, (check, n), cx);
        }
        for (check, at) in other.causal {
            self.mark(check, at);
        }
        for (bin, n) in other.bins {
            self.open(Timestamp(bin.saturating_mul(BIN)), n);
        }
        self.crowding += other.crowding;
        let mut tenants: Vec<(u64, Tenant)> = other.tenants.into_iter().collect();
        tenants.sort_unstable_by_key(|t| t.0);
        let mut twice = Vec::new();
        for (entity, more) in tenants {
            let tenant = self.tenants.entry(entity).or_default();
            if tenant.alerts == 0 {
                tenant.home = more.home;
            } else {
                twice.push(more.home);
                self.crowding += overlap(tenant.alerts, more.alerts, entity, learned, cx);
            }
            tenant.alerts += more.alerts;
            for facet in more.facets {
                if let Err(place) = tenant.facets.binary_search_by_key(&{ facet.ground }, |f| f.ground) {
                    tenant.facets.insert(place, facet);
                    self.grounds.entry(facet.ground).or_default().0[facet.ring as usize] += 1;
                }
            }
        }
        self.nest.absorb(&other.nest, &twice);
        self.look_around(cx);
        self.weigh(learned, cx);
    }

    fn mark(&mut self, check: u64, at: Timestamp) {
        let latest = self.causal.entry(check).or_insert(at);
        *latest = at.max(*latest);
    }

    /// When the latest alert of a check opened of which something is known to cause or to follow.
    pub fn latest_of(&self, check: u64) -> Option<Timestamp> {
        self.causal.get(&check).copied()
    }

    fn open(&mut self, at: Timestamp, n: u32) {
        let bin = bin(at);
        match self.bins.binary_search_by_key(&bin, |b| b.0) {
            Ok(place) => self.bins[place].1 += n,
            Err(place) => {
                one_more(&mut self.bins);
                self.bins.insert(place, (bin, n));
            }
        }
    }

    /// Which grounds lead, all looked at.
    #[expect(clippy::disallowed_methods, reason = "they are sorted")]
    fn look_around(&mut self, cx: &Lens<'_>) {
        let entities = self.tenants.len() as u32;
        let leading = self.grounds.iter().filter(|(_, tally)| tally.leads(entities, cx));
        self.leaders = leading.map(|(ground, _)| *ground).collect();
        self.leaders.sort_unstable();
    }

    /// What explains best where its entities lie.
    fn weigh(&mut self, learned: &Learned, cx: &Lens<'_>) {
        let may_be_none = self.may_be_none(cx);
        self.posterior = Posterior::new(self.leading(), self.entities(), may_be_none, learned, cx);
        if cx.tables.uses(Clue::Services) {
            self.nest.weigh(may_be_none, learned, cx);
        }
    }

    /// How likely it is that its outage spreads from service to service.
    pub fn nested(&self, cx: &Lens<'_>) -> f64 {
        if !cx.tables.uses(Clue::Services) {
            return 0.0;
        }
        let services = cx.policy.correlate.place.services;
        let odds = (1.0 - services) / services * libm::exp(self.posterior.evidence - self.nest.evidence());
        1.0 / (1.0 + odds)
    }

    /// The evidence of its posterior by what is known now.
    pub fn evidence_now(&self, learned: &Learned, cx: &Lens<'_>) -> f64 {
        let flat = place::evidence(self.leading(), self.entities(), self.may_be_none(cx), learned, cx);
        nest::either(flat, || self.nest.evidence_now(self.may_be_none(cx), learned, cx), cx)
    }

    fn leading(&self) -> impl Iterator<Item = (u64, Tally)> {
        self.leaders.iter().map(|ground| (*ground, self.tally(*ground)))
    }

    fn may_be_none(&self, cx: &Lens<'_>) -> bool {
        self.alerts < 2 || self.is_company(cx) || self.system.is_some()
    }

    /// How many alerts a second it draws at a time: what lies within the resolution of the origins is at hand.
    pub fn density(&self, at: Timestamp, resolution: Span, cx: &Lens<'_>) -> f64 {
        let mut sum = 0.0;
        for (bin, n) in &self.bins {
            let gap = at.0.saturating_sub(bin.saturating_mul(BIN)).saturating_sub(BIN / 2).saturating_abs();
            let gap = if gap < BIN { BIN / 2 } else { gap };
            sum += f64::from(*n) * cx.tables.kernel(Span(gap - resolution.0));
        }
        sum * cx.policy.correlate.time.offspring
    }

    /// How many alerts a second of an entity it draws at a time, because so many others of it go on for all we know.
    pub fn lingering(&self, open: u32, at: Timestamp, cx: &Lens<'_>) -> f64 {
        if open == 0 { 0.0 } else { f64::from(open) * cx.late(at - self.latest) }
    }

    /// How many alerts a second of another's it draws, on average, because it goes on where that one's are.
    pub fn lingering_for(&self, other: &Self, shared: &Shared, cx: &Lens<'_>) -> f64 {
        let met = |entity: &u64| u64::from(self.endless_of(*entity)) * u64::from(other.alerts_of(*entity));
        let met: u64 = shared.both.iter().map(met).sum();
        met as f64 / f64::from(other.alerts.max(1)) * cx.late(other.seed.at - self.latest)
    }

    /// What one alert adds to the density at its own time.
    pub fn own_density(resolution: Span, cx: &Lens<'_>) -> f64 {
        cx.tables.kernel(Span(BIN / 2 - resolution.0)) * cx.policy.correlate.time.offspring
    }

    /// Openings so near to a time.
    pub fn around(&self, at: Timestamp, within: Span) -> u32 {
        let near = |b: &&(i64, u32)| b.0.abs_diff(bin(at)) <= within.0.unsigned_abs() / BIN.unsigned_abs();
        self.bins.iter().filter(near).map(|b| b.1).sum()
    }

    /// What entities of both would add to the crowding of the two together, and what they would not add to its grounds.
    #[expect(clippy::disallowed_methods, reason = "what is summed as floats is sorted")]
    pub fn shared(&self, other: &Self, learned: &Learned, cx: &Lens<'_>) -> Shared {
        let (few, many) = if self.tenants.len() <= other.tenants.len() { (self, other) } else { (other, self) };
        let mut both: Vec<u64> = few.tenants.keys().filter(|e| many.tenants.contains_key(e)).copied().collect();
        both.sort_unstable();
        let mut shared = Shared { both, crowding: 0.0, twice: Vec::new(), homes: Vec::new() };
        for entity in &shared.both {
            let (a, b) = (&few.tenants[entity], &many.tenants[entity]);
            shared.crowding += overlap(a.alerts, b.alerts, *entity, learned, cx);
            shared.homes.push(b.home);
            shared.twice.extend(a.facets.iter().filter(|f| b.facets.iter().any(|g| g.ground == f.ground)));
        }
        shared
    }
}

/// What two episodes have both.
#[derive(Debug)]
pub struct Shared {
    /// Entities; sorted.
    pub both: Vec<u64>,
    pub crowding: f64,
    /// What would be counted twice.
    pub twice: Vec<Facet>,
    /// The services of those entities.
    pub homes: Vec<u64>,
}

impl Tally {
    /// Whether enough lies on it to explain something.
    pub fn leads(&self, entities: u32, cx: &Lens<'_>) -> bool {
        f64::from(self.total()) >= f64::from(entities) * cx.policy.correlate.place.share_min
    }
}

const fn bin(at: Timestamp) -> i64 {
    at.0.div_euclid(BIN)
}

/// Those beyond the limit count as the last.
fn count(checks: &mut Vec<(u64, u32)>, (check, n): (u64, u32), cx: &Lens<'_>) {
    let max = cx.policy.correlate.bounds.checks_per_episode;
    match checks.iter().position(|c| c.0 == check) {
        Some(known) => checks[known].1 += n,
        None if checks.len() < max => {
            one_more(checks);
            checks.push((check, n));
        }
        None => checks.last_mut().into_iter().for_each(|last| last.1 += n),
    }
}

/// What one alert more adds where an entity has some.
fn crowd(alerts: u32, entity: u64, learned: &Learned, cx: &Lens<'_>) -> f64 {
    let discount = cx.policy.correlate.place.discount;
    libm::log((f64::from(alerts) - discount) * learned.rarity(entity, cx.population))
}

/// What `a` and `b` alerts of an entity add together beyond what each group adds by itself.
fn overlap(a: u32, b: u32, entity: u64, learned: &Learned, cx: &Lens<'_>) -> f64 {
    let discount = cx.policy.correlate.place.discount;
    let part = |n: u32| libm::lgamma(f64::from(n) - discount);
    let rising = part(a + b) - part(a) - part(b) + libm::lgamma(1.0 - discount);
    rising + libm::log(learned.rarity(entity, cx.population))
}
