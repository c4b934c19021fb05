//! Reading. A consumer costs threads and connections, so readers share a few: each reads its partition by a queue of
//! its own. A consumer reads a partition once, so a second reader of the same partition takes the next consumer.
use super::{Inner, KafkaLogConfig, number};
use crate::{
    kafka::{Voice, native},
    log::{LogError, Reader, Record, Topic},
};
use bytes::Bytes;
use futures::{FutureExt, StreamExt, future::BoxFuture};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{Consumer, StreamConsumer, stream_consumer::StreamPartitionQueue},
    error::{KafkaError, RDKafkaErrorCode},
    message::BorrowedMessage,
};
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{task::JoinHandle, time::Instant};

/// The consumers that readers share.
pub(super) struct Consumers {
    config: ClientConfig,
    /// Asks the cluster, and reads nothing: a question would wait behind a fetch that waits for records.
    asker: Arc<Shared>,
    all: Mutex<Vec<Arc<Shared>>>,
}

struct Shared {
    consumer: Arc<StreamConsumer<Voice>>,
    /// What is read by it now.
    reading: Mutex<HashSet<(Topic, i32)>>,
    /// Polls the main queue, where errors and log lines come.
    events: JoinHandle<()>,
}

impl Consumers {
    pub(super) fn new(config: &KafkaLogConfig) -> Result<Self, KafkaError> {
        // librdkafka assigns partitions only to a consumer that names a group. It joins none without a subscription.
        let group = format!("{}-readers", config.prefix);
        let defaults = [
            // A partition that is assigned while a fetch waits at the broker waits with it.
            ("fetch.wait.max.ms", "50"),
            // A fetcher that found its queue full sleeps this long; by default for a second.
            ("fetch.queue.backoff.ms", "5"),
            // For each partition.
            ("queued.max.messages.kbytes", "4096"),
        ];
        let fixed = [
            ("group.id", group.as_str()),
            ("isolation.level", "read_committed"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            // A position that was trimmed is an error, never a jump.
            ("auto.offset.reset", "error"),
            ("enable.partition.eof", "true"),
        ];
        let config = config.client(&defaults, &fixed);
        let asker = Arc::new(Shared::new(&config)?);
        Ok(Self { config, all: Mutex::default(), asker })
    }

    /// One to ask the cluster by.
    pub(super) fn any(&self) -> Arc<StreamConsumer<Voice>> {
        self.asker.consumer.clone()
    }

    /// How many partitions are read now, as the clients have it.
    #[cfg(test)]
    pub(super) fn assigned(&self) -> usize {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|shared| shared.consumer.assignment().map_or(0, |list| list.count())).sum()
    }

    /// One that reads `key` from now on, and for no one else.
    fn take(&self, key: (Topic, i32)) -> Result<Arc<Shared>, KafkaError> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = all.iter().find(|shared| shared.reading().insert(key)) {
            return Ok(shared.clone());
        }
        let shared = Arc::new(Shared::new(&self.config)?);
        shared.reading().insert(key);
        all.push(shared.clone());
        Ok(shared)
    }
}

impl Shared {
    fn new(config: &ClientConfig) -> Result<Self, KafkaError> {
        let consumer: StreamConsumer<Voice> = config.create_with_context(Voice::default())?;
        let consumer = Arc::new(consumer);
        let events = tokio::spawn({
            let consumer = consumer.clone();
            async move {
                loop {
                    // `Voice` has said what there is to say.
                    let _ = consumer.recv().await;
                }
            }
        });
        Ok(Self { consumer, reading: Mutex::default(), events })
    }

    fn reading(&self) -> std::sync::MutexGuard<'_, HashSet<(Topic, i32)>> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.events.abort();
    }
}

/// Reads a partition by a queue of its own.
pub(super) struct KafkaReader {
    inner: Arc<Inner>,
    queue: StreamPartitionQueue<Voice>,
    shared: Arc<Shared>,
    name: String,
    topic: Topic,
    partition: i32,
    position: u64,
    /// An error that is still to be told.
    broken: Option<KafkaError>,
}

