//! An automatic detector for measured series. It gives two numbers, since one can't be both: an *event*, that something new has
//! happened (once, not for as long as it lasts), and a *severity*, how far from usual the series is now (a state).
//!
//! **What is expected.** `b = g·(S_h + W_d) + (1 − g)·l`: the mean of the hour `S_h` and the part `W_d` of working or rest days, as far as they have
//! predicted better than the long mean `l` (Holt's and Winters' additive season, 1960, with a weight that is earned). `r = x − b`.
//!
//! **Event.** Four evidences: `|x − x₋₁|` (a spike), `|r|` (an unusual level), the difference of a short and a middle mean of what is not season
//! (a change of level), and the short mean of `r` in the spreads of that hour (a lasting departure). Each is ranked in its own past by a
//! histogram with three bins an octave of `u = f / mean f`:
//!
//! ```text
//! e_i = ln((N + 2) / (above + 2·min(1, 30/u)))       no distribution is assumed; 2 is a pseudo count with a tail of 1/u
//! e   = mean e_i − 0.3·ln(n / 1000)                  what is one in a thousand comes along in a long life
//! ```
//!
//! The mean is Fisher's way to combine tests ("Statistical methods for research workers", 1925). In a young series ranks can't tell much: there
//! `e` is at least `300/(300 + n) · 3·ln z`, `z` the severity in deviations. An alert that continues is one alert: `e` has to exceed 1.5 times
//! what is left of the last one, which fades over `10 + n/5` samples; and one that comes as often as it has counts less by its logarithm. The
//! score is `1 − e^(−e/9.2)`: 0.5 comes about once in a month of samples a minute apart, of noise that has no news.
//!
//! **Severity.** `z = (x − b') / max(d, 1.253·s_h − d)` deviations, `d = √v + 0.03·range + ½·hours/(1 + days²)` (a value beyond all so far is part of the
//! range, whose ends fade over a week; no sample moves them by more than ten deviations. `hours` is how far the means of the hours lie apart: after one day that may have been a trend) and `s_h` the mean absolute error at that hour, which counts where it is more than twice as wide as others; `b'`, `v` and `s_h` are learned from values clipped at 3 deviations (Huber's ψ, 1964).
//!
//! **Lasting.** Ranks end at the largest that was seen, and a change of level is in two of the four at once and in two others later: of what is old, no mean is large enough. A departure that is 1.5 times what all but
//! one in a thousand of those before it were is an event by itself, of `6.4 + 3·ln(ratio)` nats, where 2.5 is the most (it grows for a while, and is one event): the means of a control chart (Shewhart, 1931; Roberts' exponentially weighted one, 1959), with the series' own tail in place of a normal one.
//!
//! **Habit.** Within a season ranks are blind to what other hours have seen, and so is a spread over all hours. Where the season is seen and explains
//! most of the series, a second measure is from what it does at that hour in its latest spread and record (`kpi/habit.rs`): what is beyond five of
//! its deviations is an event by itself, of `6.4 + 3·ln(z/5)` nats, and so severe.
//!
//! **Week.** A series whose days differ by more than work and rest (a batch on Tuesdays) earns 7 × 24 hours (`kpi/week.rs`): then they are what is expected by the hour.
//!
//! **Glitches.** No mean takes a sample for more than ten thousand mean errors, or in the first half hour for a hundred: one that reads 2³² blinds it to nothing.
//!
//! A series that only grows, with resets, is a counter, and its rate is what is looked at (as Prometheus' `rate` does; nothing is said of a sample
//! after a reset). One of whole numbers, or that counts them, is as usual one off (unless it hardly ever moves and stays there: `up`, replicas), and where fewer than three are usual as long as so many come together by chance more than once in 100,000 samples (Poisson); any by a thousandth. A gap of more than five paces is no jump. Time constants are in seconds, but no less than so many
//! samples; the mean of an hour remembers a month. It says nothing of a series in its first 30 samples, and those of a counter count from where it is known for one.
use super::Score;
use expected::{Expected, Measure};
use habit::Habit;
use ranks::{Ranked, Ranks};
pub use said::{Moment, Usual, Verdict, What};
use serde::{Deserialize, Serialize};
use week::Week;

mod expected;
mod habit;
mod ranks;
mod said;
mod week;

