//! A source on Apache Kafka: a member of a consumer group, or, where there are no groups, a reader of all partitions.
//!
//! The client is given a partition to read by [`Source::seek`] and not before: being assigned one only says whose it is.
use super::{Committed, Source, SourceError, SourceEvent, SourceExtent, SourcePartition, SourceRecord};
use crate::kafka::{ASK, PropertyError, Voice, check_properties, client_config, native, watermarks};
use bytes::Bytes;
use futures::{FutureExt, StreamExt, future::BoxFuture};
use rdkafka::{
    ClientContext, Message, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, StreamConsumer},
    error::{KafkaError, KafkaResult},
    message::{BorrowedMessage, Headers as _},
    types::RDKafkaRespErr,
};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Notify, task::JoinHandle, time::Instant};

/// How often a topic that does not exist is looked for: by a group in milliseconds, without one.
const GROUP_LOOKS_MS: &str = "5000";
const LOOK: Duration = Duration::from_secs(1);

/// How long a client that closes may take to do so after it has let go of everything.
const CLOSE: Duration = Duration::from_secs(1);

/// How long the client may take to let go of a partition.
const LET_GO: Duration = Duration::from_secs(10);

/// What a [`KafkaSource`] reads.
#[derive(Clone)]
pub struct KafkaSourceConfig {
    /// Addresses to begin with: `host:port,host:port`.
    pub brokers: String,
    /// The topics, by name.
    pub topics: Vec<String>,
    /// The consumer group; offsets are committed under it.
    pub group: String,
    /// The member's name in the group. One that comes back under it within 10 s keeps its partitions.
    pub instance: String,
    /// Handed to librdkafka as they are, save those that [`check_properties`] refuses.
    pub properties: BTreeMap<String, String>,
    /// Reads all partitions, whoever else does; joins no group and asks for no topic's id. For librdkafka's mock
    /// cluster, which has neither.
    pub assign: bool,
}

/// Why a [`KafkaSource`] could not be opened.
#[derive(Clone, Debug, thiserror::Error)]
pub enum KafkaSourceError {
    /// A property that can't be handed to the client.
    #[error(transparent)]
    Property(#[from] PropertyError),
    /// What the client said.
    #[error("kafka at {brokers}: {reason}")]
    Client { brokers: String, reason: String },
}

/// A source on Apache Kafka. Brokers that are down are waited for. Dropping it closes the client, which blocks for a
/// moment.
pub struct KafkaSource {
    consumer: Arc<StreamConsumer<Member>>,
    /// Asks the cluster. Not the one that reads: a question would wait behind a fetch that waits for records.
    asker: Arc<StreamConsumer<Voice>>,
    /// Polls the asker's queue, where errors and log lines come.
    events: JoinHandle<()>,
    topics: Vec<Arc<str>>,
    assign: bool,
    /// What is still to be told, in order.
    ready: VecDeque<SourceEvent>,
    /// What is read now, and the offset after what was told of it.
    reading: HashMap<SourcePartition, i64>,
    /// Ended before anything of them was delivered: they may begin beyond where they were to be read from.
    empty: Vec<SourcePartition>,
    /// Without a group: the topics not found yet, and when to look again.
    missing: Vec<Arc<str>>,
    look_at: Instant,
    /// It was said that some are missing.
    said: bool,
}

/// The client's callbacks.
#[derive(Default)]
struct Member {
    voice: Voice,
    /// Rebalances that the source has not told yet.
    rebalances: Mutex<VecDeque<Rebalance>>,
    /// Ends a wait when one comes.
    came: Notify,
    /// The source is being dropped, and with it the client.
    closing: AtomicBool,
    /// A rebalance was answered since.
    answered: AtomicBool,
}

enum Rebalance {
    Assigned(Vec<(String, i32)>),
    Revoked(Vec<(String, i32)>),
}

impl ClientContext for Member {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, line: &str) {
        self.voice.log(level, fac, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.voice.error(error, reason);
    }
}

impl ConsumerContext for Member {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        // A client that closes lets go of everything at the first answer, and what asks it anything after that waits for
        // ever; but a second answer may be needed.
        if self.closing.load(Ordering::Acquire) && self.answered.swap(true, Ordering::AcqRel) {
            let since = Instant::now();
            while !consumer.closed() && since.elapsed() < CLOSE {
                std::thread::sleep(Duration::from_millis(5));
            }
            if consumer.closed() {
                return;
            }
        }
        let partitions = partitions(list);
        let assigned = event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        let answered = if assigned {
            consumer.incremental_assign(&TopicPartitionList::new())
        } else {
            let read = consumer.assignment().unwrap_or_default();
            let mut gone = TopicPartitionList::new();
            for (topic, partition) in &partitions {
                if read.find_partition(topic, *partition).is_some() {
                    gone.add_partition(topic, *partition);
                }
            }
            consumer.incremental_unassign(&gone)
        };
        if let Err(error) = answered {
            tracing::warn!("a rebalance was answered by the client with: {error}");
        }
        let rebalance = if assigned { Rebalance::Assigned(partitions) } else { Rebalance::Revoked(partitions) };
        self.rebalances.lock().unwrap_or_else(PoisonError::into_inner).push_back(rebalance);
        self.came.notify_one();
    }
}

