//! Subscriptions of two processes over a log that does everything it may (design rule 14): streams of one name begin and
//! end each other, appends fail, come late, stand twice, and a killed process's still land.
//!
//! `QUELL_SEEDS=n` plays so many seeds, `QUELL_SEED=n` that one alone.
use prost::Message as _;
use quell::{
    clock::{Outside, Simulated},
    serve::{
        cursor::Cursor,
        subscriptions::{Claim, Limits, Subscriptions},
    },
    snapshots::Mark,
};
use quell_connectors::log::{
    Log as _, Topic,
    hostile::{Faults, HostileLog},
};
use quell_core::domain::time::Timestamp;
use quell_proto::v1::{SubscriptionRecord, subscription_record::Kind};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{task::JoinHandle, time::sleep};
use tonic::Code;

const NAME: &str = "tickets";
const PARTITIONS: usize = 2;
/// Updates of each partition.
const UPDATES: u64 = 12;

const FAULTS: Faults = Faults {
    fail: 0.1,
    fail_yet_happened: 0.1,
    duplicate: 0.2,
    hole: 0.1,
    delay: Duration::from_millis(200),
    read_short: 0.3,
    rot: 0.0,
    trim_short: 0.5,
};

fn zero() -> Cursor {
    Cursor::beginning([1; 16], PARTITIONS as u32)
}

fn numbers(cursor: &Cursor) -> Vec<u64> {
    cursor.marks.iter().map(|mark| mark.number).collect()
}

/// A process that serves the name.
struct Process {
    log: HostileLog,
    subscriptions: Arc<Subscriptions>,
    following: JoinHandle<()>,
}

impl Process {
    fn start(log: HostileLog, outside: Arc<dyn Outside>, records: u64) -> Self {
        let limits = Limits { names: 10, records };
        let subscriptions = Subscriptions::new(Arc::new(log.clone()), outside, limits, zero());
        let followed = subscriptions.clone();
        Self { log, subscriptions, following: tokio::spawn(async move { followed.follow().await }) }
    }
}

/// What clients have seen, under one name.
#[derive(Default)]
struct Seen {
    /// The maximum of what was acknowledged, and durable before now.
    acknowledged: [u64; PARTITIONS],
    /// The maximum of what any client tried to acknowledge.
    tried: [u64; PARTITIONS],
    /// By epoch: its stream.
    owners: BTreeMap<u64, String>,
    delivered: BTreeSet<(usize, u64)>,
    streams: u64,
    aborted: u64,
    acks: u64,
}

/// The maximum of what stands acknowledged before a stream's own record; nothing where that may have been trimmed.
async fn before_own_record(log: &HostileLog, claim: &Claim) -> Vec<u64> {
    let extent = log.extent(Topic::Subscriptions, 0).await.expect("an extent");
    let mut reader = log.read_from(Topic::Subscriptions, 0, extent.oldest).await.expect("reads");
    let mut reached = zero();
    if extent.oldest > 0 {
        return numbers(&reached);
    }
    while reader.position() < extent.end {
        for record in reader.next(usize::MAX, Duration::ZERO).await.expect("reads") {
            let record = SubscriptionRecord::decode(record.bytes).expect("whole");
            if (record.epoch, &record.stream) == (claim.epoch, &claim.stream) {
                return numbers(&reached);
            }
            if matches!(record.kind(), Kind::Acknowledged | Kind::Stands) {
                reached.merge(&zero().read(&record.cursor).expect("a cursor"));
            }
        }
    }
    numbers(&zero())
}

