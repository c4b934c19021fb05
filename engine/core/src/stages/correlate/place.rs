//! Where: which ground explains best where an episode's entities lie, and how well another alert fits it.
//!
//! The grounds are alternatives, so that what topology, labels and addresses say alike counts once. Each is a Dirichlet
//! distribution over its rings (Minka, "Estimating a Dirichlet distribution", 2000), against the share of all entities
//! that lies in the ring. Several alerts of one entity count as one place (`urn.rs`).
use super::{
    Lens,
    learned::{GroundShares, Learned},
    profile::Profile,
    sighting::Sighting,
    tables::{CATEGORIES, OUTSIDE},
};
use crate::domain::topology::places::Ring;
use serde::{Deserialize, Serialize};

/// A prior of what is ruled out; not 0, for its logarithm.
const UNTHINKABLE: f64 = 1e-9;
/// What is so many nats below all others together is not.
const NEGLIGIBLE: f64 = 14.0;

/// How many entities lie on a ground, by ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally(pub [u32; Ring::COUNT]);

impl Tally {
    /// In all rings.
    pub const fn total(&self) -> u32 {
        let [own, near, far, beside] = self.0;
        own + near + far + beside
    }
}

/// A ground that may be where the cause lies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hypothesis {
    pub ground: u64,
    /// How likely it is, given the episode.
    pub weight: f64,
    /// How much likelier than elsewhere the next entity lies in each ring, and outside.
    ratios: [f64; CATEGORIES],
}

/// Which ground it is, given the episode.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Posterior {
    /// Likeliest first.
    pub grounds: Vec<Hypothesis>,
    /// How likely it is that it is none.
    pub root: f64,
    /// `ln` of how much likelier the episode's entities are than any others.
    pub evidence: f64,
}

impl Posterior {
    /// How much likelier than anywhere what is seen lies here. That it lies on no ground counts where it `may_be_none`.
    pub fn ratio(&self, seen: &Sighting, may_be_none: bool) -> f64 {
        let ratio = |h: &Hypothesis| h.ratios[seen.ring(h.ground).map_or(OUTSIDE, |ring| ring as usize)];
        let root = if may_be_none { self.root } else { 0.0 };
        root + self.grounds.iter().map(|h| h.weight * ratio(h)).sum::<f64>()
    }

    /// Of grounds and how many of the `entities` lie on each. That they lie on none is thought of where `may_be_none`.
    pub fn new(
        of: impl Iterator<Item = (u64, Tally)>,
        entities: u32,
        may_be_none: bool,
        learned: &Learned,
        cx: &Lens<'_>,
    ) -> Self {
        let root = ln_root(may_be_none, cx);
        let all = weighed(of, entities, learned, cx);
        let evidence = sum_of(&all, root);
        let likely = all.partition_point(|h| h.0 > evidence - NEGLIGIBLE).min(cx.policy.correlate.bounds.hypotheses);
        let hypothesis = |&(weight, ground, tally): &Weighed| {
            let ratios = ratios(ground, tally, entities, learned, cx);
            Hypothesis { ground, weight: libm::exp(weight - evidence), ratios }
        };
        Self { grounds: all[..likely].iter().map(hypothesis).collect(), root: libm::exp(root - evidence), evidence }
    }
}

/// A posterior's evidence alone.
pub fn evidence(
    of: impl Iterator<Item = (u64, Tally)>,
    entities: u32,
    may_be_none: bool,
    learned: &Learned,
    cx: &Lens<'_>,
) -> f64 {
    sum_of(&weighed(of, entities, learned, cx), ln_root(may_be_none, cx))
}

/// `ln` of the weight of a ground, and how many of the entities lie on it.
type Weighed = (f64, u64, Tally);

/// The likeliest first.
fn weighed(of: impl Iterator<Item = (u64, Tally)>, entities: u32, learned: &Learned, cx: &Lens<'_>) -> Vec<Weighed> {
    let weigh = |(ground, tally)| Some((ln_weight(ground, tally, entities, learned, cx)?, ground, tally));
    let mut all: Vec<Weighed> = Vec::with_capacity(of.size_hint().1.unwrap_or(0));
    all.extend(of.filter_map(weigh));
    all.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    all
}

