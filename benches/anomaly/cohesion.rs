//! Peers, made up and real: who leaves them, how late that is seen, and how often it is said of one that has not left.
use super::files::segments;
use quell_benches::{
    series::{DAY, Random, season},
    tables::table,
};
use quell_models::{
    cohesion::{Cohesion, Distance, Given},
    detectors::{Kpi, Moment},
};
use std::{fs, path::Path};

/// 2026-01-05, a Monday.
const MONDAY: i64 = 1_767_571_200;
/// The default of `score.cohesion.leaves_at`.
const LEAVES_AT: Distance = Distance(400);
const SIZES: [usize; 4] = [4, 10, 100, 1_000];
const NOISES: [&str; 4] = ["Gaussian", "AR(1) .9", "lognormal", "Poisson"];
const CASES: [&str; 8] =
    ["level", "half a level", "flat", "phase", "spread x6", "drift", "half of them move", "all move"];
/// What happens begins after two weeks, in the morning, and lasts half a day.
const BEGINS: usize = 14 * DAY + 600;
const LASTS: usize = 720;

/// Peers under one load, each with its own level, size and noise.
struct Peers {
    random: Random,
    kind: &'static str,
    /// Level, size of what is common, noise, and the noise that lasts.
    members: Vec<[f64; 4]>,
    /// A shock that hits all: until when, and how large.
    shock: (usize, f64),
}

impl Peers {
    fn new(kind: &'static str, size: usize, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut one = || [40.0 * random.uniform(), 0.7 + 0.7 * random.uniform(), 3.0 + 4.0 * random.uniform(), 0.0];
        let members = (0..size).map(|_| one()).collect();
        Self { random, kind, members, shock: (0, 0.0) }
    }

    /// A shock a day or so, of half an hour.
    fn pass(&mut self, minute: usize) {
        if minute >= self.shock.0 {
            self.shock = (0, 0.0);
            if self.random.uniform() < 1.0 / DAY as f64 {
                self.shock = (minute + 30, 40.0 + 40.0 * self.random.uniform());
            }
        }
    }

    /// A member's value; `what` happens to it.
    fn value(&mut self, n: usize, minute: usize, what: Option<&str>, since: usize) -> f64 {
        let (random, [level, size, noise, lasting]) = (&mut self.random, &mut self.members[n]);
        let drawn = match self.kind {
            "AR(1) .9" => {
                *lasting = 0.9 * *lasting + 0.44 * random.gaussian();
                *lasting
            }
            "lognormal" => (0.8 * random.gaussian()).exp() - 1.377,
            "Poisson" => random.poisson(2.0) - 2.0,
            _ => random.gaussian(),
        };
        let wave = |minute: usize| 100.0 * season(minute) + self.shock.1;
        let common = *size
            * match what {
                Some("flat") => 100.0,
                Some("phase") => wave(minute + DAY / 4),
                _ => wave(minute),
            };
        *level
            + match what {
                Some("level") => common + 40.0 + *noise * drawn,
                Some("spread x6") => common + 6.0 * *noise * drawn,
                Some("drift") => common + since as f64 * 0.2 + *noise * drawn,
                _ => common + *noise * drawn,
            }
    }
}

/// Peers through the detector of each, and what is said of them.
struct Watch {
    detectors: Vec<Kpi>,
    group: Cohesion,
    /// Member, minute.
    left: Vec<(usize, usize)>,
}

impl Watch {
    fn new(size: usize) -> Self {
        Self { detectors: vec![Kpi::default(); size], group: Cohesion::default(), left: Vec::new() }
    }

    fn take(&mut self, n: usize, (row, seconds): (usize, i64), value: f64) {
        let verdict = self.detectors[n].take(Moment::utc(MONDAY + seconds), value, true);
        if verdict.usual.is_some() {
            let given = Given { seconds, deviation: verdict.plain, shown: value, teaches: true };
            let turns = self.group.take(n as u128, given, LEAVES_AT);
            self.left.extend(turns.iter().filter(|turn| turn.apart).map(|turn| (turn.key as usize, row)));
        }
    }
}

/// How often a member of peers that have no news is said to leave, a month and group.
pub fn quiet() {
    println!("| peers of which none leaves, a sample a minute, for 30 days | {} |", NOISES.join(" | "));
    println!("|---|{}", "---|".repeat(NOISES.len()));
    for size in SIZES {
        let seeds = if size >= 1_000 { 1 } else { 4 };
        let one = |kind: &&'static str| {
            let all = (1..=seeds).map(|seed| {
                let (mut peers, mut watch) = (Peers::new(kind, size, seed), Watch::new(size));
                for minute in 0..30 * DAY {
                    peers.pass(minute);
                    for n in 0..size {
                        let value = peers.value(n, minute, None, 0);
                        watch.take(n, (minute, 60 * minute as i64), value);
                    }
                }
                watch.left.len()
            });
            format!("{:.2}", all.sum::<usize>() as f64 / seeds as f64)
        };
        println!("| {size} | {} |", NOISES.iter().map(one).collect::<Vec<_>>().join(" | "));
    }
    println!();
}

