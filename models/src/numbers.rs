//! What tests are fed with.
use crate::stir::stir;

/// Numbers that look random and are the same each time (SplitMix64, <https://prng.di.unimi.it/splitmix64.c>).
pub struct Numbers(pub u64);

impl Numbers {
    /// From 0 to 1.
    pub fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        (stir(self.0) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Of deviation 1, by Box and Muller.
    pub fn gaussian(&mut self) -> f64 {
        let radius = (-2.0 * libm::log(1.0 - self.uniform())).sqrt();
        radius * libm::cos(core::f64::consts::TAU * self.uniform())
    }

    /// Of a Poisson distribution, by Knuth's product of uniform numbers.
    pub fn poisson(&mut self, mean: f64) -> f64 {
        let (mut count, mut product) = (0.0, self.uniform());
        while product > libm::exp(-mean) {
            (count, product) = (count + 1.0, product * self.uniform());
        }
        count
    }

    /// Of mean 0 and deviation 1, nearly normal.
    pub fn near(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}
