//! PetShop: services of an AWS application, measured every five minutes; one issue after another.
use super::{
    data::{Set, Truth, number, severity},
    detect::{CAP, Floor, Reference, THRESHOLD, sustained},
};
use anyhow::Context as _;
use quell_benches::unpacked;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// Between two rows.
const STEP_MS: i64 = 300_000;
/// Rows that name the columns, and one that names the index.
const HEAD: usize = 4;
const SHARE_MIN: f64 = 0.3;

/// Node, metric and statistic.
type Column = [String; 3];
/// Node and check.
type Key = (String, &'static str);

/// What a node's check was at its worst.
#[derive(Debug)]
struct Worst {
    off: f64,
    row: usize,
    value: f64,
    statistic: String,
}

struct Metrics {
    columns: Vec<Column>,
    /// Seconds.
    times: Vec<i64>,
    /// By column.
    values: Vec<Vec<f64>>,
}

pub fn read(dir: &Path) -> anyhow::Result<Set> {
    let (topology, nodes) = graph(&unpacked(&dir.join("graph.csv.zst"))?)?;
    let normal = metrics(&unpacked(&dir.join("noissue/metrics.csv.zst"))?)?;
    let mut references: BTreeMap<&Column, Reference> = BTreeMap::new();
    for (column, values) in normal.columns.iter().zip(&normal.values) {
        let absolute = match column[1].as_str() {
            "availability" => 0.2,
            "latency" => 0.005,
            _ => 5.0,
        };
        let reference = Reference::of(values, Floor { absolute, relative: 0.05 }, SHARE_MIN);
        references.extend(reference.map(|reference| (column, reference)));
    }
    let issues: Vec<Value> = serde_json::from_str(&fs::read_to_string(dir.join("issues.json"))?)?;
    let (mut events, mut truth) = (Vec::new(), BTreeMap::new());
    for issue in &issues {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (id, target) = (text(&issue["id"]), &issue["target"]);
        let now = metrics(&unpacked(&dir.join(format!("issues/{id}.csv.zst")))?)?;
        let mut worst: BTreeMap<Key, Worst> = BTreeMap::new();
        for (column, values) in now.columns.iter().zip(&now.values) {
            let Some(reference) = references.get(column).filter(|_| nodes.contains(&column[0])) else { continue };
            let found = look(reference, column, values);
            let of = (column[0].clone(), check(&column[1]));
            if worst.get(&of).is_none_or(|known| found.off.abs() > known.off.abs()) && found.off != 0.0 {
                worst.insert(of, found);
            }
        }
        // The violation that was seen is told, however small it is.
        let seen = (text(&target["node"]), check(&text(&target["metric"])));
        if worst.get(&seen).is_none_or(|known| known.off.abs() < THRESHOLD) {
            worst.insert(seen, Worst { off: THRESHOLD, row: 1, value: 0.0, statistic: text(&target["agg"]) });
        }
        for ((node, check), worst) in worst.iter().filter(|(_, worst)| worst.off.abs() >= THRESHOLD) {
            let at = now.times.get(worst.row).context("a row")? * 1_000;
            let size = worst.off.abs();
            events.push(json!({
                "scope": id, "time": at + STEP_MS, "started_at": at, "origin": "petshop", "entity": node, "check": check,
                "severity": severity(size), "value": worst.value, "summary": format!("{check} {}", worst.statistic),
                "labels": {"score": (size.min(CAP) * 100.0).round() / 100.0},
            }));
        }
        let roots = BTreeSet::from([text(&issue["root_cause"]["node"])]);
        truth.insert(id, Truth { roots, kind: text(&target["metric"]) });
    }
    Ok(Set::new(("PetShop", "PetShop"), events, topology, truth))
}

fn check(metric: &str) -> &'static str {
    match metric {
        "availability" => "errors",
        "latency" => "latency",
        _ => "requests",
    }
}

/// The worst of a column since its first row: what stood before is no news.
fn look(reference: &Reference, column: &Column, values: &[f64]) -> Worst {
    let offs: Vec<f64> = values.iter().map(|value| reference.off(*value)).collect();
    let before = offs.first().copied().unwrap_or(0.0);
    let news = |off: &f64| {
        let off = if *off > 0.0 { off - before.max(0.0) } else { off - before.min(0.0) };
        // A rise of requests is no symptom.
        if column[1] == "requests" { off.min(0.0) } else { off.max(0.0) }
    };
    let offs: Vec<f64> = offs.iter().skip(1).map(news).collect();
    let (off, at) = sustained(&offs, 1);
    let began = offs.iter().position(|off| off.abs() >= THRESHOLD).unwrap_or(at);
    let value = values.get(at + 1).copied().unwrap_or(0.0);
    Worst { off, row: began + 1, value: if value.is_nan() { 0.0 } else { value }, statistic: column[2].clone() }
}

fn metrics(text: &str) -> anyhow::Result<Metrics> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>()?;
    anyhow::ensure!(rows.len() > HEAD, "no rows");
    let width = rows[0].len();
    let columns = (1..width).map(|n| [0, 1, 2].map(|row: usize| rows[row][n].to_owned())).collect::<Vec<Column>>();
    let times = rows[HEAD..].iter().map(|row| number(&row[0]) as i64).collect();
    // Availability as its failures, in percent.
    let value = |n: usize, text: &str| {
        let value = number(text);
        if columns[n - 1][1] == "availability" { 100.0 - value } else { value }
    };
    let values = (1..width).map(|n| rows[HEAD..].iter().map(|row| value(n, &row[n])).collect()).collect();
    Ok(Metrics { times, values, columns })
}

/// Who calls whom.
fn graph(text: &str) -> anyhow::Result<(Value, BTreeSet<String>)> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let head: Vec<String> = reader.headers()?.iter().skip(1).map(ToOwned::to_owned).collect();
    let mut calls: BTreeMap<String, BTreeSet<&String>> =
        head.iter().map(|node| (node.clone(), BTreeSet::new())).collect();
    for row in reader.records() {
        let row = row?;
        let called = head.iter().zip(row.iter().skip(1)).filter(|(node, cell)| number(cell) != 0.0 && **node != row[0]);
        calls.entry(row[0].to_owned()).or_default().extend(called.map(|(node, _)| node));
    }
    let kind = |node: &str| node.rsplit_once('_').map_or("service", |(_, kind)| kind).to_owned();
    let topology = json!({
        "entities": calls.keys().map(|node| json!({"id": node, "type": kind(node)})).collect::<Vec<_>>(),
        "services": calls.iter().map(|(node, on)| json!({"id": node, "entities": [node], "depends_on": on})).collect::<Vec<_>>(),
    });
    Ok((topology, calls.into_keys().collect()))
}
