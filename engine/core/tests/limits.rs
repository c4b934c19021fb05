//! Everything kept has a maximum, and a victim chosen by rule (rule 16).
use quell_core::{
    domain::{
        event::{Event, Kind, Status},
        policy::{Clock, Policy, Silence},
        severity::Severity,
        time::{Span, Timestamp},
        topology::Topology,
    },
    engine::{Engine, Input, Pack},
    ledger::Outcome,
    output::{Body, Outputs},
};
use std::sync::Arc;

mod told;

const SECOND: i64 = 1_000;

struct World {
    engine: Engine,
    said: Vec<Body>,
    position: u64,
}

impl World {
    fn new(edit: impl FnOnce(&mut Policy)) -> Self {
        let mut policy = Policy { clock: Clock::Events, ..Policy::default() };
        edit(&mut policy);
        let engine = Engine::new([1; 16], Arc::new(policy), Arc::new(Topology::default()));
        Self { engine, said: Vec::new(), position: 0 }
    }

    fn fold(&mut self, input: Input) {
        let mut out = Outputs::default();
        self.engine.step(self.position, &input, &mut out).expect("the journal is its own");
        self.position += 1;
        self.said.extend(out.items.into_iter().map(|o| o.body));
    }

    fn event(&mut self, second: i64, entity: &str, status: Status, edit: impl FnOnce(&mut Event)) {
        let at = Timestamp(second * SECOND);
        let mut event = told::event(self.position, at, entity, status);
        edit(&mut event);
        self.fold(Input::Pack(Pack { range: None, events: vec![event], rejected: Vec::new() }));
    }

    fn fires(&mut self, second: i64, entity: &str) {
        self.event(second, entity, Status::Firing, |_| {});
    }

    fn recovers(&mut self, second: i64, entity: &str) {
        self.event(second, entity, Status::Resolved, |_| {});
    }

    /// Entities of the alerts that are kept; with a `-` before those that are clear.
    fn kept(&mut self) -> Vec<String> {
        let alerts = self.engine.views().remove(0).alerts;
        let mut kept: Vec<_> =
            alerts.iter().map(|a| format!("{}{}", if a.alert.open { "" } else { "-" }, a.alert.entity)).collect();
        kept.sort();
        kept
    }

    fn count(&self, outcome: Outcome) -> u64 {
        self.engine.ledger_counts().filter(|(_, o, _)| *o == outcome).map(|(_, _, n)| n).sum()
    }
}

#[test]
fn cleared_alerts_make_room_before_open_ones_and_the_longest_silent_first() {
    let mut world = World::new(|policy| policy.limits.alerts = 3);
    world.fires(0, "a");
    world.fires(1, "b");
    world.fires(2, "c");
    world.recovers(3, "b");
    world.fires(4, "d");
    assert_eq!(world.kept(), ["a", "c", "d"]);
    world.fires(5, "a");
    world.fires(6, "e");
    assert_eq!(world.kept(), ["a", "d", "e"], "c has been silent for longest");
    let ended = world
        .said
        .iter()
        .any(|body| matches!(body, Body::Alert(u) if &*u.alert.entity == "c" && !u.alert.open && u.alert.expired));
    assert!(ended, "an open alert that goes is said to be cleared");
    assert_eq!(world.engine.scopes()[0].evicted().alerts, 2);
}

#[test]
fn a_storm_of_new_alerts_stays_within_the_limits() {
    let mut world = World::new(|policy| {
        policy.limits.alerts = 20;
        policy.limits.incidents = 5;
        policy.raise.settle = Span(0);
        policy.deduplicate.auto_clear = Span::hours(24);
    });
    for n in 0..2_000 {
        world.fires(n, &format!("host-{n}"));
        if n % 3 == 0 {
            world.recovers(n, &format!("host-{n}"));
            world.recovers(n, &format!("never-fired-{n}"));
        }
    }
    assert!(world.kept().len() <= 20);
    let view = world.engine.views().remove(0);
    assert!(view.incidents.len() <= 5);
    let scope = &world.engine.scopes()[0];
    assert!(scope.episodes() <= 25, "{} episodes", scope.episodes());
    assert!(scope.timers() < 400, "{} timers", scope.timers());
}

#[test]
fn closed_incidents_make_room_before_new_ones() {
    let mut world = World::new(|policy| {
        policy.limits.incidents = 2;
        policy.raise.settle = Span(0);
        policy.raise.resolve = Span(0);
        policy.raise.close = Span(0);
    });
    world.fires(0, "open");
    world.fires(1, "closed");
    world.recovers(2, "closed");
    world.fires(600, "third");
    world.fires(601, "other");
    let view = world.engine.views().remove(0);
    let mut titles: Vec<_> = view.incidents.iter().map(|i| i.incident.title.clone()).collect();
    titles.sort();
    assert_eq!(titles, ["up on open", "up on third"]);
    assert!(world.said.iter().any(|body| matches!(body, Body::IncidentGone { .. })));
}

