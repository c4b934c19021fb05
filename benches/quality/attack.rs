//! One attack of many steps among everyday noise: does what belongs together come together, and how much else is raised?
//!
//! An occurrence is what one alert says between one opening and the next; it is of the attack if at least half of its events are.
use super::measures::NOISE;
use anyhow::Context as _;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// How the attack of a recording was grouped.
#[derive(Debug, Default)]
pub struct Attack {
    /// Occurrences of the attack, and all.
    pub occurrences: (usize, usize),
    /// The share of the attack's in the episode that has most of them.
    pub together: f64,
    /// Steps that are in it, and all.
    pub steps: (usize, usize),
    /// Incidents, and those in which nothing is of the attack.
    pub raised: (usize, usize),
}

#[derive(Default)]
struct Occurrence<'a> {
    episode: String,
    incident: String,
    events: usize,
    steps: BTreeMap<&'a str, usize>,
}

impl Occurrence<'_> {
    fn is_of_attack(&self) -> bool {
        2 * self.steps.values().sum::<usize>() >= self.events
    }
}

/// Of a replay's output, with the truth and the times of its events.
///
/// # Errors
/// Where a file can't be read.
pub fn measure(recording: &Path, out: &Path) -> anyhow::Result<Attack> {
    let truth = super::truth_of(recording)?;
    let times = times(recording)?;
    let openings = openings(out)?;
    let mut occurrences: BTreeMap<(String, usize), Occurrence<'_>> = BTreeMap::new();
    for record in csv::Reader::from_path(out.join("assignments.csv"))?.records() {
        let record = record?;
        let (event, alert) = (&record[0], &record[1]);
        if alert.is_empty() {
            continue;
        }
        let at = times.get(event).context("an event that was not told")?;
        let nth = openings.get(alert).map_or(0, |all| all.partition_point(|opened| opened <= at));
        let occurrence = occurrences.entry((alert.to_owned(), nth)).or_default();
        if occurrence.events == 0 {
            (occurrence.episode, occurrence.incident) = (record[2].to_owned(), record[3].to_owned());
        }
        occurrence.events += 1;
        if let Some(step) = truth.get(event).filter(|step| *step != NOISE) {
            *occurrence.steps.entry(step).or_default() += 1;
        }
    }
    let mut of_attack: BTreeMap<&str, usize> = BTreeMap::new();
    for occurrence in occurrences.values().filter(|o| o.is_of_attack()) {
        *of_attack.entry(&occurrence.episode).or_default() += 1;
    }
    let all: usize = of_attack.values().sum();
    let (best, most) = of_attack.iter().max_by_key(|(_, n)| **n).map_or(("", 0), |(episode, n)| (*episode, *n));
    let there = occurrences.values().filter(|o| o.is_of_attack() && o.episode == best);
    let steps: BTreeSet<&str> = there.flat_map(|o| o.steps.keys().copied()).collect();
    let mut incidents: BTreeMap<&str, bool> = BTreeMap::new();
    for occurrence in occurrences.values().filter(|o| !o.incident.is_empty()) {
        *incidents.entry(&occurrence.incident).or_default() |= occurrence.is_of_attack();
    }
    let all_steps: BTreeSet<&String> = truth.values().filter(|step| *step != NOISE).collect();
    Ok(Attack {
        occurrences: (all, occurrences.len()),
        together: most as f64 / all.max(1) as f64,
        steps: (steps.len(), all_steps.len()),
        raised: (incidents.len(), incidents.values().filter(|of_attack| !**of_attack).count()),
    })
}

/// When each event was, in milliseconds.
fn times(recording: &Path) -> anyhow::Result<BTreeMap<String, i64>> {
    let text = fs::read_to_string(recording.join("events.jsonl"))?;
    let time = |line: &str| -> anyhow::Result<(String, i64)> {
        let event: Value = serde_json::from_str(line)?;
        Ok((event["id"].as_str().context("id")?.to_owned(), event["time"].as_i64().context("time")?))
    };
    text.lines().map(time).collect()
}

/// When each alert opened, in milliseconds, in their order.
fn openings(out: &Path) -> anyhow::Result<BTreeMap<String, Vec<i64>>> {
    let text = fs::read_to_string(out.join("alerts.jsonl"))?;
    let opened = |line: &str| -> anyhow::Result<(String, Vec<i64>)> {
        let alert: Value = serde_json::from_str(line)?;
        let transitions = alert["transitions"].as_array().context("transitions")?;
        let opens = transitions.iter().filter(|t| matches!(t["to"].as_str(), Some("open" | "reopened")));
        let at = |t: &Value| anyhow::Ok(t["at"].as_str().context("at")?.parse::<jiff::Timestamp>()?.as_millisecond());
        Ok((alert["name"].as_str().context("name")?.to_owned(), opens.map(at).collect::<Result<_, _>>()?))
    };
    text.lines().map(opened).collect()
}
