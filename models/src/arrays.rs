//! Whole series at once, for who has them as arrays: `ndarray` in, scores out. Each row is scored by what came before it, exactly as the
//! streaming detectors do one by one.
//!
//! ```
//! use ndarray::{Array1, Array2};
//! use quell_models::arrays;
//!
//! // Two days of minutes; at noon of the second the latency jumps.
//! let seconds = Array1::from_iter((0..2_880).map(|n| 60 * n));
//! let latency = Array1::from_iter((0..2_880).map(|n| if n == 2_160 { 400.0 } else { 100.0 + f64::from(n * 7 % 11) }));
//! let scores = arrays::score(seconds.view(), latency.view())?;
//! assert!(scores.event[2_160] > 0.5 && scores.severity[2_160] > 0.5 && scores.event[2_161] == 0.0);
//!
//! // Eight series of one entity, of which six go astray in the last minutes.
//! let table = Array2::from_shape_fn((600, 8), |(n, series)| {
//!     let astray = n >= 595 && series < 6;
//!     if astray { 90.0 } else { 10.0 + ((n * (series + 3)) % 7) as f64 }
//! });
//! let severity = arrays::severity(seconds.slice(ndarray::s![..600]), table.view())?;
//! assert!(severity[599] > 10.0 * severity[594]);
//!
//! // What the latency is said to be half an hour later.
//! let told = arrays::forecast(seconds.view(), latency.view(), 1_800)?;
//! let is_within = |n: &usize| told.low[*n] <= latency[n + 30] && latency[n + 30] <= told.high[*n];
//! let within = (200..2_100).filter(is_within).count() as f64 / 1_900.0;
//! assert!(told.value[0].is_nan() && (0.7..0.9).contains(&within), "{within}");
//! # Ok::<(), quell_models::arrays::Shape>(())
//! ```
use crate::{
    detectors::{Kpi, Moment, Score, Together},
    forecast::{Forecast, Forecaster},
};
use ndarray::{Array1, ArrayView1, ArrayView2};
use std::{error::Error, fmt};

/// Arrays that do not go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// So many times, and so many values (or rows of them).
    Lengths(usize, usize),
    /// The time of this row is before that of the row before.
    Backwards(usize),
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lengths(times, values) => write!(f, "{times} times and {values} values: as many of both"),
            Self::Backwards(row) => write!(f, "row {row}: its time is before that of the row before"),
        }
    }
}

impl Error for Shape {}

/// What a detector said of each row; each of length *n*.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// That something new has happened, 0 to 1.
    pub event: Array1<f64>,
    /// How far from usual it is, 0 to 1.
    pub severity: Array1<f64>,
    /// The same in deviations, with its sign.
    pub deviations: Array1<f64>,
}

/// Scores a series: `seconds` (Unix time in UTC, *n*, ascending) and `values` (*n*; NaN where there is none).
///
/// # Errors
/// Where the lengths differ or a time goes back.
pub fn score(seconds: ArrayView1<'_, i64>, values: ArrayView1<'_, f64>) -> Result<Scores, Shape> {
    let n = check(seconds, values.len())?;
    let (mut event, mut severity, mut deviations) = (Array1::zeros(n), Array1::zeros(n), Array1::zeros(n));
    let mut detector = Kpi::default();
    for (row, (at, value)) in seconds.iter().zip(&values).enumerate() {
        let verdict = detector.take(Moment::utc(*at), *value, true);
        (event[row], severity[row]) = (share(verdict.event), share(verdict.severity));
        deviations[row] = verdict.deviations;
    }
    Ok(Scores { event, severity, deviations })
}

