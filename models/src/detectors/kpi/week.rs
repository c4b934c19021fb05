//! What a series does at that hour of that day of the week, beyond what it does at that hour of any.
//!
//! For each of 7 × 24 hours `d`, the mean of `minmod(m, m')` over four weeks: `m` is by how much the hour as a whole was off from what habit has
//! without it, `m'` the same a week before, and `minmod` the one nearer to 0, or 0 where they differ in sign (Roe, 1986): what has happened once is
//! expected by nobody, and noise is mostly left out. It is learned from the first lasting departure after a week on, and used as long as
//! `|m − d|`, told before `m` is known, is on average below 0.9 of `|m|`, of what the base leaves, and of what the other working or rest days would (prequential errors: Dawid, 1984; exponential
//! weights of two weeks). Where it has not been for five weeks it is dropped, and not tried again for twelve.
use super::{HOURS, Moment};
use serde::{Deserialize, Serialize};

const DAYS: usize = 7;
const WORKING: usize = 5;
/// Hours of a week.
const WEEK: u16 = (DAYS * HOURS) as u16;
/// Weeks that a mean remembers.
const MEMORY: u16 = 4;
/// Hours before its errors count, those of which they have to be known, those that they remember, and those of no use until it is dropped.
const LEARNS: u16 = 2 * WEEK;
const JUDGED: u16 = 48;
const REMEMBERED: u16 = 2 * WEEK;
const IDLE: u16 = 5 * WEEK;
/// It is not tried again for so many days.
pub(super) const WAITS: u8 = 84;
/// The share of the other errors that may be left.
const MARGIN: f32 = 0.9;

/// What is known of a week: at most 1,400 bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Week {
    means: [[f32; HOURS]; DAYS],
    /// A week ago.
    last: [[f32; HOURS]; DAYS],
    /// This hour so far: which it is, its samples, and the sums of their distances from habit and from the base.
    at: (u8, u8),
    count: f32,
    sums: [f32; 2],
    /// Hours learned, and those of no use less those of use.
    hours: u16,
    idle: u16,
    /// Mean errors: its own, those of the other days of its kind, of habit, and of the base.
    errors: [f32; 4],
    is_used: bool,
}

impl Week {
    /// What is added to habit, where it is of use.
    pub fn adds(&self, at: Moment) -> Option<f32> {
        let (day, hour) = place(at)?;
        self.is_used.then(|| self.means[day][hour])
    }

    /// A sample was so far off from habit and from the base, both without it.
    pub fn learn(&mut self, at: Moment, off: [f32; 2]) {
        let Some((day, hour)) = place(at) else { return };
        let at = (day as u8, hour as u8);
        if at != self.at {
            self.end_hour();
            (self.at, self.count, self.sums) = (at, 0.0, [0.0; 2]);
        }
        self.count += 1.0;
        self.sums.iter_mut().zip(off).for_each(|(sum, off)| *sum += off);
    }

    /// It was of no use for so long that it is not kept.
    pub const fn is_idle(&self) -> bool {
        self.idle >= IDLE
    }

    fn end_hour(&mut self) {
        if self.count < 1.0 {
            return;
        }
        let [off, of_base] = self.sums.map(|sum| sum / self.count);
        let (day, hour) = (usize::from(self.at.0), usize::from(self.at.1));
        let of_others = self.others(day, hour);
        let (mean, last) = (&mut self.means[day][hour], &mut self.last[day][hour]);
        let now = [off - *mean, off - of_others, off, of_base];
        let both = if off * *last > 0.0 { off.abs().min(last.abs()).copysign(off) } else { 0.0 };
        // What was seen once has nothing to agree with.
        let weeks = self.hours / WEEK;
        *mean += if weeks > 0 { (both - *mean) / f32::from(weeks.min(MEMORY)) } else { 0.0 };
        *last = off;
        self.hours = self.hours.saturating_add(1);
        let judged = self.hours.saturating_sub(LEARNS);
        if judged > 0 {
            let step = 1.0 / f32::from(judged.min(REMEMBERED));
            self.errors.iter_mut().zip(now).for_each(|(error, now)| *error += step * (now.abs() - *error));
        }
        let [own, others @ ..] = self.errors;
        self.is_used = judged >= JUDGED && others.iter().all(|error| own < MARGIN * error);
        self.idle = if self.is_used { self.idle.saturating_sub(1) } else { self.idle + 1 };
    }

    /// The mean of that hour on the other working days, or on the other rest day.
    fn others(&self, day: usize, hour: usize) -> f32 {
        let (kind, count) = if day < WORKING { (0..WORKING, WORKING - 1) } else { (WORKING..DAYS, DAYS - WORKING - 1) };
        let all: f32 = kind.filter(|other| *other != day).map(|other| self.means[other][hour]).sum();
        all / count as f32
    }
}

/// Its day and hour; `None` on a holiday.
fn place(at: Moment) -> Option<(usize, usize)> {
    let (day, hour) = (usize::from(at.weekday) % DAYS, usize::from(at.hour) % HOURS);
    (at.rests == (day >= WORKING)).then_some((day, hour))
}