#[test]
fn what_has_ended_is_forgotten_with_its_timers() {
    let mut world = World::new(|policy| policy.deduplicate.auto_clear = Span::hours(1));
    for n in 0..50 {
        let entity = format!("host-{n}");
        world.event(n, &entity, Status::Firing, |event| event.severity = Severity::Info);
        world.fires(n + 200, &entity);
        world.recovers(n + 500, &entity);
        world.fires(n + 600, &entity);
        // A second recovery puts the forgetting off, and not for ever.
        world.recovers(n + 700, &entity);
        world.recovers(n + 900, &entity);
    }
    for change in 0..20 {
        world.event(
            1_000 + 20 * change,
            "flaps",
            if change % 2 == 0 { Status::Firing } else { Status::Resolved },
            |_| {},
        );
        world.event(1_000 + 20 * change, "clock", Status::Firing, |event| "Watchdog".clone_into(&mut event.check));
        world.event(1_000 + change, "many", Status::Firing, |event| event.identity = format!("replica-{change}"));
    }
    world.fold(Input::Settle);
    let scope = &world.engine.scopes()[0];
    assert_eq!((scope.episodes(), scope.timers()), (0, 0));
    let view = world.engine.views().remove(0);
    assert!(view.alerts.is_empty() && view.incidents.is_empty());
}

#[test]
fn scopes_over_the_limit_are_over_quota() {
    let mut world = World::new(|policy| policy.limits.scopes = 2);
    for scope in ["one", "two", "three", "one", "three"] {
        world.event(0, "host", Status::Firing, |event| scope.clone_into(&mut event.scope));
    }
    assert_eq!(world.engine.scopes().len(), 2);
    assert_eq!(
        (world.count(Outcome::OverQuota), world.count(Outcome::Opened), world.count(Outcome::Folded)),
        (2, 2, 1)
    );
}

#[test]
fn recoveries_without_a_problem_are_held_within_a_limit() {
    let mut world = World::new(|policy| policy.limits.alerts = 2);
    for (second, entity) in [(0, "a"), (1, "b"), (2, "c"), (3, "a"), (4, "a")] {
        world.recovers(second, entity);
    }
    assert_eq!((world.count(Outcome::OverQuota), world.count(Outcome::OrphanResolve)), (1, 2));
    assert_eq!(world.engine.scopes()[0].ledger().held, 2);
    world.fold(Input::Settle);
    assert_eq!((world.engine.scopes()[0].ledger().held, world.count(Outcome::OrphanResolve)), (0, 4));
}

#[test]
fn an_id_is_known_for_the_horizon_and_no_longer() {
    let mut world = World::new(|_| {});
    let again = |world: &mut World, at: i64, said: i64| {
        world.event(at, "clock", Status::Firing, |_| {});
        world.event(said, "host", Status::Firing, |event| event.id = "same".to_owned());
    };
    again(&mut world, 0, 0);
    again(&mut world, 60, 0);
    assert_eq!(world.count(Outcome::Redelivered), 1);
    // Known again at 60 s: until 660 s.
    again(&mut world, 661, 0);
    assert_eq!(world.count(Outcome::Redelivered), 1);
}

#[test]
fn no_more_ids_are_known_than_the_limit_allows() {
    let mut world = World::new(|policy| policy.limits.ids = 3);
    let mut told = |id: &str| {
        world.event(0, "host", Status::Firing, |event| id.clone_into(&mut event.id));
        world.count(Outcome::Redelivered)
    };
    for id in ["a", "b", "c", "d"] {
        assert_eq!(told(id), 0);
    }
    assert_eq!((told("a"), told("d")), (0, 1));
    // b, c and a made room; what goes at its horizon is no eviction.
    assert_eq!(world.engine.scopes()[0].evicted().ids, 3);
    world.event(3_600, "host", Status::Firing, |event| event.id = "later".to_owned());
    assert_eq!(world.engine.scopes()[0].evicted().ids, 3);
}