/// Short, middle and long means: so long, in seconds, and at least so many samples.
const SHORT: Memory = Memory { seconds: 3_000.0, samples: 10.0 };
const MIDDLE: Memory = Memory { seconds: 90_000.0, samples: 300.0 };
const LONG: Memory = Memory { seconds: 900_000.0, samples: 3_000.0 };
/// What severity is learned from.
const SEVERITY: Memory = Memory { seconds: 30_000_000.0, samples: 100_000.0 };
/// The mean of an hour of the day remembers so many days.
const SLOT_DAYS: f32 = 33.0;
/// The part of rest days remembers so many of them, and is half believed after one.
const REST_DAYS: f32 = 8.0;
/// The share of the series' spread in that of an hour.
const SPREAD_SHARE: f32 = 0.2;
const DEPARTURE_MAX: f32 = 20.0;
/// By how much one in a thousand is discounted with age, in nats by e-fold, and from which age on.
const AGE: f32 = 0.3;
const AGE_SAMPLES: f32 = 1_000.0;
/// What an evidence has to exceed of what is left of the last event.
const AGAIN: f32 = 1.5;
/// How fast that fades: so many samples, and so much of the age.
const FADE: f32 = 10.0;
const FADE_SHARE: f32 = 0.2;
/// In a young series the distance counts itself.
const YOUNG: f32 = 300.0;
const YOUNG_NATS: f32 = 3.0;
/// Nats to a score.
const NATS: f32 = 9.2;
/// What is beyond habit is worth a look.
const NEWS_NATS: f32 = 6.4;
/// And goes on while samples are so many deviations off, on its side.
const GOES_ON: f32 = 1.5;
/// What lasts grows for a while, which is no second event.
const LASTING_MOST: f32 = 2.5;
/// Samples before it says anything.
const WARM_UP: u32 = 30;
/// A value is clipped at so many deviations when it is learned; beyond it is unusual.
const CLIP: f32 = 3.0;
const YOUNG_CLIP: f32 = 4.0;
/// The share of the range seen that is as usual.
const RANGE_SHARE: f32 = 0.03;
/// And of the range of the hours' means, at first; after so many days none.
const UNKNOWN: f32 = 0.5;
const UNKNOWN_DAYS: f32 = 10.0;
/// The ends of that fade, over so many days, and so many samples at least.
const RANGE_DAYS: f32 = 7.0;
const RANGE_SAMPLES: f32 = 3_000.0;
/// A sample moves them by no more than so many deviations: one glitch makes it blind to nothing.
const RANGE_REACH: f32 = 10.0;
/// A sample counts for no more than so many mean errors in any mean, and for fewer while it warms up.
const FAR: f32 = 10_000.0;
const YOUNG_FAR: f32 = 100.0;
/// So many samples have to be seen before that.
const FEW: u32 = 5;
/// Deviations at which severity is 0.5.
const HALF: f64 = 10.0;
/// A series that never moved moves by this share.
const STILL_SHARE: f32 = 0.001;
/// What counts and has a smaller mean error hardly ever moves: by one in fewer than one sample of 500.
const HARDLY: f32 = 0.002;
/// A mean count below this is of what seldom happens, and what comes so often by chance is none of its news.
const SELDOM: f32 = 3.0;
const ONCE_IN: f32 = 1e-5;
/// And one with a larger one moves often.
const OFTEN: f32 = 0.3;
/// A gap of so many paces is none of a series that goes on.
const GAP_PACES: f32 = 5.0;
/// A gap below this share of the pace of a young series is its pace.
const FIRST_GAP: f32 = 0.1;
/// Larger values are taken for it, so that no square overflows.
const VALUE_MAX: f64 = 1e18;
/// Events by strength, half a nat each; those weaker than the first count together.
const STRENGTHS: usize = 11;
const STRENGTH_FIRST: usize = 5;
const HOURS: usize = 24;
/// Of an hour whose mean is learned anew.
const SEEN_AGAIN: u8 = 10;
/// What has grown so often, and never fallen, is a counter; a fall to more than this share is none of its resets.
const GROWN: u8 = 10;
const RESET_SHARE: f64 = 0.5;
/// A sample may come so much earlier than its pace has it.
const EARLY: f32 = 1.25;
const DAY: f32 = 86_400.0;
const HOUR: f32 = 3_600.0;
/// Deviations of a normal distribution for one mean absolute deviation.
const OF_MEAN: f32 = 1.253;
/// A departure of so many spreads is worth a look at days of the week, once so many working or rest days are seen.
const LASTING: f32 = 1.5;
const DEPARTS: [f32; 2] = [5.0, 3.5];

