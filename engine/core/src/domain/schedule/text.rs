//! Schedules as people write them.
use super::{Occurrence, Recurring, Schedule, zone};
use crate::domain::time::Timestamp;
use jiff::civil::{Date, Time, Weekday};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, str::FromStr};

/// Entries of each list: what bounds a window.
const ENTRIES_MAX: usize = 366;

/// A schedule as people write it: `start` and `end`, or `timezone` and `times` with `days`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleText {
    /// RFC 3339, with an offset.
    pub start: Option<String>,
    pub end: Option<String>,
    /// An IANA name: `Europe/Berlin`.
    pub timezone: Option<String>,
    /// `sat`, `15` (of the month), `-1` (its last), `2nd tue`, `last fri`, `12-25` (of each year), `2026-04-03`; any of them, every day without
    /// one.
    pub days: Vec<String>,
    /// `22:00-04:00`
    pub times: Vec<String>,
    /// The first day: `2026-01-01`.
    pub from: Option<String>,
    /// The last day.
    pub until: Option<String>,
    /// Days on which it does not start.
    pub except: Vec<String>,
}

/// Why a text is no schedule: `times: …`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}: {1}")]
pub struct ScheduleError(&'static str, String);

/// A day on which a window starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Day {
    Weekday(Weekday),
    /// From 1, or from -1 backwards.
    OfMonth(i8),
    /// The first to the fifth of a month, or the last (-1).
    Nth(i8, Weekday),
    /// Month and day, of each year.
    OfYear(i8, i8),
    On(Date),
}

impl Day {
    pub fn is(self, date: Date) -> bool {
        match self {
            Self::Weekday(day) => date.weekday() == day,
            Self::OfMonth(day) if day > 0 => date.day() == day,
            Self::OfMonth(day) => date.day() == date.days_in_month() + 1 + day,
            Self::Nth(nth, day) => date.nth_weekday_of_month(nth, day).is_ok_and(|found| found == date),
            Self::OfYear(month, day) => (date.month(), date.day()) == (month, day),
            Self::On(day) => date == day,
        }
    }
}

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];
const ORDINALS: [(&str, i8); 6] = [("1st", 1), ("2nd", 2), ("3rd", 3), ("4th", 4), ("5th", 5), ("last", -1)];

fn named<T: Copy>(names: &[(&str, T)], name: &str) -> Option<T> {
    names.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

fn name_of<T: PartialEq>(names: &[(&'static str, T)], value: &T) -> &'static str {
    names.iter().find(|(_, known)| known == value).map_or("", |(name, _)| name)
}

/// Some days, as people write them: `["12-25", "2026-04-03"]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Days(Vec<Day>);

impl Days {
    /// None.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a day is one of them.
    pub fn has(&self, date: Date) -> bool {
        self.0.iter().any(|day| day.is(date))
    }
}

impl TryFrom<Vec<String>> for Days {
    type Error = ScheduleError;

    fn try_from(texts: Vec<String>) -> Result<Self, ScheduleError> {
        all("days", &texts).map(Self)
    }
}

impl From<Days> for Vec<String> {
    fn from(days: Days) -> Self {
        days.0.iter().map(ToString::to_string).collect()
    }
}

impl FromStr for Day {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lower = text.trim().to_ascii_lowercase();
        let found = match lower.split_once(' ') {
            Some((nth, day)) => named(&ORDINALS, nth).zip(named(&WEEKDAYS, day)).map(|(nth, day)| Self::Nth(nth, day)),
            None => named(&WEEKDAYS, &lower).map(Self::Weekday).or_else(|| of_number(&lower)),
        };
        found.ok_or_else(|| {
            format!("`{text}` is no day; write mon, 15, -1 (the last), 2nd tue, last fri, 12-25 or 2026-12-25")
        })
    }
}

/// `15`, `-1`, `12-25`, `2026-12-25`
fn of_number(text: &str) -> Option<Day> {
    if let Ok(day) = text.parse::<i8>() {
        return (1..=31).contains(&day.unsigned_abs()).then_some(Day::OfMonth(day));
    }
    if let Some((month, day)) = text.split_once('-')
        && let (Ok(month), Ok(day)) = (month.parse(), day.parse())
    {
        // A leap year has all days.
        return Date::new(2024, month, day).is_ok().then_some(Day::OfYear(month, day));
    }
    text.parse().ok().map(Day::On)
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Weekday(day) => f.write_str(name_of(&WEEKDAYS, day)),
            Self::OfMonth(day) => write!(f, "{day}"),
            Self::Nth(nth, day) => write!(f, "{} {}", name_of(&ORDINALS, nth), name_of(&WEEKDAYS, day)),
            Self::OfYear(month, day) => write!(f, "{month:02}-{day:02}"),
            Self::On(day) => write!(f, "{day}"),
        }
    }
}

/// From a local time to one of the same day or the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Hours {
    pub start: Time,
    pub end: Time,
}

impl Hours {
    /// It ends on the day after.
    pub fn over_midnight(self) -> bool {
        self.end <= self.start
    }
}

