//! `quell causes`: which checks cause which, learned from when and where they fired.
use super::{
    BadInput, bad_input,
    client::print,
    json::escaped,
    past::Past,
    progress,
    table::{Cell, Look, Room, Table},
};
use crate::model::{BYTES_MAX, Model};
use anyhow::Context as _;
use heard::Heard;
use quell_core::domain::{policy::CausalEdge, time::Span};
use quell_train::causality::{self, Edge, Found, LeftOut, Mode, Progress};
use serde::Serialize;
use std::{fmt::Write as _, fs, path::PathBuf};

mod heard;

/// Edges of a model: the surest.
const EDGES_MAX: usize = 5_000;
/// An edge that draws less, or within less or more, is written with so much.
const SHARE: [f64; 2] = [0.001, 100.0];
const WITHIN: [f64; 2] = [1.0, 1_800.0];

/// Finds in history which checks cause which, by their timing. Nothing changes until `quell model apply`.
///
/// An event that fires counts for its check at its entity; what repeats within a minute counts once, and events of one
/// instant are in no order. With a topology the neighbours of an entity count too: what it is linked to or runs on and what runs on
/// it, its services, the services that these depend on or that depend on them, and their entities.
///
/// It also tells how many such edges would be found in times that were shuffled: so many of them are chance. What that can't tell is a hidden cause whose
/// effects come in a fixed order, as where checks are polled at seconds of their own.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  quell causes --topology topology.json --events events.jsonl\n  quell causes --journal quell-data \
                        --out causes.json      (of a service that is stopped)\n  quell causes --events events.jsonl --onto model.json \
                        --out both.json\n  quell replay --model causes.json --events events.jsonl --out tried"
)]
pub struct CausesArgs {
    #[command(flatten)]
    pub past: Past,
    /// Weaker edges too, both ways where it can't be told which; of these many are chance
    #[arg(long)]
    pub balanced: bool,
    /// Where a model with the edges goes
    #[arg(long, value_name = "MODEL")]
    pub out: Option<PathBuf>,
    /// A model whose weights and other edges are kept
    #[arg(long, value_name = "MODEL", requires = "out")]
    pub onto: Option<PathBuf>,
    /// JSON for scripts
    #[arg(long)]
    pub json: bool,
}

/// Finds them.
///
/// # Errors
/// [`BadInput`] where the input is bad or has no edge to write; others where the model can't be written.
pub async fn run(args: CausesArgs) -> anyhow::Result<()> {
    let onto = args.onto.as_deref().map(Model::read_file).transpose().map_err(bad_input)?;
    progress("reading the history");
    let heard = match &args.past.events {
        Some(path) => heard::events(path, args.past.config.as_deref(), args.past.topology.as_deref())?,
        None => heard::journal(args.past.config.as_deref(), args.past.journal()).await?,
    };
    if heard.events.is_empty() {
        let name = args.past.events.as_ref().map_or_else(|| "the journal".into(), |path| path.display().to_string());
        let no_events = if heard.rejected > 0 { "; of what is no event `quell replay` says why" } else { "" };
        return Err(BadInput(format!("{name}: nothing in it fires{no_events}")).into());
    }
    let mode = if args.balanced { Mode::Balanced } else { Mode::Precise };
    let mut found = causality::find(&heard.events, &heard.links, mode, &mut say);
    found.edges.truncate(EDGES_MAX);
    let report = Report::new(&heard, &found);
    if args.json {
        print(&format!("{}\n", escaped(&serde_json::to_string(&report)?)))?;
    } else {
        print(&report.text(mode, Look::stdout()))?;
    }
    let Some(out) = &args.out else { return Ok(()) };
    let file = out.display();
    if found.edges.is_empty() {
        return Err(BadInput(format!("{file} is not written: there is no edge")).into());
    }
    let edges = found.edges.iter().map(|edge| heard.edge(edge)).collect();
    let json = onto.unwrap_or_default().with_causality(edges).json();
    anyhow::ensure!(
        json.len() <= BYTES_MAX,
        BadInput(format!("{file} is not written: it has {} bytes, and a model at most {BYTES_MAX}", json.len()))
    );
    fs::write(out, json).with_context(|| format!("{file}: can't be written"))?;
    if !args.json {
        print(&format!(
            "\n{file} is written; `quell model apply {file}` sets it over the configuration of a service\n"
        ))?;
    }
    Ok(())
}

