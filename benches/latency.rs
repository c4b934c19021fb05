//! From the append to the source topic until a client of the feed has the update of an incident that was raised
//! before, while other alerts fire again at a steady rate and snapshots are taken.
//!
//!     QUELL_KAFKA=127.0.0.1:9092 QUELL_RATE=10000 cargo bench -p quell-benches --bench latency
//!
//! `QUELL_ALERTS`: how many alerts live (10,000); `QUELL_RATE`: events a second; `QUELL_SAMPLES`: how many updates.
use anyhow::{Context as _, ensure};
use quell_benches::{
    broker::Broker,
    crowd,
    running::{Journal, Quell, Setup, kafka, number, unique},
};
use quell_proto::v1::{WatchIncidentsRequest, quell_client::QuellClient, watch_incidents_request::From as Start};
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{task::JoinHandle, time};

const PARTITIONS: i32 = 4;
/// Incidents that grow in turn: each less often than the interval at which a growing incident speaks.
const GROWING: usize = 20;
const EVERY: Duration = Duration::from_millis(100);
/// An incident for each service, for the model would make one of those that grow in step, which then speaks once a second.
const SETTINGS: &str = "[engine]\nsnapshot_interval = \"5s\"\n[raise]\nmany_settle = \"1s\"\nsettle = \"1s\"\n\
    [[correlate.policy]]\nname = \"service\"\nsplit_by = [\"service\"]\n";

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let Some(brokers) = kafka("latency") else { return Ok(()) };
    for journal in [Journal::Local, Journal::Kafka] {
        measure(&brokers, journal).await?;
    }
    Ok(())
}

/// When a check was seen in an incident of the feed.
type Seen = Arc<Mutex<HashMap<String, Instant>>>;

async fn measure(brokers: &str, journal: Journal) -> anyhow::Result<()> {
    let (alerts, rate) = (number("QUELL_ALERTS", 10_000), number("QUELL_RATE", 10_000));
    let samples = number("QUELL_SAMPLES", 400);
    let (broker, topic) = (Arc::new(Broker::new(brokers)?), unique("bench"));
    broker.create(&topic, PARTITIONS).await?;
    let services = alerts / crowd::HOSTS;
    let topology = crowd::topology(services + GROWING);
    let setup = Setup { brokers, topic: &topic, journal, clock: "wall", topology: &topology, more: SETTINGS };
    let directory = tempfile::tempdir()?;
    let mut quell = Quell::start(&setup, directory.path())?;
    quell.ready()?;
    let seen = Seen::default();
    let feed = follow(quell.address, seen.clone()).await?;

    let crowd: Vec<_> = (0..alerts).map(|alert| record(alert / crowd::HOSTS, crowd::firing(alert, now()))).collect();
    broker.send(&topic, &crowd).await?;
    for growing in services..services + GROWING {
        broker.send(&topic, &[record(growing, crowd::event(growing, 0, "first", now()))]).await?;
    }
    let raised = Instant::now();
    while quell.metric("quell_incidents")? < (services + GROWING) as f64 {
        ensure!(raised.elapsed() < Duration::from_secs(60), "not all incidents are raised");
        time::sleep(Duration::from_millis(500)).await;
    }

    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let load = load(broker.clone(), topic.clone(), (alerts, rate), stop.clone(), sent.clone());
    time::sleep(Duration::from_secs(5)).await;
    let (begun, sent_before) = (Instant::now(), sent.load(Ordering::Relaxed));
    let (folded_before, snapshots) =
        (quell.metric("quell_events_received_total")?, quell.metric("quell_snapshots_total")?);
    let mut appended = Vec::with_capacity(samples);
    for n in 0..samples {
        time::sleep_until((begun + EVERY * n as u32).into()).await;
        let (service, check) = (services + n % GROWING, format!("check-{n}"));
        appended.push((check.clone(), Instant::now()));
        broker.send(&topic, &[record(service, crowd::event(service, 1 + n / GROWING % 9, &check, now()))]).await?;
    }
    let took = begun.elapsed().as_secs_f64();
    let sent = (sent.load(Ordering::Relaxed) - sent_before) as f64 / took;
    let folded = (quell.metric("quell_events_received_total")? - folded_before) / took;
    let snapshots = quell.metric("quell_snapshots_total")? - snapshots;
    let live = quell.metric("quell_alerts")?;
    time::sleep(Duration::from_secs(5)).await;
    stop.store(true, Ordering::Relaxed);
    load.await??;
    feed.abort();

    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let mut latencies: Vec<f64> = appended
        .iter()
        .filter_map(|(check, at)| Some(seen.get(check)?.duration_since(*at).as_secs_f64() * 1e3))
        .collect();
    latencies.sort_by(f64::total_cmp);
    ensure!(!latencies.is_empty(), "no update came");
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share).round() as usize];
    println!(
        "{journal:?}: {live} live alerts, {sent:.0} events/s sent, {folded:.0} folded, {snapshots} snapshots; {} of {samples} updates: \
         p50 {:.0} ms, p90 {:.0} ms, p99 {:.0} ms, most {:.0} ms",
        latencies.len(),
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    );
    Ok(())
}

fn record(service: usize, event: String) -> (i32, String) {
    (service as i32 % PARTITIONS, event)
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis() as i64)
}

/// Alerts of the crowd fire again, so many a second, in small batches.
fn load(
    broker: Arc<Broker>,
    topic: String,
    (alerts, rate): (usize, usize),
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
) -> JoinHandle<anyhow::Result<()>> {
    tokio::spawn(async move {
        let (begun, mut n) = (Instant::now(), 0);
        while !stop.load(Ordering::Relaxed) {
            let due = (begun.elapsed().as_secs_f64() * rate as f64) as usize;
            let part: Vec<_> =
                (n..due).map(|n| record(n % alerts / crowd::HOSTS, crowd::firing(n % alerts, now()))).collect();
            n = due;
            broker.send(&topic, &part).await?;
            sent.store(n, Ordering::Relaxed);
            time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    })
}

/// Follows the feed and notes when it names which check first.
async fn follow(address: SocketAddr, seen: Seen) -> anyhow::Result<JoinHandle<()>> {
    let client = QuellClient::connect(format!("http://{address}")).await.context("the feed")?;
    let request = WatchIncidentsRequest { from: Some(Start::Beginning(true)), ..Default::default() };
    let mut stream = client.max_decoding_message_size(16 << 20).watch_incidents(request).await?.into_inner();
    Ok(tokio::spawn(async move {
        while let Ok(Some(update)) = stream.message().await {
            let at = Instant::now();
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            for alert in update.incident.map(|incident| incident.alerts).unwrap_or_default() {
                seen.entry(alert.check).or_insert(at);
            }
        }
    }))
}
