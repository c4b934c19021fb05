//! The published sets.
use super::{
    nab::{self, PROFILES, Scored},
    ranges::{self, Measures},
};
use anyhow::{Context as _, ensure};
use jiff::civil::DateTime;
use quell_benches::unpacked;
use quell_models::detectors::{Kpi, Moment, Together, Verdict};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Buffer of the surface, in rows.
const WINDOW: usize = 100;

/// A series of the benchmark.
struct File {
    name: String,
    /// Unix seconds, and the value.
    rows: Vec<(i64, f64)>,
    /// First and last moment.
    windows: Vec<(i64, i64)>,
}

/// The benchmark's three profiles as it is, the standard one also over changed data, and another program's.
///
/// # Errors
/// Where a file can't be read.
pub fn nab(root: &Path, beside: Option<&str>) -> anyhow::Result<()> {
    let root = if root.join("dev").is_dir() { root.join("dev") } else { root.to_owned() };
    let windows: BTreeMap<String, Vec<[String; 2]>> =
        serde_json::from_str(&fs::read_to_string(root.join("windows.json"))?)?;
    let mut files = Vec::new();
    for (name, windows) in windows {
        let rows = read(&root.join("data").join(&name))?;
        let windows: anyhow::Result<Vec<_>> =
            windows.iter().map(|[from, to]| Ok((seconds(from)?, seconds(to)?))).collect();
        files.push(File { name, rows, windows: windows? });
    }
    println!(
        "| NAB, {} files | standard | low FP | low FN | start 5 % dropped | 10 % | every second row | the others | mean of the five | as it is, one threshold for all five |\n|---|---|---|---|---|---|---|---|---|---|",
        files.len()
    );
    let ours = |rows: &[(i64, f64)]| -> anyhow::Result<Vec<f64>> {
        let mut detector = Kpi::default();
        Ok(rows
            .iter()
            .map(|(at, value)| f64::from(detector.take(Moment::utc(*at), *value, true).event.0) / 1_000.0)
            .collect())
    };
    told("quell", &files, ours)?;
    if let Some(program) = beside {
        told(program, &files, |rows| run(program, rows))?;
    }
    println!();
    Ok(())
}

fn told(name: &str, files: &[File], score: impl Fn(&[(i64, f64)]) -> anyhow::Result<Vec<f64>>) -> anyhow::Result<()> {
    // A share of the start is dropped, and of what follows each so many-th row taken, from one on.
    let changes = [(0, 0, 1), (20, 0, 1), (10, 0, 1), (0, 0, 2), (0, 1, 2)];
    let mut all = Vec::new();
    for (share, first, step) in changes {
        let mut scored = Vec::new();
        for file in files {
            let begin = file.rows.len().checked_div(share).unwrap_or(0);
            let rows: Vec<_> = file.rows[begin..].iter().skip(first).step_by(step).copied().collect();
            let scores = score(&rows).with_context(|| file.name.clone())?;
            ensure!(scores.len() == rows.len(), "{}: {} scores of {} rows", file.name, scores.len(), rows.len());
            let within = |(from, to): &(i64, i64)| {
                let first = rows.partition_point(|row| row.0 < *from);
                let last = rows.partition_point(|row| row.0 <= *to);
                (last > first).then(|| (first, last - 1))
            };
            scored.push(Scored { scores, windows: file.windows.iter().filter_map(within).collect() });
        }
        all.push(scored);
    }
    let own: Vec<(f64, f64)> = all.iter().map(|scored| nab::best(scored, PROFILES[0])).collect();
    let profiles: Vec<String> =
        PROFILES.iter().map(|profile| format!("{:.1}", nab::best(&all[0], *profile).0)).collect();
    let changed: Vec<String> = own[1..].iter().map(|(score, _)| format!("{score:.1}")).collect();
    let mean = own.iter().map(|(score, _)| score).sum::<f64>() / own.len() as f64;
    let one = all.iter().map(|scored| nab::at(scored, PROFILES[0], own[0].1)).sum::<f64>() / all.len() as f64;
    println!("| {name} | {} | {} | {mean:.1} | {one:.1} |", profiles.join(" | "), changed.join(" | "));
    Ok(())
}

/// Another program's `anomaly_score` of CSV on its stdin, or in a file.
fn run(program: &str, rows: &[(i64, f64)]) -> anyhow::Result<Vec<f64>> {
    let directory = tempfile::TempDir::new()?;
    let file = directory.path().join("series.csv");
    let mut text = String::from("timestamp,value\n");
    for (at, value) in rows {
        let time = jiff::Timestamp::from_second(*at)?.strftime("%F %T");
        text += &format!("{time},{value}\n");
    }
    fs::File::create(&file)?.write_all(text.as_bytes())?;
    let mut words = program.split(' ');
    let mut command = Command::new(words.next().unwrap_or_default());
    let output = command.args(words).arg(&file).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "{program}: {}", output.status);
    let mut csv = csv::Reader::from_reader(&*output.stdout);
    let column = csv.headers()?.iter().position(|name| name == "anomaly_score").context("no anomaly_score")?;
    csv.records().map(|record| Ok(record?.get(column).unwrap_or_default().parse()?)).collect()
}

