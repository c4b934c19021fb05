//! An outage spreads from service to service, and within each from host to host: where an episode lies is told twice.
//!
//! Its entities are grouped by service, and it is the services that are weighed against the grounds; what more hosts of a
//! service say is said of that service. Which service an entity is of is Pitman and Yor's process once more, so that two
//! outages do not become one for having many hosts each. Without it every service is a wall within the outage of the
//! database that all of them stand on.
use super::{
    Lens,
    learned::Learned,
    place::{self, Posterior, Tally},
    sighting::Sighting,
};
use crate::domain::{
    policy::Clue,
    topology::places::{Facet, Ring},
};
use crate::room::one_more;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// The entities of one service, or one entity that has none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Home {
    id: u64,
    entities: u32,
    /// How it lies on which grounds.
    facets: Vec<Facet>,
}

/// The entities of an episode by service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Nest {
    /// Sorted by id.
    homes: Vec<Home>,
    entities: u32,
    /// Where the services lie.
    posterior: Posterior,
    /// Where that was worked out for these services: whether they might lie nowhere.
    weighed: Option<bool>,
    /// `ln` of how likely so many entities each of so many services are, against any others.
    spread: f64,
}

/// `ln` of two likelihoods mixed; the first where services are not looked at.
pub fn either(flat: f64, nested: impl FnOnce() -> f64, cx: &Lens<'_>) -> f64 {
    if !cx.tables.uses(Clue::Services) {
        return flat;
    }
    let nested = nested();
    let most = flat.max(nested);
    let services = cx.policy.correlate.place.services;
    most + libm::log((1.0 - services) * libm::exp(flat - most) + services * libm::exp(nested - most))
}

impl Nest {
    /// Of several as one; `twice` are the services of entities that are of two.
    pub fn of_all<'a>(parts: impl IntoIterator<Item = &'a Self>, twice: &[u64]) -> Self {
        let mut all = Self::default();
        for part in parts {
            all.absorb(part, &[]);
        }
        twice.iter().for_each(|id| all.remove(*id));
        all
    }

    fn place(&self, id: u64) -> Result<usize, usize> {
        self.homes.binary_search_by_key(&id, |home| home.id)
    }

    fn of(&self, id: u64) -> u32 {
        self.place(id).map_or(0, |place| self.homes[place].entities)
    }

    /// An entity joins.
    pub fn add(&mut self, seen: &Sighting) {
        self.entities += 1;
        match self.place(seen.home) {
            Ok(place) => self.homes[place].entities += 1,
            Err(place) => {
                one_more(&mut self.homes);
                self.homes.insert(place, Home { id: seen.home, entities: 1, facets: seen.facets_of_home() });
                self.weighed = None;
            }
        }
    }

    /// An entity leaves.
    pub fn remove(&mut self, id: u64) {
        let Ok(place) = self.place(id) else { return };
        self.entities -= 1;
        self.homes[place].entities -= 1;
        if self.homes[place].entities == 0 {
            self.homes.remove(place);
            self.weighed = None;
        }
    }

    /// Those of another join; `twice` are the services of entities that are of both.
    pub fn absorb(&mut self, other: &Self, twice: &[u64]) {
        for home in &other.homes {
            match self.place(home.id) {
                Ok(place) => self.homes[place].entities += home.entities,
                Err(place) => self.homes.insert(place, home.clone()),
            }
        }
        self.entities += other.entities;
        self.weighed = None;
        twice.iter().for_each(|id| self.remove(*id));
    }

    /// How many services lie on which grounds; sorted by ground.
    fn tallies(&self, cx: &Lens<'_>) -> Vec<(u64, Tally)> {
        let mut tallies: FxHashMap<u64, Tally> = FxHashMap::default();
        for facet in self.homes.iter().flat_map(|home| &home.facets) {
            tallies.entry(facet.ground).or_default().0[facet.ring as usize] += 1;
        }
        let services = self.homes.len() as u32;
        let mut leading: Vec<_> = tallies.into_iter().filter(|(_, tally)| tally.leads(services, cx)).collect();
        leading.sort_unstable_by_key(|(ground, _)| *ground);
        leading
    }

    fn spread(&self, learned: &Learned, cx: &Lens<'_>) -> f64 {
        let urn = &cx.tables.urn;
        let mut ln = urn.ln(self.entities, self.homes.len() as u32);
        for home in self.homes.iter().filter(|home| home.entities > 1) {
            let more = home.entities - 1;
            ln += urn.ln_again(more) - f64::from(more) * libm::log(share(home.id, learned, cx));
        }
        ln
    }

    /// What explains best where its services lie.
    pub fn weigh(&mut self, may_be_none: bool, learned: &Learned, cx: &Lens<'_>) {
        if self.weighed != Some(may_be_none) {
            let services = self.homes.len() as u32;
            self.posterior = Posterior::new(self.tallies(cx).into_iter(), services, may_be_none, learned, cx);
            self.weighed = Some(may_be_none);
        }
        self.spread = self.spread(learned, cx);
    }

    /// `ln` of how much likelier its entities are, by service, than any others.
    pub const fn evidence(&self) -> f64 {
        self.posterior.evidence + self.spread
    }

    /// The same by what is known now.
    pub fn evidence_now(&self, may_be_none: bool, learned: &Learned, cx: &Lens<'_>) -> f64 {
        let services = self.homes.len() as u32;
        place::evidence(self.tallies(cx).into_iter(), services, may_be_none, learned, cx) + self.spread(learned, cx)
    }

    /// How much likelier than anywhere an entity that is new here lies here.
    pub fn fit(&self, seen: &Sighting, may_be_none: bool, learned: &Learned, cx: &Lens<'_>) -> f64 {
        let services = self.homes.len() as u32;
        self.next(seen, (self.entities, services, self.of(seen.home)), may_be_none, learned, cx)
    }

    /// The same of one of its own, against the rest.
    pub fn fit_of_own(&self, seen: &Sighting, may_be_none: bool, learned: &Learned, cx: &Lens<'_>) -> f64 {
        let (services, own) = (self.homes.len() as u32, self.of(seen.home));
        let others = services.saturating_sub(u32::from(own == 1));
        let counts = (self.entities.saturating_sub(1), others, own.saturating_sub(1));
        self.next(seen, counts, may_be_none, learned, cx)
    }

    /// One more entity, where there are so many of so many services, and so many of its own.
    fn next(
        &self,
        seen: &Sighting,
        (entities, services, own): (u32, u32, u32),
        may_be_none: bool,
        learned: &Learned,
        cx: &Lens<'_>,
    ) -> f64 {
        let urn = &cx.tables.urn;
        if own > 0 {
            return urn.same_group(entities, own) / share(seen.home, learned, cx);
        }
        urn.new_group(entities, services) * self.posterior.ratio(seen, may_be_none)
    }
}

fn share(home: u64, learned: &Learned, cx: &Lens<'_>) -> f64 {
    learned.ground(home, cx).shares[Ring::Own as usize]
}
