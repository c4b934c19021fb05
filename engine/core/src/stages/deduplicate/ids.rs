//! Ids that came lately: who sends the same twice counts once.
use crate::domain::time::{Span, Timestamp};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Ids that came lately. In a snapshot, of which they may be most, they are a queue; what is seen follows from it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct Ids {
    /// By event key: what was said (a hash of status and time) and which entry of the queue is the last of it.
    #[serde(skip)]
    seen: FxHashMap<u64, (u64, u64)>,
    /// When it came, its key, and what was said.
    queue: VecDeque<(Timestamp, u64, u64)>,
    /// How many entries have left the queue.
    gone: u64,
}

/// As it stands in a snapshot.
#[derive(Deserialize)]
struct Stored {
    queue: VecDeque<(Timestamp, u64, u64)>,
    gone: u64,
}

impl From<Stored> for Ids {
    fn from(Stored { queue, gone }: Stored) -> Self {
        let seen = (gone..).zip(&queue).map(|(entry, (_, key, said))| (*key, (*said, entry))).collect();
        Self { seen, queue, gone }
    }
}

/// What is known of an event's id.
#[derive(Clone, Copy, Debug)]
pub enum Seen {
    New,
    /// It stood for another status or time.
    Reused,
    Redelivered,
}

impl Ids {
    /// An event came that said `said` under the id `key`. Adds to `evicted` the ids that go before the horizon.
    pub fn see(
        &mut self,
        (key, said): (u64, u64),
        clock: Timestamp,
        horizon: Span,
        max: usize,
        evicted: &mut u64,
    ) -> Seen {
        self.forget(clock, horizon, max, evicted);
        let first = match self.seen.get(&key) {
            None => return self.keep(key, said, clock, Seen::New),
            Some((first, _)) if *first == said => return self.keep(key, said, clock, Seen::Redelivered),
            Some((first, _)) => *first,
        };
        // A problem and its recovery may share an id: what else it said stands under a key of its own, for as long.
        let again = key ^ said.rotate_left(1);
        let seen = if self.seen.contains_key(&again) { Seen::Redelivered } else { Seen::Reused };
        self.keep(again, said, clock, seen);
        self.keep(key, first, clock, seen)
    }

    fn keep(&mut self, key: u64, said: u64, clock: Timestamp, seen: Seen) -> Seen {
        let entry = self.gone + self.queue.len() as u64;
        self.seen.insert(key, (said, entry));
        self.queue.push_back((clock, key, said));
        seen
    }

    fn forget(&mut self, clock: Timestamp, horizon: Span, max: usize, evicted: &mut u64) {
        while let Some(&(at, old, _)) = self.queue.front() {
            let past = clock - at > horizon;
            if self.queue.len() < max && !past {
                return;
            }
            *evicted += u64::from(!past);
            self.queue.pop_front();
            if self.seen.get(&old).is_some_and(|(_, entry)| *entry == self.gone) {
                self.seen.remove(&old);
            }
            self.gone += 1;
        }
    }
}
