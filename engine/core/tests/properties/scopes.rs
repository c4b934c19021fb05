//! Nothing crosses a scope (rule 1).
use crate::world::{engine, events, fold, hasty, lives, reach};
use proptest::prelude::*;
use quell_core::{
    domain::{event::Event, policy::Clock, time::Timestamp},
    engine::{Input, Pack, Range},
};

fn inputs(events: &[Event], only: Option<&str>) -> Vec<Input> {
    let mut mark = 0;
    let mut inputs = Vec::new();
    for some in events.chunks(5) {
        let last = &some[some.len() - 1];
        let (after, to, reached) = (mark, last.offset + 1, Some(last.arrival));
        let range = Range { source: "t/0".into(), incarnation: 0, session: 0, after, part: 0, to, reach: reached };
        let events = some.iter().filter(|e| only.is_none_or(|scope| e.scope == scope)).cloned().collect();
        inputs.push(Input::Pack(Pack { range: Some(range), events, rejected: Vec::new() }));
        mark = to;
        inputs.push(reach(mark, last.arrival));
        inputs.push(Input::Tick(last.arrival));
    }
    inputs.push(Input::Tick(Timestamp(i64::MAX / 2)));
    inputs.push(Input::Settle);
    inputs
}

proptest! {
    #[test]
    fn a_scope_is_the_same_alone(
        drafts in lives(60, 60_000),
        clock in prop_oneof![Just(Clock::Wall), Just(Clock::Events)],
    ) {
        let policy = hasty(clock);
        let events = events(&drafts);
        let together = fold(&mut engine(&policy), 0, &inputs(&events, None));
        for scope in ["east", "west"] {
            let alone = fold(&mut engine(&policy), 0, &inputs(&events, Some(scope)));
            prop_assert_eq!(together.of_scope(scope), alone.of_scope(scope));
        }
    }
}
