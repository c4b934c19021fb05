//! Packing is encoding only (rule 3): however a sequence is packed, read again and repeated, it is concluded once.
use crate::world::{drafts, engine, events, fold, hasty};
use proptest::prelude::*;
use quell_core::{
    domain::{event::Event, policy::Clock, time::Timestamp},
    engine::{Input, Pack, Range, Rejected},
};

/// An event or a rejected record of one of two source partitions.
#[derive(Clone, Debug)]
struct Record {
    source: usize,
    offset: i64,
    event: Option<Event>,
    arrival: Timestamp,
}

fn records(events: Vec<Event>, choices: &[u16]) -> Vec<Record> {
    let record = |(n, mut event): (usize, Event)| {
        let choice = choices[n % choices.len()];
        let source = usize::from(choice.is_multiple_of(3));
        event.offset = 3 * n as i64 + 1;
        let arrival = event.arrival;
        Record { source, offset: event.offset, event: (!choice.is_multiple_of(11)).then_some(event), arrival }
    };
    events.into_iter().enumerate().map(record).collect()
}

fn pack(source: usize, session: i64, after: i64, to: i64, records: &[&Record]) -> Input {
    let source = ["t/0", "t/1"][source].into();
    let rejected = records.iter().filter(|r| r.event.is_none()).map(|r| Rejected {
        offset: r.offset,
        reason: "not JSON".to_owned(),
        payload: vec![1, 2],
        arrival: r.arrival,
    });
    Input::Pack(Pack {
        range: Some(Range { source, incarnation: 0, session, after, to, reach: None }),
        events: records.iter().filter_map(|r| r.event.clone()).collect(),
        rejected: rejected.collect(),
    })
}

/// A record a pack.
fn plain(records: &[Record]) -> Vec<Input> {
    let mut marks = [0, 0];
    let mut inputs = Vec::new();
    for record in records {
        let after = std::mem::replace(&mut marks[record.source], record.offset + 1);
        inputs.push(pack(record.source, 0, after, record.offset + 1, &[record]));
    }
    inputs
}

/// Packs as `choices` will have them: cut anywhere, read again by later sessions, repeated, or sent too early.
fn wild(records: &[Record], choices: &[u16]) -> Vec<Input> {
    let mut choices = choices.iter().copied().cycle().map(usize::from);
    let mut choose = |n: usize| choices.next().unwrap_or(0) % n;
    let mut inputs: Vec<Input> = Vec::new();
    let mut next = 0;
    let mut marks = [0_i64, 0];
    while next < records.len() {
        let source = records[next].source;
        // What a colleague sent before its predecessor: it is ignored, and comes again.
        if choose(5) == 0 {
            let early: Vec<_> = records[next + 1..].iter().filter(|r| r.source == source).take(2).collect();
            if let [first, .., last] | [first @ last] = early[..] {
                inputs.push(pack(source, 0, first.offset.max(marks[source] + 1), last.offset + 1, &early));
            }
        }
        if choose(4) == 0 && !inputs.is_empty() {
            let again = inputs[choose(inputs.len())].clone();
            // Only what has been folded: one that was sent too early would now fit.
            let Input::Pack(Pack { range: Some(range), .. }) = &again else { unreachable!("only packs") };
            if range.to <= marks[usize::from(&*range.source == "t/1")] {
                inputs.push(again);
            }
        }
        // A later session begins anywhere in what is folded, or where nothing is left out up to the next record.
        let run = records[next..].iter().take_while(|r| r.source == source).count();
        let new = &records[next..next + 1 + choose(run)];
        let folded: Vec<_> = records[..next].iter().filter(|r| r.source == source).collect();
        let back = folded.len() - choose(folded.len() + 1).min(choose(4));
        let after = folded.get(back).map_or(marks[source], |r| r.offset);
        let (session, after) = match choose(3) {
            0 => (0, after),
            1 => (after, after),
            _ if back == folded.len() => (new[0].offset, new[0].offset),
            _ => (after - 1, after),
        };
        let of_pack: Vec<_> = folded[back..].iter().copied().chain(new).collect();
        let last = next + new.len();
        let beyond = records[last..].iter().find(|r| r.source == source);
        let to = new[new.len() - 1].offset + 1;
        let to = if choose(2) == 0 { to } else { beyond.map_or(to + 5, |r| r.offset) };
        inputs.push(pack(source, session, after, to, &of_pack));
        marks[source] = to;
        next = last;
    }
    inputs
}

proptest! {
    #[test]
    fn every_packing_concludes_the_same(
        drafts in drafts(60, 60_000),
        choices in prop::collection::vec(any::<u16>(), 7..200),
        events_clock in any::<bool>(),
    ) {
        let policy = hasty(if events_clock { Clock::Events } else { Clock::Wall });
        let records = records(events(&drafts), &choices);
        let end = Input::Settle;
        let (mut one, mut other) = (engine(&policy), engine(&policy));
        let mut plain = plain(&records);
        let mut wild = wild(&records, &choices);
        plain.push(end.clone());
        wild.push(end);
        let expected = fold(&mut one, 0, &plain);
        let found = fold(&mut other, 0, &wild);
        prop_assert_eq!(expected, found);
        prop_assert!(one.numbers() == other.numbers());
    }

    /// Every event comes once, and has one outcome.
    #[test]
    fn the_ledger_counts_each_record_once(drafts in drafts(60, 120_000), choices in prop::collection::vec(any::<u16>(), 7..200)) {
        let records = records(events(&drafts), &choices);
        let mut inputs = wild(&records, &choices);
        inputs.push(Input::Settle);
        let run = fold(&mut engine(&hasty(Clock::Wall)), 0, &inputs);
        prop_assert_eq!(run.ledger.values().sum::<u64>(), records.len() as u64);
        let rejected = records.iter().filter(|r| r.event.is_none()).count();
        prop_assert_eq!(run.verdicts.len() + rejected, records.len());
    }
}
