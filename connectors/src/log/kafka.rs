//! A log on Apache Kafka. Every partition of ours is a partition of a topic `<prefix>.<name>`.
use super::{Append, Extent, Log, LogError, RECORD_BYTES_MAX, Reader, Topic};
use crate::kafka::{ASK, PropertyError, Voice, check_properties, client_config, watermarks};
use bytes::Bytes;
use futures::future::{self, BoxFuture};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    error::KafkaError,
};
use std::{collections::BTreeMap, fmt, sync::Arc};

mod append;
mod read;
mod topics;

/// Where a [`KafkaLog`] lives.
#[derive(Clone)]
pub struct KafkaLogConfig {
    /// Addresses to begin with: `host:port,host:port`.
    pub brokers: String,
    /// What the topics' names begin with: `quell` for `quell.journal`.
    pub prefix: String,
    /// The number of partitions of every topic but `control`, which has one.
    pub partitions: u32,
    /// Handed to librdkafka as they are, save those that [`check_properties`] refuses.
    pub properties: BTreeMap<String, String>,
}

/// Why a [`KafkaLog`] could not be opened.
#[derive(Clone, Debug, thiserror::Error)]
pub enum KafkaLogError {
    /// A property that can't be handed to the client.
    #[error(transparent)]
    Property(#[from] PropertyError),
    /// A topic stands with a setting under which Quell's promises do not hold.
    #[error("topic {topic} has {setting} = {found}, but Quell needs {needed}")]
    Setting { topic: String, setting: &'static str, found: String, needed: String },
    /// What the client or the cluster answered.
    #[error("kafka at {brokers}: {reason}")]
    Cluster { brokers: String, reason: String },
}

/// A log on Apache Kafka. Clones share the connections.
#[derive(Clone)]
pub struct KafkaLog {
    inner: Arc<Inner>,
}

struct Inner {
    config: KafkaLogConfig,
    producers: append::Producers,
    readers: read::Consumers,
}

impl fmt::Debug for KafkaLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaLog").field("prefix", &self.inner.config.prefix).finish_non_exhaustive()
    }
}

impl KafkaLogConfig {
    fn topic(&self, topic: Topic) -> String {
        format!("{}.{}", self.prefix, topic.name())
    }

    fn partitions(&self, topic: Topic) -> u32 {
        if topic.is_single() { 1 } else { self.partitions }
    }

    fn client(&self, defaults: &[(&str, &str)], fixed: &[(&str, &str)]) -> ClientConfig {
        client_config(&self.brokers, &self.properties, defaults, fixed)
    }

    fn refused(&self, reason: impl fmt::Display) -> KafkaLogError {
        KafkaLogError::Cluster { brokers: self.brokers.clone(), reason: reason.to_string() }
    }
}

impl KafkaLog {
    /// Connects, makes the topics that are missing, and looks at the settings of those that stand. Needs tokio's
    /// multi-threaded runtime around it for as long as the log lives.
    ///
    /// # Errors
    /// When a property is refused, no broker answers in 10 s, a topic can't be made, or one stands with a setting under
    /// which Quell's promises do not hold.
    pub async fn open(config: KafkaLogConfig) -> Result<Self, KafkaLogError> {
        Self::connect(config, false).await
    }

    /// The same of a log that is there, to read it: no topic is made.
    ///
    /// # Errors
    /// As [`open`](Self::open), and where a topic is missing.
    pub async fn find(config: KafkaLogConfig) -> Result<Self, KafkaLogError> {
        Self::connect(config, true).await
    }

    async fn connect(config: KafkaLogConfig, reads: bool) -> Result<Self, KafkaLogError> {
        check_properties(&config.properties)?;
        let readers = read::Consumers::new(&config).map_err(|error| config.refused(error))?;
        topics::prepare(&config, &readers, reads).await?;
        let producers = append::Producers::new(&config).map_err(|error| config.refused(error))?;
        Ok(Self { inner: Arc::new(Inner { config, producers, readers }) })
    }
}