/// How long a mean remembers.
#[derive(Clone, Copy, Debug)]
struct Memory {
    seconds: f32,
    samples: f32,
}

impl Memory {
    /// The step of the mean after `n` samples `pace` seconds apart.
    fn step(self, n: f32, pace: f32) -> f32 {
        (1.0 / n).max(1.0 / (self.seconds / pace).max(self.samples))
    }
}

/// What kind of series it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    /// Not known yet: it has only grown so far.
    #[default]
    Growing,
    Gauge,
    Counter,
}

/// What is learned from a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Learns {
    All,
    /// All, and what it does at that hour at once.
    Hour,
    /// Only whether it comes again at that hour of the week.
    Week,
    Nothing,
}

/// The detector's memory of a series: at most 600 bytes, and 2 KiB where days of the week differ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kpi {
    /// The last second; only differences matter.
    at: u32,
    /// Samples learned.
    n: u32,
    /// Seconds between samples, as usual.
    pace: f32,
    /// The last value: of the series, and of what is looked at.
    raw: f64,
    previous: f32,
    long: f32,
    /// Short and middle mean of what is no season.
    short: f32,
    middle: f32,
    departure: f32,
    /// Mean errors of the hour's mean and of the long one.
    season_error: f32,
    plain_error: f32,
    /// What is left of the last event.
    left: f32,
    ranks: Ranks,
    events: [u8; STRENGTHS],
    slots: [f32; HOURS],
    spreads: [f32; HOURS],
    seen: [u8; HOURS],
    /// The part of working and of rest days, and how many of the latter there were.
    parts: [f32; 2],
    rest_days: f32,
    /// Mean and variance that are not carried away.
    level: f32,
    variance: f32,
    low: f32,
    high: f32,
    habit: Habit,
    week: Option<Box<Week>>,
    /// Days until another is tried.
    waits: u8,
    kind: Kind,
    /// All values were whole numbers, none below 0.
    is_whole: bool,
    is_positive: bool,
    /// How often it grew before it was known what kind of series it is.
    grown: u8,
}

impl Default for Kpi {
    fn default() -> Self {
        Self {
            at: 0,
            n: 0,
            pace: 0.0,
            raw: 0.0,
            previous: 0.0,
            long: 0.0,
            short: 0.0,
            middle: 0.0,
            departure: 0.0,
            season_error: 0.0,
            plain_error: 0.0,
            left: 0.0,
            ranks: Ranks::default(),
            events: [0; STRENGTHS],
            slots: [0.0; HOURS],
            spreads: [0.0; HOURS],
            seen: [0; HOURS],
            parts: [0.0; 2],
            rest_days: 0.0,
            level: 0.0,
            variance: 0.0,
            low: 0.0,
            high: 0.0,
            habit: Habit::default(),
            week: None,
            waits: 0,
            kind: Kind::Growing,
            is_whole: true,
            is_positive: true,
            grown: 0,
        }
    }
}

impl Kpi {
    /// What is to be said of a sample, no older than the last. It is learned as usual where it `teaches`; else only what is to be said of
    /// the next changes.
    pub fn take(&mut self, at: Moment, value: f64, teaches: bool) -> Verdict {
        self.look(at, value, if teaches { Learns::All } else { Learns::Nothing })
    }

    /// The same of a sample that is part of what was told, as it was at that hour on the days before: that is usual there, however far it is off.
    pub fn take_recurring(&mut self, at: Moment, value: f64) -> Verdict {
        self.look(at, value, Learns::Hour)
    }

    /// The same of a sample that is part of what was told: it is not learned, unless it comes each week at that hour.
    pub fn take_told(&mut self, at: Moment, value: f64) -> Verdict {
        self.look(at, value, Learns::Week)
    }

