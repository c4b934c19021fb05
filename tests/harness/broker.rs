//! A real Apache Kafka, where there is one.
use anyhow::Context as _;
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    producer::{FutureProducer, FutureRecord},
};
use std::{env, time::Duration};

/// The broker of `QUELL_KAFKA`. Without one the test says so loudly and is skipped, unless `QUELL_REQUIRE_KAFKA=1`.
pub fn kafka(test: &str) -> Option<String> {
    match env::var("QUELL_KAFKA") {
        Ok(brokers) if !brokers.is_empty() => Some(brokers),
        _ if env::var("QUELL_REQUIRE_KAFKA").is_ok_and(|v| v == "1") => {
            panic!("{test}: QUELL_REQUIRE_KAFKA=1, and QUELL_KAFKA names no broker")
        }
        _ => {
            eprintln!("\n!!! SKIPPED {test}: no Kafka. QUELL_KAFKA=$(tests/kafka/start.sh) runs it.\n");
            None
        }
    }
}

/// A client that makes topics and sends records.
pub struct Broker {
    brokers: String,
    admin: AdminClient<DefaultClientContext>,
    producer: FutureProducer,
}

impl Broker {
    /// Connects.
    ///
    /// # Errors
    /// Where the client can't be made.
    pub fn new(brokers: &str) -> anyhow::Result<Self> {
        Self::compressing(brokers, "none")
    }

    /// One whose records are compressed so.
    ///
    /// # Errors
    /// Where the client can't be made.
    pub fn compressing(brokers: &str, codec: &str) -> anyhow::Result<Self> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers).set("compression.type", codec);
        let admin = config.create()?;
        let producer = config.set("enable.idempotence", "true").set("linger.ms", "5").create()?;
        Ok(Self { brokers: brokers.to_owned(), admin, producer })
    }

    /// Makes a topic and waits until the broker shows it.
    ///
    /// # Errors
    /// Where it can't be made.
    pub async fn create(&self, topic: &str, partitions: i32) -> anyhow::Result<()> {
        // Recorded events are old: a broker that goes by their time would delete them.
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1)).set("retention.ms", "-1");
        for result in self.admin.create_topics([&new], &AdminOptions::new()).await? {
            result.map_err(|(topic, code)| anyhow::anyhow!("{topic}: {code}"))?;
        }
        let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", &self.brokers).create()?;
        for _ in 0..100 {
            let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(10))?;
            if metadata.topics().first().is_some_and(|t| t.partitions().len() == partitions as usize) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::bail!("{topic} does not appear")
    }

    /// Sends records to partitions, in order, and waits until they are there.
    ///
    /// # Errors
    /// Where one was not taken.
    pub async fn send(&self, topic: &str, records: &[(i32, String)]) -> anyhow::Result<()> {
        let mut sent = Vec::with_capacity(records.len());
        for (partition, json) in records {
            let record = FutureRecord::<(), str>::to(topic).partition(*partition).payload(json);
            let delivery = self.producer.send_result(record).map_err(|(error, _)| error)?;
            sent.push(delivery);
        }
        for delivery in sent {
            delivery.await?.map_err(|(error, _)| error).context("not delivered")?;
        }
        Ok(())
    }

    /// Sends a record without a value.
    ///
    /// # Errors
    /// Where it was not taken.
    pub async fn send_tombstone(&self, topic: &str, partition: i32) -> anyhow::Result<()> {
        let record = FutureRecord::<str, str>::to(topic).partition(partition).key("gone");
        self.producer.send_result(record).map_err(|(error, _)| error)?.await?.map_err(|(error, _)| error)?;
        Ok(())
    }

    /// Sets a topic's `max.message.bytes`, which makes appends fail, and lets them succeed again.
    ///
    /// # Errors
    /// Where the broker refuses.
    pub async fn set_max_message_bytes(&self, topic: &str, bytes: usize) -> anyhow::Result<()> {
        let text = bytes.to_string();
        // What is not named goes back to its default, which Quell would refuse.
        let alter = AlterConfig::new(ResourceSpecifier::Topic(topic))
            .set("max.message.bytes", &text)
            .set("retention.ms", "-1")
            .set("retention.bytes", "-1");
        for result in self.admin.alter_configs([&alter], &AdminOptions::new()).await? {
            result.map_err(|(_, code)| anyhow::anyhow!("{topic}: {code}"))?;
        }
        Ok(())
    }
}
