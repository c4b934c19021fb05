//! What is usual in each value and new as a shape: the detector alone, and with shapes; and how quiet shapes are.
use quell_benches::series::{DAY, Random, STATIONARY, stationary, walk};
use quell_models::detectors::{Kpi, Moment, Shape};
use std::f64::consts::TAU;

/// 2026-01-05, a Monday.
const MONDAY: i64 = 1_767_571_200;
const SPEAKS: u16 = 500;
const SEEDS: u64 = 8;
const MONTHS: usize = 2;
/// What happens lasts so long, and may be told of twice as long.
const LASTS: usize = 60;
const BEGINS: usize = 14 * DAY + 600;
const CASES: [&str; 3] = [
    "a beat each 30 minutes does not come",
    "a cycle of an hour at double the pace",
    "a plateau in a pulse of 50 minutes",
];

fn case(kind: &str, seed: u64) -> Vec<f64> {
    let mut random = Random::new(seed);
    let one = |n: usize| {
        let (happens, noise) = ((BEGINS..BEGINS + LASTS).contains(&n), random.gaussian());
        if kind == CASES[0] {
            let is_missing = happens && n % LASTS < 30;
            return 20.0 + if n % 30 < 3 && !is_missing { 50.0 } else { 0.0 } + noise;
        }
        if kind == CASES[1] {
            let phase = TAU * (n % 60) as f64 / 60.0;
            return 100.0 + 50.0 * if happens { (2.0 * phase).sin() } else { phase.sin() } + 2.0 * noise;
        }
        let wave = |at: f64, width: f64, height: f64| height * (-0.5 * (((n % 50) as f64 - at) / width).powi(2)).exp();
        let pulse = wave(10.0, 3.0, 10.0) + wave(20.0, 1.0, 80.0) - wave(23.0, 1.0, 15.0) + wave(36.0, 4.0, 20.0);
        100.0 + if happens { 8.0 } else { pulse } + 2.0 * noise
    };
    (0..BEGINS + 7 * DAY).map(one).collect()
}

/// Events of shapes a month of what has no news.
pub fn quiet() {
    println!("| no news, a sample a minute | shapes told of a month |\n|---|---|");
    for kind in STATIONARY.into_iter().chain(["AR(1) .99", "AR(1) .999", "random walk"]) {
        let mut events = 0;
        for seed in 1..=SEEDS {
            let (mut shape, samples) = (Shape::default(), MONTHS * 30 * DAY);
            let kept = match kind {
                "AR(1) .99" => 0.99,
                "AR(1) .999" => 0.999,
                _ => 1.0,
            };
            let series =
                if STATIONARY.contains(&kind) { stationary(kind, seed, samples) } else { walk(kept, seed, samples) };
            events += series.iter().filter(|value| shape.take(**value).0 >= SPEAKS).count();
        }
        println!("| {kind} | {:.2} |", events as f64 / (SEEDS as usize * MONTHS) as f64);
    }
    println!();
}

/// Found of eight, how late in minutes, and what is told of at other times, in three weeks each.
pub fn found() {
    println!("| what happens for {LASTS} minutes | the detector: found, delay, else | with shapes |\n|---|---|---|");
    for kind in CASES {
        let mut all = [(Vec::new(), 0), (Vec::new(), 0)];
        for seed in 1..=SEEDS {
            let (mut kpi, mut shape, mut first) = (Kpi::default(), Shape::default(), [None; 2]);
            for (n, value) in case(kind, seed).into_iter().enumerate() {
                let plain = kpi.take(Moment::utc(MONDAY + 60 * n as i64), value, true);
                let verdicts = [plain, plain.with_shape(shape.take(value))];
                for ((verdict, first), (_, others)) in verdicts.iter().zip(&mut first).zip(&mut all) {
                    if verdict.event.0 < SPEAKS {
                        continue;
                    }
                    if (BEGINS..BEGINS + 2 * LASTS).contains(&n) {
                        first.get_or_insert(n - BEGINS);
                    } else {
                        *others += 1;
                    }
                }
            }
            first.into_iter().zip(&mut all).for_each(|(first, (late, _))| late.extend(first));
        }
        let told = all.map(|(late, others): (Vec<usize>, usize)| {
            let mean = late.iter().sum::<usize>() as f64 / late.len().max(1) as f64;
            format!("{} of {SEEDS}, {mean:.1}, {others}", late.len())
        });
        println!("| {kind} | {} |", told.join(" | "));
    }
}
