use super::*;

/// A repeatable stream of numbers.
struct Chance(u64);

impl Chance {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    fn below(&mut self, n: u32) -> u32 {
        ((self.uniform() * f64::from(n)) as u32).min(n - 1)
    }

    /// In milliseconds.
    fn delay(&mut self, mean_seconds: f64) -> i64 {
        (-libm::log(self.uniform()) * mean_seconds * 1_000.0) as i64
    }
}

const DAY: i64 = 86_400_000;

/// Events by themselves: so many of each kind, anywhere, in ten days.
fn background(chance: &mut Chance, kinds: u32, places: u32, each: usize) -> Vec<Event> {
    let mut events = Vec::new();
    for kind in 0..kinds {
        for _ in 0..each {
            events.push(Event { kind, place: chance.below(places), at: (chance.uniform() * (10 * DAY) as f64) as i64 });
        }
    }
    events
}

/// What a share of one kind's events draws of another, at the place that `at` says.
fn draw(
    chance: &mut Chance,
    events: &mut Vec<Event>,
    (cause, effect): (u32, u32),
    share: f64,
    place: impl Fn(u32) -> u32,
) {
    let causes: Vec<Event> = events.iter().filter(|event| event.kind == cause).copied().collect();
    for event in causes {
        if chance.uniform() < share {
            let at = event.at + 1 + chance.delay(40.0);
            events.push(Event { kind: effect, place: place(event.place), at });
        }
    }
}

fn pairs(found: &Found) -> Vec<(u32, u32)> {
    let mut pairs: Vec<_> = found.edges.iter().map(|edge| (edge.cause, edge.effect)).collect();
    pairs.sort_unstable();
    pairs
}

fn precise(events: &[Event], links: &[(u32, u32)]) -> Found {
    find(events, links, Mode::Precise, &mut |_| ())
}

/// 0 draws 1 and 1 draws 2, each where it is.
fn chain() -> Vec<Event> {
    let mut chance = Chance(7);
    let mut events = background(&mut chance, 6, 12, 300);
    draw(&mut chance, &mut events, (0, 1), 0.5, |place| place);
    draw(&mut chance, &mut events, (1, 2), 0.4, |place| place);
    events
}

#[test]
fn what_draws_what_at_a_place_is_found_with_how_much_and_how_late() {
    let found = precise(&chain(), &[]);
    assert_eq!(pairs(&found), [(0, 1), (1, 2)], "{found:?}");
    for (edge, share) in found.edges.iter().map(|edge| (edge, if edge.cause == 0 { 0.5 } else { 0.4 })) {
        assert!((edge.share - share).abs() < 0.1, "{edge:?}");
        assert!((20.0..=80.0).contains(&edge.within) && edge.pairs > 100 && edge.score > 1.0, "{edge:?}");
    }
    assert_eq!((found.kinds, found.places), (6, 12));
    assert_eq!(found.events + found.left_out.repeats, chain().len());
}

#[test]
fn what_draws_what_at_neighbours_takes_links_to_be_found() {
    let mut chance = Chance(11);
    let mut events = background(&mut chance, 5, 20, 300);
    draw(&mut chance, &mut events, (3, 1), 0.6, |place| (place + 1) % 20);
    // Each link is written one way only.
    let links: Vec<_> = (0..20).map(|place| ((place + 1) % 20, place)).collect();
    let found = precise(&events, &links);
    assert_eq!(pairs(&found), [(3, 1)], "{found:?}");
    assert!((found.edges[0].share - 0.6).abs() < 0.15, "one of two neighbours: {found:?}");
    assert_eq!(pairs(&precise(&events, &[])), [], "at the places themselves nothing is drawn");
    let hub: Vec<_> = (0..200).map(|place| (0, place)).collect();
    let many = background(&mut chance, 3, 200, 1_000);
    assert_eq!(precise(&many, &hub).left_out.hubs, 1, "everybody's neighbour is nobody's");
}

#[test]
fn independent_streams_cause_nothing() {
    for seed in 1..6 {
        let mut chance = Chance(seed);
        let events = background(&mut chance, 12, 10, 400);
        let links: Vec<_> = (1..10).map(|place| (0, place)).collect();
        let found = precise(&events, &links);
        assert_eq!(pairs(&found), [], "{found:?}");
    }
}

#[test]
fn places_that_have_much_of_all_cause_nothing() {
    let mut chance = Chance(3);
    let mut events = background(&mut chance, 8, 40, 100);
    for kind in 0..8 {
        // Two places in forty have as much as all others together.
        for _ in 0..100 {
            let at = (chance.uniform() * (10 * DAY) as f64) as i64;
            events.push(Event { kind, place: chance.below(2), at });
        }
    }
    assert_eq!(pairs(&precise(&events, &[])), []);
}

