//! What does not depend on the order of events within the allowed lateness (rule 20).
use crate::world::{Draft, LATENESS, START, drafts, engine, events, fold, hasty, pack};
use proptest::prelude::*;
use quell_core::domain::{
    event::{Event, Kind, Status},
    policy::{Clock, Policy},
    severity::Severity,
    time::{Span, Timestamp},
};
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    open: bool,
    severity: Severity,
    first: Timestamp,
    last: Timestamp,
    count: u64,
}

/// What follows from the events as a set, without any order.
fn truth(events: &[Event]) -> BTreeMap<(String, String), Known> {
    let mut of: BTreeMap<_, (Vec<&Event>, Timestamp)> = BTreeMap::new();
    for event in events {
        let (firings, recovery) =
            of.entry((event.entity.clone(), event.check.clone())).or_insert((Vec::new(), Timestamp::MIN));
        match event.status {
            Status::Firing => firings.push(event),
            Status::Resolved => *recovery = event.time.max(*recovery),
        }
    }
    let known = |(key, (firings, recovery)): (_, (Vec<&Event>, Timestamp))| {
        let last = firings.iter().map(|f| f.time).max()?;
        let severity = firings.iter().filter(|f| f.time == last).map(|f| f.severity).max()?;
        let first = firings.iter().map(|f| f.time).min()?;
        Some((key, Known { open: last > recovery, severity, first, last, count: firings.len() as u64 }))
    };
    of.into_iter().filter_map(known).collect()
}

fn concluded(policy: &Policy, mut events: Vec<Event>) -> BTreeMap<(String, String), Known> {
    for (n, event) in events.iter_mut().enumerate() {
        event.offset = n as i64;
    }
    let mut engine = engine(policy);
    fold(&mut engine, 0, &[pack(0, 0, i64::MAX, events)]);
    let alerts = engine.views().into_iter().flat_map(|view| view.alerts);
    let known = alerts.map(|update| {
        let a = update.alert;
        let known =
            Known { open: a.open, severity: a.severity, first: a.opened_at, last: a.last_fired_at, count: a.count };
        ((a.entity.to_string(), a.check.to_string()), known)
    });
    known.collect()
}

/// Each event of one scope with an id of its own, in an order that no event is later in than is allowed.
fn disordered(drafts: &[Draft], edit: impl Fn(&mut Draft)) -> Vec<Event> {
    let single = drafts.iter().cloned().map(|mut draft| {
        (draft.scope, draft.same_id, draft.kind) = (0, None, Kind::Alert);
        edit(&mut draft);
        draft
    });
    let drafts: Vec<_> = single.collect();
    // By arrival; an event is at most as old as its delay when it arrives.
    let mut events: Vec<_> = events(&drafts).into_iter().zip(&drafts).collect();
    for (event, draft) in &mut events {
        event.time = event.arrival;
        event.arrival = event.time + Span(draft.delay);
    }
    events.sort_by_key(|(event, _)| event.arrival);
    events.into_iter().map(|(event, _)| event).collect()
}

proptest! {
    #[test]
    fn any_order_within_the_lateness_is_one_truth(drafts in drafts(60, LATENESS.0)) {
        let mut policy = hasty(Clock::Events);
        policy.deduplicate.reopen_window = Span::hours(24);
        policy.deduplicate.auto_clear = Span::hours(24);
        let events = disordered(&drafts, |_| {});
        prop_assert_eq!(truth(&events), concluded(&policy, events));
    }

    /// With auto-clear, against the order of time. Its patience, three of the longest gaps, is learned in the journal's
    /// order, so the gaps here are short ones, or longer than it waits.
    #[test]
    fn auto_clear_finds_the_same(drafts in drafts(60, 10_000), clears_after in 100..200_i64) {
        let mut policy = hasty(Clock::Events);
        policy.deduplicate.lateness = Span::seconds(10);
        policy.deduplicate.reopen_window = Span::hours(24);
        policy.deduplicate.auto_clear = Span::seconds(clears_after);
        let events = disordered(&drafts, |draft| {
            (draft.entity, draft.check) = (0, 0);
            draft.gap = if draft.gap > 8 { 250 } else { draft.gap.min(4) };
        });
        let mut ordered = events.clone();
        ordered.sort_by_key(|event| event.time);
        prop_assert_eq!(concluded(&policy, ordered), concluded(&policy, events));
    }
}

#[test]
fn the_truth_is_of_something() {
    let draft = |firing| Draft {
        gap: 1,
        delay: 0,
        entity: 0,
        check: 0,
        scope: 0,
        firing,
        severity: Severity::Major,
        kind: Kind::Alert,
        same_id: None,
    };
    let found = truth(&disordered(&[draft(true), draft(false), draft(true)], |_| {}));
    let at = |s: i64| Timestamp(START + 1_000 * s);
    let expected = Known { open: true, severity: Severity::Major, first: at(1), last: at(3), count: 2 };
    assert_eq!(found.into_values().collect::<Vec<_>>(), [expected]);
}