impl KafkaSource {
    /// Makes a client and, with a group, begins to join it. Needs tokio's multi-threaded runtime around it for as long
    /// as the source lives. Does not wait for a broker.
    ///
    /// # Errors
    /// When a property is refused, or the client can't be made with them.
    pub async fn open(config: KafkaSourceConfig) -> Result<Self, KafkaSourceError> {
        check_properties(&config.properties)?;
        let defaults = [
            ("session.timeout.ms", "10000"),
            ("heartbeat.interval.ms", "3000"),
            ("topic.metadata.refresh.interval.ms", GROUP_LOOKS_MS),
            ("fetch.wait.max.ms", "100"),
            // A fetcher that found its queue full sleeps this long; by default for a second.
            ("fetch.queue.backoff.ms", "5"),
            ("queued.max.messages.kbytes", "16384"),
        ];
        let mut fixed = vec![
            ("group.id", config.group.as_str()),
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "earliest"),
            ("isolation.level", "read_committed"),
            ("enable.partition.eof", "true"),
        ];
        let mut asks = client_config(&config.brokers, &config.properties, &defaults, &fixed);
        if !config.assign {
            fixed.push(("group.instance.id", config.instance.as_str()));
        }
        let client =
            |error: KafkaError| KafkaSourceError::Client { brokers: config.brokers.clone(), reason: error.to_string() };
        let consumer: StreamConsumer<Member> = client_config(&config.brokers, &config.properties, &defaults, &fixed)
            .create_with_context(Member::default())
            .map_err(client)?;
        let asker: StreamConsumer<Voice> =
            asks.set("client.id", "quell-asks").create_with_context(Voice::default()).map_err(client)?;
        let asker = Arc::new(asker);
        let topics: Vec<Arc<str>> = config.topics.iter().map(|topic| topic.as_str().into()).collect();
        if !config.assign {
            let names: Vec<_> = config.topics.iter().map(String::as_str).collect();
            consumer.subscribe(&names).map_err(client)?;
        }
        let events = tokio::spawn({
            let asker = asker.clone();
            async move {
                loop {
                    // `Voice` has said what there is to say.
                    let _ = asker.recv().await;
                }
            }
        });
        Ok(Self {
            consumer: Arc::new(consumer),
            asker,
            events,
            missing: if config.assign { topics.clone() } else { Vec::new() },
            topics,
            assign: config.assign,
            ready: VecDeque::new(),
            reading: HashMap::new(),
            empty: Vec::new(),
            look_at: Instant::now(),
            said: false,
        })
    }

    fn partition(&self, topic: &str, partition: i32) -> SourcePartition {
        let topic = self.topics.iter().find(|known| &***known == topic).cloned().unwrap_or_else(|| topic.into());
        SourcePartition { topic, partition }
    }

    /// Takes what is at hand, without waiting.
    fn drain(&mut self, records_max: usize) {
        let consumer = self.consumer.clone();
        let mut stream = consumer.stream();
        for _ in 0..records_max.max(1) {
            // A rebalance ends the run too.
            let Some(Some(event)) = stream.next().now_or_never() else { break };
            self.take(event);
        }
        self.take_rebalances();
    }

    fn take(&mut self, event: KafkaResult<BorrowedMessage<'_>>) {
        match event {
            Ok(message) => self.take_message(&message),
            Err(KafkaError::PartitionEOF(partition)) => self.take_end(partition),
            // `Voice` has said it; librdkafka goes on by itself, unless it is fatal, which it keeps.
            Err(_) => {}
        }
    }

    fn take_message(&mut self, message: &BorrowedMessage<'_>) {
        let offset = message.offset();
        let record = SourceRecord {
            offset,
            timestamp_ms: message.timestamp().to_millis(),
            headers: headers(message),
            payload: message.payload().map(Bytes::copy_from_slice),
        };
        // Partitions come in turns: a batch of each costs less than one of each turn. No further back than a rebalance.
        let mut batches = self.ready.iter_mut().rev().map_while(|event| match event {
            SourceEvent::Records { partition, records, next } => Some((partition, records, next)),
            _ => None,
        });
        let of = |partition: &SourcePartition| {
            partition.partition == message.partition() && &*partition.topic == message.topic()
        };
        if let Some((_, records, next)) = batches.find(|(partition, ..)| of(partition)) {
            records.push(record);
            *next = offset + 1;
            return;
        }
        let partition = self.partition(message.topic(), message.partition());
        self.ready.push_back(SourceEvent::Records { partition, records: vec![record], next: offset + 1 });
    }

    /// The end of a partition was reached: what lies between the last record and it is control records. The event has
    /// no topic, so all that we read with this number are asked where they stand: past what was delivered, no further.
    fn take_end(&mut self, number: i32) {
        let ours = self.reading.iter().filter(|(partition, _)| partition.partition == number);
        let ours: Vec<_> = ours.map(|(partition, told)| (partition.clone(), *told)).collect();
        for (ended, told) in ours {
            let Some(end) = native::position(self.consumer.client(), &ended.topic, number) else {
                self.empty.push(ended);
                continue;
            };
            let last = self.ready.iter_mut().rev().find_map(|event| match event {
                SourceEvent::Records { partition, next, .. } if *partition == ended => Some(next),
                _ => None,
            });
            match last {
                Some(next) => *next = end.max(*next),
                None if end > told => {
                    self.ready.push_back(SourceEvent::Records { partition: ended, records: Vec::new(), next: end });
                }
                None => {}
            }
        }
    }

    fn take_rebalances(&mut self) {
        let rebalances =
            std::mem::take(&mut *self.consumer.context().rebalances.lock().unwrap_or_else(PoisonError::into_inner));
        for rebalance in rebalances {
            match rebalance {
                Rebalance::Assigned(partitions) => self.tell(&partitions, SourceEvent::Assigned),
                Rebalance::Revoked(partitions) => {
                    for (topic, partition) in &partitions {
                        let partition = self.partition(topic, *partition);
                        self.reading.remove(&partition);
                    }
                    self.tell(&partitions, SourceEvent::Revoked);
                }
            }
        }
    }

    fn tell(&mut self, partitions: &[(String, i32)], event: fn(Vec<SourcePartition>) -> SourceEvent) {
        if !partitions.is_empty() {
            let partitions = partitions.iter().map(|(topic, number)| self.partition(topic, *number)).collect();
            self.ready.push_back(event(partitions));
        }
    }

    /// The next event at hand.
    fn pop(&mut self) -> Option<SourceEvent> {
        let event = self.ready.pop_front()?;
        if let SourceEvent::Records { partition, next, .. } = &event
            && let Some(told) = self.reading.get_mut(partition)
        {
            *told = *next;
        }
        Some(event)
    }

    /// Without a group: looks for topics that were not there yet.
    async fn look(&mut self) {
        self.look_at = Instant::now() + LOOK;
        let consumer = self.consumer.clone();
        let missing = self.missing.clone();
        let ask = move || {
            let mut found = Vec::new();
            for topic in missing {
                let metadata = consumer.fetch_metadata(Some(&topic), ASK)?;
                for told in metadata.topics().iter().filter(|told| told.error().is_none()) {
                    found.extend(told.partitions().iter().map(|partition| (topic.to_string(), partition.id())));
                }
            }
            Ok(found)
        };
        match self.blocking("topics", ask).await {
            Ok(found) => {
                self.missing.retain(|topic| found.iter().all(|(known, _)| **known != **topic));
                self.tell(&found, SourceEvent::Assigned);
            }
            Err(error) => tracing::warn!("{error}"),
        }
        if !self.missing.is_empty() && !std::mem::replace(&mut self.said, true) {
            tracing::warn!("waiting for topics that do not exist yet: {}", self.missing.join(", "));
        }
    }

    /// Passes what was trimmed away in front of a partition of which nothing is left.
    async fn pass(&mut self, partition: SourcePartition) {
        match self.extent(&partition).await {
            Ok(extent) if self.reading.get(&partition).is_some_and(|told| *told < extent.oldest) => {
                self.ready.push_back(SourceEvent::Records { partition, records: Vec::new(), next: extent.oldest });
            }
            Ok(_) => {}
            // Its end comes again with the next record only, but the client has said what is wrong.
            Err(error) => tracing::debug!("{error}"),
        }
    }

    async fn wait(&mut self, records_max: usize, wait: Duration) -> Result<SourceEvent, SourceError> {
        let deadline = Instant::now() + wait.min(Duration::from_secs(86_400));
        let consumer = self.consumer.clone();
        let mut stream = consumer.stream();
        let mut fresh = self.ready.is_empty();
        loop {
            if fresh {
                self.drain(records_max);
            }
            if let Some(event) = self.pop() {
                return Ok(event);
            }
            if let Some((_, reason)) = consumer.client().fatal_error() {
                return Err(SourceError { what: "client".to_owned(), reason });
            }
            if Instant::now() >= deadline {
                return Ok(SourceEvent::Idle);
            }
            if let Some(partition) = self.empty.last().cloned() {
                self.pass(partition).await;
                self.empty.pop();
                fresh = false;
                continue;
            }
            let looking = !self.missing.is_empty();
            if looking && Instant::now() >= self.look_at {
                self.look().await;
                continue;
            }
            let until = if looking { deadline.min(self.look_at) } else { deadline };
            // Here nothing is in hand that would be lost with a wait that is cancelled.
            tokio::select! {
                biased;
                () = consumer.context().came.notified() => {}
                event = tokio::time::timeout_at(until, stream.next()) => {
                    if let Ok(Some(event)) = event {
                        self.take(event);
                    }
                }
            }
            fresh = true;
        }
    }

    async fn start(&mut self, partition: &SourcePartition, offset: i64) -> Result<(), SourceError> {
        let failed =
            |reason: &dyn fmt::Display| SourceError { what: partition.to_string(), reason: reason.to_string() };
        self.take_rebalances();
        let moved = |event: &SourceEvent| match event {
            SourceEvent::Assigned(partitions) | SourceEvent::Revoked(partitions) => partitions.contains(partition),
            _ => false,
        };
        // It is ours no longer, or again, and the caller is about to hear of it.
        if self.ready.iter().any(moved) {
            return Ok(());
        }
        self.ready.retain(|event| !matches!(event, SourceEvent::Records { partition: of, .. } if of == partition));
        self.reading.remove(partition);
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition_offset(&partition.topic, partition.partition, Offset::Offset(offset))
            .map_err(|error| failed(&error))?;
        let assigned = self.consumer.assignment().map_err(|error| failed(&error))?;
        if assigned.find_partition(&partition.topic, partition.partition).is_some() {
            self.consumer.incremental_unassign(&list).map_err(|error| failed(&error))?;
        }
        // The client still knows where it stood before until its fetcher has stopped; the end of another partition
        // would take that for where it stands now.
        let since = Instant::now();
        while native::position(self.consumer.client(), &partition.topic, partition.partition).is_some() {
            if since.elapsed() > LET_GO {
                return Err(failed(&"the client does not let go of it"));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.consumer.incremental_assign(&list).map_err(|error| failed(&error))?;
        self.reading.insert(partition.clone(), offset);
        Ok(())
    }

    /// Runs a call that blocks, and puts its error into words.
    async fn blocking<T: Send + 'static>(
        &self,
        what: impl fmt::Display,
        call: impl FnOnce() -> KafkaResult<T> + Send + 'static,
    ) -> Result<T, SourceError> {
        let reason = match tokio::task::spawn_blocking(call).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the runtime is stopping".to_owned(),
        };
        Err(SourceError { what: what.to_string(), reason })
    }
}

