//! What the Kafka log and the Kafka source share: properties, callbacks, and the calls that `rdkafka` does not wrap.
use rdkafka::{
    ClientConfig, ClientContext,
    config::RDKafkaLogLevel,
    consumer::{Consumer, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode},
};
use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

pub(crate) mod native;

/// How long a question to the cluster may take.
pub(crate) const ASK: Duration = Duration::from_secs(10);

/// How long to wait before a question is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// The same error of a client is said again after this long.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// Properties on which a promise of Quell rests, with the reason.
const PROTECTED: &[(&str, &str)] = &[
    ("bootstrap.servers", "write it as `brokers`"),
    ("metadata.broker.list", "write it as `brokers`"),
    ("acks", "a record counts when all replicas in sync have it"),
    ("request.required.acks", "a record counts when all replicas in sync have it"),
    ("enable.idempotence", "the order of records rests on it"),
    ("max.in.flight", "the order of records rests on it"),
    ("max.in.flight.requests.per.connection", "the order of records rests on it"),
    ("retries", "a record is tried until it is durable"),
    ("message.send.max.retries", "a record is tried until it is durable"),
    ("message.timeout.ms", "a record is tried until it is durable"),
    ("delivery.timeout.ms", "a record is tried until it is durable"),
    ("transactional.id", "Quell is exactly once by position, not by transaction"),
    ("enable.auto.commit", "an offset is committed when what was read up to it is durable"),
    ("auto.commit.enable", "an offset is committed when what was read up to it is durable"),
    ("enable.auto.offset.store", "an offset is committed when what was read up to it is durable"),
    ("auto.offset.reset", "no record may be skipped"),
    ("isolation.level", "only committed records are read"),
    ("enable.partition.eof", "the end of a partition has to be seen"),
    ("group.id", "it is the journal's"),
    ("group.instance.id", "it is the data directory's"),
    ("group.protocol", "partitions move one by one, by the classic protocol"),
    ("partition.assignment.strategy", "partitions move one by one, by the classic protocol"),
    ("log.queue", "it would silence the client"),
];

/// A property that is not handed to the Kafka client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PropertyError {
    /// Quell sets it itself.
    #[error("kafka property `{name}` can't be set: {reason}")]
    Protected { name: String, reason: &'static str },
    /// The client does not know it, or not this value.
    #[error("kafka property `{name}`: {reason}")]
    Invalid { name: String, reason: String },
}

/// Says whether all of `properties` may be handed to librdkafka.
///
/// # Errors
/// The first one that is protected, unknown, or has a value that librdkafka refuses; with librdkafka's own words.
pub fn check_properties(properties: &BTreeMap<String, String>) -> Result<(), PropertyError> {
    for (name, value) in properties {
        if let Some((_, reason)) = PROTECTED.iter().find(|(protected, _)| protected == name) {
            return Err(PropertyError::Protected { name: name.clone(), reason });
        }
        if name.ends_with("_cb") || name == "opaque" {
            return Err(PropertyError::Protected { name: name.clone(), reason: "callbacks are Quell's" });
        }
        if let Err(error) = ClientConfig::new().set(name, value).create_native_config() {
            // Its `Display` has the value, which may be a password.
            let reason = match error {
                KafkaError::ClientConfig(_, reason, _, _) => reason,
                _ => "has a NUL character".to_owned(),
            };
            return Err(PropertyError::Invalid { name: name.clone(), reason });
        }
    }
    Ok(())
}

/// What a partition holds. Asked again while it moves between brokers, or has only just been made and not every broker
/// knows it.
pub(crate) fn watermarks<C: ConsumerContext>(
    consumer: &impl Consumer<C>,
    topic: &str,
    partition: i32,
) -> Result<(i64, i64), KafkaError> {
    let since = Instant::now();
    loop {
        match consumer.fetch_watermarks(topic, partition, ASK) {
            Err(KafkaError::MetadataFetch(code)) if moves(code) && since.elapsed() < ASK => thread::sleep(ASK_AGAIN),
            answer => return answer,
        }
    }
}

const fn moves(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::NotLeaderForPartition
            | RDKafkaErrorCode::LeaderNotAvailable
            | RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownPartition
    )
}

