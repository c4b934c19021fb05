//! `quell preview`: how many alerts a threshold would have raised. Each setting has an engine of its own, and all fold the same samples.
use super::{
    BadInput, bad_input,
    client::print,
    replay::{Setup, feed::Feed},
    rows::{Rows, is_needed},
    table::{Cell, Look, Room, Table},
    unreadable,
};
use anyhow::ensure;
use quell_core::{
    domain::{
        alert::AlertId,
        event::Kind,
        glob,
        policy::{Policy, Threshold},
        threshold::{Adaptive, Direction, Number},
        time::{Span, Timestamp},
        topology::Topology,
    },
    engine::{Engine, Input, Pack},
    output::{Body, Outputs},
};
use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::json;
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{self, BufRead as _, BufReader, Read},
    path::PathBuf,
    sync::Arc,
};

/// Settings beside each other.
const SETTINGS_MAX: usize = 64;
/// What the engine calls the alerts of its thresholds.
const CHECK: &str = " threshold";
/// Where `--set` says no other: usual ones of each kind.
const LADDER: [(Adaptive, &[f64]); 6] = [
    (Adaptive::Usual, &[4.0, 6.0, 10.0]),
    (Adaptive::Stddev, &[3.0, 4.0, 6.0]),
    (Adaptive::Mad, &[4.0, 6.0, 10.0]),
    (Adaptive::Quantile, &[0.99, 0.999]),
    (Adaptive::Range, &[1.05, 1.25]),
    (Adaptive::Percentage, &[25.0, 50.0, 100.0]),
];

/// How many alerts thresholds would have raised over recorded samples: those of the configuration, and others beside them. What is
/// learned is learned on the way, as the service does.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  quell preview latency.csv                                (timestamp,value; usual settings of each kind)\n  quell preview \
                  --config quell.toml --check 'cpu*' events.jsonl\n  quell preview --set 'warning = 80, critical = 95, samples = 3' --set \
                  'adaptive = \"mad\", warning = 6' cpu.csv\n\nA setting is written as in [[score.threshold]], time policies too."
)]
pub struct PreviewArgs {
    /// Samples: canonical events as JSON, one a line, or CSV with `timestamp` and a column for each series; `-` is stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The configuration, whose thresholds are the first to be told of
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The topology, with its KPIs, instead of the configuration's
    #[arg(long, value_name = "FILE")]
    topology: Option<PathBuf>,
    /// Series whose check meets this pattern alone; `*` stands for anything
    #[arg(long, value_name = "PATTERN", default_value = "*")]
    check: String,
    /// A setting, instead of usual ones of each kind; may be given again
    #[arg(long, value_name = "KEYS")]
    set: Vec<String>,
    /// Rows are so far apart, where CSV has no column `timestamp`
    #[arg(long, value_name = "SPAN")]
    every: Option<Span>,
}

/// Previews, on the program's own streams.
///
/// # Errors
/// [`BadInput`] where a setting or the samples are bad.
pub fn run(args: &PreviewArgs) -> anyhow::Result<()> {
    print(&preview(args, Look::stdout())?)
}

fn preview(args: &PreviewArgs, look: Look) -> anyhow::Result<String> {
    let (setup, mut file) = Setup::with_file(args.config.as_deref(), args.topology.as_deref(), None)?;
    let mut trials = vec![];
    let is_configured = !setup.policy.score.threshold.is_empty() || args.topology.is_some() || args.config.is_some();
    if is_configured {
        trials.push(Trial::new("as configured".to_owned(), setup.policy.clone(), setup.topology.clone()));
    }
    // A KPI goes by its own thresholds: what is tried has to be held against it, too.
    file.services.iter_mut().for_each(|service| service.kpis.clear());
    let bare: Arc<Topology> = Topology::new(&file).map_err(bad_input)?.into();
    for (name, threshold) in settings(args)? {
        let mut policy = Policy::clone(&setup.policy);
        policy.score.threshold = vec![threshold];
        trials.push(Trial::new(name, policy.into(), bare.clone()));
    }
    let mut history = History::default();
    let (name, input) = open(args)?;
    let mut feed = Feed::new(&setup, &name, None, input);
    let mut pack = Pack { range: None, events: Vec::new(), rejected: Vec::new() };
    while feed.fill(&mut pack).map_err(|error| unreadable(&name, &error))? {
        history.rejected += pack.rejected.len();
        history.why = history.why.or_else(|| Some(pack.rejected.first()?.reason.clone()));
        pack.rejected.clear();
        pack.events.retain(|event| event.kind == Kind::Sample && glob::matches(&args.check, &event.check));
        for event in &pack.events {
            history.take(&format!("{}\0{}\0{}", event.origin, event.entity, event.check), event.time);
        }
        let input = Input::Pack(pack);
        for trial in &mut trials {
            trial.step(history.packs, &input)?;
        }
        history.packs += 1;
        pack = Pack { range: None, events: Vec::new(), rejected: Vec::new() };
    }
    let why = history.why.as_ref().map(|why| format!("; {} refused, the first: {why}", history.rejected));
    let none = || format!("{name}: no sample of a check `{}`{}", args.check, why.unwrap_or_default());
    ensure!(history.samples > 0, BadInput(none()));
    Ok(told(&history, trials, look))
}

