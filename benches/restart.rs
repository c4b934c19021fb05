//! From a start after `kill -9` to `/ready`, with many live alerts in the snapshot, with each journal; and the memory of
//! the process.
//!
//!     QUELL_KAFKA=127.0.0.1:9092 cargo bench -p quell-benches --bench restart
//!
//! `QUELL_ALERTS`: how many alerts live (100,000).
use quell_benches::{
    broker::Broker,
    crowd,
    running::{Journal, Quell, Setup, kafka, number, unique},
};
use std::{
    thread,
    time::{Duration, Instant},
};

const PARTITIONS: i32 = 4;
const BEGIN_MS: i64 = 1_767_571_200_000;
const RESTARTS: usize = 5;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Some(brokers) = kafka("restart") else { return Ok(()) };
    let alerts = number("QUELL_ALERTS", 100_000);
    let (broker, topic) = (Broker::new(&brokers)?, unique("bench"));
    broker.create(&topic, PARTITIONS).await?;
    // All of them fire twice within two minutes, so that the incidents are raised.
    let events: Vec<_> = (0..2 * alerts)
        .map(|n| {
            let service = n % alerts / crowd::HOSTS;
            (service as i32 % PARTITIONS, crowd::firing(n % alerts, BEGIN_MS + n as i64 * 60_000 / alerts as i64))
        })
        .collect();
    for part in events.chunks(20_000) {
        broker.send(&topic, part).await?;
    }
    let topology = crowd::topology(alerts / crowd::HOSTS);
    for journal in [Journal::Local, Journal::Kafka] {
        let directory = tempfile::tempdir()?;
        let more = "[engine]\nsnapshot_interval = \"2s\"\n";
        let setup = Setup { brokers: &brokers, topic: &topic, journal, clock: "events", topology: &topology, more };
        let mut quell = Quell::start(&setup, directory.path())?;
        quell.ready()?;
        quell.folded(events.len(), Duration::from_millis(500))?;
        // The last snapshot of each partition.
        let mut snapshots = 0.0;
        loop {
            thread::sleep(Duration::from_secs(5));
            let now = quell.metric("quell_snapshots_total")?;
            if now > 0.0 && now <= snapshots {
                break;
            }
            snapshots = now;
        }
        let (live, incidents) = (quell.metric("quell_alerts")?, quell.metric("quell_incidents")?);
        let fresh = quell.resident()? / live;
        let mut took = Vec::with_capacity(RESTARTS);
        for _ in 0..RESTARTS {
            let since = Instant::now();
            quell.kill_and_start()?;
            quell.ready()?;
            took.push(format!("{:.2}", since.elapsed().as_secs_f64()));
        }
        thread::sleep(Duration::from_secs(5));
        let restored = quell.resident()? / live;
        println!("{journal:?}: {live} live alerts, {incidents} incidents; s from start to /ready: {}", took.join(", "));
        println!("{journal:?}: {fresh:.0} bytes of memory a live alert; {restored:.0} after the last start");
    }
    Ok(())
}
