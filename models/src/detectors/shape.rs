//! Whether a *shape* was never seen: the left matrix profile of the latest samples, for the few series that are worth it.
//!
//! `d = √(2m·(1 − max ρ))` is the z-normalised distance of the newest `m = 64` samples to the nearest earlier ones (DAMP: Lu et al., "Matrix profile XXIV", KDD 2022), `ρ` their
//! correlation at each lag from 64 to 4,031. No transform is needed, since at a lag a dot product is a moving sum (STOMPI: Yeh et al., "Matrix profile I", ICDM 2016):
//!
//! ```text
//! q_k += x_n·x_(n−k) − x_(n−m)·x_(n−m−k)        ρ_k = (q_k/m − μ_n·μ_(n−k)) / (σ_n·σ_(n−k))
//! ```
//!
//! Each 256 samples values are centred and the sums made anew, so that nothing of rounding or of huge values remains. `d` is held against its *record*, the largest
//! of those blocks, which fades by a hundredth each: the score is 0.5 at 1.3 times the record, and one event is told once. It says nothing before
//! 6,144 samples, and keeps 64 KiB.
use super::Score;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// Samples of a shape.
const SHAPE: usize = 64;
/// Samples that are remembered.
const WINDOW: usize = 4_096;
/// Where earlier shapes end, oldest first: they are whole, and don't overlap the newest.
const EARLIER: std::ops::Range<usize> = SHAPE..WINDOW - SHAPE;
const BLOCK: u32 = 256;
/// Blocks of distances before it says anything.
const BLOCKS: u32 = 8;
/// What is left of the record after a block, by how much it grows in one, and what it is at least: the distance at a correlation of 0.98.
const KEPT: f32 = 0.99;
const GROWS: f32 = 1.5;
const LEAST: f32 = 1.6;
/// The excess over the record that scores 0.5.
const HALF: f64 = 0.3;
const SPEAKS: Score = Score(500);
/// A shape with less than this share of the window's deviation is flat.
const FLAT: f32 = 0.01;
/// Larger values are taken for it, so that no sum of products overflows.
const VALUE_MAX: f64 = 1e17;

/// What is remembered of a series: 64 KiB.
///
/// ```
/// use quell_models::detectors::{Score, Shape};
///
/// // A beat each 30 samples, of which one fails to come.
/// let beat = |n: usize| if n % 30 < 3 && n / 30 != 300 { 50.0 } else { (n * 7 % 11) as f64 / 10.0 };
/// let mut shape = Shape::default();
/// let told: Vec<usize> = (0..9_500).filter(|n| shape.take(beat(*n)) >= Score(500)).collect();
/// assert!(told.len() == 1 && (9_000..9_030).contains(&told[0]), "{told:?}");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    /// Oldest first: values less `origin`, mean and 1 / deviation of the shape that ends there (0 where it is flat), and its dot product with the newest.
    #[serde(deserialize_with = "window")]
    values: Vec<f32>,
    #[serde(deserialize_with = "window")]
    means: Vec<f32>,
    #[serde(deserialize_with = "window")]
    scales: Vec<f32>,
    #[serde(deserialize_with = "window")]
    products: Vec<f32>,
    origin: f64,
    /// A deviation up to here is flat.
    flat: f32,
    n: u32,
    record: f32,
    /// The largest distance of this block, and its samples.
    most: f32,
    block: u32,
    /// Samples until it may say something again.
    told: u32,
}

/// As many as are remembered.
fn window<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f32>, D::Error> {
    let all = Vec::deserialize(from)?;
    if all.len() == WINDOW {
        Ok(all)
    } else {
        Err(D::Error::invalid_length(all.len(), &"the 4,096 numbers of a shape's window"))
    }
}

impl Default for Shape {
    fn default() -> Self {
        let all = || vec![0.0; WINDOW];
        let (values, means, scales, products) = (all(), all(), all(), all());
        let (origin, flat, record, most, n, block, told) = (0.0, 0.0, 0.0, 0.0, 0, 0, 0);
        Self { values, means, scales, products, origin, flat, n, record, most, block, told }
    }
}

