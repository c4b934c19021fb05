//! What an engine says fits into a record, however much there is to say: else its partition would fail at it for ever.
use prost::Message as _;
use quell_connectors::{log::RECORD_BYTES_MAX, wire};
use quell_core::{
    domain::{
        command::{Act, Action, Command, IncidentAct},
        event::{Event, Kind, Status},
        incident::{State, Ticket},
        policy::{Clock, Grouping, Policy},
        severity::Severity,
        time::Timestamp,
        topology::Topology,
    },
    engine::{Engine, Input, Pack},
    output::{Body, IncidentUpdate, Output, Outputs},
};
use std::sync::Arc;

/// Of one incident: what `limits.alerts_per_episode` allows.
const ALERTS: usize = 10_000;

struct World {
    engine: Engine,
    scope: String,
    position: u64,
    /// The largest record of an incident, and the latest.
    largest: usize,
    latest: Option<IncidentUpdate>,
}

impl World {
    /// All alerts of an origin are one incident.
    fn new(scope: &str) -> Self {
        let policy = Policy { clock: Clock::Events, ..Policy::default() };
        let grouping =
            serde_json::json!({"name": "by origin ".repeat(20), "split_by": ["origin"], "min_alerts": 5_000});
        Self::grouped(scope, policy, grouping)
    }

    /// Each entity is an incident of its own, and one a storm.
    fn stormy(scope: &str) -> Self {
        let mut policy = Policy { clock: Clock::Events, ..Policy::default() };
        policy.raise.storm.incidents = 2;
        Self::grouped(scope, policy, serde_json::json!({"name": "each alone", "split_by": ["entity"]}))
    }

    fn grouped(scope: &str, mut policy: Policy, grouping: serde_json::Value) -> Self {
        policy.correlate.policy = vec![serde_json::from_value::<Grouping>(grouping).expect("a policy")];
        let engine = Engine::new([1; 16], Arc::new(policy), Arc::new(Topology::default()));
        Self { engine, scope: scope.to_owned(), position: 0, largest: 0, latest: None }
    }

    fn fold(&mut self, input: &Input) {
        let mut out = Outputs::default();
        self.engine.step(self.position, input, &mut out).expect("the journal is its own");
        self.position += 1;
        for output in out.items {
            let output = Output { number: u64::MAX, position: self.position, ..output };
            let size = wire::outputs(vec![wire::output(&output)], [7; 16]).encoded_len();
            assert!(size < RECORD_BYTES_MAX, "{size} bytes: {:?}", output.body.topic());
            if let Body::Incident(update) = output.body {
                self.largest = self.largest.max(size);
                self.latest = Some(*update);
            }
        }
    }

    fn fire(&mut self, origin: &str, alerts: usize, text: &str, at: i64) {
        let event = |n: usize| Event {
            id: format!("{origin}-{n}"),
            time: Timestamp(at),
            started_at: None,
            ended_at: None,
            origin: origin.to_owned(),
            entity: format!("{text}-{n}"),
            check: text.to_owned(),
            status: Status::Firing,
            severity: Severity::Major,
            summary: text.repeat(8),
            value: None,
            labels: Vec::new(),
            service: text.to_owned(),
            scope: self.scope.clone(),
            fingerprint: String::new(),
            identity: String::new(),
            part: 0,
            kind: Kind::Alert,
            arrival: Timestamp(at),
            offset: 0,
        };
        let events = (0..alerts).map(event).collect();
        self.fold(&Input::Pack(Pack { range: None, events, rejected: Vec::new() }));
    }

    fn ask(&mut self, act: Act, comment: &str, at: i64) {
        let incident = self.latest.as_ref().expect("an incident").incident.id;
        let act = IncidentAct { incident, revision: None, comment: comment.to_owned(), act };
        self.fold(&Input::Command(Command {
            request_id: format!("ask-{}", self.position),
            actor: "ann".to_owned(),
            scope: self.scope.clone(),
            at: Timestamp(at),
            action: Action::Incident(act),
            digest: 0,
        }));
    }

    /// All that people may add to the latest incident.
    fn give(&mut self, long: &str) {
        for n in 0..100 {
            let url = format!("https://tickets.example/{}", "é".repeat(3_900));
            let ticket = Ticket { system: long.to_owned(), key: format!("{n}{long}"), url };
            self.ask(if n < 20 { Act::Ticket(ticket) } else { Act::Comment }, &"ü".repeat(4_000), 70_000 + n);
        }
    }

    fn latest(&self) -> &IncidentUpdate {
        self.latest.as_ref().expect("an incident")
    }
}

#[test]
fn an_incident_of_ten_thousand_alerts_fits_into_a_record() {
    let (long, scope) = ("ä".repeat(256), "ß".repeat(200));
    for (text, scope) in [("x", "default"), ("a.usual.host.example", "payments"), (&long, &scope)] {
        let mut world = World::new(scope);
        world.fire("one", ALERTS, text, 0);
        world.fold(&Input::Settle);
        let latest = world.latest();
        assert_eq!((latest.alert_count, latest.alerts_truncated), (ALERTS, true), "{scope}");
        assert!(world.largest > RECORD_BYTES_MAX / 2, "{} bytes: the bound is far from what is said", world.largest);
    }
}

#[test]
fn an_incident_with_all_that_people_may_add_fits_into_a_record() {
    let (long, scope) = ("ä".repeat(256), "ß".repeat(200));
    let mut world = World::new(&scope);
    world.fire("one", 5_000, &long, 0);
    world.fire("two", 5_000, &long, 1);
    world.fire("three", 1, &long, 60_000);
    let younger = world.latest().incident.id;
    world.give(&long);
    world.ask(Act::State(State::Acknowledged), "", 80_000);
    let incidents = world.engine.views().remove(0).incidents;
    let other = incidents.iter().map(|i| i.incident.id).find(|id| *id != younger).expect("two of them");
    world.ask(Act::Merge(other), "", 90_000);
    let latest = world.latest();
    assert_eq!((latest.alert_count, latest.alerts_truncated), (10_000, true));
    assert_eq!(latest.incident.tickets.len(), 20);
}

#[test]
fn a_storm_of_which_not_all_branches_are_named_fits_into_a_record() {
    let (long, scope) = ("ä".repeat(256), "ß".repeat(200));
    let mut world = World::stormy(&scope);
    for n in 0..110 {
        let text = format!("{}{n:03}", &long[..506]);
        world.fire("one", 10, &text, n);
    }
    world.fold(&Input::Tick(Timestamp(600_000)));
    let incidents = world.engine.views().remove(0).incidents;
    world.latest = incidents.into_iter().find(|i| i.incident.is_major());
    world.give(&long);
    let latest = &world.latest().incident;
    assert_eq!((latest.branch_count, latest.branches.len(), latest.services.len()), (1_100, 1_000, 100));
    assert!(world.largest > RECORD_BYTES_MAX / 2, "{} bytes: the bound is far from what is said", world.largest);
}
