//! The causes of each kind, for one kernel: one more as long as it is worth it.
use super::{
    Mode, days,
    fit::{ANEW, Effect, Fitted, Source, Weights, gains_by_occasion},
    graph::Vote,
    order,
    rows::{Entry, Rows},
    streams::{EVENTS_MIN, Streams, own_exposure},
};

/// Causes of one kind.
const CAUSES_MAX: usize = 20;
/// Kinds that are weighed with the causes that are known: those that gain most alone.
const TRIED_MAX: usize = 64;
/// Beside what is known a kind may gain more than alone, but not so many times.
const MORE: f64 = 4.0;
/// Steps of a fit that tries another cause, and of one that takes it.
const TRY: usize = 24;
const TAKE: usize = 40;
/// What a balanced search takes for worth it, of what a precise one does: about Akaike's criterion.
const BALANCED: f64 = 0.2;

/// Into so many occasions the span of time is cut,
const OCCASIONS: i64 = 200;
/// and what a precise edge gains on others than its best is worth it alone, and all of it so many times that.
const SURE: f64 = 2.0;
/// It is gained lastingly on so many: the places of one storm are one occasion, however many they are. Of a sum that is that many times
/// what it owes to chance, squared: 2.8 standard errors, by clusters (Liang and Zeger, "Longitudinal data analysis using generalized linear models", 1986).
const OCCASIONS_LEAST: f64 = 8.0;

/// One search.
pub struct Search<'a> {
    streams: &'a Streams,
    mode: Mode,
    scale: f64,
    /// The least gain of a cause.
    least: f64,
}

impl<'a> Search<'a> {
    pub fn new(streams: &'a Streams, mode: Mode, scale: f64) -> Self {
        let hops = if streams.near.is_empty() { 1.0 } else { 2.0 };
        let penalty = if mode == Mode::Balanced { BALANCED } else { 1.0 };
        let least = penalty * hops / 2.0 * libm::log(streams.events.len().max(2) as f64);
        Self { streams, mode, scale, least }
    }

    /// Tells of each cause and effect; `done` hears how many kinds are done. How many events had too many kinds before them.
    pub fn run(&self, done: &mut dyn FnMut(usize), found: &mut dyn FnMut((u32, u32), Vote)) -> usize {
        let rows = Rows::new(self.streams, self.scale);
        let exposures = rows.exposures();
        for block in rows.blocks() {
            for (kind, entries) in block.clone().zip(rows.of(&block)) {
                if self.streams.of_kind[kind].len() >= EVENTS_MIN {
                    let effect = self.effect(kind as u32, &entries, &exposures);
                    for (cause, vote) in self.causes(&effect) {
                        found((cause, kind as u32), vote);
                    }
                }
                done(kind + 1);
            }
        }
        rows.crowded
    }

