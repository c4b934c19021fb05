//! Under a storm one major incident stands with its branches, not five hundred; first occurrences and recoveries are never
//! lost.
use quell_core::{
    domain::{
        apart::Subject,
        command::{About, Act, Action, Code, Command, IncidentAct, Relating},
        correction::Relation,
        event::Status,
        incident::{Incident, IncidentId, State},
        policy::{Clock, Policy},
        severity::Severity,
        time::{Span, Timestamp},
        topology::Topology,
    },
    engine::{Engine, Input, Pack},
    output::{Body, IncidentUpdate, Outputs},
};
use std::{collections::BTreeSet, sync::Arc};

mod told;

/// Between two alerts: forty come in five minutes.
const GAP: Span = Span::seconds(7);
const MINUTE: i64 = 60_000;

struct World {
    policy: Arc<Policy>,
    engine: Engine,
    said: Vec<Body>,
    position: u64,
}

impl World {
    /// Nothing brings two of its alerts together.
    fn new(edit: impl FnOnce(&mut Policy)) -> Self {
        let mut policy = Policy { clock: Clock::Events, ..Policy::default() };
        let alone = serde_json::json!({"name": "each alone", "split_by": ["entity"]});
        policy.correlate.policy = vec![serde_json::from_value(alone).expect("a policy")];
        edit(&mut policy);
        let policy = Arc::new(policy);
        let engine = Engine::new([1; 16], policy.clone(), Arc::new(Topology::default()));
        Self { policy, engine, said: Vec::new(), position: 0 }
    }

    /// Incidents that were raised while `alerts` of as many entities fired, each of a check of its own, from `from` on.
    fn storm(&mut self, from: usize, alerts: usize, at: i64) {
        (0..alerts).for_each(|n| self.event(from + n, Timestamp(at + GAP.0 * n as i64), Status::Firing));
    }

    fn event(&mut self, n: usize, at: Timestamp, status: Status) {
        let mut event = told::event(self.position, at, &format!("{}-{n}", WORDS[n % WORDS.len()]), status);
        event.check = format!("{} {n}", WORDS[(n + 3) % WORDS.len()]);
        event.severity = if n == 7 { Severity::Critical } else { Severity::Minor };
        event.service = ["db", "web", ""][n % 3].to_owned();
        self.fold(Input::Pack(Pack { range: None, events: vec![event], rejected: Vec::new() }));
    }

    /// Time passes until then.
    fn pass(&mut self, at: i64) {
        let mut event = told::event(self.position, Timestamp(at), "clock", Status::Firing);
        event.severity = Severity::Info;
        self.fold(Input::Pack(Pack { range: None, events: vec![event], rejected: Vec::new() }));
    }

    /// A snapshot is the whole memory.
    fn fold(&mut self, input: Input) {
        let bytes = self.engine.snapshot().expect("memory has a form");
        let restored = Engine::restore(&bytes, self.policy.clone(), vec![Arc::new(Topology::default())]);
        self.engine = restored.expect("its own snapshot");
        let mut out = Outputs::default();
        self.engine.step(self.position, &input, &mut out).expect("the journal is its own");
        self.position += 1;
        self.said.extend(out.items.into_iter().map(|o| o.body));
    }

    fn act(&mut self, incident: IncidentId, act: Act, at: i64) -> (Code, String) {
        let act = IncidentAct { incident, revision: None, comment: String::new(), act };
        self.ask(Action::Incident(act), at)
    }

    fn ask(&mut self, action: Action, at: i64) -> (Code, String) {
        self.fold(Input::Command(Command {
            request_id: format!("ask-{}", self.position),
            actor: "ann".to_owned(),
            scope: "default".to_owned(),
            at: Timestamp(at),
            action,
            digest: 0,
        }));
        let result = self.said.iter().rev().find_map(|body| match body {
            Body::Result(result) => Some((result.code, result.message.clone())),
            _ => None,
        });
        result.expect("an answer")
    }

