//! What a confidence is worth: Brier's score ("Verification of forecasts expressed in terms of probability", 1950) against
//! always telling the share of right ones, and the expected calibration error over bins of equal width.

/// Bins of the calibration error.
const BINS: usize = 5;
/// A confidence of 0 or 1 that is wrong costs no more than this one.
const SURE: f64 = 1e-4;

/// A cause that was shown: how sure, and whether it was right.
#[derive(Clone, Copy, Debug)]
pub struct Item {
    pub confidence: f64,
    pub right: bool,
}

/// How good confidences are.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// 1 less Brier's score by that of always telling the share of right ones: 0 is no better.
    pub skill: f64,
    /// The mean distance of confidence and share of right ones, bin by bin.
    pub ece: f64,
}

/// The share of right ones.
pub fn share(items: &[Item]) -> f64 {
    mean(items.iter().map(|item| f64::from(item.right)))
}

fn mean(all: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = all.len().max(1);
    all.sum::<f64>() / n as f64
}

/// How good they are.
pub fn measure(items: &[Item]) -> Measured {
    let base = share(items);
    let brier = mean(items.iter().map(|item| (item.confidence - f64::from(item.right)).powi(2)));
    let bin = |item: &Item| ((item.confidence * BINS as f64) as usize).min(BINS - 1);
    let ece = (0..BINS).map(|n| {
        let of: Vec<Item> = items.iter().filter(|item| bin(item) == n).copied().collect();
        let sure = mean(of.iter().map(|item| item.confidence));
        (sure - share(&of)).abs() * of.len() as f64 / items.len().max(1) as f64
    });
    Measured { skill: 1.0 - brier / (base * (1.0 - base)), ece: ece.sum() }
}

/// By what the odds of all confidences are to be multiplied to tell most of what is right: the least logarithmic loss.
pub fn fit(items: &[Item]) -> f64 {
    let loss = |factor: f64| {
        let of = |item: &Item| {
            let odds = factor * item.confidence / (1.0 - item.confidence).max(SURE);
            let sure = (odds / (1.0 + odds)).clamp(SURE, 1.0 - SURE);
            -(if item.right { sure } else { 1.0 - sure }).ln()
        };
        mean(items.iter().map(of))
    };
    let factors = (-100..=100).map(|n| f64::from(n) / 50.0).map(f64::exp);
    factors.min_by(|a, b| loss(*a).total_cmp(&loss(*b))).unwrap_or(1.0)
}
