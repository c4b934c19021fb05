//! Early warnings, as the service gives them: where nine tenths of what may come lie above a limit that the series is below.
use super::sets::{AHEAD, Series, pace};
use quell_models::{detectors::Moment, forecast::Forecaster};
use std::collections::BTreeMap;

/// The limit is above this share of the values of the first half of a series; the second half is looked at.
const SHARE: f64 = 0.98;
/// From the median it is at least this share as far as from the least but that share: of what mostly stands still there is no limit.
const ROOM: f64 = 0.25;

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    /// Warnings, and those after which it did come above, in one and a half times the horizon.
    warnings: u32,
    true_ones: u32,
    /// How often it came above from below for a horizon, and how often there was a warning in that.
    crossings: u32,
    warned: u32,
}

/// How often they are right, and how much of what happens they tell.
pub fn told(all: &[Series]) {
    println!("| early warnings | of | came true | crossings | of which warned |\n|---|---|---|---|---|");
    let mut sets: BTreeMap<&str, (usize, Sums)> = BTreeMap::new();
    for series in all {
        let found = warnings(&series.rows);
        for set in [series.set, "~all"] {
            let (count, sums) = sets.entry(set).or_default();
            *count += 1;
            sums.warnings += found.warnings;
            sums.true_ones += found.true_ones;
            sums.crossings += found.crossings;
            sums.warned += found.warned;
        }
    }
    let share = |part: u32, all: u32| 100.0 * f64::from(part) / f64::from(all.max(1));
    for (set, (count, Sums { warnings, true_ones, crossings, warned })) in sets {
        let (right, told) = (share(true_ones, warnings), share(warned, crossings));
        println!(
            "| {}, {count} series | {warnings} | {right:.1} % | {crossings} | {told:.1} % |",
            set.trim_start_matches('~')
        );
    }
    println!();
}

fn warnings(rows: &[(i64, f64)]) -> Sums {
    let half = rows.len() / 2;
    let mut values: Vec<f64> = rows[..half].iter().map(|(_, x)| *x).collect();
    values.sort_by(f64::total_cmp);
    let [least, usual, limit] = [1.0 - SHARE, 0.5, SHARE].map(|share| values[(half as f64 * share) as usize]);
    if limit <= usual || limit - usual < ROOM * (limit - least) {
        return Sums::default();
    }
    let (mut forecaster, mut sums, horizon) = (Forecaster::new(AHEAD as u32), Sums::default(), AHEAD.max(pace(rows)));
    // When it was last above, when a warning held last, and whether one does.
    let (mut above_at, mut warned, mut holds) = (i64::MIN, None, false);
    for (n, (at, x)) in rows.iter().enumerate() {
        forecaster.take(Moment::utc(*at), *x);
        let is_above = *x > limit;
        if n >= half {
            let from_below = is_above && above_at.saturating_add(horizon) < *at;
            sums.crossings += u32::from(from_below);
            sums.warned +=
                u32::from(from_below && warned.is_some_and(|warned: i64| warned + horizon + horizon / 2 >= *at));
            let warns = !is_above && forecaster.forecast().is_some_and(|told| told.is_adopted && told.low > limit);
            if warns && !holds {
                let until = at + horizon + horizon / 2;
                let comes = rows[n + 1..].iter().take_while(|row| row.0 <= until).any(|row| row.1 > limit);
                sums.warnings += 1;
                sums.true_ones += u32::from(comes);
            }
            warned = if warns { Some(*at) } else { warned };
            holds = warns;
        }
        above_at = if is_above { *at } else { above_at };
    }
    sums
}
