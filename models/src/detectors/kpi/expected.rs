//! What is expected of a sample, and how far off it is.
use super::{
    CLIP, DAY, EARLY, FAR, FEW, HARDLY, HOUR, HOURS, Kind, Kpi, Moment, OF_MEAN, ONCE_IN, RANGE_SHARE, SEEN_AGAIN,
    SELDOM, STILL_SHARE, UNKNOWN, UNKNOWN_DAYS, YOUNG_FAR,
};

/// Severity is measured from a level, in deviations.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measure {
    pub level: f32,
    pub deviation: f32,
}

impl Measure {
    pub fn of(self, x: f32) -> f32 {
        (x - self.level) / self.deviation
    }
}

/// What is expected of a sample.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    pub slot: usize,
    pub part: usize,
    /// How far the season is believed, 0 to 1.
    pub season: f32,
    /// By the hour and the day alone, as far as they were seen.
    pub by_hour: f32,
    pub base: f32,
    pub usual: Measure,
    /// That of habit.
    pub habit: Measure,
    pub has_habit: bool,
    /// Habit, base and what is usual, without the day of the week.
    pub without: [f32; 2],
    pub plain: Measure,
    pub is_of_weekday: bool,
    /// No mean takes it to be farther off than that.
    pub far: f32,
}

impl Expected {
    /// It is beyond what is usual by habit, and more so than otherwise.
    pub fn is_off_habit(&self, x: f32) -> bool {
        self.has_habit && self.habit.of(x).abs() > CLIP.max(self.usual.of(x).abs())
    }
}

impl Kpi {
    /// From what it is measured, whether that is habit, and whether it is as usual.
    pub(super) fn measured(&self, x: f32, expected: Expected) -> (Measure, bool, bool) {
        let is_off = expected.is_off_habit(x);
        let from = if is_off { expected.habit } else { expected.usual };
        (from, is_off, self.is_as_ever(x, if is_off { from.level } else { expected.base }))
    }

    pub(super) fn expected(&self, at: Moment, x: f32) -> Expected {
        let (slot, part) = (usize::from(at.hour) % HOURS, usize::from(at.rests));
        let count = self.seen(slot);
        let known = count / (count + 1.0);
        let of_day = self.of_day(part);
        let of_hour = self.slots[slot] + of_day;
        let of_habit = if part == 1 { self.habit.at_rest(self.slots[slot]) } else { of_hour };
        let of_weekday = self.week.as_deref().and_then(|week| week.adds(at)).map(|adds| of_habit + adds);
        let by_hour = of_weekday.unwrap_or(of_hour);
        let trust = if self.plain_error > 1e-12 { (1.0 - self.season_error / self.plain_error).max(0.0) } else { 0.0 };
        let season = known * trust;
        let base = |by_hour: f32| season * by_hour + (1.0 - season) * self.long;
        let without = [of_habit, base(of_hour)];
        let level = |by_hour: f32| known * by_hour + (1.0 - known) * self.level;
        let (level, plain) = (level(by_hour), level(of_hour));
        let range = self.high.max(x) - self.low.min(x);
        let of_all = self.deviation(level, range) + self.unknown();
        let of_slot = OF_MEAN * self.spreads[slot] * count / (count + f32::from(SEEN_AGAIN));
        let usual = Measure { level, deviation: of_all.max(of_slot - of_all) };
        let plain = Measure { level: plain, deviation: of_all };
        let deviation = self.habit.deviation().max(RANGE_SHARE * range).max(self.least(level));
        let is_of_weekday = of_weekday.is_some();
        let has_habit = is_of_weekday || self.habit.claims((part, self.days(part)), self.plain_error);
        let habit = Measure { level: of_weekday.unwrap_or(of_habit), deviation };
        let base = base(by_hour);
        let by_hour = known * by_hour + (1.0 - known) * self.long;
        let far = self.far();
        Expected { slot, part, season, by_hour, base, usual, habit, has_habit, without, plain, is_of_weekday, far }
    }