impl Inner {
    async fn extent(&self, topic: Topic, partition: u32) -> Result<Extent, LogError> {
        let consumer = self.readers.any();
        let name = self.config.topic(topic);
        let number = number(topic, partition)?;
        let ask = move || watermarks(&*consumer, &name, number);
        let (oldest, end) = blocking(ask).await.map_err(|reason| LogError::Backend { topic, partition, reason })?;
        Ok(Extent { oldest: u64::try_from(oldest).unwrap_or(0), end: u64::try_from(end).unwrap_or(0) })
    }

    async fn trim(&self, topic: Topic, partition: u32, position: u64) -> Result<(), LogError> {
        let extent = self.extent(topic, partition).await?;
        let position = position.min(extent.end);
        if position <= extent.oldest {
            return Ok(());
        }
        let backend = |reason| LogError::Backend { topic, partition, reason };
        // An `AdminClient` never reads its client's log queue, which would grow: it lives for one question.
        let admin = admin(&self.config).map_err(|error| backend(error.to_string()))?;
        let mut list = TopicPartitionList::with_capacity(1);
        let offset = Offset::Offset(i64::try_from(position).unwrap_or(i64::MAX));
        list.add_partition_offset(&self.config.topic(topic), number(topic, partition)?, offset)
            .map_err(|error| backend(error.to_string()))?;
        let answer = admin.delete_records(&list, &AdminOptions::new().request_timeout(Some(ASK))).await;
        tokio::task::spawn_blocking(move || drop(admin));
        let answer = answer.map_err(|error| backend(error.to_string()))?;
        match answer.elements().first().map(|element| element.error()) {
            Some(Err(error)) => Err(backend(error.to_string())),
            _ => Ok(()),
        }
    }
}

impl Log for KafkaLog {
    fn append(&self, topic: Topic, partition: u32, bytes: Bytes) -> Append {
        if bytes.len() > RECORD_BYTES_MAX {
            return Box::pin(future::ready(Err(LogError::TooLarge { size: bytes.len() })));
        }
        let failed = move |reason| LogError::Append { topic, partition, reason };
        let sent = match number(topic, partition) {
            Ok(number) => self.inner.producers.send(&self.inner.config.topic(topic), number, &bytes).map_err(failed),
            Err(error) => Err(error),
        };
        Box::pin(async move {
            let delivery = sent?.await.map_err(|_| failed("the producer was closed".to_owned()))?;
            let delivery = delivery.map_err(|(error, _)| failed(error.to_string()))?;
            // A record that the broker found to be a repeat of ours is durable, but it does not say where.
            u64::try_from(delivery.offset).map_err(|_| failed("it is durable, but its position is unknown".to_owned()))
        })
    }

    fn read_from(
        &self,
        topic: Topic,
        partition: u32,
        position: u64,
    ) -> BoxFuture<'_, Result<Box<dyn Reader>, LogError>> {
        Box::pin(async move {
            let reader = read::KafkaReader::open(self.inner.clone(), topic, partition, position)?;
            Ok(Box::new(reader) as Box<dyn Reader>)
        })
    }

    fn extent(&self, topic: Topic, partition: u32) -> BoxFuture<'_, Result<Extent, LogError>> {
        Box::pin(self.inner.extent(topic, partition))
    }

    fn trim(&self, topic: Topic, partition: u32, position: u64) -> BoxFuture<'_, Result<(), LogError>> {
        Box::pin(self.inner.trim(topic, partition, position))
    }
}

/// Kafka's number of a partition.
fn number(topic: Topic, partition: u32) -> Result<i32, LogError> {
    i32::try_from(partition).map_err(|_| LogError::Backend { topic, partition, reason: "no such partition".to_owned() })
}

fn admin(config: &KafkaLogConfig) -> Result<AdminClient<Voice>, KafkaError> {
    config.client(&[], &[]).create_with_context(Voice::default())
}

/// Runs a call that blocks, and puts its error into words.
async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, KafkaError> + Send + 'static,
) -> Result<T, String> {
    match tokio::task::spawn_blocking(call).await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("the runtime is stopping".to_owned()),
    }
}

#[cfg(test)]
mod tests;
