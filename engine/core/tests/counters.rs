//! Counters: what is said of them is how fast they grow.
use quell_core::{
    domain::{
        alert::AlertId,
        command::{Action, Code, Command},
        event::{Event, Kind, Status},
        policy::{Clock, Policy, Silence},
        time::{Span, Timestamp},
    },
    engine::{Engine, Input, Pack},
    output::{Body, Outputs},
};
use serde_json::{Value, json};
use std::sync::Arc;

mod told;

/// Seconds between samples.
const PACE: i64 = 10;

struct World {
    engine: Engine,
    position: u64,
    value: f64,
    said: Vec<Body>,
}

impl World {
    fn new() -> Self {
        Self::held_against(&json!([]))
    }

    /// By `[[score.threshold]]`.
    fn held_against(thresholds: &Value) -> Self {
        let mut policy = Policy { clock: Clock::Events, ..Policy::default() };
        policy.score.silence = Silence::None;
        policy.score.new_usual = Span::minutes(20);
        policy.score.threshold = serde_json::from_value(thresholds.clone()).expect("thresholds");
        let engine = Engine::new([1; 16], Arc::new(policy), Arc::default());
        Self { engine, position: 0, value: 1e6, said: Vec::new() }
    }

    fn now(&self) -> Timestamp {
        Timestamp(1_000 * PACE * self.position as i64)
    }

    fn fold(&mut self, input: &Input) {
        let mut out = Outputs::default();
        self.engine.step(self.position, input, &mut out).expect("the journal is its own");
        self.position += 1;
        self.said.extend(out.items.into_iter().map(|o| o.body));
    }

    fn sample(&mut self, value: f64) {
        self.value = value;
        let event = told::event(self.position, self.now(), "web", Status::Firing);
        let event = Event { kind: Kind::Sample, value: Some(value), check: "requests".to_owned(), ..event };
        self.fold(&Input::Pack(Pack { range: None, events: vec![event], rejected: Vec::new() }));
    }

    /// So many samples, of about `rate` a second.
    fn grow(&mut self, samples: i64, rate: f64) {
        for n in 0..samples {
            self.sample(self.value + PACE as f64 * (rate + (n * 7 % 5) as f64 / 2.0 - 1.0));
        }
    }

    /// What is said of the series, if anything.
    fn open(&mut self) -> Option<(AlertId, String)> {
        let alerts = self.engine.views().into_iter().flat_map(|view| view.alerts).map(|update| update.alert);
        alerts.filter(|alert| alert.open).map(|alert| (alert.id, alert.summary.to_string())).next()
    }

    fn normal(&mut self, alert: AlertId, undo: bool) -> Code {
        let command = Command {
            request_id: self.position.to_string(),
            actor: "ann".to_owned(),
            scope: "default".to_owned(),
            at: self.now(),
            action: Action::MarkNormal { alert, undo },
            digest: 0,
        };
        self.fold(&Input::Command(command));
        let of = |body: &Body| if let Body::Result(result) = body { Some(result.code) } else { None };
        self.said.iter().rev().find_map(of).expect("an answer")
    }
}

#[test]
fn an_alert_tells_how_fast_it_grows() {
    let mut world = World::new();
    world.grow(300, 10.0);
    assert_eq!(world.open(), None);
    world.grow(1, 500.0);
    let (_, summary) = world.open().expect("it is unusual");
    assert!(summary.starts_with("requests is 499 a second, usual ") && summary.ends_with(" a second"), "{summary}");
}

/// A fall that is none of its resets makes another kind of series of it: of what was usual before nothing is known then.
#[test]
fn what_becomes_a_gauge_is_learned_anew_and_stays_so() {
    let mut world = World::new();
    world.grow(300, 10.0);
    world.grow(150, 500.0);
    assert_eq!(world.open(), None, "it has lasted");
    let level = 0.8 * world.value;
    for n in 0..80 {
        world.sample(level + f64::from(n * 7 % 5));
    }
    assert_eq!(world.open(), None);
    world.sample(level + 5_000.0);
    assert!(world.open().is_some());
}

/// It was reset meanwhile, and has come farther than half of where it was.
#[test]
fn what_a_person_takes_back_is_a_counter_still() {
    let mut world = World::new();
    world.value = 1_000.0;
    world.grow(300, 10.0);
    world.grow(12, 500.0);
    let (alert, _) = world.open().expect("it is unusual");
    assert_eq!(world.normal(alert, false), Code::Ok);
    world.grow(6, 500.0);
    world.sample(10.0);
    world.grow(12, 500.0);
    assert_eq!(world.open(), None);
    assert_eq!(world.normal(alert, true), Code::Ok);
    world.grow(6, 500.0);
    assert!(world.open().is_some_and(|(_, summary)| summary.contains("a second")), "{:?}", world.open());
}

