//! A KPI: a measured series that tells how well a service does.
use super::{
    schedule::Schedule,
    severity::Severity,
    threshold::{Bands, During, figures, validate_during},
};
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// The importance of a KPI whose critical level makes its service critical, whatever the rest (Splunk ITSI's minimum
/// health indicator).
pub const IMPORTANCE_MAX: u8 = 11;

/// How a KPI does, ordered: the worst is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KpiLevel {
    /// Worth knowing; no part of the score.
    Info,
    Normal,
    Low,
    Medium,
    High,
    Critical,
}

impl KpiLevel {
    /// The mildest first.
    pub const ALL: [Self; 6] = [Self::Info, Self::Normal, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// Of the band of its thresholds that the series is in.
    pub const fn of_band(band: u8) -> Self {
        match band {
            0 => Self::Normal,
            1 => Self::Info,
            2 => Self::Low,
            3 => Self::Medium,
            4 => Self::High,
            _ => Self::Critical,
        }
    }

    /// What it contributes to its service's score, 0 to 100 ("How service health scores work", Splunk ITSI 4.4); `None`
    /// where it is left out.
    pub const fn score(self) -> Option<i32> {
        match self {
            Self::Info => None,
            Self::Normal => Some(100),
            Self::Low => Some(70),
            Self::Medium => Some(50),
            Self::High => Some(30),
            Self::Critical => Some(0),
        }
    }

    /// Of the alert that says it; `None` where there is nothing to say.
    pub const fn severity(self) -> Option<Severity> {
        match self {
            Self::Info | Self::Normal => None,
            Self::Low => Some(Severity::Warning),
            Self::Medium => Some(Severity::Minor),
            Self::High => Some(Severity::Major),
            Self::Critical => Some(Severity::Critical),
        }
    }

    /// In lower case: `high`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Normal => "normal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for KpiLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A KPI as people write it in the topology.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KpiEntry {
    /// Unique in its service.
    pub id: Arc<str>,
    /// For people; the id without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Arc<str>>,
    pub series: SeriesEntry,
    /// 0 is left out of the score and says nothing, 1 to 10 weigh, 11 makes the service critical when it is critical.
    #[serde(default = "importance")]
    pub importance: u8,
    /// Behind the value, for people: `ms`.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub unit: Arc<str>,
    pub thresholds: ThresholdsEntry,
}

const fn importance() -> u8 {
    5
}

/// Which series a KPI is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesEntry {
    /// Any origin without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Arc<str>>,
    /// Without it, the entities that the service rests on, and samples that name the service; the worst counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<Arc<str>>,
    pub check: Arc<str>,
}

figures! {
    /// Where a KPI's levels begin.
    ThresholdsEntry {
        /// Others while a schedule is open; the first that is holds.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        during: Vec<DuringEntry>,
    }
    info low medium high critical
}

figures! {
    /// Where they begin while a schedule is open.
    DuringEntry {
        name: Arc<str>,
        schedule: Schedule,
    }
    info low medium high critical
}

/// A KPI, valid.
#[derive(Clone, Debug, PartialEq)]
pub struct Kpi {
    pub id: Arc<str>,
    pub title: Arc<str>,
    pub series: SeriesEntry,
    pub importance: u8,
    pub unit: Arc<str>,
    pub bands: Bands,
    /// Instead, while they are open.
    pub during: Vec<During>,
}

impl Kpi {
    /// Reads an entry.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn new(entry: &KpiEntry) -> Result<Self, String> {
        if entry.series.check.is_empty() {
            return Err("series.check is empty".to_owned());
        }
        if entry.importance > IMPORTANCE_MAX {
            return Err(format!("importance {}: from 0 to {IMPORTANCE_MAX}", entry.importance));
        }
        let bands = entry.thresholds.bands();
        bands.validate().map_err(|reason| format!("thresholds: {reason}"))?;
        let valid =
            |one: &DuringEntry| During { name: one.name.clone(), schedule: one.schedule.clone(), bands: one.bands() };
        let during: Vec<During> = entry.thresholds.during.iter().map(valid).collect();
        validate_during(&during).map_err(|reason| format!("thresholds.{reason}"))?;
        Ok(Self {
            id: entry.id.clone(),
            title: entry.title.clone().unwrap_or_else(|| entry.id.clone()),
            series: entry.series.clone(),
            importance: entry.importance,
            unit: entry.unit.clone(),
            bands,
            during,
        })
    }
}