impl FromStr for Hours {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || format!("`{text}` is no span of hours; write 22:00-04:00");
        let (start, end) = text.split_once('-').ok_or_else(error)?;
        let time = |text: &str| {
            let (hour, minute) = text.trim().split_once(':')?;
            Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
        };
        // 24:00 is the midnight at which the next day begins.
        let to_midnight = end.trim() == "24:00";
        let end = if to_midnight { Some(Time::midnight()) } else { time(end) };
        let hours = time(start).zip(end).map(|(start, end)| Self { start, end }).ok_or_else(error)?;
        // Who writes the same time twice means no time at all more often than a whole day.
        if hours.start == hours.end && !to_midnight {
            return Err(format!("`{text}` ends when it starts; write 00:00-24:00 for the whole day"));
        }
        Ok(hours)
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-", self.start.strftime("%H:%M"))?;
        if self.end == Time::midnight() { f.write_str("24:00") } else { write!(f, "{}", self.end.strftime("%H:%M")) }
    }
}

fn all<T: FromStr<Err = String>>(key: &'static str, texts: &[String]) -> Result<Vec<T>, ScheduleError> {
    if texts.len() > ENTRIES_MAX {
        return Err(ScheduleError(key, format!("{} of them: at most {ENTRIES_MAX}", texts.len())));
    }
    texts.iter().map(|text| text.parse().map_err(|error| ScheduleError(key, error))).collect()
}

fn date(key: &'static str, text: &str) -> Result<Date, ScheduleError> {
    text.parse().map_err(|_| ScheduleError(key, format!("`{text}` is no day; write 2026-12-24")))
}

fn moment(key: &'static str, text: &str) -> Result<Timestamp, ScheduleError> {
    let parsed = text.parse::<jiff::Timestamp>();
    let error = |_| ScheduleError(key, format!("`{text}` is no time with an offset; write 2026-03-01T22:00:00+01:00"));
    parsed.map(|at| Timestamp(at.as_millisecond())).map_err(error)
}

impl TryFrom<ScheduleText> for Schedule {
    type Error = ScheduleError;

    fn try_from(text: ScheduleText) -> Result<Self, ScheduleError> {
        match (&text.start, &text.end) {
            (None, None) => recurring(&text).map(|recurring| Self::Recurring(Box::new(recurring))),
            (Some(start), Some(end)) => {
                let recurs = ScheduleText { start: None, end: None, ..text.clone() } != ScheduleText::default();
                if recurs {
                    return Err(ScheduleError("start", "a window is either once or recurring".to_owned()));
                }
                let once = Occurrence { start: moment("start", start)?, end: moment("end", end)? };
                // One that was ended before it began never opens, and has to be read back.
                if once.end < once.start {
                    return Err(ScheduleError("end", "not after its start".to_owned()));
                }
                Ok(Self::Once(once))
            }
            (None, Some(_)) => Err(ScheduleError("start", "missing beside the end".to_owned())),
            (Some(_), None) => Err(ScheduleError("end", "missing beside the start".to_owned())),
        }
    }
}

fn recurring(text: &ScheduleText) -> Result<Recurring, ScheduleError> {
    let name = text.timezone.as_deref().ok_or_else(|| {
        ScheduleError("timezone", "missing; write start and end, or timezone, days and times".to_owned())
    })?;
    let unknown = || ScheduleError("timezone", format!("`{name}` is not known; write Europe/Berlin or UTC"));
    let times: Vec<Hours> = all("times", &text.times)?;
    if times.is_empty() {
        return Err(ScheduleError(
            "times",
            "at least one, such as 22:00-04:00; 00:00-24:00 is the whole day".to_owned(),
        ));
    }
    if text.except.len() > ENTRIES_MAX {
        return Err(ScheduleError("except", format!("{} of them: at most {ENTRIES_MAX}", text.except.len())));
    }
    let recurring = Recurring {
        zone_name: name.into(),
        zone: zone(name).ok_or_else(unknown)?,
        days: all("days", &text.days)?,
        times,
        from: text.from.as_deref().map(|day| date("from", day)).transpose()?,
        until: text.until.as_deref().map(|day| date("until", day)).transpose()?,
        except: text.except.iter().map(|day| date("except", day)).collect::<Result<BTreeSet<_>, _>>()?,
    };
    match (recurring.from, recurring.until) {
        (Some(from), Some(until)) if until < from => Err(ScheduleError("until", "before `from`".to_owned())),
        _ => Ok(recurring),
    }
}

impl From<Schedule> for ScheduleText {
    fn from(schedule: Schedule) -> Self {
        match schedule {
            Schedule::Once(once) => {
                let written = |at: Timestamp| {
                    let at = jiff::Timestamp::from_millisecond(at.0);
                    // What came from text has a place among the times that can be written.
                    Some(at.unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string())
                };
                Self { start: written(once.start), end: written(once.end), ..Self::default() }
            }
            Schedule::Recurring(recurring) => Self {
                timezone: Some(recurring.zone_name.to_string()),
                days: recurring.days.iter().map(ToString::to_string).collect(),
                times: recurring.times.iter().map(ToString::to_string).collect(),
                from: recurring.from.map(|day| day.to_string()),
                until: recurring.until.map(|day| day.to_string()),
                except: recurring.except.iter().map(ToString::to_string).collect(),
                ..Self::default()
            },
        }
    }
}