/// Once a kernel.
fn say(at: Progress) {
    if at.done == 1 {
        let times = match at.round {
            0 => "in times as they were".to_owned(),
            round => format!("in shuffled times, {round} of {}", Progress::ROUNDS - 1),
        };
        progress(&format!("looking for causes {times}: kernel {} of {}", at.kernel + 1, Progress::KERNELS));
    }
}

impl Heard {
    /// As a model has it.
    fn edge(&self, edge: &Edge) -> CausalEdge {
        let [least, most] = SHARE;
        let share = (edge.share * 1_000.0).round() / 1_000.0;
        CausalEdge {
            cause: self.check(edge.cause),
            effect: self.check(edge.effect),
            share: share.clamp(least, most),
            within: within(edge),
        }
    }
}

/// To the second.
fn within(edge: &Edge) -> Span {
    let [least, most] = WITHIN;
    Span::seconds(edge.within.clamp(least, most).round() as i64)
}

/// What is told.
#[derive(Serialize)]
struct Report {
    events: usize,
    checks: usize,
    entities: usize,
    links: usize,
    edges: Vec<Line>,
    /// How many there were, whether or not timing carries them.
    found: usize,
    /// How many more there were that come as often before as after their cause, where nearly all do: they share occasions, and are not told.
    share_occasions: usize,
    /// And how many that are found on a few occasions only, where nearly all are.
    of_few_occasions: usize,
    /// How many of them are expected to be chance, and what each set of shuffled times gave.
    expected_false: f64,
    in_shuffled_times: Vec<usize>,
    timing_carries_it: bool,
    left_out: Left,
}

#[derive(Serialize)]
struct Line {
    cause: String,
    effect: String,
    share: f64,
    within_seconds: f64,
    score: f64,
    pairs: usize,
    /// Which causes which is a guess.
    both_ways: bool,
    /// The effect comes after the cause, clearly more than before it; else a third may bring both.
    in_order: bool,
    /// It is found on enough occasions; else a few storms may be all there is.
    repeated: bool,
}

/// What was not looked at.
#[derive(Serialize)]
struct Left {
    lines_that_are_no_events: u64,
    repeats: usize,
    events_of_rare_checks: usize,
    rare_checks: usize,
    older_events: usize,
    entities_with_too_many_neighbours: usize,
    crowded_events: usize,
}

impl Report {
    fn new(heard: &Heard, found: &Found) -> Self {
        let rounded = |number: f64| (number * 1_000.0).round() / 1_000.0;
        let line = |edge: &Edge| Line {
            cause: heard.check(edge.cause),
            effect: heard.check(edge.effect),
            share: rounded(edge.share),
            within_seconds: rounded(edge.within),
            score: rounded(edge.score),
            pairs: edge.pairs,
            both_ways: edge.both_ways,
            in_order: edge.is_ordered,
            repeated: edge.is_repeated,
        };
        let LeftOut { repeats, rare, rare_kinds, older, hubs, crowded } = found.left_out;
        Self {
            events: found.events,
            checks: found.kinds,
            entities: found.places,
            links: heard.links.len(),
            edges: found.edges.iter().map(line).collect(),
            found: found.count,
            share_occasions: found.together,
            of_few_occasions: found.seldom,
            expected_false: rounded(found.expected_false()),
            in_shuffled_times: found.by_chance.clone(),
            timing_carries_it: found.is_carried(),
            left_out: Left {
                lines_that_are_no_events: heard.rejected,
                repeats,
                events_of_rare_checks: rare,
                rare_checks: rare_kinds,
                older_events: older,
                entities_with_too_many_neighbours: hubs,
                crowded_events: crowded,
            },
        }
    }

