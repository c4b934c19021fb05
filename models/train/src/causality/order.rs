//! Whether an effect comes after its cause, or as often before it.
use super::{
    fit::{ANEW, Effect, Source, Weights},
    rows::{Entry, FORGOTTEN},
    streams::Streams,
};

/// How much a cause gains beside a kernel that looks both ways, `exp(-|t| / scale) / (2 scale)`: what comes together on
/// occasions of which neither knows (an outage, a batch) comes as often before as after, and that kernel has it all.
pub fn gain(
    streams: &Streams,
    scale: f64,
    effect: &Effect<'_>,
    cause: usize,
    others: &[usize],
    rates: &mut Vec<f64>,
) -> f64 {
    let kind = effect.sources[cause].kind;
    let entries = both_ways(streams, scale, kind, effect.kind);
    let mut effect = effect.clone();
    effect.sources.push(Source { kind, entries: &entries, exposure: exposure(streams, scale, kind) });
    let mut causes = others.to_vec();
    causes.push(effect.sources.len() - 1);
    let without = effect.fit(&causes, Weights::first(&effect, causes.len()), ANEW, rates);
    causes.push(cause);
    effect.fit(&causes, without.weights.and_one(), ANEW, rates).likelihood - without.likelihood
}

/// What that kernel gives each event of an effect.
fn both_ways(streams: &Streams, scale: f64, cause: u32, effect: u32) -> Vec<Entry> {
    let point = |event: &u32| &streams.events[*event as usize];
    let mut times: Vec<(u32, i64)> =
        streams.of_kind[cause as usize].iter().map(point).map(|event| (event.place, event.at)).collect();
    times.sort_unstable();
    let reach = (-libm::log(FORGOTTEN) * scale * 1_000.0) as i64;
    let at = |place: u32, at: i64| {
        let first = times.partition_point(|time| *time < (place, at - reach));
        let near = times[first..].iter().take_while(|time| **time <= (place, at + reach));
        near.map(|(_, time)| libm::exp(-((time - at).abs() as f64 / 1_000.0 / scale))).sum::<f64>() / (2.0 * scale)
    };
    let entry = |(row, event): (u32, &u32)| {
        let event = point(event);
        let near = streams.near.get(event.place as usize).into_iter().flatten();
        let drawn = [at(event.place, event.at), near.map(|place| at(*place, event.at)).sum()];
        (drawn != [0.0; 2]).then_some(Entry { source: cause, row, drawn: drawn.map(|drawn| drawn as f32) })
    };
    (0..).zip(&streams.of_kind[effect as usize]).filter_map(entry).collect()
}

/// What the cause's events give in the time there is, at their places and at their neighbours.
fn exposure(streams: &Streams, scale: f64, cause: u32) -> [f64; 2] {
    let mut exposure = [0.0; 2];
    for event in streams.of_kind[cause as usize].iter().map(|event| &streams.events[*event as usize]) {
        let within = |left: i64| 0.5 * (1.0 - libm::exp(-(left as f64 / 1_000.0 / scale)));
        let given = within(event.at) + within(streams.span - event.at);
        exposure[0] += given;
        exposure[1] += given * streams.near.get(event.place as usize).map_or(0, Vec::len) as f64;
    }
    exposure
}
