//! The weights of one kind's causes, by expectation and maximisation.
use super::rows::Entry;

/// What is known of a kind without any cause.
pub const COMMON: usize = 4;
/// Steps of a fit that starts anew.
pub const ANEW: usize = 60;
/// Steps are taken until so many of them gain less than so much log-likelihood.
const STEPS: usize = 4;
const WORTH: f64 = 0.05;
/// What is tried first of a weight.
const DRAWN: f64 = 0.05;
const OWN: f64 = 0.1;
const BASE: f64 = 0.3;
/// A weight that starts smaller would take long to grow.
const LEAST: f64 = 1e-12;
const RATE_LEAST: f64 = 1e-300;

/// A kind that may be a cause of another.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    pub kind: u32,
    pub entries: &'a [Entry],
    /// What its events could have drawn, at their places and at their neighbours.
    pub exposure: [f64; 2],
}

/// The events of one kind, and what let expect them.
#[derive(Clone, Debug)]
pub struct Effect<'a> {
    pub kind: u32,
    /// By event: what the kind draws of itself, how often it comes to the place, and at this time of day.
    pub own: Vec<[f32; COMMON - 1]>,
    /// By event: the occasion that it is of.
    pub occasion: Vec<usize>,
    /// Seconds times places; what the kind could have drawn of itself; its events; those that come by the clock.
    pub exposure: [f64; COMMON],
    pub sources: Vec<Source<'a>>,
}

/// Weights: of the base rate, of itself, of the place's rate and of the time of day; and of each cause.
#[derive(Clone, Debug, Default)]
pub struct Weights {
    pub common: [f64; COMMON],
    pub drawn: Vec<[f64; 2]>,
}

/// With the log-likelihood.
#[derive(Clone, Debug, Default)]
pub struct Fitted {
    pub weights: Weights,
    pub likelihood: f64,
}

impl Weights {
    /// Where the search starts that knows nothing.
    pub fn first(effect: &Effect<'_>, causes: usize) -> Self {
        let base = BASE * effect.own.len() as f64 / effect.exposure[0].max(1e-9);
        Self { common: [base, OWN, OWN, OWN], drawn: vec![[DRAWN; 2]; causes] }
    }

    /// With one more cause.
    pub fn and_one(&self) -> Self {
        let mut drawn: Vec<_> = self.drawn.iter().map(|of| of.map(|a| a.max(LEAST))).collect();
        drawn.push([DRAWN; 2]);
        Self { common: self.common.map(|a| a.max(LEAST)), drawn }
    }
}

