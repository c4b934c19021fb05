use super::*;
use crate::{
    kafka::tests::{real_kafka, unique},
    log::Record,
};
use rdkafka::{
    admin::{NewTopic, TopicReplication},
    mocking::MockCluster,
    producer::{FutureProducer, FutureRecord, Producer},
    types::{RDKafkaApiKey, RDKafkaRespErr},
};
use std::time::{Duration, Instant};

const WAIT: Duration = Duration::from_secs(20);

fn config(brokers: String) -> KafkaLogConfig {
    KafkaLogConfig { brokers, prefix: unique("log"), partitions: 2, properties: BTreeMap::new() }
}

async fn open() -> Option<KafkaLog> {
    Some(KafkaLog::open(config(real_kafka()?)).await.expect("opens"))
}

async fn all(reader: &mut dyn Reader, count: usize) -> Vec<Record> {
    let mut records = Vec::new();
    while records.len() < count {
        let more = reader.next(1 << 20, WAIT).await.expect("reads");
        assert!(!more.is_empty(), "{} of {count} records came", records.len());
        records.extend(more);
    }
    records
}

fn text(number: usize) -> Bytes {
    Bytes::from(format!("record {number}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn records_come_back_in_order_from_any_position() {
    let Some(log) = open().await else { return };
    let appends: Vec<_> = (0..500).map(|number| log.append(Topic::Journal, 1, text(number))).collect();
    let positions = future::try_join_all(appends).await.expect("appends");
    assert!(positions.is_sorted_by(|a, b| a < b));

    let mut reader = log.read_from(Topic::Journal, 1, 0).await.expect("a reader");
    let records = all(&mut *reader, 500).await;
    assert!(records.iter().enumerate().all(|(number, record)| record.bytes == text(number)));
    assert!(records.iter().map(|record| record.position).eq(positions.iter().copied()));
    let extent = log.extent(Topic::Journal, 1).await.expect("an extent");
    assert!(reader.position() >= extent.end);

    // A second reader of the same partition takes another consumer; both go on.
    let mut second = log.read_from(Topic::Journal, 1, positions[490]).await.expect("a reader");
    assert_eq!(all(&mut *second, 10).await, records[490..]);
    // The first reads on the consumer again after the second is gone, from further back.
    drop(reader);
    let mut again = log.read_from(Topic::Journal, 1, positions[10]).await.expect("a reader");
    assert_eq!(all(&mut *again, 490).await, records[10..]);
    drop((second, again));
    assert_eq!(log.inner.readers.assigned(), 0);
    assert_eq!(log.extent(Topic::Journal, 0).await.expect("an extent"), Extent { oldest: 0, end: 0 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_takes_at_least_one_record_and_about_what_is_asked() {
    let Some(log) = open().await else { return };
    let mut reader = log.read_from(Topic::Health, 0, 0).await.expect("a reader");
    assert!(reader.next(1, Duration::from_millis(50)).await.expect("reads").is_empty());
    let mut last = 0;
    for size in [0, 300_000, RECORD_BYTES_MAX] {
        last = log.append(Topic::Health, 0, vec![7; size].into()).await.expect("appends");
    }
    let mut sizes = Vec::new();
    while reader.position() <= last {
        let records = reader.next(1, WAIT).await.expect("reads");
        sizes.extend(records.iter().map(|record| record.bytes.len()));
        assert!(records.len() == 1);
    }
    assert_eq!(sizes, [0, 300_000, RECORD_BYTES_MAX]);
    let too_large = log.append(Topic::Health, 0, vec![7; RECORD_BYTES_MAX + 1].into()).await;
    assert!(matches!(too_large, Err(LogError::TooLarge { size }) if size == RECORD_BYTES_MAX + 1));
    assert!(matches!(log.append(Topic::Control, 1, text(0)).await, Err(LogError::Append { .. })));
    assert!(matches!(log.read_from(Topic::Control, 1, 0).await, Err(LogError::Backend { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_trimmed_is_an_error_and_never_a_jump() {
    let Some(log) = open().await else { return };
    for number in 0..10 {
        log.append(Topic::Alerts, 0, text(number)).await.expect("appends");
    }
    let mut behind = log.read_from(Topic::Alerts, 0, 2).await.expect("a reader");
    log.trim(Topic::Alerts, 0, 6).await.expect("trims");
    log.trim(Topic::Alerts, 0, 3).await.expect("trims");
    assert_eq!(log.extent(Topic::Alerts, 0).await.expect("an extent"), Extent { oldest: 6, end: 10 });
    let mut reader = log.read_from(Topic::Alerts, 0, 5).await.expect("a reader");
    for _ in 0..2 {
        let error = reader.next(1000, WAIT).await.expect_err("trimmed");
        assert!(matches!(error, LogError::Trimmed { position: 5, oldest: 6, .. }), "{error}");
    }
    let mut reader = log.read_from(Topic::Alerts, 0, 6).await.expect("a reader");
    assert_eq!(all(&mut *reader, 4).await[0].position, 6);
    // This one had it before it was trimmed, or is told.
    match behind.next(1000, WAIT).await {
        Ok(records) => assert_eq!(records[0].position, 2),
        Err(error) => assert!(matches!(error, LogError::Trimmed { .. }), "{error}"),
    }
    log.trim(Topic::Alerts, 0, 1000).await.expect("trims to the end");
    assert_eq!(log.extent(Topic::Alerts, 0).await.expect("an extent"), Extent { oldest: 10, end: 10 });
    let mut beyond = log.read_from(Topic::Alerts, 0, 500).await.expect("a reader");
    let error = beyond.next(1000, WAIT).await.expect_err("nothing is there");
    assert!(matches!(error, LogError::Backend { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_read_loses_nothing() {
    let Some(log) = open().await else { return };
    let mut reader = log.read_from(Topic::Incidents, 0, 0).await.expect("a reader");
    let appending = tokio::spawn({
        let log = log.clone();
        async move {
            for number in 0..200 {
                log.append(Topic::Incidents, 0, text(number)).await.expect("appends");
            }
        }
    });
    let (mut records, mut cancelled) = (Vec::new(), 0);
    while records.len() < 200 {
        let read = reader.next(1 << 20, WAIT);
        match tokio::time::timeout(Duration::from_micros(300), read).await {
            Ok(more) => records.extend(more.expect("reads")),
            Err(_) => cancelled += 1,
        }
    }
    appending.await.expect("appended");
    assert!(cancelled > 0);
    assert!(records.iter().enumerate().all(|(number, record)| record.bytes == text(number)));
}

#[tokio::test(flavor = "multi_thread")]
async fn control_records_at_the_end_are_passed_and_aborted_ones_not_shown() {
    let Some(log) = open().await else { return };
    let producer: FutureProducer = log
        .inner
        .config
        .client(&[], &[("transactional.id", &unique("foreign"))])
        .create()
        .expect("a transactional producer");
    let name = log.inner.config.topic(Topic::Snapshots);
    producer.init_transactions(WAIT).expect("begins");
    let mut reader = log.read_from(Topic::Snapshots, 1, 0).await.expect("a reader");
    let mut seen = Vec::new();
    for commit in [true, false] {
        producer.begin_transaction().expect("begins");
        let record = FutureRecord::<(), str>::to(&name).partition(1).payload(if commit { "kept" } else { "dropped" });
        producer.send(record, WAIT).await.expect("sends");
        if commit {
            producer.commit_transaction(WAIT).expect("commits");
        } else {
            producer.abort_transaction(WAIT).expect("aborts");
        }
    }
    let since = Instant::now();
    while reader.position() < 4 && since.elapsed() < WAIT {
        seen.extend(reader.next(1000, Duration::from_millis(100)).await.expect("reads"));
    }
    assert_eq!(log.extent(Topic::Snapshots, 1).await.expect("an extent").end, 4);
    assert_eq!(reader.position(), 4);
    assert_eq!(seen.len(), 1);
    assert_eq!(&*seen[0].bytes, b"kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_with_other_settings_are_refused() {
    let Some(brokers) = real_kafka() else { return };
    let cases: [(Topic, &str, &str); 4] = [
        (Topic::Journal, "cleanup.policy", "compact"),
        (Topic::Control, "retention.ms", "604800000"),
        (Topic::Alerts, "max.message.bytes", "10000"),
        (Topic::Health, "unclean.leader.election.enable", "true"),
    ];
    for (topic, setting, value) in cases {
        let config = config(brokers.clone());
        let name = config.topic(topic);
        let partitions = i32::try_from(config.partitions(topic)).expect("small");
        let new = NewTopic::new(&name, partitions, TopicReplication::Fixed(-1)).set("retention.ms", "-1");
        let new = new.set(setting, value);
        admin(&config).expect("an admin").create_topics([&new], &AdminOptions::new()).await.expect("answers");
        let error = KafkaLog::open(config).await.expect_err("is refused").to_string();
        assert!([&name, setting, value].iter().all(|part| error.contains(*part)), "{error}");
    }
    let config = config(brokers);
    KafkaLog::open(config.clone()).await.expect("opens");
    KafkaLog::open(config.clone()).await.expect("opens again");
    let error = KafkaLog::open(KafkaLogConfig { partitions: 3, ..config }).await.expect_err("is refused");
    assert!(matches!(error, KafkaLogError::Setting { setting: "partitions", .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_failed_for_good_is_replaced() {
    let cluster = MockCluster::new(1).expect("a mock");
    cluster.create_topic("t", 1, 1).expect("a topic");
    let denied = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED];
    cluster.request_errors(RDKafkaApiKey::InitProducerId, &denied);
    let producers = append::Producers::new(&config(cluster.bootstrap_servers())).expect("a producer");
    let first = match producers.send("t", 0, b"lost") {
        Ok(delivery) => delivery.await.expect("tells").map_err(|(error, _)| error.to_string()),
        Err(error) => Err(error),
    };
    first.expect_err("the cluster denies it");
    let second = producers.send("t", 0, b"kept").expect("is sent").await.expect("tells");
    second.expect("the new producer delivers it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_is_not_made() {
    let cluster = MockCluster::new(1).expect("a mock");
    for _ in 0..2 {
        let error =
            KafkaLog::find(config(cluster.bootstrap_servers())).await.expect_err("nothing is there").to_string();
        assert!(error.contains("there is no journal: it has no topic log"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_broker_is_an_error_in_words() {
    let config = KafkaLogConfig { partitions: 1, ..config("127.0.0.1:1".to_owned()) };
    let error = KafkaLog::open(config).await.expect_err("nothing listens there").to_string();
    assert!(error.contains("127.0.0.1:1"), "{error}");
}

/// `cargo test -p quell-connectors --release -- --ignored --nocapture kafka_figures`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn kafka_figures() {
    let Some(log) = open().await else { return };
    let cpu = || {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        stat.split(' ').skip(13).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
    };
    for (size, count) in [(400, 200_000), (100_000, 2_000)] {
        let bytes: Bytes = (0..size).map(|n: u32| (n.wrapping_mul(n) % 251) as u8).collect::<Vec<_>>().into();
        let (mut since, mut appends) = (Instant::now(), futures::stream::FuturesUnordered::new());
        for _ in 0..count {
            appends.push(log.append(Topic::Journal, 0, bytes.clone()));
            if appends.len() > 1_000 {
                futures::StreamExt::next(&mut appends).await.expect("some").expect("appends");
            }
        }
        let from = futures::StreamExt::collect::<Vec<_>>(appends).await.into_iter().flatten().max().expect("positions");
        let mib = |since: Instant| f64::from(size * count) / 1048576.0 / since.elapsed().as_secs_f64();
        println!("{size} B: append {:.0}/s, {:.0} MiB/s", f64::from(count) / since.elapsed().as_secs_f64(), mib(since));
        since = Instant::now();
        let mut reader = log.read_from(Topic::Journal, 0, from + 1 - count as u64).await.expect("a reader");
        while reader.position() <= from {
            reader.next(1 << 20, WAIT).await.expect("reads");
        }
        println!("{size} B: read {:.0}/s, {:.0} MiB/s", f64::from(count) / since.elapsed().as_secs_f64(), mib(since));
    }
    let mut latencies = Vec::new();
    for _ in 0..200 {
        let since = Instant::now();
        log.append(Topic::Control, 0, Bytes::from_static(b"x")).await.expect("appends");
        latencies.push(since.elapsed());
    }
    latencies.sort();
    println!("append alone: p50 {:?}, p99 {:?}", latencies[100], latencies[198]);
    let mut readers = Vec::new();
    for topic in [Topic::Journal, Topic::Incidents, Topic::Alerts, Topic::Health, Topic::Snapshots] {
        for partition in 0..2 {
            let end = log.extent(topic, partition).await.expect("an extent").end;
            readers.push(log.read_from(topic, partition, end).await.expect("a reader"));
        }
    }
    let (since, before) = (Instant::now(), cpu());
    let waits = readers.iter_mut().map(|reader| reader.next(1, Duration::from_secs(10)));
    future::join_all(waits).await;
    println!("idle with 10 readers: {:.2} % of a core", (cpu() - before) / since.elapsed().as_secs_f64() * 100.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn passes_the_suite_of_every_log() {
    let Some(brokers) = real_kafka() else { return };
    let config = config(brokers);
    let writer = async || {
        let log = KafkaLog::open(config.clone()).await.expect("opens");
        Arc::new(log) as Arc<dyn Log>
    };
    crate::compliance::log(writer, crate::compliance::Trim::Later).await;
}