/// SMD and ASD by entity: the state of the entity, learned on from its training rows.
///
/// # Errors
/// Where a file can't be read.
pub fn entities(root: &Path) -> anyhow::Result<()> {
    let root = if root.join("dev").is_dir() { root.join("dev") } else { root.to_owned() };
    let mut dirs: Vec<PathBuf> = fs::read_dir(&root)?.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<_>>()?;
    dirs.retain(|dir| dir.is_dir());
    dirs.sort();
    println!("| entity | VUS-PR | AUC-PR | best F1 | event F1 |\n|---|---|---|---|---|");
    let mut sums: BTreeMap<&str, (Measures, f64)> = BTreeMap::new();
    for dir in dirs {
        let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // A sample a minute, or every five.
        let (set, every) = if name.starts_with("machine") { ("SMD", 60) } else { ("ASD", 300) };
        let ranges = segments(&dir)?;
        let (train, test) = (table(&dir.join("train.csv"))?, table(&dir.join("test.csv"))?);
        let mut detectors = vec![Kpi::default(); train.first().map_or(0, Vec::len)];
        let (mut state, mut scores) = (Together::default(), Vec::with_capacity(test.len()));
        for (n, values) in train.iter().chain(&test).enumerate() {
            let at = Moment::utc(n as i64 * every);
            let taken = detectors.iter_mut().zip(values).map(|(detector, value)| detector.take(at, *value, true));
            let score = state.take(taken.map(|verdict: Verdict| verdict.severity));
            if n >= train.len() {
                scores.push(score);
            }
        }
        let found = ranges::measures(&scores, &ranges, WINDOW);
        line(&name, found);
        let (sum, count) = sums.entry(set).or_default();
        sum.vus_pr += found.vus_pr;
        sum.auc_pr += found.auc_pr;
        sum.best_f1 += found.best_f1;
        sum.event_f1 += found.event_f1;
        *count += 1.0;
    }
    for (set, (sum, n)) in sums {
        let Measures { vus_pr, auc_pr, best_f1, event_f1 } = sum;
        let mean = Measures { vus_pr: vus_pr / n, auc_pr: auc_pr / n, best_f1: best_f1 / n, event_f1: event_f1 / n };
        line(&format!("**{set}, mean of {n}**"), mean);
    }
    Ok(())
}

fn line(name: &str, found: Measures) {
    let Measures { vus_pr, auc_pr, best_f1, event_f1 } = found;
    println!("| {name} | {vus_pr:.3} | {auc_pr:.3} | {best_f1:.3} | {event_f1:.3} |");
}

fn read(path: &Path) -> anyhow::Result<Vec<(i64, f64)>> {
    let text = text_of(path)?;
    let mut csv = csv::Reader::from_reader(text.as_bytes());
    let row = |record: csv::StringRecord| Ok((seconds(&record[0])?, record[1].trim().parse()?));
    csv.records().map(|record| row(record?)).collect()
}

/// The test rows that are labelled, each from one to another.
pub fn segments(dir: &Path) -> anyhow::Result<Vec<(usize, usize)>> {
    let labels: Value = serde_json::from_str(&fs::read_to_string(dir.join("labels.json"))?)?;
    let row = |pair: &Value, n: usize| pair[n].as_u64().map(|row| row as usize).context("a row");
    let segments = labels["segments"].as_array().context("segments")?;
    segments.iter().map(|pair| Ok((row(pair, 0)?, row(pair, 1)?))).collect()
}

pub fn table(path: &Path) -> anyhow::Result<Vec<Vec<f64>>> {
    let text = text_of(path)?;
    let mut csv = csv::Reader::from_reader(text.as_bytes());
    let row = |record: csv::StringRecord| record.iter().map(|text| Ok(text.parse()?)).collect();
    csv.records().map(|record| row(record?)).collect()
}

/// Of a file as it is, or compressed beside it.
fn text_of(path: &Path) -> anyhow::Result<String> {
    if path.exists() {
        return Ok(fs::read_to_string(path)?);
    }
    let mut packed = path.as_os_str().to_owned();
    packed.push(".zst");
    unpacked(Path::new(&packed))
}

/// `2014-04-10 00:04:00`, in UTC.
fn seconds(text: &str) -> anyhow::Result<i64> {
    let civil: DateTime = text.trim().parse().with_context(|| text.to_owned())?;
    Ok(civil.to_zoned(jiff::tz::TimeZone::UTC)?.timestamp().as_second())
}
