//! `quell learn`: what each part of the log-odds counts, learned from history.
//!
//! Where an alert was weighed against a group as it opened, and it is known whether it belongs there, the parts of that sum are
//! an example for logistic regression. The oldest three fifths of the alerts are learned from, the next fifth tells how far to
//! go from what is built in, and the latest fifth only how well that does.
use super::{BadInput, bad_input, client::print, past::Past, progress, replay::Setup, table};
use crate::model::{HeldOut, Learned, Measure, Model, Pattern, Weighing};
use anyhow::Context as _;
use chance::Compared;
use history::{Fold, History};
use labels::Labels;
use quell_core::domain::{policy::Weights, time::Timestamp};
use quell_train::{
    patterns,
    weights::{self, Row},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs, io,
    path::PathBuf,
};

mod chance;
mod history;
mod labels;
mod pairs;

/// Examples that are learned from at most: of more each so many-th.
const ROWS_MAX: usize = 200_000;
/// Fewer teach nothing.
const ROWS_MIN: usize = 100;
/// How far the weights may go from what is built in to what the examples say.
const STEPS: [f64; 3] = [0.25, 0.5, 1.0];
/// A step further has to be worth so much of F1.
const WORTH: f64 = 0.001;
/// Checks that are told apart in patterns, the most frequent,
const KINDS_MAX: usize = 500;
/// groups that are looked at, the latest,
const GROUPS_MAX: usize = 5_000;
/// and patterns that are told.
const PATTERNS_MAX: usize = 20;

/// Learns from history what each part of the log-odds counts, and which checks keep coming together. Nothing changes until
/// `quell model apply`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  quell learn --topology topology.json --events events.jsonl --labels incidents.csv --out \
                        model.json\n  quell learn --journal quell-data --out model.json      (of a service that is stopped; people's \
                        merges, splits and moves are the labels)\n  quell replay --model model.json --events events.jsonl --out tried"
)]
pub struct LearnArgs {
    #[command(flatten)]
    pub past: Past,
    /// Which events belong together: CSV with the columns `event_id` and `label`; `noise` or nothing belongs to none. Without it
    /// what was concluded in the end, and what people made of it, is taken as right
    #[arg(long, value_name = "CSV")]
    pub labels: Option<PathBuf>,
    /// Where the model goes
    #[arg(long, value_name = "MODEL")]
    pub out: PathBuf,
}

/// Learns.
///
/// # Errors
/// [`BadInput`] where the input is bad or teaches nothing; others where the model can't be written.
pub async fn run(args: LearnArgs) -> anyhow::Result<()> {
    let labels = match &args.labels {
        Some(path) => Some(Labels::read(path).map_err(bad_input)?),
        None => None,
    };
    // It is folded several times.
    let mut spooled = tempfile::NamedTempFile::new()?;
    let history = match &args.past.events {
        Some(path) => {
            let path = if path.as_os_str() == "-" {
                io::copy(&mut io::stdin().lock(), &mut spooled).context("stdin")?;
                spooled.path()
            } else {
                path
            };
            let setup = Setup::load(args.past.config.as_deref(), args.past.topology.as_deref(), None)?;
            History::Events { path: path.to_owned(), setup: setup.into() }
        }
        None => {
            let (config, dir) = (args.past.config.as_deref(), args.past.journal());
            History::Journal(super::replay::journal::Recorded::open(config, dir).await?)
        }
    };
    let Taught { model, told, is_better } = learn(&history, labels.as_ref()).await?;
    let file = args.out.display();
    fs::write(&args.out, model.json()).with_context(|| format!("{file}: can't be written"))?;
    let apply = if is_better {
        format!("; `quell model apply {file}` sets it over the configuration of a service")
    } else {
        String::new()
    };
    print(&format!("{told}\n{file} is written{apply}\n"))?;
    Ok(())
}

/// What was learned, what is told of it, and whether it is better than what is built in.
struct Taught {
    model: Model,
    told: String,
    is_better: bool,
}

