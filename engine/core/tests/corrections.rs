//! What people say of which alerts belong together, as the fold keeps it.
use quell_core::{
    domain::{
        command::{About, Act, Action, Code, Command, IncidentAct, Relating},
        correction::{CorrectionId, Relation},
        event::{Event, Status},
        incident::IncidentId,
        policy::{Clock, Policy},
        time::{Span, Timestamp},
        topology::Topology,
    },
    engine::{Engine, Input, Pack},
    output::{AlertUpdate, Body, IncidentUpdate, Outputs},
};
use std::sync::Arc;

mod told;

const START: Timestamp = Timestamp(1_767_225_600_000);

struct World {
    engine: Engine,
    policy: Arc<Policy>,
    position: u64,
    said: Vec<Body>,
}

impl World {
    fn new(edit: impl FnOnce(&mut Policy)) -> Self {
        let mut policy = Policy { clock: Clock::Events, ..Policy::default() };
        edit(&mut policy);
        let policy = Arc::new(policy);
        let engine = Engine::new([1; 16], policy.clone(), Arc::new(Topology::default()));
        Self { engine, policy, position: 0, said: Vec::new() }
    }

    fn fold(&mut self, input: Input) {
        let mut out = Outputs::default();
        self.engine.step(self.position, &input, &mut out).expect("the journal is its own");
        self.position += 1;
        self.said.extend(out.items.into_iter().map(|o| o.body));
    }

    fn say(&mut self, seconds: i64, entity: &str, check: &str, status: Status) {
        let event = told::event(self.position, START + Span::seconds(seconds), entity, status);
        let event = Event { check: check.to_owned(), ..event };
        self.fold(Input::Pack(Pack { range: None, events: vec![event], rejected: Vec::new() }));
    }

    fn ask(&mut self, request_id: &str, action: Action) -> (Code, String) {
        let (actor, scope) = ("ann".to_owned(), "default".to_owned());
        let request_id = request_id.to_owned();
        self.fold(Input::Command(Command { request_id, actor, scope, at: START, action, digest: 0 }));
        let last = self.said.iter().rev().find_map(|body| match body {
            Body::Result(result) => Some((result.code, result.message.clone())),
            _ => None,
        });
        last.expect("each command has a result")
    }

    fn on(&mut self, request_id: &str, incident: IncidentId, act: Act) -> (Code, String) {
        let act = IncidentAct { incident, revision: None, comment: String::new(), act };
        self.ask(request_id, Action::Incident(act))
    }

    fn alerts(&mut self) -> Vec<AlertUpdate> {
        let mut alerts = self.engine.views().remove(0).alerts;
        alerts.sort_by_key(|update| update.alert.check.clone());
        alerts
    }

    fn incidents(&mut self) -> Vec<IncidentUpdate> {
        let mut incidents = self.engine.views().remove(0).incidents;
        incidents.sort_by_key(|update| update.incident.number);
        incidents
    }

    fn kept(&mut self) -> Vec<CorrectionId> {
        let mut kept = self.engine.views().remove(0).corrections;
        kept.sort_by_key(|update| update.correction.at);
        kept.into_iter().map(|update| update.correction.id).collect()
    }

    fn relate(&mut self, request_id: &str, of: [usize; 2], relation: Relation) -> (Code, String) {
        let alerts = self.alerts();
        let of = of.map(|n| About::Alert(alerts[n].alert.id));
        self.ask(request_id, Action::Relate(Relating { of, relation, comment: String::new() }))
    }

    /// Goes on from its snapshot.
    fn restored(&self) -> Self {
        let bytes = self.engine.snapshot().expect("memory has a form as bytes");
        let engine = Engine::restore(&bytes, self.policy.clone(), vec![Arc::new(Topology::default())]);
        let engine = engine.expect("its own snapshot");
        assert_eq!(engine.snapshot().expect("memory has a form as bytes"), bytes);
        Self { engine, policy: self.policy.clone(), position: self.position, said: Vec::new() }
    }
}

/// Two checks of one host, an hour after they were.
fn again(world: &mut World) {
    for check in ["a", "b"] {
        world.say(200, "host", check, Status::Resolved);
    }
    for (n, check) in ["a", "b"].into_iter().enumerate() {
        world.say(7_200 + n as i64, "host", check, Status::Firing);
    }
    world.say(8_000, "elsewhere", "c", Status::Firing);
}

fn two_of_one_host(edit: impl FnOnce(&mut Policy)) -> World {
    let mut world = World::new(edit);
    for (n, check) in ["a", "b"].into_iter().enumerate() {
        world.say(n as i64, "host", check, Status::Firing);
    }
    world.say(150, "host", "a", Status::Firing);
    world
}