#[test]
fn totals_go_on_where_a_snapshot_was_taken() {
    let mut world = World::new(|policy| policy.raise.settle = Span(0));
    for n in 0..3 {
        world.fires(n * 600, &format!("host-{n}"));
        world.recovers(n * 600 + 60, &format!("host-{n}"));
    }
    // Two hours later everything is past, and the totals stand.
    world.fires(9_000, "host-0");
    let totals = world.engine.scopes()[0].totals();
    assert_eq!((totals.alerts, totals.episodes, totals.incidents), (4, 4, 3), "the fourth is not yet raised");
    let policy = Arc::new(world.engine.policy().clone());
    let snapshot = world.engine.snapshot().expect("memory has a form as bytes");
    let restored = Engine::restore(&snapshot, policy, vec![Arc::new(Topology::default())]).expect("its own snapshot");
    assert_eq!(restored.scopes()[0].totals(), totals);
}

#[test]
fn a_problem_and_its_recovery_may_share_an_id() {
    let mut world = World::new(|_| {});
    for _ in 0..3 {
        world.event(0, "host", Status::Firing, |event| event.id = "same".to_owned());
        world.event(5, "host", Status::Resolved, |event| event.id = "same".to_owned());
    }
    assert_eq!(
        (world.count(Outcome::Opened), world.count(Outcome::Cleared), world.count(Outcome::Redelivered)),
        (1, 1, 4)
    );
    assert_eq!(world.engine.scopes()[0].ledger().id_reused, 1);
}

#[test]
fn origins_over_the_limit_are_counted_together() {
    let mut world = World::new(|policy| policy.limits.origins = 2);
    for origin in ["a", "b", "c", "d"] {
        world.event(0, "host", Status::Firing, |event| origin.clone_into(&mut event.origin));
    }
    let origins: Vec<_> = world.engine.ledger_counts().map(|(origin, _, n)| (origin.to_string(), n)).collect();
    assert_eq!(origins, [("(other)".to_owned(), 2), ("a".to_owned(), 1), ("b".to_owned(), 1)]);
}

#[test]
fn an_episode_takes_alerts_up_to_its_limit() {
    let mut world = World::new(|policy| {
        policy.limits.alerts_per_episode = 4;
        policy.raise.settle = Span(0);
    });
    for n in 0..10 {
        world.event(n, "host", Status::Firing, |event| event.check = format!("check-{n}"));
    }
    world.fold(Input::Tick(Timestamp(60 * SECOND)));
    let sizes: Vec<_> = world.engine.views().remove(0).incidents.iter().map(|i| i.alert_count).collect();
    assert_eq!((sizes.iter().max(), sizes.iter().sum::<usize>()), (Some(&4), 10));
}

#[test]
fn an_origin_whose_clock_is_off_is_named_with_its_skew() {
    let mut world = World::new(|policy| policy.clock = Clock::Wall);
    for n in 0..60 {
        let off_by = |origin: &str, seconds: i64| {
            let origin = origin.to_owned();
            move |event: &mut Event| {
                event.origin = origin;
                event.time = event.arrival + Span::seconds(seconds);
            }
        };
        world.event(10_000 + n * 10, "a", Status::Firing, off_by("ahead", 3_600));
        world.event(10_000 + n * 10, "b", Status::Firing, off_by("behind", -7_200));
        world.event(10_000 + n * 10, "c", Status::Firing, off_by("slow", -90));
    }
    let skews: Vec<_> = world.engine.skews().map(|(origin, skew)| (origin.to_string(), skew)).collect();
    assert_eq!(skews, [("ahead".to_owned(), Span::seconds(3_600)), ("behind".to_owned(), Span::seconds(-7_200))]);
}

