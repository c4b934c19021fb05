//! What is asked for is kept within limits, restored to the byte, and never makes two alerts mute each other.
use quell_core::{
    domain::{
        alert::SuppressedBy,
        command::{Action, Code, Command},
        event::{Event, Status},
        maintenance::Maintenance,
        policy::{Clock, Inhibit, Policy},
        severity::Severity,
        silence::Silence,
        time::{Span, Timestamp},
        topology::Topology,
    },
    engine::{Engine, Input, Pack},
    output::{Body, Outputs},
};
use std::{collections::BTreeMap, sync::Arc};

mod told;

/// 2026-01-01T00:00:00Z
const START: Timestamp = Timestamp(1_767_225_600_000);

struct World {
    engine: Engine,
    policy: Arc<Policy>,
    topology: Arc<Topology>,
    position: u64,
    said: Vec<Body>,
}

impl World {
    fn new(topology: &str, edit: impl FnOnce(&mut Policy)) -> Self {
        let mut policy = Policy { clock: Clock::Events, ..Policy::default() };
        edit(&mut policy);
        let file = serde_json::from_str(topology).expect("a topology file");
        let (policy, topology) = (Arc::new(policy), Arc::new(Topology::new(&file).expect("a topology")));
        let engine = Engine::new([1; 16], policy.clone(), topology.clone());
        Self { engine, policy, topology, position: 0, said: Vec::new() }
    }

    fn fold(&mut self, input: Input) {
        let mut out = Outputs::default();
        self.engine.step(self.position, &input, &mut out).expect("the journal is its own");
        self.position += 1;
        self.said.extend(out.items.into_iter().map(|o| o.body));
    }

    fn event(&mut self, second: i64, entity: &str, check: &str, status: Status, severity: Severity) {
        let at = START + Span::seconds(second);
        let event = Event { check: check.to_owned(), severity, ..told::event(self.position, at, entity, status) };
        self.fold(Input::Pack(Pack { range: None, events: vec![event], rejected: Vec::new() }));
    }

    fn fires(&mut self, second: i64, entity: &str, check: &str) {
        self.event(second, entity, check, Status::Firing, Severity::Critical);
    }

    fn recovers(&mut self, second: i64, entity: &str, check: &str) {
        self.event(second, entity, check, Status::Resolved, Severity::Critical);
    }

    fn silence(&mut self, id: &str, matchers: &str, from: i64, until: i64) -> Result<u32, Code> {
        let silence = Silence {
            id: id.into(),
            matchers: matchers.parse().expect(matchers),
            starts_at: START + Span::seconds(from),
            ends_at: START + Span::seconds(until),
            creator: "ann".into(),
            comment: "".into(),
            hits: 0,
        };
        let command = Command {
            request_id: format!("{id} at {}", self.position),
            actor: "ann".to_owned(),
            scope: "default".to_owned(),
            at: START,
            action: Action::CreateSilence { silence, force: false },
            digest: 0,
        };
        let before = self.said.len();
        self.fold(Input::Command(command));
        let hits = self.said[before..].iter().find_map(|body| match body {
            Body::Silence(update) => Some(update.silence.hits),
            _ => None,
        });
        let result = self.said[before..].iter().find_map(|body| match body {
            Body::Result(result) => Some(result.code),
            _ => None,
        });
        match result.expect("each command has a result") {
            Code::Ok => Ok(hits.expect("a silence that is taken is said")),
            code => Err(code),
        }
    }

    fn silences(&self) -> Vec<String> {
        let mut ids: Vec<_> = self.engine.scopes()[0].suppressor().silences().map(|s| s.id.to_string()).collect();
        ids.sort();
        ids
    }

    /// Of each open alert, by entity: what hides it.
    fn open(&mut self) -> BTreeMap<String, Option<SuppressedBy>> {
        let alerts = self.engine.views().remove(0).alerts.into_iter().filter(|update| update.alert.open);
        alerts.map(|update| (update.alert.entity.to_string(), update.alert.suppressed_by.as_deref().cloned())).collect()
    }
}

#[test]
fn at_the_limit_the_longest_ended_silence_goes_and_one_more_is_refused() {
    let mut world = World::new("{}", |policy| policy.limits.silences = 2);
    world.fires(0, "a", "up");
    assert_eq!(world.silence("first", "entity=a", 0, 10), Ok(1));
    assert_eq!(world.silence("second", "entity=a", 0, 20), Ok(1));
    assert_eq!(world.silence("third", "entity=a", 0, 30), Err(Code::ResourceExhausted));
    assert_eq!(world.engine.scopes()[0].evicted().silences, 1, "it is counted");
    world.fires(25, "b", "up");
    assert_eq!(world.silence("third", "entity=a", 0, 30), Ok(1));
    assert_eq!(world.silences(), ["second", "third"]);
}

#[test]
fn what_is_over_is_kept_for_a_while_and_then_forgotten() {
    let mut world = World::new("{}", |policy| policy.suppress.keep = Span::minutes(10));
    world.fires(0, "a", "up");
    assert_eq!(world.silence("s", "entity=a", 0, 60), Ok(1));
    // Ten minutes, and the lateness in which it may still hide something.
    world.fires(60 + 719, "a", "up");
    assert_eq!(world.silences(), ["s"]);
    world.fires(60 + 721, "a", "up");
    assert!(world.silences().is_empty());
    assert_eq!(world.silence("s", "entity=a", 0, 6_000), Ok(1), "its name is free");
}