#[test]
fn next_to_nothing_is_left_when_times_are_shuffled() {
    let events = chain();
    let left: usize = (100..110).map(|set| precise(&shuffled(&events, set), &[]).edges.len()).sum();
    assert!(left <= 3, "{left} of 300 pairs");
    assert_eq!(precise(&events, &[]).expected_false(), 0.0);
    let turned = shuffled(&events, 100);
    let count = |events: &[Event], kind| events.iter().filter(|event| event.kind == kind).count();
    assert!((0..6).all(|kind| count(&turned, kind) == count(&shuffled(&events, 101), kind)), "none is lost");
    assert!(turned.iter().all(|event| (0..=11 * DAY).contains(&event.at)));
}

#[test]
fn what_is_of_one_instant_is_in_no_order() {
    let mut chance = Chance(5);
    let mut events = background(&mut chance, 4, 8, 300);
    let causes: Vec<Event> = events.iter().filter(|event| event.kind == 0).copied().collect();
    events.extend(causes.iter().map(|event| Event { kind: 1, ..*event }));
    assert_eq!(pairs(&precise(&events, &[])), [], "they always come together, and neither first");
    events.reverse();
    assert_eq!(pairs(&precise(&events, &[])), [], "however they are listed");
}

#[test]
fn it_is_the_same_however_events_are_listed_and_kinds_are_numbered() {
    let events = chain();
    let found = precise(&events, &[]);
    let mut listed = events.clone();
    listed.sort_by_key(|event| (event.place, event.at.reverse_bits(), event.kind));
    assert_eq!(precise(&listed, &[]), found);
    // Numbers stand for names: no edge hangs on them.
    let renamed: Vec<_> = events.iter().map(|event| Event { kind: 90 - 7 * event.kind, ..*event }).collect();
    let back = |pairs: Vec<(u32, u32)>| {
        let mut back: Vec<_> = pairs.into_iter().map(|(a, b)| ((90 - a) / 7, (90 - b) / 7)).collect();
        back.sort_unstable();
        back
    };
    assert_eq!(back(pairs(&precise(&renamed, &[]))), pairs(&found));
}

#[test]
fn precise_edges_are_in_no_circle_and_balanced_ones_may_be() {
    let mut chance = Chance(13);
    let mut events = background(&mut chance, 4, 10, 400);
    draw(&mut chance, &mut events, (0, 1), 0.6, |place| place);
    draw(&mut chance, &mut events, (1, 0), 0.2, |place| place);
    let found = precise(&events, &[]);
    assert_eq!(pairs(&found), [(0, 1)], "the surer way");
    assert!(found.edges[0].both_ways && precise(&chain(), &[]).edges.iter().all(|edge| !edge.both_ways));
    let balanced = find(&events, &[], Mode::Balanced, &mut |_| ());
    assert!([(0, 1), (1, 0)].iter().all(|pair| pairs(&balanced).contains(pair)), "{balanced:?}");
}

#[test]
fn what_is_not_looked_at_is_counted() {
    let repeats: Vec<_> = (0..100).map(|n| Event { kind: 1, place: 2, at: n * 30_000 }).collect();
    let found = precise(&repeats, &[]);
    assert_eq!((found.left_out.repeats, found.left_out.rare, found.left_out.rare_kinds), (99, 1, 1));
    assert_eq!((found.events, found.edges.len(), found.by_chance.len()), (0, 0, 0));
    // Of more kinds than are told apart the rarest are left out: each comes five times, the first thousand once more.
    let kinds: Vec<_> = (0..1_200_u32)
        .flat_map(|kind| (0..if kind < 1_000 { 6 } else { 5 }).map(move |n| (kind, n)))
        .map(|(kind, n)| Event { kind, place: 0, at: n * DAY + i64::from(kind) })
        .collect();
    let left_out = precise(&kinds, &[]).left_out;
    assert_eq!((left_out.rare_kinds, left_out.rare), (200, 1_000));
    // Before each of these, all kinds are at hand: the last to come are looked at.
    assert!(left_out.crowded > 0);
    assert_eq!(precise(&[], &[]), Found::default());
    let ends = [i64::MIN, i64::MAX].map(|at| Event { kind: 1, place: 1, at });
    assert_eq!(precise(&ends.repeat(9), &[]).edges, []);
}

#[test]
fn progress_is_told() {
    let mut told = Vec::new();
    find(&chain(), &[], Mode::Precise, &mut |progress| told.push(progress));
    assert_eq!(told.len(), Progress::ROUNDS * Progress::KERNELS * 6);
    assert_eq!(told.first(), Some(&Progress { round: 0, kernel: 0, done: 1, of: 6 }));
    assert_eq!(told.last(), Some(&Progress { round: SHUFFLES, kernel: 2, done: 6, of: 6 }));
}

/// Ten kinds at one place, none of which knows of the others; `at` says when the nth of each comes.
fn by_themselves(seed: u64, each: i64, at: impl Fn(&mut Chance, i64) -> f64) -> Vec<Event> {
    let mut chance = Chance(seed);
    let mut events = Vec::new();
    for kind in 0..10 {
        for n in 0..each {
            events.push(Event { kind, place: 0, at: (at(&mut chance, n) * 60_000.0) as i64 });
        }
    }
    events
}

