//! What real tools sent, and what is made of it.
use quell_connectors::decode::{self, Context, Format, Mapping, Message};
use quell_core::domain::{
    event::{Event, Status},
    severity::Severity,
    time::Timestamp,
};
use serde_json::Value;
use std::{collections::BTreeMap, env, fs};

const ALERTMANAGER: &str = include_str!("data/alertmanager-0.25.jsonl");
const PROMETHEUS: &str = include_str!("data/prometheus-2.42.jsonl");

/// Each captured request: when it came, and its events.
fn requests(captures: &str) -> Vec<(Timestamp, Vec<Event>)> {
    let mapping = Mapping::default();
    let read = |(n, line): (i64, &str)| {
        let capture: Value = serde_json::from_str(line).expect("a captured line");
        let (at, body) = (capture["at"].as_str().expect("a time"), capture["body"].as_str().expect("a body"));
        let arrival = decode::time::rfc3339(at).expect("a time");
        let context =
            Context { arrival, offset: n, check_wall: true, mapping: &mapping, default_origin: "alertmanager" };
        let message = Message { bytes: body.as_bytes(), headers: &[], source: "alerts/0#0" };
        let mut events = Vec::new();
        decode::each(Format::Alertmanager, &message, &context, &mut |_, event| {
            events.push(event.unwrap_or_else(|rejection| panic!("line {n}: {rejection}")));
        });
        (arrival, events)
    };
    (0..).zip(captures.lines()).map(read).collect()
}

/// The last that was said of each source identity.
fn last_said(requests: &[(Timestamp, Vec<Event>)]) -> BTreeMap<&str, &Event> {
    requests.iter().flat_map(|(_, events)| events).map(|event| (event.identity.as_str(), event)).collect()
}

fn firing_at_the_end(requests: &[(Timestamp, Vec<Event>)]) -> Vec<&str> {
    let last = last_said(requests);
    last.values().filter(|event| event.status == Status::Firing).map(|event| event.check.as_str()).collect()
}

fn label<'e>(event: &'e Event, name: &str) -> &'e str {
    event.labels.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
}

#[test]
fn a_group_is_an_event_for_each_alert() {
    let requests = requests(ALERTMANAGER);
    let (arrival, first) = &requests[0];
    let queues: Vec<_> = first.iter().map(|event| (event.entity.as_str(), label(event, "queue"))).collect();
    assert_eq!(queues, [("mq-01", "mail"), ("mq-01", "orders"), ("mq-02", "billing")]);
    let orders = &first[1];
    assert_eq!((orders.check.as_str(), orders.summary.as_str()), ("QueueBacklog", "orders: 150 messages wait"));
    assert_eq!((orders.status, orders.severity), (Status::Firing, Severity::Warning));
    assert_eq!((orders.time, orders.arrival, orders.ended_at), (*arrival, *arrival, None));
    assert_eq!(orders.started_at.map(|at| at.0 % 60_000), Some(20_607));
    assert_eq!((orders.origin.as_str(), orders.scope.as_str()), ("http://alertmanager.lab.example:9093", "default"));
    assert_eq!((orders.identity.as_str(), orders.id.as_str()), ("5fcd254a5508c268", "alerts/0#0:0.1"));
    // Three conditions on two hosts.
    assert!(first[0].fingerprint != orders.fingerprint && orders.fingerprint != first[2].fingerprint);

    // Answered 503 it was sent again, byte for byte.
    let identities = |events: &[Event]| events.iter().map(|event| event.identity.clone()).collect::<Vec<_>>();
    assert_eq!(identities(&requests[1].1), identities(first));

    // Half resolved: each alert has its own state.
    let (_, second) = &requests[2];
    let states: Vec<_> = second.iter().map(|event| event.status).collect();
    assert_eq!(states, [Status::Resolved, Status::Firing, Status::Firing]);
    assert_eq!(second[0].ended_at.map(|at| at.0 % 60_000), Some(27_607));
    // The same state told again is another event of the same alert.
    assert_eq!(second[1].fingerprint, orders.fingerprint);
    assert_ne!(second[1].id, orders.id);
}