/// What befalls all of a small system has no ground that is known; in a large one hardly anything befalls all.
fn ln_root(may_be_none: bool, cx: &Lens<'_>) -> f64 {
    let place = &cx.policy.correlate.place;
    let root = (place.root / cx.population).min(place.root_max);
    libm::log(if may_be_none { root } else { UNTHINKABLE })
}

/// `ln` of the sum of all weights.
fn sum_of(all: &[Weighed], root: f64) -> f64 {
    let top = all.first().map_or(root, |h| h.0.max(root));
    let sum = all.iter().map(|h| libm::exp(h.0 - top)).sum::<f64>() + libm::exp(root - top);
    top + libm::log(sum)
}

impl GroundShares {
    /// Whether it tells anything that something lies on it so: what nearly all do tells nothing.
    pub fn explains(&self, tally: Tally, cx: &Lens<'_>) -> bool {
        tally.0.iter().zip(self.shares).any(|(n, share)| *n > 0 && share < cx.policy.correlate.place.common)
    }
}

/// `ln` of a ground's prior and likelihood; `None` where it explains nothing.
fn ln_weight(ground: u64, tally: Tally, entities: u32, learned: &Learned, cx: &Lens<'_>) -> Option<f64> {
    let known = learned.ground(ground, cx);
    let shares = cx.tables.shares(known.kind);
    if !known.explains(tally, cx) {
        return None;
    }
    let outside = entities.saturating_sub(tally.total());
    let mut ln = shares.ln_rising(OUTSIDE, outside) - cx.tables.all.ln(entities);
    for (ring, (n, share)) in tally.0.iter().zip(known.shares).enumerate().filter(|(_, (n, _))| **n > 0) {
        ln += shares.ln_rising(ring, *n) - f64::from(*n) * libm::log(share);
    }
    let prior = cx.tables.prior(known.kind) * known.shares[Ring::Own as usize] / learned.multiplicity(known.kind);
    Some(libm::log(prior.max(1e-12)) + ln)
}

/// How much likelier than elsewhere the next entity lies in each ring, and outside.
fn ratios(ground: u64, tally: Tally, entities: u32, learned: &Learned, cx: &Lens<'_>) -> [f64; CATEGORIES] {
    let known = learned.ground(ground, cx);
    let weights = cx.tables.shares(known.kind).weights;
    let all = cx.policy.correlate.place.concentration + f64::from(entities);
    let mut ratios = [0.0; CATEGORIES];
    ratios[OUTSIDE] = (weights[OUTSIDE] + f64::from(entities.saturating_sub(tally.total()))) / all;
    for (ring, (n, share)) in tally.0.iter().zip(known.shares).enumerate() {
        ratios[ring] = (weights[ring] + f64::from(*n)) / all / share;
    }
    ratios
}

/// How an alert fits where an episode lies.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fit {
    /// How much likelier than anywhere.
    pub odds: f64,
    /// The ground that says most; `None` where no ground says anything.
    pub ground: Option<u64>,
}

impl Profile {
    /// How an alert that is not in the episode fits.
    pub fn fit(&self, seen: &Sighting, learned: &Learned, cx: &Lens<'_>) -> Fit {
        let mut fit = self.lies(seen, learned, cx);
        fit.odds =
            self.crowd(fit.odds, seen.entity, self.alerts, self.alerts_of(seen.entity), self.entities(), learned, cx);
        fit
    }

