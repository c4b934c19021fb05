//! The usual measures of how well events are grouped, against a truth.
//!
//! ARI: Hubert and Arabie, "Comparing partitions", 1985; homogeneity and completeness: Rosenberg and Hirschberg,
//! "V-measure", 2007; these three over events of real incidents. In what is raised and in purity noise counts against.
use std::collections::{BTreeMap, BTreeSet};

/// The truth's word for what belongs to no incident.
pub const NOISE: &str = "noise";

/// Where an event went.
#[derive(Clone, Debug)]
pub struct Row {
    pub truth: String,
    pub episode: String,
    /// Empty where nothing was raised.
    pub incident: String,
}

/// How well the events of a recording are grouped.
#[derive(Clone, Copy, Debug, Default)]
pub struct Measured {
    pub ari: f64,
    pub homogeneity: f64,
    pub completeness: f64,
    /// Mean over real incidents: of the group that holds most of one, the share that is its own.
    pub purity: f64,
    /// Groups that hold events of real incidents, over real incidents.
    pub groups: f64,
    /// Of groups of several events with real incidents: harmonic mean of the share of them that match one, and of the share of
    /// real incidents that are matched. They match one to one, where they share half of what is in either.
    pub f1: f64,
    /// The share of noise that is grouped with a real incident.
    pub absorbed: f64,
    /// Incidents that stand at the end, over real ones.
    pub raised: f64,
    /// The share of real incidents that have an incident of their own: one that holds most of it, each counted once.
    pub found: f64,
    /// The share of incidents that are mostly one real one.
    pub mostly: f64,
    /// Incidents that were ever announced, those merged later too, over real ones.
    pub announced: f64,
}

impl Measured {
    /// Of each the mean.
    pub fn mean(all: &[Self]) -> Self {
        let mean = |of: fn(&Self) -> f64| all.iter().map(of).sum::<f64>() / all.len().max(1) as f64;
        Self {
            ari: mean(|m| m.ari),
            homogeneity: mean(|m| m.homogeneity),
            completeness: mean(|m| m.completeness),
            purity: mean(|m| m.purity),
            groups: mean(|m| m.groups),
            f1: mean(|m| m.f1),
            absorbed: mean(|m| m.absorbed),
            raised: mean(|m| m.raised),
            found: mean(|m| m.found),
            mostly: mean(|m| m.mostly),
            announced: mean(|m| m.announced),
        }
    }
}

/// How many events went where.
#[derive(Default)]
struct Counts<'a> {
    /// By real incident and group,
    both: BTreeMap<(&'a str, &'a str), f64>,
    /// by group, noise too,
    groups: BTreeMap<&'a str, f64>,
    /// and by incident and truth.
    incidents: BTreeMap<&'a str, BTreeMap<&'a str, f64>>,
}

impl<'a> Counts<'a> {
    fn of(rows: &'a [Row]) -> Self {
        let mut counts = Self::default();
        for row in rows {
            *counts.groups.entry(&row.episode).or_insert(0.0) += 1.0;
            if !row.incident.is_empty() {
                *counts.incidents.entry(&row.incident).or_default().entry(&row.truth).or_insert(0.0) += 1.0;
            }
            if row.truth != NOISE {
                *counts.both.entry((&row.truth, &row.episode)).or_insert(0.0) += 1.0;
            }
        }
        counts
    }
}

/// Compares, where so many incidents were `announced`.
pub fn compare(rows: &[Row], announced: usize) -> Measured {
    let Counts { both, groups: group_sizes, incidents } = Counts::of(rows);
    let (mut by_truth, mut by_group) = (BTreeMap::new(), BTreeMap::new());
    for ((truth, group), n) in &both {
        *by_truth.entry(*truth).or_insert(0.0) += n;
        *by_group.entry(*group).or_insert(0.0) += n;
    }
    let events: f64 = by_truth.values().sum();
    let pairs = |n: f64| n * (n - 1.0) / 2.0;
    let (same_truth, same_group) = (sum(&by_truth, pairs), sum(&by_group, pairs));
    let by_chance = same_truth * same_group / pairs(events).max(1.0);
    let most = (same_truth + same_group) / 2.0 - by_chance;
    let entropy = |n: f64| -n / events * (n / events).ln();
    let given_group: f64 = both.iter().map(|((_, g), n): (_, &f64)| -n / events * (n / by_group[g]).ln()).sum();
    let given_truth: f64 = both.iter().map(|((t, _), n): (_, &f64)| -n / events * (n / by_truth[t]).ln()).sum();
    let noise = || rows.iter().filter(|row| row.truth == NOISE);
    let absorbed = noise().filter(|row| by_group.contains_key(row.episode.as_str())).count();
    let real = by_truth.len().max(1) as f64;
    let mostly = incidents.values().filter(|of| is_mostly_one(of)).count();
    Measured {
        ari: (sum(&both, pairs) - by_chance) / most.max(1e-9),
        homogeneity: 1.0 - given_group / sum(&by_truth, entropy).max(1e-9),
        completeness: 1.0 - given_truth / sum(&by_group, entropy).max(1e-9),
        purity: mean_of(&purities(&both, &group_sizes)),
        groups: by_group.len() as f64 / real,
        f1: f1(&both, &by_truth, &group_sizes),
        absorbed: absorbed as f64 / (noise().count().max(1)) as f64,
        raised: incidents.len() as f64 / real,
        found: found(&incidents).len() as f64 / real,
        mostly: mostly as f64 / incidents.len().max(1) as f64,
        announced: announced as f64 / real,
    }
}