impl Shape {
    /// How new the shape is that ends with this value; what is no number is passed over.
    pub fn take(&mut self, value: f64) -> Score {
        if value.is_nan() {
            return Score::default();
        }
        let value = value.clamp(-VALUE_MAX, VALUE_MAX);
        if self.n == 0 {
            self.origin = value;
        }
        self.n = self.n.saturating_add(1);
        self.push((value - self.origin) as f32);
        let is_whole = self.n as usize > WINDOW;
        let score = if is_whole { self.judge() } else { Score::default() };
        self.block = self.block.saturating_add(1);
        if self.block >= BLOCK {
            self.end_block(is_whole);
        }
        score
    }

    fn push(&mut self, x: f32) {
        let left = self.values[WINDOW - SHAPE];
        for all in [&mut self.values, &mut self.means, &mut self.scales] {
            all.copy_within(1.., 0);
        }
        self.values[WINDOW - 1] = x;
        let (new, old) = (&self.values[EARLIER], &self.values[EARLIER.start - SHAPE..]);
        for ((product, new), old) in self.products[EARLIER].iter_mut().zip(new).zip(old) {
            *product += x * new - left * old;
        }
        let shape = &self.values[WINDOW - SHAPE..];
        let mean = shape.iter().sum::<f32>() / SHAPE as f32;
        let deviation = deviation(shape, mean);
        self.means[WINDOW - 1] = mean;
        self.scales[WINDOW - 1] = if deviation > self.flat.max(1e-12) { 1.0 / deviation } else { 0.0 };
    }

    /// The distance to the nearest earlier shape.
    fn nearest(&self) -> f32 {
        let (mean, scale) = (self.means[WINDOW - 1], self.scales[WINDOW - 1]);
        let earlier = &self.scales[EARLIER];
        if scale == 0.0 && earlier.contains(&0.0) {
            return 0.0;
        }
        let of_earlier = self.products[EARLIER].iter().zip(&self.means[EARLIER]).zip(earlier);
        let closeness = of_earlier.map(|((product, other), scale)| (product / SHAPE as f32 - mean * other) * scale);
        let most = closeness.fold(0.0, |most: f32, one| if one > most { one } else { most });
        (2.0 * SHAPE as f32 * (1.0 - scale * most).max(0.0)).sqrt()
    }

    fn judge(&mut self) -> Score {
        let distance = self.nearest();
        self.most = self.most.max(distance);
        self.told = self.told.saturating_sub(1);
        if self.told > 0 || (self.n as usize) < WINDOW + (BLOCKS * BLOCK) as usize {
            return Score::default();
        }
        let score = Score::of(f64::from(distance / self.record.max(LEAST) - 1.0).max(0.0), HALF);
        self.told = if score >= SPEAKS { BLOCK } else { 0 };
        score
    }

    fn end_block(&mut self, is_whole: bool) {
        if is_whole {
            let most = if self.record > 0.0 { self.most.min(GROWS * self.record.max(LEAST)) } else { self.most };
            self.record = (KEPT * self.record).max(most);
        }
        (self.block, self.most) = (0, 0.0);
        // Those before the first are not there yet.
        let seen = &mut self.values[WINDOW.saturating_sub(self.n as usize)..];
        let mean = seen.iter().sum::<f32>() / seen.len() as f32;
        seen.iter_mut().for_each(|value| *value -= mean);
        self.flat = FLAT * deviation(seen, 0.0);
        self.means.iter_mut().for_each(|of_shape| *of_shape -= mean);
        self.origin += f64::from(mean);
        let newest = &self.values[WINDOW - SHAPE..];
        for (end, product) in self.products.iter_mut().enumerate().take(EARLIER.end).skip(EARLIER.start) {
            let other = &self.values[end + 1 - SHAPE..=end];
            *product = newest.iter().zip(other).map(|(x, y)| x * y).sum();
        }
    }
}

