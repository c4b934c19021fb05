//! Commands that were folded, by their client's id: one that comes again changes nothing (design rule 13).
use crate::domain::{
    command::CommandResult,
    time::{Span, Timestamp},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// Results of a scope's latest commands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Requests {
    results: BTreeMap<Arc<str>, CommandResult>,
    /// In the order they came.
    queue: VecDeque<(Timestamp, Arc<str>)>,
}

impl Requests {
    /// Whether it was folded.
    pub fn knows(&self, request_id: &str) -> bool {
        self.results.contains_key(request_id)
    }

    /// All that are kept.
    pub fn iter(&self) -> impl Iterator<Item = &CommandResult> {
        self.results.values()
    }

    /// Keeps a result; the oldest go where there are too many or they are past the horizon. How many went before it.
    pub fn keep(&mut self, result: CommandResult, clock: Timestamp, horizon: Span, max: usize) -> u64 {
        let mut evicted = 0;
        self.queue.push_back((clock, result.request_id.clone()));
        self.results.insert(result.request_id.clone(), result);
        while let Some((at, _)) = self.queue.front() {
            let past = clock - *at > horizon;
            if !past && self.queue.len() <= max {
                break;
            }
            evicted += u64::from(!past);
            let Some((_, id)) = self.queue.pop_front() else { break };
            self.results.remove(&id);
        }
        evicted
    }
}
