//! How well events are grouped: `quell replay` of recordings whose truth is known, and the usual measures.
//!
//! `QUELL_QUALITY=recordings cargo bench -p quell-benches --bench quality`, where each folder in `recordings` has
//! `events.jsonl`, `topology.json` (or none) and `truth.csv` (header `event_id,label`; `noise` belongs to no incident).
//! ARI: Hubert and Arabie, "Comparing partitions", 1985; homogeneity and completeness: Rosenberg and Hirschberg,
//! "V-measure", 2007; both over events of real incidents.
use anyhow::Context as _;
use quell::commands::replay::{Console, ReplayArgs, run_on};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

const NOISE: &str = "noise";

/// That of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let Some(dir) = std::env::var_os("QUELL_QUALITY") else {
        println!("QUELL_QUALITY is not set: nothing is measured");
        return Ok(());
    };
    let mut folders: Vec<PathBuf> =
        fs::read_dir(&dir)?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
    folders.retain(|folder| folder.join("truth.csv").exists());
    folders.sort();
    println!("| data | ARI | homogeneity | completeness | groups / truth | noise absorbed | incidents | found |");
    println!("|---|---|---|---|---|---|---|---|");
    let mut all = Vec::new();
    for folder in &folders {
        let measured = measure(folder).with_context(|| folder.display().to_string())?;
        println!("| {} | {measured}", folder.file_name().unwrap_or_default().display());
        all.push(measured.ari);
    }
    let worst = all.iter().copied().fold(1.0, f64::min);
    println!(
        "\nARI: mean {:.3}, worst {worst:.3}, of {}",
        all.iter().sum::<f64>() / all.len().max(1) as f64,
        all.len()
    );
    Ok(())
}

struct Measured {
    ari: f64,
    homogeneity: f64,
    completeness: f64,
    groups: usize,
    truth: usize,
    absorbed: f64,
    incidents: usize,
    found: f64,
}

impl std::fmt::Display for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { ari, homogeneity, completeness, groups, truth, absorbed, incidents, found } = self;
        write!(f, "{ari:.3} | {homogeneity:.3} | {completeness:.3} | {groups} / {truth} | {absorbed:.2} | ")?;
        write!(f, "{incidents} | {found:.3} |")
    }
}

/// Where an event went.
struct Row {
    truth: String,
    episode: String,
    incident: String,
}

fn measure(folder: &Path) -> anyhow::Result<Measured> {
    let dir = tempfile::tempdir()?;
    let out = dir.path().to_owned();
    let topology = Some(folder.join("topology.json")).filter(|path| path.exists());
    let args = ReplayArgs {
        config: None,
        topology,
        until: None,
        strict: false,
        events: Some(folder.join("events.jsonl")),
        journal: None,
        out: out.clone(),
    };
    let console = Console { stdin: &mut io::empty(), stdout: &mut io::sink(), stderr: &mut io::stderr() };
    run_on(&args, console)?;
    Ok(compare(&rows(folder, &out)?))
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

fn compare(rows: &[Row]) -> Measured {
    let (mut both, mut by_truth, mut by_group) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for row in rows.iter().filter(|row| row.truth != NOISE) {
        *both.entry((row.truth.as_str(), row.episode.as_str())).or_insert(0.0) += 1.0;
        *by_truth.entry(row.truth.as_str()).or_insert(0.0) += 1.0;
        *by_group.entry(row.episode.as_str()).or_insert(0.0) += 1.0;
    }
    let events: f64 = by_truth.values().sum();
    let pairs = |n: f64| n * (n - 1.0) / 2.0;
    let (same_truth, same_group) = (sum(&by_truth, pairs), sum(&by_group, pairs));
    let by_chance = same_truth * same_group / pairs(events).max(1.0);
    let most = (same_truth + same_group) / 2.0 - by_chance;
    let entropy = |n: f64| -n / events * (n / events).ln();
    let given_group: f64 = both.iter().map(|((_, g), n): (_, &f64)| -n / events * (n / by_group[g]).ln()).sum();
    let given_truth: f64 = both.iter().map(|((t, _), n): (_, &f64)| -n / events * (n / by_truth[t]).ln()).sum();
    let noise = || rows.iter().filter(|row| row.truth == NOISE);
    let absorbed = noise().filter(|row| by_group.contains_key(row.episode.as_str())).count();
    let real = rows.iter().filter(|row| row.truth != NOISE && !row.incident.is_empty());
    let found: BTreeSet<&str> = real.map(|row| row.truth.as_str()).collect();
    let incidents: BTreeSet<&str> = rows.iter().map(|row| row.incident.as_str()).filter(|i| !i.is_empty()).collect();
    Measured {
        ari: (sum(&both, pairs) - by_chance) / most.max(1e-9),
        homogeneity: 1.0 - given_group / sum(&by_truth, entropy).max(1e-9),
        completeness: 1.0 - given_truth / sum(&by_group, entropy).max(1e-9),
        groups: by_group.len(),
        truth: by_truth.len(),
        absorbed: absorbed as f64 / (noise().count().max(1)) as f64,
        incidents: incidents.len(),
        found: found.len() as f64 / by_truth.len().max(1) as f64,
    }
}

fn sum<K>(counts: &BTreeMap<K, f64>, of: impl Fn(f64) -> f64) -> f64 {
    counts.values().map(|n| of(*n)).sum()
}