impl KafkaReader {
    pub(super) fn open(inner: Arc<Inner>, topic: Topic, partition: u32, position: u64) -> Result<Self, LogError> {
        let backend = |reason: String| LogError::Backend { topic, partition, reason };
        let number = number(topic, partition)?;
        let offset = i64::try_from(position).map_err(|_| backend(format!("no such position: {position}")))?;
        if partition >= inner.config.partitions(topic) {
            return Err(backend("no such partition".to_owned()));
        }
        let name = inner.config.topic(topic);
        let shared = inner.readers.take((topic, number)).map_err(|error| backend(error.to_string()))?;
        // The queue comes first: librdkafka leaves one that is already taken where it is.
        let start = || {
            let queue = shared.consumer.split_partition_queue(&name, number).ok_or("no such partition".to_owned())?;
            let mut list = TopicPartitionList::with_capacity(1);
            list.add_partition_offset(&name, number, Offset::Offset(offset)).map_err(|error| error.to_string())?;
            shared.consumer.incremental_assign(&list).map_err(|error| error.to_string())?;
            Ok(queue)
        };
        match start() {
            Ok(queue) => Ok(Self { inner, queue, shared, name, topic, partition: number, position, broken: None }),
            Err(reason) => {
                shared.reading().remove(&(topic, number));
                Err(backend(reason))
            }
        }
    }

    /// What an error of the client means here.
    async fn why(&self, error: &KafkaError) -> LogError {
        let (topic, partition, position) = (self.topic, self.partition.unsigned_abs(), self.position);
        match self.inner.extent(topic, partition).await {
            Ok(extent) if position < extent.oldest => {
                LogError::Trimmed { topic, partition, position, oldest: extent.oldest }
            }
            Ok(extent) if position > extent.end => {
                let reason = format!("it ends at {}, below {position}", extent.end);
                LogError::Backend { topic, partition, reason }
            }
            _ => LogError::Backend { topic, partition, reason: error.to_string() },
        }
    }

    async fn read(&mut self, bytes_max: usize, wait: Duration) -> Result<Vec<Record>, LogError> {
        let deadline = Instant::now() + wait.min(Duration::from_secs(86_400));
        let Self { queue, shared, name, partition, position, broken, .. } = self;
        let mut taking = Taking { shared, name, partition: *partition, position, broken, records: Vec::new(), size: 0 };
        let mut stream = queue.stream();
        while taking.broken.is_none() {
            while taking.size < bytes_max.max(1) {
                let Some(Some(event)) = stream.next().now_or_never() else { break };
                taking.take(event);
            }
            if !taking.records.is_empty() {
                return Ok(taking.records);
            }
            // Here nothing is in hand that would be lost with a wait that is cancelled.
            match tokio::time::timeout_at(deadline, stream.next()).await {
                Ok(Some(event)) => taking.take(event),
                _ => break,
            }
        }
        if !taking.records.is_empty() {
            return Ok(taking.records);
        }
        drop(stream);
        let Some(error) = self.broken.clone() else { return Ok(Vec::new()) };
        let why = self.why(&error).await;
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AutoOffsetReset) {
            self.broken = None;
        }
        Err(why)
    }
}

/// What a read has in hand.
struct Taking<'a> {
    shared: &'a Shared,
    name: &'a str,
    partition: i32,
    position: &'a mut u64,
    broken: &'a mut Option<KafkaError>,
    records: Vec<Record>,
    size: usize,
}

impl Taking<'_> {
    fn take(&mut self, event: Result<BorrowedMessage<'_>, KafkaError>) {
        match event {
            Ok(message) => {
                let position = u64::try_from(message.offset()).unwrap_or(0);
                let bytes = Bytes::copy_from_slice(message.payload().unwrap_or_default());
                *self.position = position + 1;
                self.size += bytes.len().max(1);
                self.records.push(Record { position, bytes });
            }
            Err(KafkaError::PartitionEOF(_)) => {
                // Control records at the end are behind us too.
                let position = native::position(self.shared.consumer.client(), self.name, self.partition);
                let position = position.and_then(|position| u64::try_from(position).ok()).unwrap_or(0);
                *self.position = position.max(*self.position);
            }
            Err(error) if passing(&error) => {}
            Err(error) => *self.broken = Some(error),
        }
    }
}

/// Errors after which librdkafka goes on by itself.
fn passing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::Resolve
        )
    )
}

impl Reader for KafkaReader {
    fn next(&mut self, bytes_max: usize, wait: Duration) -> BoxFuture<'_, Result<Vec<Record>, LogError>> {
        Box::pin(self.read(bytes_max, wait))
    }

    fn position(&self) -> u64 {
        self.position
    }
}

impl Drop for KafkaReader {
    fn drop(&mut self) {
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(&self.name, self.partition);
        if let Err(error) = self.shared.consumer.incremental_unassign(&list) {
            tracing::warn!("{}/{} is no longer read, but the client said: {error}", self.name, self.partition);
        }
        self.shared.reading().remove(&(self.topic, self.partition));
    }
}