    fn text(&self, mode: Mode, look: Look) -> String {
        let Self { events, checks, entities, links, .. } = self;
        let mut text =
            format!("{events} events of {checks} checks at {entities} entities, {links} pairs of neighbours\n");
        // Writing to a string can't fail.
        for (count, what) in self.left_out.told() {
            let _ = writeln!(text, "not looked at: {count} {what}");
        }
        if !self.edges.is_empty() {
            let _ = write!(text, "\n{}\n", self.table(look));
        }
        let (found, chance) = (self.found, self.expected_false);
        let verdict = match (found, self.timing_carries_it, mode) {
            (0, ..) => "edges: none, as far as timing tells".to_owned(),
            (_, true, _) => format!("edges: {found}; in shuffled times about {chance:.1} would be found too"),
            (_, false, Mode::Precise) => format!(
                "edges: {found} were found, and about {chance:.1} in shuffled times: timing does not carry them,\nand none \
                 is told"
            ),
            (_, false, Mode::Balanced) => format!(
                "edges: {found}; in shuffled times about {chance:.1} would be found too: timing does\nnot carry them"
            ),
        };
        text += &(verdict + "\n");
        let both = self.edges.iter().filter(|edge| edge.both_ways).count();
        if both > 0 {
            let _ = writeln!(text, "found the other way round too: {both}; which causes which is a guess there");
        }
        let unordered = self.edges.iter().filter(|edge| !edge.in_order).count();
        if unordered > 0 {
            let _ = writeln!(text, "as often before as after their cause: {unordered}; something else may bring both");
        }
        let seldom = self.edges.iter().filter(|edge| !edge.repeated).count();
        if seldom > 0 {
            let _ = writeln!(text, "on a few occasions only: {seldom}; a few storms may be all there is");
        }
        if self.of_few_occasions > 0 {
            let count = self.of_few_occasions;
            let _ = writeln!(text, "not told: {count} that rest on a few occasions, however many entities each had");
        }
        if self.share_occasions > 0 {
            let count = self.share_occasions;
            let _ = writeln!(text, "not told: {count} that come in the same storms, in either order");
        }
        text
    }

    fn table(&self, look: Look) -> String {
        let mut table = Table::new(&[
            ("CAUSE", Room::Name),
            ("EFFECT", Room::Name),
            ("DRAWS", Room::Whole),
            ("WITHIN", Room::Whole),
            ("SCORE", Room::Whole),
            ("PAIRS", Room::Whole),
        ]);
        for Line { cause, effect, share, within_seconds, score, pairs, .. } in &self.edges {
            table.row(vec![
                Cell::new(cause),
                Cell::new(effect),
                Cell::new(&format!("{share:.3}")),
                Cell::new(&format!("{within_seconds:.0} s")),
                Cell::new(&format!("{score:.2}")),
                Cell::new(&pairs.to_string()),
            ]);
        }
        table.text(look, 0)
    }
}

impl Left {
    /// What there is of it, in words.
    fn told(&self) -> Vec<(u64, &'static str)> {
        let all = [
            (self.lines_that_are_no_events, "lines that are no events: `quell replay` names each"),
            (self.repeats as u64, "repeats within a minute"),
            (self.events_of_rare_checks as u64, "events of checks that are too rare, or of more than 1,000"),
            (self.older_events as u64, "events that are older than the latest 2,000,000"),
            (self.entities_with_too_many_neighbours as u64, "entities with more than 128 neighbours, as neighbours"),
            (self.crowded_events as u64, "times: all but the 96 nearest checks before an event"),
        ];
        all.into_iter().filter(|(count, _)| *count > 0).collect()
    }
}
