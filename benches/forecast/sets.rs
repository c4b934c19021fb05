//! The series of the public sets.
use super::warnings;
use anyhow::Context as _;
use quell_benches::{
    tables::{series, table},
    unpacked,
};
use quell_models::{
    detectors::Moment,
    forecast::{Forecast, Forecaster},
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

pub const AHEAD: i64 = 1_800;
const DAY: i64 = 86_400;
/// One of fewer rows is left out.
const ROWS_MIN: usize = 200;
/// A series that moves in fewer of its samples is a constant, and left out.
const MOVES_MIN: f64 = 0.01;

/// A series of a set.
pub struct Series {
    pub set: &'static str,
    name: String,
    /// Unix seconds, and the value.
    pub rows: Vec<(i64, f64)>,
}

/// Sums over the origins of a series: of what was told, of the naive and of the seasonal naive forecast.
#[derive(Clone, Debug, Default)]
struct Sums {
    origins: f64,
    told: f64,
    naive: f64,
    seasonal: f64,
    /// One step ahead, over all rows: what MASE scales by as published.
    step: f64,
    adopted: f64,
    within: f64,
    below: f64,
    width: f64,
    /// Origins whose outcome was the value at the origin.
    same: f64,
}

impl Sums {
    fn is_adopted(&self) -> bool {
        self.adopted > 0.5 * self.origins
    }
}

/// Measures all, in tables.
///
/// # Errors
/// Where a file can't be read.
pub fn told(root: &Path) -> anyhow::Result<()> {
    let mut all = nab(&root.join("nab"))?;
    all.extend(entities(&root.join("smd-asd"))?);
    all.extend(shop(&root.join("petshop"))?);
    all.extend(pods(&root.join("nezha"))?);
    all.retain(|series| series.rows.len() >= ROWS_MIN);
    let count = all.len();
    all.retain(|series| !is_constant(&series.rows));
    println!(
        "{} series; {} of {count} are constants (fewer than 1 % of their samples move), and left out",
        all.len(),
        count - all.len()
    );
    let began = Instant::now();
    let found: Vec<(&Series, Sums)> = all.iter().map(|series| (series, forecast(&series.rows))).collect();
    let rows: usize = all.iter().map(|series| series.rows.len()).sum();
    println!("{:.0} ns a sample, forecast and comparison included\n", began.elapsed().as_nanos() as f64 / rows as f64);
    println!(
        "| set | series | MASE | on the seasonal naive's | on the better of both | as published | adopted, series | origins | in the 80 % interval | by series, 10 to 90 % of them | below | width, in naive errors | outcome was the value at the origin |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|"
    );
    let mut sets: BTreeMap<&str, Vec<&Sums>> = BTreeMap::new();
    for (n, (series, sums)) in found.iter().enumerate() {
        if sums.naive > 0.0 {
            let half = if n % 2 == 0 { "one half of all" } else { "the other half" };
            [series.set, half, "~all"].into_iter().for_each(|set| sets.entry(set).or_default().push(sums));
        }
    }
    for (set, sums) in sets {
        line(set.trim_start_matches('~'), &sums);
    }
    println!();
    println!("| NAB | MASE | seasonal naive's | adopted, origins | in the 80 % interval |\n|---|---|---|---|---|");
    for (series, sums) in found.iter().filter(|(series, _)| series.set == "NAB") {
        let Sums { origins, told, naive, seasonal, adopted, within, .. } = sums;
        let (mase, other) = (told / naive, seasonal / naive);
        println!("| {} | {mase:.3} | {other:.3} | {:.2} | {:.3} |", series.name, adopted / origins, within / origins);
    }
    println!();
    warnings::told(&all);
    Ok(())
}

/// Means over series, each counting the same.
fn line(set: &str, all: &[&Sums]) {
    let n = all.len() as f64;
    let mean = |of: &dyn Fn(&Sums) -> f64| all.iter().map(|sums| of(sums)).sum::<f64>() / n;
    let mut within: Vec<f64> = all.iter().map(|sums| sums.within / sums.origins).collect();
    within.sort_by(f64::total_cmp);
    let at = |share: f64| within[((n - 1.0) * share) as usize];
    println!(
        "| {set} | {n} | {:.3} | {:.3} | {:.3} | {:.2} | {:.1} % | {:.1} % | {:.1} % | {:.3} to {:.3} | {:.3} | {:.2} | {:.2} |",
        mean(&|s| s.told / s.naive),
        mean(&|s| s.told / s.seasonal.max(f64::MIN_POSITIVE)),
        mean(&|s| s.told / s.naive.min(s.seasonal).max(f64::MIN_POSITIVE)),
        mean(&|s| s.told / s.origins / s.step),
        100.0 * mean(&|s| f64::from(u8::from(s.is_adopted()))),
        100.0 * mean(&|s| s.adopted / s.origins),
        100.0 * mean(&|s| s.within / s.origins),
        at(0.1),
        at(0.9),
        mean(&|s| s.below / s.origins),
        mean(&|s| s.width / s.naive),
        mean(&|s| s.same / s.origins),
    );
}

/// Every origin by what came before it, once something is told. The outcome is the sample nearest to the horizon; of a gap there is none.
fn forecast(rows: &[(i64, f64)]) -> Sums {
    let (mut forecaster, mut sums) = (Forecaster::new(AHEAD as u32), Sums::default());
    let steps = rows.windows(2).map(|pair| (pair[1].1 - pair[0].1).abs()).sum::<f64>();
    sums.step = steps / (rows.len() - 1) as f64;
    let pace = pace(rows);
    let (mut then, mut yesterday) = (0, 0);
    for (at, x) in rows {
        forecaster.take(Moment::utc(*at), *x);
        let due = at + AHEAD.max(pace);
        while rows.get(then).is_some_and(|row| row.0 + pace / 2 < due) {
            then += 1;
        }
        let Some(outcome) = rows.get(then).filter(|row| row.0 <= due + pace.max(AHEAD / 4)) else { continue };
        let Some(told) = forecaster.forecast() else { continue };
        while rows.get(yesterday + 1).is_some_and(|row| row.0 <= outcome.0 - DAY) {
            yesterday += 1;
        }
        // In the first day there is no other.
        let seasonal = if rows[yesterday].0 <= outcome.0 - DAY { rows[yesterday].1 } else { *x };
        compare(&mut sums, told, (*x, seasonal), outcome.1);
    }
    sums
}

fn compare(sums: &mut Sums, told: Forecast, (naive, seasonal): (f64, f64), outcome: f64) {
    let one = |is: bool| f64::from(u8::from(is));
    // No finer than single precision.
    let grain = 1e-6 * outcome.abs();
    sums.origins += 1.0;
    sums.told += (outcome - told.value).abs();
    sums.naive += (outcome - naive).abs();
    sums.seasonal += (outcome - seasonal).abs();
    sums.adopted += one(told.is_adopted);
    sums.within += one(told.low - grain <= outcome && outcome <= told.high + grain);
    sums.below += one(outcome < told.low - grain);
    sums.width += told.high - told.low;
    sums.same += one(outcome == naive);
}

fn is_constant(rows: &[(i64, f64)]) -> bool {
    let moves = rows.windows(2).filter(|pair| pair[0].1 != pair[1].1).count();
    (moves as f64) < MOVES_MIN * rows.len() as f64
}

/// The usual gap.
pub fn pace(rows: &[(i64, f64)]) -> i64 {
    let mut gaps: Vec<i64> = rows.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    gaps.sort_unstable();
    gaps[gaps.len() / 2]
}

fn dev(root: &Path) -> PathBuf {
    let dev = root.join("dev");
    if dev.is_dir() { dev } else { root.to_owned() }
}

/// The files that `windows.json` names.
fn nab(root: &Path) -> anyhow::Result<Vec<Series>> {
    let root = dev(root);
    let named: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(&fs::read_to_string(root.join("windows.json"))?)?;
    let one = |name: String| Ok(Series { set: "NAB", rows: series(&root.join("data").join(&name))?, name });
    named.into_keys().map(one).collect()
}

/// PetShop's metrics of two days in which nothing is wrong, every five minutes.
fn shop(root: &Path) -> anyhow::Result<Vec<Series>> {
    let mut all = Vec::new();
    for dir in folders(&dev(root))? {
        let text = unpacked(&dir.join("noissue/metrics.csv.zst"))?;
        // Three rows say what a column is, and one what the first column is.
        let mut csv = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
        let records = csv.records().collect::<Result<Vec<_>, _>>()?;
        let rows = records.get(4..).unwrap_or_default();
        for column in 1..records.first().map_or(0, |head| head.len()) {
            let name = records[..3].iter().map(|head| &head[column]).collect::<Vec<_>>().join("/");
            let row =
                |record: &csv::StringRecord| Some((record[0].parse::<f64>().ok()? as i64, number(record, column)?));
            all.push(Series { set: "PetShop", name, rows: rows.iter().filter_map(row).collect() });
        }
    }
    Ok(all)
}

/// The metrics of Nezha's pods, a row a pod and minute; faults were injected.
fn pods(root: &Path) -> anyhow::Result<Vec<Series>> {
    let mut all: BTreeMap<String, Vec<(i64, f64)>> = BTreeMap::new();
    for dir in folders(&dev(root))? {
        let path = dir.join("pod_metrics.csv.zst");
        if !path.exists() {
            continue;
        }
        let text = unpacked(&path)?;
        let mut csv = csv::Reader::from_reader(text.as_bytes());
        let head = csv.headers()?.clone();
        for record in csv.records() {
            let record = record?;
            let at = record[0].parse::<f64>()? as i64;
            for (n, metric) in head.iter().enumerate().skip(2) {
                if let Some(value) = number(&record, n) {
                    all.entry(format!("{}/{metric}", &record[1])).or_default().push((at, value));
                }
            }
        }
    }
    let one = |(name, mut rows): (String, Vec<(i64, f64)>)| {
        rows.sort_by_key(|(at, _)| *at);
        Series { set: "Nezha", name, rows }
    };
    Ok(all.into_iter().map(one).collect())
}

fn number(record: &csv::StringRecord, column: usize) -> Option<f64> {
    record.get(column)?.parse().ok().filter(|value: &f64| value.is_finite())
}

fn folders(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut all: Vec<PathBuf> = fs::read_dir(root)?.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<_>>()?;
    all.retain(|path| path.is_dir());
    all.sort();
    Ok(all)
}

/// Every metric of every entity, its test rows after its training rows.
fn entities(root: &Path) -> anyhow::Result<Vec<Series>> {
    let mut all = Vec::new();
    for dir in folders(&dev(root))? {
        let entity = dir.file_name().context("a folder")?.to_string_lossy().into_owned();
        // A sample a minute, or every five.
        let (set, every) = if entity.starts_with("machine") { ("SMD", 60) } else { ("ASD", 300) };
        let mut rows = table(&dir.join("train.csv"))?;
        rows.extend(table(&dir.join("test.csv"))?);
        for metric in 0..rows.first().map_or(0, Vec::len) {
            let rows = (0..).zip(&rows).map(|(n, row)| (n * every, row[metric])).collect();
            all.push(Series { set, name: format!("{entity}/{metric}"), rows });
        }
    }
    Ok(all)
}
