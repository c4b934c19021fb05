//! Events and rejected parts of messages in packs that fit into a record of the journal (design rules 2, 3).
use quell_connectors::{
    decode::{self, Rejection},
    log::RECORD_BYTES_MAX,
};
use quell_core::{
    domain::{event::Event, hash::partition_of, time::Timestamp},
    engine::{Pack, Rejected},
};
use std::collections::{BTreeMap, HashMap};

/// What a pack may hold: room for frames and range below the log's largest record.
pub const PACK_BYTES_MAX: usize = RECORD_BYTES_MAX - 64 * 1024;
/// Scope of what belongs to none.
const NO_SCOPE: &str = decode::DEFAULT_SCOPE;
/// Rejected records travel with so much of what was received.
const PAYLOAD_KEPT: usize = 64 * 1024;

/// A part of a message: an event, or why there is none.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "a box would cost an allocation for each event")]
pub enum Part {
    Event(Event),
    Rejected(Rejected),
}

impl Part {
    /// When it reached Quell.
    pub const fn arrival(&self) -> Timestamp {
        match self {
            Self::Event(event) => event.arrival,
            Self::Rejected(rejected) => rejected.arrival,
        }
    }

    /// What a decoder told of `bytes`, which came at `offset` as the message's part of this number.
    pub fn of(told: Result<Event, Rejection>, bytes: &[u8], (offset, part): (i64, u32), arrival: Timestamp) -> Self {
        match told {
            Ok(event) => Self::Event(Event { offset, part, ..event }),
            Err(rejection) => {
                let payload = bytes[..bytes.len().min(PAYLOAD_KEPT)].to_vec();
                Self::Rejected(Rejected { offset, part, reason: rejection.reason, payload, arrival })
            }
        }
    }

    fn journal(&self, partitions: u32) -> u32 {
        let scope = match self {
            Self::Event(event) => &event.scope,
            Self::Rejected(_) => NO_SCOPE,
        };
        partition_of(scope, partitions)
    }

    const fn at(&self) -> (i64, u32) {
        match self {
            Self::Event(event) => (event.offset, event.part),
            Self::Rejected(bad) => (bad.offset, bad.part),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Event(event) => event_bytes(event),
            Self::Rejected(bad) => bad.payload.len() + bad.reason.len() + 48,
        }
    }
}

/// A pack that is full or whose batch has ended.
pub struct Closed {
    pub journal: u32,
    /// Without its range.
    pub pack: Pack,
    /// What comes next, as offset and part. Within a record the part is the one after the pack's last: those between it
    /// and the next pack's first are in other journal partitions.
    pub to: (i64, u32),
}

/// A pack that is being filled.
struct Open {
    pack: Pack,
    bytes: usize,
    /// After its last part.
    end: (i64, u32),
}

/// Fills packs for each journal partition.
pub struct Packs {
    partitions: u32,
    open: BTreeMap<u32, Open>,
    closed: Vec<Closed>,
}

impl Packs {
    /// Empty.
    pub const fn new(partitions: u32) -> Self {
        Self { partitions, open: BTreeMap::new(), closed: Vec::new() }
    }

    /// Takes the parts of one message. They are in one pack for each journal partition; only where that would be too
    /// large for a record they are in several, of which each says at which part it goes on.
    pub fn add(&mut self, parts: &mut Vec<Part>) {
        if parts.len() > 1 {
            self.make_room(parts);
        }
        for part in parts.drain(..) {
            self.put(part);
        }
    }

    /// Closes packs into which a message does not fit whole.
    fn make_room(&mut self, parts: &[Part]) {
        let Some(first) = parts.first() else { return };
        let mut sizes: HashMap<u32, usize> = HashMap::new();
        for part in parts {
            *sizes.entry(part.journal(self.partitions)).or_default() += part.bytes();
        }
        for (journal, size) in sizes {
            self.close_unless(journal, size, first.at().0);
        }
    }

    fn put(&mut self, part: Part) {
        let (journal, size) = (part.journal(self.partitions), part.bytes());
        let (offset, place) = part.at();
        self.close_unless(journal, size, offset);
        let empty = || Open {
            pack: Pack { range: None, events: Vec::new(), rejected: Vec::new() },
            bytes: 0,
            end: (offset, 0),
        };
        let open = self.open.entry(journal).or_insert_with(empty);
        open.bytes += size;
        open.end = (offset, place.saturating_add(1));
        match part {
            Part::Event(event) => open.pack.events.push(event),
            Part::Rejected(bad) => open.pack.rejected.push(bad),
        }
    }

    /// Closes a pack that has no room for `size` more bytes of the record at `offset`.
    fn close_unless(&mut self, journal: u32, size: usize, offset: i64) {
        if self.open.get(&journal).is_some_and(|open| open.bytes + size > PACK_BYTES_MAX)
            && let Some(Open { pack, end, .. }) = self.open.remove(&journal)
        {
            let to = if end.0 == offset { end } else { (offset, 0) };
            self.closed.push(Closed { journal, pack, to });
        }
    }

    /// All packs, those of a journal partition in order; the batch ends at `next`.
    pub fn finish(self, next: i64) -> Vec<Closed> {
        let mut closed = self.closed;
        let last = self.open.into_iter().map(|(journal, open)| Closed { journal, pack: open.pack, to: (next, 0) });
        closed.extend(last);
        closed
    }
}

/// An upper bound of what an event takes in a pack.
fn event_bytes(event: &Event) -> usize {
    let labels: usize = event.labels.iter().map(|(k, v)| k.len() + v.len() + 12).sum();
    let texts = [
        &event.id,
        &event.origin,
        &event.entity,
        &event.check,
        &event.summary,
        &event.service,
        &event.scope,
        &event.fingerprint,
        &event.identity,
    ];
    texts.iter().map(|text| text.len() + 6).sum::<usize>() + labels + 96
}

#[cfg(test)]
mod tests;
