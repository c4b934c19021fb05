//! Origins that only tell what they saw: that an alert of theirs is open says nothing.
use quell_core::{
    domain::{
        event::{Event, Status},
        incident::RaiseReason,
        policy::{Clock, Policy},
        severity::Severity,
        time::{Span, Timestamp},
        topology::Topology,
    },
    engine::{Engine, Input, Pack},
    output::Outputs,
};
use std::sync::Arc;

mod told;

struct World {
    engine: Engine,
    position: u64,
}

impl World {
    fn new() -> Self {
        let policy = Policy { clock: Clock::Events, ..Policy::default() };
        Self { engine: Engine::new([1; 16], Arc::new(policy), Arc::new(Topology::default())), position: 0 }
    }

    fn say(&mut self, seconds: i64, entity: &str, check: &str, severity: Severity, status: Status) {
        let at = Timestamp(1_767_225_600_000) + Span::seconds(seconds);
        let event = Event { check: check.to_owned(), severity, ..told::event(self.position, at, entity, status) };
        let pack = Pack { range: None, events: vec![event], rejected: Vec::new() };
        self.engine.step(self.position, &Input::Pack(pack), &mut Outputs::default()).expect("the journal is its own");
        self.position += 1;
    }

    fn warn(&mut self, seconds: i64, entity: &str, check: &str) {
        self.say(seconds, entity, check, Severity::Warning, Status::Firing);
    }

    /// Every hour something that is usual, on one host after the other: a day and a half of it.
    fn usual() -> Self {
        let mut world = Self::new();
        for hour in 0..36 {
            world.warn(hour * 3_600, &format!("host-{hour}"), "login");
        }
        world
    }

    /// Two hours later; how many alerts those incidents have that were raised after the usual.
    fn incidents(&mut self) -> Vec<(RaiseReason, usize)> {
        self.warn(39 * 3_600, "host-0", "login");
        let begin = Timestamp(1_767_225_600_000) + Span::hours(36);
        let view = self.engine.views().remove(0);
        let late = view.incidents.into_iter().filter(|update| update.incident.opened_at >= begin);
        late.map(|update| (update.incident.raised.clone(), update.alert_count)).collect()
    }
}

const LATER: i64 = 37 * 3_600;

#[test]
fn a_single_alert_raises_only_if_it_is_grave() {
    let mut world = World::usual();
    world.warn(LATER, "web", "scan");
    assert_eq!(world.incidents(), []);

    let mut world = World::usual();
    world.say(LATER, "web", "scan", Severity::Major, Status::Firing);
    assert_eq!(world.incidents().len(), 1);
}

#[test]
fn one_end_and_its_alerts_are_known_to_last() {
    let mut world = World::usual();
    world.say(LATER - 60, "host-35", "login", Severity::Warning, Status::Resolved);
    world.warn(LATER, "web", "scan");
    let incidents = world.incidents();
    assert!(matches!(incidents[..], [(RaiseReason::Fires { .. }, 1)]), "{incidents:?}");
}

#[test]
fn checks_that_are_rarely_heard_raise_together() {
    let mut world = World::usual();
    for (n, check) in ["scan", "dirb", "shell", "sudo"].into_iter().enumerate() {
        world.warn(LATER + 5 * n as i64, "web", check);
    }
    let incidents = world.incidents();
    assert!(matches!(incidents[..], [(RaiseReason::Unexpected { .. }, 4)]), "{incidents:?}");
}

#[test]
fn what_is_usual_raises_nothing_however_much_of_it_there_is() {
    let mut world = World::usual();
    for n in 0..30 {
        world.warn(LATER + n, &format!("desk-{n}"), "login");
    }
    assert_eq!(world.incidents(), []);
}

#[test]
fn the_next_step_may_come_late_where_the_last_was() {
    let mut world = World::usual();
    for (n, check) in ["scan", "dirb", "shell", "sudo", "user", "flow"].into_iter().enumerate() {
        world.warn(LATER + 5 * n as i64, "web", check);
    }
    world.warn(LATER + 20 * 60, "web", "root");
    world.warn(LATER + 30 * 60, "elsewhere", "login");
    assert_eq!(world.incidents().iter().map(|(_, alerts)| *alerts).collect::<Vec<_>>(), [7]);
}
