//! What of the model does not change while the policy stands, worked out once.
use super::{causality::Causality, urn::Urn};
use crate::domain::{
    hash::hash_of,
    policy::{Clue, Correlate, PlaceModel},
    time::Span,
    topology::places::{GroundKind, Ring},
};

/// Beyond so many seconds two alerts say nothing about each other.
const REACH_SECONDS: usize = 1_800;
/// Counts up to which rising factorials are looked up.
const RISING_MAX: usize = 256;
/// Nothing depends on what is no service, but the share must not be 0.
const NO_RING: f64 = 0.000_1;

/// Categories of a ground: its rings, and outside.
pub const CATEGORIES: usize = Ring::COUNT + 1;
/// Outside of a ground.
pub const OUTSIDE: usize = Ring::COUNT;

/// The weights of a Dirichlet distribution over the categories of a ground.
#[derive(Debug)]
pub struct Shares {
    pub weights: [f64; CATEGORIES],
    rising: [Rising; CATEGORIES],
}

impl Shares {
    fn new(weights: [f64; CATEGORIES]) -> Self {
        Self { weights, rising: weights.map(Rising::new) }
    }

    /// `ln (weight)(weight + 1) … (weight + count - 1)`
    pub fn ln_rising(&self, category: usize, count: u32) -> f64 {
        self.rising[category].ln(count)
    }
}

/// `ln x (x + 1) … (x + n - 1)`, that is `ln Γ(x + n) − ln Γ(x)`.
#[derive(Debug)]
pub struct Rising {
    x: f64,
    sums: Vec<f64>,
}

impl Rising {
    /// Of `x`.
    pub fn new(x: f64) -> Self {
        let mut sum = 0.0;
        let mut sums = vec![0.0];
        for n in 0..RISING_MAX {
            sum += libm::log(x + n as f64);
            sums.push(sum);
        }
        Self { x, sums }
    }

    /// For `n`.
    pub fn ln(&self, n: u32) -> f64 {
        let known = self.sums.get(n as usize).copied();
        known.unwrap_or_else(|| libm::lgamma(self.x + f64::from(n)) - libm::lgamma(self.x))
    }
}

/// The tables of a policy.
#[derive(Debug)]
pub struct Tables {
    /// How densely an alert draws others so many seconds later.
    kernel: Vec<f64>,
    /// What is left of an episode so many seconds after its alerts have cleared.
    fade: Vec<f64>,
    pub service: Shares,
    pub other: Shares,
    pub all: Rising,
    pub urn: Urn,
    pub(super) causality: Causality,
    priors: [f64; GroundKind::COUNT],
    clues: [bool; Clue::ALL.len()],
}

impl Tables {
    /// Of a policy.
    pub fn new(policy: &Correlate) -> Self {
        let seconds = |span: Span| (span.0.max(1) as f64) / 1_000.0;
        let spans = policy.time.spans.map(seconds);
        let window = seconds(policy.window);
        let is_timed = policy.clues.contains(&Clue::Time);
        let density = |s: usize| match is_timed {
            true => spans.iter().map(|tau| libm::exp(-(s as f64) / tau) / tau).sum::<f64>() / 3.0,
            false => f64::from(u8::from(s as f64 <= window)) / window,
        };
        let fades = policy.clues.contains(&Clue::Lifetimes);
        let fade = |s: usize| if fades { libm::exp(-(s as f64) / seconds(policy.time.fade)) } else { 1.0 };
        let place = &policy.place;
        Self {
            kernel: (0..=REACH_SECONDS).map(density).collect(),
            fade: (0..=REACH_SECONDS).map(fade).collect(),
            service: Shares::new(service_weights(place)),
            other: Shares::new(other_weights(place)),
            all: Rising::new(place.concentration),
            urn: Urn::new(place),
            causality: Causality::new(policy),
            priors: [place.entity, place.parent, place.grandparent, place.service, place.label],
            clues: Clue::ALL.map(|clue| policy.clues.contains(&clue)),
        }
    }

    /// Whether something may speak for a common cause.
    pub const fn uses(&self, clue: Clue) -> bool {
        self.clues[clue as usize]
    }

    /// What is known to cause a check of a name, each as the hash of its own, and how many alerts of it one of each draws.
    pub fn causes(&self, check: &str) -> impl Iterator<Item = (u64, f64)> {
        self.causality.causes(hash_of(check))
    }

    /// How densely an alert draws others after a gap, per second.
    pub fn kernel(&self, gap: Span) -> f64 {
        self.kernel.get(whole_seconds(gap)).copied().unwrap_or(0.0)
    }

    /// What is left of an episode after a gap without its alerts.
    pub fn fade(&self, gap: Span) -> f64 {
        self.fade.get(whole_seconds(gap)).copied().unwrap_or(0.0)
    }

    /// The weights of a kind of ground.
    pub const fn shares(&self, kind: GroundKind) -> &Shares {
        if matches!(kind, GroundKind::Service) { &self.service } else { &self.other }
    }

    /// How often a kind of ground is where a cause lies.
    pub const fn prior(&self, kind: GroundKind) -> f64 {
        self.priors[kind as usize]
    }
}

fn whole_seconds(gap: Span) -> usize {
    usize::try_from(gap.0.max(0) / 1_000).unwrap_or(usize::MAX)
}

fn service_weights(place: &PlaceModel) -> [f64; CATEGORIES] {
    let inside = place.concentration * (1.0 - place.outside);
    let [own, near, far, beside] = place.rings.map(|share| inside * share);
    [own, near, far, beside, place.concentration * place.outside]
}

fn other_weights(place: &PlaceModel) -> [f64; CATEGORIES] {
    let beside = place.rings[Ring::Beside as usize] * place.mentions;
    let shares = [1.0 - place.outside - beside, NO_RING, NO_RING, beside, place.outside];
    shares.map(|share| share * place.concentration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rising_factorials_go_on_beyond_the_table() {
        let rising = Rising::new(2.5);
        assert!((rising.ln(2) - libm::log(2.5 * 3.5)).abs() < 1e-12);
        let step = rising.ln(RISING_MAX as u32 + 1) - rising.ln(RISING_MAX as u32);
        assert!((step - libm::log(2.5 + RISING_MAX as f64)).abs() < 1e-9);
    }

    #[test]
    fn an_alert_draws_its_successors_once() {
        let tables = Tables::new(&Correlate::default());
        let total: f64 = (0..1_800).map(|s| tables.kernel(Span::seconds(s))).sum();
        assert!((0.95..1.1).contains(&total), "{total}");
        assert_eq!(tables.kernel(Span::hours(2)), 0.0);
    }
}
