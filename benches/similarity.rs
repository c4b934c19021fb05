//! What a signature and a look-up cost, and how many of the nearest are found.
//!
//! `cargo bench -p quell-benches --bench similarity`: families of sets that are more or less alike, 1,000 and 100,000 of them. With
//! `QUELL_TEMPLATES=datasets` also the templates that are mined from `loghub-2k/dev`, each the set of its words and of its pairs of
//! words side by side.
//! Recall is held against all: of the three of the highest Jaccard index, where that is at least the floor, how many are among the
//! three that were found.
#[path = "templates/data.rs"]
mod data;

use quell_models::{
    similarity::{Index, Signature},
    templates::{Miner, Settings, Skeleton},
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use std::{collections::BTreeSet, env, hint::black_box, path::Path, time::Instant};

/// That of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What is alike, and what is much so.
const FLOORS: [f64; 2] = [0.5, 0.7];
const NEAREST: usize = 3;
const QUERIES: usize = 500;
/// Tokens of a set, and sets of a family.
const TOKENS: usize = 40;
const FAMILY: usize = 20;

type Set = BTreeSet<u64>;

fn main() -> anyhow::Result<()> {
    let mut rng = StdRng::seed_from_u64(7);
    println!("| tokens | ns a signature |\n|---|---|");
    for tokens in [8, 40, 512] {
        let sets: Vec<Vec<u64>> = (0..1_000).map(|_| (0..tokens).map(|_| rng.random()).collect()).collect();
        let nanos = best(|| {
            for set in &sets {
                black_box(Signature::of(set.iter().copied()));
            }
        });
        println!("| {tokens} | {:.0} |", nanos / sets.len() as f64);
    }
    println!(
        "\n| sets | of them | ns an insertion | ns a look-up | ns against all | recall@3 | of what is alike ≥ .7 |"
    );
    println!("|---|---|---|---|---|---|---|");
    for many in [1_000, 100_000] {
        let bases: Vec<Vec<u64>> = (0..many / FAMILY).map(|_| (0..TOKENS).map(|_| rng.random()).collect()).collect();
        let mut varied = |base: &[u64], share: f64| -> Set {
            base.iter().map(|token| if rng.random_bool(share) { rng.random() } else { *token }).collect()
        };
        let sets: Vec<Set> = (0..many).map(|n| varied(&bases[n / FAMILY], 0.02 * (n % FAMILY) as f64)).collect();
        let queries: Vec<Set> = (0..QUERIES).map(|n| varied(&bases[n * 37 % bases.len()], 0.1)).collect();
        row("families", &sets, &queries);
    }
    let Some(dir) = env::var_os("QUELL_TEMPLATES") else { return Ok(()) };
    let mut miner = Miner::new(Settings::default());
    for system in data::systems(&Path::new(&dir).join("loghub-2k/dev"))? {
        system.lines.iter().for_each(|line| {
            miner.learn(line);
        });
    }
    let sets: Vec<Set> = miner.templates().iter().map(|template| shingles(template.example)).collect();
    row("templates of loghub-2k/dev", &sets, &sets);
    Ok(())
}

/// Words, and pairs of them.
fn shingles(line: &str) -> Set {
    let words: Vec<&str> = Skeleton::of(line).words().collect();
    let hash = |words: &[&str]| quell_core::domain::hash::hash_of(&words.join(" "));
    words.chunks(1).chain(words.windows(2)).map(hash).collect()
}

fn row(name: &str, sets: &[Set], queries: &[Set]) {
    let signatures: Vec<Signature> = sets.iter().map(|set| Signature::of(set.iter().copied())).collect();
    let mut index = Index::new(FLOORS[0], sets.len());
    let begin = Instant::now();
    for (id, signature) in (0..).zip(&signatures) {
        index.insert(id, signature.clone());
    }
    let insertion = begin.elapsed().as_nanos() as f64 / sets.len() as f64;
    let asked: Vec<Signature> = queries.iter().map(|set| Signature::of(set.iter().copied())).collect();
    let look_up = best(|| {
        for signature in &asked {
            black_box(index.near(signature, NEAREST));
        }
    });
    let begin = Instant::now();
    let truth: Vec<Vec<f64>> = queries.iter().map(|query| nearest(query, sets)).collect();
    let all = begin.elapsed().as_nanos() as f64 / queries.len() as f64;
    let (mut found, mut wanted) = ([0, 0], [0, 0]);
    for ((signature, query), truth) in asked.iter().zip(queries).zip(&truth) {
        let near = index.near(signature, NEAREST);
        let mut near: Vec<f64> = near.iter().map(|near| jaccard(query, &sets[near.id as usize])).collect();
        for sought in truth {
            // Another one that is as similar is as good.
            let place = near.iter().position(|jaccard| jaccard >= sought);
            place.map(|place| near.swap_remove(place));
            for at in (0..2).filter(|at| *sought >= FLOORS[*at]) {
                wanted[at] += 1;
                found[at] += usize::from(place.is_some());
            }
        }
    }
    let recall = |at: usize| found[at] as f64 / wanted[at].max(1) as f64;
    println!(
        "| {name} | {} | {insertion:.0} | {:.0} | {all:.0} | {:.3} | {:.3} |",
        sets.len(),
        look_up / queries.len() as f64,
        recall(0),
        recall(1)
    );
}

/// The three highest Jaccard indexes, of at least the floor.
fn nearest(query: &Set, sets: &[Set]) -> Vec<f64> {
    let mut all: Vec<f64> =
        sets.iter().map(|set| jaccard(query, set)).filter(|jaccard| *jaccard >= FLOORS[0]).collect();
    all.sort_unstable_by(|a, b| b.total_cmp(a));
    all.truncate(NEAREST);
    all
}

fn jaccard(a: &Set, b: &Set) -> f64 {
    let both = a.intersection(b).count();
    both as f64 / (a.len() + b.len() - both).max(1) as f64
}

/// Nanoseconds, the best of some runs.
fn best(mut run: impl FnMut()) -> f64 {
    let times = (0..7).map(|_| {
        let begin = Instant::now();
        run();
        begin.elapsed().as_nanos() as f64
    });
    times.fold(f64::MAX, f64::min)
}
