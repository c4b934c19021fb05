//! What comes each day at its hour, measured: it is told at first, and then it is usual.
use quell_core::{
    domain::{
        event::{Event, Kind, Status},
        policy::{Clock, Policy, Silence},
        time::Timestamp,
    },
    engine::{Engine, Input, Pack},
    output::{Body, Outputs},
};
use std::{collections::BTreeSet, sync::Arc};

mod told;

/// Days since 1970 of 2026-01-05, a Monday.
const MONDAY: i64 = 20_458;
const PACE: i64 = 5;

/// On which days an alert opened, where each day is as `value` has it by day and minute, with some noise.
fn told(days: i64, value: impl Fn(i64, i64) -> f64) -> BTreeSet<i64> {
    let mut policy = Policy { clock: Clock::Events, ..Policy::default() };
    policy.score.silence = Silence::None;
    let mut engine = Engine::new([1; 16], Arc::new(policy), Arc::default());
    let (mut position, mut opened) = (0, BTreeSet::new());
    for minute in (0..days * 1_440).step_by(PACE as usize) {
        let (day, of_day) = (minute / 1_440, minute % 1_440);
        let at = Timestamp((MONDAY * 1_440 + minute) * 60_000);
        let noise = ((position * 7_919) % 101) as f64 / 25.0 - 2.0;
        let event = told::event(position, at, "web", Status::Firing);
        let event =
            Event { kind: Kind::Sample, value: Some(value(day, of_day) + noise), check: "io".to_owned(), ..event };
        let mut out = Outputs::default();
        let pack = Pack { range: None, events: vec![event], rejected: Vec::new() };
        engine.step(position, &Input::Pack(pack), &mut out).expect("the journal is its own");
        position += 1;
        let is_open = |body: &Body| matches!(body, Body::Alert(update) if update.alert.open);
        if out.items.iter().any(|item| is_open(&item.body)) {
            opened.insert(day);
        }
    }
    opened
}

fn is_in(hours: std::ops::Range<i64>, minute: i64) -> bool {
    hours.contains(&(minute / 60))
}

#[test]
fn office_hours_are_usual_after_some_days() {
    let office = |day: i64, minute: i64| if day % 7 < 5 && is_in(8..18, minute) { 100.0 } else { 20.0 };
    let opened = told(28, office);
    assert!(opened.iter().all(|day| *day < 10), "{opened:?}");
}

#[test]
fn a_nightly_batch_is_usual_after_some_days() {
    for hours in [2..3, 2..4, 2..6] {
        let opened = told(21, |day, minute| if day > 2 && is_in(hours.clone(), minute) { 500.0 } else { 20.0 });
        assert!(opened.len() > 1 && opened.iter().all(|day| *day < 10), "{hours:?}: {opened:?}");
    }
}

#[test]
fn a_batch_of_half_an_hour_is_usual_after_some_days() {
    let opened = told(21, |day, minute| if day > 2 && (120..150).contains(&minute) { 500.0 } else { 20.0 });
    assert!(opened.len() > 1 && opened.iter().all(|day| *day < 12), "{opened:?}");
}

/// Neither the hours of one day's trouble are usual, nor those of troubles that come at other hours each day.
#[test]
fn troubles_are_no_habit() {
    let once = |day: i64, minute: i64| if [10, 12].contains(&day) && is_in(9..12, minute) { 300.0 } else { 20.0 };
    assert!(told(13, once).contains(&12));
    let wanders = |day: i64, minute: i64| if day >= 5 && is_in(day..day + 2, minute) { 300.0 } else { 20.0 };
    assert!((5..12).all(|day| told(12, wanders).contains(&day)));
}
