//! Which kinds of events cause which, learned from when and where they happened.
//!
//! A multivariate Hawkes process over the places of a topology (Hawkes, "Spectra of some self-exciting and mutually exciting
//! point processes", Biometrika 1971; Cai et al., "THPs: Topological Hawkes Processes for Learning Causal Structure on Event
//! Sequences", 2021). Events of kind `j` come to place `d` at a rate of so many a second,
//!
//! ```text
//! rate(j, d, t) = m_j + b_j r_j(d) + c_j daily_j(t) + s_j own(t) + sum over causes i and hops h of a_ijh drawn_ih(d, t)
//! drawn_ih(d, t) = sum over events of i at hop h of d, strictly earlier, of delta exp(-delta (t - t_event))
//! ```
//!
//! where hop 0 is the place itself and hop 1 its neighbours; `r_j(d)` is how often the place has the kind in all (places
//! differ, and what is frequent where another kind is frequent would look drawn by it), `daily_j` how often the kind comes at this time of other
//! days (likewise: of a nightly batch nothing draws the rest; both in a precise search only), and `own` what the same kind at the same place draws. The weights are those of the largest likelihood, found by expectation and maximisation (Veen and
//! Schoenberg, "Estimation of Space-Time Branching Process Models", 2008): none is negative, and
//! `a_ijh * exposure_ih` is how many events of `j` are drawn so.
//!
//! Causes of a kind are taken one by one, the one that gains most first, as long as the gain in log-likelihood exceeds
//! `hops / 2 * ln(events)` (Schwarz, "Estimating the Dimension of a Model", 1978). That is done for three `delta`; what is
//! found by most of them is an edge. A precise one gains twice as much, and that least without its best occasion too: one
//! storm is no rule. Events of one instant are in no order: whatever order a log lists them in says nothing.
//!
//! What comes in the same storms at any time, without drawing each other, comes as often before as after: an edge is in order
//! if it gains the least beside a kernel of the same width that looks both ways (as cross-correlograms are read by their
//! asymmetry: Brillinger, "The identification of point process systems", 1975). Where hardly any of the precise edges are, only these are told.
//! Neither does an edge rest on a few occasions where hardly any of the others is on more: a storm over many places is one.
//!
//! What timing carries is measured by destroying it: the same search over events of which each kind at each place is turned
//! by an offset of its own, around the span of time, whole days of it. What is still found there is found by chance.
//!
//! ```
//! use quell_train::causality::{Event, Mode, find};
//!
//! // Kind 1 follows kind 0 after half a minute, 0 and 2 come when they like, at one place.
//! let mut events = Vec::new();
//! for n in 0..200_i64 {
//!     let at = |step: i64| 1_000 * (3_600 * n + n * n * step % 3_000);
//!     events.extend([(0, at(7)), (1, at(7) + 30_000), (2, at(11))].map(|(kind, at)| Event { kind, place: 0, at }));
//! }
//! let found = find(&events, &[], Mode::Precise, &mut |_| ());
//! assert!(matches!(found.edges[..], [edge] if (edge.cause, edge.effect) == (0, 1) && edge.is_ordered), "{found:?}");
//! assert!(found.expected_false() < 0.5);
//! ```
mod days;
mod fit;
mod graph;
mod order;
mod rows;
mod search;
mod streams;
#[cfg(test)]
mod tests;

use graph::Vote;
use search::Search;
use std::collections::BTreeMap;
use streams::Streams;

/// Searched kernels: mean delays, in seconds.
const SCALES: [f64; 3] = [20.0, 40.0, 80.0];
/// How often timing is destroyed, to see what is found by chance.
pub const SHUFFLES: usize = 3;

/// An event of a kind at a place. Numbers are the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub kind: u32,
    /// Where.
    pub place: u32,
    /// In milliseconds.
    pub at: i64,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Edges of which most are right, in no circle.
    #[default]
    Precise,
    /// Right edges and wrong ones weigh the same; what is found by chance is not kept out.
    Balanced,
}

/// That one kind causes another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edge {
    /// The kind that draws.
    pub cause: u32,
    /// The kind that is drawn.
    pub effect: u32,
    /// How sure: `ln(1 + gain / least gain)`, the mean over the kernels.
    pub score: f64,
    /// Events of the effect that one of the cause draws, on average, at its own place and its neighbours together.
    pub share: f64,
    /// How long after it, in seconds, about: the mean delay of the kernel that fits best, 20, 40 or 80.
    pub within: f64,
    /// Events of the effect that had one of the cause before them, in reach.
    pub pairs: usize,
    /// The other way round was found too: they come together, and which causes which is the likelier guess.
    pub both_ways: bool,
    /// The effect comes after the cause, clearly more than before it. Else they share occasions: what brings them may be a third.
    pub is_ordered: bool,
    /// It is found on enough occasions of a two-hundredth of the span each. Else it may be of a few storms, each of many places.
    pub is_repeated: bool,
}

