//! Packing is encoding only (rule 3): however a sequence is packed, read again and repeated, it is concluded once.
use crate::world::{engine, events, fold, hasty, lives};
use proptest::prelude::*;
use quell_core::{
    domain::{event::Event, policy::Clock, time::Timestamp},
    engine::{Input, Pack, Range, Rejected},
};

/// An event or a rejected part of a record of one of two source partitions.
#[derive(Clone, Debug)]
struct Part {
    source: usize,
    /// Its record's offset, and its place in it.
    at: (i64, u32),
    event: Option<Event>,
    arrival: Timestamp,
}

/// Records of one to four parts.
fn parts(events: Vec<Event>, choices: &[u16]) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for (n, mut event) in events.into_iter().enumerate() {
        let choice = choices[n % choices.len()];
        let (source, at) = match parts.last() {
            Some(before) if choice % 5 < 2 && before.at.1 < 3 => (before.source, (before.at.0, before.at.1 + 1)),
            _ => (usize::from(choice.is_multiple_of(3)), (3 * n as i64 + 1, 0)),
        };
        (event.offset, event.part) = at;
        let arrival = event.arrival;
        parts.push(Part { source, at, event: (!choice.is_multiple_of(11)).then_some(event), arrival });
    }
    parts
}

fn pack(source: usize, session: i64, after: (i64, u32), to: i64, parts: &[&Part]) -> Input {
    let source = ["t/0", "t/1"][source].into();
    let rejected = parts.iter().filter(|r| r.event.is_none()).map(|r| Rejected {
        offset: r.at.0,
        part: r.at.1,
        reason: "not JSON".to_owned(),
        payload: vec![1, 2],
        arrival: r.arrival,
    });
    Input::Pack(Pack {
        range: Some(Range { source, incarnation: 0, session, after: after.0, part: after.1, to, reach: None }),
        events: parts.iter().filter_map(|r| r.event.clone()).collect(),
        rejected: rejected.collect(),
    })
}

/// A record a pack.
fn plain(parts: &[Part]) -> Vec<Input> {
    let mut marks = [0, 0];
    let mut inputs = Vec::new();
    for record in parts.chunk_by(|a, b| (a.source, a.at.0) == (b.source, b.at.0)) {
        let (source, offset) = (record[0].source, record[0].at.0);
        let after = std::mem::replace(&mut marks[source], offset + 1);
        inputs.push(pack(source, 0, (after, 0), offset + 1, &record.iter().collect::<Vec<_>>()));
    }
    inputs
}

/// Packs as `choices` will have them: cut anywhere, within a record too, read again by later sessions, repeated, or sent
/// too early.
fn wild(parts: &[Part], choices: &[u16]) -> Vec<Input> {
    let mut choices = choices.iter().copied().cycle().map(usize::from);
    let mut choose = |n: usize| choices.next().unwrap_or(0) % n;
    let mut inputs: Vec<Input> = Vec::new();
    // What was folded.
    let mut sent: Vec<Input> = Vec::new();
    let mut next = 0;
    let mut marks = [(0_i64, 0_u32); 2];
    while next < parts.len() {
        let source = parts[next].source;
        // What a colleague sent before its predecessor: it is ignored, and comes again.
        if choose(5) == 0 {
            let early: Vec<_> = parts[next + 1..].iter().filter(|r| r.source == source).take(2).collect();
            if let [first, .., last] | [first @ last] = early[..] {
                inputs.push(pack(source, 0, first.at, last.at.0 + 1, &early));
            }
        }
        if choose(4) == 0 && !sent.is_empty() {
            // Only what has been folded: one that was sent too early would now fit.
            inputs.push(sent[choose(sent.len())].clone());
        }
        // A later session begins anywhere in what is folded, or where nothing is left out up to the next record.
        let run = parts[next..].iter().take_while(|r| r.source == source).count();
        let new = &parts[next..next + 1 + choose(run)];
        let folded: Vec<_> = parts[..next].iter().filter(|r| r.source == source).collect();
        let back = folded.len() - choose(folded.len() + 1).min(choose(4));
        let after = folded.get(back).map_or(marks[source], |r| r.at);
        let (session, after) = match choose(3) {
            0 => (0, after),
            1 => (after.0, after),
            _ if back == folded.len() => (new[0].at.0, new[0].at),
            _ => (after.0 - 1, after),
        };
        let of_pack: Vec<_> = folded[back..].iter().copied().chain(new).collect();
        let last = next + new.len();
        let end = new[new.len() - 1].at;
        let beyond = parts[last..].iter().find(|r| r.source == source);
        marks[source] = match beyond {
            // Within a record.
            Some(beyond) if beyond.at.0 == end.0 => beyond.at,
            _ if choose(2) == 0 => (end.0 + 1, 0),
            beyond => (beyond.map_or(end.0 + 6, |r| r.at.0), 0),
        };
        let input = pack(source, session, after, marks[source].0, &of_pack);
        sent.push(input.clone());
        inputs.push(input);
        next = last;
    }
    inputs
}

proptest! {
    #[test]
    fn every_packing_concludes_the_same(
        drafts in lives(60, 60_000),
        choices in prop::collection::vec(any::<u16>(), 7..200),
        events_clock in any::<bool>(),
    ) {
        let policy = hasty(if events_clock { Clock::Events } else { Clock::Wall });
        let parts = parts(events(&drafts), &choices);
        let end = Input::Settle;
        let (mut one, mut other) = (engine(&policy), engine(&policy));
        let mut plain = plain(&parts);
        let mut wild = wild(&parts, &choices);
        plain.push(end.clone());
        wild.push(end);
        let expected = fold(&mut one, 0, &plain);
        let found = fold(&mut other, 0, &wild);
        prop_assert_eq!(expected, found);
        prop_assert!(one.numbers() == other.numbers());
    }

    /// Every event comes once, and has one outcome.
    #[test]
    fn the_ledger_counts_each_record_once(drafts in lives(60, 120_000), choices in prop::collection::vec(any::<u16>(), 7..200)) {
        let parts = parts(events(&drafts), &choices);
        let mut inputs = wild(&parts, &choices);
        inputs.push(Input::Settle);
        let run = fold(&mut engine(&hasty(Clock::Wall)), 0, &inputs);
        prop_assert_eq!(run.ledger.values().sum::<u64>(), parts.len() as u64);
        let rejected = parts.iter().filter(|r| r.event.is_none()).count();
        prop_assert_eq!(run.verdicts.len() + rejected, parts.len());
    }
}
