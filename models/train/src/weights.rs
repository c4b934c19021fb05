//! What each part of a sum of log-odds counts: logistic regression without an intercept, so that a sum of 0 is even odds as it is
//! for the sum of the parts themselves.
//!
//! ```
//! use quell_train::weights::{Row, fit};
//!
//! // What the first part says holds three times in four; the second says nothing.
//! let row = |n: usize| Row { parts: [if n % 2 == 0 { 1.0 } else { -1.0 }, 0.0], holds: (n % 2 == 0) == (n % 8 < 6) };
//! let rows: Vec<_> = (0..800).map(row).collect();
//! let [first, second] = fit(&rows)?;
//! assert!((first - 3.0_f64.ln()).abs() < 0.1 && second == 0.0, "{first} {second}");
//! # Ok::<(), String>(())
//! ```
use linfa::{Dataset, traits::Fit};
use linfa_logistic::LogisticRegression;
use ndarray::{Array1, Array2};

/// Penalty on large weights (half of the sum of their squares times this).
const PENALTY: f64 = 1.0;
const ITERATIONS_MAX: u64 = 200;

/// One decision: the parts of the log-odds, in nats, and whether it was so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row<const N: usize> {
    /// In nats; positive ones speak for it.
    pub parts: [f64; N],
    /// It was so.
    pub holds: bool,
}

/// The weights by which `sum(weight * part)` are the log-odds that it holds, as well as rows tell; those of parts that never differ
/// from 0 are 0.
///
/// # Errors
/// Where all rows are alike in whether it holds, a part is no finite number, or nothing can be fitted.
pub fn fit<const N: usize>(rows: &[Row<N>]) -> Result<[f64; N], String> {
    if rows.iter().all(|row| row.holds) || rows.iter().all(|row| !row.holds) {
        return Err("all examples say the same: there is nothing to tell apart".to_owned());
    }
    if let Some(row) = rows.iter().position(|row| !row.parts.iter().all(|part| part.is_finite())) {
        return Err(format!("example {row}: a part is no finite number"));
    }
    let parts = Array2::from_shape_fn((rows.len(), N), |(row, part)| rows[row].parts[part]);
    let holds: Array1<bool> = rows.iter().map(|row| row.holds).collect();
    let model = LogisticRegression::default()
        .alpha(PENALTY)
        .with_intercept(false)
        .max_iterations(ITERATIONS_MAX)
        .fit(&Dataset::new(parts, holds))
        .map_err(|error| format!("the weights can't be fitted: {error}"))?;
    let sign = if model.labels().pos.class { 1.0 } else { -1.0 };
    let mut weights = [0.0; N];
    for (weight, fitted) in weights.iter_mut().zip(model.params()) {
        *weight = sign * fitted;
    }
    // The solver gives back what it began with where it fails, and says nothing of it.
    let is_fitted = weights.iter().all(|weight| weight.is_finite()) && weights.iter().any(|weight| *weight != 0.0);
    if is_fitted { Ok(weights) } else { Err("the weights can't be fitted: no part tells anything".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first part tells twice as much as it says, the second nothing.
    fn rows() -> Vec<Row<3>> {
        let mut state = 7_u64;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        (0..20_000)
            .map(|_| {
                let parts = [4.0 * uniform() - 2.0, 4.0 * uniform() - 2.0, 0.0];
                let chance = 1.0 / (1.0 + libm::exp(-2.0 * parts[0]));
                Row { parts, holds: uniform() < chance }
            })
            .collect()
    }

    #[test]
    fn a_part_counts_as_much_as_it_tells() {
        let [first, second, never] = fit(&rows()).expect("a fit");
        assert!((first - 2.0).abs() < 0.1 && second.abs() < 0.05 && never == 0.0, "{first} {second} {never}");
        let denied: Vec<_> = rows().iter().map(|row| Row { holds: !row.holds, ..*row }).collect();
        assert!((fit(&denied).expect("a fit")[0] + 2.0).abs() < 0.1, "and against it, whichever comes first");
    }

    #[test]
    fn what_is_always_so_teaches_nothing() {
        assert!(fit::<2>(&[]).is_err());
        assert!(fit(&[Row { parts: [1.0], holds: true }, Row { parts: [-1.0], holds: true }]).is_err());
        let two = |part: f64| [Row { parts: [part], holds: true }, Row { parts: [1.0], holds: false }];
        assert!(fit(&two(0.0)).is_ok());
        assert!(fit(&[Row { parts: [0.0], holds: true }, Row { parts: [0.0], holds: false }]).is_err());
        for odd in [f64::NAN, f64::INFINITY] {
            assert_eq!(fit(&two(odd)), Err("example 0: a part is no finite number".to_owned()));
        }
        assert!(fit(&two(1e300)).map_or(true, |weights| weights.iter().all(|weight| weight.is_finite())));
    }
}
