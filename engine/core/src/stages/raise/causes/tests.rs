use super::{
    odds::{Alerts, confidence, shares},
    reach::Way,
};
use crate::{
    domain::{
        alert::{Alert, AlertId, Fingerprint},
        check::CheckKind,
        episode::{Evidence, Member, Reason},
        event::{Event, Kind, Status},
        policy::{CausalEdge, CauseModel, Policy},
        severity::Severity,
        time::{Span, Timestamp},
        topology::{Topology, TopologyFile},
    },
    shared,
    stages::correlate::tables::Tables,
};

fn topology(text: &str) -> Topology {
    let file: TopologyFile = serde_json::from_str(text).expect("a topology file");
    Topology::new(&file).expect("valid")
}

fn member(entity: &str, check: &str, seconds: i64, labels: &[(&str, &str)]) -> Member {
    let at = Timestamp(1_000 * seconds);
    let event = Event {
        id: String::new(),
        time: at,
        started_at: None,
        ended_at: None,
        origin: "test".to_owned(),
        entity: entity.to_owned(),
        check: check.to_owned(),
        status: Status::Firing,
        severity: Severity::Major,
        summary: String::new(),
        value: None,
        labels: Vec::new(),
        service: String::new(),
        scope: "any".to_owned(),
        fingerprint: String::new(),
        identity: String::new(),
        kind: Kind::Alert,
        arrival: at,
        offset: 0,
        part: 0,
    };
    let mut alert = Alert::open(AlertId(0), Fingerprint(0), &event, at);
    alert.labels = shared::labels(labels.iter().map(|(key, value)| (shared::text(key), shared::text(value))).collect());
    Member::of(&alert, Reason::First, Evidence::default(), 0)
}

/// The units of an incident by their odds, the likeliest first.
fn ranked(members: &[Member], topology: &Topology, policy: &Policy) -> Vec<(String, f64)> {
    let members: Vec<&Member> = members.iter().collect();
    let alerts = Alerts::new(&members, topology, "any", policy, &Tables::new(&policy.correlate));
    let weighed = alerts.suspects().into_iter().filter_map(|unit| alerts.weigh(unit));
    let mut all: Vec<(String, f64)> = weighed.map(|w| (alerts.map.order(w.unit).1.to_owned(), w.odds)).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    all
}

fn odds_of(all: &[(String, f64)], id: &str) -> f64 {
    all.iter().find(|(known, _)| known == id).map_or(0.0, |(_, odds)| *odds)
}

/// Who depends on `db`: so many services, each with its pod on a host of its own.
fn callers(n: usize) -> String {
    let service = |n: usize| format!(r#"{{"id":"s{n:02}","entities":["pod-{n:02}"],"depends_on":["db"]}}"#);
    let pod = |n: usize| format!(r#"{{"id":"pod-{n:02}","on":["host-{n:02}"]}}"#);
    let join = |of: &dyn Fn(usize) -> String| (0..n).map(of).collect::<Vec<_>>().join(",");
    format!(
        r#"{{"entities":[{{"id":"db-1","on":["rack"]}},{}],"services":[{{"id":"db","entities":["db-1"]}},{}]}}"#,
        join(&pod),
        join(&service)
    )
}

const CHAIN: &str = r#"{"entities":[{"id":"db-1","on":["host"]},{"id":"pay-1"}],
    "services":[{"id":"db","entities":["db-1"]},{"id":"pay","entities":["pay-1"],"depends_on":["db"]},
        {"id":"shop","depends_on":["pay"]},{"id":"mail"}]}"#;

#[test]
fn how_far_trouble_shows_is_by_the_kind_of_check() {
    let (topology, policy) = (topology(CHAIN), Policy::default());
    let reached = |check: CheckKind, id: &'static str| {
        let mut map = super::reach::Map::new(&[], &topology, "any", &policy.raise.cause);
        let unit = map.meet(id);
        let spread = map.spread(unit, check);
        let of = |suspect| spread.get(&map.unit(suspect)?).map(|r| ((r.chance * 1_000.0) as u32, r.way, r.suggests));
        ["db", "pay", "shop", "host"].map(of)
    };
    use Way::{Carried, Depends, Idle, Itself};
    let own = reached(CheckKind::Own, "db-1");
    assert_eq!(own, [Some((1_000, Itself, true)), None, None, Some((900, Carried, true))]);
    let own = reached(CheckKind::Own, "shop");
    assert_eq!(own, [None, None, Some((1_000, Itself, true)), None], "a full disk does not come from a dependency");
    let symptom = reached(CheckKind::Symptom, "shop");
    let (far, near, host) = (Some((360, Depends, true)), Some((600, Depends, true)), Some((324, Depends, true)));
    assert_eq!(symptom, [far, near, Some((1_000, Itself, true)), host]);
    // Nobody asks the database any more: its callers may be ill.
    let traffic = reached(CheckKind::Traffic, "db");
    assert_eq!(traffic[1..3], [Some((600, Idle, true)), Some((360, Idle, true))]);
    assert_eq!(reached(CheckKind::Symptom, "db")[1], None);
}