fn sum<K>(counts: &BTreeMap<K, f64>, of: impl Fn(f64) -> f64) -> f64 {
    counts.values().map(|n| of(*n)).sum()
}

/// Of each real incident the purity of the group that holds most of it.
fn purities<'a>(both: &BTreeMap<(&'a str, &'a str), f64>, sizes: &BTreeMap<&'a str, f64>) -> BTreeMap<&'a str, f64> {
    let mut most: BTreeMap<&str, (f64, &str)> = BTreeMap::new();
    for ((truth, group), n) in both {
        let known = most.entry(truth).or_insert((*n, group));
        if (*n, *group) > *known {
            *known = (*n, group);
        }
    }
    most.into_iter().map(|(truth, (n, group))| (truth, n / sizes[group])).collect()
}

fn mean_of(all: &BTreeMap<&str, f64>) -> f64 {
    all.values().sum::<f64>() / all.len().max(1) as f64
}

/// Real incidents of one kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct OfKind {
    pub incidents: usize,
    pub purity: f64,
    /// The share of them that have an incident of their own.
    pub found: f64,
}

/// The same by what kind of incident each label is.
pub fn by_kind(rows: &[Row], kinds: &BTreeMap<String, String>) -> BTreeMap<String, OfKind> {
    let Counts { both, groups: sizes, incidents } = Counts::of(rows);
    let found = found(&incidents);
    let mut all: BTreeMap<String, OfKind> = BTreeMap::new();
    for (truth, purity) in purities(&both, &sizes) {
        let Some(kind) = kinds.get(truth) else { continue };
        let known = all.entry(kind.clone()).or_default();
        known.incidents += 1;
        known.purity += purity;
        known.found += f64::from(u8::from(found.contains(truth)));
    }
    for of in all.values_mut() {
        of.purity /= of.incidents as f64;
        of.found /= of.incidents as f64;
    }
    all
}

fn f1(both: &BTreeMap<(&str, &str), f64>, truths: &BTreeMap<&str, f64>, groups: &BTreeMap<&str, f64>) -> f64 {
    // Two groups that share half with one incident each share all of it: there is at most one such, or they tie.
    let is_match = |((truth, group), n): (&(&str, &str), &f64)| 2.0 * n >= truths[truth] + groups[group] - n;
    let matched: BTreeSet<&str> = both.iter().filter(|pair| is_match(*pair)).map(|((truth, _), _)| *truth).collect();
    let told = groups.values().filter(|size| **size > 1.0).count();
    2.0 * matched.len() as f64 / (told + truths.len()).max(1) as f64
}

/// More than half of it is one real incident.
fn is_mostly_one(of: &BTreeMap<&str, f64>) -> bool {
    let all: f64 = of.values().sum();
    of.iter().any(|(truth, n)| *truth != NOISE && *n > all / 2.0)
}

/// Real incidents matched one to one, the largest overlaps first.
fn found<'a>(incidents: &BTreeMap<&'a str, BTreeMap<&'a str, f64>>) -> BTreeSet<&'a str> {
    let mut overlaps: Vec<(f64, &str, &str)> = Vec::new();
    for (incident, of) in incidents {
        let real = of.iter().filter(|(truth, _)| **truth != NOISE);
        overlaps.extend(real.map(|(truth, n)| (*n, *truth, *incident)));
    }
    overlaps.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let (mut truths, mut used) = (BTreeSet::new(), BTreeSet::new());
    for (_, truth, incident) in overlaps {
        if !truths.contains(truth) && !used.contains(incident) {
            truths.insert(truth);
            used.insert(incident);
        }
    }
    truths
}