    fn look(&mut self, at: Moment, value: f64, learns: Learns) -> Verdict {
        let teaches = matches!(learns, Learns::All | Learns::Hour);
        if value.is_nan() {
            return Verdict::default();
        }
        let value = value.clamp(-VALUE_MAX, VALUE_MAX);
        let day = self.at / DAY as u32;
        let Some(looked) = self.looked_at(at.seconds, value) else { return Verdict::default() };
        let x = looked as f32;
        self.is_whole &= value == value.trunc();
        self.is_positive &= x >= 0.0;
        if self.n == 0 {
            (self.previous, self.long, self.level) = (x, x, x);
            (self.short, self.middle) = (x, x);
            (self.low, self.high) = (x, x);
        }
        let expected = self.expected(at, x);
        let (from, is_off, is_usual) = self.measured(x, expected);
        let Ranked { nats: evidence, what, beyond } = self.evidence(x, expected, teaches);
        let z = from.of(x);
        let is_warm = self.is_warm();
        let nats = self.nats(evidence, if is_warm { z.abs() } else { 0.0 });
        let nats = if is_off { nats.max(news(z.abs() / habit::NEWS)) } else { nats };
        let nats = if is_usual { 0.0 } else { nats };
        // Of small counts none is off by much, however long it lasts.
        let is_small = self.is_whole && expected.base.abs() * STILL_SHARE < 1.0;
        let is_small = is_small && (self.ranks.off() > OFTEN || (x - expected.base).abs() > 1.0);
        let lasting = if is_warm && (is_small || !is_usual) { news(beyond.min(LASTING_MOST)) } else { 0.0 };
        let what = if lasting > nats { What::Departure } else { what };
        let event = self.gate(nats.max(lasting), teaches);
        let is_new_day = self.at / DAY as u32 != day;
        if learns != Learns::Nothing {
            self.learn_week(at, x, expected.without, is_new_day);
        }
        if teaches {
            if is_new_day {
                self.habit.end_day();
            }
            self.learn(x, expected, learns == Learns::Hour);
        }
        self.previous = x;
        if !is_warm {
            return Verdict::default();
        }
        let off = if is_usual { 0.0 } else { f64::from(z) };
        let plain = if self.is_as_ever(x, expected.without[1]) { 0.0 } else { f64::from(expected.plain.of(x)) };
        Verdict {
            event: Score::share(f64::from(1.0 - libm::expf(-event / NATS))),
            what,
            severity: Score::of(off, HALF),
            deviations: off,
            plain,
            // When it is over the mean needs as long as it had.
            lasts: lasting > 0.0 && z * self.departure >= GOES_ON * self.departure.abs(),
            usual: Some(self.usual(from, looked, is_off || expected.season > 0.5, expected.is_of_weekday)),
        }
    }

    /// How many deviations a value would be off the usual at a moment to come. `None` while it warms up, and of a counter, whose rate no value tells.
    pub fn deviations_at(&self, at: Moment, value: f64) -> Option<f64> {
        if !self.is_warm() || self.kind == Kind::Counter || value.is_nan() {
            return None;
        }
        let x = value.clamp(-VALUE_MAX, VALUE_MAX) as f32;
        let (from, _, is_usual) = self.measured(x, self.expected(at, x));
        Some(if is_usual { 0.0 } else { f64::from(from.of(x)) })
    }

    /// What it does now, at the moment of its last sample, is usual from now on; that it may do what it did before is not forgotten
    /// at once. It is learned as fast as in its second day.
    pub fn accept(&mut self, at: Moment) {
        if !self.is_warm() {
            return;
        }
        let expected = self.expected(at, self.previous);
        let (moved, level) = (self.previous - expected.base, self.previous - expected.usual.level);
        self.slots.iter_mut().for_each(|mean| *mean += level);
        self.habit.shift(level);
        self.long += moved;
        (self.short, self.middle) = (self.long, self.long);
        (self.level, self.departure, self.left) = (self.level + level, 0.0, 0.0);
        let day = (DAY / self.pace).max(2.0 * WARM_UP as f32) as u32;
        (self.n, self.rest_days) = (self.n.min(day), self.rest_days.min(1.0));
        self.seen.iter_mut().for_each(|count| *count = (*count).min(SEEN_AGAIN));
    }

    /// It goes on where it was before what it has [looked](Self::take) at without learning: that is over.
    pub fn resume(&mut self) {
        (self.short, self.middle, self.departure, self.left) = (self.long, self.long, 0.0, 0.0);
    }

    /// The value that it took last.
    pub const fn value(&self) -> f64 {
        self.raw
    }

    /// It has seen enough to say something.
    pub const fn is_warm(&self) -> bool {
        self.n >= WARM_UP
    }

