//! A series and the figures that it is held against: of a KPI, or of a rule of the policy.
use super::{
    Finding, Measured,
    said::Said,
    series::{Sample, Series},
};
use crate::{
    domain::{
        alert::Fingerprint,
        kpi::{Kpi, KpiLevel},
        policy::Threshold,
        severity::Severity,
        threshold::{Bands, Number, Place},
        time::Timestamp,
    },
    scope::Cx,
};
use quell_models::detectors::Verdict;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, sync::Arc};

const WORD: &str = "threshold";
const SEVERITIES: [Severity; 5] =
    [Severity::Info, Severity::Warning, Severity::Minor, Severity::Major, Severity::Critical];

/// Whose figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum By {
    /// By its place in the policy.
    Rule(u32),
    Kpi {
        service: Arc<str>,
        kpi: Arc<str>,
    },
}

impl By {
    /// Figures of a policy are known by being the policy's: at most one rule holds for a series.
    pub const fn is_rule(&self) -> bool {
        matches!(self, Self::Rule(_))
    }

    fn is_like(&self, other: &Self) -> bool {
        (self.is_rule() && other.is_rule()) || self == other
    }
}

/// Where a series stands among some figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Crossing {
    pub by: By,
    /// A KPI of importance 0 is shown, and says nothing.
    quiet: bool,
    place: Place,
    /// When it last fired.
    said_at: Timestamp,
}

/// The figures and what surrounds them.
struct Figures<'a> {
    bands: Cow<'a, Bands>,
    title: &'a str,
    unit: &'a str,
}

impl Crossing {
    /// What a series is held against, with what was known of it before.
    pub fn all_of(series: &Series, before: &mut Vec<Self>, cx: &Cx<'_>) -> Vec<Self> {
        let names = [&*series.origin, &*series.entity, &*series.check, &*series.service];
        let kpis = cx.topology.kpis_of(&cx.core.name, names);
        let by_kpi = |(s, k): (&Arc<str>, &Kpi)| (By::Kpi { service: s.clone(), kpi: k.id.clone() }, k.importance == 0);
        let mut all: Vec<(By, bool)> = kpis.map(by_kpi).collect();
        // A KPI goes by its own thresholds.
        if all.is_empty() {
            let matches = |rule: &Threshold| rule.matches(&series.origin, &series.entity, &series.check);
            let rule = cx.policy.score.threshold.iter().position(matches);
            all.extend(rule.and_then(|rule| u32::try_from(rule).ok()).map(|rule| (By::Rule(rule), false)));
        }
        let mut one = |(by, quiet): (By, bool)| match before.iter().position(|old| old.by.is_like(&by)) {
            Some(known) => Self { by, quiet, ..before.swap_remove(known) },
            None => Self { by, quiet, place: Place::default(), said_at: Timestamp::MIN },
        };
        all.into_iter().map(&mut one).collect()
    }

    fn figures<'a>(&'a self, check: &'a str, cx: &Cx<'a>) -> Option<Figures<'a>> {
        match &self.by {
            By::Rule(rule) => {
                let rule = cx.policy.score.threshold.get(*rule as usize)?;
                Some(Figures { bands: Cow::Owned(rule.bands()), title: check, unit: "" })
            }
            By::Kpi { service, kpi } => {
                let kpi = cx.topology.kpi(&cx.core.name, service, kpi)?;
                Some(Figures { bands: Cow::Borrowed(&kpi.bands), title: &kpi.title, unit: &kpi.unit })
            }
        }
    }

    /// Of the alert that says it; `None` where there is nothing to say.
    fn severity(&self, band: u8) -> Option<Severity> {
        match self.by {
            By::Rule(_) => usize::from(band).checked_sub(1).and_then(|n| SEVERITIES.get(n)).copied(),
            By::Kpi { .. } if self.quiet => None,
            By::Kpi { .. } => KpiLevel::of_band(band).severity(),
        }
    }

    /// It says something of the series.
    pub fn speaks(&self) -> bool {
        self.severity(self.place.band).is_some()
    }

    /// Places a sample.
    pub fn judge(&mut self, series: &Series, sample: Sample, verdict: &Verdict, cx: &Cx<'_>, found: &mut Vec<Finding>) {
        let Sample { key, value, at } = sample;
        let Some(figures) = self.figures(&series.check, cx) else { return };
        let deviations = verdict.usual.filter(|_| figures.bands.adaptive).map(|_| verdict.deviations);
        let place = figures.bands.place(value, deviations, self.place);
        let (before, now) = (self.severity(self.place.band), self.severity(place.band));
        let again = at - self.said_at >= cx.policy.deduplicate.count_interval;
        let said = match (before, now) {
            (_, Some(severity)) if before != now || again => {
                let Figures { bands, title, unit } = figures;
                let blank = if unit.is_empty() { "" } else { " " };
                let (value, words) = (Number(value), bands.words(place.band));
                let summary = format!("{title} is {value}{blank}{unit} ({severity} {words})");
                Some((Some(severity), summary))
            }
            (Some(_), None) => Some((None, String::new())),
            _ => None,
        };
        self.place = place;
        if let Some((severity, summary)) = said {
            self.said_at = at;
            self.say(severity, summary, series, key, at, found);
        }
        self.measure(key, Some(KpiLevel::of_band(place.band)), value, found);
    }

    /// The series is not held against these figures any more.
    pub fn release(&self, series: &Series, key: Fingerprint, at: Timestamp, found: &mut Vec<Finding>) {
        if self.speaks() {
            self.say(None, String::new(), series, key, at, found);
        }
        self.measure(key, None, 0.0, found);
    }

    /// It is held against what was learned.
    pub fn is_adaptive(&self, series: &Series, cx: &Cx<'_>) -> bool {
        self.figures(&series.check, cx).is_some_and(|figures| figures.bands.adaptive)
    }

    /// What it has said holds no more, as another level is usual now.
    pub fn calm(&mut self, series: &Series, key: Fingerprint, at: Timestamp, found: &mut Vec<Finding>) {
        if self.speaks() {
            self.say(None, String::new(), series, key, at, found);
        }
        self.place = Place::default();
    }

    /// Tells its alert from others of the series.
    pub fn of(&self) -> Cow<'static, str> {
        match &self.by {
            By::Rule(_) => Cow::Borrowed(WORD),
            By::Kpi { service, kpi } => Cow::Owned(format!("kpi/{service}/{kpi}")),
        }
    }

    /// A KPI has a level by this series, or none.
    pub fn measure(&self, key: Fingerprint, level: Option<KpiLevel>, value: f64, found: &mut Vec<Finding>) {
        if let By::Kpi { service, kpi } = &self.by {
            let (service, kpi) = (service.clone(), kpi.clone());
            found.push(Finding::Kpi(Measured { service, kpi, series: key, level, value }));
        }
    }

    fn say(
        &self,
        severity: Option<Severity>,
        summary: String,
        series: &Series,
        key: Fingerprint,
        at: Timestamp,
        found: &mut Vec<Finding>,
    ) {
        let of = self.of();
        let (service, kpi) = match &self.by {
            By::Rule(_) => (None, None),
            By::Kpi { service, kpi } => (Some(&**service), Some(&**kpi)),
        };
        let said = match severity {
            Some(severity) => Said::firing(&of, WORD, severity, summary),
            None => Said::resolved(&of, WORD),
        };
        found.push(Said { service, kpi, ..said }.about(series, key, at));
    }
}
