//! What values a series takes: their mean, spread, quantiles and median deviation, where older values count less.
//!
//! A merging *t*-digest (Dunning and Ertl, "Computing extremely accurate quantiles using t-digests", 2019): values in order, in groups of which
//! one around the quantile `q` has at most `min(2π·√(q(1 − q))/48, q(1 − q)/2)` of all weight, so that tails are told finely; what is one value
//! is one group, however heavy. A value counts half when it is a half-life old. A step is O(1), amortised, and all of it about 2.5 KB; what is
//! read of it is as of the last 16 values.
//!
//! ```
//! use quell_models::distribution::Distribution;
//!
//! // A week of minutes, of which older than a day counts half.
//! let mut latency = Distribution::default();
//! for minute in 0..10_080_i64 {
//!     latency.take(60 * minute, 100.0 + (minute * 7 % 11) as f64, 86_400.0);
//! }
//! assert!((latency.summary().median - 105.0).abs() < 1.0 && latency.quantile(0.99) <= 110.0);
//! assert!(latency.share_below(200.0) == 1.0 && latency.count() == 10_080);
//! ```
use serde::{Deserialize, Serialize};

/// Groups, about, but for the tails.
const GROUPS: f64 = 48.0;
/// How much faster than the share beyond it a group in a tail may grow.
const TAIL: f64 = 0.5;
/// No more than so many are kept.
const GROUPS_MAX: usize = 96;
/// By then all are one group.
const LARGER_MAX: f64 = 1e6;
/// Values that are taken in at once.
const BUFFER: usize = 16;
/// What counts less is forgotten.
const WEIGHT_MIN: f64 = 0.05;
/// A deviation is at least this share of the level: a series that never moved moves by it.
const STILL_SHARE: f64 = 0.001;
/// Deviations of a normal distribution for one median, and one mean, absolute deviation.
const OF_MEDIAN: f64 = 1.482_602;
const OF_MEAN: f64 = 1.253_314;
/// A range leaves out so much at each end.
const RANGE_ENDS: f64 = 0.001;
/// Larger values are taken for it, so that no square overflows.
const VALUE_MAX: f64 = 1e150;

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Group {
    mean: f64,
    weight: f64,
    /// All of it is one value.
    is_point: bool,
}

impl Group {
    /// The weights below its mean, from where the value is its mean to where it is that no more; `before` lies below the group.
    fn ranks(&self, before: f64) -> (f64, f64) {
        let middle = before + self.weight / 2.0;
        if self.is_point { (before, before + self.weight) } else { (middle, middle) }
    }
}

/// What values there were.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    groups: Vec<Group>,
    buffer: Vec<f64>,
    /// When the groups were made, in seconds.
    at: i64,
    /// Values taken, ever.
    count: u64,
    summary: Summary,
}

/// What is told of it in a few numbers, in the unit of the values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Weighted by age.
    pub mean: f64,
    /// At least a thousandth of the mean.
    pub standard_deviation: f64,
    /// Half of the weight lies below it.
    pub median: f64,
    /// 1.4826 times the median of the distances from the median; where most values are the same 1.2533 times their mean (Iglewicz and
    /// Hoaglin, "How to detect and handle outliers", 1993). At least a thousandth of the median.
    pub median_deviation: f64,
    /// All but a thousandth lie above it,
    pub low: f64,
    /// and below it.
    pub high: f64,
}

impl Distribution {
    /// Takes a value of a moment in seconds, no older than the last; `half_life` in seconds. What is no number changes nothing.
    pub fn take(&mut self, at: i64, value: f64, half_life: f64) {
        if value.is_nan() {
            return;
        }
        self.count = self.count.saturating_add(1);
        self.buffer.push(value.clamp(-VALUE_MAX, VALUE_MAX));
        if self.buffer.len() >= BUFFER {
            self.fold(at, half_life);
        }
    }

    /// How many values it has taken.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// As of the last 16 values; zeros before.
    pub const fn summary(&self) -> &Summary {
        &self.summary
    }

