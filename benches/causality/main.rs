//! How well causes between kinds of alerts are learned, and what that costs.
//!
//! `QUELL_CAUSALITY=datasets cargo bench -p quell-benches --bench causality`, where `datasets/telecom-alarms/dev` holds alarms of real
//! networks with the causes that experts drew up (the sets of the PCIC 2021 competition, `gcastle-hub/dataset`, and the sample
//! of the NeurIPS 2023 competition "Causal Structure Learning from Event Sequences and Prior Knowledge"). A network that is not
//! there is left out; without the variable only what is made up is measured. `QUELL_CAUSALITY_COST=0` leaves that out.
mod cost;
mod telecom;
mod windows;

use quell_train::causality::{Mode, find, shuffled};
use std::{collections::BTreeSet, env, path::Path, time::Instant};
use telecom::Network;

/// That of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Times that timing is destroyed, by offsets that the search itself does not use.
const SHUFFLED: std::ops::Range<u64> = 101..106;

fn main() -> anyhow::Result<()> {
    match env::var_os("QUELL_CAUSALITY") {
        Some(dir) => networks(Path::new(&dir))?,
        None => println!("QUELL_CAUSALITY is not set: only what is made up is measured"),
    }
    windows::measure();
    if env::var_os("QUELL_CAUSALITY_COST").is_none_or(|value| value != "0") {
        cost::measure()?;
    }
    Ok(())
}

fn networks(dir: &Path) -> anyhow::Result<()> {
    println!(
        "| network | topology | mode | edges | precision | recall | F1 | complete graph's F1 | edges by chance, told | edges on \
         shuffled times | of the pairs | s |\n|---|---|---|---|---|---|---|---|---|---|---|---|"
    );
    for name in ["18V_55N_Wireless", "25V_474N_Microwave", "CSL-NeurIPS2023-sample"] {
        let Some(network) = Network::read(&dir.join("telecom-alarms/dev").join(name))? else { continue };
        // Where it has a topology, without it too.
        let ways = if network.links.is_empty() { 1 } else { 2 };
        for links in [&network.links[..], &[]].into_iter().take(ways) {
            for mode in [Mode::Precise, Mode::Balanced] {
                row(name, &network, links, mode);
            }
        }
    }
    println!();
    Ok(())
}

fn row(name: &str, network: &Network, links: &[(u32, u32)], mode: Mode) {
    let started = Instant::now();
    let found = find(&network.events, links, mode, &mut |_| ());
    let seconds = started.elapsed().as_secs_f64();
    let edges: BTreeSet<(u32, u32)> = found.edges.iter().map(|edge| (edge.cause, edge.effect)).collect();
    let right = edges.intersection(&network.truth).count() as f64;
    let share = |of: usize| if of == 0 { 0.0 } else { right / of as f64 };
    let f1 = |right: f64, edges: usize| 2.0 * right / (edges + network.truth.len()) as f64;
    let pairs = network.kinds * (network.kinds - 1);
    let chance: Vec<usize> =
        SHUFFLED.map(|set| find(&shuffled(&network.events, set), links, mode, &mut |_| ()).edges.len()).collect();
    let mean = chance.iter().sum::<usize>() as f64 / chance.len() as f64;
    println!(
        "| {name} | {} | {mode:?} | {} | {:.3} | {:.3} | {:.3} | {:.3} | {:.1} | {chance:?} | {:.2} % | {seconds:.1} |",
        if links.is_empty() { "no" } else { "yes" },
        edges.len(),
        share(edges.len()),
        share(network.truth.len()),
        f1(right, edges.len()),
        f1(network.truth.len() as f64, pairs),
        found.expected_false(),
        100.0 * mean / pairs as f64,
    );
}
