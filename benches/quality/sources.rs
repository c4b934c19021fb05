//! Recordings as the bench replays them: `events.jsonl`, `topology.json` and `truth.csv`, from what is published.
//!
//! A folder is taken as it is where these stand in it, with `incidents.csv` (`incident_id,kind`) where it is there; Nezha's alert streams (Yu et al., "Nezha: Interpretable fine-grained root
//! causes analysis for microservices", 2023) are `alerts.jsonl` beside `alert_labels.csv` and `dependency.csv`; AIT-ADS (Landauer
//! et al., "Introducing a new alert data set for multi-step attack analysis", 2024) is `alerts.csv` beside `labels.csv`. Each file may
//! be compressed (`.zst`).
use anyhow::Context as _;
use quell_benches::unpacked;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// What a recording's truth says of its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// Which incident each is of.
    Incidents,
    /// Which step of one attack each is, if any.
    Steps,
}

/// A recording in its canonical form.
#[derive(Debug)]
pub struct Recording {
    pub name: String,
    /// Where it lies.
    pub dir: PathBuf,
    pub truth: Truth,
}

impl Recording {
    /// What stands before the first `-` of its name.
    pub fn kind(&self) -> &str {
        self.name.split('-').next().unwrap_or_default()
    }
}

/// All recordings below a folder, written below `into`; sorted by name.
///
/// # Errors
/// Where one can't be read or written.
pub fn recordings(root: &Path, into: &Path) -> anyhow::Result<Vec<Recording>> {
    let mut found = Vec::new();
    look(root, root, into, &mut found)?;
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn look(root: &Path, dir: &Path, into: &Path, found: &mut Vec<Recording>) -> anyhow::Result<()> {
    let mut parts: Vec<_> = dir.strip_prefix(root)?.iter().map(|part| part.to_string_lossy()).collect();
    // `KIND/…/NAME` is `KIND-NAME`; what lies at the top of a kind is called like it.
    parts.retain(|part| part != "dev" && part != "heldout");
    let name = parts.join("-");
    let out = into.join(if name.is_empty() { "recording" } else { &name });
    let truth = if has(dir, "truth.csv") && has(dir, "events.jsonl") {
        Some((canonical(dir, &out), Truth::Incidents))
    } else if has(dir, "alert_labels.csv") && has(dir, "alerts.jsonl") {
        Some((nezha(dir, &out), Truth::Incidents))
    } else if has(dir, "labels.csv") && has(dir, "alerts.csv") {
        Some((ait(dir, &out), Truth::Steps))
    } else {
        None
    };
    if let Some((done, truth)) = truth {
        done.with_context(|| dir.display().to_string())?;
        found.push(Recording { name, dir: out, truth });
    }
    let mut below: Vec<PathBuf> = fs::read_dir(dir)?.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
    below.sort();
    below.retain(|path| path.is_dir());
    below.iter().try_for_each(|path| look(root, path, into, found))
}

fn has(dir: &Path, file: &str) -> bool {
    dir.join(file).exists() || dir.join(format!("{file}.zst")).exists()
}

fn read(dir: &Path, file: &str) -> anyhow::Result<Vec<u8>> {
    let plain = dir.join(file);
    if plain.exists() {
        return fs::read(&plain).with_context(|| plain.display().to_string());
    }
    Ok(unpacked(&dir.join(format!("{file}.zst")))?.into_bytes())
}

fn write(out: &Path, events: &str, topology: Option<&Value>, truth: &str) -> anyhow::Result<()> {
    fs::create_dir_all(out)?;
    fs::write(out.join("events.jsonl"), events)?;
    if let Some(topology) = topology {
        fs::write(out.join("topology.json"), topology.to_string())?;
    }
    Ok(fs::write(out.join("truth.csv"), format!("event_id,label\n{truth}"))?)
}

fn canonical(dir: &Path, out: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(out)?;
    for file in ["events.jsonl", "topology.json", "truth.csv", "incidents.csv"] {
        if has(dir, file) {
            fs::write(out.join(file), read(dir, file)?)?;
        }
    }
    Ok(())
}

/// Each system is a scope of its own.
fn nezha(dir: &Path, out: &Path) -> anyhow::Result<()> {
    let (mut events, mut truth) = (String::new(), String::new());
    // By system: entities with the service they are of.
    let mut systems: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for line in read(dir, "alerts.jsonl")?.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let alert: Value = serde_json::from_slice(line)?;
        let text = |key: &str| alert[key].as_str().unwrap_or_default();
        let (system, service, check) = (text("system"), text("service"), text("name"));
        // What is measured of a service as a whole has no instance.
        let entity = Some(text("instance")).filter(|name| !name.is_empty()).unwrap_or(service);
        systems.entry(system.to_owned()).or_default().entry(entity.to_owned()).or_insert_with(|| service.to_owned());
        let summary = format!("{check} on {entity}: {} (usual {})", alert["value"], alert["baseline"]);
        let event = json!({
            "id": format!("{}/{}", alert["id"].as_str().unwrap_or_default(), text("status")),
            "time": alert["ts"].as_i64().unwrap_or_default() * 1_000,
            "scope": system, "origin": format!("monitor/{system}"), "entity": entity, "check": check, "service": service,
            "status": text("status"), "severity": text("severity"), "summary": summary,
            "labels": {"metric": text("metric"), "service": service},
        });
        writeln!(events, "{event}")?;
    }
    for record in csv::Reader::from_reader(&*read(dir, "alert_labels.csv")?).records() {
        let record = record?;
        writeln!(truth, "{}/firing,{}", &record[0], &record[1])?;
    }
    // An overlay is of the day beside it.
    let day = (fs::read_dir(dir.parent().unwrap_or(dir))?.filter_map(Result::ok).map(|entry| entry.path()))
        .chain([dir.to_owned()])
        .filter(|day| has(day, "dependency.csv"))
        .max();
    let dependencies = day.map(|day| read(&day, "dependency.csv")).transpose()?.unwrap_or_default();
    let mut depends_on: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for record in csv::Reader::from_reader(&*dependencies).records() {
        let record = record?;
        depends_on.entry(record[0].to_owned()).or_default().insert(record[1].to_owned());
    }
    write(out, &events, Some(&topology_of(&systems, &depends_on)), &truth)
}

