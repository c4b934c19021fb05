//! `quell replay`: recorded events folded offline, to byte-identical conclusions.
use super::{BadInput, bad_input, open, unreadable};
use crate::{
    config::{self, Config},
    model::Model,
};
use anyhow::Context as _;
use conclusions::Conclusions;
use feed::Feed;
use letters::Letters;
use quell_connectors::decode::{
    Format, Mapping,
    time::{TimeFault, rfc3339},
};
use quell_core::{
    domain::{
        policy::{Clock, Policy},
        time::Timestamp,
        topology::{Topology, TopologyFile},
    },
    engine::{Engine, Input, Pack},
    output::{DeadLetter, Outputs},
};
use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

pub mod conclusions;
pub(super) mod feed;
mod files;
pub(super) mod journal;
mod letters;
pub(super) mod lines;
mod summary;

/// The origin of events that name none, where the configuration has not one Kafka topic alone.
const DEFAULT_ORIGIN: &str = "replay";

/// Folds recorded events offline and writes what was concluded: alerts, episodes, incidents, and where each event went.
/// The same recording gives the same bytes.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Example:\n  quell replay --topology topology.json --events events.jsonl --out conclusions\n  zstd -dc \
                        events.jsonl.zst | quell replay --until 2025-10-09T10:00:00Z --events - --out conclusions\n  quell \
                        replay --journal quell-data --out conclusions      (of a service that is stopped)"
)]
pub struct ReplayArgs {
    /// The configuration; its clock is ignored: time is that of the events
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The topology, instead of the configuration's
    #[arg(long, value_name = "FILE")]
    pub topology: Option<PathBuf>,
    /// What `quell learn` wrote, set over the configuration
    #[arg(long, value_name = "FILE", conflicts_with = "journal")]
    pub model: Option<PathBuf>,
    /// Stop at this time (RFC 3339) instead of letting time pass until nothing more can happen
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub until: Option<Timestamp>,
    /// End with exit code 2 if a line is no event
    #[arg(long)]
    pub strict: bool,
    /// Canonical events as JSON, one a line, in the order they arrived; `-` is stdin
    #[arg(long, value_name = "FILE", required_unless_present = "journal")]
    pub events: Option<PathBuf>,
    /// What a service has folded, instead of events: its data directory; without one the journal of --config
    #[arg(long, value_name = "DIR", num_args = 0..=1, conflicts_with_all = ["events", "topology", "until", "strict"])]
    pub journal: Option<Option<PathBuf>>,
    /// Where the conclusions go; made if missing, files of the same names are overwritten
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

fn time(text: &str) -> Result<Timestamp, TimeFault> {
    rfc3339(text)
}

/// What a command reads from and writes to beside its files.
pub struct Console<'a> {
    pub stdin: &'a mut dyn Read,
    pub stdout: &'a mut dyn Write,
    pub stderr: &'a mut dyn Write,
}

/// Replays, on the program's own streams.
///
/// # Errors
/// [`BadInput`] where the input is bad; others where the conclusions can't be written.
pub fn run(args: &ReplayArgs) -> anyhow::Result<()> {
    let (mut stdin, mut stdout, mut stderr) = (io::stdin().lock(), io::stdout().lock(), io::stderr().lock());
    run_on(args, Console { stdin: &mut stdin, stdout: &mut stdout, stderr: &mut stderr })
}

/// Replays, on these streams.
///
/// # Errors
/// As [`run`].
pub fn run_on(args: &ReplayArgs, console: Console<'_>) -> anyhow::Result<()> {
    let Some(events) = &args.events else {
        return journal::run(args, args.journal.as_ref().and_then(Option::as_deref), console);
    };
    let setup = Setup::load(args.config.as_deref(), args.topology.as_deref(), args.model.as_deref())?;
    let (name, input) = open(events, console.stdin)?;
    let unreadable = |error: io::Error| unreadable(&name, &error);
    let written = || format!("{}: can't be written", args.out.display());
    fs::create_dir_all(&args.out).with_context(written)?;
    let mut letters = Letters::create(&args.out, console.stderr).with_context(written)?;

    let mut fold = Fold::new(&setup);
    let mut feed = Feed::new(&setup, &name, args.until, input);
    let mut pack = Pack { range: None, events: Vec::new(), rejected: Vec::new() };
    while feed.fill(&mut pack).map_err(unreadable)? {
        pack = fold.pack(pack, &mut |letter| letters.write(letter))?;
    }
    fold.step(&args.until.map_or(Input::Settle, Input::Tick), &mut |letter| letters.write(letter))?;
    let mut conclusions = fold.finish();
    conclusions.beyond = feed.beyond();
    let bad = letters.finish().with_context(written)?;
    conclusions.write(&args.out).with_context(written)?;
    let table = conclusions.table();
    console.stdout.write_all(table.as_bytes()).and_then(|()| console.stdout.flush()).context("stdout")?;
    if args.strict && bad > 0 {
        let lines = if bad == 1 { "line is no event" } else { "lines are no events" };
        return Err(BadInput(format!("{name}: {bad} {lines} (--strict)")).into());
    }
    Ok(())
}