    /// All values are taken to have been so much larger, and to weigh no more than `weight` together: what comes is learned sooner.
    pub fn shift(&mut self, by: f64, weight: f64) {
        if by.is_nan() || weight.is_nan() || weight < 0.0 {
            return;
        }
        let all = self.weight();
        let share = if all > weight { weight / all } else { 1.0 };
        for group in &mut self.groups {
            group.mean = (group.mean + by).clamp(-VALUE_MAX, VALUE_MAX);
            group.weight *= share;
        }
        self.buffer.iter_mut().for_each(|value| *value = (*value + by).clamp(-VALUE_MAX, VALUE_MAX));
        self.summary = self.summarise();
    }

    /// The value below which this share of all lies, 0 to 1; 0 where there is none.
    pub fn quantile(&self, share: f64) -> f64 {
        quantile(&self.groups, share)
    }

    /// The share of all that lies below a value, 0 to 1; a half where there is none.
    pub fn share_below(&self, value: f64) -> f64 {
        self.shares(value).0
    }

    /// The share of all that lies above a value, 0 to 1; a half where there is none.
    pub fn share_above(&self, value: f64) -> f64 {
        1.0 - self.shares(value).1
    }

    /// What lies below a value, and what lies below or equals it.
    fn shares(&self, value: f64) -> (f64, f64) {
        let all = self.weight();
        if all <= 0.0 {
            return (0.5, 0.5);
        }
        let (mut before, mut last) = (0.0, None);
        for group in &self.groups {
            let (begin, end) = group.ranks(before);
            if group.mean == value {
                return (begin / all, end / all);
            }
            if group.mean > value {
                let below = last.map_or(0.0, |last| between(last, (group.mean, begin), value)) / all;
                return (below, below);
            }
            before += group.weight;
            last = Some((group.mean, end));
        }
        (1.0, 1.0)
    }

    fn weight(&self) -> f64 {
        weight(&self.groups)
    }

    /// Takes in what waits.
    fn fold(&mut self, at: i64, half_life: f64) {
        let age = at.saturating_sub(self.at).max(0) as f64;
        let left = if self.groups.is_empty() { 1.0 } else { libm::exp2(-age / half_life.max(1.0)) };
        self.at = at;
        let old = self.groups.drain(..).map(|group| Group { weight: group.weight * left, ..group });
        let new = self.buffer.drain(..).map(|mean| Group { mean, weight: 1.0, is_point: true });
        let mut all: Vec<Group> = old.chain(new).filter(|group| group.weight >= WEIGHT_MIN).collect();
        all.sort_by(|a, b| a.mean.total_cmp(&b.mean));
        let mut larger = 1.0;
        self.groups = merged(&all, larger);
        while self.groups.len() > GROUPS_MAX && larger < LARGER_MAX {
            larger *= 2.0;
            self.groups = merged(&all, larger);
        }
        self.summary = self.summarise();
    }

    fn summarise(&self) -> Summary {
        let all = self.weight();
        if all <= 0.0 {
            return Summary::default();
        }
        let mean = self.groups.iter().map(|g| g.mean * (g.weight / all)).sum::<f64>();
        let variance = self.groups.iter().map(|g| (g.mean - mean) * (g.mean - mean) * (g.weight / all)).sum::<f64>();
        let median = self.quantile(0.5);
        let mut off: Vec<Group> = self.groups.iter().map(|g| Group { mean: (g.mean - median).abs(), ..*g }).collect();
        off.sort_by(|a, b| a.mean.total_cmp(&b.mean));
        let of_median = OF_MEDIAN * quantile(&off, 0.5);
        let of_mean = OF_MEAN * off.iter().map(|g| g.mean * (g.weight / all)).sum::<f64>();
        let still = |level: f64| (STILL_SHARE * level.abs()).max(f64::MIN_POSITIVE);
        Summary {
            mean,
            standard_deviation: variance.sqrt().max(still(mean)),
            median,
            median_deviation: if of_median > still(median) { of_median } else { of_mean.max(still(median)) },
            low: self.quantile(RANGE_ENDS),
            high: self.quantile(1.0 - RANGE_ENDS),
        }
    }
}

