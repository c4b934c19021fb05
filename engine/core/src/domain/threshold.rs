//! Figures that a measured value is held against: values, or what was learned of the series; at all times, or by day and hour.
use super::{schedule::Schedule, time::Timestamp};
use quell_models::distribution::{Distribution, Summary};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Which side of a figure is the bad one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    #[default]
    Above,
    Below,
    /// Either side of what was learned; adaptive figures only.
    Both,
}

/// What a figure is a number of, where it is no value: each is learned of the series itself, and goes on being learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Adaptive {
    /// Deviations from what is usual at that hour, as the detector of anomalies has them.
    Usual,
    /// Standard deviations from the mean.
    Stddev,
    /// Median absolute deviations, scaled to be standard ones of what is normally distributed, from the median.
    Mad,
    /// The share of all values that are milder, below 1.
    Quantile,
    /// Ranges (from the value that a thousandth lies below to the one that a thousandth lies above) from the milder end.
    Range,
    /// Hundredths of the mean, from the mean.
    Percentage,
}

impl Adaptive {
    /// It goes by the distribution of the values.
    pub const fn is_of_distribution(self) -> bool {
        !matches!(self, Self::Usual)
    }
}

/// How many bands there are at most.
pub const BANDS: usize = 5;

/// Bands of values, the mildest first; 0 is beside all of them, `n` the nth.
#[derive(Clone, Debug, PartialEq)]
pub struct Bands {
    pub direction: Direction,
    /// `None`: figures are values.
    pub adaptive: Option<Adaptive>,
    /// Where each band begins.
    pub figures: [Option<f64>; BANDS],
    /// A band is left where the value has come back by this share of its figure: of a quantile `q` where more than `(1 − q)^(1 − margin)` of
    /// all values are as far out, of ranges within the range at the latest.
    pub margin: f64,
    /// So many samples in a row have to lie in a worse band.
    pub samples: u16,
}

/// Bands while a schedule is open.
#[derive(Clone, Debug, PartialEq)]
pub struct During {
    pub name: Arc<str>,
    pub schedule: Schedule,
    pub bands: Bands,
}

/// The margin where none is written.
pub const fn default_margin() -> f64 {
    0.05
}

/// The samples where none are written.
pub const fn default_samples() -> u16 {
    1
}

/// Time policies of one threshold.
pub const DURING_MAX: usize = 16;

/// Makes a struct of figures as people write them, under names of their own.
macro_rules! figures {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $field:ident: $type:ty,)* } $mildest:ident $($level:ident)*) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$of])* pub $field: $type,)*
            #[serde(default)]
            pub direction: $crate::domain::threshold::Direction,
            /// Without it, figures are values.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub adaptive: Option<$crate::domain::threshold::Adaptive>,
            /// Where the mildest band begins,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub $mildest: Option<f64>,
            $(/// and a worse one.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub $level: Option<f64>,)*
            /// A band is left where the value has come back by this share of its figure.
            #[serde(default = "crate::domain::threshold::default_margin")]
            pub margin: f64,
            /// So many samples in a row have to be worse.
            #[serde(default = "crate::domain::threshold::default_samples")]
            pub samples: u16,
        }

        impl $name {
            /// As bands.
            pub const fn bands(&self) -> $crate::domain::threshold::Bands {
                $crate::domain::threshold::Bands {
                    direction: self.direction,
                    adaptive: self.adaptive,
                    figures: [self.$mildest, $(self.$level),*],
                    margin: self.margin,
                    samples: self.samples,
                }
            }
        }
    };
}
pub(crate) use figures;

/// The time policy that holds: the first that is open, if one is.
pub fn holding<T>(during: &[T], schedule: impl Fn(&T) -> &Schedule, at: Timestamp) -> Option<&T> {
    during.iter().find(|one| schedule(one).covering(at).is_some())
}

/// Whether time policies go together.
///
/// # Errors
/// Which do not, for people.
pub fn validate_during(during: &[During]) -> Result<(), String> {
    if during.len() > DURING_MAX {
        return Err(format!("during: {} of them, at most {DURING_MAX}", during.len()));
    }
    for (n, one) in during.iter().enumerate() {
        let name = &one.name;
        if name.is_empty() || during[..n].iter().any(|other| other.name == *name) {
            return Err(format!("during[{n}]: `{name}` is no name of its own"));
        }
        // A policy without figures says nothing while it holds.
        if one.bands.figures.iter().any(Option::is_some) {
            one.bands.validate().map_err(|reason| format!("during `{name}`: {reason}"))?;
        }
    }
    Ok(())
}

