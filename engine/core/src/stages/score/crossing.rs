//! A series and the figures that it is held against: of a KPI, or of a rule of the policy.
use super::{
    Finding, Measured,
    said::Said,
    series::{Sample, Series, judged},
};
use crate::{
    domain::{
        alert::Fingerprint,
        kpi::{Kpi, KpiLevel},
        policy::{Threshold, ThresholdDuring},
        severity::Severity,
        threshold::{Adaptive, Bands, Known, Place, holding},
        time::Timestamp,
    },
    scope::Cx,
};
use quell_models::{detectors::Verdict, distribution::Distribution};
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

    pub fn is_like(&self, other: &Self) -> bool {
        (self.is_rule() && other.is_rule()) || self == other
    }

    /// The figures that hold at a time.
    pub fn figures<'a>(&self, check: &'a str, at: Timestamp, cx: &Cx<'a>) -> Option<Figures<'a>> {
        match self {
            Self::Rule(rule) => {
                let rule = cx.policy.score.threshold.get(*rule as usize)?;
                let during = holding(&rule.during, |one| &one.schedule, at);
                let bands = Cow::Owned(during.map_or_else(|| rule.bands(), ThresholdDuring::bands));
                Some(Figures { bands, during: during.map_or("", |one| &one.name), title: check, unit: "" })
            }
            Self::Kpi { service, kpi } => {
                let kpi = cx.topology.kpi(&cx.core.name, service, kpi)?;
                let during = holding(&kpi.during, |one| &one.schedule, at);
                let bands = Cow::Borrowed(during.map_or(&kpi.bands, |one| &one.bands));
                let during = during.map_or("", |one| &one.name);
                Some(Figures { bands, during, title: &kpi.title, unit: &kpi.unit })
            }
        }
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
    /// What adaptive figures go by.
    learned: Vec<Learned>,
}

/// The values of the times at which some figures hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Learned {
    /// The time policy, or empty for all other times.
    during: Arc<str>,
    /// Of a counter: how fast it grows.
    is_rate: bool,
    values: Distribution,
}

impl Learned {
    fn is_of(&self, during: &str, is_rate: bool) -> bool {
        *self.during == *during && self.is_rate == is_rate
    }
}

/// What was found of a sample.
#[derive(Clone, Copy, Debug)]
pub struct Looked<'a> {
    pub verdict: &'a Verdict,
    /// What adaptive figures are held against: of a counter how fast it grows. `None` where that can't be told.
    pub level: Option<f64>,
    pub learns: bool,
}

