//! A snapshot is the whole memory: taken anywhere, also amid a pack, what follows is the same to the byte.
use crate::world::{engine, events, fold, hasty, lives, pack, reach, stormy, topology};
use proptest::prelude::*;
use quell_core::{
    domain::{event::Event, policy::Clock, time::Timestamp},
    engine::{Engine, Input},
};
use std::sync::Arc;

/// Packs of `size` events, a tick after each.
fn inputs(events: &[Event], size: usize) -> Vec<Input> {
    let mut mark = 0;
    let mut inputs = Vec::new();
    for some in events.chunks(size) {
        let last = &some[some.len() - 1];
        inputs.push(pack(0, mark, last.offset + 1, some.to_vec()));
        mark = last.offset + 1;
        inputs.push(reach(mark, last.arrival));
        inputs.push(Input::Tick(Timestamp(last.arrival.0 + 500)));
    }
    inputs.push(Input::Tick(Timestamp(i64::MAX / 2)));
    inputs
}

/// The first `k` events of a pack.
fn cut_short(input: &Input, k: usize) -> Option<Input> {
    let Input::Pack(pack) = input else { return None };
    let mut pack = pack.clone();
    pack.events.truncate(k);
    let to = pack.events.last().map(|e| e.offset + 1)?;
    pack.range.as_mut()?.to = to;
    Some(Input::Pack(pack))
}

proptest! {
    #[test]
    fn what_follows_a_snapshot_is_the_same(
        drafts in lives(50, 60_000),
        size in 1..9_usize,
        at in any::<prop::sample::Index>(),
        k in 0..9_usize,
        clock in prop_oneof![Just(Clock::Wall), Just(Clock::Events)],
        storms in any::<bool>(),
    ) {
        let policy = if storms { stormy(clock) } else { hasty(clock) };
        let inputs = inputs(&events(&drafts), size);
        let mut whole = engine(&policy);
        let expected = fold(&mut whole, 0, &inputs);

        let at = at.index(inputs.len());
        let mut before = engine(&policy);
        let mut found = fold(&mut before, 0, &inputs[..at]);
        if let Some(cut) = cut_short(&inputs[at], k) {
            let amid = fold(&mut before, at as u64, &[cut]);
            found.said.extend(amid.said);
            found.verdicts.extend(amid.verdicts);
        }
        let bytes = before.snapshot().expect("memory has a form as bytes");
        let restored = Engine::restore(&bytes, Arc::new(policy.clone()), vec![Arc::new(topology())]);
        let mut after = restored.expect("its own snapshot");
        prop_assert_eq!(&bytes, &after.snapshot().expect("memory has a form as bytes"));
        drop(before);

        let rest = fold(&mut after, at as u64, &inputs[at..]);
        found.said.extend(rest.said);
        found.verdicts.extend(rest.verdicts);
        found.ledger = rest.ledger;
        prop_assert_eq!(expected, found);
        prop_assert_eq!(whole.snapshot(), after.snapshot());
    }
}
