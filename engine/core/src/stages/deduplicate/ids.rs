//! Ids that came lately: who sends the same twice counts once.
use crate::{
    domain::time::{Span, Timestamp},
    room::excess,
};
use hashbrown::HashTable;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Ids that came lately: a queue; what is seen follows from it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct Ids {
    /// The last entry of each event key, by its number from the first that ever was, of which 32 bits tell the entries of
    /// the queue apart. Of a million ids a table with what was said would take twice as much as the queue.
    #[serde(skip)]
    last: HashTable<u32>,
    /// When it came, its key, and what was said (a hash of status and time).
    queue: VecDeque<Entry>,
    /// How many entries have left the queue.
    gone: u64,
}

type Entry = (Timestamp, u64, u64);

/// As it stands in a snapshot.
#[derive(Deserialize)]
struct Stored {
    queue: VecDeque<Entry>,
    gone: u64,
}

impl From<Stored> for Ids {
    fn from(Stored { queue, gone }: Stored) -> Self {
        let mut ids = Self { last: HashTable::with_capacity(queue.len()), queue, gone };
        for place in 0..ids.queue.len() {
            ids.point(ids.queue[place].1, place);
        }
        ids
    }
}

impl PartialEq for Ids {
    fn eq(&self, other: &Self) -> bool {
        (self.gone, &self.queue) == (other.gone, &other.queue)
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
        let first = match self.said(key) {
            None => return self.keep(key, said, clock, Seen::New),
            Some(first) if first == said => return self.keep(key, said, clock, Seen::Redelivered),
            Some(first) => first,
        };
        // A problem and its recovery may share an id: what else it said stands under a key of its own, for as long.
        let again = key ^ said.rotate_left(1);
        let seen = if self.said(again).is_some() { Seen::Redelivered } else { Seen::Reused };
        self.keep(again, said, clock, seen);
        self.keep(key, first, clock, seen)
    }

    /// What was said last under a key.
    fn said(&self, key: u64) -> Option<u64> {
        let (queue, gone) = (&self.queue, self.gone);
        let entry = |number: u32| queue[place(number, gone)];
        self.last.find(key, |number| entry(*number).1 == key).map(|number| entry(*number).2)
    }

    fn keep(&mut self, key: u64, said: u64, clock: Timestamp, seen: Seen) -> Seen {
        self.queue.push_back((clock, key, said));
        self.point(key, self.queue.len() - 1);
        seen
    }

    /// The last entry of a key is at a place of the queue.
    fn point(&mut self, key: u64, at: usize) {
        let (queue, gone) = (&self.queue, self.gone);
        let key_of = |number: &u32| queue[place(*number, gone)].1;
        let number = (gone + at as u64) as u32;
        match self.last.find_mut(key, |known| key_of(known) == key) {
            Some(known) => *known = number,
            None => {
                self.last.insert_unique(key, number, key_of);
            }
        }
    }

    fn forget(&mut self, clock: Timestamp, horizon: Span, max: usize, evicted: &mut u64) {
        while let Some(&(at, old, _)) = self.queue.front() {
            let past = clock - at > horizon;
            if self.queue.len() < max && !past {
                return;
            }
            *evicted += u64::from(!past);
            // Of a key that came again since a later entry is the last.
            if let Ok(last) = self.last.find_entry(old, |number| *number == self.gone as u32) {
                last.remove();
            }
            self.queue.pop_front();
            self.gone += 1;
            self.give_back();
        }
    }

    fn give_back(&mut self) {
        if let Some(room) = excess(self.queue.len(), self.queue.capacity()) {
            self.queue.shrink_to(room);
            let (queue, gone) = (&self.queue, self.gone);
            self.last.shrink_to(room, |number| queue[place(*number, gone)].1);
        }
    }
}

/// Where in the queue an entry is, after so many that are gone.
const fn place(number: u32, gone: u64) -> usize {
    number.wrapping_sub(gone as u32) as usize
}