/// How far from usual an entity is in each row, 0 to 1: `seconds` (Unix time in UTC, *n*, ascending) and `values` (*n* × series; NaN
/// where there is none).
///
/// # Errors
/// Where there are not as many times as rows, or a time goes back.
pub fn severity(seconds: ArrayView1<'_, i64>, values: ArrayView2<'_, f64>) -> Result<Array1<f64>, Shape> {
    check(seconds, values.nrows())?;
    let mut detectors = vec![Kpi::default(); values.ncols()];
    let mut together = Together::default();
    let row = |(at, row): (&i64, ArrayView1<'_, f64>)| {
        let moment = Moment::utc(*at);
        together.take(detectors.iter_mut().zip(row).map(|(one, value)| one.take(moment, *value, true).severity))
    };
    Ok(seconds.iter().zip(values.outer_iter()).map(row).collect())
}

/// What was told, at each row, of the value `ahead` seconds later; each of length *n*, NaN while nothing is.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecasts {
    /// What is expected.
    pub value: Array1<f64>,
    /// With 80 % between these.
    pub low: Array1<f64>,
    /// See `low`.
    pub high: Array1<f64>,
}

/// Forecasts a series of `seconds` and `values` as in [`score`].
///
/// # Errors
/// Where the lengths differ or a time goes back.
pub fn forecast(seconds: ArrayView1<'_, i64>, values: ArrayView1<'_, f64>, ahead: u32) -> Result<Forecasts, Shape> {
    let n = check(seconds, values.len())?;
    let nothing = || Array1::from_elem(n, f64::NAN);
    let mut told = Forecasts { value: nothing(), low: nothing(), high: nothing() };
    let mut forecaster = Forecaster::new(ahead);
    for (row, (at, value)) in seconds.iter().zip(&values).enumerate() {
        forecaster.take(Moment::utc(*at), *value);
        if let Some(Forecast { value, low, high, .. }) = forecaster.forecast() {
            (told.value[row], told.low[row], told.high[row]) = (value, low, high);
        }
    }
    Ok(told)
}

/// As many of both, and no time before the one before it; how many.
fn check(seconds: ArrayView1<'_, i64>, values: usize) -> Result<usize, Shape> {
    if seconds.len() != values {
        return Err(Shape::Lengths(seconds.len(), values));
    }
    let mut pairs = seconds.iter().zip(seconds.iter().skip(1));
    match pairs.position(|(before, after)| after < before) {
        Some(row) => Err(Shape::Backwards(row + 1)),
        None => Ok(values),
    }
}

fn share(score: Score) -> f64 {
    f64::from(score.0) / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn arrays_that_do_not_go_together_are_refused() {
        let values = array![1.0, 2.0, 3.0];
        assert_eq!(score(array![0, 60].view(), values.view()), Err(Shape::Lengths(2, 3)));
        let back = score(array![0, 60, 30].view(), values.view());
        assert_eq!(back, Err(Shape::Backwards(2)));
        let table = ndarray::Array2::zeros((3, 2));
        assert_eq!(severity(array![0, 60].view(), table.view()), Err(Shape::Lengths(2, 3)));
        assert_eq!(severity(array![0, 60, 30].view(), table.view()), Err(Shape::Backwards(2)));
        assert_eq!(severity(array![0, 60, 60].view(), table.view()), Ok(Array1::zeros(3)));
        assert_eq!(Shape::Backwards(2).to_string(), "row 2: its time is before that of the row before");
    }

    #[test]
    fn they_are_scored_as_one_by_one() {
        let value = |n: i64| if n % 97 == 0 { f64::NAN } else { ((n * n) % 53) as f64 };
        let seconds = Array1::from_iter((0..900).map(|n| 60 * n));
        let scores = score(seconds.view(), seconds.map(|at| value(at / 60)).view()).expect("they go together");
        let mut detector = Kpi::default();
        for n in 0..900 {
            let verdict = detector.take(Moment::utc(60 * n), value(n), true);
            let row = n as usize;
            assert_eq!(
                (scores.event[row], scores.severity[row]),
                (share(verdict.event), share(verdict.severity)),
                "{n}"
            );
        }
        assert!(scores.severity.iter().any(|severity| *severity > 0.0));
    }
}