    /// How what is seen lies where the episode does, whoever has alerts there.
    fn lies(&self, seen: &Sighting, learned: &Learned, cx: &Lens<'_>) -> Fit {
        let may_be_none = self.may_lie_nowhere(seen, cx);
        let root = if may_be_none { self.posterior.root } else { 0.0 };
        let mut fit = Fit { odds: root, ground: None };
        let mut most = root;
        for hypothesis in &self.posterior.grounds {
            let category = seen.ring(hypothesis.ground).map_or(OUTSIDE, |ring| ring as usize);
            let odds = hypothesis.weight * hypothesis.ratios[category];
            fit.odds += odds;
            if odds > most && category != OUTSIDE {
                (most, fit.ground) = (odds, Some(hypothesis.ground));
            }
        }
        fit.odds = self.either(fit.odds, || self.nest.fit(seen, may_be_none, learned, cx), cx);
        fit
    }

    /// How one of the episode's own fits the rest. Bayes' rule backwards: the evidence without it is the evidence less its
    /// share, so that the odds are a harmonic mean.
    pub fn fit_of_own(&self, seen: &Sighting, learned: &Learned, cx: &Lens<'_>) -> Fit {
        // None where it is all there is, or was never counted.
        let alerts = self.alerts.saturating_sub(1);
        let of_entity = self.alerts_of(seen.entity);
        if of_entity > 1 {
            let mut fit = self.lies(seen, learned, cx);
            fit.odds = self.crowd(fit.odds, seen.entity, alerts, of_entity - 1, self.entities(), learned, cx);
            return fit;
        }
        let all = cx.policy.correlate.place.concentration + f64::from(self.entities());
        let mut fit = Fit { odds: 0.0, ground: None };
        let (mut inverse, mut most) = (self.posterior.root, self.posterior.root);
        for hypothesis in &self.posterior.grounds {
            let ring = seen.ring(hypothesis.ground);
            let category = ring.map_or(OUTSIDE, |ring| ring as usize);
            let (tally, known) = (self.tally(hypothesis.ground), learned.ground(hypothesis.ground, cx));
            let count = ring.map_or(self.entities() - tally.total().min(self.entities()), |r| tally.0[r as usize]);
            let weight = cx.tables.shares(known.kind).weights[category] + f64::from(count);
            let before = hypothesis.ratios[category] * (weight - 1.0).max(1e-6) / weight * all / (all - 1.0);
            inverse += hypothesis.weight / before.max(1e-9);
            if hypothesis.weight > most && ring.is_some() {
                (most, fit.ground) = (hypothesis.weight, Some(hypothesis.ground));
            }
        }
        let others = self.entities().saturating_sub(1);
        let may_be_none = self.may_lie_nowhere(seen, cx);
        let base = self.either(1.0 / inverse.max(1e-12), || self.nest.fit_of_own(seen, may_be_none, learned, cx), cx);
        fit.odds = self.crowd(base, seen.entity, alerts, 0, others, learned, cx);
        fit
    }

    /// Weighed one by one, or by service.
    fn either(&self, flat: f64, nested: impl FnOnce() -> f64, cx: &Lens<'_>) -> f64 {
        let share = self.nested(cx);
        if share > 0.0 { (1.0 - share) * flat + share * nested() } else { flat }
    }

    /// Two alerts that share nothing but the time are no pair: that takes more company, or that something connects them.
    fn may_lie_nowhere(&self, seen: &Sighting, cx: &Lens<'_>) -> bool {
        self.is_company(cx) || self.is_connected(seen.system)
    }

    /// Many enough to have nothing in common but a cause that is unknown.
    pub const fn is_company(&self, cx: &Lens<'_>) -> bool {
        self.alerts >= cx.policy.correlate.place.root_alerts
    }

    /// An entity that is new to the episode, or one that has alerts there.
    #[expect(clippy::too_many_arguments, reason = "they are counts of one urn")]
    fn crowd(
        &self,
        base: f64,
        entity: u64,
        alerts: u32,
        of_entity: u32,
        entities: u32,
        learned: &Learned,
        cx: &Lens<'_>,
    ) -> f64 {
        let new = cx.tables.urn.new_group(alerts, entities) * base;
        if of_entity == 0 {
            return new;
        }
        new + cx.tables.urn.same_group(alerts, of_entity) * learned.rarity(entity, cx.population)
    }
}