/// What is tried beside the configuration.
fn settings(args: &PreviewArgs) -> anyhow::Result<Vec<(String, Threshold)>> {
    ensure!(args.set.len() <= SETTINGS_MAX, BadInput(format!("--set: at most {SETTINGS_MAX}")));
    let mut all = Vec::new();
    for (n, text) in args.set.iter().enumerate() {
        let wrong = |reason: String| BadInput(format!("--set {}: {reason}", n + 1));
        let toml = |error: toml::de::Error| wrong(error.message().to_owned());
        let document: Result<BTreeMap<String, toml::Table>, _> = toml::from_str(&format!("keys = {{ {text} }}"));
        // What TOML makes of half a key leads nowhere.
        let document = document.map_err(|_| wrong("keys and values, as in `warning = 80, samples = 3`".to_owned()))?;
        let mut keys = document.into_values().next().unwrap_or_default();
        keys.entry("check").or_insert_with(|| "*".into());
        let threshold: Threshold = keys.try_into().map_err(toml)?;
        threshold.validate().map_err(wrong)?;
        all.push((text.trim().to_owned(), threshold));
    }
    if !all.is_empty() {
        return Ok(all);
    }
    for (adaptive, figures) in LADDER {
        for figure in figures {
            let kind = serde_json::to_value(adaptive)?;
            let entry = json!({"check": "*", "adaptive": kind, "direction": Direction::Both, "warning": figure});
            let name = format!("adaptive = {kind}, direction = \"both\", warning = {figure}");
            all.push((name, serde_json::from_value(entry)?));
        }
    }
    Ok(all)
}

/// Of rows without times the first is of 2001-01-01, a Monday.
const FIRST: Timestamp = Timestamp(978_307_200_000);

/// The samples as lines of JSON.
fn open(args: &PreviewArgs) -> anyhow::Result<(String, Box<dyn Read>)> {
    let (name, file) = super::open(&args.file, io::stdin())?;
    let mut input = BufReader::new(file);
    let begins = input.fill_buf().map_err(|error| unreadable(&name, &error))?;
    if begins.trim_ascii_start().starts_with(b"{") {
        is_needed(args.every, true).map_err(bad_input)?;
        return Ok((name, Box::new(input)));
    }
    let mut rows = Rows::read(&name, Box::new(input), args.every, FIRST).map_err(bad_input)?;
    is_needed(args.every, rows.has_time()).map_err(bad_input)?;
    let checks = rows.names().map_err(bad_input)?;
    let mut lines = String::new();
    let mut id = 0_u64;
    while let Some(row) = rows.next().map_err(bad_input)? {
        for (check, value) in checks.iter().zip(&row.values) {
            let Some(value) = value else { continue };
            id += 1;
            let event = json!({"kind": "sample", "id": id.to_string(), "time": row.at.0, "origin": "csv", "entity": "csv",
                "check": check, "value": value});
            writeln!(lines, "{event}")?;
        }
    }
    Ok((name, Box::new(io::Cursor::new(lines.into_bytes()))))
}

/// What was fed.
#[derive(Default)]
struct History {
    packs: u64,
    samples: u64,
    rejected: usize,
    /// Why the first was.
    why: Option<String>,
    series: FxHashSet<String>,
    /// The first and the last sample.
    ends: Option<(Timestamp, Timestamp)>,
}

impl History {
    fn take(&mut self, series: &str, at: Timestamp) {
        self.samples += 1;
        if !self.series.contains(series) {
            self.series.insert(series.to_owned());
        }
        let (first, last) = self.ends.unwrap_or((at, at));
        self.ends = Some((first.min(at), last.max(at)));
    }

    fn span(&self) -> Span {
        self.ends.map_or(Span(0), |(first, last)| last - first)
    }
}

/// A setting, and what came of it.
struct Trial {
    name: String,
    engine: Engine,
    outputs: Outputs,
    open: FxHashMap<AlertId, Timestamp>,
    series: FxHashSet<(Arc<str>, Arc<str>)>,
    alerts: u64,
    lasted: i64,
}

