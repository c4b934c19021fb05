//! How well events are grouped: `quell replay` of recordings whose truth is known, with the topology, without it, with
//! half of it, and with wrong edges in it. One configuration, the defaults, for all.
//!
//! `QUELL_QUALITY=recordings cargo bench -p quell-benches --bench quality`; `sources.rs` says what a recording is. Those of one
//! kind, named `KIND-…`, are summed up. `QUELL_VARIANTS=whole,none` measures with these topologies only (`half`, `wrong`),
//! `QUELL_KINDS=workload` with these kinds, `QUELL_CONFIG=quell.toml` tries another configuration, `QUELL_KEEP=dir` keeps who went
//! where, and `QUELL_BESIDE='program args'` is run for each recording too, with its folder behind: what it prints stands beside.
//! `QUELL_TEXTS=1` calls all checks alike, so that only summaries say what is wrong.
//! `QUELL_KEYS=clues` leaves each reason out instead, and `QUELL_KEYS=numbers` halves and doubles each number of the model.
mod attack;
mod keys;
mod measures;
mod sources;
mod texts;
mod variants;

use anyhow::Context as _;
use measures::{Measured, Row, by_kind, compare};
use quell::commands::replay::{Console, ReplayArgs, run_on};
use sources::{Recording, Truth, recordings};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};
use variants::Variant;

/// That of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const HEAD: &str = "| data | ARI | homogeneity | completeness | purity | groups / truth | incident F1 | noise absorbed | raised / real | found | mostly one | announced / real |";

fn main() -> anyhow::Result<()> {
    let Some(dir) = std::env::var_os("QUELL_QUALITY") else {
        println!("QUELL_QUALITY is not set: nothing is measured");
        return Ok(());
    };
    let work = tempfile::tempdir()?;
    let kinds = listed("QUELL_KINDS");
    let mut all = recordings(Path::new(&dir), work.path())?;
    all.retain(|recording| kinds.is_empty() || kinds.iter().any(|kind| *kind == recording.kind()));
    let (attacks, all): (Vec<_>, Vec<_>) = all.into_iter().partition(|recording| recording.truth == Truth::Steps);
    if has_texts() {
        all.iter().try_for_each(texts::strip)?;
    }
    match std::env::var("QUELL_KEYS").as_deref() {
        Ok("clues") => keys::ablation(&all),
        Ok(_) => keys::sensitivity(&all),
        Err(_) => table(&all)
            .and_then(|()| table_of_kinds(&all))
            .and_then(|()| table_of_attacks(&attacks))
            .and_then(|()| beside(&all)),
    }
}

fn has_texts() -> bool {
    std::env::var_os("QUELL_TEXTS").is_some()
}