/// Whether the two are of one episode.
fn are_one(world: &mut World) -> bool {
    let alerts = world.alerts();
    alerts[0].alert.episode == alerts[1].alert.episode
}

#[test]
fn what_was_said_outlives_a_restart() {
    let mut world = two_of_one_host(|_| {});
    assert!(are_one(&mut world), "{:?}", world.alerts());
    assert_eq!(world.relate("r1", [0, 1], Relation::Apart).0, Code::Ok);
    assert!(are_one(&mut world), "it is only said");
    let mut restored = world.restored();
    world.said.clear();
    again(&mut world);
    again(&mut restored);
    assert_eq!(world.said, restored.said);
    assert!(!are_one(&mut world) && !are_one(&mut restored));
    let without = &mut two_of_one_host(|_| {});
    again(without);
    assert!(are_one(without), "nobody said anything");
}

#[test]
fn a_command_that_comes_again_says_nothing_twice() {
    let mut world = two_of_one_host(|_| {});
    for _ in 0..2 {
        assert_eq!(world.relate("r1", [0, 1], Relation::Apart).0, Code::Ok);
    }
    assert_eq!(world.kept(), [CorrectionId::new("default", "r1", Relation::Apart)]);
    let undo = || Action::UndoCorrection(CorrectionId::new("default", "r1", Relation::Apart));
    assert_eq!(world.ask("u1", undo()).0, Code::Ok);
    assert_eq!(world.ask("u1", undo()).0, Code::Ok);
    assert_eq!(world.ask("u2", undo()).0, Code::NotFound);
    assert_eq!(world.kept(), []);
    assert_eq!(world.relate("r2", [0, 0], Relation::Apart).0, Code::InvalidArgument);
    again(&mut world);
    assert!(are_one(&mut world), "it was withdrawn");
}

#[test]
fn there_are_no_more_than_may_be_and_the_first_to_expire_goes() {
    let mut world = two_of_one_host(|policy| policy.limits.corrections = 2);
    for (n, request_id) in ["r1", "r2", "r3"].into_iter().enumerate() {
        world.say(160 + n as i64, "host", "a", Status::Firing);
        world.relate(request_id, [0, 1], Relation::Together);
    }
    let id = |request_id| CorrectionId::new("default", request_id, Relation::Together);
    assert_eq!(world.kept(), [id("r2"), id("r3")]);
    assert_eq!(world.engine.scopes()[0].evicted().corrections, 1);
    assert!(world.said.contains(&Body::CorrectionGone { scope: "default".into(), id: id("r1") }));
}

#[test]
fn a_large_side_is_kept_by_its_kinds() {
    let mut world = World::new(|_| {});
    for n in 0..30 {
        world.say(n, "host", "many", Status::Firing);
        world.say(n, "host", &format!("check-{}", n % 10), Status::Firing);
        world.say(n, &format!("host-{n}"), "many", Status::Firing);
    }
    world.say(170, "host", "many", Status::Firing);
    let incidents = world.incidents();
    let incident = incidents.iter().max_by_key(|update| update.alert_count).expect("an incident");
    let leave = incident.alerts[0].id;
    assert!(incident.alert_count > 20, "{}", incident.alert_count);
    let id = incident.incident.id;
    assert_eq!(world.on("s1", id, Act::Split(vec![leave])).0, Code::Ok);
    let view = world.engine.views().remove(0);
    let sides = view.corrections[0].correction.sides.each_ref().map(Vec::len);
    assert_eq!(sides, [1, 16]);
}

#[test]
fn the_parts_sum_to_what_decided_also_where_people_said_something() {
    let mut world = World::new(|_| {});
    world.say(0, "web", "errors", Status::Firing);
    world.say(60, "mail", "queue", Status::Firing);
    world.say(150, "web", "errors", Status::Firing);
    assert_eq!(world.relate("r1", [0, 1], Relation::Together).0, Code::Ok);
    for (entity, check) in [("web", "errors"), ("mail", "queue")] {
        world.say(300, entity, check, Status::Resolved);
    }
    world.say(7_200, "web", "errors", Status::Firing);
    world.say(7_260, "mail", "queue", Status::Firing);
    world.say(7_400, "web", "errors", Status::Firing);
    let incidents = world.incidents();
    let last = incidents.last().expect("an incident");
    assert_eq!(last.alert_count, 2, "{last:?}");
    let evidence = last.alerts[1].evidence;
    let parts = [evidence.time, evidence.lifetimes, evidence.place, evidence.what, evidence.background];
    let others: i64 = parts.into_iter().map(i64::from).sum();
    assert_eq!((evidence.total(), evidence.corrections), (others + 6_000, 6_000));
    assert!(others <= 0 && evidence.total() > 0, "it is there for what people said: {evidence:?}");
    assert_eq!(last.alerts[1].reason.to_string(), "people put such together before");
}
