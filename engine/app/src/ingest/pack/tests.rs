//! Packs of messages of every size, folded by engines that lose and repeat some.
use super::*;
use proptest::prelude::*;
use quell_connectors::wire;
use quell_core::{
    domain::{
        event::{Kind, Status},
        policy::Policy,
        severity::Severity,
        topology::Topology,
    },
    engine::{Engine, Input, Range},
    output::Outputs,
};
use std::sync::Arc;

const PARTITIONS: u32 = 2;

/// A part with a summary of so many bytes; every seventh is rejected.
fn part(offset: i64, part: u32, bytes: usize) -> Part {
    let n = offset as u32 * 7 + part;
    let event = Event {
        id: format!("{offset}.{part}"),
        time: Timestamp(1_760_000_000_000 + offset),
        started_at: None,
        ended_at: None,
        origin: "tool".to_owned(),
        entity: format!("host-{part}"),
        check: "check".to_owned(),
        status: Status::Firing,
        severity: Severity::Major,
        summary: "s".repeat(bytes),
        value: None,
        labels: vec![("k".repeat(100), "v".repeat(300))],
        service: String::new(),
        scope: format!("scope-{}", n % 6),
        fingerprint: String::new(),
        identity: String::new(),
        kind: Kind::Alert,
        arrival: Timestamp(1_760_000_000_000 + offset),
        offset: 0,
        part: 0,
    };
    let told = if n % 7 == 6 { Err(Rejection::new("no")) } else { Ok(event) };
    Part::of(told, &vec![b'x'; bytes], (offset, part), Timestamp(1_760_000_000_000 + offset))
}

/// Messages of so many parts, packed; each pack with its range, as ingest writes it.
fn packed(messages: &[(u32, usize)]) -> Vec<(u32, Pack)> {
    let (mut packs, mut parts) = (Packs::new(PARTITIONS), Vec::new());
    for (offset, (count, bytes)) in (0..).zip(messages) {
        parts.extend((0..*count).map(|n| part(offset, n, *bytes)));
        packs.add(&mut parts);
    }
    let mut last = [(0, 0); PARTITIONS as usize];
    let with_range = |closed: Closed| {
        let (after, part) = std::mem::replace(&mut last[closed.journal as usize], closed.to);
        let (source, to) = ("t/0".into(), closed.to.0);
        let range = Range { source, incarnation: 0, session: 0, after, part, to, reach: None };
        (closed.journal, Pack { range: Some(range), ..closed.pack })
    };
    packs.finish(messages.len() as i64).into_iter().map(with_range).collect()
}

fn engine() -> Engine {
    let topology = Topology::new(&serde_json::from_str("{}").expect("a file")).expect("an empty topology");
    Engine::new([7; 16], Arc::new(Policy::default()), Arc::new(topology))
}

/// How many parts an engine folds of these packs.
fn folded<'p>(packs: impl IntoIterator<Item = &'p Pack>) -> u64 {
    let mut engine = engine();
    for (position, pack) in (0..).zip(packs) {
        engine.step(position, &Input::Pack(pack.clone()), &mut Outputs::default()).expect("its journal");
    }
    engine.ledger_counts().map(|(_, _, count)| count).sum()
}

fn of(packs: &[(u32, Pack)], journal: u32) -> Vec<&Pack> {
    packs.iter().filter(|(of, _)| *of == journal).map(|(_, pack)| pack).collect()
}

fn parts_of(packs: &[&Pack]) -> u64 {
    packs.iter().map(|pack| (pack.events.len() + pack.rejected.len()) as u64).sum()
}

#[test]
fn a_message_is_in_one_pack_unless_it_is_too_large() {
    // 400 parts of about 2.5 KB in two journal partitions: each share fits, but not behind what is there.
    let packs = packed(&[(1, 3_000), (300, 2_000), (300, 2_000), (1, 10)]);
    for journal in 0..PARTITIONS {
        for pack in of(&packs, journal) {
            assert_eq!(pack.range.as_ref().expect("a range").part, 0);
            let offsets: Vec<_> = pack.events.iter().map(|event| event.offset).collect();
            assert!(offsets.is_sorted());
        }
    }
    assert!((0..PARTITIONS).all(|journal| !of(&packs, journal).is_empty()), "no message is in both");
    assert!((0..PARTITIONS).any(|journal| of(&packs, journal).len() > 1), "all fitted into one");
    // 3,000 parts: no share fits.
    let packs = packed(&[(1, 10), (3_000, 2_000), (1, 10)]);
    assert!(packs.iter().any(|(_, pack)| pack.range.as_ref().is_some_and(|range| range.part > 0)));
    for (_, pack) in packs {
        assert!(prost::Message::encoded_len(&wire::pack(pack)) <= RECORD_BYTES_MAX);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever is lost on the way and sent again from the committed offset on, each part is folded once.
    #[test]
    fn each_part_is_folded_once(
        messages in prop::collection::vec((1..1_200_u32, 0..2_000_usize), 1..4),
        lost in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
    ) {
        let packs = packed(&messages);
        for journal in 0..PARTITIONS {
            let whole = of(&packs, journal);
            let total = parts_of(&whole);
            prop_assert_eq!(folded(whole.iter().copied()), total);
            // The first session loses one pack, and what follows on it is ignored; another one sends all again.
            let mut journaled = whole.clone();
            for index in &lost {
                if !journaled.is_empty() {
                    journaled.remove(index.index(journaled.len()));
                }
            }
            journaled.extend(&whole);
            prop_assert_eq!(folded(journaled.iter().copied()), total);
            // A colleague reads the same at the same time.
            let twice: Vec<_> = whole.iter().flat_map(|pack| [*pack, *pack]).collect();
            prop_assert_eq!(folded(twice), total);
        }
    }
}