/// Only what takes part in alerts or calls by its name: callees that are addresses are databases whose pods are not told.
fn topology_of(
    systems: &BTreeMap<String, BTreeMap<String, String>>,
    depends_on: &BTreeMap<String, BTreeSet<String>>,
) -> Value {
    let (mut entities, mut services) = (Vec::new(), Vec::new());
    for (system, of) in systems {
        for entity in of.keys() {
            let kind = if entity.contains("->") { "edge" } else { "pod" };
            entities.push(json!({"id": entity, "type": kind, "scope": system}));
        }
        let names: BTreeSet<&String> =
            of.values().chain(depends_on.keys()).chain(depends_on.values().flatten()).collect();
        for name in names {
            let own: Vec<&String> =
                of.iter().filter(|(_, service)| *service == name).map(|(entity, _)| entity).collect();
            let needs = depends_on.get(name).cloned().unwrap_or_default();
            services.push(json!({"id": name, "scope": system, "entities": own, "depends_on": needs}));
        }
    }
    json!({"entities": entities, "services": services})
}

fn ait(dir: &Path, out: &Path) -> anyhow::Result<()> {
    let (mut events, mut truth) = (String::new(), String::new());
    for record in csv::Reader::from_reader(&*read(dir, "alerts.csv")?).records() {
        let record = record?;
        let (id, time, name, ip, host, signature) =
            (&record[0], &record[1], &record[2], &record[3], &record[4], &record[5]);
        // `A-All-Evt`: the detector's letter comes first.
        let origin = signature.split('-').next().unwrap_or(signature);
        let time = time.parse::<i64>()? * 1_000;
        let event = json!({
            "id": id, "time": time, "origin": origin, "entity": host, "check": signature, "severity": "warning",
            "summary": name, "labels": {"ip": ip},
        });
        writeln!(events, "{event}")?;
    }
    for record in csv::Reader::from_reader(&*read(dir, "labels.csv")?).records() {
        let record = record?;
        let step = if record[2].is_empty() || &record[2] == "-" { super::measures::NOISE } else { &record[2] };
        writeln!(truth, "{},{step}", &record[0])?;
    }
    write(out, &events, None, &truth)
}
