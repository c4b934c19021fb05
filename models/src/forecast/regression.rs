//! A small regression that forgets.
use serde::{Deserialize, Serialize};

/// What it looks at.
pub const FEATURES: usize = 5;
/// Entries of a triangle.
const ENTRIES: usize = FEATURES * (FEATURES + 1) / 2;
/// Outcomes that it remembers.
const MEMORY: f32 = 1_000.0;
/// How firmly weights are held at 0, as a share of the mean square of the features, and in a young one.
const RIDGE: f64 = 0.02;
const YOUNG: f64 = 50.0;
/// An error below this share of the mean one weighs no more than that.
const SHARE: f32 = 0.5;
const WEIGHT_MAX: f64 = 100.0;

/// Weighted least squares `w = (Σ λf·fᵀ + ρI)⁻¹ Σ λf·y`, each outcome weighted by 1/|error|, so that the sum of absolute errors is made small
/// (iteratively reweighted: Schlossmacher, 1973), by Cholesky's factors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Regression {
    squares: [f64; ENTRIES],
    products: [f64; FEATURES],
    weights: [f32; FEATURES],
    /// Mean of |error|.
    error: f32,
}

/// Row by row, below the diagonal.
const fn entry(row: usize, column: usize) -> usize {
    row * (row + 1) / 2 + column
}

impl Regression {
    /// What it makes of these.
    pub fn of(&self, features: &[f32; FEATURES]) -> f32 {
        self.weights.iter().zip(features).map(|(weight, feature)| weight * feature).sum()
    }

    /// The `n`th outcome was `y`.
    pub fn learn(&mut self, n: f32, features: &[f32; FEATURES], y: f32) {
        let step = (1.0 / n).max(1.0 / MEMORY);
        let error = (y - self.of(features)).abs();
        self.error += step * (error - self.error);
        let scale = error.max(SHARE * self.error);
        if scale > 0.0 {
            let step = f64::from(step);
            for row in 0..FEATURES {
                let f = f64::from(features[row]) / f64::from(scale);
                self.products[row] += step * (f * f64::from(y) - self.products[row]);
                for (column, other) in features.iter().enumerate().take(row + 1) {
                    let square = &mut self.squares[entry(row, column)];
                    *square += step * (f * f64::from(*other) - *square);
                }
            }
            self.solve(f64::from(n));
        }
    }

    fn solve(&mut self, n: f64) {
        let mean = (0..FEATURES).map(|row| self.squares[entry(row, row)]).sum::<f64>() / FEATURES as f64;
        if mean <= 0.0 {
            return;
        }
        let ridge = mean * RIDGE * (1.0 + YOUNG / n);
        let mut factor = self.squares;
        let (mut solved, mut weights) = ([0.0; FEATURES], [0.0; FEATURES]);
        for row in 0..FEATURES {
            for column in 0..=row {
                let below = (0..column).map(|k| factor[entry(row, k)] * factor[entry(column, k)]).sum::<f64>();
                let left = factor[entry(row, column)] - below;
                factor[entry(row, column)] = if row == column {
                    (left + ridge).max(0.5 * ridge).sqrt()
                } else {
                    left / factor[entry(column, column)]
                };
            }
            let before = (0..row).map(|k| factor[entry(row, k)] * solved[k]).sum::<f64>();
            solved[row] = (self.products[row] - before) / factor[entry(row, row)];
        }
        for row in (0..FEATURES).rev() {
            let after = (row + 1..FEATURES).map(|k| factor[entry(k, row)] * weights[k]).sum::<f64>();
            weights[row] = (solved[row] - after) / factor[entry(row, row)];
        }
        self.weights = weights.map(|weight| weight.clamp(-WEIGHT_MAX, WEIGHT_MAX) as f32);
    }
}