async fn learn(history: &History, labels: Option<&Labels>) -> anyhow::Result<Taught> {
    progress("folding the history");
    let lived = history.fold(Weights::default(), labels, true).await?;
    let truth = Truth::new(&lived, labels);
    let spans = Spans::of(&lived, &truth);
    let rows = rows(&lived, &truth, spans.validated);
    if rows.len() < ROWS_MIN {
        return Err(BadInput(too_few(rows.len(), history, &lived, labels)).into());
    }
    progress("fitting");
    let stride = rows.len().div_ceil(ROWS_MAX);
    let sample: Vec<_> = rows.iter().step_by(stride).copied().collect();
    let fitted = weights::fit(&sample).map_err(BadInput)?;
    // People's commands are of what there was then: all is compared without them.
    let built_in = if history.has_commands() { &history.fold(Weights::default(), None, false).await? } else { &lived };
    let mut best: Option<(f64, Weights, Fold)> = None;
    for (n, step) in STEPS.into_iter().enumerate() {
        progress(&format!("trying what was learned, {} of {}", n + 1, STEPS.len()));
        let weights = towards(fitted, step);
        let fold = history.fold(weights, None, false).await?;
        let f1 = pairs::measure(&fold, &truth, spans.validated..spans.held_out).f1;
        if best.as_ref().is_none_or(|(most, ..)| f1 > *most + WORTH) {
            best = Some((f1, weights, fold));
        }
    }
    let Some((_, weights, fold)) = best else { anyhow::bail!("nothing was tried") };
    let latest = spans.held_out..Timestamp::MAX;
    let held_out = HeldOut {
        since: table::time(Some(&quell_connectors::wire::time(spans.held_out))),
        alerts: lived.alerts.values().filter(|a| truth.of(a).is_some() && latest.contains(&a.opened_at)).count(),
        built_in: pairs::measure(built_in, &truth, latest.clone()),
        learned: pairs::measure(&fold, &truth, latest.clone()),
    };
    let compared = Compared::of(built_in, &fold, &truth, &latest);
    let learned =
        Learned { events: lived.events, alerts: lived.alerts.len(), labelled: truth.0.len(), decisions: rows.len() };
    let (weighing, patterns) = (Weighing { weights, learned, held_out }, patterns_of(&lived));
    let is_better = weighing.held_out.learned.f1 > weighing.held_out.built_in.f1 && compared.is_better();
    let told = tell(&weighing, compared, &patterns, labels.is_some(), lived.rejected);
    Ok(Taught { model: Model::weighs(weighing, patterns), told, is_better })
}

/// What there is instead, what would teach, and what to do.
fn too_few(rows: usize, history: &History, lived: &Fold, labels: Option<&Labels>) -> String {
    let (name, unit) = match history {
        History::Events { path, .. } => (path.display().to_string(), "lines"),
        History::Journal(_) => ("the journal".to_owned(), "records"),
    };
    let (events, alerts, matched) = (lived.events, lived.alerts.len(), lived.matched());
    let found = labels.map(|labels| format!("; labels of its events: {matched} of {}", labels.count()));
    let advice = if events + lived.rejected == 0 {
        "there is nothing in it".to_owned()
    } else if events == 0 {
        format!("none of its {unit} is an event: `quell replay` says of each why")
    } else if labels.is_some() && matched == 0 {
        "no `event_id` of the labels is the `id` of an event: both have to be of the same history".to_owned()
    } else {
        "a longer history is needed, or one of incidents with more alerts; the oldest three fifths of the alerts are learned from".to_owned()
    };
    format!(
        "{name}: only {rows} decisions to learn from, where {ROWS_MIN} are needed: {advice}\n{unit}: {}; events: {events}; alerts: {alerts}{}\nA \
         decision is an alert that was weighed against a group of others as it opened, where it is known to what both belong.",
        events + lived.rejected,
        found.unwrap_or_default()
    )
}

