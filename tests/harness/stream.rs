//! A recorded stream that is made up: outages that begin at a database and reach its callers, flapping, transients,
//! repeats, recoveries that come late, redelivered ids; hosts that take what runs on them along; what a KPI measures and
//! what nobody has figures for; changes; a dead man's switch that falls silent. The same seed gives the same stream.
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;

/// 2026-01-05T00:00:00Z, in milliseconds.
const EPOCH_MS: i64 = 1_767_571_200_000;
const SCOPES: usize = 6;
/// Services of each scope, each depending on the one before.
const CHAIN: [&str; 4] = ["db", "ledger", "payments", "checkout"];

/// The service whose hosts stand in racks, which muffle them when they are down.
const RACKED: &str = "ledger";
/// The service that a KPI tells of; of the one at the other end of the chain no figures are known.
const KPI_OF: &str = "db";
const MEASURED: &str = "latency_p99";

/// An event of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEvent {
    pub scope: usize,
    pub id: String,
    pub json: String,
}

impl StreamEvent {
    /// The source partition of its scope, of so many: a scope lies in one.
    pub fn partition(&self, partitions: i32) -> i32 {
        i32::try_from(self.scope).unwrap_or(0) % partitions.max(1)
    }
}

/// The topology that the stream's entities belong to.
pub fn topology() -> String {
    let (mut entities, mut services) = (Vec::new(), Vec::new());
    for scope in 0..SCOPES {
        for (n, service) in CHAIN.iter().enumerate() {
            let hosts: Vec<String> = (0..3).map(|host| format!("{service}-{host}")).collect();
            let rack = |n: usize| if *service == RACKED { vec![format!("rack-{n}")] } else { Vec::new() };
            entities.extend(
                hosts
                    .iter()
                    .enumerate()
                    .map(|(n, host)| json!({"id": host, "type": "host", "scope": name(scope), "on": rack(n)})),
            );
            let depends_on: Vec<&str> = n.checked_sub(1).map(|n| CHAIN[n]).into_iter().collect();
            let kpi = json!({"id": "latency", "importance": 7, "series": {"check": MEASURED},
                "thresholds": {"low": 200, "high": 400, "critical": 600}});
            let kpis = if *service == KPI_OF { vec![kpi] } else { Vec::new() };
            services.push(json!({"id": service, "scope": name(scope), "depends_on": depends_on, "entities": hosts,
                "kpis": kpis}));
        }
        entities.extend((0..3).map(|n| json!({"id": format!("rack-{n}"), "scope": name(scope)})));
    }
    json!({"entities": entities, "services": services}).to_string()
}

fn name(scope: usize) -> String {
    format!("region-{scope}")
}

/// About `size` events in the order they arrive, each scope's by time but for those that come a little late.
pub fn generate(seed: u64, size: usize) -> Vec<StreamEvent> {
    in_order(outages(seed, size, Some(StdRng::seed_from_u64(!seed))), size)
}

/// As [`generate`], of alerts alone.
pub fn alerts(seed: u64, size: usize) -> Vec<StreamEvent> {
    in_order(outages(seed, size, None), size)
}

/// Outages that overlap: of a rack, an application, a host, and now and then something by itself; what belongs together comes
/// in disorder, so that much of it is placed before its company is there.
pub fn crowded(seed: u64) -> Vec<String> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut events = Vec::new();
    let mut begin = 0;
    for _ in 0..60 {
        begin += random.random_range(20..400);
        let (rack, app) = (random.random_range(0..4), random.random_range(0..5));
        let wide = random.random_range(0..4);
        for _ in 0..random.random_range(1..14) {
            let host = match wide {
                0 => (rack, random.random_range(0..5)),
                1 => (random.random_range(0..4), app),
                2 => (rack, app),
                _ => (random.random_range(0..4), random.random_range(0..5)),
            };
            let at = begin + random.random_range(0..90);
            let check = ["up", "latency", "errors", "disk", "queue"][random.random_range(0..5)];
            let lasts = random.random_range(60..900);
            for (at, status) in [(at, "firing"), (at + lasts, "resolved")] {
                let (entity, app, rack) =
                    (format!("app{}-r{}", host.1, host.0), format!("app{}", host.1), format!("r{}", host.0));
                let event = json!({"id": format!("{}-{at}", events.len()), "time": EPOCH_MS + 1_000 * at,
                    "entity": entity, "check": check, "status": status, "severity": "major",
                    "labels": {"app": app, "rack": rack}});
                events.push((at, event.to_string()));
            }
        }
    }
    events.sort();
    events.into_iter().map(|(_, event)| event).collect()
}

/// Each with the moment at which it arrives.
type Arriving = Vec<(i64, StreamEvent)>;

fn in_order(mut all: Arriving, size: usize) -> Vec<StreamEvent> {
    all.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.id.cmp(&b.1.id)));
    all.truncate(size);
    all.into_iter().map(|(_, event)| event).collect()
}

