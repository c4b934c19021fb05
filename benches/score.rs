//! Measured series: nanoseconds a sample, for each model alone and for all through the fold, and bytes a series.
//!
//! `cargo bench -p quell-benches --bench score`
use quell_benches::{Numbers, sample};
use quell_core::{
    domain::{
        policy::{Clock, Policy},
        time::Timestamp,
        topology::Topology,
    },
    engine::{Engine, Input, Pack},
    output::Outputs,
};
use quell_models::{
    cohesion::{Cohesion, Distance, Given},
    detectors::{Kpi, Moment},
    distribution::Distribution,
    forecast::Forecaster,
};
use std::{fs, hint::black_box, sync::Arc, time::Instant};

const SERIES: usize = 10_000;
const ROUNDS: usize = 60;
const PACK_EVENTS: usize = 500;
const RUNS: usize = 5;

/// That of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let mut numbers = Numbers(7);
    let values: Vec<f64> = (0..SERIES * ROUNDS).map(|_| 90.0 + numbers.below(20) as f64).collect();
    let samples = values.iter().enumerate().map(|(n, value)| sample(n, n % SERIES, *value));
    let events: Vec<_> = samples.collect();
    let packs =
        events.chunks(PACK_EVENTS).map(|some| Pack { range: None, events: some.to_vec(), rejected: Vec::new() });
    let inputs: Vec<Input> = packs.map(Input::Pack).collect();
    let policy = Arc::new(Policy { clock: Clock::Events, ..Policy::default() });
    let engine = || Engine::new([0; 16], policy.clone(), Arc::new(Topology::default()));
    println!("{SERIES} series, {ROUNDS} samples each, round robin");
    let (mut fresh, before) = (engine(), resident()?);
    // Before anything else: memory that was given back is held, and would be found again. Two rounds: all series, and ids that are as many
    // again as they are in any case.
    fold(&mut fresh, &inputs[..2 * SERIES / PACK_EVENTS]);
    fresh.step(u64::MAX - 1, &Input::Tick(Timestamp(events[events.len() - 1].time.0)), &mut Outputs::default())?;
    let (resident, snapshot) = (resident()?.saturating_sub(before), fresh.snapshot()?.len());
    drop(fresh);
    println!("a series{:>22} bytes in memory with its ids, {} in a snapshot", resident / SERIES, snapshot / SERIES);
    let per_sample = best(values.len(), || detectors(&values));
    println!("detector{per_sample:>22.0} ns a sample, {} bytes, the best of {RUNS}", size_of::<Kpi>());
    let per_sample = best(values.len(), || forecasters(&values));
    println!("forecaster{per_sample:>20.0} ns a sample, half an hour ahead");
    let per_sample = best(values.len(), || distributions(&values));
    println!("distribution{per_sample:>18.0} ns a sample");
    let per_sample = best(values.len(), || peers(&values));
    println!("peers{per_sample:>25.0} ns a sample, 1,000 of them");

    let per_sample = best(values.len(), || fold(&mut engine(), &inputs));
    println!("the fold{per_sample:>22.0} ns a sample, {:.0} samples/s, the best of {RUNS}", 1e9 / per_sample);
    Ok(())
}

fn detectors(values: &[f64]) {
    let mut all = vec![Kpi::default(); SERIES];
    for (n, value) in values.iter().enumerate() {
        let at = Moment::utc((n / SERIES * 60) as i64);
        black_box(all[n % SERIES].take(at, *value, true));
    }
}

fn forecasters(values: &[f64]) {
    let mut all = vec![Forecaster::new(1_800); SERIES];
    for (n, value) in values.iter().enumerate() {
        let series = &mut all[n % SERIES];
        series.take(Moment::utc((n / SERIES * 60) as i64), *value);
        black_box(series.forecast());
    }
}

fn distributions(values: &[f64]) {
    let mut all = vec![Distribution::default(); SERIES];
    for (n, value) in values.iter().enumerate() {
        all[n % SERIES].take((n / SERIES * 60) as i64, *value, 604_800.0);
        black_box(all[n % SERIES].summary());
    }
}

fn peers(values: &[f64]) {
    let mut group = Cohesion::default();
    for (n, value) in values.iter().enumerate() {
        let given =
            Given { seconds: (n / 1_000 * 60) as i64, deviation: value / 10.0 - 10.0, shown: *value, teaches: true };
        black_box(group.take((n % 1_000) as u128, given, Distance(400)));
    }
}

fn fold(engine: &mut Engine, inputs: &[Input]) {
    let mut out = Outputs::default();
    for (position, input) in (0..).zip(inputs) {
        engine.step(position, input, &mut out).expect("the journal is its own");
        out.items.clear();
    }
}

/// Nanoseconds for each of `count`.
fn best(count: usize, mut run: impl FnMut()) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..RUNS {
        let begin = Instant::now();
        run();
        best = best.min(begin.elapsed().as_secs_f64());
    }
    best * 1e9 / count as f64
}

/// Bytes of memory that the process holds (Linux).
fn resident() -> anyhow::Result<usize> {
    let text = fs::read_to_string("/proc/self/statm")?;
    let pages: usize = text.split(' ').nth(1).unwrap_or("0").parse()?;
    Ok(pages * 4_096)
}
