//! Made-up series: how quiet the detector is where nothing happens, and what it finds, how late, where something does.
use quell_benches::series::{DAY, Random, STATIONARY, season, stationary};
use quell_models::detectors::{Kpi, Moment, Verdict};
use std::{fs, ops::Range, path::Path};

/// 2026-01-05, a Monday.
const MONDAY: i64 = 1_767_571_200;
const SPEAKS: u16 = 500;
const SEEDS: u64 = 8;
const MONTHS: usize = 3;

fn verdicts(series: &[f64]) -> Vec<Verdict> {
    let mut detector = Kpi::default();
    let one = |(minute, value): (usize, &f64)| detector.take(Moment::utc(MONDAY + 60 * minute as i64), *value, true);
    series.iter().enumerate().map(one).collect()
}

/// Events and severe samples a month of what has no news, its first hours included.
pub fn quiet() {
    println!(
        "| no news, a sample a minute | events a month at 0.5 | rows that are severe at 0.5 a month |\n|---|---|---|"
    );
    for kind in STATIONARY {
        let (mut events, mut severe) = (0, 0);
        for seed in 1..=SEEDS {
            let all = verdicts(&stationary(kind, seed, MONTHS * 30 * DAY));
            events += all.iter().filter(|verdict| verdict.event.0 >= SPEAKS).count();
            severe += all.iter().filter(|verdict| verdict.severity.0 >= SPEAKS).count();
        }
        let months = (SEEDS as usize * MONTHS) as f64;
        println!("| {kind} | {:.2} | {:.2} |", events as f64 / months, severe as f64 / months);
    }
    println!();
}

/// What is not far off and stays: level and how it is drawn, usually and then. `wave`: as a day's one.
const LASTING: [(&str, f64, f64, bool); 9] = [
    ("Gaussian, +3 deviations", 100.0, 115.0, false),
    ("Gaussian, +5 deviations", 100.0, 125.0, false),
    ("Gaussian, +8 deviations", 100.0, 140.0, false),
    ("Gaussian on a wave, +3 deviations", 100.0, 115.0, true),
    ("Gaussian on a wave, +5 deviations", 100.0, 125.0, true),
    ("Poisson 1, then none", 1.0, 0.0, false),
    ("Poisson 2, then none", 2.0, 0.0, false),
    ("Poisson 5, then none", 5.0, 0.0, false),
    ("Poisson 20, then none", 20.0, 0.0, false),
];

/// How often it is told within an hour, and when, after six days and after 23.
pub fn lasting() {
    println!("| it stays so for an hour | told after 6 days, minutes | after 23 days |\n|---|---|---|");
    for (name, usual, then, wave) in LASTING {
        let told = |days: usize| {
            let begins = days * DAY + 600;
            let first = |seed: u64| {
                let mut random = Random::new(seed);
                let one = |minute: usize| {
                    let level = if minute < begins { usual } else { then };
                    if name.starts_with("Poisson") {
                        return if level > 0.0 { random.poisson(level) } else { 0.0 };
                    }
                    level + 5.0 * random.gaussian() + if wave { 50.0 * season(minute) } else { 0.0 }
                };
                let all = verdicts(&(0..begins + LASTS).map(one).collect::<Vec<f64>>());
                all[begins..].iter().position(|verdict| verdict.score().0 >= SPEAKS)
            };
            let mut minutes: Vec<usize> = (1..=SEEDS).filter_map(first).collect();
            minutes.sort_unstable();
            let median = minutes.get(minutes.len() / 2).map_or(String::new(), |median| format!(", {median}"));
            format!("{} of {SEEDS}{median}", minutes.len())
        };
        println!("| {name} | {} | {} |", told(6), told(23));
    }
    println!();
}

/// What happens in a made-up series.
const CASES: [&str; 6] = ["spike", "level shift", "variance", "drift", "missing season", "gap, then a shift"];
/// It lasts so long, three weeks after the beginning.
const LASTS: usize = 60;
const BEGINS: usize = 21 * DAY + 600;

