//! Whether one of two ways to group alerts is better by more than chance.
use super::{Truth, history::Fold};
use quell_core::domain::time::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

/// A difference that comes so seldom by chance is none.
const LEVEL: f64 = 0.05;

/// Alerts that only one of two models groups rightly: what both do alike says nothing of which is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compared {
    /// Only the second does.
    pub gained: usize,
    /// Only the first does.
    pub lost: usize,
}

impl Compared {
    /// Of the alerts that opened in a span of time.
    pub fn of(first: &Fold, second: &Fold, truth: &Truth, span: &Range<Timestamp>) -> Self {
        let (first, second) = (right(first, truth, span), right(second, truth, span));
        Self { gained: second.difference(&first).count(), lost: first.difference(&second).count() }
    }

    /// How likely they are divided so unevenly, or more, where either model is as good: the exact sign test, two-sided, `min(1, 2·P(X ≥ max))`, `X` binomial
    /// of `n = gained + lost` and ½ (Dixon and Mood, 1946; of paired classifiers McNemar, 1947). It takes alerts to be independent; those of one incident are
    /// not quite, which makes it too sure if anything.
    pub fn chance(self) -> f64 {
        let (most, n) = (self.gained.max(self.lost), self.gained + self.lost);
        // The logarithm of `C(n, k)/2ⁿ`.
        let mut log = -(n as f64) * std::f64::consts::LN_2;
        let mut tail = if most == 0 { log.exp() } else { 0.0 };
        for k in 1..=n {
            log += ((n - k + 1) as f64 / k as f64).ln();
            tail += if k >= most { log.exp() } else { 0.0 };
        }
        (2.0 * tail).min(1.0)
    }

    /// The second is better.
    pub fn is_better(self) -> bool {
        self.gained > self.lost && self.chance() <= LEVEL
    }
}

/// The first events of alerts that are grouped rightly: with most of what they belong with, and most of what they are with belongs there. One alert astray
/// is wrong by itself, and not all that it is with.
fn right(fold: &Fold, truth: &Truth, span: &Range<Timestamp>) -> BTreeSet<u64> {
    let (mut groups, mut labels, mut cells) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let known = || {
        let alerts = fold.alerts.values().filter(|alert| span.contains(&alert.opened_at));
        alerts.filter_map(|alert| Some((alert.first?, alert.episode, truth.of(alert)?)))
    };
    for (_, group, label) in known() {
        *groups.entry(group).or_insert(0_usize) += 1;
        if let Some(label) = label {
            *labels.entry(label).or_insert(0_usize) += 1;
            *cells.entry((label, group)).or_insert(0_usize) += 1;
        }
    }
    let count = |of: Option<&usize>| of.map_or(0, |count| count - 1);
    let is_right = |group, label: Option<u64>| {
        let with = count(groups.get(&group));
        let belong = label.map_or(0, |label| count(labels.get(&label)));
        let both = label.map_or(0, |label| count(cells.get(&(label, group))));
        (with == 0 || 2 * both > with) && (belong == 0 || 2 * both > belong)
    };
    known().filter(|(_, group, label)| is_right(*group, *label)).map(|(first, ..)| first).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::learn::history::{Alert, AlertId, EpisodeId};

    fn fold(groups: &[u64]) -> Fold {
        let mut fold = Fold::default();
        for (n, group) in (0_u64..).zip(groups) {
            let (opened_at, episode) = (Timestamp(n as i64), EpisodeId(*group));
            fold.alerts.insert(AlertId(n), Alert { opened_at, episode, first: Some(n), ..Alert::default() });
        }
        fold
    }

    #[test]
    fn an_alert_is_right_by_itself() {
        let labels = [Some(0), Some(0), Some(0), Some(0), Some(1), None, Some(2)];
        let truth = Truth((0_u64..).zip(labels).collect());
        let all = Timestamp(0)..Timestamp::MAX;
        let of = |groups: &[u64]| right(&fold(groups), &truth, &all).into_iter().collect::<Vec<_>>();
        assert_eq!(of(&[1, 1, 1, 1, 2, 3, 4]), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(of(&[1, 1, 1, 2, 2, 3, 4]), [0, 1, 2, 5, 6], "the fourth went to another's");
        assert_eq!(of(&[1, 1, 1, 1, 2, 1, 1]), [0, 1, 2, 3, 4], "what belongs to nothing, or alone, went to it");
        assert_eq!(of(&[1, 1, 2, 2, 3, 4, 5]), [4, 5, 6], "torn in two");
        let compared = Compared::of(&fold(&[1, 1, 1, 2, 2, 3, 4]), &fold(&[1, 1, 1, 1, 2, 3, 1]), &truth, &all);
        assert_eq!(compared, Compared { gained: 2, lost: 1 });
    }

    #[test]
    fn few_are_chance() {
        let chance = |gained, lost| (Compared { gained, lost }.chance() * 1e6).round() / 1e6;
        assert_eq!(chance(0, 0), 1.0);
        assert_eq!([chance(1, 0), chance(5, 0), chance(6, 0)], [1.0, 0.0625, 0.03125]);
        assert_eq!([chance(9, 1), chance(1, 9), chance(5, 5)], [0.021484, 0.021484, 1.0]);
        assert!((0.0016..0.0018).contains(&chance(550, 450)), "{}", chance(550, 450));
        let is_better = |gained, lost| Compared { gained, lost }.is_better();
        assert!(is_better(6, 0) && is_better(550, 450));
        assert!(!is_better(1, 0) && !is_better(0, 0) && !is_better(0, 6) && !is_better(8, 2));
    }
}