/// What was said to be normal, and what has become usual since, are two things.
#[test]
fn a_word_is_taken_back_though_another_usual_was_learned_since() {
    let mut world = World::new();
    world.grow(300, 10.0);
    world.grow(12, 500.0);
    let (alert, _) = world.open().expect("it is unusual");
    assert_eq!(world.normal(alert, false), Code::Ok);
    world.grow(60, 500.0);
    world.grow(150, 3_000.0);
    assert_eq!(world.open(), None, "it has lasted");
    assert_eq!(world.normal(alert, true), Code::Ok);
    world.grow(60, 10.0);
    assert_eq!(world.open(), None, "it is as at first");
    world.grow(3, 500.0);
    assert!(world.open().is_some());
}

/// A figure of each kind that is learned of the series, beyond all that it does.
const KINDS: [(&str, f64); 6] =
    [("usual", 20.0), ("stddev", 6.0), ("mad", 6.0), ("quantile", 0.999), ("range", 2.0), ("percentage", 50.0)];

fn adaptive(kind: &str, figure: f64) -> World {
    World::held_against(&json!([{"check": "requests", "adaptive": kind, "direction": "both", "warning": figure}]))
}

impl World {
    /// What is said of it by its figures.
    fn crossed(&mut self) -> Option<(AlertId, String)> {
        self.open().filter(|(_, summary)| summary.contains("(warning "))
    }
}

#[test]
fn what_is_learned_and_judged_is_how_fast_it_grows() {
    for (kind, figure) in KINDS {
        let mut world = adaptive(kind, figure);
        for n in 0..1_200 {
            world.grow(1, 10.0 + f64::from(n * 7 % 5) / 2.0);
            assert_eq!(world.crossed(), None, "{kind} at {}", world.position);
        }
        world.grow(1, 500.0);
        let (alert, summary) = world.crossed().expect(kind);
        assert!(summary.starts_with("requests is 499 a second (warning ") && !summary.contains("e6"), "{summary}");
        // Nothing is known of what a reset comes from, so it ends nothing.
        world.sample(10.0);
        assert_eq!(world.crossed().map(|(id, _)| id), Some(alert), "{kind}");
        world.grow(20, 10.0);
        assert_eq!(world.crossed(), None, "{kind}");
    }
}

/// It stood still for so long that its figures spoke of the values before it was known for a counter.
#[test]
fn values_of_before_it_was_known_for_a_counter_are_forgotten() {
    for (kind, figure) in KINDS.into_iter().skip(1) {
        let figure = if kind == "percentage" { 0.1 } else { figure };
        let mut world = adaptive(kind, figure);
        (0..200).for_each(|_| world.sample(1e6));
        world.grow(9, 1_000.0);
        let (_, summary) = world.crossed().expect(kind);
        assert!(!summary.contains("a second"), "{kind}: {summary}");
        world.sample(world.value + 1e4);
        assert_eq!(world.crossed(), None, "{kind}: it is known now");
        for _ in 0..100 {
            world.grow(1, 1_000.0);
            assert_eq!(world.crossed(), None, "{kind} at {}", world.position);
        }
        world.grow(60, 1_000.0);
        world.grow(1, 100_000.0);
        assert!(world.crossed().is_some_and(|(_, summary)| summary.contains("a second")), "{kind}");
    }
}

#[test]
fn a_rate_can_be_said_to_be_normal_and_that_be_taken_back() {
    let mut world = adaptive("mad", 6.0);
    world.grow(300, 10.0);
    world.grow(12, 500.0);
    let (alert, _) = world.crossed().expect("it grows faster");
    assert_eq!(world.normal(alert, false), Code::Ok);
    world.grow(60, 500.0);
    assert_eq!(world.crossed(), None);
    assert_eq!(world.normal(alert, true), Code::Ok);
    world.grow(2, 500.0);
    assert!(world.crossed().is_some_and(|(_, summary)| summary.contains("from the median 10)")), "{:?}", world.open());
}

/// A limit of a counter is one of what it has counted.
#[test]
fn a_figure_that_is_a_value_holds_for_the_value_as_told() {
    let mut world = World::held_against(&json!([{"check": "requests", "warning": 1_030_000}]));
    world.grow(290, 10.0);
    assert_eq!(world.crossed(), None);
    world.grow(20, 10.0);
    let (_, summary) = world.crossed().expect("it has counted so many");
    assert!(summary.starts_with("requests is 1030") && !summary.contains("a second"), "{summary}");
}