/// A client's configuration: `defaults`, over them the user's `properties`, over all what Quell's promises need. A
/// default with several names (`linger.ms|queue.buffering.max.ms`) gives way to any of them.
pub(crate) fn client_config(
    brokers: &str,
    properties: &BTreeMap<String, String>,
    defaults: &[(&str, &str)],
    fixed: &[(&str, &str)],
) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set_log_level(RDKafkaLogLevel::Warning);
    // A broker that is back is found again within a second or two.
    let common = [("client.id", "quell"), ("reconnect.backoff.max.ms", "1000")];
    for (names, value) in common.iter().chain(defaults) {
        if let Some(name) = names.split('|').next()
            && !names.split('|').any(|name| properties.contains_key(name))
        {
            config.set(name, *value);
        }
    }
    config.extend(properties.iter().map(|(name, value)| (name.clone(), value.clone())));
    config.set("bootstrap.servers", brokers);
    for (name, value) in fixed {
        config.set(*name, *value);
    }
    config
}

/// Passes a client's log lines and errors on, the same error once a minute.
#[derive(Debug, Default)]
pub(crate) struct Voice {
    said: Mutex<Vec<(RDKafkaErrorCode, Instant)>>,
    hushed: AtomicBool,
}

impl Voice {
    /// Its client is done with: that the cluster has gone, or anything else, is no news any more.
    pub(crate) fn hush(&self) {
        self.hushed.store(true, Ordering::Relaxed);
    }
}

impl ClientContext for Voice {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, line: &str) {
        // One set of properties serves producers and consumers; librdkafka remarks on those that only the other uses.
        // A lost connection comes as an error as well.
        if matches!(fac, "CONFWARN" | "FAIL" | "ERROR") {
            tracing::debug!(target: "librdkafka", "{fac}: {line}");
            return;
        }
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => tracing::warn!(target: "librdkafka", "{fac}: {line}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => tracing::info!(target: "librdkafka", "{fac}: {line}"),
            RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", "{fac}: {line}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let Some(code) = error.rdkafka_error_code() else { return };
        // Both are answers to whoever reads the partition.
        let is_answer = matches!(code, RDKafkaErrorCode::PartitionEOF | RDKafkaErrorCode::AutoOffsetReset);
        if is_answer || self.hushed.load(Ordering::Relaxed) {
            return;
        }
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.retain(|(_, at)| at.elapsed() < SAY_AGAIN);
        if said.iter().all(|(known, _)| *known != code) {
            said.push((code, Instant::now()));
            tracing::warn!(target: "librdkafka", "{reason}");
        }
    }
}

impl ConsumerContext for Voice {}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The address of a real Kafka, if there is one to test with.
    pub(crate) fn real_kafka() -> Option<String> {
        match std::env::var("QUELL_KAFKA") {
            Ok(brokers) if !brokers.is_empty() => Some(brokers),
            _ => {
                assert!(
                    std::env::var("QUELL_REQUIRE_KAFKA").as_deref() != Ok("1"),
                    "no Kafka, but QUELL_REQUIRE_KAFKA=1 (set QUELL_KAFKA)"
                );
                eprintln!("SKIPPED: no Kafka (set QUELL_KAFKA)");
                None
            }
        }
    }

    /// A name that no other test run has.
    pub(crate) fn unique(name: &str) -> String {
        format!("{name}-{:08x}", rand::random::<u32>())
    }

    fn check(name: &str, value: &str) -> Result<(), PropertyError> {
        check_properties(&BTreeMap::from([(name.to_owned(), value.to_owned())]))
    }

    #[test]
    fn what_a_promise_rests_on_is_protected() {
        for name in ["acks", "group.id", "isolation.level", "rebalance_cb", "bootstrap.servers", "retries"] {
            assert!(matches!(check(name, "1"), Err(PropertyError::Protected { .. })), "{name}");
        }
        assert_eq!(check("security.protocol", "SASL_SSL"), Ok(()));
        assert_eq!(check("linger.ms", "5"), Ok(()));
    }

    #[test]
    fn an_unknown_property_is_named_and_its_value_is_not() {
        let error = check("no.such.thing", "secret").expect_err("is unknown").to_string();
        assert!(error.contains("`no.such.thing`") && error.contains("No such configuration"), "{error}");
        assert!(check("linger.ms", "soon").expect_err("is no number").to_string().contains("linger.ms"));
        assert!(check("sasl.password", "a\0b").is_err());
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn a_default_gives_way_to_each_of_its_names() {
        let properties = BTreeMap::from([("compression.codec".to_owned(), "zstd".to_owned())]);
        let config = client_config("a", &properties, &[("compression.type|compression.codec", "lz4")], &[]);
        assert_eq!((config.get("compression.type"), config.get("compression.codec")), (None, Some("zstd")));
    }
}