/// What a replay is configured with.
pub(super) struct Setup {
    pub policy: Arc<Policy>,
    pub topology: Arc<Topology>,
    mapping: Mapping,
    default_origin: String,
}

impl Setup {
    /// Of the files that are given.
    pub fn load(config: Option<&Path>, topology: Option<&Path>, model: Option<&Path>) -> anyhow::Result<Self> {
        Ok(Self::with_file(config, topology, model)?.0)
    }

    /// The same, and the topology as it is written.
    pub fn with_file(
        config: Option<&Path>,
        topology: Option<&Path>,
        model: Option<&Path>,
    ) -> anyhow::Result<(Self, TopologyFile)> {
        let is_configured = config.is_some();
        let config = Config::load(config).map_err(bad_input)?;
        let file = match topology {
            Some(path) => config::read_topology(path).map_err(bad_input)?,
            None if is_configured => config.read_topology().map_err(bad_input)?,
            None => TopologyFile::default(),
        };
        let topology = Topology::new(&file).map_err(bad_input)?;
        // What one topic carries is mapped as that topic is; of several it can't be told.
        let mut topics = config.topics().into_iter().filter(|(_, topic)| topic.format == Format::Canonical);
        let (default_origin, mapping) = match (topics.next(), topics.next()) {
            (Some((topic, found)), None) => (topic, found.mapping),
            _ => (DEFAULT_ORIGIN.to_owned(), Mapping::default()),
        };
        let policy = Policy { clock: Clock::Events, ..config.policy() };
        let policy = match model {
            Some(path) => Model::read_file(path).map_err(bad_input)?.over(&policy),
            None => policy,
        };
        Ok((Self { policy: policy.into(), topology: topology.into(), mapping, default_origin }, file))
    }
}

/// The fold, and what it concludes.
struct Fold {
    engine: Engine,
    position: u64,
    outputs: Outputs,
    conclusions: Conclusions,
}

impl Fold {
    fn new(setup: &Setup) -> Self {
        Self::of(Engine::new([0; 16], setup.policy.clone(), setup.topology.clone()), Conclusions::default())
    }

    /// Goes on with `conclusions` of other partitions.
    fn of(engine: Engine, conclusions: Conclusions) -> Self {
        Self { engine, position: 0, outputs: Conclusions::outputs(), conclusions }
    }

    /// Folds an input that stands at a position of its journal.
    fn input(&mut self, position: u64, input: &Input, letters: &mut dyn FnMut(&DeadLetter)) -> anyhow::Result<()> {
        if let Input::Pack(pack) = input {
            pack.events.iter().for_each(|event| self.conclusions.event(event));
        }
        self.position = position;
        self.step(input, letters)
    }

    /// Folds a pack; gives it back to be filled again.
    fn pack(&mut self, pack: Pack, letters: &mut dyn FnMut(&DeadLetter)) -> anyhow::Result<Pack> {
        for event in &pack.events {
            self.conclusions.event(event);
        }
        let input = Input::Pack(pack);
        self.step(&input, letters)?;
        let Input::Pack(mut pack) = input else { anyhow::bail!("a pack is a pack") };
        pack.events.clear();
        pack.rejected.clear();
        Ok(pack)
    }

    fn step(&mut self, input: &Input, letters: &mut dyn FnMut(&DeadLetter)) -> anyhow::Result<()> {
        self.engine.step(self.position, input, &mut self.outputs)?;
        self.position += 1;
        self.conclusions.take(&mut self.outputs, letters);
        Ok(())
    }

    fn finish(mut self) -> Conclusions {
        self.conclusions.close(&mut self.engine);
        self.conclusions
    }
}