fn weight(groups: &[Group]) -> f64 {
    groups.iter().map(|group| group.weight).sum()
}

/// The value below which this share of all lies; `groups` by their means.
fn quantile(groups: &[Group], share: f64) -> f64 {
    let wanted = share.clamp(0.0, 1.0) * weight(groups);
    let (mut before, mut last) = (0.0, None);
    for group in groups {
        let (begin, end) = group.ranks(before);
        if wanted <= begin {
            return last.map_or(group.mean, |last| between(last, (begin, group.mean), wanted));
        }
        if wanted <= end {
            return group.mean;
        }
        before += group.weight;
        last = Some((end, group.mean));
    }
    last.map_or(0.0, |last| last.1)
}

/// On the line through two points, at `x`.
fn between((x0, y0): (f64, f64), (x1, y1): (f64, f64), x: f64) -> f64 {
    if x1 > x0 { y0 + (y1 - y0) * ((x - x0) / (x1 - x0)) } else { y1 }
}

/// Neighbours become one as far as their place allows, in groups so many times larger than there should be.
fn merged(all: &[Group], larger: f64) -> Vec<Group> {
    let weight = weight(all);
    let mut made: Vec<Group> = Vec::with_capacity(GROUPS_MAX);
    let mut before = 0.0;
    for group in all {
        if let Some(last) = made.last_mut() {
            let joint = last.weight + group.weight;
            let q = ((before + joint / 2.0) / weight).clamp(0.0, 1.0);
            let spread = q * (1.0 - q);
            let most = larger * weight * (std::f64::consts::TAU * spread.sqrt() / GROUPS).min(TAIL * spread);
            let is_one = last.mean == group.mean;
            if is_one || joint <= most {
                last.mean += (group.mean - last.mean) * (group.weight / joint);
                (last.weight, last.is_point) = (joint, is_one && last.is_point && group.is_point);
                continue;
            }
            before += last.weight;
        }
        made.push(*group);
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FOREVER: f64 = 1e15;

    /// Numbers from 0 to 1, as if by chance.
    fn noise(n: u64) -> f64 {
        let mut x = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        x = (x ^ (x >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        ((x ^ (x >> 29)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn of(values: impl IntoIterator<Item = f64>) -> Distribution {
        let mut found = Distribution::default();
        values.into_iter().enumerate().for_each(|(n, value)| found.take(60 * n as i64, value, FOREVER));
        found
    }

    #[test]
    fn quantiles_are_as_sorting_finds_them() {
        // Squares of what is even, so that the upper tail is long.
        let values: Vec<f64> = (0..16_000).map(|n| 100.0 * noise(n) * noise(n)).collect();
        let found = of(values.iter().copied());
        let mut sorted = values;
        sorted.sort_by(f64::total_cmp);
        for q in [0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999] {
            let exact = sorted[(q * 16_000.0) as usize];
            let rank = sorted.partition_point(|x| *x < found.quantile(q)) as f64 / 16_000.0;
            let error = (0.06 * (q * (1.0 - q)).sqrt()).min(0.3 * q.min(1.0 - q));
            assert!((rank - q).abs() < error, "{q}: {} instead of {exact}, rank {rank}", found.quantile(q));
            assert!((found.share_below(exact) - q).abs() < error, "{q}: {}", found.share_below(exact));
        }
        let Summary { mean, standard_deviation, .. } = *found.summary();
        assert!(
            (mean - 100.0 / 3.0).abs() < 0.5 && (standard_deviation - 29.8).abs() < 0.5,
            "{mean} {standard_deviation}"
        );
        assert!(found.groups.len() <= GROUPS_MAX && found.buffer.len() < BUFFER);
    }

    /// Where each counts twice as much as the one before, no two may be one by their place alone.
    #[test]
    fn there_are_never_more_groups_than_allowed() {
        for n in [97, 150, 400] {
            let group = |n: i32| Group { mean: f64::from(n), weight: libm::exp2(f64::from(n)), is_point: true };
            let mut found = Distribution { groups: (0..n).map(group).collect(), ..Distribution::default() };
            (0..BUFFER as i64).for_each(|n| found.take(n, n as f64, FOREVER));
            assert!((1..=GROUPS_MAX).contains(&found.groups.len()), "{} of {n}", found.groups.len());
        }
    }

    #[test]
    fn shifts_of_any_size_leave_it_finite() {
        let mut found = of((0..40).map(f64::from));
        for (by, weight) in [(f64::MAX, 20.0), (f64::MIN, 20.0), (f64::NAN, 20.0), (1.0, f64::NAN), (1.0, -1.0)] {
            found.shift(by, weight);
            let Summary { mean, standard_deviation, high, .. } = *found.summary();
            assert!(mean.is_finite() && standard_deviation.is_finite() && high.is_finite(), "{by} {weight}");
        }
    }

    #[test]
    fn a_few_wild_values_do_not_move_the_median_deviation() {
        let found = of((0..1_600).map(|n| if n % 50 == 0 { 1e6 } else { 10.0 + noise(n) }));
        let Summary { median, median_deviation, standard_deviation, .. } = *found.summary();
        assert!((median - 10.5).abs() < 0.1 && (median_deviation - 0.37).abs() < 0.1, "{median} {median_deviation}");
        assert!(standard_deviation > 1e5);
    }

    #[test]
    fn what_is_mostly_one_value_has_a_spread_too() {
        let mostly = of((0..1_600).map(|n| if n % 10 == 0 { 5.0 } else { 0.0 }));
        let deviation = mostly.summary().median_deviation;
        assert!((deviation - OF_MEAN * 0.5).abs() < 0.01, "{deviation}");
        let shares = [0.0, 2.0, 5.0, 6.0].map(|value| [mostly.share_below(value), mostly.share_above(value)]);
        let is = [[0.0, 0.1], [0.9, 0.1], [0.9, 0.0], [1.0, 0.0]];
        assert!(shares.iter().flatten().zip(is.iter().flatten()).all(|(a, b)| (a - b).abs() < 0.01), "{shares:?}");
        let still = of([40.0; 64]);
        assert_eq!((still.summary().standard_deviation, still.summary().median_deviation), (0.04, 0.04));
    }

    #[test]
    fn old_values_fade() {
        let mut found = Distribution::default();
        let day = |n: i64| n * 1_440 * 60;
        let minutes = |from: i64, to: i64| (0..(to - from) * 1_440).map(move |n| day(from) + n * 60);
        minutes(0, 7).for_each(|at| found.take(at, 10.0, 86_400.0));
        minutes(7, 14).for_each(|at| found.take(at, 90.0, 86_400.0));
        let share = found.share_below(50.0);
        assert!((share - 1.0 / 129.0).abs() < 0.002, "a week is seven half-lives: {share}");
        minutes(14, 40).for_each(|at| found.take(at, 90.0, 86_400.0));
        assert_eq!(found.quantile(0.0), 90.0, "in the end they are forgotten");
    }

    #[test]
    fn it_can_be_told_that_a_new_level_is_usual() {
        let mut found = of((0..1_600).map(noise));
        found.shift(50.0, 100.0);
        let median = found.summary().median;
        assert!((median - 50.5).abs() < 0.1 && (found.weight() - 100.0).abs() < 1e-6, "{median}");
    }

    proptest! {
        #[test]
        fn nothing_breaks_it(values in prop::collection::vec(any::<f64>(), 0..200), gaps in prop::collection::vec(any::<i64>(), 200)) {
            let mut found = Distribution::default();
            for (value, at) in values.iter().zip(&gaps) {
                found.take(*at, *value, 60.0);
                let Summary { mean, standard_deviation, median, median_deviation, low, high } = *found.summary();
                prop_assert!([mean, standard_deviation, median, median_deviation, low, high].iter().all(|x| x.is_finite()));
                prop_assert!(low <= high && (0.0..=1.0).contains(&found.share_below(*value)) || value.is_nan());
                prop_assert!(found.groups.len() <= GROUPS_MAX && found.groups.is_sorted_by(|a, b| a.mean <= b.mean));
            }
        }
    }
}
