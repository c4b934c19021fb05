//! History, folded as often as it takes.
use super::labels::Labels;
use crate::commands::{
    BadInput,
    replay::{Setup, feed::Feed, journal::Recorded},
};
pub use quell_core::domain::{alert::AlertId, episode::EpisodeId};
use quell_core::{
    domain::{
        policy::{Policy, Weights},
        time::Timestamp,
    },
    engine::{Engine, Input, Pack},
    output::{Body, Considered, Outputs, Trace},
    stages::deduplicate::event_key,
};
use rustc_hash::FxHashMap;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    path::PathBuf,
    sync::Arc,
};

/// Where it stands.
pub enum History {
    Events { path: PathBuf, setup: Box<Setup> },
    Journal(Recorded),
}

/// An alert, as it was concluded.
#[derive(Clone, Debug)]
pub struct Alert {
    /// When it first opened.
    pub opened_at: Timestamp,
    /// Where it is in the end.
    pub episode: EpisodeId,
    pub check: Arc<str>,
    /// The key of its first event: ids are others when it is grouped otherwise.
    pub first: Option<u64>,
    /// What is known of the first of its events of which anything is.
    pub label: Option<Option<u64>>,
}

impl Default for Alert {
    fn default() -> Self {
        Self { opened_at: Timestamp::MAX, episode: EpisodeId(0), check: Arc::default(), first: None, label: None }
    }
}

/// What one fold of it concluded.
#[derive(Debug, Default)]
pub struct Fold {
    pub events: u64,
    /// Lines and records that are no events.
    pub rejected: u64,
    /// Those that were placed.
    pub alerts: BTreeMap<AlertId, Alert>,
    /// Every place that each ever had.
    pub joined: BTreeSet<(AlertId, EpisodeId)>,
    /// What they were weighed against; where it is asked for.
    pub considered: Vec<Considered>,
    /// Labels by event, of those that were heard.
    labels: FxHashMap<u64, Option<u64>>,
}

impl History {
    /// Whether people have their say in it.
    pub const fn has_commands(&self) -> bool {
        matches!(self, Self::Journal(_))
    }

    /// Folds it with these weights; as it was `lived`, people's commands are folded too, and what was considered is kept.
    ///
    /// # Errors
    /// Where it can't be read.
    pub async fn fold(&self, weights: Weights, labels: Option<&Labels>, lived: bool) -> anyhow::Result<Fold> {
        let mut fold = Fold::default();
        let with = |policy: &Policy| {
            let mut policy = policy.clone();
            policy.correlate.weights = weights;
            Arc::new(policy)
        };
        match self {
            Self::Events { path, setup } => {
                let name = path.display().to_string();
                let unreadable = |error| BadInput(format!("{name}: can't be read: {error}"));
                let file = File::open(path).map_err(unreadable)?;
                let mut feed = Feed::new(setup, &name, None, file);
                let mut run = Run::new(Engine::new([0; 16], with(&setup.policy), setup.topology.clone()), lived);
                let mut pack = Pack { range: None, events: Vec::new(), rejected: Vec::new() };
                while feed.fill(&mut pack).map_err(unreadable)? {
                    let input = Input::Pack(pack);
                    run.step(None, &input, labels, &mut fold)?;
                    let Input::Pack(mut emptied) = input else { anyhow::bail!("a pack is a pack") };
                    emptied.events.clear();
                    emptied.rejected.clear();
                    pack = emptied;
                }
                run.step(None, &Input::Settle, labels, &mut fold)?;
            }
            Self::Journal(recorded) => {
                for partition in 0..recorded.contents.partitions {
                    let (policy, topology) = recorded.first()?;
                    let mut run = Run::new(Engine::new(recorded.contents.uuid, with(&policy), topology), lived);
                    let take = |position, input| {
                        let input = match input {
                            Input::Command(_) if !lived => return Ok(()),
                            Input::Policy { version, policy } => Input::Policy { version, policy: with(&policy) },
                            other => other,
                        };
                        run.step(Some(position), &input, labels, &mut fold)
                    };
                    recorded.each(partition, take).await?;
                }
            }
        }
        // What the engine told itself has no event, and what was never placed no group.
        fold.alerts.retain(|_, alert| alert.opened_at < Timestamp::MAX && alert.first.is_some());
        Ok(fold)
    }
}

/// An engine at work.
struct Run {
    engine: Engine,
    position: u64,
    out: Outputs,
}

impl Run {
    fn new(engine: Engine, considers: bool) -> Self {
        let considered = considers.then(Vec::new);
        let trace = Some(Trace { considered, ..Trace::default() });
        Self { engine, position: 0, out: Outputs { brief: true, trace, ..Outputs::default() } }
    }

    fn step(
        &mut self,
        position: Option<u64>,
        input: &Input,
        labels: Option<&Labels>,
        fold: &mut Fold,
    ) -> anyhow::Result<()> {
        if let Input::Pack(pack) = input {
            fold.events += pack.events.len() as u64;
            fold.rejected += pack.rejected.len() as u64;
            for event in &pack.events {
                if let Some(label) = labels.and_then(|labels| labels.of(&event.id)) {
                    fold.labels.insert(event_key(&event.origin, &event.id), label);
                }
            }
        }
        self.position = position.unwrap_or(self.position);
        self.engine.step(self.position, input, &mut self.out)?;
        self.position += 1;
        fold.take(&mut self.out);
        Ok(())
    }
}

impl Fold {
    /// Events of which something is known.
    pub fn matched(&self) -> usize {
        self.labels.len()
    }

    fn take(&mut self, out: &mut Outputs) {
        for output in out.items.drain(..) {
            if let Body::Alert(update) = output.body {
                self.alerts.entry(update.alert.id).or_default().check = update.alert.check.clone();
            }
        }
        let Some(trace) = &mut out.trace else { return };
        for placed in trace.placed.drain(..) {
            let alert = self.alerts.entry(placed.alert).or_default();
            if placed.from.is_none() {
                alert.opened_at = alert.opened_at.min(placed.at);
            }
            alert.episode = placed.episode;
            self.joined.insert((placed.alert, placed.episode));
        }
        for verdict in trace.verdicts.drain(..) {
            let Some(id) = verdict.alert else { continue };
            let alert = self.alerts.entry(id).or_default();
            alert.first.get_or_insert(verdict.event);
            alert.label = alert.label.or_else(|| self.labels.get(&verdict.event).copied());
        }
        trace.weighed.clear();
        trace.united.clear();
        if let Some(considered) = &mut trace.considered {
            self.considered.append(considered);
        }
    }
}
