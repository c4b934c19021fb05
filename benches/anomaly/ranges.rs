//! How well scores find labelled ranges: the volume under the surface of precision and recall (Paparrizos et al., "Volume under the
//! surface", 2022, as the TSB-AD leaderboard computes it), average precision, and F1 by rows and by ranges. No point is adjusted.

/// What scores are worth against labels.
#[derive(Clone, Copy, Debug, Default)]
pub struct Measures {
    pub vus_pr: f64,
    pub auc_pr: f64,
    /// Of rows, at the best threshold.
    pub best_f1: f64,
    /// Recall of ranges and precision of rows, at the best threshold.
    pub event_f1: f64,
}

/// Rank-spaced thresholds of the surface.
const THRESHOLDS: usize = 250;

/// Of scores, where these ranges (first and last row) are anomalous; buffers around them are up to `window` rows wide.
pub fn measures(scores: &[f64], ranges: &[(usize, usize)], window: usize) -> Measures {
    let n = scores.len();
    let mut labels = vec![0.0; n];
    ranges.iter().for_each(|(a, b)| labels[*a..=*b].fill(1.0));
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let anomalous: f64 = labels.iter().sum();
    let (mut auc_pr, mut best_f1, mut event_f1) = (0.0, 0.0_f64, 0.0_f64);
    let (mut hits, mut recall) = (0.0, 0.0);
    let peaks = peaks(scores, ranges);
    for (place, row) in order.iter().enumerate() {
        hits += labels[*row];
        let threshold = scores[*row];
        if order.get(place + 1).is_some_and(|next| scores[*next] >= threshold) {
            continue;
        }
        let (found, precision) = (place as f64 + 1.0, hits / (place as f64 + 1.0));
        auc_pr += (hits / anomalous - recall) * precision;
        recall = hits / anomalous;
        best_f1 = best_f1.max(2.0 * hits / (found + anomalous));
        let by_range = share_from(&peaks, threshold);
        if precision + by_range > 0.0 {
            event_f1 = event_f1.max(2.0 * precision * by_range / (precision + by_range));
        }
    }
    let widths = (0..=window).map(|width| under_surface(scores, &labels, &order, ranges, width));
    let vus_pr = widths.sum::<f64>() / (window as f64 + 1.0);
    Measures { vus_pr, auc_pr, best_f1, event_f1 }
}

/// The highest score in each range; sorted.
fn peaks(scores: &[f64], ranges: &[(usize, usize)]) -> Vec<f64> {
    let mut peaks: Vec<f64> =
        ranges.iter().map(|(a, b)| scores[*a..=*b].iter().copied().fold(f64::MIN, f64::max)).collect();
    peaks.sort_by(f64::total_cmp);
    peaks
}

/// The share of these that is no less.
fn share_from(sorted: &[f64], threshold: f64) -> f64 {
    (sorted.len() - sorted.partition_point(|peak| *peak < threshold)) as f64 / sorted.len() as f64
}

fn under_surface(scores: &[f64], labels: &[f64], order: &[usize], ranges: &[(usize, usize)], width: usize) -> f64 {
    let (n, half) = (scores.len(), width / 2);
    let mut extended = labels.to_vec();
    for (first, last) in ranges {
        let end = (last + half + 1).min(n);
        for (off, weight) in extended[(last + 1).min(end)..end].iter_mut().enumerate() {
            *weight += (1.0 - (off + 1) as f64 / width as f64).sqrt();
        }
        let begin = first.saturating_sub(half);
        for (off, weight) in extended[begin..*first].iter_mut().enumerate() {
            *weight += (1.0 - (first - begin - off) as f64 / width as f64).sqrt();
        }
    }
    extended.iter_mut().for_each(|weight| *weight = weight.min(1.0));
    let mut merged: Vec<(usize, usize)> = Vec::new();
    for (first, last) in ranges {
        let (from, to) = (first.saturating_sub(half), (last + half).min(n - 1));
        match merged.last_mut() {
            Some(before) if from <= before.1 => before.1 = to,
            _ => merged.push((from, to)),
        }
    }
    let peaks = peaks(scores, &merged);
    let anomalous: f64 = labels.iter().sum();
    let (mut sums, mut originals) = (Vec::with_capacity(n), Vec::with_capacity(n));
    let (mut sum, mut original) = (0.0, 0.0);
    for row in order {
        sum += extended[*row];
        original += labels[*row];
        sums.push(sum);
        originals.push(original);
    }
    let (mut area, mut before) = (0.0, 0.0);
    for place in (0..THRESHOLDS).map(|k| k * (n - 1) / (THRESHOLDS - 1)) {
        let threshold = scores[order[place]];
        let found = order.partition_point(|row| scores[*row] >= threshold);
        let hits = sums[found - 1];
        let positive = f64::midpoint(2.0 * anomalous + hits - originals[found - 1], 0.0);
        let recall = (hits / positive).min(1.0) * share_from(&peaks, threshold);
        area += (recall - before) * hits / found as f64;
        before = recall;
    }
    area
}
