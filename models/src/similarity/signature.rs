//! Minwise hashes of a set.
use crate::stir::stir;
use serde::{Deserialize, Serialize};

/// Places of a signature.
pub const LENGTH: usize = 128;

/// What stands for a set of tokens; 256 bytes. That of the empty set is like itself alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature(Box<[u16]>);

impl Signature {
    /// Of a set of hashes that are spread over all 64 bits; in any order, what comes again counts once.
    ///
    /// Each token draws a permutation of the places (Fisher and Yates, a swap at a time) and for its place in step `j` a value in
    /// [j, j + 1). The least value of each place stays; a token is done with where its values can only be larger than all that stand.
    pub fn of(tokens: impl IntoIterator<Item = u64>) -> Self {
        // A value is the step in the upper half, what was drawn in the lower.
        let mut least = [u64::MAX; LENGTH];
        // How many places have a least value of which step; of those without one it is the last.
        let mut of_step = [0_u8; LENGTH];
        of_step[LENGTH - 1] = LENGTH as u8;
        let mut last = LENGTH - 1;
        let mut places = [0_u8; LENGTH];
        for token in tokens {
            for (place, now) in places.iter_mut().enumerate() {
                *now = place as u8;
            }
            let mut state = token;
            let mut step = 0;
            while step <= last {
                // SplitMix64 (Steele, Lea, Flood, 2014).
                state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
                let drawn = stir(state);
                let other = step + (((drawn >> 32) * (LENGTH - step) as u64) >> 32) as usize;
                places.swap(step, other);
                let here = &mut least[usize::from(places[step])];
                let value = (step as u64) << 32 | (drawn & 0xFFFF_FFFF);
                if value < *here {
                    let before = ((*here >> 32) as usize).min(LENGTH - 1);
                    *here = value;
                    of_step[before] -= 1;
                    of_step[step] += 1;
                    while of_step[last] == 0 {
                        last -= 1;
                    }
                }
                step += 1;
            }
        }
        Self(least.iter().map(|value| *value as u16).collect())
    }

    /// An estimate of the Jaccard index of the two sets, in 0..=1, a multiple of 1 / [`LENGTH`].
    pub fn similarity(&self, other: &Self) -> f64 {
        f64::from(self.agreeing(other)) / LENGTH as f64
    }

    /// In how many places they agree.
    pub(super) fn agreeing(&self, other: &Self) -> u32 {
        self.0.iter().zip(&other.0).map(|(a, b)| u32::from(a == b)).sum()
    }

    /// Keys of bands of `rows` places each.
    pub(super) fn bands(&self, rows: usize) -> impl Iterator<Item = u64> {
        let key = |(band, places): (usize, &[u16])| {
            places.iter().fold(band as u64, |key, at| stir(key << 16 ^ u64::from(*at)))
        };
        self.0.chunks_exact(rows.max(1)).enumerate().map(key)
    }
}