/// With what each alert belongs, by its first event; `None`: with nothing. Alerts of which nothing is known are not in it.
struct Truth(BTreeMap<u64, Option<u64>>);

impl Truth {
    fn new(lived: &Fold, labels: Option<&Labels>) -> Self {
        let of = |alert: &history::Alert| match labels {
            Some(_) => alert.label,
            None => Some(Some(alert.episode.0)),
        };
        Self(lived.alerts.values().filter_map(|alert| Some((alert.first?, of(alert)?))).collect())
    }

    fn of(&self, alert: &history::Alert) -> Option<Option<u64>> {
        self.0.get(&alert.first?).copied()
    }
}

/// Where the alerts that are learned from end, and those by which it is chosen.
struct Spans {
    validated: Timestamp,
    held_out: Timestamp,
}

impl Spans {
    fn of(lived: &Fold, truth: &Truth) -> Self {
        let known = lived.alerts.values().filter(|alert| truth.of(alert).is_some());
        let mut opened: Vec<Timestamp> = known.map(|alert| alert.opened_at).collect();
        opened.sort_unstable();
        let at = |fifths: usize| opened.get(opened.len() * fifths / 5).copied().unwrap_or(Timestamp::MAX);
        Self { validated: at(3), held_out: at(4) }
    }
}

/// Each time an alert that opened before `until` was weighed against a group, where it is known of both to what they belong.
fn rows(lived: &Fold, truth: &Truth, until: Timestamp) -> Vec<Row<5>> {
    let mut made_of: BTreeMap<history::EpisodeId, BTreeMap<Option<u64>, usize>> = BTreeMap::new();
    for (alert, episode) in &lived.joined {
        if let Some(label) = lived.alerts.get(alert).and_then(|alert| truth.of(alert)) {
            *made_of.entry(*episode).or_default().entry(label).or_default() += 1;
        }
    }
    let row = |one: &quell_core::output::Considered| {
        let alert = lived.alerts.get(&one.alert).filter(|alert| alert.opened_at < until)?;
        let label = truth.of(alert)?;
        let others = made_of.get(&one.episode)?.iter().map(|(of, alerts)| {
            let own = usize::from(*of == label && lived.joined.contains(&(one.alert, one.episode)));
            (alerts - own, *of)
        });
        let (_, most) = others.filter(|(alerts, _)| *alerts > 0).max()?;
        let evidence = one.evidence;
        let parts = [evidence.time, evidence.lifetimes, evidence.place, evidence.what, evidence.background]
            .map(|part| f64::from(part) / 1_000.0);
        Some(Row { parts, holds: label.is_some() && most == label })
    };
    lived.considered.iter().filter_map(row).collect()
}

/// So far from 1 to what was fitted, in thousandths.
fn towards(fitted: [f64; 5], step: f64) -> Weights {
    let weight = |fitted: f64| (1.0 + step * (fitted - 1.0)).clamp(0.0, Weights::MAX);
    Weights::from(fitted.map(|fitted| (weight(fitted) * 1_000.0).round() / 1_000.0))
}

/// Which checks keep coming together in what was concluded.
fn patterns_of(lived: &Fold) -> Vec<Pattern> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut groups: BTreeMap<history::EpisodeId, (Timestamp, BTreeMap<&str, usize>)> = BTreeMap::new();
    for alert in lived.alerts.values() {
        *counts.entry(&alert.check).or_default() += 1;
        let group = groups.entry(alert.episode).or_insert((alert.opened_at, BTreeMap::new()));
        *group.1.entry(&alert.check).or_default() += 1;
    }
    let mut kinds: Vec<(&str, usize)> = counts.into_iter().collect();
    kinds.sort_by_key(|(check, count)| (std::cmp::Reverse(*count), *check));
    kinds.truncate(KINDS_MAX);
    let places: BTreeMap<&str, usize> = kinds.iter().enumerate().map(|(place, (check, _))| (*check, place)).collect();
    let mut several: Vec<_> = groups.into_values().filter(|(_, checks)| checks.values().sum::<usize>() > 1).collect();
    several.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    several.truncate(GROUPS_MAX);
    let vectors: Vec<Vec<(usize, f64)>> = several
        .iter()
        .map(|(_, checks)| checks.iter().filter_map(|(check, n)| Some((*places.get(check)?, *n as f64))).collect())
        .filter(|vector: &Vec<_>| !vector.is_empty())
        .collect();
    let named = |kinds_of: &[usize]| {
        let names: BTreeSet<&str> =
            kinds_of.iter().filter_map(|kind| kinds.get(*kind)).map(|(check, _)| *check).collect();
        names.into_iter().map(str::to_owned).collect()
    };
    let found = patterns::find(&vectors, kinds.len()).into_iter().take(PATTERNS_MAX);
    found.map(|pattern| Pattern { checks: named(&pattern.kinds), times: pattern.groups }).collect()
}