/// The figures that hold at a time and what surrounds them.
pub struct Figures<'a> {
    pub bands: Cow<'a, Bands>,
    /// The time policy, or empty.
    pub during: &'a str,
    pub title: &'a str,
    pub unit: &'a str,
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
            Some(known) => Self { by, quiet, ..before.swap_remove(known) }.without_stale(cx),
            None => Self { by, quiet, place: Place::default(), said_at: Timestamp::MIN, learned: Vec::new() },
        };
        all.into_iter().map(&mut one).collect()
    }

    /// What was learned for times that have no policy any more, or whose figures are no longer learned, goes.
    fn without_stale(mut self, cx: &Cx<'_>) -> Self {
        let mut learns = Vec::new();
        let mut note = |name: &str, bands: &Bands| {
            if bands.adaptive.is_some_and(Adaptive::is_of_distribution) {
                learns.push(name.to_owned());
            }
        };
        match &self.by {
            By::Rule(rule) => {
                if let Some(rule) = cx.policy.score.threshold.get(*rule as usize) {
                    note("", &rule.bands());
                    rule.during.iter().for_each(|one| note(&one.name, &one.bands()));
                }
            }
            By::Kpi { service, kpi } => {
                if let Some(kpi) = cx.topology.kpi(&cx.core.name, service, kpi) {
                    note("", &kpi.bands);
                    kpi.during.iter().for_each(|one| note(&one.name, &one.bands));
                }
            }
        }
        self.learned.retain(|known| learns.iter().any(|name| **name == *known.during));
        self
    }

    /// What was learned for a time policy, of rates or of values.
    pub fn learned(&self, during: &str, is_rate: bool) -> Option<&Distribution> {
        self.learned.iter().find(|known| known.is_of(during, is_rate)).map(|known| &known.values)
    }

    fn learned_mut(&mut self, during: &str, is_rate: bool) -> &mut Distribution {
        // The values of a counter before it was known for one tell nothing of its rate.
        self.learned.retain(|known| known.is_rate == is_rate);
        let known = self.learned.iter().position(|known| *known.during == *during).unwrap_or_else(|| {
            self.learned.push(Learned { during: during.into(), is_rate, values: Distribution::default() });
            self.learned.len() - 1
        });
        &mut self.learned[known].values
    }

    /// Of the alert that says that it is in a band; `None` where there is nothing to say.
    pub fn severity(&self, band: u8) -> Option<Severity> {
        match self.by {
            By::Rule(_) => usize::from(band).checked_sub(1).and_then(|n| SEVERITIES.get(n)).copied(),
            By::Kpi { .. } if self.quiet => None,
            By::Kpi { .. } => KpiLevel::of_band(band).severity(),
        }
    }

    /// In which band the series is.
    pub const fn band(&self) -> u8 {
        self.place.band
    }

    /// It says something of the series.
    pub fn speaks(&self) -> bool {
        self.severity(self.place.band).is_some()
    }

    /// Places a sample; where it is learned, it is after it was placed.
    pub fn judge(
        &mut self,
        series: &Series,
        sample: Sample,
        Looked { verdict, level, learns }: Looked<'_>,
        cx: &Cx<'_>,
        found: &mut Vec<Finding>,
    ) {
        let Sample { key, value, at } = sample;
        let policy = &cx.policy.score;
        let Some(Figures { bands, during, title, unit }) = self.by.figures(&series.check, at, cx) else { return };
        let is_adaptive = bands.adaptive.is_some();
        if is_adaptive && level.is_none() && series.is_warm() {
            // A counter's reset tells nothing: it stays where it is.
            return;
        }
        let is_rate = series.is_counter();
        let values = level.and_then(|_| self.learned(during, is_rate));
        let values = values.filter(|values| values.count() >= policy.learn_samples);
        let known = Known { deviations: verdict.usual.map(|_| verdict.deviations), values };
        let held = level.filter(|_| is_adaptive).unwrap_or(value);
        let place = bands.place(held, known, self.place);
        let (before, now) = (self.severity(self.place.band), self.severity(place.band));
        let again = at - self.said_at >= cx.policy.deduplicate.count_interval;
        let said = match (before, now) {
            (_, Some(severity)) if before != now || again => {
                let blank = if unit.is_empty() { "" } else { " " };
                let words = bands.words(place.band, held, known);
                let comma = if during.is_empty() { "" } else { ", " };
                let (shown, per) = judged(value, verdict.usual.filter(|_| is_adaptive));
                let summary = format!("{title} is {shown}{blank}{unit}{per} ({severity} {words}{comma}{during})");
                Some((Some(severity), summary))
            }
            (Some(_), None) => Some((None, String::new())),
            _ => None,
        };
        if learns
            && bands.adaptive.is_some_and(Adaptive::is_of_distribution)
            && let Some(level) = level
        {
            let half_life = policy.learn_half_life.0 as f64 / 1_000.0;
            self.learned_mut(during, is_rate).take(at.0.div_euclid(1_000), level, half_life);
        }
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
        let figures = self.by.figures(&series.check, series.last_at(), cx);
        figures.is_some_and(|figures| figures.bands.adaptive.is_some())
    }

    /// The level of now, of a counter its rate, is usual; what it has said holds no more.
    pub fn accept(&mut self, series: &Series, sample: Sample, cx: &Cx<'_>, found: &mut Vec<Finding>) {
        let Sample { key, value, at } = sample;
        let is_rate = series.is_counter();
        if self.speaks() {
            self.say(None, String::new(), series, key, at, found);
        }
        self.place = Place::default();
        if let Some(figures) = self.by.figures(&series.check, at, cx)
            && let Some(known) = self.learned.iter_mut().find(|known| known.is_of(figures.during, is_rate))
        {
            let moved = value - known.values.summary().median;
            known.values.shift(moved, cx.policy.score.learn_samples as f64);
        }
    }

    /// What it goes by now, to be [restored](Self::restore).
    pub fn remembered(&self) -> (By, Vec<Learned>) {
        (self.by.clone(), self.learned.clone())
    }

    /// It goes by what was learned before again, if it is of these figures.
    pub fn restore(&mut self, (by, learned): &(By, Vec<Learned>)) {
        if self.by.is_like(by) {
            self.learned.clone_from(learned);
        }
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