#[test]
fn an_alert_of_one_host_of_a_service_comes_from_what_that_depends_on_too() {
    let text = r#"{"services":[{"id":"db","entities":["db-1","db-2"]},{"id":"pay","entities":["p1","p2"],"depends_on":["db"]}]}"#;
    let (topology, policy) = (topology(text), Policy::default());
    let all = ranked(&[member("p1", "errors", 0, &[]), member("p2", "errors", 0, &[])], &topology, &policy);
    assert!(odds_of(&all, "db") > 0.0 && odds_of(&all, "db-1") > 0.0, "{all:?}");
    assert_eq!(all[0].0, "p1", "one of both, by way of the service");
}

#[test]
fn what_many_depend_on_is_the_cause_without_an_alert_of_its_own() {
    let (topology, policy) = (topology(&callers(6)), Policy::default());
    let members: Vec<Member> = (0..6).map(|n| member(&format!("pod-{n:02}"), "errors", 0, &[])).collect();
    assert_eq!(ranked(&members, &topology, &policy)[0].0, "db");
    assert_eq!(ranked(&members[..2], &topology, &policy)[0].0, "s00", "two are not enough, with four that are well");
    // A condition of the pods themselves does not come from it.
    let full: Vec<Member> = (0..6).map(|n| member(&format!("pod-{n:02}"), "disk full", 0, &[])).collect();
    assert_eq!(odds_of(&ranked(&full, &topology, &policy), "db"), 0.0);
}

#[test]
fn sufferers_without_an_alert_speak_against_a_cause() {
    let policy = Policy::default();
    let members = [member("db-1", "latency", 0, &[]), member("pod-00", "errors", 0, &[])];
    let odds = |callers_of: usize| odds_of(&ranked(&members, &topology(&callers(callers_of)), &policy), "db");
    let (few, many) = (odds(1), odds(40));
    let missed = (0..39).fold(1.0, |product: f64, _| product * (1.0 - 0.6 * 0.2));
    assert!((many / few - missed).abs() < 1e-9, "{few} {many}");
    assert!(odds(5_000) > 0.0, "they are counted up to a limit");
}

#[test]
fn what_came_after_what_it_would_have_caused_is_less_likely() {
    let (topology, policy) = (topology(CHAIN), Policy::default());
    let odds = |seconds: i64| {
        let members = [member("pay-1", "errors", 600, &[]), member("db-1", "latency", 600 + seconds, &[])];
        odds_of(&ranked(&members, &topology, &policy), "db")
    };
    assert_eq!(odds(-300), odds(0));
    assert!((odds(0) / odds(120) - 1.25).abs() < 1e-9, "half of what it can lose");
    // That it came later than a condition that it would not have caused is nothing.
    let members = [member("pay-1", "disk", 0, &[]), member("db-1", "latency", 900, &[])];
    assert_eq!(odds_of(&ranked(&members, &topology, &policy), "db"), 2.0);
}

#[test]
fn what_it_is_counts() {
    let of = |kind: &str| {
        let text = format!(
            r#"{{"entities":[{{"id":"p1","on":["it"]}},{{"id":"it","type":"{kind}"}}],"services":[{{"id":"pay","entities":["p1"]}}]}}"#
        );
        odds_of(&ranked(&[member("p1", "errors", 0, &[])], &topology(&text), &Policy::default()), "it")
    };
    let plain = of("host");
    assert!((plain - 1.9 * 0.4).abs() < 1e-9, "{plain}");
    for (kind, factor) in
        [("NetworkChaos", 8.0), ("JVMChaos", 8.0), ("ConfigMap", 1.5), ("remote", 0.35), ("remote desk", 1.0)]
    {
        assert!((of(kind) / plain - factor).abs() < 1e-9, "{kind}");
    }
}

#[test]
fn sizes_and_the_other_end_count() {
    let (topology, policy) = (topology(CHAIN), Policy::default());
    let odds = |labels: &[(&str, &str)], id: &str| {
        odds_of(&ranked(&[member("mail", "network from shop", 0, labels)], &topology, &policy), id)
    };
    assert!((odds(&[], "mail") - (1.0 + 10.0 / 3.0)).abs() < 1e-9, "no size");
    assert!((odds(&[("score", "31.4")], "mail") - (1.0 + 31.4 / 3.0)).abs() < 1e-9);
    assert_eq!(odds(&[("score", "1e9")], "mail"), odds(&[("score", "100")], "mail"));
    assert_eq!(odds(&[("score", "much")], "mail"), odds(&[], "mail"));
    assert_eq!(odds(&[], "shop"), 0.0);
    assert!((odds(&[("peer", "shop")], "shop") - 2.0 * 0.4).abs() < 1e-9);
    // Of one kind the largest alert counts.
    let two = [member("mail", "cpu", 0, &[("score", "6")]), member("mail", "memory", 0, &[("score", "30")])];
    assert!((odds_of(&ranked(&two, &topology, &policy), "mail") - 11.0).abs() < 1e-9);
}

