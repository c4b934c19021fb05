//! Timers fire at their own time (rule 7): for inputs in time order, where ticks fall changes nothing.
use crate::world::{START, engine, events, fold, hasty, lives, pack, reach};
use proptest::prelude::*;
use quell_core::{
    domain::{event::Event, policy::Clock, time::Timestamp},
    engine::Input,
};

/// An event a pack, ticks among them; a reach before each tick, as an ingest says it that is at its source's end.
fn inputs(events: &[Event], ticks: &[i64], reaches: bool) -> Vec<Input> {
    let mut ticks: Vec<_> = ticks.iter().map(|t| Timestamp(START + t)).collect();
    ticks.sort_unstable();
    let mut ticks = ticks.into_iter().peekable();
    let mut inputs = Vec::new();
    let mut mark = 0;
    for event in events {
        while let Some(at) = ticks.next_if(|at| *at <= event.arrival) {
            inputs.extend(reaches.then(|| reach(mark, at)));
            inputs.push(Input::Tick(at));
        }
        inputs.push(pack(0, mark, event.offset + 1, vec![event.clone()]));
        mark = event.offset + 1;
    }
    let end = Timestamp(START + 3_600_000 * 24);
    for at in ticks.chain([end]) {
        inputs.extend(reaches.then(|| reach(mark, at)));
        inputs.push(Input::Tick(at));
    }
    inputs
}

proptest! {
    #[test]
    fn where_ticks_fall_changes_nothing(
        drafts in lives(50, 0),
        ticks in prop::collection::vec(0..900_000_i64, 0..60),
        clock in prop_oneof![Just(Clock::Wall), Just(Clock::Events)],
    ) {
        let mut events = events(&drafts);
        for event in &mut events {
            event.time = event.arrival;
        }
        let reaches = clock == Clock::Wall;
        let policy = hasty(clock);
        let quiet = fold(&mut engine(&policy), 0, &inputs(&events, &[], reaches));
        let ticking = fold(&mut engine(&policy), 0, &inputs(&events, &ticks, reaches));
        prop_assert_eq!(&quiet.ledger, &ticking.ledger);
        for scope in ["east", "west"] {
            prop_assert_eq!(quiet.of_scope(scope), ticking.of_scope(scope));
        }
    }
}
