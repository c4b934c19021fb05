//! What an opening costs the fold, second looks and incidents included, by how many alerts are open: one scope of 20,000 hosts
//! in 1,000 services; half of the alerts are single ones, half are of ten storms in five minutes, each another.
//!
//! `cargo bench -p quell-benches --bench openings`
use quell_benches::{Numbers, running::cpu};
use quell_core::{
    domain::{
        event::{Event, Kind, Status},
        policy::{Clock, Policy},
        severity::Severity,
        time::{Span, Timestamp},
        topology::{Dependency, EntityEntry, ServiceEntry, Topology, TopologyFile},
    },
    engine::{Engine, Input, Pack},
    output::Outputs,
};
use std::{collections::BTreeSet, error::Error, sync::Arc};

const BEGIN: Timestamp = Timestamp(1_760_000_000_000);
const SERVICES: u64 = 1_000;
const HOSTS: u64 = 20;
const CHECKS: u64 = 40;
/// Latency, errors and the like.
const CHECKS_OF_STORM: u64 = 8;
const STORMS: u64 = 10;
/// The first service that a storm comes from; those after it need none of each other.
const ROOT: u64 = 14;
/// Alerts come in so many milliseconds; a storm takes a fifth of them.
const SPREAD: u64 = 300_000;
/// After the last alert, until nothing is looked at again.
const AFTER: Span = Span::minutes(6);
const PACK: usize = 100;

/// That of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let topology = Arc::new(Topology::new(&topology())?);
    println!("| open alerts | episodes | µs an alert | of 1,000 |\n|---|---|---|---|");
    let mut least = None;
    for (alerts, runs) in [(1_000, 9), (3_000, 7), (10_000, 5), (20_000, 5), (40_000, 3), (100_000, 3)] {
        let inputs = inputs(alerts);
        let (mut best, mut episodes) = (f64::MAX, 0);
        for _ in 0..runs {
            let policy = Policy { clock: Clock::Events, ..Policy::default() };
            let mut engine = Engine::new([0; 16], Arc::new(policy), topology.clone());
            let mut out = Outputs { brief: true, ..Outputs::default() };
            let begin = cpu(std::process::id())?;
            for (position, input) in (0..).zip(&inputs) {
                engine.step(position, input, &mut out)?;
                out.items.clear();
                episodes = episodes.max(engine.scopes().first().map_or(0, |scope| scope.episodes()));
            }
            best = best.min((cpu(std::process::id())? - begin) * 1e6 / alerts as f64);
        }
        let least = *least.get_or_insert(best);
        println!("| {alerts} | {episodes} | {best:.1} | {:.2} |", best / least);
    }
    Ok(())
}

/// A service needs the third of its number; four services share a rack.
fn topology() -> TopologyFile {
    let mut file = TopologyFile::default();
    for service in 0..SERVICES {
        let hosts: Vec<Arc<str>> = (0..HOSTS).map(|host| host_name(service, host).into()).collect();
        let on = || vec![format!("rack-{}", service / 4).into()];
        file.entities.extend(hosts.iter().map(|id| EntityEntry { id: id.clone(), on: on(), ..EntityEntry::default() }));
        let needs = (service > 0).then(|| Dependency::from(Arc::from(format!("service-{}", service / 3))));
        let (id, depends_on) = (format!("service-{service}").into(), needs.into_iter().collect());
        file.services.push(ServiceEntry { id, entities: hosts, depends_on, ..ServiceEntry::default() });
    }
    let racks =
        (0..SERVICES / 4).map(|rack| EntityEntry { id: format!("rack-{rack}").into(), ..EntityEntry::default() });
    file.entities.extend(racks);
    file
}

fn host_name(service: u64, host: u64) -> String {
    format!("host-{service}-{host}")
}

/// Sorted by time, then as long again as anything is looked at.
fn inputs(alerts: usize) -> Vec<Input> {
    let mut numbers = Numbers(11);
    let begins: Vec<u64> = (0..STORMS).map(|_| numbers.below(SPREAD * 4 / 5)).collect();
    // What needs one of these, near or far, is in its storm.
    let storms: Vec<Vec<u64>> =
        (ROOT..ROOT + STORMS).map(|root| (root..SERVICES).filter(|s| needs(*s, root, 3)).collect()).collect();
    let mut used = BTreeSet::new();
    let mut all = Vec::with_capacity(alerts);
    while all.len() < alerts {
        let (at, service) = if all.len() % 2 == 0 {
            (numbers.below(SPREAD), numbers.below(SERVICES))
        } else {
            let storm = numbers.below(STORMS) as usize;
            let of = &storms[storm];
            (begins[storm] + numbers.below(SPREAD / 5), of[numbers.below(of.len() as u64) as usize])
        };
        let is_storm = all.len() % 2 == 1;
        let check = if is_storm { numbers.below(CHECKS_OF_STORM) } else { CHECKS_OF_STORM + numbers.below(CHECKS) };
        let host = numbers.below(HOSTS);
        if used.insert((service, host, check)) {
            all.push((at, service, host, check));
        }
    }
    all.sort_unstable();
    let events: Vec<Event> = (0..).zip(all).map(|(n, alert)| event(n, alert)).collect();
    let pack = |events: &[Event]| Input::Pack(Pack { range: None, events: events.to_vec(), rejected: Vec::new() });
    let mut inputs: Vec<Input> = events.chunks(PACK).map(pack).collect();
    inputs.push(Input::Tick(BEGIN + Span(SPREAD as i64) + AFTER));
    inputs
}

fn needs(service: u64, root: u64, steps: u32) -> bool {
    service == root || service > root && steps > 0 && needs(service / 3, root, steps - 1)
}

fn event(n: u64, (at, service, host, check): (u64, u64, u64, u64)) -> Event {
    let at = BEGIN + Span(at as i64);
    Event {
        id: format!("{n:08x}"),
        time: at,
        started_at: None,
        ended_at: None,
        origin: "prometheus".to_owned(),
        entity: host_name(service, host),
        check: format!("check-{check}"),
        status: Status::Firing,
        severity: Severity::Major,
        summary: format!("check {check} fails on its host"),
        value: None,
        labels: vec![("env".to_owned(), "prod".to_owned()), ("zone".to_owned(), format!("z{}", service % 3))],
        service: String::new(),
        scope: "default".to_owned(),
        fingerprint: String::new(),
        identity: String::new(),
        kind: Kind::Alert,
        arrival: at,
        offset: 0,
        part: 0,
    }
}
