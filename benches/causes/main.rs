//! How well causes are ranked: `quell replay` of incidents whose root cause is known, and what is said first of each.
//!
//! `QUELL_CAUSES=datasets cargo bench -p quell-benches --bench causes`, where `datasets` holds what others published:
//! `petshop/dev/low_traffic` (Hardt et al., "The PetShop Dataset", CLeaR 2024), `nezha/dev/online-boutique-2022-08-22` and
//! `nezha/dev/train-ticket-2023-01-29` (Yu et al., "Nezha", ESEC/FSE 2023) and `itbench-groundtruth/dev/scenarios.jsonl` (Jha et
//! al., "ITBench", ICML 2025), compressed and merged. A set that is not there is left out. `QUELL_CONFIG=quell.toml` tries another
//! configuration; `QUELL_CAUSES_KEEP=folder` keeps the events, the topology and the truth of each set, and
//! `QUELL_CAUSES_MISSED=1` tells what was said where the first cause is not right.
mod data;
mod detect;
mod itbench;
mod nezha;
mod petshop;
mod replay;
mod score;

use anyhow::Context as _;
use data::Set;
use replay::{Run, run};
use score::{Item, fit, share};
use std::{env, path::Path};

/// That of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let Some(dir) = env::var_os("QUELL_CAUSES") else {
        println!("QUELL_CAUSES is not set: nothing is measured");
        return Ok(());
    };
    let sets = sets(Path::new(&dir))?;
    if let Some(keep) = env::var_os("QUELL_CAUSES_KEEP") {
        sets.iter().try_for_each(|set| set.keep(Path::new(&keep)))?;
    }
    for (how, together) in [
        ("One incident a scope, by a policy that groups all its alerts", true),
        ("As the engine groups them: the incident with most alerts", false),
    ] {
        println!("{how}.\n\n| set | incidents | first | first three | of |\n|---|---|---|---|---|");
        for set in &sets {
            let run = run(set, together, None)?;
            println!(
                "| {} | {} | {} | {} | {} |",
                set.name,
                run.incidents,
                run.within(1),
                run.within(3),
                run.ranks.len()
            );
            for (kind, within) in run.by_kind() {
                println!("| {} {kind} | | {} | {} | {} |", set.name, within[0], within[1], within[2]);
            }
            if env::var_os("QUELL_CAUSES_MISSED").is_some() {
                run.missed.iter().for_each(|line| println!("  {line}"));
            }
        }
        println!();
    }
    calibration(&sets)
}

/// The sets that are there.
fn sets(dir: &Path) -> anyhow::Result<Vec<Set>> {
    let mut sets = Vec::new();
    for (path, read) in [
        ("petshop/dev/low_traffic", petshop::read as fn(&Path) -> anyhow::Result<Set>),
        ("nezha/dev/online-boutique-2022-08-22", |dir| nezha::read(dir, "Nezha, Online Boutique")),
        ("nezha/dev/train-ticket-2023-01-29", |dir| nezha::read(dir, "Nezha, Train Ticket")),
        ("itbench-groundtruth/dev", itbench::read),
    ] {
        let folder = dir.join(path);
        if folder.exists() {
            sets.push(read(&folder).with_context(|| path.to_owned())?);
        }
    }
    Ok(sets)
}

/// What a confidence is worth: each group left out in turn, the one number fitted on the others, and with that of the
/// configuration.
fn calibration(sets: &[Set]) -> anyhow::Result<()> {
    let runs: Vec<Run> = sets.iter().map(|set| run(set, true, None)).collect::<Result<_, _>>()?;
    let mut groups: Vec<&str> = sets.iter().map(|set| set.group).collect();
    groups.dedup();
    println!("| left out | causes shown | right | by | Brier skill | ECE |\n|---|---|---|---|---|---|");
    let (mut all_fitted, mut all_fixed) = (Vec::new(), Vec::new());
    for group in groups {
        let of = |inside: bool| -> Vec<Item> {
            let zipped = sets.iter().zip(&runs).filter(|(set, _)| (set.group == group) == inside);
            zipped.flat_map(|(_, run)| run.items.iter().copied()).collect()
        };
        let fitted = fit(&of(false)) * replay::CONFIDENCE;
        let mut again = Vec::new();
        for set in sets.iter().filter(|set| set.group == group) {
            again.extend(run(set, true, Some(fitted))?.items);
        }
        let fixed = of(true);
        for (by, items) in [
            (format!("{fitted:.2}, fitted on the others"), &again),
            (format!("{}, the default", replay::CONFIDENCE), &fixed),
        ] {
            row(group, &by, items);
        }
        all_fitted.extend(again);
        all_fixed.extend(fixed);
    }
    row("all", "fitted on the others", &all_fitted);
    row("all", "the default", &all_fixed);
    Ok(())
}

fn row(name: &str, by: &str, items: &[Item]) {
    let measured = score::measure(items);
    println!(
        "| {name} | {} | {:.3} | {by} | {:+.3} | {:.3} |",
        items.len(),
        share(items),
        measured.skill,
        measured.ece
    );
}
