//! Disks that fill, made up: how often the moment at which they are full lies in what is told.
use quell_benches::series::{DAY as MINUTES, Random, STATIONARY, stationary, walk};
use quell_models::forecast::Capacity;
use std::f64::consts::TAU;

const PACE: i64 = 300;
const DAY: i64 = 86_400;
const DAYS: i64 = 60;
const LIMIT: f64 = 95.0;
/// A forecast is looked at so often.
const EVERY: i64 = DAY / 4;
const SEEDS: u64 = 200;

/// What a disk does, a sample every five minutes.
const KINDS: [&str; 9] = [
    "steady, noise",
    "walk, drift clear",
    "walk, drift just so",
    "walk, no drift",
    "saw of a day, grows",
    "chunk every 6 h",
    "idle 5 days, then fills",
    "day 10: three times as fast",
    "bursts by day",
];

fn disk(kind: &str, seed: u64) -> Vec<f64> {
    let mut random = Random::new(seed);
    let (start, days) = (20.0 + 30.0 * random.uniform(), 3.0 + 12.0 * random.uniform());
    let (a_day, steps) = ((LIMIT - start) / days, (DAY / PACE) as f64);
    let (mut level, mut all) = (start, Vec::new());
    for n in 0..DAYS * DAY / PACE {
        let (n, of_day) = (n as f64, (n % (DAY / PACE)) as f64 / steps);
        let walk = random.gaussian() / steps.sqrt();
        let grown = a_day * n / steps;
        all.push(match kind {
            "steady, noise" => start + grown + random.gaussian(),
            "walk, drift clear" | "walk, drift just so" | "walk, no drift" => {
                let (drift, deviation) = match kind {
                    "walk, drift clear" => (a_day, 0.5 * a_day),
                    "walk, drift just so" => (a_day, 1.5 * a_day),
                    _ => (0.0, a_day),
                };
                level += drift / steps + deviation * walk;
                level
            }
            "saw of a day, grows" => start + grown + 10.0 * of_day + 0.3 * random.gaussian(),
            "chunk every 6 h" => start + a_day * (4.0 * n / steps).floor() / 4.0 + 0.1 * random.gaussian(),
            "idle 5 days, then fills" => start + 4.0 * a_day * (n / steps - 5.0).max(0.0) + 0.3 * random.gaussian(),
            "day 10: three times as fast" => {
                let day = n / steps;
                start + 0.25 * a_day * (day + 2.0 * (day - 10.0).max(0.0)) + 0.3 * random.gaussian()
            }
            _ => {
                level += 2.0 * a_day / steps * f64::from(u8::from(of_day < 0.5)) * 2.0 * random.uniform();
                level
            }
        });
    }
    all
}

/// Of the forecasts made every six hours: how many were told, how many of these were right, and how wide they were.
pub fn told() {
    println!(
        "| disk, {SEEDS} of each | told | in the 80 % interval | sooner | later | median off, share of the time left | width, likewise |\n|---|---|---|---|---|---|---|"
    );
    for kind in KINDS {
        let (mut asked, mut told, mut sooner, mut later, mut off, mut width) = (0, 0, 0, 0, 0.0, 0.0);
        for seed in 1..=SEEDS {
            let series = disk(kind, seed);
            let full = series.iter().position(|x| *x >= LIMIT).unwrap_or(series.len()) as i64 * PACE;
            let mut capacity = Capacity::default();
            for (n, x) in (0..).zip(&series) {
                let at = n * PACE;
                if at >= full {
                    break;
                }
                capacity.take(at, *x);
                // What changes is nobody's to know before, and a day to see.
                if at == 0 || at % EVERY != 0 || kind.starts_with("day 10") && at < 11 * DAY {
                    continue;
                }
                asked += 1;
                let Some(found) = capacity.full(LIMIT) else { continue };
                let left = (full - at) as f64;
                told += 1;
                sooner += u32::from(left < found.low);
                later += u32::from(left > found.high);
                off += (found.median - left).abs() / left;
                width += (found.high - found.low) / left;
            }
        }
        let share = |part: u32, all: u32| 100.0 * f64::from(part) / f64::from(all.max(1));
        println!(
            "| {kind} | {:.0} % | {:.1} % | {:.1} % | {:.1} % | {:.2} | {:.1} |",
            share(told, asked),
            share(told - sooner - later, told),
            share(sooner, told),
            share(later, told),
            off / f64::from(told.max(1)),
            width / f64::from(told.max(1)),
        );
    }
    println!();
}

/// A sample a minute; as often as the engine asks.
const ASKED: usize = 5;
/// Limits, by the largest value of the series.
const LIMITS: [f64; 3] = [1.1, 1.5, 3.0];

/// What comes back, and never comes to a limit.
fn quiet(kind: &str, seed: u64, minutes: usize) -> Vec<f64> {
    match kind {
        "AR(1) .99" => walk(0.99, seed, minutes),
        "a day's wave" => {
            let mut random = Random::new(seed);
            let of_day = |minute: usize| TAU * minute as f64 / MINUTES as f64;
            (0..minutes).map(|minute| 50.0 + 10.0 * of_day(minute).sin() + 0.1 * random.gaussian()).collect()
        }
        _ => stationary(kind, seed, minutes),
    }
}

/// How often it is said of what comes back that it will reach a limit within a week.
pub fn false_alarms() {
    let (seeds, days) = (20, 60);
    println!(
        "| comes back, a sample a minute | said to reach 1.1 times its largest value within 7 days, a month | 1.5 | 3 |\n|---|---|---|---|"
    );
    for kind in STATIONARY.into_iter().chain(["AR(1) .99", "a day's wave"]) {
        let mut said = [0; LIMITS.len()];
        for seed in 1..=seeds {
            let series = quiet(kind, seed, days * MINUTES);
            let most = series.iter().copied().fold(f64::MIN, f64::max);
            let (mut capacity, mut holds) = (Capacity::default(), [false; LIMITS.len()]);
            for (minute, x) in series.iter().enumerate() {
                capacity.take(60 * minute as i64, *x);
                if minute % ASKED > 0 {
                    continue;
                }
                for ((limit, said), holds) in LIMITS.iter().zip(&mut said).zip(&mut holds) {
                    let now = capacity.full(limit * most).is_some_and(|full| full.median <= 7.0 * DAY as f64);
                    *said += u32::from(now && !*holds);
                    *holds = now;
                }
            }
        }
        let [near, farther, far] = said.map(|said| f64::from(said) / seeds as f64 / (days as f64 / 30.0));
        println!("| {kind} | {near:.2} | {farther:.2} | {far:.2} |");
    }
    println!();
}
