//! Events as they are looked at: numbered, without repeats, in order of time.
use super::{Event, LeftOut, days};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

/// One of the same kind at the same place, so soon after the last, in milliseconds, is a repeat: what flaps counts once.
const REPEAT: i64 = 60_000;
/// Kinds with fewer events teach nothing.
pub const EVENTS_MIN: usize = 5;
/// Kinds that are told apart: the most frequent.
const KINDS_MAX: usize = 1_000;
/// Events that are looked at: the latest.
const EVENTS_MAX: usize = 2_000_000;
/// A place with more neighbours is everybody's neighbour, which says nothing.
const NEIGHBOURS_MAX: usize = 128;
/// How fast what a kind draws of itself fades, a second.
const OWN: f64 = 0.02;

/// An event, by the numbers of its kind and place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Milliseconds since the first.
    pub at: i64,
    pub kind: u32,
    pub place: u32,
    /// What earlier ones of the same kind at the same place let expect: a density, a second.
    pub own: f32,
    /// How often the others of the kind come to the place, a second.
    pub rate: f32,
    /// How often the kind comes at this time of other days, a second and place.
    pub daily: f32,
}

/// All of them.
#[derive(Clone, Debug)]
pub struct Streams {
    /// In order of time.
    pub events: Vec<Point>,
    /// The caller's number of each kind; ascending.
    pub kinds: Vec<u32>,
    /// The events of each kind, in order of time.
    pub of_kind: Vec<Vec<u32>>,
    /// The caller's number of each place; ascending.
    pub places: Vec<u32>,
    /// The neighbours of each place: nothing where there is no link at all.
    pub near: Vec<Vec<u32>>,
    /// From the first event to the last, in milliseconds.
    pub span: i64,
}

impl Streams {
    /// Numbers events and drops what is not looked at.
    pub fn new(events: &[Event], links: &[(u32, u32)]) -> (Self, LeftOut) {
        let mut left_out = LeftOut::default();
        let mut kept = without_repeats(events);
        left_out.repeats = events.len() - kept.len();

        let kinds = frequent(&kept);
        let before = kept.len();
        left_out.rare_kinds = kept.iter().map(|event| event.kind).collect::<BTreeSet<_>>().len() - kinds.len();
        kept.retain(|event| kinds.binary_search(&event.kind).is_ok());
        left_out.rare = before - kept.len();

        kept.sort_unstable_by_key(|event| Reverse((event.at, event.kind, event.place)));
        left_out.older = kept.len().saturating_sub(EVENTS_MAX);
        kept.truncate(EVENTS_MAX);

        let mut places: Vec<u32> = kept.iter().map(|event| event.place).collect();
        places.sort_unstable();
        places.dedup();
        let first = kept.last().map_or(0, |event| event.at);
        let span = kept.first().map_or(0, |event| event.at.saturating_sub(first));
        let number = |all: &[u32], of: u32| all.binary_search(&of).map_or(0, |n| n as u32);
        let points = kept.iter().map(|event| Point {
            at: event.at.saturating_sub(first),
            kind: number(&kinds, event.kind),
            place: number(&places, event.place),
            own: 0.0,
            rate: 0.0,
            daily: 0.0,
        });
        let (near, hubs) = neighbours(&places, links);
        left_out.hubs = hubs;
        (Self::of(points.collect(), kinds, places, near, span), left_out)
    }

    fn of(points: Vec<Point>, kinds: Vec<u32>, places: Vec<u32>, near: Vec<Vec<u32>>, span: i64) -> Self {
        let mut events = ordered(points, span);
        let of_kind = by_kind(&events, kinds.len());
        days::follow(&mut events, &of_kind, places.len(), span);
        Self { events, kinds, of_kind, places, near, span }
    }

    /// Each kind at each place turned by an offset of its own around the span of time: what drew what is destroyed, how often
    /// each comes and in what rhythm is not. Of days there are whole ones: what comes by the clock still does, at another time.
    pub fn shuffled(&self, set: u64) -> Self {
        let round = days::whole(self.span);
        let turn = |point: &Point| {
            let offset = mixed(mixed(mixed(set) ^ u64::from(point.kind)) ^ u64::from(point.place));
            let offset = (offset % round.unsigned_abs()) as i64;
            let left = round - offset;
            Point { at: if point.at >= left { point.at - left } else { point.at + offset }, ..*point }
        };
        let points = self.events.iter().map(turn).collect();
        Self::of(points, self.kinds.clone(), self.places.clone(), self.near.clone(), round - 1)
    }

