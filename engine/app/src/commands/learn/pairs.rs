//! How well alerts are grouped, by pairs of them.
use super::{Truth, history::Fold};
use crate::model::Measure;
use quell_core::domain::time::Timestamp;
use std::{collections::BTreeMap, ops::Range};

/// Of the alerts that opened in a span of time and of which it is known to what they belong. What belongs to nothing is
/// by itself.
pub fn measure(fold: &Fold, truth: &Truth, span: Range<Timestamp>) -> Measure {
    let (mut labels, mut groups, mut cells) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for alert in fold.alerts.values().filter(|alert| span.contains(&alert.opened_at)) {
        let Some(label) = truth.of(alert) else { continue };
        *groups.entry(alert.episode).or_insert(0) += 1;
        if let Some(label) = label {
            *labels.entry(label).or_insert(0) += 1;
            *cells.entry((label, alert.episode)).or_insert(0) += 1;
        }
    }
    let (right, found, there) = (pairs(cells.values()), pairs(groups.values()), pairs(labels.values()));
    let share = |of: u128| if of == 0 { 1.0 } else { rounded(right as f64 / of as f64) };
    let (precision, recall) = (share(found), share(there));
    let f1 = if precision + recall > 0.0 { rounded(2.0 * precision * recall / (precision + recall)) } else { 0.0 };
    Measure { precision, recall, f1 }
}

fn pairs<'a>(counts: impl Iterator<Item = &'a u64>) -> u128 {
    counts.map(|n| u128::from(*n) * u128::from(n.saturating_sub(1)) / 2).sum()
}

fn rounded(share: f64) -> f64 {
    (share * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::learn::history::{Alert, AlertId, EpisodeId};

    #[test]
    fn pairs_are_counted() {
        // Episode 1: three of one label; episode 2: one of it, one of another, one of nothing.
        let all = [(1, Some(0)), (1, Some(0)), (1, Some(0)), (2, Some(0)), (2, Some(1)), (2, None)];
        let mut fold = Fold::default();
        let mut truth = Truth(BTreeMap::new());
        for (n, (episode, label)) in (0..).zip(all) {
            let (episode, opened_at) = (EpisodeId(episode), Timestamp(n));
            fold.alerts
                .insert(AlertId(n as u64), Alert { opened_at, episode, first: Some(n as u64), ..Alert::default() });
            truth.0.insert(n as u64, label);
        }
        let all = measure(&fold, &truth, Timestamp(0)..Timestamp::MAX);
        assert_eq!((all.precision, all.recall, all.f1), (0.5, 0.5, 0.5), "3 of 6 found, 3 of 6 there");
        let first = measure(&fold, &truth, Timestamp(0)..Timestamp(3));
        assert_eq!((first.precision, first.recall), (1.0, 1.0));
        truth.0.remove(&5);
        assert_eq!(measure(&fold, &truth, Timestamp(0)..Timestamp::MAX).precision, 0.75);
    }
}