fn tell(weighing: &Weighing, compared: Compared, patterns: &[Pattern], is_labelled: bool, rejected: u64) -> String {
    let Learned { events, alerts, labelled, decisions } = &weighing.learned;
    let truth = if is_labelled { "labelled" } else { "taken as they stood in the end, for there are no labels" };
    let mut text = format!(
        "{events} events, {alerts} alerts; {labelled} of them {truth}; {decisions} decisions to learn from\n\n"
    );
    // Writing to a string can't fail.
    if rejected > 0 {
        let _ = writeln!(text, "{rejected} lines are no events: `quell replay` names each\n");
    }
    let _ = writeln!(text, "part         counts");
    for (name, weight) in Weights::NAMES.iter().zip(weighing.weights.all()) {
        let _ = writeln!(text, "{name:<12} {weight:>6.3}");
    }
    let HeldOut { since, alerts, built_in, learned } = &weighing.held_out;
    let _ = writeln!(text, "\nheld out: {alerts} alerts since {since}\n            precision  recall      F1");
    for (name, Measure { precision, recall, f1 }) in [("built in", built_in), ("learned", learned)] {
        let _ = writeln!(text, "{name:<12}{precision:>9.4}{recall:>8.4}{f1:>8.4}");
    }
    let Compared { gained, lost } = compared;
    let sign = format!(
        "alerts that only it groups rightly: {gained}, that only what is built in does: {lost} (sign test: p = {:.3})",
        compared.chance()
    );
    let none = "there is no reason to apply it";
    let verdict = match (learned.f1 > built_in.f1, compared.is_better()) {
        (true, true) => format!("it groups the alerts held out better than what is built in; {sign}"),
        (true, false) => format!("the difference is within chance; {sign}; {none}"),
        _ => format!("it groups the alerts held out no better than what is built in: {none}"),
    };
    let _ = writeln!(text, "{verdict}");
    if !patterns.is_empty() {
        let _ = writeln!(text, "\nwhat keeps coming together");
    }
    for Pattern { checks, times } in patterns {
        let _ = writeln!(text, "{times:>6} times  {}", table::printable(&checks.join(", ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_chance_is_not_recommended() {
        let measure = |f1| Measure { precision: f1, recall: f1, f1 };
        let verdict = |f1, gained, lost| {
            let held_out =
                HeldOut { since: String::new(), alerts: 85, built_in: measure(0.9979), learned: measure(f1) };
            let learned = Learned { events: 900, alerts: 425, labelled: 425, decisions: 177 };
            let weighing = Weighing { weights: Weights::default(), learned, held_out };
            tell(&weighing, Compared { gained, lost }, &[], true, 0)
        };
        let one = verdict(1.0, 1, 0);
        assert!(one.contains("the difference is within chance; alerts that only it groups rightly: 1,"), "{one}");
        assert!(one.contains("(sign test: p = 1.000); there is no reason to apply it"), "{one}");
        assert!(verdict(1.0, 6, 0).contains("better than what is built in; alerts that only it groups rightly: 6,"));
        assert!(verdict(0.9979, 6, 0).contains("no better than what is built in: there is no reason"));
    }
}