fn case(kind: &str, seed: u64) -> Vec<Option<f64>> {
    let mut random = Random::new(seed);
    let one = |minute: usize| {
        let since = minute.checked_sub(BEGINS);
        let (level, noise) = (100.0 * season(minute), 4.0 * random.gaussian());
        Some(match (kind, since) {
            ("spike", Some(0)) => level + noise + 40.0,
            ("level shift", Some(0..LASTS)) => level + noise + 40.0,
            ("variance", Some(0..LASTS)) => level + 6.0 * noise,
            ("drift", Some(n @ 0..LASTS)) => level + noise + n as f64,
            ("missing season", Some(0..LASTS)) => 50.0 + noise,
            ("gap, then a shift", Some(0..30)) => return None,
            ("gap, then a shift", Some(30..LASTS)) => level + noise + 40.0,
            _ => level + noise,
        })
    };
    (0..BEGINS + LASTS + DAY).map(one).collect()
}

/// Of what happens.
fn rows(kind: &str) -> Range<usize> {
    match kind {
        "spike" => BEGINS..BEGINS + 1,
        "gap, then a shift" => BEGINS + 30..BEGINS + LASTS,
        _ => BEGINS..BEGINS + LASTS,
    }
}

/// A batch on Tuesdays from two to three: how often it is told of as it becomes usual, and whether the same on a Thursday is.
pub fn weekday() {
    println!(
        "| +60 for an hour on Tuesdays, Thursday of the ninth week too | told of by week, of {SEEDS} | from the fifth on, other hours included, a month | the Thursday, and how late |\n|---|---|---|---|"
    );
    let batch = |minute: usize, day: usize| minute / DAY % 7 == day && (120..180).contains(&(minute % DAY));
    let weeks = 13;
    let thursday = 59;
    for (name, wave) in [("on a wave", 100.0), ("on nothing", 0.0)] {
        let (mut by_week, mut events, mut late) = (vec![0; weeks], 0, Vec::new());
        for seed in 1..=SEEDS {
            let mut random = Random::new(seed);
            let one = |n: usize| {
                let is_then = batch(n, 1) || n / DAY == thursday && batch(n, 3);
                100.0 + wave * season(n) + if is_then { 60.0 } else { 0.0 } + 4.0 * random.gaussian()
            };
            let all = verdicts(&(0..7 * weeks * DAY).map(one).collect::<Vec<f64>>());
            let says = |verdict: &Verdict| verdict.event.0 >= SPEAKS;
            let hour = |day: usize| &all[day * DAY + 120..day * DAY + 180];
            by_week
                .iter_mut()
                .enumerate()
                .for_each(|(week, told)| *told += usize::from(hour(7 * week + 1).iter().any(says)));
            let rest = all[28 * DAY..].iter().filter(|verdict| says(verdict)).count();
            let found = hour(thursday).iter().position(says);
            events += rest - hour(thursday).iter().filter(|verdict| says(verdict)).count();
            late.extend(found);
        }
        let months = (SEEDS as usize * (weeks - 4) * 7) as f64 / 30.0;
        let told: Vec<String> = by_week.iter().map(ToString::to_string).collect();
        let mean = late.iter().sum::<usize>() as f64 / late.len().max(1) as f64;
        println!(
            "| {name} | {} | {:.2} | {} of {SEEDS}, {mean:.1} |",
            told.join(" "),
            events as f64 / months,
            late.len()
        );
    }
    println!();
}

/// As files for `benches/peers/anomaly.py`, up to where it is over.
///
/// # Errors
/// Where one can't be written.
pub fn write(directory: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(directory)?;
    for (kind, seed) in CASES.into_iter().flat_map(|kind| (1..=SEEDS).map(move |seed| (kind, seed))) {
        let mut text = String::from("minute,value,happens\n");
        for (minute, value) in case(kind, seed).into_iter().enumerate().take(rows(kind).end) {
            if let Some(value) = value {
                text += &format!("{minute},{value},{}\n", u8::from(rows(kind).contains(&minute)));
            }
        }
        fs::write(directory.join(format!("{kind}-{seed}.csv")), text)?;
    }
    Ok(())
}

