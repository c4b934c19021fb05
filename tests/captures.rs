//! What a real Alertmanager and a real Prometheus sent, concluded: by the fold as it came, by a topic, and at Prometheus' door.
use anyhow::{Context as _, ensure};
use quell_connectors::decode::{self, Context, Format, Mapping, Message};
use quell_core::{
    domain::{
        event::Event,
        incident::State,
        policy::Policy,
        severity::Severity,
        time::{Span, Timestamp},
        topology::Topology,
    },
    engine::{Engine, Input, Pack},
    output::{Body, IncidentUpdate, Outputs},
};
use quell_tests::{
    broker::{Broker, kafka},
    process::{Quell, Site, post, quell_ok},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

const ALERTMANAGER: &str = include_str!("../connectors/tests/data/alertmanager-0.25.jsonl");
const PROMETHEUS: &str = include_str!("../connectors/tests/data/prometheus-2.42.jsonl");

/// When each request came, and its body.
fn requests(captures: &str) -> Vec<(Timestamp, String)> {
    let read = |line: &str| {
        let capture: Value = serde_json::from_str(line).expect("a captured line");
        let (at, body) = (capture["at"].as_str().expect("a time"), capture["body"].as_str().expect("a body"));
        (decode::time::rfc3339(at).expect("a time"), body.to_owned())
    };
    captures.lines().map(read).collect()
}

/// A fold that hears requests. Each fires for five seconds before it is raised, or hardly any would be.
struct Heard {
    engine: Engine,
    position: u64,
    said: Vec<Body>,
}

impl Heard {
    fn new() -> Self {
        let mut policy = Policy::default();
        (policy.raise.settle, policy.raise.resolve) = (Span::seconds(5), Span::seconds(20));
        let engine = Engine::new([1; 16], Arc::new(policy), Arc::new(Topology::default()));
        Self { engine, position: 0, said: Vec::new() }
    }

    fn of(requests: &[(Timestamp, String)]) -> Self {
        let mut heard = Self::new();
        requests.iter().for_each(|(at, body)| heard.request(*at, body));
        heard
    }

    fn fold(&mut self, input: &Input) {
        let mut out = Outputs::default();
        self.engine.step(self.position, input, &mut out).expect("the journal is its own");
        assert!(self.engine.ledger_balances());
        self.position += 1;
        self.said.extend(out.items.into_iter().map(|output| output.body));
    }

    fn request(&mut self, at: Timestamp, body: &str) {
        let mapping = Mapping::default();
        let offset = i64::try_from(self.position).expect("few");
        let context = Context { arrival: at, offset, check_wall: true, mapping: &mapping, default_origin: "http" };
        let message = Message { bytes: body.as_bytes(), headers: &[], source: "http" };
        let mut events: Vec<Event> = Vec::new();
        decode::each(Format::Alertmanager, &message, &context, &mut |_, event| events.push(event.expect("decodes")));
        self.fold(&Input::Tick(at));
        self.fold(&Input::Pack(Pack { range: None, events, rejected: Vec::new() }));
    }

    fn until(&mut self, at: Timestamp) {
        self.fold(&Input::Tick(at));
    }

    fn open(&mut self) -> Vec<(String, u64)> {
        let alerts = self.engine.views().remove(0).alerts;
        let open = alerts.iter().filter(|it| it.alert.open);
        open.map(|it| (format!("{} {}", it.alert.entity, it.alert.check), it.alert.count)).collect()
    }

    fn incidents(&mut self) -> Vec<IncidentUpdate> {
        self.engine.views().remove(0).incidents
    }

    fn revisions(&self) -> usize {
        self.said.iter().filter(|body| matches!(body, Body::Incident(_))).count()
    }
}

#[test]
fn a_group_told_again_costs_a_count() {
    let requests = requests(ALERTMANAGER);
    assert_eq!(requests[0].1, requests[1].1, "the retry after 503");
    let mut once = Heard::of(&requests[..1]);
    once.until(requests[1].0 + Span::seconds(60));
    let mut again = Heard::of(&requests[..2]);
    // And every 20 s, as repeat_interval has it there.
    (1..3).for_each(|n| again.request(requests[1].0 + Span::seconds(20 * n), &requests[1].1));
    again.until(requests[1].0 + Span::seconds(60));
    for (heard, count) in [(&mut once, 1), (&mut again, 4)] {
        let (incidents, open) = (heard.incidents(), heard.open());
        assert_eq!((incidents.len(), incidents[0].alert_count, heard.revisions()), (1, 3, 1), "{:?}", incidents[0]);
        assert!(open.len() == 3 && open.iter().all(|(_, n)| *n == count), "{open:?}");
    }
}

#[test]
fn what_a_group_leaves_out_is_not_resolved() {
    let requests = requests(ALERTMANAGER);
    let (at, body) = &requests[1];
    let mut heard = Heard::of(&requests[1..2]);
    let mut less: Value = serde_json::from_str(body).expect("a group");
    less["alerts"].as_array_mut().expect("alerts").truncate(1);
    heard.request(*at + Span::seconds(10), &less.to_string());
    less["truncatedAlerts"] = json!(2);
    heard.request(*at + Span::seconds(20), &less.to_string());
    heard.until(*at + Span::seconds(600));
    let mut counts: Vec<_> = heard.open().into_iter().map(|(_, count)| count).collect();
    counts.sort_unstable();
    assert_eq!(counts, [1, 1, 3]);
    assert_eq!(heard.incidents()[0].incident.state, State::New);
}

#[test]
fn at_the_end_fires_what_should_and_its_silence_is_told() {
    let requests = requests(ALERTMANAGER);
    let mut heard = Heard::of(&requests);
    let last = requests.last().expect("requests").0;
    // The watermark is two minutes behind.
    heard.until(last + Span::seconds(180));
    let open = heard.open();
    assert!(open.len() == 1 && open[0].0.ends_with(" Watchdog"), "{open:?}");
    let incidents = heard.incidents();
    let checks = |it: &IncidentUpdate| it.alerts.iter().map(|alert| alert.check.to_string()).collect::<BTreeSet<_>>();
    let told: BTreeSet<String> = incidents.iter().flat_map(checks).collect();
    let problems = "AppLatency CertificateExpires DiskWillFill FreeForm FreeNaN InstanceDown Manual QueueBacklog";
    assert_eq!(told.iter().map(String::as_str).collect::<Vec<_>>().join(" "), problems, "and no Watchdog");
    for it in &incidents {
        assert_eq!((it.incident.state, it.open_alert_count), (State::Resolved, 0), "{}", it.incident.title);
        // FreeNaN only informs: it came along.
        assert!(it.incident.severity >= Severity::Warning, "{}", it.incident.title);
    }
    // The queues are one problem from the warning to the critical, over retries, repeats and resolves told twice.
    let queues: Vec<_> = incidents.iter().filter(|it| checks(it).contains("QueueBacklog")).collect();
    assert_eq!((queues.len(), queues[0].incident.severity), (1, Severity::Critical));

    heard.until(last + Span::seconds(1_200));
    let silent = heard.incidents().into_iter().find(|it| checks(it).iter().any(|check| check.contains("Watchdog")));
    let silent = silent.expect("it is missed");
    assert_eq!((silent.incident.state, silent.open_alert_count), (State::New, 1), "{}", silent.incident.title);
}

struct Running {
    site: Site,
    quell: Quell,
}

impl Running {
    fn new(more: &str) -> anyhow::Result<Self> {
        let site = Site::new("", &format!("[journal]\npartitions = 2\n{more}"))?;
        Ok(Self { quell: site.run()?, site })
    }

    /// The state of each alert, when so many events are folded.
    fn alerts(&self, events: usize) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
        self.quell.metric_becomes("quell_events_received_total", events as f64)?;
        let mut alerts = BTreeMap::<_, Vec<_>>::new();
        for line in quell_ok(&["alerts", "--all", "--json", "--server", &self.site.server()])?.lines() {
            let alert: Value = serde_json::from_str(line)?;
            let text = |field: &str| alert[field].as_str().unwrap_or_default().to_owned();
            alerts.entry(text("check")).or_default().push(text("state"));
        }
        Ok(alerts)
    }
}