#[test]
fn no_two_alerts_mute_each_other_and_a_ring_leaves_one_that_is_heard() {
    let rule = |n: usize, source: &str, target: &str| Inhibit {
        name: format!("rule-{n}").into(),
        source: format!("entity={source}").parse().expect("matchers"),
        target: format!("entity={target}").parse().expect("matchers"),
        equal: Vec::new(),
        absent_equal: false,
    };
    // And a topology that goes round.
    let topology = r#"{"entities": [{"id": "x", "on": ["y"]}, {"id": "y", "on": ["x"]}]}"#;
    for order in [["a", "b", "c"], ["c", "b", "a"], ["b", "c", "a"]] {
        let mut world = World::new(topology, |policy| {
            policy.suppress.inhibit = vec![rule(0, "a", "b"), rule(1, "b", "c"), rule(2, "c", "a")];
        });
        for (second, entity) in (0..).zip(order.into_iter().chain(["x", "y"])) {
            world.fires(second, entity, "down");
        }
        let open = world.open();
        let heard = |names: &[&str]| names.iter().filter(|name| open[**name].is_none()).count();
        assert_eq!((heard(&["a", "b", "c"]), heard(&["x", "y"])), (1, 1), "{order:?}: {open:?}");
        // The one that is heard recovers: somebody else is.
        let first = ["a", "b", "c"].into_iter().find(|name| open[*name].is_none()).expect("one");
        world.recovers(10, first, "down");
        let open = world.open();
        assert_eq!(
            open.iter().filter(|(name, by)| ["a", "b", "c"].contains(&name.as_str()) && by.is_none()).count(),
            1
        );
    }
}

#[test]
fn a_snapshot_among_silences_windows_and_inhibitors_changes_nothing() {
    let window = r#"{"id": "nightly", "matchers": "check=~\"di.*\"", "schedule": {"timezone": "Europe/Berlin",
        "times": ["01:10-01:20"]}}"#;
    let steps = 60;
    let run = |cut: Option<i64>| {
        let topology = r#"{"entities": [{"id": "vm", "on": ["host"]}]}"#;
        let mut world = World::new(topology, |policy| {
            policy.maintenance = vec![serde_json::from_str::<Maintenance>(window).expect("a window")];
        });
        world.fires(0, "vm", "latency");
        assert_eq!(world.silence("s", "check=~\"lat.*\"", 60, 1_200), Ok(1));
        assert_eq!(world.silence("t", "entity=vm,check!=x", 300, 900), Ok(1));
        for n in 1..steps {
            if cut == Some(n) {
                let bytes = world.engine.snapshot().expect("a snapshot");
                world.engine =
                    Engine::restore(&bytes, world.policy.clone(), vec![world.topology.clone()]).expect("it restores");
                assert_eq!(world.engine.snapshot().expect("a snapshot"), bytes);
            }
            let (entity, check) =
                (["vm", "host", "other"][n as usize % 3], ["latency", "disk", "HostDown"][n as usize / 3 % 3]);
            match n % 7 {
                0 => world.recovers(n * 40, entity, check),
                _ => world.fires(n * 40, entity, check),
            }
        }
        world.fold(Input::Settle);
        (world.said, world.engine.snapshot().expect("a snapshot"))
    };
    let whole = run(None);
    let hidden =
        whole.0.iter().filter(|body| matches!(body, Body::Alert(u) if u.alert.suppressed_by.is_some())).count();
    assert!(hidden > 20, "the story hides little: {hidden}");
    for cut in 1..steps {
        let (said, snapshot) = run(Some(cut));
        assert!(said == whole.0, "outputs differ after a cut at {cut}");
        assert!(snapshot == whole.1, "memory differs after a cut at {cut}");
    }
}

#[test]
fn a_window_that_is_ended_before_it_begins_is_read_back() {
    let mut world = World::new("{}", |_| {});
    world.fires(0, "a", "up");
    let text = r#"{"id": "w", "entities": ["a"], "schedule": {"start": "2026-02-01T00:00:00Z", "end": "2026-02-01T01:00:00Z"}}"#;
    let window: Box<Maintenance> = serde_json::from_str(text).expect("a window");
    for action in [Action::CreateWindow(window), Action::ExpireWindow("w".to_owned())] {
        let (request_id, actor, scope) = (format!("at {}", world.position), "ann".to_owned(), "default".to_owned());
        world.fold(Input::Command(Command { request_id, actor, scope, at: START, action, digest: 0 }));
    }
    let bytes = world.engine.snapshot().expect("a snapshot");
    let restored = Engine::restore(&bytes, world.policy.clone(), vec![world.topology.clone()]).expect("it restores");
    assert_eq!(restored.snapshot().expect("a snapshot"), bytes);
}

#[test]
fn a_window_that_comes_for_ever_lets_time_end() {
    let mut world = World::new("{}", |policy| {
        let text = r#"{"id": "w", "entities": ["a"], "schedule": {"timezone": "UTC", "times": ["00:10-00:20"]}}"#;
        policy.maintenance = vec![serde_json::from_str(text).expect("a window")];
    });
    world.fires(0, "a", "up");
    world.fold(Input::Settle);
    assert_eq!(world.engine.scopes()[0].timers(), 0);
    // Nor does a clock that jumps a century walk through its nights.
    world.fires(3_600 * 24 * 365 * 100, "a", "up");
    assert!(world.open()["a"].is_none());
}
