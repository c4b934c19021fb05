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
    firing: bool,
    severity: Severity,
    first: Timestamp,
    last: Timestamp,
    count: u64,
}

/// What follows from the events of one source identity.
#[derive(Debug, Default)]
struct Identity<'a> {
    firings: Vec<&'a Event>,
    recovered: Option<Timestamp>,
}

impl Identity<'_> {
    fn last(&self) -> Option<Timestamp> {
        self.firings.iter().map(|f| f.time).max()
    }

    /// Of the latest firing, the worst of several.
    fn severity(&self) -> Option<Severity> {
        self.firings.iter().filter(|f| Some(f.time) == self.last()).map(|f| f.severity).max()
    }

    fn fires(&self) -> bool {
        self.last() > self.recovered
    }
}

/// What follows from the events as a set, without any order.
fn truth(events: &[Event]) -> BTreeMap<(String, String), Known> {
    let mut of: BTreeMap<_, BTreeMap<&str, Identity<'_>>> = BTreeMap::new();
    for event in events {
        let alert = of.entry((event.entity.clone(), event.check.clone())).or_default();
        let identity = alert.entry(event.identity.as_str()).or_default();
        match event.status {
            Status::Firing => identity.firings.push(event),
            Status::Resolved => identity.recovered = identity.recovered.max(Some(event.time)),
        }
    }
    let known = |(key, identities): (_, BTreeMap<&str, Identity<'_>>)| {
        let all = || identities.values();
        let last = all().filter_map(Identity::last).max()?;
        let firing = all().any(Identity::fires);
        // The worst that fires; where none does, that of the latest firing.
        let leading = all().filter(|i| if firing { i.fires() } else { i.last() == Some(last) });
        let severity = leading.filter_map(Identity::severity).max()?;
        let firings = || all().flat_map(|i| &i.firings);
        let began = |f: &&Event| f.started_at.filter(|start| *start <= f.time).unwrap_or(f.time);
        let first = firings().map(began).min()?;
        Some((key, Known { firing, severity, first, last, count: firings().count() as u64 }))
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
    // The silence of a dead man's switch is in no event.
    let alerts = alerts.filter(|update| &*update.alert.origin != "quell");
    let known = alerts.map(|update| {
        let a = update.alert;
        let known =
            Known { firing: a.firing, severity: a.severity, first: a.opened_at, last: a.last_fired_at, count: a.count };
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
            (draft.entity, draft.check, draft.identity) = (0, 0, 0);
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
        identity: 0,
        since: None,
        kind: Kind::Alert,
        same_id: None,
        value: None,
    };
    let found = truth(&disordered(&[draft(true), draft(false), draft(true)], |_| {}));
    let at = |s: i64| Timestamp(START + 1_000 * s);
    let expected = Known { firing: true, severity: Severity::Major, first: at(1), last: at(3), count: 2 };
    assert_eq!(found.into_values().collect::<Vec<_>>(), [expected]);
}
