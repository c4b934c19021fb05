//! What keeps coming together: groups of the same few kinds, found by DBSCAN (Ester et al., "A density-based algorithm for
//! discovering clusters", 1996) over their shares of each kind.
//!
//! ```
//! use quell_train::patterns::find;
//!
//! let outage = || vec![(0, 3.0), (1, 2.0)];
//! let found = find(&[outage(), outage(), vec![(2, 1.0)], outage()], 3);
//! assert_eq!((found.len(), &found[0].kinds[..], found[0].groups), (1, &[0, 1][..], 3));
//! ```
use linfa::traits::Transformer;
use linfa_clustering::Dbscan;
use ndarray::Array2;

/// Groups that have to be alike.
const ALIKE_MIN: usize = 3;
/// How far apart the directions of two alike groups are, as vectors of length 1.
const DISTANCE_MAX: f64 = 0.5;
/// A kind is part of a pattern that so much of its groups has.
const COMMON_MIN: f64 = 0.5;

/// Groups that are alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    /// The kinds that most of them have; sorted.
    pub kinds: Vec<usize>,
    /// How many groups.
    pub groups: usize,
}

/// The patterns among groups, each of counts by kind below `kinds`; the most frequent first. Takes time by the square of the groups.
pub fn find(groups: &[Vec<(usize, f64)>], kinds: usize) -> Vec<Pattern> {
    let mut shares = Array2::<f64>::zeros((groups.len(), kinds));
    for (mut row, group) in shares.rows_mut().into_iter().zip(groups) {
        // Of twice as many of a kind not twice is made: which there are counts more.
        let counted = || group.iter().filter(|(kind, count)| *kind < kinds && *count > 0.0 && count.is_finite());
        let norm = counted().map(|(_, count)| count).sum::<f64>().sqrt();
        for (kind, count) in counted() {
            row[*kind] = count.sqrt() / norm;
        }
    }
    let Ok(clusters) = Dbscan::params(ALIKE_MIN).tolerance(DISTANCE_MAX).transform(&shares) else { return Vec::new() };
    let count = clusters.iter().flatten().max().map_or(0, |last| last + 1);
    let mut found: Vec<Pattern> = (0..count)
        .map(|cluster| {
            let of: Vec<&Vec<(usize, f64)>> = groups
                .iter()
                .zip(&clusters)
                .filter(|(_, own)| **own == Some(cluster))
                .map(|(group, _)| group)
                .collect();
            let has = |kind: usize| of.iter().filter(|group| group.iter().any(|(own, _)| *own == kind)).count();
            let common = |kind: &usize| has(*kind) as f64 >= COMMON_MIN * of.len() as f64;
            Pattern { kinds: (0..kinds).filter(common).collect(), groups: of.len() }
        })
        .filter(|pattern| pattern.kinds.len() > 1)
        .collect();
    found.sort_by(|a, b| b.groups.cmp(&a.groups).then_with(|| a.kinds.cmp(&b.kinds)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_coming_together_is_found() {
        let outage = |n: usize| vec![(0, 3.0), (1, 2.0 + n as f64), (2, 1.0)];
        let mut groups: Vec<_> = (0..5).map(outage).collect();
        groups.extend((0..3).map(|_| vec![(3, 1.0), (4, 1.0)]));
        groups.extend([vec![(5, 9.0)], vec![(5, 2.0)], vec![(5, 1.0)], vec![(0, 1.0), (5, 1.0)]]);
        let found = find(&groups, 6);
        assert_eq!(found[0], Pattern { kinds: vec![0, 1, 2], groups: 5 });
        assert_eq!(found[1], Pattern { kinds: vec![3, 4], groups: 3 });
        assert_eq!(found.len(), 2, "of one kind alone nothing comes together: {found:?}");
        groups.extend([0.0, -1.0, f64::NAN, f64::INFINITY].map(|odd| vec![(0, odd), (9, 1.0)]));
        assert_eq!(find(&groups, 6), found, "what is no count is none");
        assert!(find(&[], 0).is_empty() && find(&groups[..2], 6).is_empty(), "two are not enough");
    }
}