fn ends_well(alerts: &BTreeMap<String, Vec<String>>) -> anyhow::Result<()> {
    for (check, states) in alerts {
        let state = if check == "Watchdog" { "OPEN" } else { "CLEARED" };
        ensure!(states.iter().all(|it| it == state), "{check}: {alerts:?}");
    }
    Ok(())
}

/// As Prometheus sends to an Alertmanager; since it tells by their end whether alerts fire, they end as they did then, from now.
#[test]
fn prometheus_posts_to_its_own_path() -> anyhow::Result<()> {
    let site = Running::new("")?;
    let captured = requests(PROMETHEUS);
    let last = captured.last().context("requests")?.0;
    let moved = jiff::Timestamp::now().as_millisecond() - last.0;
    let mut events = 0;
    for (_, body) in &captured {
        let mut alerts: Vec<Value> = serde_json::from_str(body)?;
        for alert in &mut alerts {
            for field in ["startsAt", "endsAt"] {
                let then =
                    decode::time::rfc3339(alert[field].as_str().context("a time")?).map_err(anyhow::Error::msg)?;
                alert[field] = json!(jiff::Timestamp::from_millisecond(then.0 + moved)?.to_string());
            }
        }
        events += alerts.len();
        let (status, answer) = post(site.quell.address, "/api/v2/alerts", json!(alerts).to_string().as_bytes())?;
        ensure!(status == 200, "{answer}");
    }
    let alerts = site.alerts(events)?;
    ensure!(
        alerts.len() == 8 && alerts["CertificateExpires"].len() == 3 && alerts["QueueBacklog"].len() == 3,
        "{alerts:?}"
    );
    ends_well(&alerts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_come_by_a_topic() -> anyhow::Result<()> {
    let Some(brokers) = kafka("groups_come_by_a_topic") else { return Ok(()) };
    let topic = format!("alertmanager-{:x}", rand::random::<u64>());
    let broker = Broker::new(&brokers)?;
    broker.create(&topic, 1).await?;
    let (mut records, mut events) = (Vec::new(), 0);
    for (_, body) in requests(ALERTMANAGER) {
        let group: Value = serde_json::from_str(&body)?;
        events += group["alerts"].as_array().map_or(0, Vec::len);
        records.push((0, body));
    }
    // What is no group is a letter, and no one's end.
    records.insert(3, (0, "no group".to_owned()));
    broker.send_tombstone(&topic, 0).await?;
    for (codec, records) in ["gzip", "snappy", "lz4", "zstd"].into_iter().zip(records.chunks(8)) {
        Broker::compressing(&brokers, codec)?.send(&topic, records).await?;
    }
    let site = Running::new(&format!(
        "[kafka]\nbrokers = \"{brokers}\"\n[[source]]\nkind = \"kafka\"\ntopics = [\"{topic}\"]\nformat = \"alertmanager\"\n"
    ))?;
    let alerts = site.alerts(events + 1)?;
    ensure!(site.quell.metric("quell_source_tombstones_total")? == 1.0);
    ensure!(alerts.len() == 9 && alerts["QueueBacklog"].len() == 3 && alerts["DiskWillFill"].len() == 2, "{alerts:?}");
    ends_well(&alerts)
}
