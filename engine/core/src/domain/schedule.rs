//! When a maintenance window is open: once, or again and again by local time.
//!
//! A recurring window's times are those of its zone on that day; one that goes over midnight belongs to the day on which
//! it starts. Where a change of daylight saving takes a local time away, it moves forward by as much (as in RFC 5545,
//! section 3.3.10); where it comes twice, a start is the first and an end the last. The zones are compiled in, and so
//! part of the fold.
use super::time::Timestamp;
use jiff::{
    ToSpan as _,
    civil::{Date, DateTime, Time},
    tz::{TimeZone, TimeZoneDatabase},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, sync::Arc};

mod text;
use text::{Day, Hours};
pub use text::{Days, ScheduleError, ScheduleText};

/// How many days are looked at for the next occurrence, beside the exceptions: the rarest day, that of leap years, comes after eight at the latest.
const DAYS_AHEAD: usize = 3_000;
/// How many occurrences that touch are looked at for their end.
const TOUCHING_MAX: usize = 31;
/// An occurrence that is still open may have started so many days ago: it lasts a day at most, and a little more where
/// clocks change.
const DAYS_BACK: i64 = 2;

/// When a window is open. What is made from its text is valid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ScheduleText", into = "ScheduleText")]
pub enum Schedule {
    Once(Occurrence),
    Recurring(Box<Recurring>),
}

/// From its start until just before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Occurrence {
    pub start: Timestamp,
    pub end: Timestamp,
}

impl Occurrence {
    /// Whether it is open at `at`.
    pub fn covers(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }
}

/// The days and hours of a recurring window.
#[derive(Clone, Debug, PartialEq)]
pub struct Recurring {
    zone_name: Arc<str>,
    zone: TimeZone,
    /// Any of them; every day where there is none.
    days: Vec<Day>,
    times: Vec<Hours>,
    /// The first and the last day on which it starts.
    from: Option<Date>,
    until: Option<Date>,
    except: BTreeSet<Date>,
}

impl Schedule {
    /// It is over when it begins.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Once(once) if once.end <= once.start)
    }

    /// The occurrence that is open at `at`; of several the one that ends last.
    pub fn covering(&self, at: Timestamp) -> Option<Occurrence> {
        match self {
            Self::Once(once) => Some(*once).filter(|o| o.covers(at)),
            Self::Recurring(recurring) => recurring.covering(at),
        }
    }

    /// When it closes, where it is open at `at`; of occurrences that touch, when the last of them ends. `None` where it
    /// is not open, or where more touch than are looked at: it may never close.
    pub fn open_until(&self, at: Timestamp) -> Option<Timestamp> {
        let mut end = self.covering(at)?.end;
        for _ in 0..TOUCHING_MAX {
            match self.covering(end) {
                Some(next) => end = next.end,
                None => return Some(end),
            }
        }
        None
    }

    /// When it opens next after `at`.
    pub fn next_start(&self, at: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Once(once) => Some(once.start).filter(|start| *start > at),
            Self::Recurring(recurring) => recurring.next_start(at),
        }
    }

    /// When it is over for good, if it ever is.
    pub fn ends_at(&self) -> Option<Timestamp> {
        match self {
            Self::Once(once) => Some(once.end),
            // Its last occurrence may end on the day after.
            Self::Recurring(recurring) => {
                let after = recurring.until?.checked_add(DAYS_BACK.days()).ok()?;
                recurring.moment(after.at(0, 0, 0, 0), Edge::End)
            }
        }
    }
}

/// Which of two moments with one local time is meant.
#[derive(Clone, Copy)]
enum Edge {
    Start,
    End,
}

impl Recurring {
    fn covering(&self, at: Timestamp) -> Option<Occurrence> {
        let today = self.date(at)?;
        let days = (0..=DAYS_BACK).filter_map(|back| today.checked_sub(back.days()).ok());
        let open = days.flat_map(|date| self.on(date)).filter(|o| o.covers(at));
        open.max_by_key(|o| (o.end, o.start))
    }

    fn next_start(&self, at: Timestamp) -> Option<Timestamp> {
        // A time that was moved forward may have crossed midnight.
        let yesterday = self.date(at)?.checked_sub(1.days()).ok()?;
        let first = self.from.map_or(yesterday, |from| from.max(yesterday));
        let until = self.until.unwrap_or(Date::MAX);
        let days = first.series(1.days()).take_while(|date| *date <= until).take(DAYS_AHEAD + self.except.len());
        let mut starts = days.map(|date| self.on(date).map(|o| o.start).filter(|start| *start > at).min());
        starts.find_map(|start| start)
    }

    fn date(&self, at: Timestamp) -> Option<Date> {
        let at = jiff::Timestamp::from_millisecond(at.0).ok()?;
        Some(self.zone.to_datetime(at).date())
    }

    /// The occurrences that start on a day.
    fn on(&self, date: Date) -> impl Iterator<Item = Occurrence> {
        let hours = if self.is_on(date) { &self.times[..] } else { &[] };
        hours.iter().filter_map(move |hours| {
            let last = if hours.over_midnight() { date.tomorrow().ok()? } else { date };
            let start = self.moment(at(date, hours.start), Edge::Start)?;
            let end = self.moment(at(last, hours.end), Edge::End)?;
            Some(Occurrence { start, end }).filter(|o| o.start < o.end)
        })
    }

    fn is_on(&self, date: Date) -> bool {
        self.from.is_none_or(|from| from <= date)
            && self.until.is_none_or(|until| date <= until)
            && (self.days.is_empty() || self.days.iter().any(|day| day.is(date)))
            && !self.except.contains(&date)
    }

    fn moment(&self, local: DateTime, edge: Edge) -> Option<Timestamp> {
        let ambiguous = self.zone.to_ambiguous_timestamp(local);
        let at = match edge {
            Edge::Start => ambiguous.compatible(),
            Edge::End => ambiguous.later(),
        };
        at.ok().map(|at| Timestamp(at.as_millisecond()))
    }
}

fn at(date: Date, time: Time) -> DateTime {
    date.to_datetime(time)
}

pub(super) fn zone(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok()
}

#[cfg(test)]
mod tests;