    /// As the caller numbers them.
    pub fn named(&self) -> Vec<Event> {
        let name = |point: &Point| Event {
            kind: self.kinds[point.kind as usize],
            place: self.places[point.place as usize],
            at: point.at,
        };
        self.events.iter().map(name).collect()
    }

    /// In seconds.
    pub fn seconds(&self) -> f64 {
        self.span as f64 / 1_000.0
    }
}

/// What of a kind is at a place without repeats, by kind, place and time.
fn without_repeats(events: &[Event]) -> Vec<Event> {
    let mut all = events.to_vec();
    all.sort_unstable_by_key(|event| (event.kind, event.place, event.at));
    let mut last: Option<Event> = None;
    all.retain(|event| {
        let is_same = |last: Event| (last.kind, last.place) == (event.kind, event.place);
        let is_repeat = last.is_some_and(|last| is_same(last) && event.at.saturating_sub(last.at) <= REPEAT);
        last = Some(*event);
        !is_repeat
    });
    all
}

/// The kinds that are looked at, ascending.
fn frequent(events: &[Event]) -> Vec<u32> {
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    for event in events {
        *counts.entry(event.kind).or_default() += 1;
    }
    let mut kinds: Vec<_> = counts.into_iter().filter(|(_, count)| *count >= EVENTS_MIN).collect();
    kinds.sort_unstable_by_key(|(kind, count)| (Reverse(*count), *kind));
    kinds.truncate(KINDS_MAX);
    let mut kinds: Vec<u32> = kinds.into_iter().map(|(kind, _)| kind).collect();
    kinds.sort_unstable();
    kinds
}

/// The neighbours of each place, and how many places have too many.
fn neighbours(places: &[u32], links: &[(u32, u32)]) -> (Vec<Vec<u32>>, usize) {
    let mut near: Vec<Vec<u32>> = vec![Vec::new(); places.len()];
    for (one, other) in links {
        if let (Ok(one), Ok(other)) = (places.binary_search(one), places.binary_search(other))
            && one != other
        {
            near[one].push(other as u32);
            near[other].push(one as u32);
        }
    }
    for of in &mut near {
        of.sort_unstable();
        of.dedup();
    }
    let is_hub: Vec<bool> = near.iter().map(|of| of.len() > NEIGHBOURS_MAX).collect();
    for (place, of) in near.iter_mut().enumerate() {
        of.retain(|other| !is_hub[place] && !is_hub[*other as usize]);
    }
    if near.iter().all(Vec::is_empty) {
        near.clear();
    }
    (near, is_hub.into_iter().filter(|is_hub| *is_hub).count())
}

/// In order of time, with what each kind at each place lets expect of itself.
fn ordered(mut points: Vec<Point>, span: i64) -> Vec<Point> {
    points.sort_unstable_by_key(|point| (point.kind, point.place, point.at));
    let seconds = (span as f64 / 1_000.0).max(1.0);
    for series in points.chunk_by_mut(|a, b| (a.kind, a.place) == (b.kind, b.place)) {
        let rate = ((series.len() - 1) as f64 / seconds) as f32;
        let (mut sum, mut last) = (0.0, None);
        for point in series {
            let faded = last.map_or(0.0, |last| libm::exp(-OWN * (point.at - last) as f64 / 1_000.0));
            sum *= faded;
            (point.own, point.rate) = ((OWN * sum) as f32, rate);
            sum += 1.0;
            last = Some(point.at);
        }
    }
    points.sort_unstable_by_key(|point| (point.at, point.place, point.kind));
    points
}

fn by_kind(events: &[Point], kinds: usize) -> Vec<Vec<u32>> {
    let mut of_kind = vec![Vec::new(); kinds];
    for (number, event) in (0..).zip(events) {
        of_kind[event.kind as usize].push(number);
    }
    of_kind
}

/// How much of what an event draws of its own kind falls before the end.
pub fn own_exposure(left: i64) -> f64 {
    1.0 - libm::exp(-OWN * left as f64 / 1_000.0)
}

/// Bits of a number, spread (Steele et al., "Fast Splittable Pseudorandom Number Generators", 2014).
const fn mixed(of: u64) -> u64 {
    let mut bits = of.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