/// The same, where 0 draws 10 after 20 to 60 seconds, in most cases.
fn and_one_drawn(seed: u64, events: &[Event]) -> Vec<Event> {
    let mut chance = Chance(seed);
    let mut all = events.to_vec();
    for event in events.iter().filter(|event| event.kind == 0) {
        if chance.uniform() < 0.7 {
            all.push(Event { kind: 10, at: event.at + 20_000 + i64::from(chance.below(40_000)), ..*event });
        }
    }
    // Some come for reasons of their own, whenever the others do.
    all.extend(events.iter().filter(|event| event.kind == 1).step_by(3).map(|event| Event { kind: 10, ..*event }));
    all
}

#[test]
fn what_comes_by_the_clock_draws_nothing_and_hides_no_cause() {
    let batch = |chance: &mut Chance, n: i64| n as f64 * 1_440.0 + 540.0 + 30.0 * chance.uniform();
    let hours = |chance: &mut Chance, n: i64| n as f64 * 60.0 + 5.0 * chance.uniform();
    let office = |chance: &mut Chance, n: i64| (n / 3) as f64 * 1_440.0 + 480.0 + 600.0 * chance.uniform();
    let mut wrong = 0;
    for seed in 1..4 {
        for events in
            [by_themselves(seed, 60, batch), by_themselves(seed, 400, hours), by_themselves(seed, 180, office)]
        {
            wrong += precise(&events, &[]).edges.len();
            let found = pairs(&precise(&and_one_drawn(seed, &events), &[]));
            assert!(found.contains(&(0, 10)), "{found:?}");
            wrong += found.len() - 1;
        }
    }
    // Of 1,800 pairs; without what is known of the clock, about 500.
    assert!(wrong <= 4, "{wrong}");
}

#[test]
fn what_shares_storms_draws_nothing_and_hides_no_cause() {
    let outage = |chance: &mut Chance, n: i64| n as f64 * 2_448.0 + 20.0 * chance.uniform();
    let mut wrong = 0;
    for seed in 1..6 {
        let events = by_themselves(seed, 40, outage);
        let found = precise(&events, &[]);
        wrong += found.edges.len();
        assert!(found.together + found.seldom >= 10 && found.edges.iter().all(|edge| edge.is_ordered), "{found:?}");
        let found = pairs(&precise(&and_one_drawn(seed, &events), &[]));
        assert!(found.contains(&(0, 10)), "{found:?}");
        wrong += found.len() - 1;
    }
    // Of 1,000 pairs.
    assert!(wrong <= 10, "{wrong}");
    let chain = precise(&chain(), &[]);
    assert!(chain.together + chain.seldom == 0 && chain.edges.iter().all(|edge| edge.is_ordered), "{chain:?}");
}

/// Ten hosts of one storm are no ten occasions.
#[test]
fn a_few_storms_over_many_places_are_few_occasions() {
    let mut wrong = 0;
    for (seed, storms) in (1..).zip([2, 2, 3, 3, 5, 5]) {
        let mut chance = Chance(seed);
        let at = |minute: f64, kind, place| Event { kind, place, at: (minute * 60_000.0) as i64 };
        let mut events: Vec<Event> = Vec::new();
        for n in 0..1_000 {
            let minute = 14.0 * 1_440.0 * chance.uniform();
            events.push(at(minute, n % 12, (20.0 * chance.uniform()) as u32));
        }
        for _ in 0..storms {
            let begin = 14.0 * 1_440.0 * chance.uniform();
            let mut order: Vec<(u64, u32)> = (0..12).map(|kind| ((1e9 * chance.uniform()) as u64, kind)).collect();
            order.sort_unstable();
            for (step, (_, kind)) in order.into_iter().enumerate() {
                for place in 0..10 {
                    events.push(at(begin + step as f64 / 6.0 + chance.uniform() / 12.0, kind, place));
                }
            }
        }
        let found = precise(&events, &[]);
        wrong += found.edges.len();
    }
    // Of 792 pairs; told before, more than one in twenty.
    assert!(wrong <= 4, "{wrong}");
}

#[test]
fn what_comes_by_the_clock_still_does_when_times_are_shuffled() {
    let nightly = by_themselves(1, 60, |chance, n| n as f64 * 1_440.0 + 120.0 + 10.0 * chance.uniform());
    let turned = shuffled(&nightly, 7);
    for kind in 0..10 {
        let of_day = |event: &Event| event.at.rem_euclid(DAY);
        let times: Vec<i64> = turned.iter().filter(|event| event.kind == kind).map(of_day).collect();
        let off = |at: &i64| (at - times[0] + DAY / 2).rem_euclid(DAY) - DAY / 2;
        assert!(times.iter().all(|at| off(at).abs() <= 600_000), "{kind}: {times:?}");
    }
}
