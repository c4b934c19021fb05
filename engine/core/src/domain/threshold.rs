//! Figures that a measured value is held against.
use serde::{Deserialize, Serialize};

/// Which side of a figure is the bad one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    #[default]
    Above,
    Below,
    /// Either side of the learned level; adaptive figures only.
    Both,
}

/// How many bands there are at most.
pub const BANDS: usize = 5;

/// Bands of values, the mildest first; 0 is beside all of them, `n` the nth.
#[derive(Clone, Debug, PartialEq)]
pub struct Bands {
    pub direction: Direction,
    /// Figures are spreads from the learned level, not values.
    pub adaptive: bool,
    /// Where each band begins.
    pub figures: [Option<f64>; BANDS],
    /// A band is left where the value has come back by this share of its figure.
    pub margin: f64,
    /// So many samples in a row have to lie in a worse band.
    pub samples: u16,
}

/// The margin where none is written.
pub const fn default_margin() -> f64 {
    0.05
}

/// The samples where none are written.
pub const fn default_samples() -> u16 {
    1
}

/// In which band a series is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub band: u8,
    /// Samples in a row that lay in a worse one.
    streak: u16,
}

impl Bands {
    /// Whether the figures go together.
    ///
    /// # Errors
    /// Which do not, for people.
    pub fn validate(&self) -> Result<(), &'static str> {
        let figures: Vec<f64> = self.figures.into_iter().flatten().collect();
        if figures.is_empty() {
            return Err("no figure is given");
        }
        if figures.iter().any(|f| !f.is_finite()) {
            return Err("a figure is no finite number");
        }
        if self.adaptive && figures.iter().any(|f| *f <= 0.0) {
            return Err("adaptive figures are numbers of spreads, above 0");
        }
        if !self.adaptive && self.direction == Direction::Both {
            return Err("direction `both` needs `adaptive = true`");
        }
        let signs = figures.windows(2).map(|pair| self.sign() * (pair[1] - pair[0]));
        if signs.into_iter().any(|further| further <= 0.0) {
            return Err("a worse figure has to be further out than a milder one");
        }
        if !(0.0..=1.0).contains(&self.margin) {
            return Err("the margin is from 0 to 1");
        }
        if self.samples == 0 {
            return Err("at least 1 sample");
        }
        Ok(())
    }

    /// Where a series is after a sample: of `value`, or, where the figures are adaptive, so many spreads from its level
    /// (`None` while that is learned: then it stays where it is beside all bands).
    pub fn place(&self, value: f64, deviations: Option<f64>, before: Place) -> Place {
        let Some(x) = self.measure(value, deviations) else { return Place::default() };
        let reached = self.worst(x, 0.0, BANDS as u8);
        if reached > before.band {
            let streak = before.streak.saturating_add(1);
            return if streak >= self.samples {
                Place { band: reached, streak: 0 }
            } else {
                Place { band: before.band, streak }
            };
        }
        Place { band: self.worst(x, self.margin, before.band), streak: 0 }
    }

    /// Larger is worse.
    fn measure(&self, value: f64, deviations: Option<f64>) -> Option<f64> {
        let x = if self.adaptive { deviations? } else { value };
        Some(match self.direction {
            Direction::Above => x,
            Direction::Below => -x,
            Direction::Both => x.abs(),
        })
    }

    /// The worst band up to `most` that `x` lies in, each begun earlier by the margin.
    fn worst(&self, x: f64, margin: f64, most: u8) -> u8 {
        let begins = |figure: f64| if self.adaptive { figure } else { self.sign() * figure };
        let lies_in = |(_, figure): &(u8, Option<f64>)| figure.is_some_and(|f| x >= begins(f) - margin * f.abs());
        (1..).zip(self.figures).take(usize::from(most)).filter(lies_in).map(|(band, _)| band).last().unwrap_or(0)
    }

    const fn sign(&self) -> f64 {
        match self.direction {
            Direction::Below if !self.adaptive => -1.0,
            Direction::Below | Direction::Above | Direction::Both => 1.0,
        }
    }

    /// The figure of a band, for people: `above 95`, `4 spreads below its level`.
    pub fn words(&self, band: u8) -> String {
        let figure = usize::from(band).checked_sub(1).and_then(|n| self.figures.get(n).copied().flatten());
        let figure = Number(figure.unwrap_or_default());
        match (self.adaptive, self.direction) {
            (false, Direction::Below) => format!("below {figure}"),
            (false, Direction::Above | Direction::Both) => format!("above {figure}"),
            (true, Direction::Above) => format!("{figure} spreads above its level"),
            (true, Direction::Below) => format!("{figure} spreads below its level"),
            (true, Direction::Both) => format!("{figure} spreads from its level"),
        }
    }
}

