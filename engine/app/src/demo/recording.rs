//! The recorded outage, and the Kafka that it comes by: librdkafka's cluster in the process.
use anyhow::Context as _;
use quell_core::domain::time::Timestamp;
use rdkafka::{
    ClientConfig,
    mocking::MockCluster,
    producer::{DefaultProducerContext, FutureProducer, FutureRecord},
};
use std::time::Duration;
use tokio::time::Instant;

/// The source topic.
pub const TOPIC: &str = "alerts";
const TOPIC_PARTITIONS: i32 = 4;

/// An event as it is sent.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub at: Timestamp,
    pub scope: String,
    /// A canonical event in JSON.
    pub line: String,
}

/// Events in arrival order, and the topology of their moment.
#[derive(Clone, Debug)]
pub struct Recording {
    pub events: Vec<Recorded>,
    pub topology: String,
}

impl Recording {
    /// The one that the binary holds.
    ///
    /// # Errors
    /// Where it is damaged.
    pub fn embedded() -> anyhow::Result<Self> {
        Self::read(include_str!("recording/events.jsonl"), include_str!("recording/topology.json"))
    }

    fn read(events: &str, topology: &str) -> anyhow::Result<Self> {
        let one = |(n, line): (usize, &str)| {
            let event: serde_json::Value = serde_json::from_str(line)?;
            let time = event["time"].as_str().context("no time")?;
            let at = Timestamp(time.parse::<jiff::Timestamp>()?.as_millisecond());
            let scope = event["scope"].as_str().unwrap_or_default().to_owned();
            anyhow::Ok(Recorded { at, scope, line: line.to_owned() }).with_context(|| format!("event {}", n + 1))
        };
        let events = events.lines().enumerate().map(one).collect::<anyhow::Result<Vec<_>>>()?;
        anyhow::ensure!(!events.is_empty(), "the recording is empty");
        Ok(Self { events, topology: topology.to_owned() })
    }

    /// The first event's time and the last's.
    pub fn extent(&self) -> (Timestamp, Timestamp) {
        let at = |event: Option<&Recorded>| event.map_or(Timestamp(0), |event| event.at);
        (at(self.events.first()), at(self.events.last()))
    }
}

/// How recorded time passes.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    start: Instant,
    first: Timestamp,
    last: Timestamp,
    /// Recorded seconds a second.
    pub speed: f64,
}

impl Pace {
    /// From now on.
    pub fn new((first, last): (Timestamp, Timestamp), speed: f64) -> Self {
        Self { start: Instant::now(), first, last, speed }
    }

    /// The recorded time.
    pub fn now(&self) -> Timestamp {
        let passed = self.start.elapsed().as_secs_f64() * self.speed * 1_000.0;
        Timestamp(self.first.0.saturating_add(passed as i64)).min(self.last)
    }

    fn due(&self, at: Timestamp) -> Instant {
        let after = (at - self.first).0.max(0) as f64 / 1_000.0 / self.speed;
        self.start + Duration::try_from_secs_f64(after).unwrap_or(Duration::MAX)
    }

    /// How much of the recording has passed, 0 to 1.
    pub fn share(&self) -> f64 {
        let whole = (self.last - self.first).0.max(1);
        (self.now() - self.first).0 as f64 / whole as f64
    }

    /// Until its end.
    pub fn left(&self) -> Duration {
        self.due(self.last).saturating_duration_since(Instant::now())
    }

    /// Since its start.
    pub fn passed(&self) -> Duration {
        self.start.elapsed()
    }
}

/// A Kafka in the process, gone when it is dropped.
pub struct Broker(MockCluster<'static, DefaultProducerContext>);

impl Broker {
    /// With the source topic.
    ///
    /// # Errors
    /// Where librdkafka refuses.
    pub fn start() -> anyhow::Result<Self> {
        let cluster = MockCluster::new(1).context("Kafka in the process")?;
        cluster.create_topic(TOPIC, TOPIC_PARTITIONS, 1).context("Kafka in the process: the topic")?;
        Ok(Self(cluster))
    }

    /// `host:port`
    pub fn address(&self) -> String {
        self.0.bootstrap_servers()
    }

    /// A client that sends to it.
    ///
    /// # Errors
    /// Where librdkafka refuses.
    pub fn producer(&self) -> anyhow::Result<FutureProducer> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.address()).set("enable.idempotence", "true");
        config.create().context("Kafka in the process: the producer")
    }
}

/// Sends a recording at its pace. The scope is the key, so that each scope lies in one partition (design rule 8).
///
/// # Errors
/// Where an event is not taken.
pub async fn send(producer: FutureProducer, events: Vec<Recorded>, pace: Pace) -> anyhow::Result<()> {
    let mut sent = Vec::with_capacity(events.len());
    for event in &events {
        tokio::time::sleep_until(pace.due(event.at)).await;
        let record = FutureRecord::to(TOPIC).key(&event.scope).payload(&event.line);
        sent.push(producer.send_result(record).map_err(|(error, _)| error)?);
    }
    for delivery in sent {
        delivery.await?.map_err(|(error, _)| error)?;
    }
    Ok(())
}
