//! Lines of canonical events as packs of one source partition, so that they are folded as the service folds them.
use super::{
    Setup,
    lines::{Line, Lines},
};
use quell_connectors::decode::{Context, EVENT_BYTES_MAX, Rejection, canonical};
use quell_core::{
    domain::{event::Event, time::Timestamp},
    engine::{Pack, Range, Rejected},
};
use std::{
    io::{self, Read},
    sync::Arc,
};

/// Events folded at once,
const PACK_EVENTS: usize = 500;
/// unless they take so many bytes.
const PACK_BYTES: usize = 4 * 1024 * 1024;
/// What is kept of a line that is no event.
const REJECTED_BYTES_MAX: usize = 64 * 1024;

/// The events of a file. A record's offset is its line, counted from 0.
pub struct Feed<'a, R> {
    setup: &'a Setup,
    lines: Lines<R>,
    source: Arc<str>,
    until: Timestamp,
    /// The next line.
    offset: i64,
    /// The latest time that an event named.
    latest: Timestamp,
    beyond: u64,
}

impl<'a, R: Read> Feed<'a, R> {
    /// Events from `input`, which messages call `name`; those after `until` are left out.
    pub fn new(setup: &'a Setup, name: &str, until: Option<Timestamp>, input: R) -> Self {
        Self {
            setup,
            lines: Lines::new(input, EVENT_BYTES_MAX),
            source: name.into(),
            until: until.unwrap_or(Timestamp::MAX),
            offset: 0,
            latest: Timestamp(0),
            beyond: 0,
        }
    }

    /// Fills an empty pack; whether there is anything in it.
    pub fn fill(&mut self, pack: &mut Pack) -> io::Result<bool> {
        let (after, mut bytes) = (self.offset, 0);
        while pack.events.len() + pack.rejected.len() < PACK_EVENTS && bytes < PACK_BYTES {
            let Some(line) = self.lines.next()? else { break };
            let offset = self.offset;
            self.offset += 1;
            bytes += line.kept.len();
            if line.kept.trim_ascii().is_empty() {
                continue;
            }
            match read(&line, offset, self.setup) {
                Ok(event) if event.time > self.until => self.beyond += 1,
                Ok(mut event) => {
                    self.latest = self.latest.max(event.time);
                    event.arrival = event.time;
                    pack.events.push(event);
                }
                Err(rejection) => {
                    let payload = line.kept[..line.kept.len().min(REJECTED_BYTES_MAX)].to_vec();
                    let (reason, arrival) = (rejection.reason, self.latest);
                    pack.rejected.push(Rejected { offset, part: 0, reason, payload, arrival });
                }
            }
        }
        let (source, to) = (self.source.clone(), self.offset);
        pack.range = Some(Range { source, incarnation: 0, session: 0, after, part: 0, to, reach: None });
        Ok(to > after)
    }

    /// Events that came after the end of time.
    pub const fn beyond(&self) -> u64 {
        self.beyond
    }
}

fn read(line: &Line<'_>, offset: i64, setup: &Setup) -> Result<Event, Rejection> {
    if line.bytes > EVENT_BYTES_MAX {
        return Err(Rejection::new(format_args!("{} bytes; an event has at most {EVENT_BYTES_MAX}", line.bytes)));
    }
    let context = Context {
        // Recordings are taken at their word: an event came when it says it happened.
        arrival: Timestamp(0),
        offset,
        check_wall: false,
        mapping: &setup.mapping,
        default_origin: &setup.default_origin,
    };
    canonical::decode(line.kept, &context)
}