fn listed(variable: &str) -> Vec<String> {
    let text = std::env::var(variable).unwrap_or_default();
    text.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn table(all: &[Recording]) -> anyhow::Result<()> {
    if all.is_empty() {
        return Ok(());
    }
    let wanted = listed("QUELL_VARIANTS");
    let variants = Variant::ALL.into_iter().filter(|v| wanted.is_empty() || wanted.iter().any(|key| key == v.key()));
    println!("{HEAD}\n|{}", "---|".repeat(HEAD.matches('|').count() - 1));
    let mut kinds: BTreeMap<(String, &str), Vec<Measured>> = BTreeMap::new();
    for variant in variants {
        for recording in all {
            if variant != Variant::Whole && !recording.dir.join("topology.json").exists() {
                continue;
            }
            let measured = measure(recording, variant, None)?;
            println!("{}", row(&format!("{}{}", recording.name, variant.name()), &measured));
            kinds.entry((recording.kind().to_owned(), variant.name())).or_default().push(measured);
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
        "| {name} | {:.3} | {:.3} | {:.3} | {:.3} | {:.2} | {:.3} | {:.3} | {:.2} | {:.3} | {:.3} | {:.2} |",
        m.ari,
        m.homogeneity,
        m.completeness,
        m.purity,
        m.groups,
        m.f1,
        m.absorbed,
        m.raised,
        m.found,
        m.mostly,
        m.announced
    )
}

/// Where it is known what kind of incident each is.
fn table_of_kinds(all: &[Recording]) -> anyhow::Result<()> {
    let mut is_first = true;
    for recording in all {
        let Ok(mut reader) = csv::Reader::from_path(recording.dir.join("incidents.csv")) else { continue };
        let kinds =
            reader.records().map(|r| r.map(|r| (r[0].to_owned(), r[1].to_owned()))).collect::<Result<_, _>>()?;
        if std::mem::take(&mut is_first) {
            println!("\n| incidents by kind | how many | purity | found |\n|---|---|---|---|");
        }
        let out = tempfile::tempdir()?;
        let topology = Some(recording.dir.join("topology.json")).filter(|path| path.exists());
        replay(recording, topology, None, out.path())?;
        for (kind, of) in by_kind(&rows(&recording.dir, out.path())?, &kinds) {
            println!("| {}, {kind} | {} | {:.3} | {:.3} |", recording.name, of.incidents, of.purity, of.found);
        }
    }
    Ok(())
}

fn table_of_attacks(all: &[Recording]) -> anyhow::Result<()> {
    if all.is_empty() {
        return Ok(());
    }
    println!(
        "\n| attack among noise | occurrences of it / all | of it in one episode | steps there / all | raised | of noise |\n|---|---|---|---|---|---|"
    );
    for recording in all {
        let out = tempfile::tempdir()?;
        replay(recording, None, None, out.path())?;
        let a = attack::measure(&recording.dir, out.path()).with_context(|| recording.name.clone())?;
        println!(
            "| {} | {} / {} | {:.3} | {} / {} | {} | {} |",
            recording.name, a.occurrences.0, a.occurrences.1, a.together, a.steps.0, a.steps.1, a.raised.0, a.raised.1
        );
    }
    Ok(())
}

/// What another program says of the same recordings.
fn beside(all: &[Recording]) -> anyhow::Result<()> {
    let Ok(command) = std::env::var("QUELL_BESIDE") else { return Ok(()) };
    let mut words = command.split_whitespace();
    let program = words.next().context("QUELL_BESIDE names no program")?;
    let args: Vec<&str> = words.collect();
    println!("\nBeside, `{}`:\n", Path::new(program).file_name().unwrap_or_default().to_string_lossy());
    for recording in all {
        let done =
            Command::new(program).args(&args).arg(&recording.dir).output().with_context(|| program.to_owned())?;
        let said = String::from_utf8_lossy(&done.stdout).trim().replace('\n', "\n  ");
        println!("- {}: {said}", recording.name);
    }
    Ok(())
}

/// Replays with these lines of configuration, or as the environment says.
fn measure(recording: &Recording, variant: Variant, config: Option<&str>) -> anyhow::Result<Measured> {
    let dir = tempfile::tempdir()?;
    let out = dir.path().join("out");
    let topology = match fs::read_to_string(recording.dir.join("topology.json")) {
        Ok(text) => variant.of(&text)?,
        Err(_) => None,
    };
    let topology = topology.map(|text| {
        let path = dir.path().join("topology.json");
        fs::write(&path, text).map(|()| path)
    });
    replay(recording, topology.transpose()?, config, &out)?;
    if let Some(kept) = std::env::var_os("QUELL_KEEP").map(PathBuf::from) {
        fs::create_dir_all(&kept)?;
        fs::copy(out.join("assignments.csv"), kept.join(format!("{}-{}.csv", recording.name, variant.key())))?;
    }
    let announced = fs::read_to_string(out.join("incidents.jsonl"))?.lines().count();
    Ok(compare(&rows(&recording.dir, &out)?, announced))
}

fn replay(recording: &Recording, topology: Option<PathBuf>, config: Option<&str>, out: &Path) -> anyhow::Result<()> {
    let file = tempfile::NamedTempFile::with_suffix(".toml")?;
    let config = match config.or(has_texts().then_some(texts::CONFIG)) {
        Some(text) => fs::write(file.path(), text).map(|()| Some(file.path().to_owned()))?,
        None => std::env::var_os("QUELL_CONFIG").map(PathBuf::from),
    };
    let args = ReplayArgs {
        model: None,
        config,
        topology,
        until: None,
        strict: false,
        events: Some(recording.dir.join("events.jsonl")),
        journal: None,
        out: out.to_owned(),
    };
    let console = Console { stdin: &mut io::empty(), stdout: &mut io::sink(), stderr: &mut io::stderr() };
    run_on(&args, console).with_context(|| recording.name.clone())?;
    Ok(())
}

/// By event, the incident or the step that it is of.
fn truth_of(recording: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut truth = BTreeMap::new();
    for record in csv::Reader::from_path(recording.join("truth.csv"))?.records() {
        let record = record?;
        truth.insert(record[0].to_owned(), record[1].to_owned());
    }
    Ok(truth)
}

/// The events whose truth is known. One that went nowhere is by itself.
fn rows(recording: &Path, out: &Path) -> anyhow::Result<Vec<Row>> {
    let truth = truth_of(recording)?;
    let mut rows = Vec::new();
    for record in csv::Reader::from_path(out.join("assignments.csv"))?.records() {
        let record = record?;
        let Some(truth) = truth.get(&record[0]) else { continue };
        let episode = if record[2].is_empty() { format!("alone {}", &record[0]) } else { record[2].to_owned() };
        rows.push(Row { truth: truth.clone(), episode, incident: record[3].to_owned() });
    }
    Ok(rows)
}