    /// As they are now; what the time of the last event made of them is said with the next.
    fn incidents(&mut self) -> Vec<IncidentUpdate> {
        let mut incidents = self.engine.views().remove(0).incidents;
        incidents.sort_by_key(|i| i.incident.number);
        incidents
    }

    fn major(&mut self) -> Incident {
        let mut majors: Vec<_> = self.incidents().into_iter().filter(|i| i.incident.is_major()).collect();
        assert_eq!(majors.len(), 1, "one major incident");
        assert_eq!(majors[0].alert_count, 0);
        majors.remove(0).incident
    }

    fn branches(&mut self) -> Vec<IncidentUpdate> {
        self.incidents().into_iter().filter(|i| i.incident.major.is_some()).collect()
    }

    /// What each revision of an incident said.
    fn changes(&self, id: IncidentId) -> Vec<&'static str> {
        let update = |body: &Body| match body {
            Body::Incident(update) if update.incident.id == id => Some(update.change),
            _ => None,
        };
        self.said.iter().filter_map(update).collect()
    }

    fn recover(&mut self, alerts: usize, at: i64) {
        (0..alerts).for_each(|n| self.event(n, Timestamp(at + n as i64), Status::Resolved));
    }
}

const WORDS: [&str; 11] =
    ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "inlet", "jetty", "krill"];

#[test]
fn forty_unrelated_alerts_are_one_major_incident_with_forty_branches() {
    let mut world = World::new(|_| {});
    world.storm(0, 40, 0);
    world.pass(9 * MINUTE);
    let (major, branches) = (world.major(), world.branches());
    assert_eq!((branches.len(), major.branch_count, major.branches.len()), (40, 40, 40));
    assert_eq!(world.incidents().len(), 41);
    let named: BTreeSet<_> = major.branches.iter().copied().collect();
    assert_eq!(named, branches.iter().map(|b| b.incident.id).collect());
    let alerts: Vec<_> = branches.iter().flat_map(|b| b.alerts.iter().map(|a| a.id)).collect();
    assert_eq!((alerts.len(), alerts.iter().collect::<BTreeSet<_>>().len()), (40, 40), "each is in one");
    assert_eq!(major.title, "storm: 40 incidents at once, db and web suffer");
    assert_eq!(major.summary, "40 of 40 incidents are open, with 40 alerts in all.");
    assert_eq!((major.severity, &*major.services), (Severity::Critical, &["db".into(), "web".into()][..]));
    assert_eq!(major.raised.to_string(), "25 incidents within 5 min");
}

#[test]
fn each_branch_opens_in_the_feed_and_the_storm_names_itself_from_the_first_revision_on() {
    let mut world = World::new(|_| {});
    world.storm(0, 40, 0);
    world.pass(9 * MINUTE);
    let major = world.major().id;
    let incidents = world.incidents();
    let of = |branch: &IncidentUpdate| world.changes(branch.incident.id);
    let branches = || incidents.iter().filter(|i| i.incident.major.is_some());
    assert_eq!(branches().filter(|b| of(b) == ["opened", "branch"]).count(), 24, "those that were there");
    assert_eq!(branches().filter(|b| of(b) == ["opened"]).count(), 16, "those that came with it and after");
    let firsts = world.said.iter().filter(
        |body| matches!(body, Body::Incident(u) if u.incident.revision == 1 && u.incident.major == Some(major)),
    );
    assert_eq!(firsts.count(), 16);
    let updates = world.changes(major);
    assert_eq!((updates[0], updates.iter().filter(|c| **c == "opened").count()), ("opened", 1));
    assert!(updates[1..].iter().all(|change| *change == "updated"), "{updates:?}");
}

