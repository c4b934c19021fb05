//! Records of a batch as packs with their ranges (design rules 2, 3).
use super::{
    Session, Shared,
    pack::{Packs, Part},
};
use quell_connectors::{
    decode::{self, Format, Mapping},
    source::{SourcePartition, SourceRecord},
};
use quell_core::{
    domain::{policy::Clock, time::Timestamp},
    engine::{Pack, Range},
};
use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
};

/// The packs of a batch, by journal partition, and the latest arrival in it.
#[derive(Default)]
pub(super) struct Packed {
    pub packs: Vec<(u32, Pack)>,
    pub arrival: Option<Timestamp>,
}

/// Decodes the records of a batch that ends at `next`, and packs what they hold.
pub(super) fn pack(
    shared: &Shared,
    partition: &SourcePartition,
    session: &mut Session,
    records: Vec<SourceRecord>,
    next: i64,
) -> Packed {
    let name: Arc<str> = partition.to_string().into();
    // What is told again and again has the id of its place, which another topic of the same name has too.
    let place = format!("{name}#{}", session.incarnation);
    let (contents, now, wall) = (shared.control.latest(), shared.outside.now(), shared.clock == Clock::Wall);
    let fallback = Mapping::default();
    let (mut packs, mut parts, mut latest) = (Packs::new(shared.partitions), Vec::new(), None);
    for record in records {
        let told = record.timestamp_ms.map_or(now, Timestamp);
        let arrival = if wall { told.min(now) } else { told };
        latest = latest.max(Some(arrival));
        let Some(payload) = record.payload else {
            shared.counts.tombstones.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        let offset = record.offset;
        let version = contents.mapping(&name, session.incarnation, offset);
        let (format, mapping) = version.map_or((Format::Canonical, &fallback), |v| (v.format, &v.mapping));
        let context = decode::Context { arrival, offset, check_wall: wall, mapping, default_origin: &partition.topic };
        let message = decode::Message { bytes: &payload, headers: &record.headers, source: &place };
        let mut part = 0;
        decode::each(format, &message, &context, &mut |bytes, told| {
            parts.push(Part::of(told, bytes, (offset, part), arrival));
            part += 1;
        });
        packs.add(&mut parts);
    }
    // Within a batch; between batches packs end between records.
    let mut ended: HashMap<u32, u32> = HashMap::new();
    let packs = packs.finish(next).into_iter().map(|closed| {
        let (to, to_part) = closed.to;
        let after = std::mem::replace(&mut session.last[closed.journal as usize], to);
        let part = ended.insert(closed.journal, to_part).unwrap_or(0);
        let (source, incarnation) = (name.clone(), session.incarnation);
        let range = Range { source, incarnation, session: session.start, after, part, to, reach: None };
        (closed.journal, Pack { range: Some(range), ..closed.pack })
    });
    Packed { packs: packs.collect(), arrival: latest }
}