/// The first row, after what happens has begun, of a score that no earlier row of the third week has.
struct Found {
    /// Area under the curve of rows told apart: of what happens, and of the week before.
    area: f64,
    /// In minutes, at the highest score of the week before.
    delay: Option<usize>,
}

fn found_by(scores: &[f64], rows: Range<usize>) -> Found {
    let before = &scores[BEGINS - 7 * DAY..BEGINS];
    let during = &scores[rows];
    let above = |score: f64| {
        let below = before.iter().filter(|other| **other < score).count();
        let same = before.iter().filter(|other| **other == score).count();
        (below as f64 + 0.5 * same as f64) / before.len() as f64
    };
    let area = during.iter().map(|score| above(*score)).sum::<f64>() / during.len() as f64;
    let most = before.iter().copied().fold(0.0, f64::max);
    Found { area, delay: during.iter().position(|score| *score > most) }
}

/// An exponentially weighted mean and deviation of the last 300 samples (Roberts, 1959).
fn ewma(series: &[Option<f64>]) -> Vec<f64> {
    let (mut n, mut mean, mut variance) = (0.0_f64, 0.0, 0.0_f64);
    let one = |value: &Option<f64>| {
        let Some(value) = value else { return 0.0 };
        let off = value - mean;
        let score = if n > 30.0 { off.abs() / variance.sqrt().max(1e-9) } else { 0.0 };
        n += 1.0;
        let step = (1.0 / n).max(1.0 / 300.0);
        mean += step * off;
        variance += step * (off * off - variance);
        score
    };
    series.iter().map(one).collect()
}

/// What is found, how surely and how late, beside a weighted mean.
pub fn found() {
    println!(
        "| what happens | severity: area, delay in minutes, found | EWMA: area, delay, found | highest event | told of, and how late | farthest off, deviations |\n|---|---|---|---|---|---|"
    );
    for kind in CASES {
        let (mut ours, mut plain, mut told_of) = (Vec::new(), Vec::new(), Vec::new());
        let (mut events, mut off) = (0.0, 0.0);
        for seed in 1..=SEEDS {
            let series = case(kind, seed);
            let mut detector = Kpi::default();
            let all: Vec<Verdict> = (series.iter().enumerate())
                .map(|(minute, value)| {
                    let at = Moment::utc(MONDAY + 60 * minute as i64);
                    value.map_or_else(Verdict::default, |value| detector.take(at, value, true))
                })
                .collect();
            let rows = rows(kind);
            let during = &all[rows.clone()];
            events += during.iter().map(|verdict| f64::from(verdict.event.0)).fold(0.0, f64::max) / 1_000.0;
            off += during.iter().map(|verdict| verdict.deviations.abs()).fold(0.0, f64::max);
            told_of.extend(during.iter().position(|verdict| verdict.event.0 >= SPEAKS));
            let severities: Vec<f64> = all.iter().map(|verdict| verdict.deviations.abs()).collect();
            ours.push(found_by(&severities, rows.clone()));
            plain.push(found_by(&ewma(&series), rows));
        }
        let n = SEEDS as f64;
        let late = told_of.iter().sum::<usize>() as f64 / told_of.len().max(1) as f64;
        println!(
            "| {kind} | {} | {} | {:.2} | {} of {SEEDS}, {late:.1} | {:.1} |",
            told(&ours),
            told(&plain),
            events / n,
            told_of.len(),
            off / n
        );
    }
    println!();
}

fn told(all: &[Found]) -> String {
    let area = all.iter().map(|found| found.area).sum::<f64>() / all.len() as f64;
    let delays: Vec<usize> = all.iter().filter_map(|found| found.delay).collect();
    let delay = delays.iter().sum::<usize>() as f64 / delays.len().max(1) as f64;
    format!("{area:.3}, {delay:.1}, {} of {}", delays.len(), all.len())
}
