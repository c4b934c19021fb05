//! Whether something comes at its hour: of each day, or of one day of the week.
//!
//! For each hour of the day a bit is kept for each of the last 32 days: whether it came then. When it comes, the windows are looked at that hold the present hour:
//! one of one hour and two of two, of each day and of this day of the week. Of a window
//!
//! ```text
//! k = times, the present one among them, on which it came in it      n = k + hours with it outside
//! P = 6 · P(B(n − 1, w) ≥ k − 1),   w = the window's share of a day or week
//! ```
//!
//! is how likely so many of the others would fall where the present one does if it came at any time: the exact binomial tail, by the number
//! of windows (Dunn, "Multiple comparisons among means", 1961). It comes at its hour where `P` is at most a thousandth, and it came on three in five at least of the last
//! 10 days, or in three in four of the last 4 weeks, that it is known for. So it is recognised on the fourth day, or in the third week. Rayleigh's test for the circle
//! (Zar, Biostatistical Analysis, section 27.1) would take what comes in working hours for it, and misses a nightly job that is restarted at noon.
//!
//! ```
//! use quell_models::rhythm::{Hour, Rhythm};
//!
//! // A backup at two each night.
//! let mut backup = Rhythm::new(0);
//! assert!((0..3).all(|day| backup.come(Hour { day, hour: 2 }).is_none()));
//! let habit = backup.come(Hour { day: 3, hour: 2 }).expect("the fourth night");
//! assert_eq!((habit.weekly, habit.from, habit.came, habit.of), (false, 2, 4, 4));
//! assert_eq!(backup.come(Hour { day: 3, hour: 15 }), None);
//! ```
use serde::{Deserialize, Serialize};

const HOURS: usize = 24;
/// Days that are remembered: bits of a mask.
pub const DAYS: u32 = 32;
const WEEK: u32 = 7;
/// Windows that hold an hour.
const WINDOWS: f64 = 6.0;
/// In millionths: how likely it is by chance, at most.
const CHANCE_MAX: u32 = 1_000;
/// It is held against so many of the last days, or weeks,
const DAYS_MAX: u32 = 10;
const WEEKS_MAX: u32 = 4;
/// and came on this share of them, at least.
const DAYS_SHARE: (u32, u32) = (3, 5);
const WEEKS_SHARE: (u32, u32) = (3, 4);
/// The days of its weekday, from the present one back.
const WEEKDAY: u32 = 0x1020_4081;

/// An hour on a day, where people live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hour {
    /// From anywhere, one a day.
    pub day: i32,
    /// 0 to 23.
    pub hour: u8,
}

/// It comes at its hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Habit {
    /// Of this day of the week; else of each day.
    pub weekly: bool,
    /// From this hour on,
    pub from: u8,
    /// for so many.
    pub hours: u8,
    /// On so many of its last days or weeks, the present one among them,
    pub came: u8,
    /// of so many.
    pub of: u8,
}

/// When something came: 104 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rhythm {
    /// By hour: bit n is n days before the last.
    came: [u32; HOURS],
    last: i32,
    first: i32,
}

impl Rhythm {
    /// Of what has not come yet, and is about to.
    pub const fn new(day: i32) -> Self {
        Self { came: [0; HOURS], last: day, first: day }
    }

    /// It comes. `None` where that is not its hour, or before one at which it came already.
    pub fn come(&mut self, at: Hour) -> Option<Habit> {
        let hour = usize::from(at.hour) % HOURS;
        let passed = at.day.saturating_sub(self.last);
        if passed > 0 {
            let older = |mask: &mut u32| *mask = mask.checked_shl(passed.unsigned_abs()).unwrap_or(0);
            self.came.iter_mut().for_each(older);
            self.last = at.day;
        }
        let ago = self.last.saturating_sub(at.day).unsigned_abs();
        self.came[hour] |= 1_u32.checked_shl(ago).unwrap_or(0);
        self.first = self.first.min(at.day);
        if ago > 0 { None } else { self.habit(hour) }
    }

    /// The day on which it came last.
    pub const fn last_day(&self) -> i32 {
        self.last
    }

    fn habit(&self, hour: usize) -> Option<Habit> {
        let before = (hour + HOURS - 1) % HOURS;
        let windows = [(hour, 1), (hour, 2), (before, 2)];
        [false, true].into_iter().find_map(|weekly| windows.into_iter().find_map(|(from, n)| self.of(from, n, weekly)))
    }

    /// Whether it comes in a window.
    fn of(&self, from: usize, hours: usize, weekly: bool) -> Option<Habit> {
        let days = if weekly { WEEKDAY } else { u32::MAX };
        let of_window = (from..from + hours).fold(0, |all, hour| all | self.came[hour % HOURS]) & days;
        let inside = of_window.count_ones();
        let is_outside = |hour: usize| (hour + HOURS - from) % HOURS >= hours;
        let others = |(hour, mask): (usize, &u32)| if is_outside(hour) { *mask } else { *mask & !days };
        let outside: u32 = self.came.iter().enumerate().map(others).map(u32::count_ones).sum();
        let known =
            self.last.saturating_sub(self.first).unsigned_abs().min(DAYS - 1) / if weekly { WEEK } else { 1 } + 1;
        let (max, share) = if weekly { (WEEKS_MAX, WEEKS_SHARE) } else { (DAYS_MAX, DAYS_SHARE) };
        let of = known.min(max);
        let latest = of_window & recent(if weekly { of * WEEK } else { of });
        let came = latest.count_ones();
        if came * share.1 < of * share.0 {
            return None;
        }
        let part = hours as f64 / if weekly { (WEEK as usize * HOURS) as f64 } else { HOURS as f64 };
        let chance = WINDOWS * tail(inside + outside - 1, inside - 1, part);
        let is_chance = (chance * 1e6 + 0.5) as u32 > CHANCE_MAX;
        let habit = Habit { weekly, from: from as u8, hours: hours as u8, came: came as u8, of: of as u8 };
        (!is_chance).then_some(habit)
    }
}