/// What was not looked at, because there is a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Events soon after one of the same kind at the same place.
    pub repeats: usize,
    /// Events of kinds that are too rare, or of more kinds than are told apart,
    pub rare: usize,
    /// and those kinds.
    pub rare_kinds: usize,
    /// Events older than the latest that are looked at.
    pub older: usize,
    /// Places with too many neighbours: none of these is looked at.
    pub hubs: usize,
    /// Events that had more kinds in reach before them than are looked at, over the kernels.
    pub crowded: usize,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The surest first. None where timing does not carry them and precise ones were asked for.
    pub edges: Vec<Edge>,
    /// How many there were, whether or not timing carries them.
    pub count: usize,
    /// Precise ones beside these that are left out: they come as often before as after their cause, as nearly all here do.
    pub together: usize,
    /// Likewise those that are found on a few occasions only, as nearly all here are.
    pub seldom: usize,
    /// How many were found each time that timing was destroyed.
    pub by_chance: Vec<usize>,
    /// Events that were looked at, their kinds and places,
    pub events: usize,
    /// See `events`.
    pub kinds: usize,
    /// See `events`.
    pub places: usize,
    /// and those that were not.
    pub left_out: LeftOut,
}

impl Found {
    /// How many of the edges would be found in shuffled times too, on average.
    pub fn expected_false(&self) -> f64 {
        if self.by_chance.is_empty() {
            return 0.0;
        }
        self.by_chance.iter().sum::<usize>() as f64 / self.by_chance.len() as f64
    }

    /// Whether most edges are more than chance.
    pub fn is_carried(&self) -> bool {
        2.0 * self.expected_false() < self.count as f64
    }
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// 0 as it was; then the times that timing is destroyed.
    pub round: usize,
    /// Which of the kernels.
    pub kernel: usize,
    /// Kinds that are done, of so many.
    pub done: usize,
    /// Kinds that there are.
    pub of: usize,
}

impl Progress {
    /// As it was, and so often with timing destroyed.
    pub const ROUNDS: usize = 1 + SHUFFLES;
    /// In each round.
    pub const KERNELS: usize = SCALES.len();
}

/// Which kinds cause which. `links` are neighbours, read both ways; without any, only what happens at the same place is
/// looked at.
pub fn find(events: &[Event], links: &[(u32, u32)], mode: Mode, told: &mut dyn FnMut(Progress)) -> Found {
    let (streams, mut left_out) = Streams::new(events, links);
    let (edges, [together, seldom]) = round(&streams, mode, 0, &mut left_out, told);
    let mut found = Found {
        count: edges.len(),
        together,
        seldom,
        events: streams.events.len(),
        kinds: streams.kinds.len(),
        places: streams.places.len(),
        left_out,
        ..Found::default()
    };
    if !edges.is_empty() {
        let mut by_chance = |set: usize| {
            let shuffled = streams.shuffled(set as u64);
            round(&shuffled, mode, set, &mut LeftOut::default(), told).0.len()
        };
        found.by_chance = (1..=SHUFFLES).map(&mut by_chance).collect();
    }
    if mode == Mode::Balanced || found.is_carried() {
        let kind = |number: u32| streams.kinds[number as usize];
        let named = |edge: Edge| Edge { cause: kind(edge.cause), effect: kind(edge.effect), ..edge };
        found.edges = edges.into_iter().map(named).collect();
    }
    found
}

/// The events that are looked at, their timing destroyed by one set of offsets: what would be found by chance is found in them.
pub fn shuffled(events: &[Event], set: u64) -> Vec<Event> {
    Streams::new(events, &[]).0.shuffled(set).named()
}

/// One search, over all kernels; with how many only share occasions, and are of few.
fn round(
    streams: &Streams,
    mode: Mode,
    number: usize,
    left_out: &mut LeftOut,
    told: &mut dyn FnMut(Progress),
) -> (Vec<Edge>, [usize; 2]) {
    let mut votes: BTreeMap<(u32, u32), Vec<Vote>> = BTreeMap::new();
    for (kernel, scale) in SCALES.into_iter().enumerate() {
        let mut done = |done| told(Progress { round: number, kernel, done, of: streams.kinds.len() });
        left_out.crowded += Search::new(streams, mode, scale).run(&mut done, &mut |pair, vote| {
            votes.entry(pair).or_default().push(vote);
        });
    }
    graph::edges(&votes, mode)
}
