//! What benches are fed with.
#[path = "../tests/harness/broker.rs"]
pub mod broker;
pub mod crowd;
pub mod running;
pub mod series;
#[path = "../tests/harness/stream.rs"]
pub mod stream;
pub mod tables;

use anyhow::Context as _;
use quell_connectors::decode::{Context, Mapping, canonical};
use quell_core::domain::{
    event::{Event, Kind, Status},
    severity::Severity,
    time::Timestamp,
    topology::{Dependency, EntityEntry, ServiceEntry, TopologyFile},
};
use std::{env, fs, path::Path, sync::Arc};

const SERVICES: u64 = 100;
const HOSTS_PER_SERVICE: u64 = 20;
const SPAN_MS: u64 = 6 * 3_600_000;
const BEGIN: Timestamp = Timestamp(1_760_000_000_000);
const CHECKS: [(&str, Severity); 6] = [
    ("HttpDown", Severity::Critical),
    ("LatencyHigh", Severity::Major),
    ("CpuHigh", Severity::Warning),
    ("DiskFull", Severity::Minor),
    ("QueueDepth", Severity::Warning),
    ("ErrorRate", Severity::Major),
];

/// A recording and its topology.
pub struct Workload {
    pub name: String,
    pub events: Vec<Event>,
    pub topology: TopologyFile,
}

/// The recording in the file `QUELL_WORKLOAD`, with the topology in `QUELL_TOPOLOGY`; without the first a synthetic one
/// of so many events.
///
/// # Errors
/// Where a file can't be read.
pub fn workload(events: usize) -> anyhow::Result<Workload> {
    let Ok(name) = env::var("QUELL_WORKLOAD") else { return Ok(synthetic(events)) };
    let text = fs::read(&name).with_context(|| name.clone())?;
    let topology = match env::var("QUELL_TOPOLOGY") {
        Ok(file) => serde_json::from_slice(&fs::read(&file).with_context(|| file.clone())?).context(file)?,
        Err(_) => TopologyFile::default(),
    };
    let mapping = Mapping::default();
    let mut events = Vec::new();
    for (offset, line) in (0..).zip(text.split(|byte| *byte == b'\n')) {
        let context =
            Context { arrival: Timestamp(0), offset, check_wall: false, mapping: &mapping, default_origin: "replay" };
        if let Ok(mut event) = canonical::decode(line, &context) {
            event.arrival = event.time;
            events.push(event);
        }
    }
    Ok(Workload { name, events, topology })
}

/// The text of a file that is compressed with zstd.
///
/// # Errors
/// Where it can't be read, or is no such text.
pub fn unpacked(path: &Path) -> anyhow::Result<String> {
    let bytes =
        fs::read(path).and_then(|bytes| zstd::decode_all(&*bytes)).with_context(|| path.display().to_string())?;
    Ok(String::from_utf8(bytes)?)
}

/// Numbers that look random and are the same each time (SplitMix64, <https://prng.di.unimi.it/splitmix64.c>).
pub struct Numbers(pub u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below an end.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// Six hours of 2,000 hosts: in storms a service and those that depend on it, else single hosts; conditions repeat, then
/// recover; some events come twice.
pub fn synthetic(count: usize) -> Workload {
    let mut numbers = Numbers(7);
    let mut events = Vec::with_capacity(count);
    while events.len() < count {
        let (service, begin) = (numbers.below(SERVICES), numbers.below(SPAN_MS));
        let storm = numbers.below(4) == 0;
        let conditions = if storm { 10 + numbers.below(60) } else { 1 };
        for _ in 0..conditions {
            // A service depends on the two that stand before it.
            let service = if storm { (service + numbers.below(3)) % SERVICES } else { service };
            let (host, check) = (numbers.below(HOSTS_PER_SERVICE), numbers.below(CHECKS.len() as u64) as usize);
            let (mut at, repeats) = (begin + numbers.below(60_000), 1 + numbers.below(12));
            for repeat in 0..=repeats {
                let status = if repeat == repeats { Status::Resolved } else { Status::Firing };
                let time = Timestamp(BEGIN.0 + at as i64);
                events.push(event(events.len(), time, service, host, CHECKS[check], status));
                at += 30_000 + numbers.below(30_000);
            }
        }
    }
    events.truncate(count);
    events.sort_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
    for place in (50..events.len()).step_by(50) {
        events[place] = events[place - 7].clone();
    }
    for (offset, event) in (0..).zip(&mut events) {
        event.offset = offset;
    }
    Workload { name: "synthetic".to_owned(), events, topology: topology() }
}

/// A measurement of one of many series.
pub fn sample(number: usize, series: usize, value: f64) -> Event {
    let time = Timestamp(BEGIN.0 + number as i64);
    let check = CHECKS[series % CHECKS.len()];
    let host = (series / CHECKS.len()) as u64;
    Event {
        kind: Kind::Sample,
        value: Some(value),
        summary: String::new(),
        id: format!("{number:010x}"),
        ..event(0, time, host % SERVICES, host / SERVICES, check, Status::Firing)
    }
}

fn event(
    number: usize,
    time: Timestamp,
    service: u64,
    host: u64,
    (check, severity): (&str, Severity),
    status: Status,
) -> Event {
    let (entity, service) = (format!("host-{service:03}-{host:02}.example.net"), format!("service-{service:03}"));
    let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    Event {
        id: format!("{number:010x}"),
        time,
        started_at: None,
        ended_at: None,
        origin: if number.is_multiple_of(3) { "nagios" } else { "prometheus" }.to_owned(),
        summary: format!("{check} on {entity}"),
        entity,
        check: check.to_owned(),
        status,
        severity,
        value: None,
        labels: vec![label("dc", "dc1"), label("env", "prod"), label("rack", "r07"), label("team", "core")],
        service,
        scope: "default".to_owned(),
        fingerprint: String::new(),
        identity: String::new(),
        part: 0,
        kind: Kind::Alert,
        arrival: time,
        offset: 0,
    }
}

fn topology() -> TopologyFile {
    let service = |n: u64| Arc::<str>::from(format!("service-{n:03}"));
    let host = |s: u64, n: u64| Arc::<str>::from(format!("host-{s:03}-{n:02}.example.net"));
    let hosts = |s: u64| (0..HOSTS_PER_SERVICE).map(move |n| host(s, n));
    let entity = |id| EntityEntry { id, ..EntityEntry::default() };
    TopologyFile {
        entities: (0..SERVICES).flat_map(hosts).map(entity).collect(),
        services: (0..SERVICES)
            .map(|n| ServiceEntry {
                id: service(n),
                depends_on: (n.saturating_sub(2)..n).map(service).map(Dependency::from).collect(),
                entities: hosts(n).collect(),
                ..ServiceEntry::default()
            })
            .collect(),
    }
}