#[test]
fn a_snapshot_needs_the_topologies_of_the_last_moments() {
    let mut world = World::new(|_| {});
    world.fires(0, "host");
    let topology = |n: u64| {
        let file = format!(r#"{{"entities":[{{"id":"host","labels":{{"version":"{n}"}}}}]}}"#);
        Arc::new(Topology::new(&serde_json::from_str(&file).expect("a topology file")).expect("valid"))
    };
    for version in 2..=12 {
        world.fold(Input::Topology { version, topology: topology(version) });
        world.fires(i64::try_from(version).expect("small") * 10, "other");
    }
    let bytes = world.engine.snapshot().expect("memory has a form as bytes");
    let versions = Engine::snapshot_versions(&bytes).expect("its own");
    assert_eq!((versions.topology(), versions.topologies.clone()), (12, (5..=12).collect()));

    let policy = || Arc::new(world.engine.policy().clone());
    let all: Vec<_> = versions.topologies.iter().map(|version| topology(*version)).collect();
    assert!(Engine::restore(&bytes, policy(), all[1..].to_vec()).is_err());
    let restored = Engine::restore(&bytes, policy(), all).expect("its own snapshot");
    world.engine = restored;
    // Version 10 took effect at 90 s, 11 at 100 s.
    for (second, version) in [(95, "10"), (100, "11"), (120, "12"), (1, "5")] {
        let check = format!("at {second}");
        world.event(second, "host", Status::Firing, |event| check.clone_into(&mut event.check));
        let found = world.engine.views().remove(0).alerts.into_iter().find(|a| *a.alert.check == *check);
        assert_eq!(found.expect("it opened").alert.labels[0].1.as_ref(), version, "{second}");
    }
}

#[test]
fn series_over_the_limit_go_the_longest_unseen_first_and_all_in_time() {
    let mut world = World::new(|policy| {
        policy.limits.series = 3;
        policy.score.keep = Span::hours(1);
        policy.score.threshold = serde_json::from_str(r#"[{"check": "up", "critical": 5}]"#).expect("thresholds");
    });
    let sample = |world: &mut World, second, entity: &str, value| {
        world.event(second, entity, Status::Firing, |event| (event.kind, event.value) = (Kind::Sample, Some(value)));
    };
    for (second, entity) in [(0, "a"), (1, "b"), (2, "c"), (3, "a"), (4, "d")] {
        sample(&mut world, second, entity, 1.0);
    }
    assert_eq!((world.engine.scopes()[0].series(), world.engine.scopes()[0].evicted().series), (3, 1));
    // `b` is gone: an older sample is the first of its series, and not late as one of `a` is.
    sample(&mut world, 0, "a", 9.0);
    sample(&mut world, 0, "b", 9.0);
    assert_eq!((world.kept(), world.count(Outcome::Late)), (vec!["b".to_owned()], 1));
    world.fold(Input::Tick(Timestamp(2 * 3_600 * SECOND)));
    assert_eq!(world.engine.scopes()[0].series(), 0);
}

#[test]
fn shapes_are_looked_at_of_so_many_series_and_of_more_when_some_are_gone() {
    let mut world = World::new(|policy| {
        policy.limits.shapes = 2;
        policy.score.keep = Span::hours(1);
        policy.score.shapes = vec!["u*".to_owned()];
    });
    let sample = |world: &mut World, second, entity: &str| {
        world.event(second, entity, Status::Firing, |event| (event.kind, event.value) = (Kind::Sample, Some(1.0)));
    };
    let short = |world: &World| world.engine.scopes()[0].evicted().shapes;
    ["a", "b", "c", "a", "c"].iter().for_each(|entity| sample(&mut world, 0, entity));
    assert_eq!(short(&world), 1, "it is asked once");
    world.fold(Input::Tick(Timestamp(2 * 3_600 * SECOND)));
    ["d", "e"].iter().for_each(|entity| sample(&mut world, 2 * 3_600, entity));
    assert_eq!(short(&world), 1, "those of before are gone");
    sample(&mut world, 2 * 3_600, "f");
    assert_eq!(short(&world), 2);
}

#[test]
fn a_settled_recording_misses_no_series() {
    let mut world = World::new(|policy| policy.score.silence = Silence::All);
    for n in 0..9 {
        world.event(60 * n, "a", Status::Firing, |event| (event.kind, event.value) = (Kind::Sample, Some(1.0)));
    }
    world.fold(Input::Settle);
    assert!(!world.said.iter().any(|body| matches!(body, Body::Alert(_))), "{:?}", world.said);
    world.event(600, "a", Status::Firing, |event| (event.kind, event.value) = (Kind::Sample, Some(1.0)));
    assert_eq!(world.count(Outcome::Sampled), 10);
}

#[test]
fn what_correlation_learns_is_bounded() {
    let mut world = World::new(|policy| {
        policy.limits.checks = 8;
        policy.limits.entities = 8;
        policy.limits.label_values = 40;
        policy.limits.alerts = 8;
        policy.limits.rhythms = 8;
        policy.limits.ids = 8;
        policy.limits.origins = 1;
    });
    let mut sizes = Vec::new();
    for n in 0..4_000 {
        world.event(20 * n, &format!("host-{n}.example.net"), Status::Firing, |event| {
            event.check = format!("check-{n}");
            event.labels = (0..5).map(|l| (format!("l{l}"), format!("value-{n}-{l}"))).collect();
        });
        world.event(20 * n + 5, &format!("host-{n}.example.net"), Status::Resolved, |event| {
            event.check = format!("check-{n}")
        });
        if n % 1_000 == 999 {
            sizes.push(world.engine.snapshot().expect("memory has a form").len());
        }
    }
    assert!(sizes[3] < sizes[1] + sizes[1] / 10, "{sizes:?}");
    assert_eq!(world.engine.scopes()[0].evicted().rhythms, 4_000 - 8);
}
