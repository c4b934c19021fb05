//! Alerts that come at their hour, made up: how soon that is said, and how often it is said of what comes at any time.
use quell_benches::series::Random;
use quell_models::rhythm::{Hour, Rhythm};

const DAYS: i32 = 90;
const PATTERNS: u64 = 2_000;

/// A pattern's openings in order, as hours since a Monday.
type Openings = Vec<i64>;

/// Of a Poisson process of so many a day.
fn poisson(random: &mut Random, rate: f64) -> Openings {
    let (mut all, mut at) = (Vec::new(), 0.0);
    loop {
        at -= random.uniform().ln() / rate * 24.0;
        if at >= f64::from(DAYS) * 24.0 {
            return all;
        }
        all.push(at as i64);
    }
}

/// A pattern that comes at its hour, by its name, and when it first did.
fn regular(random: &mut Random, kind: &str) -> Openings {
    let hour = (random.uniform() * 24.0) as i64;
    let weekday = (random.uniform() * 7.0) as i64;
    let one = |day: i64| {
        let comes = match kind {
            "each day" | "each day, within 40 minutes" | "each day, and once at any time" => true,
            "nine days of ten" => random.uniform() < 0.9,
            "each working day" => day % 7 < 5,
            _ => day % 7 == weekday,
        };
        // Around the full hour, so that it may be in either.
        let minutes = if kind == "each day, within 40 minutes" { (random.uniform() - 0.5) * 80.0 } else { 10.0 };
        let at = day * 24 * 60 + hour * 60 + minutes as i64;
        comes.then_some(at.max(0) / 60)
    };
    let mut all: Openings = (0..i64::from(DAYS)).filter_map(one).collect();
    if kind == "each day, and once at any time" {
        all.extend(poisson(random, 1.0));
    }
    all.sort_unstable();
    all
}

/// Openings that were said to be at their hour.
fn said(openings: &[i64]) -> Vec<i64> {
    let Some(first) = openings.first() else { return Vec::new() };
    let mut rhythm = Rhythm::new((first / 24) as i32);
    let at = |at: i64| Hour { day: (at / 24) as i32, hour: (at % 24) as u8 };
    openings.iter().copied().filter(|opening| rhythm.come(at(*opening)).is_some()).collect()
}

/// Prints how often it is said of what has no hour.
pub fn quiet() {
    println!(
        "| openings a day at any time, {DAYS} days | openings said to be at their hour | patterns of which one is |\n|---|---|---|"
    );
    for rate in [0.05, 0.2, 0.5, 1.0, 3.0, 10.0, 50.0] {
        let (mut all, mut wrong, mut patterns) = (0, 0, 0);
        for seed in 1..=PATTERNS {
            let openings = poisson(&mut Random::new(seed), rate);
            let found = said(&openings);
            (all, wrong, patterns) =
                (all + openings.len(), wrong + found.len(), patterns + usize::from(!found.is_empty()));
        }
        let share = |n: usize, of: usize| 100.0 * n as f64 / of as f64;
        println!("| {rate} | {:.4} % | {:.2} % |", share(wrong, all), share(patterns, PATTERNS as usize));
    }
    println!();
}

/// Prints how soon it is said of what has one, and of which share then.
pub fn found() {
    println!("| comes | found | on day, median | of its openings after that |\n|---|---|---|---|");
    for kind in [
        "each day",
        "each day, within 40 minutes",
        "nine days of ten",
        "each working day",
        "each day, and once at any time",
        "each week",
    ] {
        let (mut days, mut later, mut told) = (Vec::new(), 0, 0);
        for seed in 1..=PATTERNS {
            let openings = regular(&mut Random::new(seed), kind);
            let found = said(&openings);
            let (Some(first), Some(begin)) = (found.first(), openings.first()) else { continue };
            days.push(first / 24 - begin / 24 + 1);
            later += openings.iter().filter(|at| *at > first).count();
            told += found.iter().filter(|at| *at > first).count();
        }
        days.sort_unstable();
        let day = days.get(days.len() / 2).map_or("-".to_owned(), ToString::to_string);
        println!("| {kind} | {} of {PATTERNS} | {day} | {:.1} % |", days.len(), 100.0 * told as f64 / later as f64);
    }
    println!();
}
