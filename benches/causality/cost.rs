//! What learning costs: much of everything, and all at once.
use quell_train::causality::{Event, Mode, find};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use std::{fs, time::Instant};

/// Kinds, and causes of each tenth of them.
const KINDS: u32 = 500;
const PLACES: u32 = 2_000;
const DAY: i64 = 86_400_000;

/// Prints what each takes.
pub fn measure() -> anyhow::Result<()> {
    println!(
        "| what | events looked at | edges | right | planted | found both ways | by chance | s | peak memory |\n|---|---|---|---|---|---|---|---|---|"
    );
    for (what, events, span, burst) in [
        ("1,000,000 events of 500 kinds in 30 days", 1_000_000, 30 * DAY, 1),
        ("65,000 alarms of 500 kinds within a minute", 65_000, 60_000, 1),
        ("the million, in bursts of a hundred", 1_000_000, 30 * DAY, 100),
    ] {
        let events = planted(events, span, burst);
        // A ring: each place has two neighbours.
        let links: Vec<_> = (0..PLACES).map(|place| (place, (place + 1) % PLACES)).collect();
        let started = Instant::now();
        let found = find(&events, &links, Mode::Precise, &mut |_| ());
        let seconds = started.elapsed().as_secs_f64();
        let right = found.edges.iter().filter(|edge| is_planted(edge.cause, edge.effect)).count();
        println!(
            "| {what} | {} | {} | {right} | {} | {} | {:.1} | {seconds:.0} | {} MB |",
            found.events,
            found.edges.len(),
            KINDS / 2,
            found.edges.iter().filter(|edge| edge.both_ways).count(),
            found.expected_false(),
            peak()? / 1024,
        );
    }
    Ok(())
}

/// Each even kind draws the next.
const fn is_planted(cause: u32, effect: u32) -> bool {
    cause.is_multiple_of(2) && effect == cause + 1
}

/// Kinds of very different frequency; a third of what an even kind draws comes to a neighbour.
fn planted(count: usize, span: i64, burst: usize) -> Vec<Event> {
    let mut random = StdRng::seed_from_u64(1);
    let mut events = Vec::with_capacity(count);
    let (mut around, mut place) = (0, 0);
    while events.len() < count {
        if events.len() % burst == 0 {
            (around, place) = (random.random_range(0..span), random.random_range(0..PLACES));
        }
        let kind = (f64::from(KINDS) * random.random::<f64>() * random.random::<f64>()) as u32;
        let at = around + if burst > 1 { random.random_range(0..60_000) } else { 0 };
        let place = if burst > 1 { (place + random.random_range(0..20)) % PLACES } else { place };
        events.push(Event { kind, place, at });
        if kind.is_multiple_of(2) && random.random::<f64>() < 0.4 {
            let place = if random.random::<f64>() < 0.33 { (place + 1) % PLACES } else { place };
            let late = (-40_000.0 * (1.0 - random.random::<f64>()).ln()) as i64;
            events.push(Event { kind: kind + 1, place, at: (at + 1 + late).min(span) });
        }
    }
    events
}

/// The most memory that the process had, in kB.
fn peak() -> anyhow::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    Ok(line.and_then(|line| line.split_whitespace().next()).map_or(Ok(0), str::parse)?)
}