/// A client: begins a stream, takes updates, acknowledges now and then, until it is ended or has had enough.
async fn client(log: HostileLog, process: Arc<Subscriptions>, seen: Arc<Mutex<Seen>>, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let before = seen.lock().expect("whole").acknowledged;
    let Ok(claim) = process.begin(NAME, &zero()).await else { return };
    let stands = before_own_record(&log, &claim).await;
    {
        let mut seen = seen.lock().expect("whole");
        seen.streams += 1;
        let owner = seen.owners.entry(claim.epoch).or_insert_with(|| claim.stream.clone()).clone();
        assert_eq!(owner, claim.stream, "epoch {} has two streams", claim.epoch);
        for (partition, start) in numbers(&claim.start).into_iter().enumerate() {
            assert!(start >= before[partition], "{start} was acknowledged before the stream began: {before:?}");
            assert!(start >= stands[partition], "{start}: {stands:?} stood acknowledged before its record");
            assert!(start <= seen.tried[partition], "{start} was skipped: nobody acknowledged it");
        }
    }
    let ended = tokio::select! {
        () = serve(&process, &claim, &seen, &mut rng) => false,
        status = process.taken_over(&claim) => status.code() == Code::Aborted,
    };
    seen.lock().expect("whole").aborted += u64::from(ended);
}

async fn serve(process: &Subscriptions, claim: &Claim, seen: &Mutex<Seen>, rng: &mut StdRng) {
    let mut cursor = claim.start.clone();
    for _ in 0..rng.random_range(1..30) {
        sleep(Duration::from_millis(rng.random_range(0..100))).await;
        let partition = rng.random_range(0..PARTITIONS);
        let mark = &mut cursor.marks[partition];
        if mark.number < UPDATES {
            *mark = Mark { number: mark.number + 1, next: mark.next + 3 };
            seen.lock().expect("whole").delivered.insert((partition, mark.number));
        }
        if rng.random_bool(0.4) {
            acknowledge(process, claim, &cursor, seen).await;
        }
    }
}

async fn acknowledge(process: &Subscriptions, claim: &Claim, cursor: &Cursor, seen: &Mutex<Seen>) {
    let merge = |into: &mut [u64; PARTITIONS]| {
        into.iter_mut().zip(numbers(cursor)).for_each(|(into, number)| *into = number.max(*into));
    };
    merge(&mut seen.lock().expect("whole").tried);
    if process.acknowledge(NAME, &claim.stream, cursor).await.is_ok() {
        let mut seen = seen.lock().expect("whole");
        seen.acks += 1;
        merge(&mut seen.acknowledged);
    }
}

async fn play(seed: u64) -> (Seen, BTreeMap<&'static str, u64>, u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    // Half of the logs are trimmed, soon.
    let records = if seed.is_multiple_of(2) { u64::MAX } else { 15 };
    let first = HostileLog::new(seed, FAULTS);
    let outside: Arc<dyn Outside> = Arc::new(Simulated::new(Timestamp(0), seed as u32));
    let mut processes = [
        Process::start(first.clone(), outside.clone(), records),
        Process::start(first.writer(), outside.clone(), records),
    ];
    let seen = Arc::new(Mutex::new(Seen::default()));
    let mut clients = Vec::new();
    for round in 0..30 {
        let at = rng.random_range(0..processes.len());
        let process = processes[at].subscriptions.clone();
        clients.push(tokio::spawn(client(first.clone(), process, seen.clone(), seed << 8 | round)));
        sleep(Duration::from_millis(rng.random_range(0..1_500))).await;
        if rng.random_bool(0.1) {
            // Killed: what it has on its way may land all the same. Another one takes its place.
            processes[at].log.kill();
            processes[at].following.abort();
            processes[at] = Process::start(first.writer(), outside.clone(), records);
        }
    }
    // A last stream, when nothing fails any more: it delivers the rest.
    for client in clients {
        client.await.expect("no client panics");
    }
    first.set_faults(Faults::default());
    let process = Process::start(first.writer(), outside, records);
    let before = seen.lock().expect("whole").acknowledged;
    let claim = process.subscriptions.begin(NAME, &zero()).await.expect("begins");
    let start = numbers(&claim.start);
    assert!(start.iter().zip(before).all(|(start, before)| *start >= before), "{start:?} {before:?}");
    for (partition, start) in start.iter().enumerate() {
        let mut seen = seen.lock().expect("whole");
        assert!(*start <= seen.tried[partition]);
        seen.delivered.extend((start + 1..=UPDATES).map(|number| (partition, number)));
        assert_eq!(seen.delivered.iter().filter(|(of, _)| *of == partition).count() as u64, UPDATES, "some never came");
    }
    let end = Cursor::at([1; 16], vec![Mark { number: UPDATES, next: 100 }; PARTITIONS]);
    process.subscriptions.acknowledge(NAME, &claim.stream, &end).await.expect("acknowledges");
    // Every process comes to the same.
    sleep(Duration::from_secs(5)).await;
    for process in processes.iter().chain([&process]) {
        assert_eq!(
            process.subscriptions.reached(NAME).map(|reached| numbers(&reached)),
            Some(vec![UPDATES; PARTITIONS])
        );
        assert_eq!(process.subscriptions.lags(&[UPDATES + 3, UPDATES]), [(NAME.to_owned(), 3)]);
    }
    let oldest = first.extent(Topic::Subscriptions, 0).await.expect("an extent").oldest;
    let seen = std::mem::take(&mut *seen.lock().expect("whole"));
    (seen, first.counts(), oldest)
}