impl Drop for KafkaSource {
    fn drop(&mut self) {
        self.consumer.context().closing.store(true, Ordering::Release);
        self.consumer.context().voice.hush();
        self.asker.context().hush();
        self.events.abort();
    }
}

impl Source for KafkaSource {
    fn next(&mut self, records_max: usize, wait: Duration) -> BoxFuture<'_, Result<SourceEvent, SourceError>> {
        Box::pin(self.wait(records_max, wait))
    }

    fn partitions(&self) -> BoxFuture<'_, Result<Vec<SourcePartition>, SourceError>> {
        let (asker, topics) = (self.asker.clone(), self.topics.clone());
        let ask = move || {
            let mut partitions = Vec::new();
            for topic in topics {
                let metadata = asker.fetch_metadata(Some(&topic), ASK)?;
                for told in metadata.topics().iter().filter(|told| told.error().is_none()) {
                    let ids = told.partitions().iter().map(|partition| partition.id());
                    partitions.extend(ids.map(|partition| SourcePartition { topic: topic.clone(), partition }));
                }
            }
            Ok(partitions)
        };
        Box::pin(self.blocking("topics", ask))
    }

    fn topic_id<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Option<String>, SourceError>> {
        let asker = self.asker.clone();
        let name = topic.to_owned();
        Box::pin(async move {
            if self.assign {
                return Ok(None);
            }
            let ask = move || Ok(native::topic_id(asker.client(), &name, ASK));
            self.blocking(topic, ask).await?.map_err(|reason| SourceError { what: topic.to_owned(), reason })
        })
    }

    fn committed<'a>(
        &'a self,
        partition: &'a SourcePartition,
    ) -> BoxFuture<'a, Result<Option<Committed>, SourceError>> {
        let consumer = self.consumer.clone();
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(&partition.topic, partition.partition);
        Box::pin(async move {
            let ask = move || {
                let list = consumer.committed_offsets(list, ASK)?;
                let Some(element) = list.elements().into_iter().next() else { return Ok(None) };
                element.error()?;
                Ok(match element.offset() {
                    Offset::Offset(offset) => Some(Committed { offset, metadata: native::metadata(&list) }),
                    _ => None,
                })
            };
            self.blocking(partition, ask).await
        })
    }

    fn extent<'a>(&'a self, partition: &'a SourcePartition) -> BoxFuture<'a, Result<SourceExtent, SourceError>> {
        let asker = self.asker.clone();
        let SourcePartition { topic, partition: number } = partition.clone();
        Box::pin(async move {
            let ask = move || watermarks(&*asker, &topic, number);
            let (oldest, end) = self.blocking(partition, ask).await?;
            Ok(SourceExtent { oldest, end })
        })
    }

    fn seek<'a>(&'a mut self, partition: &'a SourcePartition, offset: i64) -> BoxFuture<'a, Result<(), SourceError>> {
        Box::pin(self.start(partition, offset))
    }

    fn commit<'a>(
        &'a self,
        partition: &'a SourcePartition,
        offset: i64,
        metadata: String,
    ) -> BoxFuture<'a, Result<(), SourceError>> {
        let consumer = self.consumer.clone();
        let SourcePartition { topic, partition: number } = partition.clone();
        Box::pin(async move {
            let ask = move || {
                let mut list = TopicPartitionList::with_capacity(1);
                {
                    let mut element = list.add_partition(&topic, number);
                    element.set_offset(Offset::Offset(offset))?;
                    element.set_metadata(metadata);
                }
                consumer.commit(&list, CommitMode::Sync)
            };
            self.blocking(partition, ask).await
        })
    }
}

fn partitions(list: &TopicPartitionList) -> Vec<(String, i32)> {
    list.elements().iter().map(|element| (element.topic().to_owned(), element.partition())).collect()
}

/// Those of CloudEvents; most records have none, and others may carry much that nobody here reads.
fn headers(message: &BorrowedMessage<'_>) -> Vec<(String, Vec<u8>)> {
    let Some(headers) = message.headers() else { return Vec::new() };
    let of_event = headers.iter().filter(|header| header.key.starts_with("ce_"));
    of_event.map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec())).collect()
}

#[cfg(test)]
mod tests;
