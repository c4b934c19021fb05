//! What is unusual at the same hours day after day: what keeps coming at its hour is usual there.
use quell_models::detectors::Moment;
use serde::{Deserialize, Serialize};

const HOURS: u32 = 24;
const DAY: u32 = (1 << HOURS) - 1;

/// Hours of a day as bits: of this one, of the last two working ones, and of the last two at rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recurring {
    weekday: u8,
    rests: bool,
    today: u32,
    before: [[u32; 2]; 2],
}

impl Recurring {
    /// A day is over where the moment is of another.
    pub fn turn(&mut self, at: Moment) {
        if at.weekday != self.weekday {
            let before = &mut self.before[usize::from(self.rests)];
            *before = [self.today, before[0]];
            self.today = 0;
        }
        (self.weekday, self.rests) = (at.weekday, at.rests);
    }

    /// It is unusual now.
    pub fn note(&mut self, at: Moment) {
        self.today |= bit(at);
    }

    /// Whether it was on the last two days of this kind too, an hour sooner or later at most.
    pub fn comes(&self, at: Moment) -> bool {
        let [last, but_one] = self.before[usize::from(at.rests)].map(around);
        last & but_one & bit(at) != 0
    }
}

fn bit(at: Moment) -> u32 {
    1 << (u32::from(at.hour) % HOURS)
}

/// These hours, and those beside them.
const fn around(hours: u32) -> u32 {
    (hours | hours << 1 | hours >> (HOURS - 1) | hours >> 1 | hours << (HOURS - 1)) & DAY
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1970-01-05, a Monday.
    fn moment(day: i64, hour: i64) -> Moment {
        Moment::utc((day + 4) * 86_400 + hour * 3_600)
    }

    fn after(days: &[(i64, i64)]) -> Recurring {
        let mut found = Recurring::default();
        for day in 0..days.last().map_or(0, |(day, _)| day + 1) {
            for hour in 0..24 {
                found.turn(moment(day, hour));
                if days.contains(&(day, hour)) {
                    found.note(moment(day, hour));
                }
            }
        }
        found
    }

    fn comes(mut recurring: Recurring, day: i64, hour: i64) -> bool {
        recurring.turn(moment(day, 0));
        recurring.comes(moment(day, hour))
    }

    #[test]
    fn what_came_on_two_days_comes_on_the_third() {
        let twice = after(&[(0, 8), (1, 8)]);
        assert!(comes(twice, 2, 8) && comes(twice, 2, 9) && comes(twice, 2, 7) && !comes(twice, 2, 10));
        assert!(!comes(after(&[(0, 8)]), 1, 8), "once is no habit");
        assert!(!comes(after(&[(0, 8), (2, 8)]), 3, 8), "a day between");
        assert!(comes(after(&[(0, 23), (1, 0)]), 2, 0), "midnight is an hour like others");
    }

    #[test]
    fn days_at_rest_lie_between_working_ones() {
        let mut week = after(&[(3, 8), (4, 8)]);
        for day in [5, 6] {
            week.turn(moment(day, 0));
            assert!(!week.comes(moment(day, 8)), "a weekend is of another kind");
        }
        assert!(comes(week, 7, 8));
    }
}