/// So many of the last days.
const fn recent(days: u32) -> u32 {
    if days >= DAYS { u32::MAX } else { (1 << days) - 1 }
}

/// The probability of at least `k` of `n` where each comes with `p`, 0 < p < 1.
fn tail(n: u32, k: u32, p: f64) -> f64 {
    if k == 0 {
        return 1.0;
    }
    let (all, came) = (f64::from(n), f64::from(k));
    let choose = libm::lgamma(all + 1.0) - libm::lgamma(came + 1.0) - libm::lgamma(all - came + 1.0);
    let mut term = libm::exp(choose + came * libm::log(p) + (all - came) * libm::log1p(-p));
    let mut sum = 0.0;
    for came in k..=n {
        sum += term;
        term *= f64::from(n - came) / f64::from(came + 1) * p / (1.0 - p);
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What came of the last of these.
    fn habit(all: impl IntoIterator<Item = (i32, u8)>) -> Option<Habit> {
        let mut rhythm = Rhythm::new(0);
        all.into_iter().fold(None, |_, (day, hour)| rhythm.come(Hour { day, hour }))
    }

    const fn daily(from: u8, hours: u8, came: u8, of: u8) -> Option<Habit> {
        Some(Habit { weekly: false, from, hours, came, of })
    }

    #[test]
    fn the_tail_is_the_binomial_tail() {
        let exact = |n: u32, k: u32, p: f64| {
            let mut likely = vec![0.0; n as usize + 1];
            likely[0] = 1.0;
            for _ in 0..n {
                for came in (0..n as usize).rev() {
                    likely[came + 1] = likely[came + 1] * (1.0 - p) + likely[came] * p;
                }
                likely[0] *= 1.0 - p;
            }
            likely[k as usize..].iter().sum::<f64>()
        };
        for (n, k, p) in
            [(3, 3, 1.0 / 24.0), (10, 2, 1.0 / 12.0), (300, 30, 1.0 / 24.0), (700, 29, 1.0 / 24.0), (5, 0, 0.5)]
        {
            let (found, expected) = (tail(n, k, p), exact(n, k, p));
            assert!((found / expected - 1.0).abs() < 1e-9, "{k} of {n}: {found}, not {expected}");
        }
    }

    #[test]
    fn what_comes_each_night_is_recognised_on_the_fourth() {
        let nights = |n: i32| habit((0..n).map(|day| (day, 2)));
        assert_eq!((nights(3), nights(4), nights(30)), (None, daily(2, 1, 4, 4), daily(2, 1, 10, 10)));
        // It may come before or after the full hour, and on working days only.
        assert_eq!(habit((0..6).map(|day| (day, if day % 2 == 0 { 23 } else { 0 }))), daily(23, 2, 6, 6));
        assert_eq!(habit((0..26).filter(|day| day % 7 < 5).map(|day| (day, 2))), daily(2, 1, 8, 10));
    }

    #[test]
    fn what_comes_each_monday_is_recognised_on_the_third() {
        let weeks = |n: i32| habit((0..n).map(|week| (7 * week, 6)));
        let weekly = |came| Some(Habit { weekly: true, from: 6, hours: 1, came, of: came });
        assert_eq!((weeks(2), weeks(3), weeks(4), weeks(20)), (None, weekly(3), weekly(4), weekly(4)));
    }

    #[test]
    fn other_hours_are_not_its_hour() {
        let nights = (0..20).map(|day| (day, 2));
        assert_eq!(habit(nights.clone().chain([(19, 14)])), None, "it comes at another hour");
        assert_eq!(habit((0..20).flat_map(|day| (0..24).map(move |hour| (day, hour)))), None, "at every hour");
        assert_eq!(habit((0..28).map(|day| (day, (day * 7 % 24) as u8))), None, "once a day, anywhere");
        let working = (0..28).map(|day| (day, 9 + (day * 5 % 8) as u8));
        assert_eq!(habit(working), None, "in working hours");
        // A night's job that also comes by day is one all the same.
        let both = (0..20).flat_map(|day| [(day, 2), (day, 8 + (day * 5 % 12) as u8)]);
        assert_eq!(habit(both.chain([(20, 2)])), daily(2, 1, 10, 10));
    }

    #[test]
    fn what_stops_is_forgotten() {
        let mut rhythm = Rhythm::new(0);
        (0..20).for_each(|day| assert!(rhythm.come(Hour { day, hour: 2 }).is_none_or(|habit| !habit.weekly)));
        assert_eq!(rhythm.come(Hour { day: 26, hour: 2 }), None, "it came on 4 of the last 10 days");
        assert_eq!(rhythm.come(Hour { day: 20, hour: 2 }), None, "it comes late");
        assert_eq!((rhythm.last_day(), rhythm.came[2].count_ones()), (26, 22));
        assert_eq!(rhythm.come(Hour { day: i32::MAX, hour: 255 }), None);
        assert_eq!(rhythm.come(Hour { day: i32::MIN, hour: 7 }), None);
        assert_eq!(rhythm.came.iter().map(|mask| mask.count_ones()).sum::<u32>(), 1);
        assert_eq!(size_of::<Rhythm>(), 104);
    }
}