/// A number as people read it: about four digits that count, `812`, `0.0231`, `1.235e12`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number(pub f64);

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (x, size) = (self.0, self.0.abs());
        if size == 0.0 || !size.is_finite() {
            return write!(f, "{}", if x == 0.0 { 0.0 } else { x });
        }
        let decimals = match size {
            ..0.0001 | 1e9.. => return write!(f, "{x:.3e}"),
            ..0.01 => 5,
            ..1.0 => 4,
            ..10.0 => 3,
            ..100.0 => 2,
            ..1000.0 => 1,
            _ => 0,
        };
        let text = format!("{x:.decimals$}");
        f.write_str(if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bands(direction: Direction, adaptive: bool, figures: [Option<f64>; BANDS]) -> Bands {
        Bands { direction, adaptive, figures, margin: 0.05, samples: 1 }
    }

    fn walk(bands: &Bands, values: &[f64]) -> Vec<u8> {
        let mut place = Place::default();
        let one = |value: &f64| {
            place = bands.place(*value, Some(*value), place);
            place.band
        };
        values.iter().map(one).collect()
    }

    #[test]
    fn a_band_is_left_by_a_margin() {
        let above = bands(Direction::Above, false, [None, Some(80.0), None, None, Some(100.0)]);
        assert_eq!(walk(&above, &[79.9, 80.0, 100.0, 96.0, 94.9, 77.0, 75.9, 79.0]), [0, 2, 5, 5, 2, 2, 0, 0]);
        let below = bands(Direction::Below, false, [None, Some(20.0), None, None, Some(10.0)]);
        assert_eq!(walk(&below, &[21.0, 20.0, 9.0, 10.4, 10.6, 20.9, 21.1]), [0, 2, 5, 5, 2, 2, 0]);
        let negative = bands(Direction::Above, false, [None, Some(-10.0), None, None, None]);
        assert_eq!(walk(&negative, &[-11.0, -10.0, -10.4, -10.6]), [0, 2, 2, 0]);
    }

    #[test]
    fn so_many_samples_in_a_row() {
        let above = Bands { samples: 3, ..bands(Direction::Above, false, [Some(1.0), Some(2.0), None, None, None]) };
        assert_eq!(walk(&above, &[1.0, 1.0, 0.0, 1.0, 1.0, 2.0, 2.0, 0.0]), [0, 0, 0, 0, 0, 2, 2, 0]);
    }

    #[test]
    fn adaptive_figures_are_spreads() {
        let either = bands(Direction::Both, true, [None, Some(4.0), None, None, None]);
        assert_eq!(walk(&either, &[3.9, -4.0, 4.5, 0.0]), [0, 2, 2, 0]);
        let below = bands(Direction::Below, true, [None, Some(4.0), None, None, None]);
        assert_eq!(walk(&below, &[5.0, -4.0, 0.0]), [0, 2, 0]);
        assert_eq!(below.place(-9.0, None, Place::default()).band, 0, "nothing is learned yet");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let none = [None; BANDS];
        let two = |a, b| [None, Some(a), None, Some(b), None];
        for (wrong, direction, adaptive, figures) in [
            ("no figure", Direction::Above, false, none),
            ("finite", Direction::Above, false, two(1.0, f64::NAN)),
            ("further out", Direction::Above, false, two(2.0, 1.0)),
            ("further out", Direction::Below, false, two(1.0, 2.0)),
            ("above 0", Direction::Below, true, two(-1.0, 2.0)),
            ("adaptive", Direction::Both, false, two(1.0, 2.0)),
        ] {
            let found = bands(direction, adaptive, figures).validate().unwrap_err();
            assert!(found.contains(wrong), "{found}, not {wrong}");
        }
        assert_eq!(bands(Direction::Below, true, two(1.0, 2.0)).validate(), Ok(()));
    }

    #[test]
    fn numbers_are_short() {
        let found = [812.0, 812.34, 0.023_14, 99.999, -1.5, 0.0, 1.234_567e12, 12_345.6].map(|x| Number(x).to_string());
        assert_eq!(found, ["812", "812.3", "0.0231", "100", "-1.5", "0", "1.235e12", "12346"]);
    }
}
