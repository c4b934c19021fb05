//! The test that every [`Log`] passes: what the trait promises, and no more.
//!
//! It takes what a log may do (holes, duplicates, appends that fail, short reads), so a log that does all of it on
//! purpose passes as well as one that does none.
use crate::log::{Extent, Log, LogError, RECORD_BYTES_MAX, Reader, Record, Topic};
use bytes::Bytes;
use futures::future::join_all;
use std::{sync::Arc, time::Duration};
use tokio::time::{self, Instant};

/// Within this, what is promised has to come.
const SOON: Duration = Duration::from_secs(30);
/// For so long, nothing comes.
const QUIET: Duration = Duration::from_millis(200);

/// What a log does with the records below the point that it is trimmed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trim {
    /// They are gone at once.
    Exact,
    /// It may keep some of them.
    Later,
}

/// Panics unless what `writer` opens is a log. Each call gives another writer to the same log, which is new and has two
/// partitions or more in each topic but [`Topic::Snapshots`] and those of one ([`Topic::is_single`]).
pub async fn log(writer: impl AsyncFn() -> Arc<dyn Log>, trim: Trim) {
    let log = &*writer().await;
    starts_empty(log).await;
    keeps_order(log).await;
    wakes_a_waiting_reader(log).await;
    goes_on_unwatched(log).await;
    takes_several_writers([&*writer().await, &*writer().await, log]).await;
    takes_records_up_to_the_largest(log).await;
    reads_about_as_much_as_asked(log).await;
    keeps_apart(log).await;
    trims(log, trim).await;
}

/// Appends until it succeeds.
async fn put(log: &dyn Log, topic: Topic, partition: u32, bytes: impl Into<Bytes>) -> u64 {
    let bytes = bytes.into();
    for _ in 0..1000 {
        match log.append(topic, partition, bytes.clone()).await {
            Ok(position) => return position,
            Err(LogError::Append { .. }) => {}
            Err(e) => panic!("an append fails with Append or TooLarge: {e}"),
        }
    }
    panic!("no append to {topic}/{partition} succeeds");
}

/// Everything from `position` to the end, checked for what holds of any read.
async fn read(log: &dyn Log, topic: Topic, partition: u32, position: u64) -> Vec<Record> {
    let Extent { end, .. } = log.extent(topic, partition).await.unwrap();
    let mut reader = log.read_from(topic, partition, position).await.unwrap();
    assert_eq!(reader.position(), position);
    let mut records = Vec::new();
    let started = Instant::now();
    while reader.position() < end {
        records.extend(step(&mut *reader, 1 << 20, QUIET).await);
        assert!(started.elapsed() < SOON, "{topic}/{partition} at {} does not come to {end}", reader.position());
    }
    records
}

/// One read: positions increase, from where it begins to below where the next one does.
async fn step(reader: &mut dyn Reader, bytes_max: usize, wait: Duration) -> Vec<Record> {
    let before = reader.position();
    let records = reader.next(bytes_max, wait).await.unwrap();
    assert!(records.is_sorted_by(|a, b| a.position < b.position));
    if let (Some(first), Some(last)) = (records.first(), records.last()) {
        assert!(before <= first.position && last.position < reader.position());
    }
    assert!(before <= reader.position());
    records
}

/// Without the second of two that stand one after the other.
fn distinct(records: &[Record]) -> Vec<Bytes> {
    let mut contents: Vec<_> = records.iter().map(|record| record.bytes.clone()).collect();
    contents.dedup();
    contents
}

/// Whether one caller's appends ended as they may: those that succeeded stand where they say, and all that stand are in
/// the order of the calls.
fn ended_well(appended: &[Bytes], results: &[Result<u64, LogError>], records: &[Record]) {
    let positions: Vec<_> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
    assert!(positions.is_sorted_by(|a, b| a < b), "positions increase: {positions:?}");
    for (bytes, result) in appended.iter().zip(results) {
        match result {
            Ok(position) => {
                let found = records.iter().find(|record| record.position == *position);
                assert_eq!(found.map(|record| &record.bytes), Some(bytes), "at {position}");
            }
            Err(e) => assert!(matches!(e, LogError::Append { .. }), "{e}"),
        }
    }
    let mut calls = appended.iter();
    for stands in distinct(records) {
        assert!(calls.any(|bytes| *bytes == stands), "{stands:?} is out of order or was never appended");
    }
}

