//! Nezha: microservices with metrics, spans and logs; one fault after another.
use super::{
    data::{Rows, Set, Truth, number, severity},
    detect::{CAP, Floor, Reference, THRESHOLD, sustained},
};
use counts::Counts;
use quell_benches::unpacked;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

mod counts;

/// Samples in a row that are out.
const NEED: usize = 2;
/// Metrics of pods: column, check, least spread.
const METRICS: [(&str, &str, f64); 5] = [
    ("CpuUsageRate(%)", "cpu", 5.0),
    ("MemoryUsageRate(%)", "memory", 5.0),
    ("PodServerLatencyP90(s)", "latency", 0.005),
    ("PodServerLatencyP95(s)", "latency", 0.005),
    ("PodWorkload(Ops)", "requests", 2.0),
];
/// The least spread of latencies, in seconds.
const LATENCY: f64 = 0.005;
/// Of every series, by its median.
const RELATIVE: f64 = 0.1;
const SHARE_MIN: f64 = 0.3;
/// Calls a minute, on average, that are a series.
const CALLS_MIN: f64 = 4.0;
/// Two measurements of one edge belong together within so many seconds.
const TOLERANCE: i64 = 30;
/// Seconds before a fault that are its normal.
const NORMAL: i64 = 6 * 3_600;
/// Seconds after a fault in which it shows,
const SHOWS: i64 = 180;
/// from here on,
const FROM: i64 = 20;
/// and how long it is not learned.
const DISTURBS: i64 = 330;

#[derive(Deserialize)]
struct Fault {
    id: String,
    inject_ts: i64,
    pod: String,
    service: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Meta {
    normal_reference_minutes: Vec<i64>,
}

/// What is measured of what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub entity: String,
    pub check: &'static str,
    pub peer: Option<String>,
}

/// A series: times in seconds, values.
struct Series {
    key: Key,
    name: String,
    floor: f64,
    points: Vec<(i64, f64)>,
    /// Its minutes are those of span files.
    of_spans: bool,
}

/// The largest of a key.
#[derive(Debug)]
pub struct Worst {
    pub off: f64,
    pub at: i64,
    pub value: f64,
    pub name: String,
}

/// The day's pods by service.
pub struct Pods(BTreeMap<String, String>);

impl Pods {
    /// The pod of a service.
    pub fn of(&self, service: &str) -> String {
        self.0.get(service).map_or(service, |pod| pod).to_owned()
    }

    fn has(&self, service: &str) -> bool {
        self.0.contains_key(service)
    }
}

/// The service of a pod.
pub fn service(pod: &str) -> &str {
    pod.rsplitn(3, '-').nth(2).unwrap_or(pod)
}

/// A span of time's summary: minute, caller, callee, operation and the row.
pub struct Span<'a> {
    pub minute: i64,
    pub caller: &'a str,
    pub callee: &'a str,
    pub operation: &'a str,
    pub count: f64,
    row: &'a csv::StringRecord,
}

pub fn read(dir: &Path, name: &'static str) -> anyhow::Result<Set> {
    let metrics = Rows::of(&unpacked(&dir.join("pod_metrics.csv.zst"))?)?;
    let table = Rows::of(&unpacked(&dir.join("span_stats.csv.zst"))?)?;
    let faults: Vec<Fault> = serde_json::from_str(&fs::read_to_string(dir.join("faults.json"))?)?;
    let meta: Meta = serde_json::from_str(&fs::read_to_string(dir.join("meta.json"))?)?;
    let pod = metrics.column("pod")?;
    let pods = Pods(metrics.rows.iter().map(|row| (service(&row[pod]).to_owned(), row[pod].to_owned())).collect());
    let spans = spans(&table)?;
    let mut series = pod_series(&metrics)?;
    series.extend(edge_series(dir, &pods)?);
    series.extend(span_series(&table, &spans, &pods)?);
    let logs = dir.join("logs.jsonl.zst");
    let logs = if logs.exists() { unpacked(&logs)? } else { String::new() };
    let counts = [Counts::of_spans(&spans), Counts::of_logs(&logs)?];
    let (mut events, mut truth) = (Vec::new(), BTreeMap::new());
    for fault in &faults {
        let mut worst: BTreeMap<Key, Worst> = BTreeMap::new();
        let mut tell = |key: &Key, found: Worst| {
            let known = worst.get(key).map_or(0.0, |known| known.off.abs());
            if found.off.abs() >= THRESHOLD && found.off.abs() > known {
                worst.insert(key.clone(), found);
            }
        };
        for series in &series {
            if let Some(found) = look(series, fault, &faults, &meta) {
                tell(&series.key, found);
            }
        }
        for counts in &counts {
            counts.look(fault.inject_ts, &meta.normal_reference_minutes, &pods, &mut tell);
        }
        let mut found: Vec<(Key, Worst)> = worst.into_iter().collect();
        found.sort_by_key(|(_, worst)| worst.at);
        events.extend(found.iter().map(|(key, worst)| event(fault, key, worst)));
        let roots = BTreeSet::from([fault.service.clone(), fault.pod.clone()]);
        truth.insert(fault.id.clone(), Truth { roots, kind: fault.kind.clone() });
    }
    Ok(Set::new((name, "Nezha"), events, topology(dir, &pods, &spans)?, truth))
}

