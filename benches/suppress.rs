//! What suppression costs an event: nanoseconds for one that opens an alert and for one that repeats, with little and with
//! all that the limits allow to be asked for, in one run.
use quell_core::{
    domain::{
        command::{Action, Code, Command},
        event::{Event, Kind, Status},
        maintenance::Maintenance,
        policy::{Clock, Inhibit, Policy},
        severity::Severity,
        silence::Silence,
        time::{Span, Timestamp},
        topology::Topology,
    },
    engine::{Engine, Input, Pack},
    output::{Body, Outputs},
};
use std::{error::Error, sync::Arc, time::Instant};

const BEGIN: Timestamp = Timestamp(1_760_000_000_000);
const ALERTS: usize = 20_000;
const RUNS: usize = 5;

/// How much is asked for.
#[derive(Clone, Copy)]
struct Load {
    silences: usize,
    /// Of those, how many name no value that an alert must have.
    by_expression: usize,
    windows: usize,
    rules: usize,
}

/// Of an opening and of a repeat.
type Nanoseconds = [f64; 2];

fn main() -> Result<(), Box<dyn Error>> {
    let little = Load { silences: 10, by_expression: 0, windows: 10, rules: 10 };
    let much = Load { silences: 10_000, by_expression: 0, windows: 1_000, rules: 1_000 };
    let base = measure(little)?;
    show("10 silences, windows, rules", base, base);
    show("10,000 / 1,000 / 1,000", measure(much)?, base);
    show("of those 10 by expression alone", measure(Load { by_expression: 10, ..much })?, base);
    show("of those 100 by expression alone", measure(Load { by_expression: 100, ..much })?, base);
    Ok(())
}

fn show(name: &str, [opening, repeat]: Nanoseconds, base: Nanoseconds) {
    let (times_opening, times_repeat) = (opening / base[0], repeat / base[1]);
    println!(
        "{name:<34} opening {opening:>7.0} ns ({times_opening:.2}x)  repeat {repeat:>6.0} ns ({times_repeat:.2}x)"
    );
}

/// The best of several runs.
fn measure(load: Load) -> Result<Nanoseconds, Box<dyn Error>> {
    let policy = Arc::new(policy(load)?);
    let packs = [0, ALERTS].map(|begin| {
        let events = (0..ALERTS).map(|n| event(n, begin + n)).collect();
        Input::Pack(Pack { range: None, events, rejected: Vec::new() })
    });
    let mut best = [f64::MAX; 2];
    for _ in 0..RUNS {
        let mut engine = Engine::new([0; 16], policy.clone(), Arc::new(Topology::default()));
        let mut out = Outputs::default();
        ask(&mut engine, load, &mut out)?;
        for ((position, pack), best) in (0..).zip(&packs).zip(&mut best) {
            let begin = Instant::now();
            engine.step(position, pack, &mut out)?;
            *best = best.min(begin.elapsed().as_nanos() as f64 / ALERTS as f64);
            out.items.clear();
        }
    }
    Ok(best)
}

fn policy(load: Load) -> Result<Policy, Box<dyn Error>> {
    let mut policy = Policy { clock: Clock::Events, ..Policy::default() };
    for n in 0..load.rules {
        policy.suppress.inhibit.push(Inhibit {
            name: format!("rule-{n}").into(),
            source: format!("check=\"Check{n}\",severity=\"critical\"").parse()?,
            target: format!("check=\"Symptom{n}\",severity=~\"warning|minor\"").parse()?,
            equal: serde_json::from_str(r#"["rack"]"#)?,
            absent_equal: false,
        });
    }
    Ok(policy)
}

/// Half of the silences meet the checks of some alerts, and differ in a label: what is found by one value still has to be
/// matched.
fn ask(engine: &mut Engine, load: Load, out: &mut Outputs) -> Result<(), Box<dyn Error>> {
    for n in 0..load.silences {
        let matchers = match n {
            n if n < load.by_expression => format!("entity=~\"gone-{n}-.*\""),
            n if n % 2 == 0 => format!("check=\"Check{}\",rack=\"gone-{n}\"", n % 1_000),
            n => format!("entity=\"gone-{n}\",check=~\"Check.*\""),
        };
        let silence = Silence {
            id: format!("s{n}").into(),
            matchers: matchers.parse()?,
            starts_at: BEGIN,
            ends_at: BEGIN + Span::hours(24),
            creator: "bench".into(),
            comment: "".into(),
            hits: 0,
        };
        command(engine, Action::CreateSilence { silence, force: true }, out)?;
    }
    for n in 0..load.windows {
        let text = format!(
            r#"{{"id": "w{n}", "entities": ["gone-{n}", "host-{n}"],
                "schedule": {{"timezone": "Europe/Berlin", "days": ["2nd tue"], "times": ["22:00-04:00"]}}}}"#
        );
        let window: Maintenance = serde_json::from_str(&text)?;
        command(engine, Action::CreateWindow(Box::new(window)), out)?;
    }
    Ok(())
}

fn command(engine: &mut Engine, action: Action, out: &mut Outputs) -> Result<(), Box<dyn Error>> {
    let (request_id, position) = (engine.position().to_string(), engine.position());
    let (actor, scope) = ("bench".to_owned(), "default".to_owned());
    engine.step(position, &Input::Command(Command { request_id, actor, scope, at: BEGIN, action, digest: 0 }), out)?;
    match out
        .items
        .drain(..)
        .find_map(|output| if let Body::Result(result) = output.body { Some(result) } else { None })
    {
        Some(result) if result.code == Code::Ok => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

fn event(n: usize, number: usize) -> Event {
    let at = BEGIN + Span(number as i64);
    let label = |key: &str, value: String| (key.to_owned(), value);
    Event {
        id: format!("{number:010x}"),
        time: at,
        started_at: None,
        ended_at: None,
        origin: "prometheus".to_owned(),
        entity: format!("host-{n}"),
        check: format!("Check{}", n % 1_000),
        status: Status::Firing,
        severity: Severity::Warning,
        summary: format!("Check{} on host-{n}", n % 1_000),
        value: None,
        labels: vec![
            label("dc", "dc1".to_owned()),
            label("env", "prod".to_owned()),
            label("rack", format!("r{}", n % 40)),
        ],
        service: format!("service-{}", n % 100),
        scope: "default".to_owned(),
        fingerprint: String::new(),
        identity: String::new(),
        kind: Kind::Alert,
        arrival: at,
        offset: 0,
        part: 0,
    }
}