    /// A deviation around a level, in a range.
    pub(super) fn deviation(&self, level: f32, range: f32) -> f32 {
        (self.variance.max(0.0).sqrt() + RANGE_SHARE * range).max(self.least(level))
    }

    /// And no less.
    fn least(&self, level: f32) -> f32 {
        (STILL_SHARE * level.abs()).max(if self.stays_off() { 0.0 } else { 0.5 * self.one() }).max(1e-12)
    }

    /// How far the next day may be from the mean of an hour: one day is no habit yet, and where hours differ it may have been a trend.
    fn unknown(&self) -> f32 {
        let seconds = self.n as f32 * self.pace;
        // An hour comes again a little sooner than a day after the first sample.
        if !(DAY - HOUR..UNKNOWN_DAYS * DAY).contains(&seconds) {
            return 0.0;
        }
        let days = (seconds / DAY).max(1.0);
        let means = self.slots.iter().zip(&self.seen).filter(|(_, seen)| **seen > 0);
        let ends = (f32::MAX, f32::MIN);
        let (low, high) = means.fold(ends, |(low, high), (mean, _)| (low.min(*mean), high.max(*mean)));
        UNKNOWN * (high - low).max(0.0) / (1.0 + days * days)
    }

    /// How far off a sample is taken to be at most: so many mean errors, once there are some.
    fn far(&self) -> f32 {
        let off = self.ranks.off();
        let many = if self.is_warm() { FAR } else { YOUNG_FAR };
        if self.n >= FEW && off > 1e-12 { many * off } else { f32::MAX }
    }

    /// Whether it is no farther off than what nobody would call a change.
    pub(super) fn is_as_ever(&self, x: f32, base: f32) -> bool {
        let off = (x - base).abs();
        off <= STILL_SHARE * base.abs()
            || off <= if self.stays_off() { 0.5 } else { self.one() }
            || self.comes_by_chance(x, base)
    }

    /// It counts what seldom happens, independently as it seems (the mean error is about that of a Poisson distribution, `2 λ e^−λ`), and so many come
    /// together by chance more often than once in a hundred thousand samples.
    fn comes_by_chance(&self, x: f32, base: f32) -> bool {
        let seldom = self.is_whole && self.kind == Kind::Gauge && base > 0.0 && base < SELDOM;
        if !seldom || x <= base || self.ranks.off() < base * libm::expf(-base) {
            return false;
        }
        // From one term of the distribution on each is less than `λ/(x + 1)` of the one before it.
        let term = (1..=x.min(30.0) as u32).fold(libm::expf(-base), |term, n| term * base / n as f32);
        x <= 30.0 && term / (1.0 - base / (x + 1.0)) > ONCE_IN
    }

    /// One more of what is counted in whole numbers: a gauge's, or what it adds to a counter's rate where a sample comes a little early.
    fn one(&self) -> f32 {
        match self.kind {
            _ if !self.is_whole => 0.0,
            Kind::Counter => EARLY / self.pace.max(1.0),
            _ => 1.0,
        }
    }

    /// It counts what hardly ever moves, and was off before this sample: that it is one off is news, where it stays.
    fn stays_off(&self) -> bool {
        let moved = (self.previous - self.level).abs() > 0.5;
        moved && self.is_whole && self.kind == Kind::Gauge && self.ranks.off() < HARDLY
    }

    /// Samples of an hour of the day: beyond what is counted as many as of any.
    pub(super) fn seen(&self, slot: usize) -> f32 {
        let count = f32::from(self.seen[slot]);
        if self.seen[slot] == u8::MAX { count.max(self.n as f32 / HOURS as f32) } else { count }
    }

    /// The part of working or rest days, as far as it is known.
    pub(super) fn of_day(&self, part: usize) -> f32 {
        let days = self.days(part);
        self.parts[part] * days / (days + 1.0)
    }

    /// Working or rest days seen after the first.
    pub(super) fn days(&self, part: usize) -> f32 {
        let all = (self.n as f32 * self.pace / DAY - 1.0).max(0.0);
        if part == 1 { self.rest_days } else { (all - self.rest_days).max(0.0) }
    }
}
