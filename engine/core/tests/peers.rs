//! Series that leave their peers, over what changes around them: the topology, a restart, a person's word, time.
use quell_core::{
    domain::{
        command::{Action, Command},
        event::{Event, Kind, Status},
        policy::{Clock, Policy, Silence},
        time::{Span, Timestamp},
        topology::Topology,
    },
    engine::{Engine, Input, Pack},
    output::{Body, Outputs},
};
use std::sync::Arc;

mod told;

const SERVICE: &str = r#"{"services":[{"id":"web","entities":["h0","h1","h2","h3","h4"],
    "kpis":[{"id":"cpu","series":{"check":"cpu"},"thresholds":{"critical":1000}}]}]}"#;

fn topology(text: &str) -> Arc<Topology> {
    Arc::new(Topology::new(&serde_json::from_str(text).expect("a file")).expect("a topology"))
}

fn policy(edit: impl FnOnce(&mut Policy)) -> Arc<Policy> {
    let mut policy = Policy { clock: Clock::Events, ..Policy::default() };
    policy.score.silence = Silence::None;
    edit(&mut policy);
    Arc::new(policy)
}

struct World {
    engine: Engine,
    position: u64,
    minute: i64,
    said: Vec<Body>,
}

impl World {
    fn new(text: &str, edit: impl FnOnce(&mut Policy)) -> Self {
        let engine = Engine::new([1; 16], policy(edit), topology(text));
        Self { engine, position: 0, minute: 0, said: Vec::new() }
    }

    fn fold(&mut self, input: &Input) {
        let mut out = Outputs::default();
        self.engine.step(self.position, input, &mut out).expect("the journal is its own");
        self.position += 1;
        self.said.extend(out.items.into_iter().map(|o| o.body));
    }

    /// So many minutes of a wave on five hosts, of which one is flat where it `leaves`.
    fn pass(&mut self, minutes: i64, leaves: bool) {
        const WAVE: [f64; 8] = [20.0, 30.0, 45.0, 60.0, 70.0, 60.0, 45.0, 30.0];
        for _ in 0..minutes {
            self.pass_one(|minute, host| {
                let value = WAVE[(minute % 8) as usize] + host as f64 + (minute % 3) as f64;
                if leaves && host == 2 { 46.0 + (minute % 2) as f64 } else { value }
            });
        }
    }

    /// A minute of five hosts, by minute and host.
    fn pass_one(&mut self, value: impl Fn(i64, i64) -> f64) {
        for host in 0..5 {
            let at = Timestamp(self.minute * 60_000);
            let event = told::event(self.position, at, &format!("h{host}"), Status::Firing);
            let value = Some(value(self.minute, host));
            let event = Event { kind: Kind::Sample, value, check: "cpu".to_owned(), ..event };
            self.fold(&Input::Pack(Pack { range: None, events: vec![event], rejected: Vec::new() }));
        }
        self.minute += 1;
    }

    /// A person's word on the one that is told of.
    fn normal(&mut self, undo: bool) {
        let alerts = self.engine.views().remove(0).alerts;
        let alert = alerts.iter().find(|update| &*update.alert.check == "cpu apart").expect("one was told of").alert.id;
        let at = Timestamp(self.minute * 60_000);
        let (actor, scope, request_id) = ("ann".to_owned(), "default".to_owned(), self.position.to_string());
        let action = Action::MarkNormal { alert, undo };
        self.fold(&Input::Command(Command { request_id, actor, scope, at, action, digest: 0 }));
    }

    /// Alerts of peers that are open, and what they say.
    fn apart(&mut self) -> Vec<(String, String)> {
        let alerts = self.engine.views().remove(0).alerts;
        let of = |alert: &&quell_core::output::AlertUpdate| alert.alert.open && &*alert.alert.check == "cpu apart";
        alerts.iter().filter(of).map(|a| (a.alert.entity.to_string(), a.alert.summary.to_string())).collect()
    }
}

#[test]
fn one_of_a_kpi_leaves_its_peers_and_says_how() {
    let mut world = World::new(SERVICE, |_| {});
    world.pass(120, false);
    assert_eq!(world.apart(), []);
    world.pass(40, true);
    let [(entity, summary)] = &world.apart()[..] else { panic!("{:?}", world.apart()) };
    assert_eq!(entity, "h2");
    assert!(summary.starts_with("cpu of h2 leaves its 4 peers: 4") && summary.contains(", theirs "), "{summary}");
    world.pass(40, false);
    assert_eq!(world.apart(), []);
}

/// While its own series tells of it, that it has left says nothing more; and when that is over, it is back beside them.
#[test]
fn one_whose_own_trouble_is_over_has_not_left() {
    let mut world = World::new(SERVICE, |_| {});
    let steady = |minute: i64, host: i64| 50.0 + (minute * 7 + host * 3).rem_euclid(5) as f64;
    let fails = |minute: i64, host: i64| if host == 2 { 0.0 } else { steady(minute, host) };
    (0..1_500).for_each(|_| world.pass_one(steady));
    (0..60).for_each(|_| world.pass_one(fails));
    let told = |world: &World, word: &str| {
        let of = |body: &&Body| matches!(body, Body::Alert(update) if *update.alert.check == *word);
        world.said.iter().filter(of).count()
    };
    assert!(told(&world, "cpu unusual") > 0);
    (0..120).for_each(|_| world.pass_one(steady));
    assert_eq!(told(&world, "cpu apart"), 0);
}

