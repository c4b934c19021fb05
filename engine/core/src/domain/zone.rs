//! Time zones, by their IANA names.
use super::{schedule, time::Timestamp};
use jiff::{
    civil::{DateTime, Weekday},
    tz::TimeZone,
};
use quell_models::detectors::Moment;
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

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

    /// A moment as detectors see it: where there is no such year, as at its beginning.
    pub fn moment(&self, at: Timestamp) -> Moment {
        let local = self.local(at).unwrap_or(DateTime::MIN);
        let rests = matches!(local.weekday(), Weekday::Saturday | Weekday::Sunday);
        let day = local.weekday().to_monday_zero_offset().unsigned_abs();
        Moment { seconds: at.0.div_euclid(1_000), hour: local.hour().unsigned_abs(), day, rests }
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