#[test]
fn a_major_incident_ends_with_the_last_of_its_branches_and_opens_again_with_one() {
    let mut world = World::new(|_| {});
    world.storm(0, 40, 0);
    world.pass(9 * MINUTE);
    world.recover(39, 10 * MINUTE);
    world.pass(20 * MINUTE);
    let major = world.major();
    assert_eq!((major.state, &*major.summary), (State::New, "One of 40 incidents is open, with 40 alerts in all."));
    assert_eq!(major.severity, Severity::Minor, "the critical one is over");
    world.event(39, Timestamp(21 * MINUTE), Status::Resolved);
    world.pass(30 * MINUTE);
    world.pass(31 * MINUTE);
    let major = world.major();
    assert!(world.branches().iter().all(|b| b.incident.state == State::Resolved));
    assert_eq!((major.state, major.severity), (State::Resolved, Severity::Critical), "as grave as it was");
    assert_eq!(major.resolved_at, Some(Timestamp(26 * MINUTE)), "with the last of them");
    for branch in world.branches() {
        assert_eq!(world.changes(branch.incident.id).last(), Some(&"resolved"), "each says so");
    }

    world.event(39, Timestamp(32 * MINUTE), Status::Firing);
    world.pass(33 * MINUTE);
    let open: Vec<_> = world.branches().into_iter().filter(|b| b.incident.state.is_open()).collect();
    assert_eq!((open.len(), open[0].incident.reopened), (1, 1));
    let major = world.major();
    assert_eq!((major.state, major.reopened, major.branch_count), (State::New, 1, 40));
    assert_eq!(world.changes(major.id).last(), Some(&"reopened"));
    world.event(39, Timestamp(34 * MINUTE), Status::Resolved);
    world.pass(45 * MINUTE);
    world.pass(46 * MINUTE);
    assert_eq!(world.major().state, State::Resolved);
    world.pass(30 * 60 * MINUTE);
    world.pass(31 * 60 * MINUTE);
    assert_eq!(world.major().state, State::Closed);
    assert!(world.branches().iter().all(|b| b.incident.state == State::Closed));
    world.pass(15 * 24 * 60 * MINUTE);
    world.pass(16 * 24 * 60 * MINUTE);
    assert!(world.incidents().is_empty(), "nothing of it is kept");
}

#[test]
fn fewer_are_no_storm_and_without_a_threshold_nothing_is() {
    for (threshold, alerts) in [(25, 24), (0, 40), (41, 40)] {
        let mut world = World::new(|policy| policy.raise.storm.incidents = threshold);
        world.storm(0, alerts, 0);
        world.pass(9 * MINUTE);
        let incidents = world.incidents();
        assert_eq!(incidents.len(), alerts);
        assert!(incidents.iter().all(|i| i.incident.major.is_none() && !i.incident.is_major()));
    }
}

#[test]
fn what_is_raised_far_apart_or_over_makes_no_storm() {
    let mut world = World::new(|_| {});
    for n in 0..30 {
        world.event(n, Timestamp(n as i64 * MINUTE), Status::Firing);
    }
    world.pass(60 * MINUTE);
    assert_eq!(world.incidents().iter().filter(|i| i.incident.is_major()).count(), 0, "five in each five minutes");

    let mut world = World::new(|policy| policy.raise.resolve = Span(0));
    for n in 0..80 {
        world.event(n, Timestamp(10_000 * n as i64), Status::Firing);
        world.event(n.saturating_sub(24), Timestamp(10_000 * n as i64 + 1), Status::Resolved);
    }
    (56..80).for_each(|n| world.event(n, Timestamp(10_000 * (n as i64 + 24) + 1), Status::Resolved));
    world.pass(20 * MINUTE);
    assert!(world.incidents().len() > 75);
    assert_eq!(world.incidents().iter().filter(|i| i.incident.is_major()).count(), 0, "never so many open at once");
}

