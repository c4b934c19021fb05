//! CSV, row by row.
use crate::{commands::open, demo::text::clip};
use anyhow::{Context as _, bail, ensure};
use jiff::{civil::DateTime, tz::TimeZone};
use quell_core::domain::{
    schedule::Days,
    time::{Span, Timestamp},
    zone::Zone,
};
use quell_models::detectors::Moment;
use std::{
    io::{self, Read},
    path::Path,
};

/// What a column of times is called.
const TIMES: [&str; 3] = ["timestamp", "time", "date"];
/// What tools write where there is no value.
const MISSING: [&str; 5] = ["", "nan", "null", "none", "na"];

/// Where and when a series has its hours of the day and its days of rest.
#[derive(Clone, Debug, clap::Args)]
pub struct Calendar {
    /// Where the series has its hours of the day and its weekends
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = zone)]
    pub timezone: Zone,
    /// A day that is as a weekend, 12-25 or 2026-04-03; may be given again
    #[arg(long, value_name = "DAY")]
    pub holiday: Vec<String>,
}

impl Calendar {
    /// Moments there.
    ///
    /// # Errors
    /// Where a holiday is no day.
    pub fn moments(&self) -> anyhow::Result<impl Fn(Timestamp) -> Moment + '_> {
        let holidays = Days::try_from(self.holiday.clone()).map_err(anyhow::Error::msg)?;
        Ok(move |at| self.timezone.moment(at, &holidays))
    }
}

/// That rows are so far apart is said of those without times.
///
/// # Errors
/// Where it is, and all tell theirs.
pub fn is_needed(every: Option<Span>, all_timed: bool) -> anyhow::Result<()> {
    ensure!(every.is_none() || !all_timed, "--every: each sample tells its time already; leave it out");
    Ok(())
}

fn zone(name: &str) -> Result<Zone, String> {
    Zone::try_from(name.to_owned())
}

/// Larger numbers are no seconds but milliseconds: this is in the year 5138.
const SECONDS_MAX: f64 = 1e11;

/// Columns of a value that a message shows.
const SHOWN: usize = 60;

/// A row of a file.
#[derive(Debug)]
pub struct Row {
    pub at: Timestamp,
    /// As it stands there.
    pub told: String,
    /// `None` where there is none.
    pub values: Vec<Option<f64>>,
}

/// The rows of a file.
pub struct Rows {
    name: String,
    csv: csv::Reader<Box<dyn Read>>,
    record: csv::StringRecord,
    columns: usize,
    /// Between rows, where there is no column of times.
    every: Option<Span>,
    /// The next row's time, or the earliest it may have.
    next: Timestamp,
}

impl Rows {
    /// Of a file, or of stdin where it is `-`; without times its first row is at `from`.
    ///
    /// # Errors
    /// With the file, and what is wrong with its header.
    pub fn open(file: &Path, every: Option<Span>, from: Timestamp) -> anyhow::Result<Self> {
        let (name, input) = open(file, io::stdin())?;
        Self::read(&name, input, every, from)
    }

    /// Of `input`, which messages call `name`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn read(name: &str, input: Box<dyn Read>, every: Option<Span>, from: Timestamp) -> anyhow::Result<Self> {
        let name = name.to_owned();
        let mut csv = csv::Reader::from_reader(input);
        let header = csv.headers().with_context(|| name.clone())?;
        ensure!(!header.is_empty(), "{name}: no header");
        ensure!(every.is_none_or(|every| every > Span(0)), "--every: more than 0s");
        if let Some(other) = separator(header) {
            bail!("{name}: its columns are separated by {other}: CSV has commas between them, and a point in numbers");
        }
        let has_time = header.get(0).is_some_and(|first| TIMES.contains(&&*first.trim().to_ascii_lowercase()));
        ensure!(
            has_time || every.is_some(),
            "{name}: the first column is no `timestamp`: say how far apart rows are, as in --every 1m"
        );
        let (columns, every) = (header.len(), if has_time { None } else { every });
        let next = if has_time { Timestamp::MIN } else { from };
        Ok(Self { name, csv, record: csv::StringRecord::new(), columns, every, next })
    }

    /// What the file is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether rows tell their times.
    pub const fn has_time(&self) -> bool {
        self.every.is_none()
    }

    /// Columns of values.
    pub const fn series(&self) -> usize {
        self.columns - self.has_time() as usize
    }

    /// What the columns of values are called.
    pub fn names(&mut self) -> anyhow::Result<Vec<String>> {
        let header = self.csv.headers().with_context(|| self.name.clone())?;
        Ok(header.iter().skip(usize::from(self.every.is_none())).map(|name| name.trim().to_owned()).collect())
    }

    /// When the next row would be.
    pub const fn expects(&self) -> Timestamp {
        self.next
    }

    /// The next row; `None` at the end.
    ///
    /// # Errors
    /// With file, line and what is wrong.
    pub fn next(&mut self) -> anyhow::Result<Option<Row>> {
        if !self.csv.read_record(&mut self.record).with_context(|| self.name.clone())? {
            return Ok(None);
        }
        let line = self.record.position().map_or(0, csv::Position::line);
        let place = || format!("{}:{line}", self.name);
        let told = if self.has_time() { self.record.get(0).unwrap_or_default() } else { "" };
        let at = match self.every {
            Some(every) => {
                let at = self.next;
                self.next = at + every;
                at
            }
            None => {
                let at = time(told).with_context(|| {
                    let hint = if told.trim().parse::<f64>().is_ok() { ": numbers are Unix seconds" } else { "" };
                    format!("{}: `{}` is no time{hint}", place(), clip(told, SHOWN))
                })?;
                ensure!(at >= self.next, "{}: older than the row before it", place());
                self.next = at;
                at
            }
        };
        let mut values = Vec::with_capacity(self.series());
        for text in self.record.iter().skip(usize::from(self.has_time())) {
            let text = text.trim();
            match text.parse::<f64>() {
                Ok(value) if value.is_finite() => values.push(Some(value)),
                _ if MISSING.contains(&&*text.to_ascii_lowercase()) => values.push(None),
                _ => bail!("{}: `{}` is no number", place(), clip(text, SHOWN)),
            }
        }
        Ok(Some(Row { at, told: told.to_owned(), values }))
    }
}

/// What stands between columns where the header is one for want of commas.
fn separator(header: &csv::StringRecord) -> Option<&'static str> {
    let all = header.get(0).filter(|_| header.len() == 1)?;
    [(';', "`;`"), ('\t', "tabs"), ('|', "`|`")]
        .into_iter()
        .find(|(between, _)| all.contains(*between))
        .map(|found| found.1)
}

/// RFC 3339, the same with a space and without a zone (UTC), or Unix seconds.
fn time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return (seconds.abs() <= SECONDS_MAX).then_some(Timestamp((seconds * 1_000.0) as i64));
    }
    let zoned = text.parse::<jiff::Timestamp>().ok();
    let plain = || Some(text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp());
    Some(Timestamp(zoned.or_else(plain)?.as_millisecond()))
}
