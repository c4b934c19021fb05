//! When a series that grows reaches a limit.
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Spans that are kept; of at least so many, and as many samples, something is told.
const SPANS: usize = 64;
const SPANS_MIN: usize = 30;
/// How long a span is, in seconds: to begin with, and at most (64 of them are 23 days, and 8 hours).
const SPAN: i64 = 60;
const WEEKS: i64 = 30_720;
const HOURS: i64 = 480;
/// It is told no farther ahead than so many times as long as was seen.
const AHEAD: f64 = 8.0;
/// Midpoints of nine equal parts of the normal distribution, and by how much they are wider as its deviation is an estimate, too.
const NODES: [f64; 9] = [-1.593, -0.967, -0.589, -0.282, 0.0, 0.282, 0.589, 0.967, 1.593];
const WIDER: f64 = 1.6;
/// A slope of fewer of its deviations is none: with 90 % it is above 0. (A walk without one comes to any limit that is near, one day.)
const CLEAR: f64 = 1.28;
/// How many of the latest spans are since a turn, how many are before them at least, and by how many deviations the slopes differ.
const TURN_MIN: usize = 5;
const TURN_MAX: usize = 30;
const TURN_AFTER: usize = 20;
const TURN: f64 = 6.0;
/// Noise comes up to the limit first, by so many of its deviations.
const EARLY: f64 = 0.5;
/// Above this `e^x` overflows before what it is multiplied with makes it small: that is left out, at most .04 of a probability.
const POWER_MAX: f64 = 50.0;
/// What stands alone above all but an eighth of the spans, by so many times what these range over, is a glitch.
const GLITCH: f32 = 4.0;
const ALL_BUT: usize = 8;
/// The base moves to a value that it is so many times as far from as that is from 0.
const TIMES: f64 = 100.0;
/// What is above all before by this share of what that ranges over is new.
const NEW_GROUND: f64 = 0.25;
/// Steps of a bisection.
const HALVINGS: u32 = 30;
/// Before two days were seen, in seconds, a trend can't be told from what comes back every day.
const SEEN_MIN: i64 = 172_800;
const VALUE_MAX: f64 = 1e18;

/// In how many seconds it is full.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Full {
    /// As likely sooner as later.
    pub median: f64,
    /// 80 % lie between these, 10 % beyond either.
    pub low: f64,
    /// See `low`.
    pub high: f64,
}

/// A series' memory of weeks and of hours: the largest value in each of at most 64 spans of time, of either; at most 700 bytes. A limit from below is one
/// of the negated series.
///
/// **Model.** A level that walks with a drift, below noise (local level: Harvey, 1989): `x = l + e`, `l ← l + μ + η`. `μ` is the slope of least squares, with the variance
/// `1.2·σ_η²/n + 12·σ_e²/n³`; `σ_e` and `σ_η` are those of the variogram `E (x(t + k) − x(t) − μk)² = 2σ_e² + σ_η²·k`, so that teeth of a saw, which come back,
/// are noise. Where the series has turned, `μ` is the slope since: of two lines, before and after, those that leave least (Quandt, 1958), if their slopes
/// differ by six of their deviations and it has left the line of before as it never did. The time to the limit is that of a Brownian motion with drift to pass it first (Schrödinger, 1915), averaged over what `μ` may be.
///
/// What comes up once, far above all else, and is gone with its span is no part of it.
///
/// What the hours tell goes before where the weeks tell nothing or leave it open, and where it is higher than it was in the weeks before them, by a
/// quarter of what these range over.
///
/// ```
/// use quell_models::forecast::Capacity;
///
/// // A disk that fills by a tenth each day, from a half.
/// let mut disk = Capacity::default();
/// (0..4 * 1_440).for_each(|minute| disk.take(60 * minute, 50.0 + minute as f64 / 144.0));
/// let full = disk.full(95.0).expect("it grows");
/// assert!((full.median / 86_400.0 - 0.5).abs() < 0.1, "half a day: {full:?}");
/// assert_eq!(disk.full(10_000.0), None, "that is too far away");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Capacity {
    weeks: Spans,
    hours: Spans,
}

/// The largest values of spans of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
struct Spans {
    /// Seconds, and how many they may become.
    span: i64,
    most: i64,
    /// The number of the first span, `seconds / span`.
    first: i64,
    /// Of the latest sample, and how many there were.
    at: i64,
    samples: u32,
    /// Above which the values are kept: the first, or one much nearer to 0.
    base: f64,
    tops: Vec<f32>,
}

impl Serialize for Spans {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, to)
    }
}

