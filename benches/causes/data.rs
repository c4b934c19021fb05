//! Incidents whose root cause is known, as events and a topology; and reading what is compressed.
use anyhow::Context as _;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// A set of incidents: each a scope of its own.
#[derive(Debug)]
pub struct Set {
    pub name: &'static str,
    /// Sets of one group are left out together.
    pub group: &'static str,
    /// By time.
    pub events: Vec<Value>,
    pub topology: Value,
    pub truth: BTreeMap<String, Truth>,
}

/// What is known of an incident.
#[derive(Debug)]
pub struct Truth {
    /// Any of these is right: names of entities or services.
    pub roots: BTreeSet<String>,
    /// The kind of fault.
    pub kind: String,
}

impl Set {
    /// With its events in the order of time.
    pub fn new(
        (name, group): (&'static str, &'static str),
        mut events: Vec<Value>,
        topology: Value,
        truth: BTreeMap<String, Truth>,
    ) -> Self {
        events.sort_by_key(|event| event["time"].as_i64());
        Self { name, group, events, topology, truth }
    }

    /// Writes it into a folder of its own.
    pub fn keep(&self, dir: &Path) -> anyhow::Result<()> {
        let dir = dir.join(self.name);
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("events.jsonl"), self.lines())?;
        fs::write(dir.join("topology.json"), self.topology.to_string())?;
        let truth =
            self.truth.iter().map(|(scope, truth)| (scope.clone(), json!({"roots": truth.roots, "type": truth.kind})));
        fs::write(dir.join("truth.json"), Value::Object(truth.collect()).to_string())?;
        Ok(())
    }

    /// Its events, one a line.
    pub fn lines(&self) -> String {
        self.events.iter().map(|event| format!("{event}\n")).collect()
    }
}

/// A table: the names of its columns, and its rows.
#[derive(Debug)]
pub struct Rows {
    pub head: Vec<String>,
    pub rows: Vec<csv::StringRecord>,
}

impl Rows {
    /// Of a text with commas.
    pub fn of(text: &str) -> anyhow::Result<Self> {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let head = reader.headers()?.iter().map(ToOwned::to_owned).collect();
        Ok(Self { head, rows: reader.records().collect::<Result<_, _>>()? })
    }

    /// The place of a column.
    pub fn column(&self, name: &str) -> anyhow::Result<usize> {
        self.head.iter().position(|head| head == name).with_context(|| format!("no column {name}"))
    }
}

/// A number; what is empty or none is not a number.
pub fn number(text: &str) -> f64 {
    text.parse().unwrap_or(f64::NAN)
}

/// By how far out of the usual.
pub const fn severity(size: f64) -> &'static str {
    if size > 30.0 {
        "critical"
    } else if size > 10.0 {
        "major"
    } else {
        "warning"
    }
}
