//! Made-up series, the same each time.
use super::Numbers;

/// Numbers of several distributions.
pub struct Random(Numbers);

impl Random {
    /// From a seed.
    pub const fn new(seed: u64) -> Self {
        Self(Numbers(seed))
    }

    /// From 0 to 1, neither of them.
    pub fn uniform(&mut self) -> f64 {
        (self.0.below(1 << 30) as f64 + 0.5) / (1_u64 << 30) as f64
    }

    /// Of deviation 1 (Box and Muller).
    pub fn gaussian(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Counts of a small mean (Knuth).
    pub fn poisson(&mut self, mean: f64) -> f64 {
        let (mut count, mut product) = (0.0, self.uniform());
        while product > (-mean).exp() {
            (count, product) = (count + 1.0, product * self.uniform());
        }
        count
    }
}

/// Minutes of a day.
pub const DAY: usize = 1_440;

/// By day one and a half, by night half; on rest days half of that.
pub fn season(minute: usize) -> f64 {
    let of_day = (minute % DAY) as f64 / DAY as f64;
    let rests = (minute / DAY) % 7 >= 5;
    (if rests { 0.5 } else { 1.0 }) * (1.0 + 0.5 * (std::f64::consts::TAU * of_day).sin())
}

/// What has no news, a sample a minute from a Monday on.
pub const STATIONARY: [&str; 9] = [
    "Gaussian",
    "Poisson 2",
    "Poisson 20",
    "AR(1) .9",
    "weekly",
    "weekly, Poisson",
    "weekly, lognormal",
    "weekly, a batch each night",
    "lognormal",
];

/// One of those.
pub fn stationary(kind: &str, seed: u64, samples: usize) -> Vec<f64> {
    let (mut random, mut last) = (Random::new(seed), 0.0);
    let one = |minute| match kind {
        "Gaussian" => 100.0 + 5.0 * random.gaussian(),
        "Poisson 2" => random.poisson(2.0),
        "Poisson 20" => random.poisson(20.0),
        "AR(1) .9" => {
            last = 0.9 * last + random.gaussian();
            50.0 + last
        }
        "weekly" => 100.0 * season(minute) + 5.0 * random.gaussian(),
        "weekly, Poisson" => random.poisson(20.0 * season(minute)),
        "weekly, lognormal" => 100.0 * season(minute) * (0.2 * random.gaussian()).exp(),
        "weekly, a batch each night" => {
            let batch = if (120..130).contains(&(minute % DAY)) { 60.0 } else { 0.0 };
            100.0 * season(minute) + batch + 5.0 * random.gaussian()
        }
        _ => (1.0 + 0.5 * random.gaussian()).exp(),
    };
    (0..samples).map(one).collect()
}

/// What keeps so much of where it is, and moves by noise of deviation 1.
pub fn walk(kept: f64, seed: u64, samples: usize) -> Vec<f64> {
    let (mut random, mut level) = (Random::new(seed), 0.0);
    let one = |_| {
        level = kept * level + random.gaussian();
        level
    };
    (0..samples).map(one).collect()
}