fn deviation(values: &[f32], mean: f32) -> f32 {
    let squares: f32 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    (squares / values.len() as f32).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A beat each 30 samples, but for one.
    fn beats(n: usize, missing: usize) -> f64 {
        let noise = (n.wrapping_mul(2_654_435_761) >> 7) % 1_000;
        let beat = if n % 30 < 3 && n / 30 != missing { 50.0 } else { 0.0 };
        1e6 + beat + noise as f64 / 500.0
    }

    #[test]
    fn a_beat_that_does_not_come_is_new_once() {
        let mut shape = Shape::default();
        let scores: Vec<Score> = (0..12_000).map(|n| shape.take(beats(n, 300))).collect();
        let told: Vec<usize> = (0..scores.len()).filter(|n| scores[*n] >= SPEAKS).collect();
        assert!(matches!(told[..], [at] if (9_000..9_030).contains(&at)), "{told:?}");
    }

    #[test]
    fn distances_are_those_of_their_definition() {
        let mut shape = Shape::default();
        let values: Vec<f64> = (0..6_000).map(|n| beats(n, 150) + libm::sin(n as f64 / 100.0)).collect();
        values.iter().for_each(|value| {
            shape.take(*value);
        });
        let standard = |end: usize| {
            let of = &values[end + 1 - SHAPE..=end];
            let mean = of.iter().sum::<f64>() / SHAPE as f64;
            let deviation = (of.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / SHAPE as f64).sqrt();
            of.iter().map(|x| (x - mean) / deviation).collect::<Vec<f64>>()
        };
        let newest = standard(values.len() - 1);
        let distance =
            |end: usize| newest.iter().zip(standard(end)).map(|(x, y)| (x - y) * (x - y)).sum::<f64>().sqrt();
        let first = values.len() - WINDOW;
        let nearest = EARLIER.map(|end| distance(first + end)).fold(f64::INFINITY, f64::min);
        assert!((f64::from(shape.nearest()) - nearest).abs() < 0.01, "{} {nearest}", shape.nearest());
    }

    #[test]
    fn it_keeps_64_kib_and_goes_on_from_its_bytes() {
        let mut shape = Shape::default();
        (0..7_000).for_each(|n| {
            shape.take(beats(n, 0));
        });
        let all = [&shape.values, &shape.means, &shape.scales, &shape.products];
        assert!(all.iter().all(|all| all.capacity() == WINDOW), "four windows of four bytes are 64 KiB");
        let bytes = serde_json::to_vec(&shape).expect("numbers");
        let mut again: Shape = serde_json::from_slice(&bytes).expect("as written");
        assert!((7_000..9_000).all(|n| again.take(beats(n, 240)) == shape.take(beats(n, 240))));
    }

    #[test]
    fn altered_bytes_are_refused_or_survived() {
        let mut shape = Shape::default();
        (0..300).for_each(|n| {
            shape.take(beats(n, 0));
        });
        let kept = serde_json::to_value(&shape).expect("numbers");
        for field in ["values", "means", "scales", "products"] {
            for length in [0, WINDOW - 1, WINDOW + 1] {
                let mut altered = kept.clone();
                altered[field] = vec![0.0; length].into();
                let error = serde_json::from_value::<Shape>(altered).expect_err(field).to_string();
                assert!(error.contains("4,096"), "{error}");
            }
        }
        for (field, number) in [("block", u32::MAX), ("n", 0), ("n", u32::MAX), ("told", u32::MAX)] {
            let mut altered = kept.clone();
            altered[field] = number.into();
            let mut shape: Shape = serde_json::from_value(altered).expect("a number");
            assert!((0..600).all(|n| shape.take(beats(n, 0)) <= Score(1_000)), "{field}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]
        #[test]
        fn any_number_is_taken(values in proptest::collection::vec(proptest::num::f64::ANY, 1..400)) {
            let mut shape = Shape::default();
            for value in values.iter().cycle().take(7_000) {
                prop_assert!(shape.take(*value) <= Score(1_000));
            }
            prop_assert!(shape.record.is_finite() && shape.values.iter().all(|value| value.is_finite()));
        }
    }
}