async fn starts_empty(log: &dyn Log) {
    for topic in Topic::ALL {
        let extent = log.extent(topic, 0).await.unwrap();
        assert_eq!(extent.oldest, extent.end, "{topic}");
        assert_eq!(read(log, topic, 0, extent.oldest).await, []);
        let mut reader = log.read_from(topic, 0, extent.end).await.unwrap();
        let started = Instant::now();
        assert_eq!(step(&mut *reader, 1 << 20, QUIET).await, []);
        assert!(started.elapsed() >= QUIET / 2, "it waits");
        assert!(reader.position() >= extent.end);
    }
}

async fn keeps_order(log: &dyn Log) {
    let (topic, partition) = (Topic::Journal, 0);
    let appended: Vec<_> = (0..300).map(|i| Bytes::from(format!("record {i}"))).collect();
    let results = join_all(appended.iter().map(|bytes| log.append(topic, partition, bytes.clone()))).await;
    let Extent { oldest, end } = log.extent(topic, partition).await.unwrap();
    let records = read(log, topic, partition, oldest).await;
    ended_well(&appended, &results, &records);
    assert!(!records.is_empty() && records.iter().all(|record| (oldest..end).contains(&record.position)));

    // From anywhere in it, in holes too.
    for position in [oldest, oldest + 1, records[records.len() / 2].position, end - 1, end] {
        let expected: Vec<_> = records.iter().filter(|record| record.position >= position).cloned().collect();
        assert_eq!(read(log, topic, partition, position).await, expected, "from {position}");
    }
    // Where one reader stops another goes on.
    let mut reader = log.read_from(topic, partition, oldest).await.unwrap();
    let mut found = step(&mut *reader, 200, SOON).await;
    assert!(!found.is_empty() && found.len() < records.len());
    found.extend(read(log, topic, partition, reader.position()).await);
    assert_eq!(found, records);
    // At the end it waits in vain, and is at the end.
    let mut reader = log.read_from(topic, partition, end).await.unwrap();
    assert_eq!(step(&mut *reader, 1 << 20, QUIET).await, []);
    assert!(reader.position() >= end);
}

async fn wakes_a_waiting_reader(log: &dyn Log) {
    let (topic, partition) = (Topic::Journal, 1);
    let extent = log.extent(topic, partition).await.unwrap();
    let mut reader = log.read_from(topic, partition, extent.end).await.unwrap();
    for i in 0..10 {
        let bytes = Bytes::from(format!("awaited {i}"));
        // A read that is cancelled loses nothing.
        assert!(time::timeout(QUIET / 10, reader.next(1 << 20, SOON)).await.is_err(), "nothing is there yet");
        let (mut records, position) = tokio::join!(step(&mut *reader, 1 << 20, SOON), async {
            time::sleep(QUIET / 10).await;
            put(log, topic, partition, bytes.clone()).await
        });
        // The rest of a duplicate, or of an append that failed and happened all the same.
        while reader.position() <= position || reader.position() < log.extent(topic, partition).await.unwrap().end {
            records.extend(step(&mut *reader, 1 << 20, QUIET).await);
        }
        assert_eq!(distinct(&records), [bytes]);
        assert!(records.iter().any(|record| record.position == position));
    }
}

async fn goes_on_unwatched(log: &dyn Log) {
    let (topic, partition) = (Topic::Incidents, 0);
    for _ in 0..50 {
        drop(log.append(topic, partition, Bytes::from_static(b"nobody waits")));
    }
    let mut reader = log.read_from(topic, partition, 0).await.unwrap();
    let records = step(&mut *reader, 1 << 20, SOON).await;
    assert_eq!(distinct(&records), ["nobody waits"]);
}

async fn takes_several_writers(logs: [&dyn Log; 3]) {
    let (topic, partition) = (Topic::Alerts, 0);
    let write = async |writer: usize, log: &dyn Log| {
        let (mut appended, mut results) = (Vec::new(), Vec::new());
        for round in 0..10 {
            let some: Vec<_> = (0..10).map(|i| Bytes::from(format!("{writer}: {round} {i}"))).collect();
            results.extend(join_all(some.iter().map(|bytes| log.append(topic, partition, bytes.clone()))).await);
            appended.extend(some);
        }
        (appended, results)
    };
    let written = join_all(logs.into_iter().enumerate().map(|(writer, log)| write(writer, log))).await;
    let records = read(logs[0], topic, partition, 0).await;
    for (writer, (appended, results)) in written.iter().enumerate() {
        let of_writer = format!("{writer}: ");
        let of_writer: Vec<_> =
            records.iter().filter(|record| record.bytes.starts_with(of_writer.as_bytes())).cloned().collect();
        assert!(!of_writer.is_empty());
        ended_well(appended, results, &of_writer);
    }
    assert!(records.iter().all(|record| written.iter().any(|(appended, _)| appended.contains(&record.bytes))));
}

