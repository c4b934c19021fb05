//! The detector that stands in for a monitoring tool where a set has measurements only: how far a value is out of a reference,
//! in spreads of the reference itself. One for all sets.

/// Below it nothing is told.
pub const THRESHOLD: f64 = 3.0;
/// What is further out is out as far.
pub const CAP: f64 = 100.0;
/// The standard deviation of a Gaussian by its median absolute deviation.
const DEVIATIONS: f64 = 1.4826;
/// Values of a reference, at least.
const VALUES_MIN: usize = 3;
/// Its largest are left out of the spread: they may be earlier trouble.
const LEFT_OUT: f64 = 5.0;
/// Fewer events than this are not expected.
const EXPECTED_MIN: f64 = 0.5;

/// What is usual.
#[derive(Clone, Copy, Debug)]
pub struct Reference {
    median: f64,
    up: f64,
    down: f64,
}

/// The least spread.
#[derive(Clone, Copy, Debug)]
pub struct Floor {
    pub absolute: f64,
    /// Of the median.
    pub relative: f64,
}

impl Reference {
    /// Of values, where what is no number was silence; `None` where more than `1 - share_min` of it was.
    pub fn of(values: &[f64], floor: Floor, share_min: f64) -> Option<Self> {
        let mut known: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
        let n = known.len() as f64;
        if known.len() < VALUES_MIN || n < share_min * values.len() as f64 {
            return None;
        }
        known.sort_by(f64::total_cmp);
        let median = quantile(&known, 0.5);
        let mut off: Vec<f64> = known.iter().map(|value| (value - median).abs()).collect();
        off.sort_by(f64::total_cmp);
        let least = (DEVIATIONS * quantile(&off, 0.5)).max((floor.relative * median.abs()).max(floor.absolute));
        let p = (1.0 - LEFT_OUT / n).min(0.99);
        let (mut up, mut down) = (0.0, 0.0);
        if p > 0.6 {
            let deviations = normal(p);
            up = (quantile(&known, p) - median) / deviations;
            down = (median - quantile(&known, 1.0 - p)) / deviations;
        }
        Some(Self { median, up: least.max(up), down: least.max(down) })
    }

    /// How far out a value is; what is no number is not.
    pub fn off(&self, value: f64) -> f64 {
        let off = value - self.median;
        if value.is_nan() { 0.0 } else { off / if off >= 0.0 { self.up } else { self.down } }
    }
}

/// By linear interpolation.
fn quantile(sorted: &[f64], p: f64) -> f64 {
    let at = p * (sorted.len() - 1) as f64;
    let below = at.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (at - at.floor())
}

/// The quantile of a Gaussian, from 0.5 on, by bisection.
fn normal(p: f64) -> f64 {
    let (mut low, mut high) = (0.0, 6.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if 0.5 * (1.0 + libm::erf(middle / std::f64::consts::SQRT_2)) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// The furthest that was held for so many in a row (or all there are, if fewer), with its sign, and where it began.
pub fn sustained(offs: &[f64], need: usize) -> (f64, usize) {
    let need = need.min(offs.len());
    let mut best = (0.0_f64, 0);
    if need == 0 {
        return best;
    }
    for (begin, window) in offs.windows(need).enumerate() {
        for sign in [1.0, -1.0] {
            let held = window.iter().map(|off| sign * off).fold(f64::INFINITY, f64::min);
            if held > best.0.abs() {
                best = (sign * held, begin);
            }
        }
    }
    best
}

/// How far a count is from what was expected: the signed root of the deviance of a Poisson variable, by that of `dispersion`.
pub fn poisson(count: f64, expected: f64, dispersion: f64) -> f64 {
    let expected = expected.max(EXPECTED_MIN);
    let gain = if count > 0.0 { count * (count / expected).ln() } else { 0.0 };
    let deviance = (2.0 * (gain - (count - expected))).max(0.0);
    deviance.sqrt().copysign(count - expected) / dispersion.sqrt()
}
