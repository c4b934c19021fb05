//! How well and how fast templates are mined, with one setting for all systems.
//!
//! `QUELL_TEMPLATES=datasets cargo bench -p quell-benches --bench templates`, where `datasets` holds sets of lines whose templates
//! are known: `loghub-2k/dev` (Zhu et al., "Loghub", ISSRE 2023) and what `benches/templates/harvest.py` makes, `harvested/dev` and
//! `harvested/clean`. A set that is not there is left out. Input is the message, the header cut. `QUELL_TEMPLATES_KEEP=folder` keeps
//! what was said of each line, as CSV: `LineId,group,template`.
mod data;
mod measures;

use data::System;
use measures::{Measures, Mined};
use quell_models::templates::{Miner, Parts, Settings, Skeleton};
use rand::{SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use std::{
    collections::BTreeMap,
    env, fs,
    hint::black_box,
    path::Path,
    time::{Duration, Instant},
};

/// That of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SETS: [&str; 5] =
    ["loghub-2k/dev", "harvested/dev", "harvested/dev-named", "harvested/clean", "harvested/clean-named"];
/// Orders in which lines are shuffled.
const SHUFFLES: u64 = 5;
/// A rule, as it is switched.
type Part = fn(&mut Parts) -> &mut bool;

const PARTS: [(&str, Part); 17] = [
    ("digit", |p| &mut p.digit),
    ("path", |p| &mut p.path),
    ("url", |p| &mut p.url),
    ("hex", |p| &mut p.hex),
    ("dotted", |p| &mut p.dotted),
    ("null", |p| &mut p.null),
    ("date", |p| &mut p.date),
    ("key_value", |p| &mut p.key_value),
    ("quoted", |p| &mut p.quoted),
    ("empty", |p| &mut p.empty),
    ("collapse", |p| &mut p.collapse),
    ("unit", |p| &mut p.unit),
    ("brace", |p| &mut p.brace),
    ("slots", |p| &mut p.slots),
    ("together", |p| &mut p.together),
    ("names", |p| &mut p.names),
    ("phrases", |p| &mut p.phrases),
];

fn main() -> anyhow::Result<()> {
    let Some(dir) = env::var_os("QUELL_TEMPLATES") else {
        println!("QUELL_TEMPLATES is not set: nothing is measured");
        return Ok(());
    };
    let mut lines = Vec::new();
    for set in SETS {
        let path = Path::new(&dir).join(set);
        if !path.exists() {
            continue;
        }
        let systems = data::systems(&path)?;
        println!("**{set}**, {} systems\n", systems.len());
        accuracy(&systems)?;
        orders(&systems);
        ablation(&systems);
        if set == SETS[0] {
            left_out(&systems);
        }
        lines.extend(systems.into_iter().flat_map(|system| system.lines));
    }
    speed(&lines);
    Ok(())
}

/// Each line's template, after the last line.
fn mine<'a>(lines: impl Iterator<Item = &'a str>, settings: Settings) -> (Miner, Mined) {
    let mut miner = Miner::new(settings);
    let ids: Vec<u64> = lines.map(|line| miner.learn(line).template).collect();
    let groups: Vec<u64> = ids.into_iter().map(|id| miner.resolve(id).unwrap_or(id)).collect();
    let mut texts = BTreeMap::new();
    for id in &groups {
        texts.entry(*id).or_insert_with(|| miner.template(*id).map(|t| t.text).unwrap_or_default());
    }
    let texts = groups.iter().map(|id| texts[id].clone()).collect();
    (miner, Mined { groups, texts })
}

fn mined(system: &System, settings: Settings) -> Mined {
    mine(system.lines.iter().map(String::as_str), settings).1
}

fn both(system: &System, mined: &Mined) -> [Measures; 2] {
    [Measures::of(&system.original, mined), Measures::of(&system.corrected, mined)]
}

fn means(all: &[[Measures; 2]]) -> [Measures; 2] {
    [0, 1].map(|labels| Measures::mean(&all.iter().map(|of| of[labels]).collect::<Vec<_>>()))
}

fn accuracy(systems: &[System]) -> anyhow::Result<()> {
    println!(
        "| system | GA | FGA | PA | FTA | corrected: GA | FGA | PA | FTA |\n|---|---|---|---|---|---|---|---|---|"
    );
    let mut all = Vec::new();
    for system in systems {
        let mined = mined(system, Settings::default());
        let of = both(system, &mined);
        println!("| {} | {} | {} |", system.name, of[0].cells(), of[1].cells());
        all.push(of);
        if let Some(keep) = env::var_os("QUELL_TEMPLATES_KEEP") {
            keep_csv(&Path::new(&keep).join(format!("{}.csv", system.name)), &mined)?;
        }
    }
    let mean = means(&all);
    println!("| **mean** | {} | {} |\n", mean[0].cells(), mean[1].cells());
    Ok(())
}

fn keep_csv(path: &Path, mined: &Mined) -> anyhow::Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let mut csv = csv::Writer::from_path(path)?;
    csv.write_record(["LineId", "group", "template"])?;
    for (line, (group, text)) in (1..).zip(mined.groups.iter().zip(&mined.texts)) {
        csv.write_record([u64::to_string(&line), format!("{group:016x}"), text.clone()])?;
    }
    Ok(csv.flush()?)
}

