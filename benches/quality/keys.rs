//! What each reason of the model is worth, and how much hangs on each of its numbers: one key changed at a time.
use super::{measure, measures::Measured, sources::Recording, variants::Variant};
use quell_core::domain::{
    policy::{Clue, Correlate},
    time::Span,
};
use serde_json::Value;
use std::fmt::Write as _;

/// Each reason left out, with the topology and without it.
///
/// # Errors
/// Where a recording can't be replayed.
pub fn ablation(recordings: &[Recording]) -> anyhow::Result<()> {
    println!("| left out | ARI | purity | found | announced / real | ARI, no topology |\n|---|---|---|---|---|---|");
    let row = |name: &str, config: &str| -> anyhow::Result<()> {
        let whole = mean(recordings, config, Variant::Whole)?;
        let none = mean(recordings, config, Variant::None)?;
        let (ari, purity, found, announced) = (whole.ari, whole.purity, whole.found, whole.announced);
        println!("| {name} | {ari:.3} | {purity:.3} | {found:.3} | {announced:.2} | {:.3} |", none.ari);
        Ok(())
    };
    row("nothing", "")?;
    for left_out in Clue::ALL {
        let clues: Vec<Clue> = Clue::ALL.into_iter().filter(|clue| *clue != left_out).collect();
        let name = serde_json::to_value(left_out)?;
        row(name.as_str().unwrap_or_default(), &format!("correlate.clues = {}", serde_json::to_string(&clues)?))?;
    }
    Ok(())
}

/// Each number halved and doubled; one that can't be doubled (a share) is taken half way to 1.
///
/// # Errors
/// Where a recording can't be replayed as it is.
pub fn sensitivity(recordings: &[Recording]) -> anyhow::Result<()> {
    let usual = mean(recordings, "", Variant::Whole)?.ari;
    println!(
        "With the defaults: ARI {usual:.3}. What it loses:\n\n| key | as it is | halved | doubled |\n|---|---|---|---|"
    );
    let mut numbers = Vec::new();
    collect("correlate", &serde_json::to_value(Correlate::default())?, &mut numbers);
    let mut losses = Vec::new();
    for number in numbers {
        let mut row = format!("| `{}` | {} |", number.name(), number.list[number.place]);
        for factors in [[0.5, 0.5], [2.0, 0.0]] {
            let lines = factors.iter().filter_map(|factor| number.line(*factor));
            let ari = lines.map(|line| mean(recordings, &line, Variant::Whole)).find_map(Result::ok);
            match ari {
                Some(measured) => {
                    losses.push(usual - measured.ari);
                    write!(row, " {:.3} |", usual - measured.ari)?;
                }
                None => row += " refused |",
            }
        }
        println!("{row}");
    }
    losses.sort_by(f64::total_cmp);
    let (mean, worst) = (losses.iter().sum::<f64>() / losses.len().max(1) as f64, losses.last().unwrap_or(&0.0));
    println!("\nMean loss {mean:.3}, median {:.3}, worst {worst:.3}.", losses[losses.len() / 2]);
    Ok(())
}

/// A number of the configuration.
struct Number {
    key: String,
    /// The list it stands in, and where.
    list: Vec<Value>,
    place: usize,
}

impl Number {
    /// The line that sets it times a factor; 0 takes it half way to 1.
    fn line(&self, factor: f64) -> Option<String> {
        let all: Vec<String> = (self.list.iter().enumerate())
            .map(|(n, v)| scale(v, if n == self.place { factor } else { 1.0 }))
            .collect::<Option<_>>()?;
        let Self { key, list, .. } = self;
        Some(if list.len() == 1 { format!("{key} = {}", all[0]) } else { format!("{key} = [{}]", all.join(", ")) })
    }

    fn name(&self) -> String {
        if self.list.len() == 1 { self.key.clone() } else { format!("{}[{}]", self.key, self.place) }
    }
}

fn collect(key: &str, value: &Value, into: &mut Vec<Number>) {
    let list = match value {
        Value::Object(fields) => {
            return fields.iter().for_each(|(name, value)| collect(&format!("{key}.{name}"), value, into));
        }
        Value::Array(all) => all.clone(),
        one => vec![one.clone()],
    };
    if list.iter().all(|v| scale(v, 1.0).is_some()) {
        into.extend((0..list.len()).map(|place| Number { key: key.to_owned(), list: list.clone(), place }));
    }
}

/// As TOML; a span of time is in milliseconds. `None`: it is no number.
fn scale(value: &Value, factor: f64) -> Option<String> {
    let by = |x: f64| if factor == 0.0 { f64::midpoint(x, 1.0) } else { x * factor };
    match value {
        Value::Number(n) if n.is_f64() => n.as_f64().map(|x| format!("{:?}", by(x))),
        Value::Number(n) => n.as_f64().map(|x| format!("{}", by(x).max(1.0) as i64)),
        Value::String(text) => {
            let span: Span = text.parse().ok()?;
            (factor > 0.0).then(|| format!("\"{}ms\"", (span.0 as f64 * factor) as i64))
        }
        _ => None,
    }
}

fn mean(recordings: &[Recording], config: &str, variant: Variant) -> anyhow::Result<Measured> {
    let all: anyhow::Result<Vec<Measured>> = recordings.iter().map(|r| measure(r, variant, Some(config))).collect();
    Ok(Measured::mean(&all?))
}