#[test]
fn acknowledgements_hold_whatever_fails() {
    let number = |name: &str| env::var(name).ok().map(|n| n.parse().expect("a number"));
    let seeds = match number("QUELL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("QUELL_SEEDS").unwrap_or(200),
    };
    let (mut all, mut bite, mut trimmed) = (Seen::default(), BTreeMap::<_, u64>::new(), 0);
    for seed in seeds {
        println!("seed {seed}");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let (seen, counts, oldest) = runtime.expect("a runtime").block_on(play(seed));
        (all.streams, all.aborted, all.acks) =
            (all.streams + seen.streams, all.aborted + seen.aborted, all.acks + seen.acks);
        counts.into_iter().for_each(|(what, n)| *bite.entry(what).or_default() += n);
        trimmed += u64::from(oldest > 0);
    }
    println!(
        "{} streams, {} ended by a later one, {} acknowledgements, {trimmed} logs trimmed: {bite:?}",
        all.streams, all.aborted, all.acks
    );
    assert!(all.streams > 0 && all.aborted > 0 && all.acks > 0 && trimmed > 0);
    for what in ["fail", "fail_yet_happened", "duplicate", "hole", "killed", "delay"] {
        assert!(bite.contains_key(what), "{what} never happened");
    }
}

/// A wall clock that is set.
#[derive(Default)]
struct Wall(AtomicI64, AtomicU64);

impl Outside for Wall {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }

    fn random(&self) -> u64 {
        self.1.fetch_add(1, Ordering::Relaxed)
    }
}

#[tokio::test(start_paused = true)]
async fn names_are_bounded_and_the_longest_unseen_goes() {
    let wall = Arc::new(Wall::default());
    let process = Process::start(HostileLog::new(1, Faults::default()), wall.clone(), 15);
    let begin = async |name: &str| process.subscriptions.begin(name, &zero()).await;
    for n in 0..10 {
        begin(&format!("name-{n}")).await.expect("begins");
    }
    assert_eq!(begin("one-more").await.map(drop).map_err(|status| status.code()), Err(Code::ResourceExhausted));
    begin("name-0").await.expect("one that stands");
    wall.0.store(31 * 24 * 3_600_000, Ordering::Relaxed);
    let claim = begin("name-0").await.expect("one that stands");
    assert_eq!(process.subscriptions.streams(), 1);
    begin("one-more").await.expect("there is room");
    assert!(process.subscriptions.reached("name-1").is_none() && process.subscriptions.reached("name-2").is_some());
    let code = |result: Result<(), tonic::Status>| result.map_err(|status| status.code());
    assert_eq!(code(process.subscriptions.acknowledge("name-1", "x", &zero()).await), Err(Code::NotFound));
    assert_eq!(code(process.subscriptions.acknowledge("name-0", "x", &zero()).await), Err(Code::Aborted));
    assert_eq!(code(process.subscriptions.acknowledge("name-0", &claim.stream, &zero()).await), Ok(()));
}
