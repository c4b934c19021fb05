//! A set through the engine: what it says of each incident first.
use super::{data::Set, score::Item};
use anyhow::Context as _;
use quell::commands::replay::{Console, ReplayArgs, run_on};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs, io,
};

/// `raise.cause.confidence`, as it is by default.
pub const CONFIDENCE: f64 = 2.5;
/// Not among those that are told.
const MISSED: usize = usize::MAX;

/// What the engine said.
#[derive(Debug, Default)]
pub struct Run {
    /// Incidents over all scopes.
    pub incidents: usize,
    /// The kind of each scope's fault, and the rank of its first right cause, from 1.
    pub ranks: Vec<(String, usize)>,
    pub items: Vec<Item>,
    /// What was said where the first is not right.
    pub missed: Vec<String>,
}

impl Run {
    /// How many have a right cause among the first so many.
    pub fn within(&self, first: usize) -> usize {
        self.ranks.iter().filter(|(_, rank)| *rank <= first).count()
    }

    /// By the kind of fault: first, first three, all.
    pub fn by_kind(&self) -> BTreeMap<&str, [usize; 3]> {
        let mut kinds: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
        for (kind, rank) in &self.ranks {
            let of = kinds.entry(kind).or_default();
            of[0] += usize::from(*rank <= 1);
            of[1] += usize::from(*rank <= 3);
            of[2] += 1;
        }
        kinds
    }
}

/// Through `quell replay`: all alerts of a scope `together` by a policy, or as the engine groups them.
pub fn run(set: &Set, together: bool, confidence: Option<f64>) -> anyhow::Result<Run> {
    let dir = tempfile::tempdir()?;
    let [config, events, topology, out] =
        ["quell.toml", "events.jsonl", "topology.json", "out"].map(|name| dir.path().join(name));
    let mut text = env::var_os("QUELL_CONFIG").map(fs::read_to_string).transpose()?.unwrap_or_default();
    if together {
        text += "\n[[correlate.policy]]\nname = \"scope\"\nwindow = \"24h\"\n";
    }
    if let Some(confidence) = confidence {
        text += &format!("\n[raise.cause]\nconfidence = {confidence:?}\n");
    }
    fs::write(&config, text)?;
    fs::write(&events, set.lines())?;
    fs::write(&topology, set.topology.to_string())?;
    let args = ReplayArgs {
        model: None,
        config: Some(config),
        topology: Some(topology),
        until: None,
        strict: true,
        events: Some(events),
        journal: None,
        out: out.clone(),
    };
    run_on(&args, Console { stdin: &mut io::empty(), stdout: &mut io::sink(), stderr: &mut io::stderr() })
        .context("quell replay")?;
    let lines = fs::read_to_string(out.join("incidents.jsonl"))?;
    let mut incidents: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in lines.lines() {
        let incident: Value = serde_json::from_str(line)?;
        if incident["merged_into"].is_null() {
            incidents.entry(text_of(&incident["scope"])).or_default().push(incident);
        }
    }
    let mut run = Run { incidents: incidents.values().map(Vec::len).sum(), ..Run::default() };
    for scope in set.truth.keys() {
        let all = incidents.get(scope).map_or(&[][..], |all| all);
        // Of those that are as large the first.
        let largest = all.iter().rev().max_by_key(|incident| incident["alerts"].as_array().map_or(0, Vec::len));
        judge(set, scope, largest, &mut run);
    }
    Ok(run)
}

fn judge(set: &Set, scope: &str, incident: Option<&Value>, run: &mut Run) {
    let Some(truth) = set.truth.get(scope) else { return };
    let causes = incident.and_then(|incident| incident["causes"].as_array()).map_or(&[][..], |causes| causes);
    let is_right = |cause: &Value| !names(set, scope, &text_of(&cause["entity"])).is_disjoint(&truth.roots);
    let rank = causes.iter().position(is_right).map_or(MISSED, |place| place + 1);
    run.ranks.push((truth.kind.clone(), rank));
    let item = |cause: &Value| Item { confidence: cause["confidence"].as_f64().unwrap_or(0.0), right: is_right(cause) };
    run.items.extend(causes.iter().map(item));
    if causes.is_empty() {
        run.items.push(Item { confidence: 0.0, right: false });
    }
    if rank != 1 {
        let told =
            causes.iter().map(|c| format!("{} {} ({})", text_of(&c["entity"]), c["confidence"], text_of(&c["reason"])));
        let told: Vec<String> = told.collect();
        run.missed.push(format!("{scope} {} {:?}: {}", truth.kind, truth.roots, told.join("; ")));
    }
}

/// An entity and the service that rests on it alone are one suspect.
fn names(set: &Set, scope: &str, id: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::from([id.to_owned()]);
    let here = |it: &&Value| it["scope"].is_null() || it["scope"] == scope;
    for service in set.topology["services"].as_array().into_iter().flatten().filter(here) {
        if let Some([only]) = service["entities"].as_array().map(Vec::as_slice)
            && (only == id || service["id"] == id)
        {
            names.extend([text_of(only), text_of(&service["id"])]);
        }
    }
    names
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
