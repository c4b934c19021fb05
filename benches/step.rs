//! The fold alone, on one core: events a second, and a digest that `quell replay` of the same events gives in its
//! `summary.json`.
//!
//! `QUELL_WORKLOAD=events.jsonl QUELL_TOPOLOGY=topology.json cargo bench -p quell-benches --bench step`; without them a
//! synthetic workload.
use quell::commands::replay::conclusions::Conclusions;
use quell_benches::workload;
use quell_core::{
    domain::{
        policy::{Clock, Policy},
        topology::Topology,
    },
    engine::{Engine, Input, Pack, Range},
    output::Outputs,
};
use std::{sync::Arc, time::Instant};

const EVENTS: usize = 100_000;
const PACK_EVENTS: usize = 500;
const RUNS: usize = 5;

/// That of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let workload = workload(EVENTS)?;
    let events = workload.events.len();
    let topology = Arc::new(Topology::new(&workload.topology)?);
    let policy = Arc::new(Policy { clock: Clock::Events, ..Policy::default() });
    let engine = || Engine::new([0; 16], policy.clone(), topology.clone());
    let mut inputs: Vec<Input> = workload.events.chunks(PACK_EVENTS).map(|events| Input::Pack(pack(events))).collect();
    inputs.push(Input::Settle);

    println!("{}: {events} events, packs of {PACK_EVENTS}", workload.name);
    let rate = |seconds: f64| events as f64 / seconds;
    for (name, said) in [("all outputs", Outputs::default()), ("replay's outputs", Conclusions::outputs())] {
        let mut best = f64::MAX;
        for _ in 0..RUNS {
            let (mut engine, mut outputs) = (engine(), Outputs { brief: said.brief, ..Outputs::default() });
            let begin = Instant::now();
            for (position, input) in (0..).zip(&inputs) {
                engine.step(position, input, &mut outputs)?;
                outputs.items.clear();
            }
            best = best.min(begin.elapsed().as_secs_f64());
        }
        println!("{name:<18}{:>12.0} events/s, the best of {RUNS}", rate(best));
    }

    let (mut engine, mut outputs, mut conclusions) = (engine(), Conclusions::outputs(), Conclusions::default());
    for (position, input) in (0..).zip(&inputs) {
        if let Input::Pack(pack) = input {
            pack.events.iter().for_each(|event| conclusions.event(event));
        }
        engine.step(position, input, &mut outputs)?;
        conclusions.take(&mut outputs, &mut |_| {});
    }
    conclusions.close(&mut engine);
    println!("digest {:016x}", conclusions.digest());
    Ok(())
}

fn pack(events: &[quell_core::domain::event::Event]) -> Pack {
    let (after, to) = (events.first().map_or(0, |e| e.offset), events.last().map_or(0, |e| e.offset + 1));
    let range = Range { source: "bench/0".into(), incarnation: 0, session: 0, after, part: 0, to, reach: None };
    // A line that is no event leaves a hole, which is none to the mark.
    let session = after;
    Pack { range: Some(Range { session, ..range }), events: events.to_vec(), rejected: Vec::new() }
}
