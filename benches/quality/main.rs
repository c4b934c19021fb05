//! How well events are grouped: `quell replay` of recordings whose truth is known, with the topology, without it, with
//! half of it, and with wrong edges in it. One configuration, the defaults, for all.
//!
//! `QUELL_QUALITY=recordings cargo bench -p quell-benches --bench quality`, where each folder in `recordings` has
//! `events.jsonl`, `topology.json` (or none) and `truth.csv` (header `event_id,label`; `noise` belongs to no incident).
//! Folders of one kind, named `KIND-…`, are summed up. `QUELL_VARIANTS=whole,none` measures with these topologies only
//! (`half`, `wrong`), `QUELL_CONFIG=quell.toml` tries another configuration, and `QUELL_KEEP=dir` keeps who went where.
mod measures;
mod variants;

use anyhow::Context as _;
use measures::{Measured, Row, compare};
use quell::commands::replay::{Console, ReplayArgs, run_on};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};
use variants::Variant;

/// That of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const HEAD: &str = "| data | ARI | homogeneity | completeness | purity | groups / truth | noise absorbed | raised / real | found | mostly one | announced / real |";

fn main() -> anyhow::Result<()> {
    let Some(dir) = std::env::var_os("QUELL_QUALITY") else {
        println!("QUELL_QUALITY is not set: nothing is measured");
        return Ok(());
    };
    let mut folders: Vec<PathBuf> =
        fs::read_dir(&dir)?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
    folders.retain(|folder| folder.join("truth.csv").exists());
    folders.sort();
    let wanted = std::env::var("QUELL_VARIANTS").unwrap_or_default();
    let wanted: Vec<&str> = wanted.split(',').filter(|key| !key.is_empty()).collect();
    let variants = Variant::ALL.into_iter().filter(|v| wanted.is_empty() || wanted.contains(&v.key()));
    println!("{HEAD}\n|{}", "---|".repeat(HEAD.matches('|').count() - 1));
    let mut kinds: BTreeMap<(String, &str), Vec<Measured>> = BTreeMap::new();
    for variant in variants {
        for folder in &folders {
            if variant != Variant::Whole && !folder.join("topology.json").exists() {
                continue;
            }
            let measured = measure(folder, variant).with_context(|| folder.display().to_string())?;
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            println!("{}", row(&format!("{name}{}", variant.name()), &measured));
            let kind = name.split_once('-').map_or(&*name, |(kind, _)| kind).to_owned();
            kinds.entry((kind, variant.name())).or_default().push(measured);
        }
    }
    for ((kind, variant), all) in kinds.iter().filter(|(_, all)| all.len() > 1) {
        println!("{}", row(&format!("**{kind}{variant}, mean of {}**", all.len()), &Measured::mean(all)));
        let worst = all.iter().map(|m| m.ari).fold(1.0, f64::min);
        println!("| {kind}{variant}, worst | {worst:.3} |{}", " |".repeat(HEAD.matches('|').count() - 3));
    }
    Ok(())
}

fn row(name: &str, m: &Measured) -> String {
    format!(
        "| {name} | {:.3} | {:.3} | {:.3} | {:.3} | {:.2} | {:.3} | {:.2} | {:.3} | {:.3} | {:.2} |",
        m.ari, m.homogeneity, m.completeness, m.purity, m.groups, m.absorbed, m.raised, m.found, m.mostly, m.announced
    )
}

fn measure(folder: &Path, variant: Variant) -> anyhow::Result<Measured> {
    let dir = tempfile::tempdir()?;
    let out = dir.path().join("out");
    let topology = match fs::read_to_string(folder.join("topology.json")) {
        Ok(text) => variant.of(&text)?,
        Err(_) => None,
    };
    let topology = topology.map(|text| {
        let path = dir.path().join("topology.json");
        fs::write(&path, text).map(|()| path)
    });
    let args = ReplayArgs {
        config: std::env::var_os("QUELL_CONFIG").map(PathBuf::from),
        topology: topology.transpose()?,
        until: None,
        strict: false,
        events: Some(folder.join("events.jsonl")),
        journal: None,
        out: out.clone(),
    };
    let console = Console { stdin: &mut io::empty(), stdout: &mut io::sink(), stderr: &mut io::stderr() };
    run_on(&args, console)?;
    if let Some(kept) = std::env::var_os("QUELL_KEEP").map(PathBuf::from) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        fs::create_dir_all(&kept)?;
        fs::copy(out.join("assignments.csv"), kept.join(format!("{name}-{}.csv", variant.key())))?;
    }
    let announced = fs::read_to_string(out.join("incidents.jsonl"))?.lines().count();
    Ok(compare(&rows(folder, &out)?, announced))
}

/// The events whose truth is known. One that went nowhere is by itself.
fn rows(folder: &Path, out: &Path) -> anyhow::Result<Vec<Row>> {
    let mut truth: BTreeMap<String, String> = BTreeMap::new();
    for record in csv::Reader::from_path(folder.join("truth.csv"))?.records() {
        let record = record?;
        truth.insert(record[0].to_owned(), record[1].to_owned());
    }
    let mut rows = Vec::new();
    for record in csv::Reader::from_path(out.join("assignments.csv"))?.records() {
        let record = record?;
        let Some(truth) = truth.get(&record[0]) else { continue };
        let episode = if record[2].is_empty() { format!("alone {}", &record[0]) } else { record[2].to_owned() };
        rows.push(Row { truth: truth.clone(), episode, incident: record[3].to_owned() });
    }
    Ok(rows)
}
