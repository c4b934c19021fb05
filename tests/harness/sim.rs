//! Many processes over one hostile log, in one process and in virtual time.
//!
//! Two ingests, and two owners of every journal partition at once, are stopped, woken late, killed and started again
//! while the log fails, delays, doubles and rots. What readers see must be what an undisturbed engine says of the same
//! records. The same seed gives the same run.
#[path = "sim/broker.rs"]
pub mod broker;
#[path = "sim/check.rs"]
pub mod check;
#[path = "sim/process.rs"]
pub mod process;
#[path = "sim/world.rs"]
pub mod world;

use quell::rules::Rules;
use std::{collections::BTreeMap, fmt::Write as _};

/// One run.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    pub seed: u64,
    pub rules: Rules,
    /// About how many records.
    pub size: usize,
    /// The source topic is made anew in the middle.
    pub anew: bool,
}

/// What went wrong in a run.
#[derive(Clone, Debug)]
pub enum Failure {
    /// Readers see something else than they should.
    Differs(String),
    /// Virtual time ran out.
    Stuck(String),
    /// A partition's owner said that only a person can help.
    Stopped(String),
    /// The stream has so few incidents that it shows nothing.
    Dull(usize),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Differs(what) => write!(f, "differs: {what}"),
            Self::Stuck(what) => write!(f, "stuck: {what}"),
            Self::Stopped(what) => write!(f, "stopped: {what}"),
            Self::Dull(incidents) => write!(f, "the stream has only {incidents} incidents"),
        }
    }
}

/// How often each thing happened: a run in which something did not shows less than it seems to.
#[derive(Clone, Debug)]
pub struct Bite(BTreeMap<&'static str, u64>);

/// What is counted only when it happens.
const MAY_HAPPEN: [&str; 11] = [
    "delay",
    "duplicate",
    "fail",
    "fail_yet_happened",
    "hole",
    "killed",
    "processes killed",
    "read_short",
    "rot",
    "trim_short",
    "zombies woken",
];

impl Default for Bite {
    fn default() -> Self {
        Self(MAY_HAPPEN.map(|what| (what, 0)).into())
    }
}

impl Bite {
    /// Counts `n` more.
    pub fn add(&mut self, what: &'static str, n: u64) {
        *self.0.entry(what).or_default() += n;
    }

    /// Counts all that another counted.
    pub fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(what, n)| self.add(what, *n));
    }

    /// What never happened.
    pub fn zeros(&self) -> Vec<&'static str> {
        self.0.iter().filter(|(_, n)| **n == 0).map(|(what, _)| *what).collect()
    }

    /// For people.
    pub fn table(&self) -> String {
        self.0.iter().fold(String::new(), |mut table, (what, n)| {
            let _ = writeln!(table, "{n:>10}  {what}");
            table
        })
    }
}

/// Runs it to its end on a runtime of its own, with time paused.
///
/// # Errors
/// With what went wrong.
pub fn run(scenario: Scenario) -> Result<Bite, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.map_err(|error| Failure::Stuck(error.to_string()))?;
    runtime.block_on(async {
        let limit = tokio::time::sleep(world::LIMIT);
        tokio::select! {
            biased;
            done = world::play(scenario) => done,
            () = limit => Err(Failure::Stuck("the whole run".to_owned())),
        }
    })
}