impl<'de> Deserialize<'de> for Spans {
    /// Nothing of what is read is sure.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let read = Self::deserialize(from)?;
        let Self { span, most, first, base, tops, .. } = &read;
        if ![span, most].iter().all(|seconds| (SPAN..=WEEKS).contains(*seconds)) {
            return Err(D::Error::custom("a span of a capacity is a minute to 30,720 seconds"));
        }
        if tops.len() > SPANS || !(base.is_finite() && tops.iter().all(|top| top.is_finite())) {
            return Err(D::Error::custom("a capacity is of at most 64 spans, each a number"));
        }
        // None is before the first second there is, or ends after the last.
        if !(i64::MIN / SPAN - 1..=i64::MAX / SPAN).contains(first) {
            return Err(D::Error::custom("a capacity begins within the seconds of 64 bits"));
        }
        Ok(read)
    }
}

/// What a stretch of a series is like, by spans.
struct Walk {
    level: f64,
    slope: f64,
    /// Variances: of the slope, of a step, of the noise, of the level.
    of_slope: f64,
    step: f64,
    noise: f64,
    of_level: f64,
}

impl Default for Capacity {
    fn default() -> Self {
        Self { weeks: Spans::new(WEEKS), hours: Spans::new(HOURS) }
    }
}

impl Capacity {
    /// So many seconds, and so many samples, have to be seen before something is told.
    pub const NEEDS: (i64, u32) = (SEEN_MIN, SPANS_MIN as u32);

    /// How many were.
    pub const fn seen(&self) -> (i64, u32) {
        if self.weeks.samples == 0 { (0, 0) } else { (self.weeks.seen(), self.weeks.samples) }
    }

    /// Learns a sample; one that is older than the memory of it, and what is no number, says nothing.
    pub fn take(&mut self, seconds: i64, value: f64) {
        self.weeks.take(seconds, value);
        self.hours.take(seconds, value);
    }

    /// In how many seconds after the last sample it reaches a limit; `None` where that is not within 8 times as long as was seen, with
    /// 90 %, and in its first two days.
    pub fn full(&self, limit: f64) -> Option<Full> {
        if limit.is_nan() || self.weeks.seen() < SEEN_MIN {
            return None;
        }
        let weeks = self.weeks.full(limit);
        let hours = self.hours.full(limit).filter(|_| self.is_on_new_ground());
        let within = |hours: &Full| weeks.is_none_or(|weeks| weeks.low <= hours.low && hours.high <= weeks.high);
        hours.filter(within).or(weeks)
    }

    /// It is well above all that came before the hours that are remembered: of what comes back each day half grows, too.
    fn is_on_new_ground(&self) -> bool {
        let begin = self.hours.first.saturating_mul(self.hours.span);
        let now = self.hours.clean().last().map(|x| self.hours.base + f64::from(*x));
        let before = self.weeks.before(begin).map(|range| range.map(|x| self.weeks.base + f64::from(x)));
        now.zip(before).is_some_and(|(now, [low, high])| now > high + NEW_GROUND * (high - low))
    }
}

impl Spans {
    const fn new(most: i64) -> Self {
        Self { span: SPAN, most, first: 0, at: 0, samples: 0, base: 0.0, tops: Vec::new() }
    }

    /// Seconds from its first span to its latest sample.
    const fn seen(&self) -> i64 {
        self.at.saturating_sub(self.first.saturating_mul(self.span))
    }

    /// The least and the largest of what ended before.
    fn before(&self, seconds: i64) -> Option<[f32; 2]> {
        let count = seconds.div_euclid(self.span).saturating_sub(self.first).clamp(0, SPANS as i64);
        let all = self.clean().into_iter().take(count as usize).map(|x| [x, x]);
        all.reduce(|[low, high], [x, _]| [low.min(x), high.max(x)])
    }

    fn take(&mut self, seconds: i64, value: f64) {
        if value.is_nan() {
            return;
        }
        let value = value.clamp(-VALUE_MAX, VALUE_MAX);
        if self.tops.is_empty() {
            (self.at, self.base) = (seconds, value);
            self.first = seconds.div_euclid(self.span);
        }
        if (value - self.base).abs() > TIMES * value.abs() {
            // So near to 0 most of it would be lost.
            let by = (value - self.base) as f32;
            self.tops.iter_mut().for_each(|top| *top -= by);
            self.base += f64::from(by);
        }
        let x = (value - self.base) as f32;
        (self.at, self.samples) = (self.at.max(seconds), self.samples.saturating_add(1));
        let mut place = seconds.div_euclid(self.span).saturating_sub(self.first);
        let Some(known) = self.tops.len().checked_sub(1) else { return self.tops.push(x) };
        if place > known as i64 + SPANS as i64 * (self.most / self.span) {
            // What was before so long a gap says nothing.
            *self = Self::new(self.most);
            return self.take(seconds, value);
        }
        while place >= SPANS as i64 {
            self.make_room(place);
            place = seconds.div_euclid(self.span).saturating_sub(self.first);
        }
        let Ok(place) = usize::try_from(place) else { return };
        let last = self.tops.last().copied().unwrap_or(x);
        while self.tops.len() < place {
            self.tops.push(last);
        }
        match self.tops.get_mut(place) {
            Some(top) => *top = top.max(x),
            None => self.tops.push(x),
        }
    }

