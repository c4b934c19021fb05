use super::*;
use crate::kafka::tests::{real_kafka, unique};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    message::{Header, OwnedHeaders},
    mocking::MockCluster,
    producer::{FutureProducer, FutureRecord, Producer},
};

const WAIT: Duration = Duration::from_secs(20);

/// A cluster and a topic of our own.
struct Bed {
    brokers: String,
    topic: String,
    group: String,
}

impl Bed {
    async fn new(partitions: i32) -> Option<Self> {
        let bed = Self { brokers: real_kafka()?, topic: unique("source"), group: unique("group") };
        bed.create(partitions).await;
        Some(bed)
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers).clone()
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().expect("an admin")
    }

    async fn create(&self, partitions: i32) {
        let options = AdminOptions::new().operation_timeout(Some(WAIT));
        for _ in 0..50 {
            let new = NewTopic::new(&self.topic, partitions, TopicReplication::Fixed(-1));
            if self.admin().create_topics([&new], &options).await.expect("answers")[0].is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the topic can't be made");
    }

    async fn delete(&self) {
        let deleted = self.admin().delete_topics(&[&self.topic], &AdminOptions::new()).await.expect("answers");
        deleted[0].as_ref().expect("deleted");
    }

    async fn send(&self, partition: i32, values: impl Iterator<Item = usize>) {
        let producer: FutureProducer = self.client().create().expect("a producer");
        // Not one that the broker's retention takes for old.
        let at = now_ms();
        let sent = values.map(|value| {
            let record = FutureRecord::<(), str>::to(&self.topic).partition(partition).timestamp(at);
            producer.send_result(record.payload(&value.to_string())).expect("queued")
        });
        for delivery in sent.collect::<Vec<_>>() {
            delivery.await.expect("tells").expect("delivered");
        }
    }

    async fn source(&self, instance: &str) -> KafkaSource {
        self.open(instance, false).await
    }

    async fn open(&self, instance: &str, assign: bool) -> KafkaSource {
        let config = KafkaSourceConfig {
            brokers: self.brokers.clone(),
            topics: vec![self.topic.clone()],
            group: self.group.clone(),
            instance: instance.to_owned(),
            properties: BTreeMap::new(),
            assign,
        };
        KafkaSource::open(config).await.expect("opens")
    }
}

async fn assigned(source: &mut KafkaSource) -> Vec<SourcePartition> {
    for _ in 0..60 {
        match source.next(100, Duration::from_secs(1)).await.expect("goes on") {
            SourceEvent::Assigned(partitions) => return partitions,
            SourceEvent::Idle => {}
            other => panic!("{other:?}"),
        }
    }
    panic!("nothing was assigned");
}

