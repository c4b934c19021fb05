//! What was drawn to each event by what came before it: sparse, and as much at once as there is room for.
use super::streams::Streams;

/// What a kind draws to a place is forgotten when less than so much of one event is left of it: after five mean delays.
pub const FORGOTTEN: f64 = 0.0067;
/// Kinds that are looked at before one event: those that draw most.
const SOURCES_MAX: usize = 96;
/// Entries that are held at once, of 16 bytes each, unless one kind alone has more.
const ENTRIES_MAX: usize = 8_000_000;

/// How much a kind draws to an event: densities, a second, from its own place and from its neighbours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    pub source: u32,
    /// The event, counted among those of its kind.
    pub row: u32,
    pub drawn: [f32; 2],
}

/// What is about a place, as of its last event.
#[derive(Clone, Debug, Default)]
struct Around {
    at: i64,
    /// What each kind draws, in events, here and from the neighbours; by kind.
    drawn: Vec<(u32, [f64; 2])>,
}

impl Around {
    /// Lets time pass.
    fn fade(&mut self, at: i64, scale: f64) {
        if at > self.at {
            let left = libm::exp(-((at - self.at) as f64 / 1_000.0 / scale));
            for (_, drawn) in &mut self.drawn {
                *drawn = drawn.map(|of| of * left);
            }
            self.drawn.retain(|(_, [here, near])| here + near >= FORGOTTEN);
            self.at = at;
        }
    }

    fn add(&mut self, kind: u32, hop: usize) {
        match self.drawn.binary_search_by_key(&kind, |(of, _)| *of) {
            Ok(place) => self.drawn[place].1[hop] += 1.0,
            Err(place) => {
                let mut drawn = [0.0; 2];
                drawn[hop] = 1.0;
                self.drawn.insert(place, (kind, drawn));
            }
        }
    }
}

/// One kernel over all events.
#[derive(Clone, Debug)]
pub struct Rows<'a> {
    streams: &'a Streams,
    /// The mean delay, in seconds.
    scale: f64,
    /// Entries of each kind's events.
    entries: Vec<usize>,
    /// Events that had more kinds before them than are looked at.
    pub crowded: usize,
}

impl<'a> Rows<'a> {
    /// Counts them.
    pub fn new(streams: &'a Streams, scale: f64) -> Self {
        let mut rows = Self { streams, scale, entries: vec![0; streams.kinds.len()], crowded: 0 };
        let (mut entries, mut crowded) = (rows.entries.clone(), 0);
        rows.sweep(|kind, drawn| {
            crowded += usize::from(drawn.len() > SOURCES_MAX);
            entries[kind as usize] += drawn.len().min(SOURCES_MAX);
        });
        (rows.entries, rows.crowded) = (entries, crowded);
        rows
    }

    /// Kinds whose entries are held together: one after the other.
    pub fn blocks(&self) -> Vec<std::ops::Range<usize>> {
        let (mut blocks, mut start, mut held) = (Vec::new(), 0, 0);
        for (kind, entries) in self.entries.iter().enumerate() {
            if held + entries > ENTRIES_MAX && kind > start {
                blocks.push(start..kind);
                (start, held) = (kind, 0);
            }
            held += entries;
        }
        blocks.push(start..self.entries.len());
        blocks
    }

    /// The entries of each kind of a block; by source, then row.
    pub fn of(&self, block: &std::ops::Range<usize>) -> Vec<Vec<Entry>> {
        let mut held: Vec<Vec<Entry>> =
            self.entries[block.clone()].iter().map(|entries| Vec::with_capacity(*entries)).collect();
        let mut rows = vec![0_u32; block.len()];
        let mut most = Vec::new();
        self.sweep(|kind, drawn| {
            let Some(of) = (kind as usize).checked_sub(block.start).filter(|of| *of < rows.len()) else { return };
            let row = rows[of];
            rows[of] += 1;
            let least = least_of_most(drawn, &mut most);
            let entry = |(source, drawn): &(u32, [f64; 2])| Entry {
                source: *source,
                row,
                drawn: drawn.map(|drawn| (drawn / self.scale) as f32),
            };
            held[of].extend(drawn.iter().filter(|(_, of)| of[0] + of[1] > least).map(entry));
        });
        for entries in &mut held {
            entries.sort_unstable_by_key(|entry| (entry.source, entry.row));
        }
        held
    }

    /// Each event in order of time, by its kind and what was drawn to it. Events of one instant draw nothing of each other.
    fn sweep(&self, mut visit: impl FnMut(u32, &[(u32, [f64; 2])])) {
        let mut around = vec![Around::default(); self.streams.places.len()];
        for instant in self.streams.events.chunk_by(|a, b| a.at == b.at) {
            for event in instant {
                let around = &mut around[event.place as usize];
                around.fade(event.at, self.scale);
                visit(event.kind, &around.drawn);
            }
            for event in instant {
                around[event.place as usize].add(event.kind, 0);
                for other in self.streams.near.get(event.place as usize).into_iter().flatten() {
                    let around = &mut around[*other as usize];
                    around.fade(event.at, self.scale);
                    around.add(event.kind, 1);
                }
            }
        }
    }

    /// What one event of each kind could have drawn in the time there is, in all: at its place, and at its neighbours.
    pub fn exposures(&self) -> Vec<[f64; 2]> {
        let mut exposures = vec![[0.0; 2]; self.streams.kinds.len()];
        for event in &self.streams.events {
            let left = (self.streams.span - event.at) as f64 / 1_000.0;
            let drawn = 1.0 - libm::exp(-left / self.scale);
            let near = self.streams.near.get(event.place as usize).map_or(0, Vec::len);
            let [here, there] = &mut exposures[event.kind as usize];
            *here += drawn;
            *there += drawn * near as f64;
        }
        exposures
    }
}

/// Kinds that draw more than that are looked at. Which of equals are is not told by their numbers: none of them.
fn least_of_most(drawn: &[(u32, [f64; 2])], sums: &mut Vec<f64>) -> f64 {
    if drawn.len() <= SOURCES_MAX {
        return 0.0;
    }
    sums.clear();
    sums.extend(drawn.iter().map(|(_, [here, near])| here + near));
    let (_, least, _) = sums.select_nth_unstable_by(SOURCES_MAX, |a, b| b.total_cmp(a));
    *least
}
