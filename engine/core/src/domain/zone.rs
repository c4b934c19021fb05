//! Time zones, by their IANA names.
use super::{
    schedule::{self, Days},
    time::Timestamp,
};
use jiff::{
    civil::{DateTime, datetime},
    tz::TimeZone,
};
use quell_models::detectors::Moment;
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// Days of the week, as of several.
pub const WEEKDAYS: [&str; 7] = ["Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays"];

/// A zone that is known: they are compiled in, and so part of the fold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone {
    name: Arc<str>,
    zone: TimeZone,
}

impl Zone {
    /// Universal time.
    pub fn utc() -> Self {
        Self { name: "UTC".into(), zone: TimeZone::UTC }
    }

    /// What the clocks there show; `None` where there is no such year.
    pub fn local(&self, at: Timestamp) -> Option<DateTime> {
        Some(self.zone.to_datetime(jiff::Timestamp::from_millisecond(at.0).ok()?))
    }

    /// Hours that clocks there have shown since a Monday, 00:00; `None` where there is no such year.
    pub fn hours(&self, at: Timestamp) -> Option<i64> {
        let since = self.local(at)?.duration_since(datetime(1969, 12, 29, 0, 0, 0, 0));
        Some(since.as_secs().div_euclid(3_600))
    }

    /// A moment as detectors see it, `holidays` as weekends: where there is no such year, as at its beginning.
    pub fn moment(&self, at: Timestamp, holidays: &Days) -> Moment {
        let local = self.local(at).unwrap_or(DateTime::MIN);
        let weekday = local.weekday().to_monday_zero_offset().unsigned_abs();
        let rests = weekday >= 5 || holidays.has(local.date());
        let (hour, minute) = (local.hour().unsigned_abs(), local.minute().unsigned_abs());
        Moment { seconds: at.0.div_euclid(1_000), hour, minute, weekday, rests }
    }
}

impl TryFrom<String> for Zone {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let zone = schedule::zone(&name).ok_or_else(|| format!("`{name}` is not known; write Europe/Berlin or UTC"))?;
        Ok(Self { name: name.into(), zone })
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.name.to_string()
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holidays_are_as_weekends_where_the_zone_is() -> Result<(), Box<dyn std::error::Error>> {
        let zone = Zone::try_from("Europe/Berlin".to_owned())?;
        let holidays = Days::try_from(vec!["12-25".to_owned()])?;
        let rests = |at: &str, holidays: &Days| -> Result<bool, jiff::Error> {
            let at = Timestamp(at.parse::<jiff::Timestamp>()?.as_millisecond());
            Ok(zone.moment(at, holidays).rests)
        };
        // A Friday, from the midnight of Berlin on.
        assert!(rests("2026-12-24T23:30:00Z", &holidays)? && !rests("2026-12-24T22:30:00Z", &holidays)?);
        assert!(!rests("2026-12-25T12:00:00Z", &Days::default())? && rests("2026-12-26T12:00:00Z", &Days::default())?);
        Ok(())
    }
}
