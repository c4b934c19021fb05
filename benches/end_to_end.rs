//! From Kafka to the incidents, over 1, 2 and 4 source partitions, with each journal; beside it the ceiling: librdkafka
//! and serde_json in a process of their own that does nothing else.
//!
//!     QUELL_KAFKA=127.0.0.1:9092 QUELL_WORKLOAD=events.jsonl QUELL_TOPOLOGY=topology.json \
//!         cargo bench -p quell-benches --bench end_to_end
//!
//! Without `QUELL_WORKLOAD` the stream is made up. `QUELL_EVENTS`: how many; `QUELL_PARTITIONS`: only this many.
use anyhow::{Context as _, ensure};
use quell_benches::{
    broker::Broker,
    running::{Journal, Quell, Setup, cpu, kafka, number, unique},
    stream,
};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
};
use serde::Deserialize;
use serde_json::Value;
use std::{
    borrow::Cow,
    collections::BTreeMap,
    env, fs,
    hint::black_box,
    process::Command,
    time::{Duration, Instant},
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = env::args().collect();
    if let [_, role, brokers, topic, events] = &args[..]
        && role == "ceiling"
    {
        return ceiling(brokers, topic, events.parse()?);
    }
    let Some(brokers) = kafka("end_to_end") else { return Ok(()) };
    let recording = recording(number("QUELL_EVENTS", 200_000))?;
    let bytes: usize = recording.events.iter().map(|(_, event)| event.len()).sum();
    println!("{} events of {} bytes", recording.events.len(), bytes / recording.events.len().max(1));
    println!("| journal | source partitions | events/s | ceiling | share | CPU-µs an event | ceiling | share |");
    println!("|---|---|---|---|---|---|---|---|");
    let only = env::var("QUELL_PARTITIONS").ok().and_then(|n| n.parse().ok());
    for partitions in [1, 2, 4].into_iter().filter(|n| only.is_none_or(|only: i32| only == *n)) {
        let (broker, topic) = (Broker::new(&brokers)?, unique("bench"));
        broker.create(&topic, partitions).await?;
        for part in recording.events.chunks(20_000) {
            let part: Vec<_> = part.iter().map(|(key, event)| (key % partitions, event.clone())).collect();
            broker.send(&topic, &part).await?;
        }
        for journal in [Journal::Local, Journal::Kafka] {
            let ceiling = measure_ceiling(&brokers, &topic, recording.events.len())?;
            let ours = measure(&brokers, &topic, journal, &recording)?;
            println!(
                "| {journal:?} | {partitions} | {:.0} | {:.0} | {:.0} % | {:.2} | {:.2} | {:.0} % |",
                ours.rate,
                ceiling.rate,
                100.0 * ours.rate / ceiling.rate,
                1e6 * ours.cpu,
                1e6 * ceiling.cpu,
                100.0 * ceiling.cpu / ours.cpu,
            );
        }
    }
    Ok(())
}

/// Events by what decides their partition, and their topology.
struct Recording {
    events: Vec<(i32, String)>,
    topology: String,
}

fn recording(size: usize) -> anyhow::Result<Recording> {
    let Ok(path) = env::var("QUELL_WORKLOAD") else {
        let events = stream::alerts(7, size).into_iter().map(|event| (event.partition(i32::MAX), event.json));
        return Ok(Recording { events: events.collect(), topology: stream::topology() });
    };
    let text = fs::read_to_string(&path).context(path)?;
    let topology = env::var("QUELL_TOPOLOGY").ok().map(fs::read_to_string).transpose()?.unwrap_or_default();
    let lines: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(!lines.is_empty(), "the workload is empty");
    let mut events = Vec::with_capacity(size);
    for n in 0..size {
        let (round, mut event) = (n / lines.len(), lines[n % lines.len()].clone());
        if round > 0 {
            let time = event["time"].as_str().context("a time")?;
            let shift = format!("2{:03}{}", 25 + round, &time[4..]);
            event["id"] = Value::String(format!("{}-{round}", event["id"].as_str().context("an id")?));
            event["time"] = Value::String(shift);
        }
        // All of an entity goes to one partition, as a producer's key would have it.
        let key =
            event["entity"].as_str().unwrap_or_default().bytes().fold(7_u32, |h, b| h * 31 % 65_521 + u32::from(b));
        events.push((i32::try_from(key)?, event.to_string()));
    }
    Ok(Recording { events, topology })
}

struct Measured {
    /// Events a second.
    rate: f64,
    /// CPU-seconds an event.
    cpu: f64,
}

fn measure(brokers: &str, topic: &str, journal: Journal, recording: &Recording) -> anyhow::Result<Measured> {
    let directory = tempfile::tempdir()?;
    let Recording { events, topology } = recording;
    let setup = Setup { brokers, topic, journal, clock: "events", topology, more: "" };
    let mut quell = Quell::start(&setup, directory.path())?;
    quell.ready()?;
    let (first, took) = quell.folded(events.len(), Duration::from_millis(100))?;
    let n = events.len() as f64;
    let measured = Measured { rate: (n - first) / took.as_secs_f64(), cpu: quell.cpu()? / n };
    if let Ok(path) = env::var("QUELL_KEEP_LOG") {
        fs::copy(directory.path().join("quell.log"), path)?;
    }
    Ok(measured)
}

fn measure_ceiling(brokers: &str, topic: &str, events: usize) -> anyhow::Result<Measured> {
    let output = Command::new(env::current_exe()?).args(["ceiling", brokers, topic, &events.to_string()]).output()?;
    ensure!(output.status.success(), "the ceiling failed: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let (rate, cpu) = text.trim().split_once(' ').context("two numbers")?;
    Ok(Measured { rate: rate.parse()?, cpu: cpu.parse()? })
}

/// The canonical event, borrowed where JSON allows it.
#[derive(Default, Deserialize)]
#[serde(default)]
#[allow(dead_code, reason = "filled, never read")]
struct Plain<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    time: Value,
    #[serde(borrow)]
    origin: Cow<'a, str>,
    #[serde(borrow)]
    entity: Cow<'a, str>,
    #[serde(borrow)]
    check: Cow<'a, str>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    severity: Cow<'a, str>,
    #[serde(borrow)]
    summary: Cow<'a, str>,
    #[serde(borrow)]
    scope: Cow<'a, str>,
    value: Option<f64>,
    labels: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
}

/// Consumes and parses; prints events a second from the first to the last, and CPU-seconds an event of all the process.
fn ceiling(brokers: &str, topic: &str, events: usize) -> anyhow::Result<()> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("group.id", "ceiling").set("enable.auto.commit", "false");
    // As Quell's: a fetcher that found its queue full sleeps for a second by default.
    config.set("fetch.queue.backoff.ms", "5");
    let consumer: BaseConsumer = config.create()?;
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(10))?;
    let mut all = TopicPartitionList::new();
    for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
        all.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
    }
    consumer.assign(&all)?;
    let (mut first, mut last, mut n) = (None, Instant::now(), 0);
    while n < events {
        ensure!(last.elapsed() < Duration::from_secs(60), "{n} of {events}, and no more");
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = message?;
        black_box(serde_json::from_slice::<Plain<'_>>(message.payload().unwrap_or_default())?);
        first.get_or_insert_with(Instant::now);
        (last, n) = (Instant::now(), n + 1);
    }
    let took = first.context("nothing was read")?.elapsed().as_secs_f64();
    println!("{} {}", n as f64 / took, cpu(std::process::id())? / n as f64);
    Ok(())
}
