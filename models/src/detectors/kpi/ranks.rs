//! Evidences, each ranked in its own past.
use super::{FAR, LONG, What};
use serde::{Deserialize, Serialize};

/// Bins of a histogram, three an octave, from a quarter of the mean on.
const BINS: usize = 29;
const BINS_AN_OCTAVE: f32 = 3.0;
const OCTAVES_BELOW: f32 = 2.0;
/// A histogram is halved when it has so many.
const COUNTED_MAX: u32 = 65_000;
/// The pseudo count of a rank, and from which multiple of the mean on it falls.
const PSEUDO: f32 = 2.0;
const PSEUDO_TAIL: f32 = 30.0;
/// A lasting departure is news by itself beyond so many times what all but so few of the departures before it were, and beyond so many mean ones.
const BEYOND: f32 = 1.5;
const RARE: f32 = 0.001;
const RECORD_LEAST: f32 = 5.0;
/// What is said of an event is the first evidence, in their order, unless another is so much larger.
const CLEARLY: f32 = 1.2;

/// How large each evidence was so far, in multiples of its mean.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Ranks {
    counted: u32,
    means: [f32; 4],
    histograms: [[u16; BINS]; 4],
}

/// What was found beside what was before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ranked {
    /// The mean of the ranks.
    pub nats: f32,
    /// The largest.
    pub what: What,
    /// How far the departure is beyond all that was; beyond 1 it is news.
    pub beyond: f32,
}

impl Ranks {
    /// The mean distance from the base.
    pub const fn off(&self) -> f32 {
        self.means[1]
    }

    /// The mean of the ranks of what was found, in nats, and the largest. It is counted where it `teaches`: the `n`th sample, `pace` seconds apart.
    pub fn take(&mut self, found: [f32; 4], (n, pace): (f32, f32), teaches: bool) -> Ranked {
        let (long, all) = (LONG.step(n, pace), self.counted as f32);
        let (mut sum, mut most, mut beyond) = (0.0, (0.0, What::Level), 0.0);
        let whats = [What::Jump, What::Level, What::Shift, What::Departure];
        for (n, (f, mean)) in found.into_iter().zip(&mut self.means).enumerate() {
            let multiple = if *mean > 1e-12 { f / *mean } else { 1_000.0 * f32::from(u8::from(f > 1e-12)) };
            if whats[n] == What::Departure && multiple > RECORD_LEAST {
                beyond = multiple / (BEYOND * record(&self.histograms[n], all));
            }
            let nats = rank(&mut self.histograms[n], all, multiple, teaches);
            sum += nats;
            most = if nats > CLEARLY * most.0 { (nats, whats[n]) } else { most };
            if teaches {
                *mean += long * (if *mean > 1e-12 { f.min(FAR * *mean) } else { f } - *mean);
            }
        }
        self.counted += u32::from(teaches);
        if self.counted >= COUNTED_MAX {
            self.histograms.iter_mut().flatten().for_each(|count| *count /= 2);
            self.counted /= 2;
        }
        Ranked { nats: 0.25 * sum, what: most.1, beyond }
    }
}

/// What all but one in a thousand were below, in multiples of the mean.
fn record(histogram: &[u16; BINS], all: f32) -> f32 {
    let (mut beyond, mut bin) = (0.0, BINS);
    while bin > 0 {
        beyond += f32::from(histogram[bin - 1]);
        if beyond > RARE * all {
            break;
        }
        bin -= 1;
    }
    libm::exp2f(bin as f32 / BINS_AN_OCTAVE - OCTAVES_BELOW)
}

/// `-ln` of how often so large a multiple of the mean, or a larger one, was seen; it is counted where it `teaches`.
fn rank(histogram: &mut [u16; BINS], all: f32, multiple: f32, teaches: bool) -> f32 {
    let place = (libm::log2f(multiple.max(1e-9)) + OCTAVES_BELOW) * BINS_AN_OCTAVE;
    let place = place.clamp(0.0, BINS as f32 - 0.001);
    let bin = place as usize;
    let beyond: u32 = histogram[bin + 1..].iter().map(|count| u32::from(*count)).sum();
    let above = beyond as f32 + (1.0 - (place - bin as f32)) * f32::from(histogram[bin]);
    if teaches {
        histogram[bin] += 1;
    }
    let pseudo = PSEUDO * (PSEUDO_TAIL / multiple.max(1e-6)).min(1.0);
    libm::logf((all + PSEUDO) / (above + pseudo)).max(0.0)
}
