//! Records of a batch as packs, one or more for each journal partition (design rules 2, 3).
use super::{Session, Shared};
use bytes::Bytes;
use quell_connectors::{
    decode::{self, Format, Mapping},
    log::RECORD_BYTES_MAX,
    source::{SourcePartition, SourceRecord},
};
use quell_core::{
    domain::{event::Event, hash::partition_of, policy::Clock, time::Timestamp},
    engine::{Pack, Range, Rejected},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

/// What a pack may hold beside its events, and what their frames take: room below the log's largest record.
pub(super) const PACK_BYTES_MAX: usize = RECORD_BYTES_MAX - 64 * 1024;
/// Scope of what belongs to none.
const NO_SCOPE: &str = decode::DEFAULT_SCOPE;
/// Rejected records travel with so much of what was received.
const PAYLOAD_KEPT: usize = 64 * 1024;
/// Records to packs.
pub(super) struct Packer<'a> {
    shared: &'a Shared,
    partition: &'a SourcePartition,
    name: Arc<str>,
    session: &'a mut Session,
    open: BTreeMap<u32, (Pack, usize)>,
    packed: Packed,
}

#[derive(Default)]
pub(super) struct Packed {
    pub packs: Vec<(u32, Pack)>,
    pub arrival: Option<Timestamp>,
}

impl<'a> Packer<'a> {
    pub fn new(shared: &'a Shared, partition: &'a SourcePartition, session: &'a mut Session) -> Self {
        let name = partition.to_string().into();
        Self { shared, partition, name, session, open: BTreeMap::new(), packed: Packed::default() }
    }

    pub fn pack(mut self, records: Vec<SourceRecord>, next: i64, now: Timestamp) -> Packed {
        let contents = self.shared.control.latest();
        let wall = self.shared.clock == Clock::Wall;
        for record in records {
            let told = record.timestamp_ms.map_or(now, Timestamp);
            let arrival = if wall { told.min(now) } else { told };
            self.packed.arrival = self.packed.arrival.max(Some(arrival));
            let Some(payload) = record.payload else {
                self.shared.counts.tombstones.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            let version = contents.mapping(&self.name, self.session.incarnation, record.offset);
            let fallback = Mapping::default();
            let (format, mapping) = version.map_or((Format::Canonical, &fallback), |v| (v.format, &v.mapping));
            let context = decode::Context {
                arrival,
                offset: record.offset,
                check_wall: wall,
                mapping,
                default_origin: &self.partition.topic,
            };
            match decode::decode(format, &payload, &context) {
                Ok(event) => self.add(event),
                Err(rejection) => self.reject(record.offset, rejection.reason, &payload, arrival),
            }
        }
        let open = std::mem::take(&mut self.open);
        for (journal, (pack, _)) in open {
            self.close(journal, pack, next);
        }
        self.packed
    }

    fn add(&mut self, event: Event) {
        let size = event_bytes(&event);
        let journal = partition_of(&event.scope, self.shared.partitions);
        self.room(journal, size, event.offset).events.push(event);
    }

    fn reject(&mut self, offset: i64, reason: String, payload: &Bytes, arrival: Timestamp) {
        let payload = payload[..payload.len().min(PAYLOAD_KEPT)].to_vec();
        let journal = partition_of(NO_SCOPE, self.shared.partitions);
        let size = payload.len() + reason.len() + 32;
        self.room(journal, size, offset).rejected.push(Rejected { offset, part: 0, reason, payload, arrival });
    }

    /// The open pack of a journal partition, with room for `size` more bytes; the one before ends below `offset`.
    fn room(&mut self, journal: u32, size: usize, offset: i64) -> &mut Pack {
        if self.open.get(&journal).is_some_and(|(_, bytes)| bytes + size > PACK_BYTES_MAX)
            && let Some((pack, _)) = self.open.remove(&journal)
        {
            self.close(journal, pack, offset);
        }
        let (pack, bytes) = self
            .open
            .entry(journal)
            .or_insert_with(|| (Pack { range: None, events: Vec::new(), rejected: Vec::new() }, 0));
        *bytes += size;
        pack
    }

    fn close(&mut self, journal: u32, mut pack: Pack, to: i64) {
        let after = std::mem::replace(&mut self.session.last[journal as usize], to);
        pack.range = Some(Range {
            source: self.name.clone(),
            incarnation: self.session.incarnation,
            session: self.session.start,
            after,
            part: 0,
            to,
            reach: None,
        });
        self.packed.packs.push((journal, pack));
    }
}

/// An upper bound of what an event takes in a pack.
pub(super) fn event_bytes(event: &Event) -> usize {
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