fn event(fault: &Fault, key: &Key, worst: &Worst) -> Value {
    let size = worst.off.abs();
    let mut labels = json!({"score": (size.min(CAP) * 100.0).round() / 100.0});
    let (mut check, mut summary) = (key.check.to_owned(), worst.name.clone());
    if let Some(peer) = &key.peer {
        check = format!("{check} from {peer}");
        summary = format!("{summary} called by {peer}");
        labels["peer"] = peer.as_str().into();
    }
    json!({
        "scope": fault.id, "time": worst.at * 1_000, "started_at": worst.at.max(fault.inject_ts) * 1_000, "origin": "nezha",
        "entity": key.entity, "check": check, "severity": severity(size), "value": worst.value, "labels": labels,
        "summary": summary,
    })
}

/// What a series shows of a fault.
fn look(series: &Series, fault: &Fault, all: &[Fault], meta: &Meta) -> Option<Worst> {
    let at = fault.inject_ts;
    let is_learned = |t: i64| {
        if series.of_spans {
            return t < at - 60 || meta.normal_reference_minutes.contains(&t);
        }
        // Troubles that were told are not learned.
        let disturbed = |other: &Fault| (other.inject_ts - 30..=other.inject_ts + DISTURBS).contains(&t);
        t < at - 30 && t > at - NORMAL && !all.iter().any(|other| other.inject_ts < at && disturbed(other))
    };
    // A minute of a span file ends at its name.
    let from = if series.of_spans { at } else { at + FROM };
    let learned: Vec<f64> = series.points.iter().filter(|(t, _)| is_learned(*t)).map(|(_, value)| *value).collect();
    let share_min = if series.of_spans { 0.0 } else { SHARE_MIN };
    let reference = Reference::of(&learned, Floor { absolute: series.floor, relative: RELATIVE }, share_min)?;
    let now: Vec<(i64, f64)> = series.points.iter().filter(|(t, _)| *t > from && *t <= at + SHOWS).copied().collect();
    let off = |value: f64| {
        let off = reference.off(value);
        if series.key.check == "requests" { off.min(0.0) } else { off.max(0.0) }
    };
    let offs: Vec<f64> = now.iter().map(|(_, value)| off(*value)).collect();
    let (off, place) = sustained(&offs, NEED);
    let (at, value) = *now.get(place).filter(|_| off != 0.0)?;
    Some(Worst { off, at, value: if value.is_nan() { 0.0 } else { value }, name: series.name.clone() })
}

fn pod_series(table: &Rows) -> anyhow::Result<Vec<Series>> {
    let [pod, ts] = [table.column("pod")?, table.column("ts")?];
    let mut rows: BTreeMap<&str, Vec<(i64, &csv::StringRecord)>> = BTreeMap::new();
    for row in &table.rows {
        rows.entry(&row[pod]).or_default().push((number(&row[ts]) as i64, row));
    }
    let mut all = Vec::new();
    for (pod, mut rows) in rows {
        rows.sort_by_key(|(at, _)| *at);
        for (name, check, floor) in METRICS {
            let column = table.column(name)?;
            let points = rows.iter().map(|(at, row)| (*at, number(&row[column]))).collect();
            let key = Key { entity: pod.to_owned(), check, peer: None };
            all.push(Series { key, name: name.to_owned(), floor, points, of_spans: false });
        }
    }
    Ok(all)
}

