//! Appending: one idempotent producer, replaced when it can't go on.
use super::KafkaLogConfig;
use crate::kafka::Voice;
use rdkafka::{
    ClientConfig,
    error::KafkaError,
    producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer, PurgeConfig},
};
use std::sync::{PoisonError, RwLock};

pub(super) struct Producers {
    config: ClientConfig,
    current: RwLock<FutureProducer<Voice>>,
}

impl Producers {
    pub(super) fn new(config: &KafkaLogConfig) -> Result<Self, KafkaError> {
        let defaults = [
            ("linger.ms|queue.buffering.max.ms", "2"),
            ("compression.type|compression.codec", "lz4"),
            // Callers bound what they have in flight; this is a bound for when they forget.
            ("queue.buffering.max.kbytes", "262144"),
            ("queue.buffering.max.messages", "1000000"),
        ];
        let fixed = [
            ("acks", "all"),
            ("enable.idempotence", "true"),
            // For ever: a record that waits for a broker keeps its place in the order.
            ("message.timeout.ms", "0"),
            ("message.max.bytes", "1048576"),
        ];
        Self::from_config(config.client(&defaults, &fixed))
    }

    pub(super) fn from_config(config: ClientConfig) -> Result<Self, KafkaError> {
        let producer = config.create_with_context(Voice::default())?;
        Ok(Self { config, current: RwLock::new(producer) })
    }

    /// Puts a record on its way.
    pub(super) fn send(&self, topic: &str, partition: i32, bytes: &[u8]) -> Result<DeliveryFuture, String> {
        let producer = self.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        let producer = if producer.client().fatal_error().is_some() { self.renew()? } else { producer };
        let record = FutureRecord::<(), [u8]>::to(topic).partition(partition).payload(bytes);
        producer.send_result(record).map_err(|(error, _)| error.to_string())
    }

    /// A new session with the brokers in place of one that failed for good. What the old one still held fails, before
    /// anything is sent by the new one; what it had on the wire may land at any time, as an append that failed may.
    fn renew(&self) -> Result<FutureProducer<Voice>, String> {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let Some((_, reason)) = current.client().fatal_error() else { return Ok(current.clone()) };
        tracing::warn!("the Kafka producer failed for good, and a new one takes its place: {reason}");
        let new: FutureProducer<Voice> =
            self.config.create_with_context(Voice::default()).map_err(|error: KafkaError| error.to_string())?;
        let old = std::mem::replace(&mut *current, new.clone());
        old.purge(PurgeConfig::default().queue().inflight());
        // Its end waits for a thread.
        std::thread::spawn(move || drop(old));
        Ok(new)
    }
}