/// Reads until `next` is reached: the values and the last `next`.
async fn until(source: &mut KafkaSource, partition: &SourcePartition, end: i64) -> (Vec<String>, i64) {
    let mut values = Vec::new();
    loop {
        match source.next(1_000, WAIT).await.expect("goes on") {
            SourceEvent::Records { partition: of, records, next } if of == *partition => {
                values.extend(
                    records.iter().map(|record| {
                        String::from_utf8_lossy(record.payload.as_deref().unwrap_or_default()).into_owned()
                    }),
                );
                if next >= end {
                    return (values, next);
                }
            }
            SourceEvent::Records { .. } => {}
            other => panic!("at {}: {other:?}", values.len()),
        }
    }
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

fn strings(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_comes_before_a_seek_and_nothing_from_before_it_after() {
    let Some(bed) = Bed::new(1).await else { return };
    bed.send(0, 0..5_000).await;
    let mut source = bed.source("a").await;
    let partition = assigned(&mut source).await.remove(0);
    assert!(matches!(source.next(100, Duration::from_millis(500)).await, Ok(SourceEvent::Idle)));
    source.seek(&partition, 0).await.expect("seeks");
    assert_eq!(until(&mut source, &partition, 5_000).await, (strings(0..5_000), 5_000));
    for from in [4_000, 10, 4_999, 0, 2_500] {
        source.seek(&partition, from).await.expect("seeks");
        let SourceEvent::Records { records, .. } = source.next(7, WAIT).await.expect("goes on") else { panic!() };
        assert_eq!(records[0].offset, from);
        assert!(records[0].timestamp_ms.is_some_and(|at| (now_ms() - at).abs() < 60_000));
    }
    let extent = source.extent(&partition).await.expect("an extent");
    assert_eq!(extent, SourceExtent { oldest: 0, end: 5_000 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_found_by_the_next_member_with_what_stood_beside_it() {
    let Some(bed) = Bed::new(2).await else { return };
    let mut source = bed.source("a").await;
    let partitions = assigned(&mut source).await;
    assert_eq!(partitions.len(), 2);
    assert_eq!(source.committed(&partitions[0]).await.expect("answers"), None);
    source.commit(&partitions[0], 17, "incarnation é".to_owned()).await.expect("commits");
    drop(source);
    for assign in [false, true] {
        let source = bed.open("b", assign).await;
        let found = source.committed(&partitions[0]).await.expect("answers");
        assert_eq!(found, Some(Committed { offset: 17, metadata: "incarnation é".to_owned() }));
        assert_eq!(source.committed(&partitions[1]).await.expect("answers"), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_move_between_members() {
    let Some(bed) = Bed::new(2).await else { return };
    bed.send(0, 0..10).await;
    bed.send(1, 0..10).await;
    let mut first = bed.source("a").await;
    let all = assigned(&mut first).await;
    for partition in &all {
        first.seek(partition, 0).await.expect("seeks");
    }
    let mut second = bed.source("b").await;
    let (mut kept, mut got) = (all.clone(), Vec::new());
    for _ in 0..300 {
        match first.next(100, Duration::from_millis(50)).await.expect("goes on") {
            SourceEvent::Revoked(gone) => kept.retain(|partition| !gone.contains(partition)),
            SourceEvent::Assigned(new) => kept.extend(new),
            _ => {}
        }
        if let SourceEvent::Assigned(new) = second.next(100, Duration::from_millis(50)).await.expect("goes on") {
            got.extend(new);
            break;
        }
    }
    assert_eq!((kept.len(), got.len()), (1, 1));
    assert_ne!(kept, got);
    second.seek(&got[0], 5).await.expect("seeks");
    assert_eq!(until(&mut second, &got[0], 10).await.0, strings(5..10));
    first.seek(&kept[0], 5).await.expect("seeks");
    assert_eq!(until(&mut first, &kept[0], 10).await.0, strings(5..10));
    // What comes into the partition that moved is seen by its new member alone.
    bed.send(got[0].partition, 10..11).await;
    assert_eq!(until(&mut second, &got[0], 11).await.0, strings(10..11));
    assert!(matches!(first.next(100, Duration::from_millis(500)).await, Ok(SourceEvent::Idle)));
    // The second dies; a static member is given up after the session's time.
    drop(second);
    let back = assigned(&mut first).await;
    assert_eq!(back, got);
}

/// A topic's id once every broker has heard of it.
async fn other_id(source: &KafkaSource, topic: &str, than: &str) -> String {
    let (mut id, mut same) = (String::new(), 0);
    for _ in 0..100 {
        match source.topic_id(topic).await {
            Ok(Some(told)) if told == id && id != than => same += 1,
            Ok(Some(told)) => (id, same) = (told, 0),
            _ => same = 0,
        }
        if same == 5 {
            return id;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{topic} has no id but {than}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_anew_has_another_id_and_is_asked_quickly() {
    let Some(bed) = Bed::new(1).await else { return };
    let source = bed.source("a").await;
    let before = other_id(&source, &bed.topic, "").await;
    let since = Instant::now();
    for _ in 0..100 {
        assert_eq!(source.topic_id(&bed.topic).await.expect("answers").as_ref(), Some(&before));
    }
    println!("a topic's id takes {:?}", since.elapsed() / 100);
    bed.delete().await;
    bed.create(1).await;
    other_id(&source, &bed.topic, &before).await;
    source.topic_id(&unique("missing")).await.expect_err("no such topic");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_is_read_to_its_end_over_control_records() {
    let Some(bed) = Bed::new(1).await else { return };
    let mut config = bed.client();
    let producer: FutureProducer = config.set("transactional.id", unique("txn")).create().expect("a producer");
    producer.init_transactions(WAIT).expect("begins");
    let mut source = bed.source("a").await;
    let partition = assigned(&mut source).await.remove(0);
    source.seek(&partition, 0).await.expect("seeks");
    for (commit, end) in [(true, 2), (false, 4), (true, 6)] {
        producer.begin_transaction().expect("begins");
        let record = FutureRecord::<(), str>::to(&bed.topic).partition(0).payload("x");
        producer.send(record, WAIT).await.expect("sends");
        if commit {
            producer.commit_transaction(WAIT).expect("commits");
        } else {
            producer.abort_transaction(WAIT).expect("aborts");
        }
        let (values, next) = until(&mut source, &partition, end).await;
        assert_eq!((values.len(), next), (usize::from(commit), end));
    }
    // Back before the control records, which stand behind the last record.
    source.seek(&partition, 5).await.expect("seeks");
    assert_eq!(until(&mut source, &partition, 6).await, (vec![], 6));
    assert_eq!(source.extent(&partition).await.expect("an extent").end, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_comes_later_is_picked_up() {
    let Some(brokers) = real_kafka() else { return };
    for assign in [false, true] {
        let bed = Bed { brokers: brokers.clone(), topic: unique("late"), group: unique("group") };
        let mut source = bed.open("a", assign).await;
        assert!(matches!(source.next(100, Duration::from_secs(2)).await, Ok(SourceEvent::Idle)));
        bed.create(1).await;
        bed.send(0, 0..3).await;
        let partition = assigned(&mut source).await.remove(0);
        source.seek(&partition, 0).await.expect("seeks");
        assert_eq!(until(&mut source, &partition, 3).await, (strings(0..3), 3));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mock_cluster_is_read_without_a_group() {
    let cluster = MockCluster::new(1).expect("a mock");
    let bed = Bed { brokers: cluster.bootstrap_servers(), topic: "demo".to_owned(), group: "g".to_owned() };
    cluster.create_topic("demo", 2, 1).expect("a topic");
    bed.send(1, 0..100).await;
    let mut source = bed.open("a", true).await;
    let partitions = assigned(&mut source).await;
    assert_eq!(partitions.len(), 2);
    let partition = &partitions[1];
    assert_eq!(source.committed(partition).await.expect("answers"), None);
    source.seek(partition, 0).await.expect("seeks");
    assert_eq!(until(&mut source, partition, 100).await, (strings(0..100), 100));
    source.commit(partition, 100, "m".to_owned()).await.expect("commits");
    let found = source.committed(partition).await.expect("answers");
    assert_eq!(found, Some(Committed { offset: 100, metadata: "m".to_owned() }));
    assert_eq!(source.extent(partition).await.expect("an extent"), SourceExtent { oldest: 0, end: 100 });
    assert_eq!(source.topic_id("demo").await.expect("answers"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_cloudevents_come_with_their_record() {
    let cluster = MockCluster::new(1).expect("a mock");
    let bed = Bed { brokers: cluster.bootstrap_servers(), topic: "events".to_owned(), group: "g".to_owned() };
    cluster.create_topic("events", 1, 1).expect("a topic");
    let header = |key, value| Header { key, value: Some(value) };
    let headers = OwnedHeaders::new().insert(header("ce_id", "1")).insert(header("trace", "x"));
    let producer: FutureProducer = bed.client().create().expect("a producer");
    let record = FutureRecord::<(), _>::to("events").partition(0).payload("{}").headers(headers);
    producer.send(record, Duration::from_secs(10)).await.expect("it is produced");
    let mut source = bed.open("a", true).await;
    let partition = assigned(&mut source).await.remove(0);
    source.seek(&partition, 0).await.expect("seeks");
    let since = Instant::now();
    while since.elapsed() < WAIT {
        if let SourceEvent::Records { records, .. } = source.next(10, WAIT).await.expect("answers")
            && let [record] = &records[..]
        {
            assert_eq!(record.headers, [("ce_id".to_owned(), b"1".to_vec())]);
            return;
        }
    }
    panic!("the record did not come");
}

/// `cargo test -p quell-connectors -- --ignored --nocapture source_figures`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn source_figures() {
    let Some(bed) = Bed::new(1).await else { return };
    for _ in 0..10 {
        bed.send(0, (0..50_000).map(|number| 10_usize.pow(18) + number)).await;
    }
    let mut source = bed.source("a").await;
    let partition = assigned(&mut source).await.remove(0);
    let since = Instant::now();
    source.seek(&partition, 0).await.expect("seeks");
    let (mut count, mut events, mut last) = (0, 0, 0);
    while last < 500_000 {
        if let SourceEvent::Records { records, next, .. } = source.next(5_000, WAIT).await.expect("goes on") {
            (count, events, last) = (count + records.len(), events + 1, next);
        }
    }
    println!("{count} records in {events} events, {:.0}/s", count as f64 / since.elapsed().as_secs_f64());
}

/// A client that closes with a rebalance still to be answered once waited for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_closes_at_any_moment_of_a_rebalance() {
    let Some(bed) = Bed::new(2).await else { return };
    for millis in (0..400).step_by(20) {
        let source = bed.source("a").await;
        tokio::time::sleep(Duration::from_millis(millis)).await;
        drop(source);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_of_which_nothing_is_left_is_read_to_its_end() {
    let Some(bed) = Bed::new(1).await else { return };
    bed.send(0, 0..10).await;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&bed.topic, 0, Offset::End).expect("an offset");
    bed.admin().delete_records(&list, &AdminOptions::new()).await.expect("answers");
    let mut source = bed.source("a").await;
    let partition = assigned(&mut source).await.remove(0);
    source.seek(&partition, 3).await.expect("seeks");
    assert_eq!(until(&mut source, &partition, 10).await, (vec![], 10));
    bed.send(0, 10..11).await;
    assert_eq!(until(&mut source, &partition, 11).await, (strings(10..11), 11));
}
