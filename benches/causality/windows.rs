//! Checks that know nothing of each other and share a window, and one that another draws there.
use quell_train::causality::{Event, Found, Mode, find};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

const SEEDS: std::ops::RangeInclusive<u64> = 1..=3;
const KINDS: u32 = 10;
const DAY: f64 = 86_400.0;
/// How many of 1 follow 0.
const SHARE: f64 = 0.7;

/// When one kind comes, in seconds.
type Times<'a> = &'a dyn Fn(&mut StdRng) -> Vec<f64>;

/// Prints how many are found where nothing causes anything, and where one thing does.
pub fn measure() {
    println!(
        "| ten checks at one place, three seeds | told of 90 pairs | with one that another draws after 20 to 60 s | and that is found |"
    );
    println!("|---|---|---|---|");
    let within = |count: usize, every: f64, from: f64, width: f64| {
        move |random: &mut StdRng| -> Vec<f64> {
            (0..count).map(|n| n as f64 * every + from + width * random.random::<f64>()).collect()
        }
    };
    let thrice = |from: f64, width: f64| {
        move |random: &mut StdRng| -> Vec<f64> {
            (0..180).map(|n| f64::from(n / 3) * DAY + from + width * random.random::<f64>()).collect()
        }
    };
    row("once in 09:00 to 09:30, 60 days", &within(60, DAY, 32_400.0, 1_800.0));
    row("three times in it", &thrice(32_400.0, 1_800.0));
    row("within one minute each night", &within(60, DAY, 7_200.0, 60.0));
    row("in the first five minutes of each of 500 hours", &within(500, 3_600.0, 0.0, 300.0));
    row("in office hours, three a day", &thrice(28_800.0, 36_000.0));
    row("in 40 storms of 30 minutes, not by the clock", &within(40, 1.7 * DAY, 43_200.0, 1_800.0));
    row("in 40 storms of 10 minutes", &within(40, 1.7 * DAY, 43_200.0, 600.0));
    let mut random = StdRng::seed_from_u64(78);
    let storms: Vec<f64> = (0..60).map(|_| 60.0 * DAY * random.random::<f64>()).collect();
    row("in half of 60 storms of 20 minutes", &|random| {
        let half: Vec<f64> = storms.iter().filter(|_| random.random::<f64>() < 0.5).copied().collect();
        half.into_iter().map(|begin| begin + 1_200.0 * random.random::<f64>()).collect()
    });
    println!();
}

fn row(what: &str, times: Times<'_>) {
    let told = |found: &[Found]| found.iter().map(|found| found.edges.len().to_string()).collect::<Vec<_>>().join(", ");
    let search = |events: Vec<Event>| find(&events, &[], Mode::Precise, &mut |_| ());
    let nothing: Vec<Found> = SEEDS.map(|seed| search(alone(seed, times))).collect();
    let one: Vec<Found> = SEEDS.map(|seed| search(drawn(seed, times))).collect();
    let is_drawn = |found: &&Found| found.edges.iter().any(|edge| (edge.cause, edge.effect) == (0, 1));
    let right = one.iter().filter(is_drawn).count();
    println!("| {what} | {} | {} | {right} of {} |", told(&nothing), told(&one), one.len());
}

const fn event(kind: u32, seconds: f64) -> Event {
    Event { kind, place: 0, at: (seconds * 1_000.0) as i64 }
}

fn alone(seed: u64, times: Times<'_>) -> Vec<Event> {
    let mut random = StdRng::seed_from_u64(seed);
    (0..KINDS).flat_map(|kind| times(&mut random).into_iter().map(move |at| event(kind, at))).collect()
}

/// The same, but most of 1 follow 0.
fn drawn(seed: u64, times: Times<'_>) -> Vec<Event> {
    let mut events = alone(seed, times);
    let mut random = StdRng::seed_from_u64(100 + seed);
    let mut own = 0;
    events.retain(|event| {
        own += u32::from(event.kind == 1);
        event.kind != 1 || own.is_multiple_of(3)
    });
    let causes: Vec<Event> = events.iter().filter(|event| event.kind == 0).copied().collect();
    for cause in causes {
        if random.random::<f64>() < SHARE {
            let late = 20_000 + (40_000.0 * random.random::<f64>()) as i64;
            events.push(Event { kind: 1, at: cause.at + late, ..cause });
        }
    }
    events
}