    /// The value that is looked at: of a counter how fast it grew since. `None` where that can't be told.
    fn looked_at(&mut self, seconds: i64, value: f64) -> Option<f64> {
        let at = seconds as u32;
        let (gap, before) = (at.wrapping_sub(self.at) as f32, self.raw);
        let is_first = self.n == 0 && self.pace == 0.0;
        (self.at, self.raw) = (at, value);
        if is_first {
            // What the pace is, the second sample tells.
            self.pace = 1.0;
        } else if self.n <= 1 || self.n < WARM_UP && gap > 0.0 && gap < FIRST_GAP * self.pace {
            // The first gap may have been one.
            self.pace = gap.max(1.0);
        } else {
            let gap = gap.clamp(0.5 * self.pace, 2.0 * self.pace).max(0.1);
            self.pace += (gap - self.pace) * (1.0 / self.n as f32).max(0.02);
        }
        if !is_first && gap > GAP_PACES * self.pace {
            // After a gap nothing is known of how it came there.
            self.previous = value as f32;
        }
        match self.kind {
            Kind::Growing if !is_first && value < before => self.kind = Kind::Gauge,
            Kind::Growing => {
                self.grown = self.grown.saturating_add(u8::from(!is_first && value > before));
                if self.n >= WARM_UP && self.grown >= GROWN {
                    self.begin(Kind::Counter);
                    return None;
                }
            }
            Kind::Counter if value < before && value > RESET_SHARE * before => self.begin(Kind::Gauge),
            Kind::Counter if gap <= 0.0 => return None,
            Kind::Counter => {
                // How much it has grown since a reset, and had before it, nothing tells.
                if value < before {
                    return None;
                }
                let rate = (value - before) / f64::from(gap);
                if gap > GAP_PACES * self.pace {
                    self.previous = rate as f32;
                }
                return Some(rate);
            }
            Kind::Gauge => {}
        }
        Some(value)
    }

    /// It is another kind of series than it seemed, and learned anew.
    fn begin(&mut self, kind: Kind) {
        let Self { at, raw, pace, .. } = *self;
        *self = Self { at, raw, pace, kind, ..Self::default() };
    }

    /// The four evidences, each ranked in its own past: their mean, in nats, and the largest.
    fn evidence(&mut self, x: f32, expected: Expected, teaches: bool) -> Ranked {
        let r = x - expected.base;
        let far = expected.far;
        let y = self.long + r.clamp(-far, far);
        let n = (self.n + 1) as f32;
        let short = SHORT.step(n, self.pace);
        self.short += short * (y - self.short);
        let all = self.ranks.off();
        let spread = expected.season * self.spreads[expected.slot] + (1.0 - expected.season) * all + SPREAD_SHARE * all;
        let departure = if spread > 1e-12 { r / spread } else { 10.0 * f32::from(u8::from(r.abs() > 1e-12)) };
        self.departure += short * (departure.clamp(-DEPARTURE_MAX, DEPARTURE_MAX) - self.departure);
        let found = [(x - self.previous).abs(), r.abs(), (self.short - self.middle).abs(), self.departure.abs()];
        let ranked = self.ranks.take(found, (n, self.pace), teaches);
        if teaches {
            self.middle += MIDDLE.step(n, self.pace) * (y - self.middle);
        }
        ranked
    }

    /// What is left of an evidence by the age of the series, or in a young one by the distance.
    fn nats(&self, evidence: f32, z: f32) -> f32 {
        let n = self.n as f32;
        let aged = evidence - AGE * libm::logf((n / AGE_SAMPLES).max(0.02));
        let young = YOUNG / (YOUNG + n) * YOUNG_NATS * libm::logf(z.clamp(1.0, DEPARTURE_MAX));
        aged.max(young).max(0.0)
    }

    /// An alert that continues is one alert, and one that comes often counts less: what it counts, in nats.
    fn gate(&mut self, nats: f32, teaches: bool) -> f32 {
        self.left *= libm::expf(-1.0 / (FADE + FADE_SHARE * self.n as f32));
        if nats <= AGAIN * self.left || nats <= 0.0 {
            return 0.0;
        }
        self.left = nats;
        let strength = ((nats * 2.0) as usize).saturating_sub(STRENGTH_FIRST).min(STRENGTHS - 1);
        let past: u32 = self.events[strength..].iter().map(|count| u32::from(*count)).sum();
        self.events[strength] = self.events[strength].saturating_add(u8::from(teaches));
        (nats - libm::logf((2.0 + past as f32) / 3.0) + 1.0).max(0.0)
    }