/// In which band a series is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub band: u8,
    /// Samples in a row that lay in a worse one.
    streak: u16,
}

/// What was learned of a series, as far as it was.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// How far a sample is off the usual.
    pub deviations: Option<f64>,
    pub values: Option<&'a Distribution>,
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
        if self.adaptive.is_some() && figures.iter().any(|f| *f <= 0.0) {
            return Err("adaptive figures are above 0");
        }
        if self.adaptive == Some(Adaptive::Quantile) && figures.iter().any(|f| *f >= 1.0) {
            return Err("quantiles are below 1: 0.99 is what 99 % of all values are milder than");
        }
        if self.adaptive.is_none() && self.direction == Direction::Both {
            return Err("direction `both` needs adaptive figures");
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

    /// Where a series is after a sample. While what the figures are numbers of is not known it is beside all bands.
    pub fn place(&self, value: f64, known: Known<'_>, before: Place) -> Place {
        let Some(x) = self.measure(value, known) else { return Place::default() };
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

    /// The worst band that a value lies in, wherever the series is now; `None` while that can't be told.
    pub fn reached(&self, value: f64, known: Known<'_>) -> Option<u8> {
        Some(self.worst(self.measure(value, known)?, 0.0, BANDS as u8))
    }

    /// Larger is worse.
    fn measure(&self, value: f64, known: Known<'_>) -> Option<f64> {
        let Some(adaptive) = self.adaptive else { return Some(self.sign() * value) };
        let above = match adaptive {
            Adaptive::Usual => known.deviations?,
            _ => off(adaptive, value, known.values?),
        };
        let below = match adaptive {
            Adaptive::Quantile => known.values?.share_above(value),
            Adaptive::Range => {
                let s = known.values?.summary();
                (s.high - value) / range(s)
            }
            _ => -above,
        };
        Some(match self.direction {
            Direction::Above => above,
            Direction::Below => below,
            Direction::Both => above.max(below),
        })
    }

    /// The worst band up to `most` that `x` lies in, each begun earlier by the margin.
    fn worst(&self, x: f64, margin: f64, most: u8) -> u8 {
        let lies_in = |(_, figure): &(u8, Option<f64>)| figure.is_some_and(|f| x >= self.begins(f, margin));
        (1..).zip(self.figures).take(usize::from(most)).filter(lies_in).map(|(band, _)| band).last().unwrap_or(0)
    }

    /// Where a band begins, as [measured](Self::measure); by a margin, where one that holds ends.
    fn begins(&self, figure: f64, margin: f64) -> f64 {
        let earlier = self.sign() * figure - margin * figure.abs();
        match self.adaptive {
            // By its share of ln(1 − figure): of the milder ones it would be many times what lies beyond.
            Some(Adaptive::Quantile) if margin > 0.0 => 1.0 - libm::pow(1.0 - figure, 1.0 - margin),
            // What lies within the range is beside it: each end is one range from the other.
            Some(Adaptive::Range) if figure >= 1.0 => earlier.max(1.0_f64.next_up()),
            _ => earlier,
        }
    }

    const fn sign(&self) -> f64 {
        match self.direction {
            Direction::Below if self.adaptive.is_none() => -1.0,
            Direction::Below | Direction::Above | Direction::Both => 1.0,
        }
    }

    /// The figure of a band, for people: `above 95`, `above 80.2: 3 standard deviations from the mean, 41`.
    pub fn words(&self, band: u8, value: f64, known: Known<'_>) -> String {
        let figure = usize::from(band).checked_sub(1).and_then(|n| self.figures.get(n).copied().flatten());
        let figure = figure.unwrap_or_default();
        let number = Number(figure);
        let Some(adaptive) = self.adaptive else {
            let side = if self.direction == Direction::Below { "below" } else { "above" };
            return format!("{side} {number}");
        };
        let (of, from) = match (adaptive, known.values.map(Distribution::summary)) {
            (Adaptive::Usual, _) | (_, None) => return format!("{number} deviations {} its level", self.side("from")),
            (Adaptive::Stddev, Some(s)) => (format!("{number} standard deviations from the mean"), s.mean),
            (Adaptive::Mad, Some(s)) => (format!("{number} median deviations from the median"), s.median),
            (Adaptive::Percentage, Some(s)) => (format!("{number} % from the mean"), s.mean),
            (Adaptive::Quantile, Some(s)) => {
                (format!("beyond {} % of its values, median", Number(100.0 * figure)), s.median)
            }
            (Adaptive::Range, Some(s)) => {
                let is_below = self.is_below(value, s.median);
                (format!("{number} of its range, which begins at"), if is_below { s.high } else { s.low })
            }
        };
        let Some(values) = known.values else { return of };
        let is_below = self.is_below(value, values.summary().median);
        let begins = Number(begins_at(adaptive, figure, is_below, values));
        format!("{} {begins}: {of} {}", if is_below { "below" } else { "above" }, Number(from))
    }

    fn side(&self, both: &'static str) -> &'static str {
        match self.direction {
            Direction::Above => "above",
            Direction::Below => "below",
            Direction::Both => both,
        }
    }

    /// Which side a value is on.
    fn is_below(&self, value: f64, level: f64) -> bool {
        match self.direction {
            Direction::Above => false,
            Direction::Below => true,
            Direction::Both => value < level,
        }
    }
}

/// How far up a value is, in what figures of the kind are numbers of.
fn off(adaptive: Adaptive, value: f64, values: &Distribution) -> f64 {
    let s = values.summary();
    match adaptive {
        Adaptive::Usual | Adaptive::Stddev => (value - s.mean) / s.standard_deviation,
        Adaptive::Mad => (value - s.median) / s.median_deviation,
        Adaptive::Percentage => 100.0 * (value - s.mean) / s.mean.abs().max(f64::MIN_POSITIVE),
        Adaptive::Quantile => values.share_below(value),
        Adaptive::Range => (value - s.low) / range(s),
    }
}

/// The value at which a figure is reached.
fn begins_at(adaptive: Adaptive, figure: f64, is_below: bool, values: &Distribution) -> f64 {
    let s = values.summary();
    let up = if is_below { -figure } else { figure };
    match adaptive {
        Adaptive::Usual | Adaptive::Stddev => s.mean + up * s.standard_deviation,
        Adaptive::Mad => s.median + up * s.median_deviation,
        Adaptive::Percentage => s.mean + up / 100.0 * s.mean.abs(),
        Adaptive::Quantile => values.quantile(if is_below { 1.0 - figure } else { figure }),
        Adaptive::Range => (if is_below { s.high } else { s.low }) + up * range(s),
    }
}

/// How wide a range is: where nearly all is one value, a standard deviation.
fn range(of: &Summary) -> f64 {
    (of.high - of.low).max(of.standard_deviation)
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

    fn bands(direction: Direction, adaptive: Option<Adaptive>, figures: [Option<f64>; BANDS]) -> Bands {
        Bands { direction, adaptive, figures, margin: 0.05, samples: 1 }
    }

    fn walk(bands: &Bands, values: &[f64]) -> Vec<u8> {
        let mut place = Place::default();
        let one = |value: &f64| {
            place = bands.place(*value, Known { deviations: Some(*value), values: None }, place);
            place.band
        };
        values.iter().map(one).collect()
    }

    /// From 0 to 100, evenly.
    fn evenly() -> Distribution {
        let mut values = Distribution::default();
        (0..1_616).for_each(|n| values.take(n, (n * 37 % 101) as f64, 1e15));
        values
    }

    #[test]
    fn a_band_is_left_by_a_margin() {
        let above = bands(Direction::Above, None, [None, Some(80.0), None, None, Some(100.0)]);
        assert_eq!(walk(&above, &[79.9, 80.0, 100.0, 96.0, 94.9, 77.0, 75.9, 79.0]), [0, 2, 5, 5, 2, 2, 0, 0]);
        let below = bands(Direction::Below, None, [None, Some(20.0), None, None, Some(10.0)]);
        assert_eq!(walk(&below, &[21.0, 20.0, 9.0, 10.4, 10.6, 20.9, 21.1]), [0, 2, 5, 5, 2, 2, 0]);
        let negative = bands(Direction::Above, None, [None, Some(-10.0), None, None, None]);
        assert_eq!(walk(&negative, &[-11.0, -10.0, -10.4, -10.6]), [0, 2, 2, 0]);
    }

    /// The bands of a series, of which one of these figures begins the second.
    fn learned(values: &Distribution, of: &Bands, samples: &[f64]) -> Vec<u8> {
        let known = Known { deviations: None, values: Some(values) };
        let mut place = Place::default();
        let one = |value: &f64| {
            place = of.place(*value, known, place);
            place.band
        };
        samples.iter().map(one).collect()
    }

    #[test]
    fn what_lies_within_the_range_ends_what_lay_beyond() {
        let range = |direction| bands(direction, Some(Adaptive::Range), [None, Some(1.02), None, None, None]);
        let mut mostly_none = Distribution::default();
        (0..1_600).for_each(|n| mostly_none.take(n, f64::from(u8::from(n % 50 == 0)), 1e15));
        assert_eq!(learned(&mostly_none, &range(Direction::Both), &[0.0, 3.0, 0.0, -1.0, 1.0]), [0, 2, 0, 2, 0]);
        let beyond = bands(Direction::Both, Some(Adaptive::Range), [None, Some(1.0), None, None, None]);
        assert_eq!(learned(&mostly_none, &beyond, &[0.0, 1.0, 1.01, -0.01, 0.0]), [0, 0, 2, 2, 0]);
        let (above, below) = (range(Direction::Above), range(Direction::Below));
        assert_eq!(learned(&evenly(), &above, &[100.0, 102.1, 100.5, 100.0]), [0, 2, 2, 0]);
        assert_eq!(learned(&evenly(), &below, &[0.0, -2.1, -0.5, 0.0]), [0, 2, 2, 0]);
        // One that stands still has a range of a thousandth, to both sides.
        let mut still = Distribution::default();
        (0..64).for_each(|n| still.take(n, 40.0, 1e15));
        let sides = [40.0, 40.03, 39.97, 40.05, 40.0, 39.95];
        assert_eq!(learned(&still, &range(Direction::Both), &sides), [0, 0, 0, 2, 0, 2]);
    }

    #[test]
    fn a_quantile_is_left_by_what_lies_beyond() {
        let values = evenly();
        let of = |direction, margin| Bands {
            margin,
            ..bands(direction, Some(Adaptive::Quantile), [None, Some(0.95), None, None, None])
        };
        // 0.05 to the power of 0.95 is 0.058: 94 of a hundred are milder; of 0.5 it is 0.224.
        assert_eq!(learned(&values, &of(Direction::Above, 0.05), &[94.0, 99.0, 92.0]), [0, 2, 0]);
        assert_eq!(learned(&values, &of(Direction::Both, 0.05), &[94.0, 99.0, 92.0, 1.0, 8.0]), [0, 2, 0, 2, 0]);
        assert_eq!(learned(&values, &of(Direction::Below, 0.5), &[10.0, 1.0, 20.0, 25.0]), [0, 2, 2, 0]);
        assert_eq!(learned(&values, &of(Direction::Above, 0.0), &[99.0, 94.0]), [2, 0]);
    }

    #[test]
    fn so_many_samples_in_a_row() {
        let above = Bands { samples: 3, ..bands(Direction::Above, None, [Some(1.0), Some(2.0), None, None, None]) };
        assert_eq!(walk(&above, &[1.0, 1.0, 0.0, 1.0, 1.0, 2.0, 2.0, 0.0]), [0, 0, 0, 0, 0, 2, 2, 0]);
    }

    #[test]
    fn adaptive_figures_are_deviations() {
        let either = bands(Direction::Both, Some(Adaptive::Usual), [None, Some(4.0), None, None, None]);
        assert_eq!(walk(&either, &[3.9, -4.0, 4.5, 0.0]), [0, 2, 2, 0]);
        let below = bands(Direction::Below, Some(Adaptive::Usual), [None, Some(4.0), None, None, None]);
        assert_eq!(walk(&below, &[5.0, -4.0, 0.0]), [0, 2, 0]);
        assert_eq!(below.place(-9.0, Known::default(), Place::default()).band, 0, "nothing is learned yet");
    }

    #[test]
    fn each_kind_begins_where_its_formula_says() {
        let values = evenly();
        let known = Known { deviations: None, values: Some(&values) };
        for (adaptive, figure, above, below, words) in [
            (Adaptive::Stddev, 1.5, 93.7, 6.3, "above 93.56: 1.5 standard deviations from the mean 50"),
            (Adaptive::Mad, 1.2, 94.5, 5.5, "above 93.23: 1.2 median deviations from the median 50"),
            (Adaptive::Quantile, 0.95, 95.0, 5.0, "above 95.28: beyond 95 % of its values, median 50"),
            (Adaptive::Range, 1.1, 110.0, -10.0, "above 110: 1.1 of its range, which begins at 0"),
            (Adaptive::Percentage, 40.0, 70.0, 30.0, "above 70: 40 % from the mean 50"),
        ] {
            for (direction, begins, further) in [(Direction::Above, above, 1.5), (Direction::Below, below, -1.5)] {
                for direction in [direction, Direction::Both] {
                    let bands = bands(direction, Some(adaptive), [None, Some(figure), None, None, None]);
                    let band = |value| bands.place(value, known, Place::default()).band;
                    let at = (band(begins - further), band(begins + further), band(50.0));
                    assert_eq!(at, (0, 2, 0), "{adaptive:?} {direction:?} at {begins}");
                }
            }
            let one_side = bands(Direction::Above, Some(adaptive), [None, Some(figure), None, None, None]);
            assert_eq!(one_side.words(2, 200.0, known), words);
        }
        let both = bands(Direction::Both, Some(Adaptive::Percentage), [Some(40.0), None, None, None, None]);
        assert_eq!(both.words(1, 20.0, known), "below 30: 40 % from the mean 50");
    }

    #[test]
    fn of_time_policies_the_first_that_is_open_holds() {
        let policy = |name: &str, schedule: &str| During {
            name: name.into(),
            schedule: serde_json::from_str(schedule).expect(schedule),
            bands: bands(Direction::Above, None, [Some(1.0), None, None, None, None]),
        };
        let during = [
            policy("holidays", r#"{"timezone": "UTC", "days": ["12-25", "2026-04-03"], "times": ["00:00-24:00"]}"#),
            policy("nights", r#"{"timezone": "UTC", "times": ["22:00-06:00"]}"#),
        ];
        let name = |at: &str| {
            let at = Timestamp(at.parse::<jiff::Timestamp>().expect(at).as_millisecond());
            holding(&during, |one| &one.schedule, at).map_or("", |one| &*one.name)
        };
        let found = ["2026-12-25T23:00:00Z", "2027-12-25T12:00:00Z", "2026-04-03T12:00:00Z", "2026-04-04T05:00:00Z"];
        assert_eq!(found.map(name), ["holidays", "holidays", "holidays", "nights"]);
        assert_eq!(["2027-04-03T12:00:00Z", "2026-12-26T12:00:00Z"].map(name), ["", ""]);
        assert_eq!(validate_during(&during), Ok(()));
        let twice = [during[0].clone(), during[0].clone()];
        assert_eq!(validate_during(&twice), Err("during[1]: `holidays` is no name of its own".to_owned()));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let none = [None; BANDS];
        let two = |a, b| [None, Some(a), None, Some(b), None];
        for (wrong, direction, adaptive, figures) in [
            ("no figure", Direction::Above, None, none),
            ("finite", Direction::Above, None, two(1.0, f64::NAN)),
            ("further out", Direction::Above, None, two(2.0, 1.0)),
            ("further out", Direction::Below, None, two(1.0, 2.0)),
            ("above 0", Direction::Below, Some(Adaptive::Mad), two(-1.0, 2.0)),
            ("below 1", Direction::Below, Some(Adaptive::Quantile), two(0.9, 1.0)),
            ("adaptive", Direction::Both, None, two(1.0, 2.0)),
        ] {
            let found = bands(direction, adaptive, figures).validate().unwrap_err();
            assert!(found.contains(wrong), "{found}, not {wrong}");
        }
        assert_eq!(bands(Direction::Below, Some(Adaptive::Usual), two(1.0, 2.0)).validate(), Ok(()));
    }

    #[test]
    fn numbers_are_short() {
        let found = [812.0, 812.34, 0.023_14, 99.999, -1.5, 0.0, 1.234_567e12, 12_345.6].map(|x| Number(x).to_string());
        assert_eq!(found, ["812", "812.3", "0.0231", "100", "-1.5", "0", "1.235e12", "12346"]);
    }
}