impl<'a> Effect<'a> {
    fn causes<'b>(&'b self, causes: &'b [usize]) -> impl Iterator<Item = &'b Source<'a>> {
        causes.iter().map(|cause| &self.sources[*cause])
    }

    /// The rate at each event.
    pub fn rates(&self, causes: &[usize], weights: &Weights, rates: &mut Vec<f64>) {
        let [base, own, rate, daily] = weights.common;
        let known = |[s, r, d]: &[f32; 3]| base + own * f64::from(*s) + rate * f64::from(*r) + daily * f64::from(*d);
        rates.clear();
        rates.extend(self.own.iter().map(known));
        for (source, [here, near]) in self.causes(causes).zip(&weights.drawn) {
            for entry in source.entries {
                rates[entry.row as usize] += here * f64::from(entry.drawn[0]) + near * f64::from(entry.drawn[1]);
            }
        }
        for rate in rates {
            *rate = rate.max(RATE_LEAST);
        }
    }

    /// Events that the weights let expect in all.
    pub fn expected(&self, causes: &[usize], weights: &Weights) -> f64 {
        let common: f64 = weights.common.iter().zip(self.exposure).map(|(a, of)| a * of).sum();
        let drawn = self.causes(causes).zip(&weights.drawn).map(|(source, a)| dot(*a, source.exposure));
        common + drawn.sum::<f64>()
    }

    /// The best weights of these causes, in at most so many steps.
    pub fn fit(&self, causes: &[usize], from: Weights, steps: usize, rates: &mut Vec<f64>) -> Fitted {
        let mut weights = from;
        let mut before = f64::NEG_INFINITY;
        for step in 0..steps {
            self.rates(causes, &weights, rates);
            if step % STEPS == STEPS - 1 {
                let likelihood = sum_of_logs(rates) - self.expected(causes, &weights);
                if likelihood - before < WORTH {
                    return Fitted { weights, likelihood };
                }
                before = likelihood;
            }
            self.step(causes, &mut weights, rates);
        }
        self.rates(causes, &weights, rates);
        let likelihood = sum_of_logs(rates) - self.expected(causes, &weights);
        Fitted { weights, likelihood }
    }

    /// Each weight times how many events it explains, by how many it lets expect. Takes the rates for their inverses.
    fn step(&self, causes: &[usize], weights: &mut Weights, rates: &mut [f64]) {
        let mut explained = [0.0; COMMON];
        for (rate, [own, often, daily]) in rates.iter_mut().zip(&self.own) {
            *rate = 1.0 / *rate;
            explained[0] += *rate;
            explained[1] += *rate * f64::from(*own);
            explained[2] += *rate * f64::from(*often);
            explained[3] += *rate * f64::from(*daily);
        }
        for ((a, explained), exposure) in weights.common.iter_mut().zip(explained).zip(self.exposure) {
            *a = moved(*a, explained, exposure);
        }
        for (source, a) in self.causes(causes).zip(&mut weights.drawn) {
            let mut explained = [0.0; 2];
            for Entry { row, drawn, .. } in source.entries {
                let inverse = rates[*row as usize];
                explained[0] += inverse * f64::from(drawn[0]);
                explained[1] += inverse * f64::from(drawn[1]);
            }
            for ((a, explained), exposure) in a.iter_mut().zip(explained).zip(source.exposure) {
                *a = moved(*a, explained, exposure);
            }
        }
    }

    /// What a source would gain at least beside causes whose rates these are, if all that is known already gave way alike: looks
    /// only at the events that it may have drawn.
    pub fn gain_alone(&self, source: &Source<'_>, rates: &[f64], expected: f64) -> f64 {
        const STEPS_ALONE: usize = 12;
        let slope = |hop: usize| {
            let drawn = source.entries.iter().map(|entry| f64::from(entry.drawn[hop]) / rates[entry.row as usize]);
            drawn.sum::<f64>() - source.exposure[hop]
        };
        // The likelihood is concave: what does not rise at nothing rises nowhere.
        if slope(0) <= 0.0 && slope(1) <= 0.0 {
            return 0.0;
        }
        let others = (self.own.len() - source.entries.len()) as f64;
        let (mut known, mut a) = (1.0_f64, [DRAWN; 2]);
        let rate = |known: f64, a: [f64; 2], entry: &Entry| {
            known * rates[entry.row as usize] + dot(a, entry.drawn.map(f64::from))
        };
        for _ in 0..STEPS_ALONE {
            let (mut of_known, mut explained) = (others / known, [0.0; 2]);
            for entry in source.entries {
                let inverse = 1.0 / rate(known, a, entry);
                of_known += inverse * rates[entry.row as usize];
                explained[0] += inverse * f64::from(entry.drawn[0]);
                explained[1] += inverse * f64::from(entry.drawn[1]);
            }
            known = moved(known, of_known, expected);
            for hop in 0..2 {
                a[hop] = moved(a[hop], explained[hop], source.exposure[hop]);
            }
        }
        let drawn = source.entries.iter().map(|entry| libm::log(rate(known, a, entry) / rates[entry.row as usize]));
        drawn.sum::<f64>() + others * libm::log(known) - (known - 1.0) * expected - dot(a, source.exposure)
    }
}

/// How much of what one fit gains over another is not of the one occasion that gains most, and on how many occasions it is gained: as many
/// as would give the same ratio of sum and root of squares if each gave as much (Kish, "Survey Sampling", 1965). That each fit expects as many events
/// as there are makes what they expect cancel.
pub fn gains_by_occasion(with: &[f64], without: &[f64], occasion: &[usize]) -> (f64, f64) {
    let mut gains = vec![0.0; occasion.iter().max().map_or(0, |last| last + 1)];
    for ((with, without), occasion) in with.iter().zip(without).zip(occasion) {
        gains[*occasion] += libm::log(with / without);
    }
    let (sum, squares) = gains.iter().fold((0.0_f64, 0.0), |(sum, squares), gain| (sum + gain, squares + gain * gain));
    let occasions = if squares > 0.0 { sum.max(0.0) * sum.max(0.0) / squares } else { 0.0 };
    (sum - gains.iter().copied().fold(0.0, f64::max), occasions)
}

fn dot(a: [f64; 2], b: [f64; 2]) -> f64 {
    a[0] * b[0] + a[1] * b[1]
}

fn moved(weight: f64, explained: f64, exposure: f64) -> f64 {
    if exposure > 0.0 { weight * explained / exposure } else { 0.0 }
}

fn sum_of_logs(rates: &[f64]) -> f64 {
    rates.iter().map(|rate| libm::log(*rate)).sum()
}
