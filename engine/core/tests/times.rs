//! Detection and resolution are measured by when conditions began and ended, not by when that was told.
use quell_core::{
    domain::{
        command::{Act, Action, Command, IncidentAct},
        event::{Event, Status},
        incident::State,
        policy::{Clock, Policy},
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
        Self::by(Clock::Events)
    }

    fn by(clock: Clock) -> Self {
        let policy = Policy { clock, ..Policy::default() };
        Self { engine: Engine::new([1; 16], Arc::new(policy), Arc::new(Topology::default())), position: 0 }
    }

    fn fold(&mut self, input: &Input) {
        self.engine.step(self.position, input, &mut Outputs::default()).expect("the journal is its own");
        self.position += 1;
    }

    /// Told in this minute; the other is when it began, or when it ended.
    fn told(&mut self, minute: i64, entity: &str, status: Status, of: i64) {
        let (at, of) = (minutes(minute), Some(minutes(of)));
        let event = Event {
            started_at: of.filter(|_| status == Status::Firing),
            ended_at: of.filter(|_| status == Status::Resolved),
            service: "shop".to_owned(),
            ..told::event(self.position, at, entity, status)
        };
        self.fold(&Input::Pack(Pack { range: None, events: vec![event], rejected: Vec::new() }));
    }

    /// In minutes, with how many incidents they are of: detection, resolution.
    fn times(&self) -> [(u64, u64); 2] {
        let times = self.engine.scopes()[0].times();
        [&times.detect, &times.resolve].map(|of| (of.counts.iter().sum(), of.sum / 60_000))
    }
}

fn minutes(minutes: i64) -> Timestamp {
    Timestamp(1_767_225_600_000) + Span::minutes(minutes)
}

#[test]
fn what_began_and_ended_before_it_was_told_counts_from_there() {
    let mut world = World::new();
    world.told(10, "web", Status::Firing, 4);
    world.told(40, "web", Status::Resolved, 30);
    world.fold(&Input::Settle);
    assert_eq!(world.times(), [(1, 9), (1, 26)], "told after 6 minutes, and settled 3 more; it lasted from 4 to 30");
}

#[test]
fn the_earliest_beginning_counts_though_it_is_told_last() {
    let mut world = World::new();
    world.told(10, "web", Status::Firing, 10);
    world.told(11, "web-2", Status::Firing, 2);
    world.told(30, "web-2", Status::Resolved, 20);
    world.told(31, "web", Status::Resolved, 25);
    world.fold(&Input::Settle);
    assert_eq!(world.times()[1], (1, 23));
}

#[test]
fn an_end_that_is_only_supposed_is_no_resolution() {
    let mut world = World::new();
    world.told(10, "web", Status::Firing, 10);
    world.told(11, "web-2", Status::Firing, 11);
    world.told(30, "web-2", Status::Resolved, 30);
    world.fold(&Input::Settle);
    assert_eq!(world.times(), [(1, 3), (0, 0)]);
}

/// As the manual says at `raise.resolve`: five minutes, and the lateness of two.
#[test]
fn a_resolution_is_said_when_the_lateness_has_passed_too() {
    let mut world = World::by(Clock::Wall);
    world.told(0, "web", Status::Firing, 0);
    world.told(10, "web", Status::Resolved, 10);
    let at = |world: &mut World, at: Timestamp| {
        world.fold(&Input::Tick(at));
        let incident = &world.engine.views()[0].incidents[0].incident;
        (incident.state, incident.resolved_at)
    };
    assert_eq!(at(&mut world, minutes(17)), (State::New, None));
    assert_eq!(at(&mut world, minutes(17) + Span::seconds(1)), (State::Resolved, Some(minutes(15))));
}

#[test]
fn a_person_says_when_it_is_over() {
    let mut world = World::new();
    world.told(10, "web", Status::Firing, 6);
    world.told(19, "elsewhere", Status::Firing, 19);
    let incident = world.engine.views()[0].incidents[0].incident.id;
    let act = IncidentAct { incident, revision: None, comment: String::new(), act: Act::State(State::Resolved) };
    world.fold(&Input::Command(Command {
        request_id: "r1".to_owned(),
        actor: "ann".to_owned(),
        scope: "default".to_owned(),
        at: minutes(20),
        action: Action::Incident(act),
        digest: 0,
    }));
    assert_eq!(world.times()[1], (1, 13), "by the clock of the fold");
}