impl Trial {
    fn new(name: String, policy: Arc<Policy>, topology: Arc<Topology>) -> Self {
        Self {
            name,
            engine: Engine::new([0; 16], policy, topology),
            outputs: Outputs { brief: true, ..Outputs::default() },
            open: FxHashMap::default(),
            series: FxHashSet::default(),
            alerts: 0,
            lasted: 0,
        }
    }

    fn step(&mut self, position: u64, input: &Input) -> anyhow::Result<()> {
        self.engine.step(position, input, &mut self.outputs)?;
        for output in self.outputs.items.drain(..) {
            let Body::Alert(update) = output.body else { continue };
            let alert = update.alert;
            if !alert.check.ends_with(CHECK) {
                continue;
            }
            match (self.open.contains_key(&alert.id), alert.open) {
                (false, true) => {
                    self.alerts += 1;
                    self.series.insert((alert.entity.clone(), alert.check.clone()));
                    self.open.insert(alert.id, alert.last_fired_at);
                }
                (true, false) => {
                    if let (Some(since), Some(until)) = (self.open.remove(&alert.id), alert.cleared_at) {
                        self.lasted += (until - since).0.max(0);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// How long alerts were open, all together.
    fn lasted(&self, end: Timestamp) -> Span {
        // A sum: no order shows.
        let open: i64 = self.open.values().map(|since| (end - *since).0.max(0)).sum();
        Span(self.lasted + open)
    }
}

fn told(history: &History, trials: Vec<Trial>, look: Look) -> String {
    let (series, span) = (history.series.len(), history.span());
    let days = span.0 as f64 / Span::hours(24).0 as f64;
    let mut text =
        format!("{} samples of {series} series, {} days\n", history.samples, Number((days * 10.0).round() / 10.0),);
    if history.rejected > 0 {
        let _ = writeln!(text, "{} lines are no events", history.rejected);
    }
    let number = |title| (title, Room::Whole);
    let setting = ("SETTING", Room::Text);
    let mut table = Table::new(&[number("ALERTS"), number("A DAY"), number("OPEN"), number("SERIES"), setting]);
    let end = history.ends.map_or(Timestamp(0), |(_, last)| last);
    for trial in trials {
        let all = span.0 as f64 * series as f64;
        let open = if all > 0.0 { 100.0 * trial.lasted(end).0 as f64 / all } else { 0.0 };
        let a_day = if days > 0.0 { trial.alerts as f64 / days } else { 0.0 };
        table.row(vec![
            Cell::new(&trial.alerts.to_string()),
            Cell::new(&format!("{a_day:.2}")),
            Cell::new(&format!("{open:.2} %")),
            Cell::new(&trial.series.len().to_string()),
            Cell::new(&trial.name),
        ]);
    }
    text + &table.text(look, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn args(file: PathBuf, set: &[&str]) -> PreviewArgs {
        PreviewArgs {
            file,
            config: None,
            topology: None,
            check: "*".to_owned(),
            set: set.iter().map(|text| (*text).to_owned()).collect(),
            every: None,
        }
    }

    /// Two days of minutes around 50, with three spikes and an hour at 90.
    fn series() -> String {
        let value = |n: usize| match n {
            900 | 1_500 | 2_000 => 200.0,
            2_400..2_460 => 90.0,
            _ => 50.0 + ((n * 7) % 11) as f64,
        };
        let row = |n: usize| format!("{},{}\n", 1_767_225_600 + 60 * n, value(n));
        "timestamp,cpu\n".to_owned() + &(0..2_880).map(row).collect::<String>()
    }

    fn rows(text: &str) -> Vec<Vec<&str>> {
        text.lines().skip(2).map(|line| line.split_whitespace().collect()).collect()
    }

    #[test]
    fn rows_without_times_are_so_far_apart() -> anyhow::Result<()> {
        let directory = tempfile::TempDir::new()?;
        let file = directory.path().join("cpu.csv");
        let values: String = (0..100).map(|n| if n == 50 { "90\n" } else { "10\n" }).collect();
        fs::write(&file, format!("cpu\n{values}"))?;
        let every = Some(Span::minutes(1));
        let told = preview(&PreviewArgs { every, ..args(file, &["warning = 80"]) }, Look::default())?;
        assert!(told.starts_with("100 samples of 1 series"), "{told}");
        assert_eq!(rows(&told)[0][0], "1", "{told}");
        for (name, text) in [("timed.csv", series()), ("timed.jsonl", "{}".to_owned())] {
            let file = directory.path().join(name);
            fs::write(&file, text)?;
            let told = preview(&PreviewArgs { every, ..args(file, &[]) }, Look::default());
            let error = told.expect_err("they tell their times").to_string();
            assert!(error.starts_with("--every: each sample tells its time already"), "{error}");
        }
        Ok(())
    }

    #[test]
    fn why_nothing_is_counted_is_said() -> anyhow::Result<()> {
        let directory = tempfile::TempDir::new()?;
        let file = directory.path().join("cpu.csv");
        let long = "x".repeat(5_000);
        fs::write(&file, format!("timestamp,{long}\n1767225600,1\n"))?;
        let error =
            preview(&args(file.clone(), &[]), Look::default()).expect_err("no check has such a name").to_string();
        assert!(error.contains("1 refused, the first: "), "{error}");
        fs::write(&file, "timestamp,cpu\n1767225600000,1\n")?;
        let error = preview(&args(file, &[]), Look::default()).expect_err("milliseconds").to_string();
        assert!(error.ends_with("cpu.csv:2: `1767225600000` is no time: numbers are Unix seconds"), "{error}");
        Ok(())
    }

    #[test]
    fn it_counts_what_each_setting_raises() -> anyhow::Result<()> {
        let directory = tempfile::TempDir::new()?;
        let file = directory.path().join("cpu.csv");
        fs::write(&file, series())?;
        let set = ["warning = 80", "warning = 80, samples = 5", "critical = 150", "adaptive = \"mad\", warning = 6"];
        let told = preview(&args(file.clone(), &set), Look::default())?;
        assert!(told.starts_with("2880 samples of 1 series, 2 days\n"), "{told}");
        let found: Vec<(&str, &str)> = rows(&told).iter().map(|row| (row[0], row[2])).collect();
        // Three minutes and an hour of two days; the hour but for its first four minutes.
        assert_eq!(found, [("4", "2.19"), ("1", "1.95"), ("3", "0.10"), ("4", "2.19")], "{told}");
        let ladder = preview(&args(file, &[]), Look::default())?;
        assert_eq!(rows(&ladder).len(), 16, "{ladder}");
        Ok(())
    }

    #[test]
    fn the_configuration_is_told_of_first() -> anyhow::Result<()> {
        let directory = tempfile::TempDir::new()?;
        let path = |name: &str| directory.path().join(name);
        let event = |n: usize, check: &str, value: usize| {
            json!({"kind": "sample", "id": format!("{check}{n}"), "time": 1_767_225_600_000_u64 + 60_000 * n as u64,
                "origin": "test", "entity": "db", "check": check, "value": value})
        };
        let lines = |n| format!("{}\n{}\n", event(n, "disk", 70 + n), event(n, "cpu", 99));
        // Some tools begin a file with a mark.
        fs::write(
            path("events.jsonl"),
            "\u{feff}".to_owned() + &(0..30).map(lines).collect::<String>() + "no event\n",
        )?;
        fs::write(path("quell.toml"), "[[score.threshold]]\ncheck = \"disk\"\nwarning = 90\n")?;
        let mut args = args(path("events.jsonl"), &["warning = 80"]);
        (args.config, args.check) = (Some(path("quell.toml")), "d*".to_owned());
        let told = preview(&args, Look::default())?;
        assert!(told.starts_with("30 samples of 1 series, 0 days\n1 lines are no events\n"), "{told}");
        assert!(told.contains("as configured") && told.contains("warning = 80"), "{told}");
        Ok(())
    }

    #[test]
    fn what_is_wrong_is_named() -> anyhow::Result<()> {
        let directory = tempfile::TempDir::new()?;
        let file = directory.path().join("cpu.csv");
        fs::write(&file, series())?;
        for (set, wrong) in [
            ("adaptive = \"guess\", warning = 1", "--set 1: unknown variant `guess`"),
            ("warning = 80, critical = 70", "--set 1: a worse figure has to be further out"),
            ("adaptive = \"quantile\", warning = 2", "--set 1: quantiles are below 1"),
            ("limit = 80", "--set 1: unknown field `limit`"),
            ("warning", "--set 1: keys and values, as in `warning = 80, samples = 3`"),
            ("warning = 80 critical = 90", "--set 1: keys and values"),
        ] {
            let error = format!("{:#}", preview(&args(file.clone(), &[set]), Look::default()).expect_err(set));
            assert!(error.contains(wrong), "{error}");
        }
        let mut none = args(file, &["warning = 1"]);
        none.check = "memory".to_owned();
        let error = format!("{:#}", preview(&none, Look::default()).expect_err("no such check"));
        assert!(error.contains("no sample of a check `memory`"), "{error}");
        Ok(())
    }
}