#[test]
fn the_warning_and_the_critical_of_one_rule_are_one_alert_of_two_identities() {
    let requests = requests(ALERTMANAGER);
    let orders = |(_, events): &(Timestamp, Vec<Event>)| {
        events.iter().filter(|event| label(event, "queue") == "orders").cloned().collect::<Vec<_>>()
    };
    let told: Vec<Event> = requests.iter().flat_map(orders).collect();
    let (warning, critical) = (&told[0], told.iter().find(|event| event.severity == Severity::Critical));
    let critical = critical.expect("it rose");
    assert_eq!(warning.fingerprint, critical.fingerprint);
    assert_ne!(warning.identity, critical.identity);
}

#[test]
fn severities_are_words_of_anybodys() {
    let requests = requests(ALERTMANAGER);
    let last = last_said(&requests);
    let of = |check: &str| {
        let event = last.values().find(|event| event.check == check).expect(check);
        (event.severity, label(event, "severity").to_owned())
    };
    assert_eq!(of("DiskWillFill"), (Severity::Warning, String::new()));
    assert_eq!(of("FreeForm"), (Severity::Warning, "P2".to_owned()));
    assert_eq!(of("CertificateExpires"), (Severity::Critical, "page".to_owned()));
    assert_eq!(of("Watchdog"), (Severity::Info, "none".to_owned()));
    assert_eq!(of("InstanceDown"), (Severity::Critical, "critical".to_owned()));
}

#[test]
fn entities_are_hosts_without_ports_or_what_else_is_there() {
    let requests = requests(ALERTMANAGER);
    let last = last_said(&requests);
    let of = |check: &str| last.values().find(|event| event.check == check).expect(check).entity.clone();
    assert_eq!((of("InstanceDown"), of("Manual"), of("FreeForm")), ("web-01".into(), "lb-1".into(), "node".into()));
    // Nothing names one: the identity itself, never one that all share.
    let watchdog = last.values().find(|event| event.check == "Watchdog").expect("it always fires");
    assert_eq!(watchdog.entity, watchdog.fingerprint);
    let disk = last.values().find(|event| event.check == "DiskWillFill").expect("a disk");
    assert_eq!(label(disk, "instance"), "db-07:9100");
}

#[test]
fn an_array_of_prometheus_fires_while_its_end_lies_ahead() {
    let requests = requests(PROMETHEUS);
    let states: Vec<Vec<Status>> =
        requests.iter().map(|(_, events)| events.iter().map(|event| event.status).collect()).collect();
    let (firing, resolved) = (Status::Firing, Status::Resolved);
    assert_eq!(states[..5], [vec![firing; 3], vec![resolved], vec![firing], vec![firing], vec![firing; 2]]);
    // One has ended, two have begun.
    assert_eq!(states[5], [resolved, firing, firing]);
    assert_eq!(firing_at_the_end(&requests), ["Watchdog"]);
    let (_, events) = &requests[0];
    assert_eq!((events[0].origin.as_str(), events[0].ended_at), ("alertmanager", None));
    // Told by Prometheus or by Alertmanager, it is the same condition.
    let group = self::requests(ALERTMANAGER);
    assert_eq!(events[0].fingerprint, group[0].1[0].fingerprint);
    assert!(requests[1].1[0].ended_at.is_some());
}

/// All of the capture, or of one's own.
#[test]
fn what_fires_at_the_end() {
    let text = env::var_os("CAPTURES").map(|path| fs::read_to_string(path).expect("CAPTURES can be read"));
    let own = text.is_some();
    let requests = requests(text.as_deref().unwrap_or(ALERTMANAGER));
    let last = last_said(&requests);
    let conditions: std::collections::BTreeSet<_> = last.values().map(|event| &event.fingerprint).collect();
    let firing = firing_at_the_end(&requests);
    println!(
        "{} requests, {} identities, {} conditions, firing: {firing:?}",
        requests.len(),
        last.len(),
        conditions.len()
    );
    if !own {
        // The warning and the critical of one queue are one.
        assert_eq!((last.len(), conditions.len(), &*firing), (14, 13, &["Watchdog"][..]));
    }
}