/// Latency of an edge as its caller sees it, and what of that is on the way.
fn edge_series(dir: &Path, pods: &Pods) -> anyhow::Result<Vec<Series>> {
    let file = |end: &str| dir.join(format!("edge_latency_p50_{end}.csv.zst"));
    if !file("source").exists() {
        return Ok(Vec::new());
    }
    let [source, destination] =
        ["source", "destination"].map(|end| unpacked(&file(end)).and_then(|text| Rows::of(&text)));
    let (source, destination) = (source?, destination?);
    let at = |row: &csv::StringRecord| number(&row[0]) as i64;
    let mut all = Vec::new();
    for (column, edge) in source.head.iter().enumerate().skip(1) {
        let Some((caller, callee)) = edge.split_once('_') else { continue };
        let key = |check| Key { entity: pods.of(callee), check, peer: Some(pods.of(caller)) };
        let series = |check, name: &str, points| Series {
            key: key(check),
            name: name.to_owned(),
            floor: LATENCY,
            points,
            of_spans: false,
        };
        let points: Vec<(i64, f64)> = source.rows.iter().map(|row| (at(row), number(&row[column]))).collect();
        if let Ok(other) = destination.column(edge) {
            let gap = |(t, value): &(i64, f64)| {
                // Of two as near the later.
                let nearest = destination.rows.iter().rev().min_by_key(|row| (at(row) - t).abs());
                let theirs = nearest.filter(|row| (at(row) - t).abs() <= TOLERANCE);
                (*t, value - theirs.map_or(f64::NAN, |row| number(&row[other])))
            };
            let gaps = points.iter().map(gap).collect();
            all.push(series("network", "edge gap", gaps));
        }
        all.push(series("latency", "edge p50", points));
    }
    Ok(all)
}

fn spans(table: &Rows) -> anyhow::Result<Vec<Span<'_>>> {
    let mut places = [0; 5];
    for (place, name) in places.iter_mut().zip(["file_minute", "caller", "callee", "operation", "count"]) {
        *place = table.column(name)?;
    }
    let [minute, caller, callee, operation, count] = places;
    let of = |row| {
        let row: &csv::StringRecord = row;
        Span {
            minute: number(&row[minute]) as i64,
            caller: &row[caller],
            callee: &row[callee],
            operation: &row[operation],
            count: number(&row[count]),
            row,
        }
    };
    Ok(table.rows.iter().map(of).filter(|span| !span.caller.is_empty() && !span.callee.is_empty()).collect())
}

fn span_series(table: &Rows, spans: &[Span<'_>], pods: &Pods) -> anyhow::Result<Vec<Series>> {
    let mut by_call: BTreeMap<[&str; 3], Vec<&Span<'_>>> = BTreeMap::new();
    for span in spans {
        by_call.entry([span.caller, span.callee, span.operation]).or_default().push(span);
    }
    let mut all = Vec::new();
    for ([caller, callee, operation], calls) in by_call {
        if calls.iter().map(|span| span.count).sum::<f64>() < CALLS_MIN * calls.len() as f64 {
            continue;
        }
        let peer = (caller != callee && pods.has(caller)).then(|| pods.of(caller));
        let columns = ["p50_us", "p95_us"].map(|name| (name, "latency"));
        let gaps = ["ret_gap_p50_us", "ret_gap_p90_us"].map(|name| (name, "network"));
        for (name, check) in columns.into_iter().chain(gaps.into_iter().filter(|_| caller != callee)) {
            let column = table.column(name)?;
            let points = calls.iter().map(|span| (span.minute, number(&span.row[column]) / 1e6));
            let points = points.filter(|(_, value)| check == "latency" || !value.is_nan()).collect();
            let key = Key { entity: pods.of(callee), check, peer: peer.clone() };
            all.push(Series { key, name: format!("{operation} {name}"), floor: LATENCY, points, of_spans: true });
        }
    }
    Ok(all)
}

/// What is documented, and the calls that were seen.
fn topology(dir: &Path, pods: &Pods, spans: &[Span<'_>]) -> anyhow::Result<Value> {
    let mut calls: BTreeSet<(String, String)> =
        spans.iter().map(|s| (s.caller.to_owned(), s.callee.to_owned())).collect();
    if let Ok(text) = fs::read_to_string(dir.join("dependency.csv")) {
        calls.extend(Rows::of(&text)?.rows.iter().map(|row| (row[0].to_owned(), row[1].to_owned())));
    }
    calls.retain(|(caller, callee)| caller != callee && pods.has(caller) && pods.has(callee));
    let service = |(service, pod): (&String, &String)| {
        let on: Vec<&String> = calls.iter().filter(|(caller, _)| caller == service).map(|(_, on)| on).collect();
        json!({"id": service, "entities": [pod], "depends_on": on})
    };
    Ok(json!({
        "entities": pods.0.values().map(|pod| json!({"id": pod, "type": "pod"})).collect::<Vec<_>>(),
        "services": pods.0.iter().map(service).collect::<Vec<_>>(),
    }))
}