async fn takes_records_up_to_the_largest(log: &dyn Log) {
    let (topic, partition) = (Topic::Snapshots, 0);
    let size = RECORD_BYTES_MAX + 1;
    let refused = log.append(topic, partition, vec![0; size].into()).await.unwrap_err();
    assert!(matches!(refused, LogError::TooLarge { size: s } if s == size), "{refused}");

    let largest: Vec<_> = (0..3).map(|i| Bytes::from(vec![i; RECORD_BYTES_MAX])).collect();
    put(log, topic, partition, Bytes::new()).await;
    for bytes in &largest {
        put(log, topic, partition, bytes.clone()).await;
    }
    let contents = distinct(&read(log, topic, partition, 0).await);
    assert!(contents[0].is_empty(), "an empty record is one too, and the refused one is not there");
    assert!(contents[1..] == largest, "the largest records come back");
}

async fn reads_about_as_much_as_asked(log: &dyn Log) {
    let (topic, partition) = (Topic::DeadLetter, 0);
    for i in 0..50 {
        put(log, topic, partition, vec![i; 1000]).await;
    }
    let all = read(log, topic, partition, 0).await;
    for bytes_max in [0, 1, 1000, 5500] {
        let mut reader = log.read_from(topic, partition, 0).await.unwrap();
        let mut found = Vec::new();
        while found.len() < all.len() {
            let records = step(&mut *reader, bytes_max, SOON).await;
            assert!(!records.is_empty(), "at least one");
            assert!((records.len() - 1) * 1000 <= bytes_max, "{} records for {bytes_max} bytes", records.len());
            found.extend(records);
        }
        assert_eq!(found, all);
    }
}

async fn keeps_apart(log: &dyn Log) {
    let places = [(Topic::Health, 0), (Topic::Health, 1), (Topic::DeadLetter, 1), (Topic::Control, 0)];
    for round in 0..3 {
        for (topic, partition) in places {
            put(log, topic, partition, format!("{topic} {partition} {round}")).await;
        }
    }
    for (topic, partition) in places {
        let contents = distinct(&read(log, topic, partition, 0).await);
        assert_eq!(contents, [0, 1, 2].map(|round| format!("{topic} {partition} {round}")));
    }
}

async fn trims(log: &dyn Log, trim: Trim) {
    let (topic, partition) = (Topic::Incidents, 1);
    let mut positions = Vec::new();
    for i in 0..10 {
        positions.push(put(log, topic, partition, format!("trimmed {i}")).await);
    }
    let before = read(log, topic, partition, 0).await;
    let at = positions[5];
    // Where it is below the oldest already, a trim does nothing.
    for position in [at, positions[2]] {
        log.trim(topic, partition, position).await.unwrap();
        let extent = log.extent(topic, partition).await.unwrap();
        assert!(extent.oldest <= at && extent.end > positions[9]);
        assert!(trim != Trim::Exact || extent.oldest == at);
        let kept: Vec<_> = before.iter().filter(|record| record.position >= at).cloned().collect();
        assert_eq!(read(log, topic, partition, at).await, kept);
        assert_eq!(read(log, topic, partition, extent.oldest).await.last(), kept.last());
        is_gone_below(log, topic, partition, extent.oldest).await;
    }
    // Positions go on when nothing is left.
    let Extent { end, .. } = log.extent(topic, partition).await.unwrap();
    log.trim(topic, partition, end).await.unwrap();
    let extent = log.extent(topic, partition).await.unwrap();
    assert!(extent.oldest <= end && extent.end == end);
    assert!(trim != Trim::Exact || extent.oldest == end);
    is_gone_below(log, topic, partition, extent.oldest).await;
    let position = put(log, topic, partition, "after").await;
    assert!(position >= end);
    assert_eq!(distinct(&read(log, topic, partition, end).await), ["after"]);
}

/// Where a log has let go of anything, asking for it is an error that says from where on it is kept.
async fn is_gone_below(log: &dyn Log, topic: Topic, partition: u32, kept_from: u64) {
    let Some(below) = kept_from.checked_sub(1) else { return };
    let result = match log.read_from(topic, partition, below).await {
        Ok(mut reader) => reader.next(1 << 20, SOON).await,
        Err(e) => Err(e),
    };
    match result {
        Err(LogError::Trimmed { position, oldest, .. }) => assert_eq!((position, oldest), (below, kept_from)),
        other => panic!("{topic}/{partition} at {below} is trimmed: {other:?}"),
    }
}