#[test]
fn shares_are_less_than_all_however_large_the_odds() {
    for odds in [&[2.0, 2.0, 2.0][..], &[1e250, 1e249, 0.5], &[], &[0.0]] {
        let shares = shares(odds);
        assert!(shares.iter().sum::<f64>() <= 1.0 && shares.iter().all(|share| share.is_finite()), "{shares:?}");
    }
    assert!(shares(&[2.0, 2.0]).iter().sum::<f64>() < 1.0, "it may be none of them");
    let model = CauseModel::default();
    assert_eq!([0.0, 0.2, 0.5, 1.0].map(|share| confidence(share, &model)), [0, 238, 714, 1_000]);
}

#[test]
fn the_order_of_alerts_changes_nothing_and_suspects_have_a_limit() {
    let topology = topology(&callers(64));
    let mut members: Vec<Member> = (0..64)
        .map(|n| member(&format!("pod-{n:02}"), ["errors", "cpu", "no requests"][n % 3], n as i64, &[]))
        .collect();
    let policy = Policy::default();
    let before = ranked(&members, &topology, &policy);
    members.reverse();
    assert_eq!(ranked(&members, &topology, &policy), before);
    let mut few = policy.clone();
    few.raise.cause.silent_max = 3;
    let bounded = ranked(&members, &topology, &few);
    assert!(bounded.len() <= 64 + 3 && before.len() > bounded.len(), "{}", bounded.len());
    assert_eq!(bounded[0], before[0], "who explains most is kept");
}

#[test]
fn what_speaks_for_a_suspect_is_said() {
    let (topology, policy) = (topology(CHAIN), Policy::default());
    let told = |members: &[Member], id: &'static str| {
        let members: Vec<&Member> = members.iter().collect();
        let alerts = Alerts::new(&members, &topology, "any", &policy, &Tables::new(&policy.correlate));
        alerts.weigh(alerts.map.unit(id)?).map(|weighed| super::reason(&weighed, &members, &alerts))
    };
    let all = [member("shop", "errors", 0, &[]), member("pay-1", "latency", 5, &[]), member("db-1", "latency", 9, &[])];
    assert_eq!(told(&all, "db-1").as_deref(), Some("2 of 2 other alerts are on what depends on it"));
    assert_eq!(told(&all, "shop").as_deref(), Some("it came first"));
    assert_eq!(told(&all[..2], "pay-1").as_deref(), Some("the other alert is on what depends on it"));
    let silent = "2 of 2 alerts are on what depends on it, it has no alert of its own";
    assert_eq!(told(&all[..2], "db-1").as_deref(), Some(silent));
    assert_eq!(told(&all, "mail"), None);
    let idle = [member("db-1", "no requests", 0, &[]), member("shop", "errors", 0, &[])];
    let both = "1 of 2 alerts is on what depends on it, 1 on what is called less for it, it has no alert of its own";
    assert_eq!(told(&idle, "pay-1").as_deref(), Some(both));
}

#[test]
fn what_is_known_to_cause_the_others_is_suspected() {
    let (nothing, mut policy) = (topology("{}"), Policy::default());
    let mut all =
        vec![member("a", "bgp_down", 0, &[]), member("b", "link_down", 0, &[]), member("c", "bgp_down", 3, &[])];
    let order = |policy: &Policy, all: &[Member]| {
        ranked(all, &nothing, policy).into_iter().map(|(id, _)| id).collect::<Vec<_>>()
    };
    assert_eq!(order(&policy, &all), ["a", "b", "c"], "nothing tells them apart but their names");
    let edge =
        CausalEdge { cause: "link_down".into(), effect: "bgp_down".into(), share: 2.0, within: Span::seconds(30) };
    policy.correlate.causality = vec![edge];
    assert_eq!(order(&policy, &all)[0], "b");
    let members: Vec<&Member> = all.iter().collect();
    let alerts = Alerts::new(&members, &nothing, "any", &policy, &Tables::new(&policy.correlate));
    let weighed = alerts.weigh(alerts.map.unit("b").expect("it has an alert")).expect("it explains others");
    let why = super::reason(&weighed, &members, &alerts);
    assert_eq!(why, "2 of 2 other alerts are of what its check is known to cause, it came first");
    all[1] = member("b", "link_down", 9, &[]);
    assert_eq!(order(&policy, &all)[0], "a", "a cause does not come after all that it causes");
}