/// What fails and, with a second source of randomness, what is measured and changed meanwhile.
fn outages(seed: u64, size: usize, mut besides: Option<StdRng>) -> Arriving {
    let mut random = StdRng::seed_from_u64(seed);
    let mut all = Vec::new();
    let mut clocks = [EPOCH_MS; SCOPES];
    while all.len() < size {
        let scope = random.random_range(0..SCOPES);
        let before = clocks[scope];
        let begin = before + random.random_range(60..900) * 1_000;
        let length = random.random_range(30..1_200) * 1_000;
        clocks[scope] = begin + length;
        // From the root outwards; a transient stays where it is.
        let depth = if length < 120_000 { 1 } else { random.random_range(1..=CHAIN.len()) };
        let root = random.random_range(0..=CHAIN.len() - depth);
        let hit = &CHAIN[root..root + depth];
        for (step, service) in hit.iter().enumerate() {
            for host in 0..random.random_range(1..=3) {
                let from = begin + (step as i64) * random.random_range(5..40) * 1_000;
                let check = ["latency", "errors"][random.random_range(0..2)];
                condition(&mut random, &mut all, scope, (&format!("{service}-{host}"), check), (from, begin + length));
            }
        }
        if let Some(random) = &mut besides {
            meanwhile(random, &mut all, scope, hit, [before, begin, begin + length]);
        }
    }
    all
}

/// What is measured from the outage before to the end of this one, and what was changed just before it.
fn meanwhile(random: &mut StdRng, all: &mut Arriving, scope: usize, hit: &[&str], [from, begin, end]: [i64; 3]) {
    let mut say = |kind: &str, at: i64, event: serde_json::Value| {
        let mut event = event;
        (event["id"], event["time"], event["origin"]) =
            (format!("{kind}-{}-{at}", event["entity"]).into(), at.into(), "synthetic".into());
        (event["kind"], event["scope"]) = (kind.into(), name(scope).into());
        let id = format!("{scope}-{kind}-{at}-{}", event["entity"]);
        all.push((at, StreamEvent { scope, id, json: event.to_string() }));
    };
    for at in (from..end).step_by(60_000) {
        for service in [KPI_OF, CHAIN[CHAIN.len() - 1]] {
            let ill = at >= begin && hit.contains(&service);
            let value =
                if ill { 500.0 + random.random_range(0.0..300.0) } else { 100.0 + random.random_range(0.0..9.0) };
            say("sample", at, json!({"entity": format!("{service}-0"), "check": MEASURED, "value": value}));
        }
    }
    if random.random_bool(0.5) {
        say(
            "change",
            begin - 30_000,
            json!({"entity": format!("{}-0", hit[0]), "check": "deploy", "summary": "a new version"}),
        );
    }
    if random.random_bool(0.3) {
        let entity = format!("rack-{}", random.random_range(0..3));
        let alert =
            |status: &str| json!({"entity": entity, "check": "RackDown", "status": status, "severity": "critical"});
        say("alert", begin, alert("firing"));
        say("alert", end, alert("resolved"));
    }
    // It is silent while something is wrong, if only in one scope.
    for at in (from..begin).step_by(120_000).filter(|_| scope == 0) {
        say("alert", at, json!({"entity": "prometheus", "check": "Watchdog"}));
    }
}

/// One condition: it fires, repeats, perhaps flaps, and recovers. The first of a pair is when the event arrives.
fn condition(
    random: &mut StdRng,
    all: &mut Arriving,
    scope: usize,
    (entity, check): (&str, &str),
    (from, to): (i64, i64),
) {
    let severity = ["warning", "minor", "major", "critical"][random.random_range(0..4)];
    let mut say = |random: &mut StdRng, at: i64, status: &str| {
        let id = format!("{entity}-{check}-{at}-{status}");
        let event = json!({"id": id, "time": at, "origin": "synthetic", "entity": entity, "check": check,
            "status": status, "severity": severity, "summary": format!("{check} of {entity}"), "scope": name(scope)});
        let event = StreamEvent { scope, id: format!("{scope}-{id}"), json: event.to_string() };
        // One in ten comes up to a minute late; one in fifty comes twice.
        let late = if random.random_bool(0.1) { random.random_range(0..60_000) } else { 0 };
        all.push((at + late, event.clone()));
        if random.random_bool(0.02) {
            all.push((at + late + 5_000, event));
        }
    };
    let mut at = from;
    while at < to {
        say(random, at, "firing");
        at += random.random_range(20..90) * 1_000;
        if random.random_bool(0.1) && at < to {
            say(random, at, "resolved");
            at += random.random_range(5..60) * 1_000;
        }
    }
    if random.random_bool(0.97) {
        say(random, to, "resolved");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_stream() {
        assert_eq!(generate(7, 1_000), generate(7, 1_000));
        assert_ne!(generate(7, 1_000), generate(8, 1_000));
        assert_eq!(generate(7, 1_000).len(), 1_000);
        let kinds = |events: &[StreamEvent], kind: &str| events.iter().filter(|e| e.json.contains(kind)).count();
        let (all, alerts) = (generate(7, 1_000), alerts(7, 1_000));
        for kind in [r#""kind":"sample""#, r#""kind":"change""#, "RackDown", "Watchdog"] {
            assert!(kinds(&all, kind) > 3, "{kind}");
            assert_eq!(kinds(&alerts, kind), 0, "{kind}");
        }
    }
}