#[test]
fn a_storm_lasts_while_half_as_many_come_as_make_one() {
    let mut world = World::new(|_| {});
    world.storm(0, 40, 0);
    // The last was raised at 4:33 + 3:00. Then one each 20 s, 15 in five minutes.
    (0..30).for_each(|n| world.event(40 + n, Timestamp(5 * MINUTE + 20_000 * n as i64), Status::Firing));
    world.pass(18 * MINUTE);
    assert_eq!(world.branches().len(), 70);
    // One a minute: five of them, with those before, make less than twelve.
    (0..20).for_each(|n| world.event(70 + n, Timestamp((16 + n as i64) * MINUTE), Status::Firing));
    world.pass(40 * MINUTE);
    let alone = world.incidents().into_iter().filter(|i| i.incident.major.is_none() && !i.incident.is_major());
    let (alone, branches) = (alone.count(), world.branches().len());
    assert_eq!(alone + branches, 90);
    assert!((1..5).contains(&(branches - 70)), "{branches}");
    assert_eq!(world.incidents().iter().filter(|i| i.incident.is_major()).count(), 1);
}

#[test]
fn after_ten_quiet_minutes_an_incident_stands_for_itself() {
    let mut world = World::new(|_| {});
    world.storm(0, 40, 0);
    world.event(40, Timestamp(15 * MINUTE), Status::Firing);
    world.pass(20 * MINUTE);
    let incidents = world.incidents();
    let last = &incidents.last().expect("some").incident;
    assert_eq!((incidents.len(), last.major, last.is_major()), (42, None, false));
    assert_eq!((world.branches().len(), world.major().state), (40, State::New));
}

#[test]
fn a_person_ends_a_storm_with_all_its_branches() {
    for state in [State::Resolved, State::Closed] {
        let mut world = World::new(|_| {});
        world.storm(0, 30, 0);
        world.pass(9 * MINUTE);
        world.recover(5, 10 * MINUTE);
        world.pass(20 * MINUTE);
        world.pass(21 * MINUTE);
        let major = world.major().id;
        assert_eq!(world.act(major, Act::State(state), 22 * MINUTE).0, Code::Ok);
        world.pass(23 * MINUTE);
        world.pass(24 * MINUTE);
        let ended = world.branches();
        let by_ann =
            ended.iter().filter(|b| b.incident.state == state && b.incident.resolved_by.as_deref() == Some("ann"));
        assert_eq!((by_ann.count(), ended.len()), (25, 30), "those that were open");
        for branch in ended.iter().filter(|b| b.incident.resolved_by.is_some()) {
            let last = branch.incident.timeline.back().expect("a past");
            assert_eq!((&*last.actor, &*last.kind), ("ann", state.name()));
            assert_eq!(world.changes(branch.incident.id).last(), Some(&state.name()));
        }
        let incident = world.major();
        assert_eq!((incident.state, incident.resolved_by.as_deref()), (state, Some("ann")));
        assert_eq!(incident.summary, "None of 30 incidents is open, with 30 alerts in all.");
        assert_eq!(world.changes(major).last(), Some(&state.name()), "{:?}", world.changes(major));
    }
}

#[test]
fn who_looks_after_a_storm_says_so_of_it_alone() {
    let mut world = World::new(|_| {});
    world.storm(0, 30, 0);
    world.pass(9 * MINUTE);
    let major = world.major().id;
    assert_eq!(world.act(major, Act::Acknowledge, 10 * MINUTE).0, Code::Ok);
    assert_eq!(world.act(major, Act::Assign("bob".to_owned()), 11 * MINUTE).0, Code::Ok);
    let incident = world.major();
    assert_eq!((incident.state, &*incident.assignee), (State::Acknowledged, "bob"));
    assert!(world.branches().iter().all(|b| b.incident.state == State::New));
}

