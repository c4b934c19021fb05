//! No input makes the fold panic.
use crate::world::{engine, events, hasty, lives};
use proptest::prelude::*;
use quell_core::{
    domain::{
        event::Event,
        policy::Clock,
        time::{Span, Timestamp},
    },
    engine::{Input, Pack, Range},
    output::Outputs,
};

fn any_time() -> impl Strategy<Value = i64> {
    const EDGES: [i64; 7] = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX];
    prop_oneof![2 => any::<i64>(), 2 => prop::sample::select(&EDGES[..]), 1 => 0..100_000_i64]
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![3 => Just(String::new()), 2 => Just("x".to_owned()), 1 => ".{0,9}", 1 => Just("ü".repeat(100_000))]
}

#[derive(Clone, Debug)]
enum Move {
    Event { time: i64, arrival: i64, offset: i64, entity: String, id: String, scope: bool },
    Tick(i64),
    Reach(i64, i64),
    Settle,
}

fn any_move() -> impl Strategy<Value = Move> {
    let event = (any_time(), any_time(), any_time(), any_text(), any_text(), any::<bool>());
    let event = event.prop_map(|(time, arrival, offset, entity, id, scope)| Move::Event {
        time,
        arrival,
        offset,
        entity,
        id,
        scope,
    });
    let reach = (any_time(), any_time()).prop_map(|(a, b)| Move::Reach(a, b));
    prop_oneof![10 => event, 2 => any_time().prop_map(Move::Tick), 1 => reach, 1 => Just(Move::Settle)]
}

fn range(at: i64, reach: i64) -> Range {
    let reach = Some(Timestamp(reach));
    Range { source: String::new().into(), incarnation: 0, session: at, after: at, part: 0, to: at, reach }
}

proptest! {
    #[test]
    fn any_input_is_folded(
        drafts in lives(30, 0),
        moves in prop::collection::vec(any_move(), 1..30),
        span in any_time(),
        clock in prop_oneof![Just(Clock::Wall), Just(Clock::Events)],
    ) {
        let mut policy = hasty(clock);
        policy.deduplicate.lateness = Span(span.saturating_abs());
        policy.raise.settle = Span(span.saturating_abs() / 2);
        let mut engine = engine(&policy);
        let mut out = Outputs::traced();
        let drafted = events(&drafts);
        for (n, next) in moves.into_iter().enumerate() {
            let input = match next {
                Move::Event { time, arrival, offset, entity, id, scope } => {
                    let (time, arrival) = (Timestamp(time), Timestamp(arrival));
                    let like = drafted[n % drafted.len()].clone();
                    let scope = if scope { String::new() } else { like.scope.clone() };
                    let range = (n % 3 > 0).then(|| range(offset, time.0));
                    let event = Event { id, time, arrival, offset, entity, scope, ..like };
                    Input::Pack(Pack { range, events: vec![event], rejected: Vec::new() })
                }
                Move::Tick(at) => Input::Tick(Timestamp(at)),
                Move::Reach(at, to) => Input::Reaches(vec![range(at, to)]),
                Move::Settle => Input::Settle,
            };
            engine.step(n as u64, &input, &mut out).expect("the journal is its own");
            prop_assert!(engine.ledger_balances());
        }
        engine.snapshot().expect("memory has a form as bytes");
    }
}