    /// Spans become twice as long, or the oldest goes.
    fn make_room(&mut self, place: i64) {
        if self.span >= self.most {
            let gone = (place - SPANS as i64 + 1).clamp(1, self.tops.len() as i64);
            self.tops.drain(..gone as usize);
            self.first += gone;
            return;
        }
        let odd = usize::from(self.first.rem_euclid(2) == 1);
        let (head, rest) = self.tops.split_at(odd.min(self.tops.len()));
        let pairs = rest.chunks(2).map(|pair| pair.iter().copied().fold(f32::MIN, f32::max));
        self.tops = head.iter().copied().chain(pairs).collect();
        (self.span, self.first) = (2 * self.span, self.first.div_euclid(2));
    }

    /// Its values without glitches: those far above the others that others follow, and a last one that none confirms.
    fn clean(&self) -> Vec<f32> {
        let mut sorted = self.tops.clone();
        sorted.sort_unstable_by(f32::total_cmp);
        let (Some(first), few) = (sorted.first().copied(), sorted.len() / ALL_BUT) else { return sorted };
        let (low, high) = (sorted[few], sorted[sorted.len() - 1 - few]);
        let most = high + GLITCH * (high - low);
        let latest = self.tops.iter().rev().take_while(|top| **top > most).count();
        let kept = self.tops.len() - if latest > 1 { latest } else { 0 };
        let mut before = self.tops.iter().copied().find(|top| *top <= most).unwrap_or(first);
        let one = |(n, top): (usize, &f32)| {
            before = if *top > most && n < kept { before } else { *top };
            before
        };
        self.tops.iter().enumerate().map(one).collect()
    }

    fn full(&self, limit: f64) -> Option<Full> {
        let clean = self.clean();
        let walk = self.walk(&clean)?;
        let now = f64::from(*clean.last()?);
        let limit = limit - self.base;
        // Noise comes up to the limit before the level does.
        let left = limit - walk.level - EARLY * walk.noise.sqrt();
        if limit <= now {
            return Some(Full { median: 0.0, low: 0.0, high: 0.0 });
        }
        let since =
            self.at.saturating_sub(self.first.saturating_add(self.tops.len() as i64 - 1).saturating_mul(self.span));
        let far = AHEAD * self.tops.len() as f64;
        let within = |share: f64| {
            if walk.passes(left, far) < share {
                return None;
            }
            let (mut low, mut high) = (0.0, far);
            for _ in 0..HALVINGS {
                let middle = 0.5 * (low + high);
                if walk.passes(left, middle) < share { low = middle } else { high = middle }
            }
            // What was learned ends with the last whole span.
            Some((high * self.span as f64 - since as f64).max(0.0))
        };
        let high = within(0.9)?;
        Some(Full { median: within(0.5)?, low: within(0.1)?, high })
    }

    /// What the whole spans are like, if they grow.
    fn walk(&self, clean: &[f32]) -> Option<Walk> {
        let whole = clean.len().saturating_sub(1);
        let tops: Vec<f64> = clean.iter().take(whole).map(|x| f64::from(*x)).collect();
        let is_enough = whole >= SPANS_MIN && self.samples as usize >= SPANS_MIN;
        let is_clear = |walk: &Walk| walk.slope > CLEAR * WIDER * walk.of_slope.sqrt();
        is_enough.then(|| Walk::since_turn(&tops).unwrap_or_else(|| Walk::of(&tops))).filter(is_clear)
    }
}

impl Walk {
    fn of(x: &[f64]) -> Self {
        let (n, slope) = (x.len() as f64, Line::of(x).slope);
        let variogram = |lag: usize| {
            let offs = x.iter().zip(&x[lag..]).map(|(a, b)| b - a - slope * lag as f64);
            let square = offs.map(|off| off * off).sum::<f64>() / (x.len() - lag) as f64;
            // The slope was fitted to them.
            square / (1.0 - lag as f64 / n)
        };
        let (short, long) = (variogram(1), (x.len() / 4).max(2));
        let far = 0.5 * (variogram(long) + variogram(long - 1));
        let step = ((far - short) / (long as f64 - 1.5)).max(0.0).min(far / (long as f64 - 0.5));
        let noise = (0.5 * (short - step)).max(0.0);
        // The filter's gain: how much of a surprise is the level's.
        let ratio = if noise > 0.0 { step / noise } else { f64::MAX };
        let gain = if ratio > 1e6 { 1.0 } else { 0.5 * ((ratio * ratio + 4.0 * ratio).sqrt() - ratio) };
        let gain = gain.max(2.0 / n);
        let level = x.iter().skip(1).fold(x[0], |level, x| level + slope + gain * (x - level - slope));
        let of_slope = Self::of_slope(step, noise, n);
        Self { level, slope, of_slope, step, noise, of_level: gain * noise }
    }