/// The lines in other orders, and those of all systems as one stream.
fn orders(systems: &[System]) {
    println!("| order | GA | FGA | corrected: GA | FGA |\n|---|---|---|---|---|");
    let mut shuffled = Vec::new();
    for seed in 0..SHUFFLES {
        for system in systems {
            let mut order: Vec<usize> = (0..system.lines.len()).collect();
            order.shuffle(&mut StdRng::seed_from_u64(seed));
            let (_, said) = mine(order.iter().map(|at| system.lines[*at].as_str()), Settings::default());
            let mut mined = Mined { groups: vec![0; order.len()], texts: vec![String::new(); order.len()] };
            for ((at, group), text) in order.into_iter().zip(said.groups).zip(said.texts) {
                (mined.groups[at], mined.texts[at]) = (group, text);
            }
            shuffled.push(both(system, &mined));
        }
    }
    row(&format!("shuffled, mean of {SHUFFLES}"), means(&shuffled));
    // A line of each in turn.
    let longest = systems.iter().map(|system| system.lines.len()).max().unwrap_or_default();
    let order: Vec<(usize, usize)> = (0..longest)
        .flat_map(|at| (0..systems.len()).map(move |of| (of, at)))
        .filter(|(of, at)| *at < systems[*of].lines.len())
        .collect();
    let (_, said) = mine(order.iter().map(|(of, at)| systems[*of].lines[*at].as_str()), Settings::default());
    let mut mixed: Vec<Mined> = systems.iter().map(|_| Mined::default()).collect();
    for (((of, _), group), text) in order.into_iter().zip(said.groups).zip(said.texts) {
        mixed[of].groups.push(group);
        mixed[of].texts.push(text);
    }
    let mixed: Vec<_> = systems.iter().zip(&mixed).map(|(system, mined)| both(system, mined)).collect();
    row("all systems in one stream", means(&mixed));
    println!();
}

fn row(name: &str, of: [Measures; 2]) {
    println!("| {name} | {:.3} | {:.3} | {:.3} | {:.3} |", of[0].ga, of[0].fga, of[1].ga, of[1].fga);
}

/// What each rule is worth.
fn ablation(systems: &[System]) {
    println!("| without | GA | FGA | corrected: GA | FGA |\n|---|---|---|---|---|");
    let measure = |settings: Settings| {
        let all: Vec<_> = systems.iter().map(|system| both(system, &mined(system, settings))).collect();
        means(&all)
    };
    row("nothing", measure(Settings::default()));
    for (name, part) in PARTS {
        let mut settings = Settings::default();
        *part(&mut settings.parts) = false;
        row(name, measure(settings));
    }
    println!();
}

/// Which rules are on is chosen on all systems but one, beginning with none, and measured on that one.
fn left_out(systems: &[System]) {
    println!("| left out | GA | FGA | rules that are off |\n|---|---|---|---|");
    let mut all = Vec::new();
    for out in 0..systems.len() {
        let settings = chosen(systems, out);
        let of = Measures::of(&systems[out].original, &mined(&systems[out], settings));
        let off = PARTS.iter().filter(|(_, part)| !*part(&mut settings.parts.clone())).map(|(name, _)| *name);
        let off = off.collect::<Vec<_>>().join(", ");
        println!("| {} | {:.3} | {:.3} | {off} |", systems[out].name, of.ga, of.fga);
        all.push(of);
    }
    let mean = Measures::mean(&all);
    println!("| **mean** | {:.3} | {:.3} | |\n", mean.ga, mean.fga);
}

/// Each rule in turn is switched where that is better in the mean of GA and FGA, until nothing changes.
fn chosen(systems: &[System], out: usize) -> Settings {
    let value = |settings: Settings| {
        let others = systems.iter().enumerate().filter(|(at, _)| *at != out);
        let all = others.map(|(_, system)| Measures::of(&system.original, &mined(system, settings)));
        let mean = Measures::mean(&all.collect::<Vec<_>>());
        mean.ga + mean.fga
    };
    let mut settings = Settings::default();
    for (_, part) in PARTS {
        *part(&mut settings.parts) = false;
    }
    let mut best = value(settings);
    loop {
        let before = settings;
        for (_, part) in PARTS {
            let mut other = settings;
            *part(&mut other.parts) ^= true;
            let of = value(other);
            if of > best {
                (settings, best) = (other, of);
            }
        }
        if settings == before {
            return settings;
        }
    }
}

/// Lines a second, on one core: the best of several rounds over all lines, a second each, with a miner that begins anew.
fn speed(lines: &[String]) {
    let bytes: usize = lines.iter().map(String::len).sum();
    let mut best = 0.0_f64;
    for _ in 0..5 {
        let mut miner = Miner::new(Settings::default());
        let begin = Instant::now();
        let mut rounds = 0;
        while begin.elapsed() < Duration::from_secs(1) {
            lines.iter().for_each(|line| {
                black_box(miner.learn(line));
            });
            rounds += 1;
        }
        best = best.max((lines.len() * rounds) as f64 / begin.elapsed().as_secs_f64());
    }
    let first = Instant::now();
    let mut miner = Miner::new(Settings::default());
    for line in lines {
        miner.learn(line);
    }
    let once = lines.len() as f64 / first.elapsed().as_secs_f64();
    let begin = Instant::now();
    for line in lines {
        black_box(Skeleton::of(line).id());
    }
    let alone = begin.elapsed().as_nanos() as f64 / lines.len().max(1) as f64;
    println!(
        "{alone:.0} ns a skeleton alone; {:.2} million lines/s over and over, {:.2} the first time; {} lines, {:.0} bytes each, {} templates",
        best / 1e6,
        once / 1e6,
        lines.len(),
        bytes as f64 / lines.len().max(1) as f64,
        miner.len()
    );
}