fn rule(policy: &mut Policy, rule: &str) {
    policy.score.cohesion.peers = serde_json::from_str(rule).expect("a rule");
}

#[test]
fn peers_are_those_of_a_kpi_or_of_a_rule() {
    let flat = |text: &str, edit: fn(&mut Policy)| {
        let mut world = World::new(text, edit);
        world.pass(120, false);
        world.pass(40, true);
        world.apart().len()
    };
    assert_eq!(flat("{}", |_| {}), 0, "nothing is known of them");
    assert_eq!(flat(SERVICE, |policy| policy.score.cohesion.kpis = false), 0);
    assert_eq!(flat(&SERVICE.replace(r#""id":"cpu","#, r#""id":"cpu","importance":0,"#), |_| {}), 0);
    let by = [
        flat("{}", |policy| rule(policy, r#"[{"check":"c*","entity":"h*"}]"#)),
        flat("{}", |policy| rule(policy, r#"[{"check":"c*","same_service":true}]"#)),
        flat(SERVICE, |policy| rule(policy, r#"[{"check":"c*","same_service":true}]"#)),
        flat(SERVICE, |policy| rule(policy, r#"[{"check":"c*","entity":"h2"}]"#)),
    ];
    assert_eq!(by, [1, 0, 1, 0]);
}

#[test]
fn who_is_no_peer_any_more_has_left_none() {
    let mut world = World::new(SERVICE, |_| {});
    world.pass(120, false);
    world.pass(40, true);
    assert_eq!(world.apart().len(), 1);
    world.fold(&Input::Topology { version: 2, topology: topology("{}") });
    world.pass(1, true);
    assert_eq!(world.apart(), []);
}

#[test]
fn what_lasts_is_the_new_usual() {
    let mut world = World::new(SERVICE, |policy| policy.score.new_usual = Span::hours(1));
    world.pass(120, false);
    world.pass(40, true);
    assert_eq!(world.apart().len(), 1);
    world.pass(60, true);
    assert_eq!(world.apart(), []);
}

#[test]
fn where_a_member_stood_is_usual_again_once_a_word_is_taken_back() {
    let mut world = World::new(SERVICE, |_| {});
    world.pass(400, false);
    world.pass(40, true);
    assert_eq!(world.apart().len(), 1);
    world.normal(false);
    world.pass(5, true);
    assert_eq!(world.apart(), []);
    world.normal(true);
    world.pass(20, true);
    assert_eq!(world.apart().len(), 1, "it is not looked at anew");
    world.pass(40, false);
    assert_eq!(world.apart(), []);
}

#[test]
fn equal_states_are_equal_bytes_and_go_on_alike() {
    let mut world = World::new(SERVICE, |_| {});
    world.pass(120, false);
    world.pass(20, true);
    assert_eq!(world.apart().len(), 1);
    let bytes = world.engine.snapshot().expect("memory has a form");
    let engine = Engine::restore(&bytes, policy(|_| {}), vec![topology(SERVICE)]).expect("a snapshot");
    assert!(engine.snapshot().expect("memory has a form") == bytes);
    let mut again = World { engine, said: Vec::new(), ..world };
    let mut world = World::new(SERVICE, |_| {});
    world.pass(120, false);
    world.pass(20, true);
    world.said.clear();
    for one in [&mut world, &mut again] {
        one.pass(20, true);
        one.pass(40, false);
    }
    assert_eq!(world.said, again.said);
    assert!(world.engine.snapshot().expect("a form") == again.engine.snapshot().expect("a form"));
}

/// Noise that all share, and that of each: of the first hosts little.
fn noisy(minute: i64, host: i64, quiet: i64) -> f64 {
    let noise = |n: i64| ((n * 7_919 + n * n * 31) % 101) as f64 / 50.0 - 1.0;
    50.0 + 2.0 * noise(minute) + noise(5 * minute + host) * if host < quiet { 0.5 } else { 3.0 }
}

/// Some move so much for what is usual of them that they are told of, others do not. What they do is learned of all of them or of none, or they
/// would be off each other when it ends.
#[test]
fn what_all_do_takes_nobody_from_the_others_though_it_is_told_of_some() {
    let mut some = 0;
    for (quiet, moved) in [(1, 8.0), (4, 8.0), (1, 12.0), (4, 12.0)] {
        let mut world = World::new(SERVICE, |_| {});
        for minute in 0..860 {
            let all = if (700..820).contains(&minute) { moved } else { 0.0 };
            world.pass_one(|minute, host| noisy(minute, host, quiet) + all);
            assert_eq!(world.apart(), [], "{quiet} {moved} {minute}");
        }
        let is_told = |body: &Body| matches!(body, Body::Alert(_));
        some += usize::from(world.said.iter().any(is_told));
    }
    assert!(some >= 3, "nobody is told of anything");
}

/// For good, that is: it is the new usual of those who are told of it, and of those who are not.
#[test]
fn what_all_go_on_doing_is_usual_for_all_of_them() {
    let mut world = World::new(SERVICE, |policy| policy.score.new_usual = Span::hours(1));
    for minute in 0..900 {
        let all = if minute >= 700 { 12.0 } else { 0.0 };
        world.pass_one(|minute, host| noisy(minute, host, 4) + all);
        assert_eq!(world.apart(), [], "{minute}");
    }
    let open = world.engine.views().remove(0).alerts.iter().filter(|update| update.alert.open).count();
    assert_eq!(open, 0);
}