#[test]
fn a_major_incident_has_no_alerts_to_merge_and_its_branches_have() {
    let mut world = World::new(|_| {});
    world.storm(0, 30, 0);
    world.pass(9 * MINUTE);
    let (major, branches) = (world.major().id, world.branches());
    let [a, b] = [branches[0].incident.id, branches[1].incident.id];
    let alert = branches[0].alerts[0].id;
    for (incident, act) in [
        (a, Act::Merge(major)),
        (major, Act::Merge(a)),
        (major, Act::Split(vec![alert])),
        (major, Act::Move { alerts: vec![alert], into: a }),
        (a, Act::Move { alerts: vec![alert], into: major }),
    ] {
        let (code, why) = world.act(incident, act.clone(), 10 * MINUTE);
        assert_eq!(code, Code::FailedPrecondition, "{act:?}: {why}");
        assert!(
            why.contains("it is a storm's major incident and has no alerts of its own: merge its branches"),
            "{why}"
        );
    }
    let relating = |relation| {
        let of = [About::Incident(major), About::Incident(a)];
        Action::Relate(Relating { of, relation, comment: String::new() })
    };
    for action in [
        relating(Relation::Together),
        relating(Relation::Apart),
        Action::WhyNot(Subject::Incident(a), Subject::Incident(major)),
    ] {
        let (code, why) = world.ask(action, 10 * MINUTE);
        assert_eq!((code, why.contains("has no alerts of its own")), (Code::FailedPrecondition, true), "{why}");
    }
    assert_eq!(world.act(a, Act::Merge(b), 10 * MINUTE).0, Code::Ok);
    world.pass(11 * MINUTE);
    world.pass(12 * MINUTE);
    let incident = world.major();
    assert_eq!((incident.state, incident.branch_count), (State::New, 30));
    assert_eq!(incident.summary, "29 of 30 incidents are open, with 30 alerts in all.");
}

#[test]
fn a_branch_that_comes_back_after_its_storm_was_closed_stands_for_itself() {
    let mut world = World::new(|_| {});
    world.storm(0, 30, 0);
    world.pass(9 * MINUTE);
    world.recover(1, 10 * MINUTE);
    world.pass(20 * MINUTE);
    world.pass(21 * MINUTE);
    let (major, first) = (world.major().id, world.branches()[0].incident.id);
    assert_eq!(world.act(major, Act::State(State::Closed), 22 * MINUTE).0, Code::Ok);
    world.event(0, Timestamp(23 * MINUTE), Status::Firing);
    world.pass(24 * MINUTE);
    let incident = world.incidents().into_iter().find(|i| i.incident.id == first).expect("it is kept").incident;
    assert_eq!((incident.major, incident.state), (None, State::New));
    assert_eq!(world.changes(first).last(), Some(&"no branch"));
    let major = world.major();
    assert_eq!((major.branch_count, major.branches.contains(&first), major.state), (29, false, State::Closed));
}

#[test]
fn at_the_limit_of_incidents_both_ends_stay_true() {
    let mut world = World::new(|policy| {
        policy.raise.storm.incidents = 5;
        policy.limits.incidents = 12;
    });
    for n in 0..60 {
        world.event(n, Timestamp(GAP.0 * n as i64), Status::Firing);
        let incidents = world.incidents();
        assert!(incidents.len() <= 12, "{}", incidents.len());
    }
    world.pass(20 * MINUTE);
    world.pass(21 * MINUTE);
    let incidents = world.incidents();
    let kept: BTreeSet<_> = incidents.iter().map(|i| i.incident.id).collect();
    let majors = || incidents.iter().filter(|i| i.incident.is_major());
    assert!(majors().count() >= 1);
    for branch in incidents.iter().filter(|i| i.incident.state.is_open()) {
        if let Some(major) = branch.incident.major {
            let of = majors().find(|m| m.incident.id == major);
            assert!(
                of.is_some_and(|m| m.incident.branches.contains(&branch.incident.id)),
                "{}",
                branch.incident.number
            );
        }
    }
    for major in majors().filter(|m| m.incident.state.is_open()) {
        assert!(major.incident.branches.iter().any(|b| kept.contains(b)), "{}", major.incident.number);
    }
}
