//! A source topic whose retention is shorter than an outage of ours.
use quell::{
    clock::Simulated,
    control::Control,
    ingest::{self, Ingest, IngestCounts, TopicMapping},
    progress::Progress,
    rules::Rules,
    stop,
};
use quell_connectors::{
    decode::{Format, Mapping},
    log::{
        Log,
        hostile::{Faults, HostileLog},
    },
};
use quell_core::domain::{policy::Clock, time::Timestamp};
use quell_tests::sim::broker::{Broker, Member, TOPIC};
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

const START: Timestamp = Timestamp(1_772_409_600_000);

fn produce(broker: &Broker, events: std::ops::Range<i64>) {
    for n in events {
        let event = format!(r#"{{"time": {}, "entity": "db-{n}", "check": "up"}}"#, START.0 + n);
        broker.produce(0, START.0 + n, event.into());
    }
}

/// Ingest of one partition of the topic, over a log without faults; it goes with the runtime.
async fn ingest(broker: &Broker) -> anyhow::Result<Arc<IngestCounts>> {
    let log: Arc<dyn Log> = Arc::new(HostileLog::new(1, Faults::default()));
    let outside = Arc::new(Simulated::new(START, 1));
    let control = Control::open(log.clone(), outside.clone(), 1).await?;
    let counts = Arc::<IngestCounts>::default();
    let shared = ingest::Shared {
        log,
        control,
        outside,
        progress: Progress::new(1),
        counts: counts.clone(),
        clock: Clock::Events,
        partitions: 1,
        rules: Rules::default(),
    };
    let limits = ingest::Limits {
        batch_records: 40,
        in_flight: 16,
        commit_interval: Duration::from_millis(500),
        // Nobody folds here.
        tail_max: Duration::from_secs(3_600),
    };
    let mapping = TopicMapping { format: Format::Canonical, mapping: Mapping::default() };
    let ingest = Ingest::new(shared, limits, BTreeMap::from([(TOPIC.to_owned(), mapping)]));
    let mut source = Member::new(broker.clone(), 0);
    tokio::spawn(async move {
        let ((_asks, requests), (_alive, stop)) = (mpsc::channel(1), stop::pair());
        ingest.run(&mut source, requests, stop).await;
    });
    Ok(counts)
}

async fn committed(broker: &Broker) -> anyhow::Result<()> {
    let all = async {
        while !broker.all_committed() {
            sleep(Duration::from_millis(100)).await;
        }
    };
    Ok(timeout(Duration::from_secs(120), all).await?)
}

#[tokio::test(start_paused = true)]
async fn what_retention_took_before_it_was_read_is_counted() -> anyhow::Result<()> {
    let broker = Broker::new(7, 1);
    broker.calm_down();
    produce(&broker, 0..10);
    // What was gone when a topic was first met is not ours to have lost.
    broker.trim(0, 2);
    let counts = ingest(&broker).await?;
    let lost = || counts.lost.load(Ordering::Relaxed);
    committed(&broker).await?;
    assert_eq!((counts.records.load(Ordering::Relaxed), lost()), (8, 0));
    // It goes on while we read: nothing else runs between these two.
    produce(&broker, 10..30);
    broker.trim(0, 15);
    committed(&broker).await?;
    assert_eq!((counts.records.load(Ordering::Relaxed), lost()), (23, 5));
    // And while nobody reads.
    produce(&broker, 30..40);
    broker.trim(0, 33);
    let counts = ingest(&broker).await?;
    committed(&broker).await?;
    assert_eq!((counts.records.load(Ordering::Relaxed), counts.lost.load(Ordering::Relaxed)), (7, 3));
    Ok(())
}