/// What happens to one of the peers, to half or to all.
pub fn found() {
    println!(
        "| what happens to one of the peers | peers | found | minutes until then | others said to leave |\n|---|---|---|---|---|"
    );
    for case in CASES {
        for size in [4, 10, 100] {
            let (seeds, mut delays, mut others) = (8, Vec::new(), 0);
            for seed in 1..=seeds {
                let (mut peers, mut watch) = (Peers::new("Gaussian", size, seed), Watch::new(size));
                for minute in 0..BEGINS + LASTS {
                    peers.pass(minute);
                    for n in 0..size {
                        let happens = match case {
                            "half of them move" => n < size / 2,
                            "all move" => true,
                            _ => n == 0,
                        };
                        let what = if case.contains("move") { "level" } else { case };
                        let since = minute.checked_sub(BEGINS);
                        let what = since.filter(|_| happens).map(|_| what);
                        let value = peers.value(n, minute, what, since.unwrap_or(0));
                        watch.take(n, (minute, 60 * minute as i64), value);
                    }
                }
                let after = watch.left.iter().filter(|(_, minute)| *minute >= BEGINS);
                let mut by_case = after.filter(|(n, _)| *n == 0 && !case.contains("move"));
                let first = by_case.next().map(|(_, minute)| minute - BEGINS);
                others += watch.left.len() - usize::from(first.is_some()) - by_case.count();
                delays.extend(first);
            }
            delays.sort_unstable();
            let delay = delays.get(delays.len() / 2).map_or("-".to_owned(), ToString::to_string);
            println!("| {case} | {size} | {} of {seeds} | {delay} | {others} |", delays.len());
        }
    }
    println!();
}

/// Each metric of ASD's services as peers: they are of one kind and time, and nobody says which are peers.
///
/// # Errors
/// Where a file can't be read.
pub fn services(root: &Path) -> anyhow::Result<()> {
    let root = if root.join("dev").is_dir() { root.join("dev") } else { root.to_owned() };
    let mut dirs: Vec<_> = fs::read_dir(&root)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    dirs.retain(|dir| dir.file_name().is_some_and(|name| name.to_string_lossy().starts_with("omi")));
    dirs.sort();
    let mut services = Vec::new();
    for dir in &dirs {
        services.push((table(&dir.join("train.csv"))?, table(&dir.join("test.csv"))?, segments(dir)?));
    }
    let Some((train, test, _)) = services.first() else { return Ok(()) };
    let (metrics, rows) = (train[0].len(), train.len() + test.len());
    let mut said = Vec::new();
    for metric in 0..metrics {
        let mut watch = Watch::new(services.len());
        for row in 0..rows {
            for (n, (train, test, _)) in services.iter().enumerate() {
                let values = train.get(row).or_else(|| test.get(row - train.len()));
                let Some(values) = values else { continue };
                watch.take(n, (row, 300 * row as i64), values[metric]);
            }
        }
        said.extend(watch.left.into_iter().map(|(n, row)| (n, metric, row)));
    }
    let (mut hit, mut all, mut outside, mut labelled, mut tested) = (0, 0, 0, 0, 0);
    for (n, (train, test, segments)) in services.iter().enumerate() {
        let of = |row: usize| row.checked_sub(train.len());
        let mine: Vec<usize> = said.iter().filter(|(m, ..)| *m == n).filter_map(|(.., row)| of(*row)).collect();
        let is_in = |row: usize| segments.iter().any(|(from, to)| (*from..=*to + 12).contains(&row));
        outside += mine.iter().filter(|row| !is_in(**row)).count();
        hit += segments.iter().filter(|(from, to)| mine.iter().any(|row| (*from..=*to + 12).contains(row))).count();
        all += segments.len();
        labelled += segments.iter().map(|(from, to)| to - from + 13).sum::<usize>();
        tested += test.len();
    }
    let inside = said.iter().filter(|(n, _, row)| *row >= services[*n].0.len()).count() - outside;
    let months = |rows: usize| rows as f64 * 300.0 / 86_400.0 / 30.0 * metrics as f64;
    println!("| ASD, {} services as peers by each of {metrics} metrics | |\n|---|---|", services.len());
    println!("| labelled anomalies in which one is said to leave | {hit} of {all} |");
    println!("| said a month and series, while one is labelled | {:.2} |", inside as f64 / months(labelled));
    println!("| said a month and series, else | {:.2} |", outside as f64 / months(tested - labelled));
    println!();
    Ok(())
}