    /// What lasts may be what it does on that day of the week.
    fn learn_week(&mut self, at: Moment, x: f32, without: [f32; 2], is_new_day: bool) {
        self.waits -= u8::from(is_new_day && self.waits > 0);
        let part = usize::from(at.rests);
        let departs = self.departure.abs() > LASTING && self.days(part) >= DEPARTS[part];
        if self.week.is_none() && self.waits == 0 && departs {
            self.week = Some(Box::default());
        }
        if let Some(week) = &mut self.week {
            week.learn(at, without.map(|expected| x - expected));
        }
        if self.week.take_if(|week| week.is_idle()).is_some() {
            self.waits = week::WAITS;
        }
    }

    /// `at_once`: what it does at that hour, within the hour.
    fn learn(&mut self, x: f32, expected: Expected, at_once: bool) {
        self.n = self.n.saturating_add(1);
        let n = self.n as f32;
        let Expected { slot, part, base, by_hour, usual: Measure { level, .. }, habit, far, .. } = expected;
        let (is_warm, first) = (self.is_warm(), DAY / self.pace);
        // By that of all hours: what is clipped by its own spread widens it ever more.
        let deviation = self.deviation(self.level, self.high - self.low);
        let faded = self.pace / (RANGE_DAYS * DAY).max(RANGE_SAMPLES * self.pace);
        let fade = |end: f32| end + faded * (self.level - end);
        let (low, high) = (fade(self.low), fade(self.high));
        let reach = if is_warm { RANGE_REACH * deviation } else { far };
        (self.low, self.high) = (low.min(x.max(low - reach)), high.max(x.min(high + reach)));
        let long = LONG.step(n, self.pace);
        if self.seen[slot] >= 3 {
            self.season_error += long * ((x - by_hour).abs().min(far) - self.season_error);
            self.plain_error += long * ((x - self.long).abs().min(far) - self.plain_error);
        }
        // By how much is not known well before half a day.
        let clip = if n > 0.5 * first { CLIP } else { YOUNG_CLIP };
        let clip = if is_warm { clip * deviation } else { far };
        let clipped = (x - level).clamp(-clip, clip);
        let step = SEVERITY.step(n, self.pace);
        self.level += step * (level + clipped - self.level);
        self.variance += step * (clipped * clipped - self.variance);
        let taught = level + clipped;
        let count = self.seen(slot);
        let memory = (SLOT_DAYS * DAY / HOURS as f32 / self.pace).max(10.0);
        let step = (1.0 / (count + 1.0)).max(1.0 / memory);
        let of_day = self.of_day(part);
        let of_hour = self.slots[slot];
        let (by_hour, step) = if at_once { (x, step.max((self.pace / HOUR).min(0.1))) } else { (taught, step) };
        self.slots[slot] += step * (by_hour - of_day - of_hour);
        self.spreads[slot] += step * ((by_hour - base).abs() - self.spreads[slot]);
        self.seen[slot] = self.seen[slot].saturating_add(1);
        if n > first {
            // A sample is of one day at most: a larger step of a mean would swing ever wider.
            let share = (self.pace / DAY).min(1.0);
            self.habit.learn((x - habit.level).clamp(-far, far), (n - first, share));
            if part == 1 {
                self.habit.learn_rest(taught, of_hour, (self.days(part), share));
            }
            let step = (share / (self.days(part) + share)).max(share / REST_DAYS);
            self.parts[part] += step * (taught - of_hour - self.parts[part]);
            self.rest_days += if part == 1 { share } else { 0.0 };
        }
        self.long += long * (x - self.long).clamp(-far, far);
    }

    fn usual(&self, from: Measure, looked: f64, is_of_hour: bool, is_of_weekday: bool) -> Usual {
        let reach = f64::from(CLIP * from.deviation);
        let (level, least) = (f64::from(from.level), if self.is_positive { 0.0 } else { -VALUE_MAX });
        let rate = (self.kind == Kind::Counter).then_some(looked);
        let (low, high) = ((level - reach).max(least), level + reach);
        Usual { low, high, is_of_hour: is_of_hour || is_of_weekday, is_of_weekday, rate }
    }
}

/// What is beyond all habit, in nats.
fn news(beyond: f32) -> f32 {
    if beyond > 1.0 { NEWS_NATS + YOUNG_NATS * libm::logf(beyond) } else { 0.0 }
}

#[cfg(test)]
mod tests;