    fn effect<'b>(&self, kind: u32, entries: &'b [Entry], exposures: &[[f64; 2]]) -> Effect<'b> {
        let events = self.streams.of_kind[kind as usize].iter().map(|event| &self.streams.events[*event as usize]);
        let drawn_of_itself = events.clone().map(|event| own_exposure(self.streams.span - event.at)).sum();
        let length = self.streams.span / OCCASIONS + 1;
        let occasion = events.clone().map(|event| (event.at / length) as usize).collect();
        let own: Vec<_> = events.map(|event| [event.own, event.rate, event.daily]).collect();
        let time = self.streams.places.len() as f64 * self.streams.seconds();
        let rate = if self.mode == Mode::Precise { own.len() as f64 } else { 0.0 };
        let daily = rate * days::exposure(self.streams.span);
        let sources = entries.chunk_by(|a, b| a.source == b.source).filter(|of| of[0].source != kind).map(|of| {
            let exposure = exposures[of[0].source as usize];
            Source { kind: of[0].source, entries: of, exposure }
        });
        Effect { kind, own, occasion, exposure: [time, drawn_of_itself, rate, daily], sources: sources.collect() }
    }

    /// The causes of a kind.
    fn causes(&self, effect: &Effect<'_>) -> Vec<(u32, Vote)> {
        let mut rates = Vec::new();
        let mut causes: Vec<usize> = Vec::new();
        let mut best = effect.fit(&causes, Weights::first(effect, 0), ANEW, &mut rates);
        let mut tried = self.screened(effect, &best, &mut rates);
        for (source, gain) in &mut tried {
            *gain = with(effect, &causes, &best, *source, &mut rates);
        }
        tried.retain(|(_, gain)| *gain > self.least);
        while causes.len() < CAUSES_MAX
            && let Some((place, gain)) = best_of(effect, &causes, &best, &mut tried, &mut rates)
            && gain > self.least
        {
            causes.push(tried.remove(place).0);
            best = effect.fit(&causes, best.weights.and_one(), TAKE, &mut rates);
            tried.retain(|(_, gain)| *gain > self.least);
        }
        (0..causes.len()).filter_map(|place| self.vote(effect, &causes, &best, place, &mut rates)).collect()
    }

    /// Sources that may be worth it.
    fn screened(&self, effect: &Effect<'_>, best: &Fitted, rates: &mut Vec<f64>) -> Vec<(usize, f64)> {
        effect.rates(&[], &best.weights, rates);
        let expected = effect.expected(&[], &best.weights);
        let alone = |(n, source): (usize, &Source<'_>)| (n, effect.gain_alone(source, rates, expected));
        let mut tried: Vec<_> = effect.sources.iter().enumerate().map(alone).collect();
        tried.retain(|(_, gain)| *gain * MORE > self.least);
        tried.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        tried.truncate(TRIED_MAX);
        tried
    }

    /// What is lost without one of the causes, if that is enough.
    fn vote(
        &self,
        effect: &Effect<'_>,
        causes: &[usize],
        best: &Fitted,
        place: usize,
        rates: &mut Vec<f64>,
    ) -> Option<(u32, Vote)> {
        let mut others = causes.to_vec();
        let source = &effect.sources[others.remove(place)];
        let without = effect.fit(&others, Weights::first(effect, others.len()), ANEW, rates);
        let gain = (best.likelihood - without.likelihood).max(0.0);
        let mut rates_without = Vec::new();
        effect.rates(&others, &without.weights, &mut rates_without);
        effect.rates(causes, &best.weights, rates);
        let (elsewhere, occasions) = gains_by_occasion(rates, &rates_without, &effect.occasion);
        let is_found = match self.mode {
            Mode::Precise => gain > SURE * self.least && elsewhere > self.least,
            Mode::Balanced => gain > self.least,
        };
        let is_ordered =
            is_found && order::gain(self.streams, self.scale, effect, causes[place], &others, rates) > self.least;
        let [here, near] = best.weights.drawn[place];
        let drawn = here * source.exposure[0] + near * source.exposure[1];
        let share = drawn / self.streams.of_kind[source.kind as usize].len() as f64;
        let vote = Vote {
            is_found,
            is_ordered,
            is_repeated: occasions >= OCCASIONS_LEAST,
            ratio: gain / self.least,
            gain,
            share,
            within: self.scale,
            pairs: source.entries.len(),
        };
        Some((source.kind, vote))
    }
}

/// What one more cause gains.
fn with(effect: &Effect<'_>, causes: &[usize], best: &Fitted, source: usize, rates: &mut Vec<f64>) -> f64 {
    let more: Vec<usize> = causes.iter().copied().chain([source]).collect();
    effect.fit(&more, best.weights.and_one(), TRY, rates).likelihood - best.likelihood
}

/// The source that gains most, as its place: what each gained last is the most it gains now (Minoux, "Accelerated greedy
/// algorithms", 1978), so that few are tried again.
fn best_of(
    effect: &Effect<'_>,
    causes: &[usize],
    best: &Fitted,
    tried: &mut [(usize, f64)],
    rates: &mut Vec<f64>,
) -> Option<(usize, f64)> {
    tried.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let mut most: Option<(usize, f64)> = None;
    for (place, (source, gain)) in tried.iter_mut().enumerate() {
        if most.is_some_and(|(_, most)| *gain <= most) {
            break;
        }
        *gain = with(effect, causes, best, *source, rates);
        if most.is_none_or(|(_, most)| *gain > most) {
            most = Some((place, *gain));
        }
    }
    most
}