    /// That since it last turned: where the slope of the latest spans differs from that of those before.
    fn since_turn(x: &[f64]) -> Option<Self> {
        let split = |tail: usize| x.split_at(x.len() - tail);
        let error = |tail: usize| {
            let (before, after) = split(tail);
            Line::of(before).unexplained(before) + Line::of(after).unexplained(after)
        };
        let tails = TURN_MIN..=x.len().saturating_sub(TURN_AFTER).min(TURN_MAX);
        let tail = tails.map(|tail| (error(tail), tail)).min_by(|a, b| a.0.total_cmp(&b.0))?.1;
        let (before, after) = split(tail);
        // The first of them is from before it in part.
        let after = &after[1..];
        let (walk, line, n) = (Self::of(before), Line::of(after), after.len() as f64);
        let noise = walk.noise.max(line.unexplained(after) / (n - 2.0));
        let (slope, of_slope) = (line.slope, Self::of_slope(walk.step, noise, n));
        let differs = (slope - walk.slope).abs() > TURN * (of_slope + walk.of_slope).sqrt();
        let turns = differs && Line::of(before).is_left_by(before, (x.len() - 1, x[x.len() - 1]));
        let level = line.at(after.len() - 1);
        turns.then_some(Self { level, slope, of_slope, noise, of_level: 4.0 * noise / n, ..walk })
    }

    /// The variance of a slope of least squares.
    fn of_slope(step: f64, noise: f64, n: f64) -> f64 {
        1.2 * step / n + 12.0 * noise / (n * n * n)
    }

    /// How likely it has risen by `left` within so many spans.
    fn passes(&self, left: f64, spans: f64) -> f64 {
        let one = |node: &f64| {
            let slope = self.slope + WIDER * node * self.of_slope.sqrt();
            let deviation = (self.step * spans + self.of_level).sqrt().max(1e-300);
            let direct = normal((slope * spans - left) / deviation);
            let power = 2.0 * slope * left / self.step.max(1e-300);
            let back = (self.step * spans).sqrt().max(1e-300);
            // What came up to it and went back.
            let returned =
                if power < POWER_MAX { libm::exp(power) * normal((-left - slope * spans) / back) } else { 0.0 };
            (direct + returned).min(1.0)
        };
        NODES.iter().map(one).sum::<f64>() / NODES.len() as f64
    }
}

/// A line of least squares through values that are one apart.
struct Line {
    slope: f64,
    mean: f64,
    middle: f64,
}

impl Line {
    fn of(x: &[f64]) -> Self {
        let middle = (x.len() as f64 - 1.0) / 2.0;
        let mean = x.iter().sum::<f64>() / x.len().max(1) as f64;
        let of = |n: usize| n as f64 - middle;
        let products: f64 = x.iter().enumerate().map(|(n, x)| of(n) * (x - mean)).sum();
        let squares: f64 = (0..x.len()).map(|n| of(n) * of(n)).sum();
        Self { slope: products / squares.max(1.0), mean, middle }
    }

    /// Where it is at a place, within the values or beyond.
    fn at(&self, n: usize) -> f64 {
        self.mean + self.slope * (n as f64 - self.middle)
    }

    /// What it leaves of each value.
    fn offs(&self, x: &[f64]) -> impl Iterator<Item = f64> {
        x.iter().enumerate().map(|(n, x)| x - self.at(n))
    }

    /// The squares of that.
    fn unexplained(&self, x: &[f64]) -> f64 {
        self.offs(x).map(|off| off * off).sum()
    }

    /// Whether a value after those that it was fitted to is off it by more than any of them was: what comes back each day turns twice a day.
    fn is_left_by(&self, fitted: &[f64], (n, x): (usize, f64)) -> bool {
        let (low, high) = self.offs(fitted).fold((0.0_f64, 0.0_f64), |(low, high), off| (low.min(off), high.max(off)));
        let (off, beyond) = (x - self.at(n), NEW_GROUND * (high - low));
        off > high + beyond || off < low - beyond
    }
}

/// The normal distribution's `Φ`.
fn normal(z: f64) -> f64 {
    0.5 * libm::erfc(-z / std::f64::consts::SQRT_2)
}

#[cfg(test)]
mod tests;
