//! What one service's score is made of, kept as sums.
use super::WELL;
use crate::{
    domain::{
        alert::{Alert, AlertId, Fingerprint},
        kpi::{IMPORTANCE_MAX, Kpi, KpiLevel},
        policy::Assess,
        severity::Severity,
        time::Timestamp,
    },
    shared::Text,
};
use serde::{Deserialize, Deserializer, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// Each open alert beside the worst takes a point, up to so many hundredths.
const MORE_MAX: i32 = 1_500;

/// Worst first.
const SEVERITIES: [Severity; 5] =
    [Severity::Critical, Severity::Major, Severity::Minor, Severity::Warning, Severity::Info];

/// What an alert takes, in hundredths of a point.
pub const fn points(severity: Severity) -> i32 {
    match severity {
        Severity::Info => 500,
        Severity::Warning => 2_000,
        Severity::Minor => 4_000,
        Severity::Major => 6_000,
        Severity::Critical => 8_000,
    }
}

/// A KPI's level: the worst of its series'.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct KpiHealth {
    series: BTreeMap<Fingerprint, KpiLevel>,
    /// How many there are of each level.
    counts: [u32; KpiLevel::ALL.len()],
    /// The latest of a series that is as bad as the KPI.
    pub value: f64,
    pub level: Option<KpiLevel>,
    /// As it stands in the sums.
    pub importance: u8,
}

impl KpiHealth {
    fn measure(&mut self, series: Fingerprint, level: Option<KpiLevel>, value: f64) {
        let before = match level {
            Some(level) => self.series.insert(series, level),
            None => self.series.remove(&series),
        };
        if let Some(before) = before {
            self.counts[before as usize] -= 1;
        }
        if let Some(level) = level {
            self.counts[level as usize] += 1;
        }
        self.level = KpiLevel::ALL.into_iter().rev().find(|l| self.counts[*l as usize] > 0);
        if level.is_some() && level >= self.level {
            self.value = value;
        }
    }

    /// Its weight, and its weighted contribution: G and G·K.
    fn terms(&self) -> (i32, i32) {
        let importance = i32::from(self.importance);
        self.level.and_then(KpiLevel::score).map_or((0, 0), |k| (importance, importance * k))
    }

    /// The most that its service's score may be, in hundredths.
    ///
    /// The weighted mean alone hides a critical KPI among many normal ones (of twelve alike it leaves 91.7).
    pub fn cap(&self, policy: &Assess) -> i32 {
        match self.level {
            Some(KpiLevel::Critical) if self.importance >= IMPORTANCE_MAX => 0,
            Some(KpiLevel::Critical) if self.importance >= policy.cap_importance => {
                100 * i32::from(policy.cap_critical)
            }
            Some(KpiLevel::High) if self.importance >= policy.cap_importance => 100 * i32::from(policy.cap_high),
            _ => WELL,
        }
    }
}

/// A service's alerts, KPIs and score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceHealth {
    #[serde(deserialize_with = "read_open")]
    pub open: Open,
    /// How many there are of each severity.
    counts: [u32; 5],
    pub kpis: BTreeMap<Arc<str>, KpiHealth>,
    /// ΣG and ΣG·K over the KPIs that have a level.
    weight: i32,
    weighted: i32,
    /// Points that its alerts take, and its KPIs, in hundredths.
    by_alerts: i32,
    by_kpis: i32,
    pub score: i32,
    /// The clock when it last spoke.
    pub said_at: Timestamp,
}

/// Severity, entity and check of each open alert.
pub type Open = BTreeMap<AlertId, (Severity, Arc<str>, Arc<str>)>;

fn read_open<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Open, D::Error> {
    let open = BTreeMap::<AlertId, (Severity, Text, Text)>::deserialize(deserializer)?;
    Ok(open.into_iter().map(|(id, (severity, entity, check))| (id, (severity, entity.0, check.0))).collect())
}

impl ServiceHealth {
    /// Nothing is wrong with it.
    pub const fn well() -> Self {
        Self {
            open: BTreeMap::new(),
            counts: [0; 5],
            kpis: BTreeMap::new(),
            weight: 0,
            weighted: 0,
            by_alerts: 0,
            by_kpis: 0,
            score: WELL,
            said_at: Timestamp::MIN,
        }
    }

    /// Points that are taken by what is its own: what others borrow.
    pub fn own(&self) -> i32 {
        self.by_alerts.max(self.by_kpis)
    }

    /// An alert opened, cleared, or became another severity. Whether that is news.
    pub fn follow(&mut self, alert: &Alert, counts: bool) -> bool {
        let now = (alert.severity, alert.entity.clone(), alert.check.clone());
        let before = if counts { self.open.insert(alert.id, now) } else { self.open.remove(&alert.id) };
        let is_news = before.as_ref().map(|(severity, ..)| *severity) != counts.then_some(alert.severity);
        if counts {
            self.counts[alert.severity as usize] += 1;
        }
        if let Some((severity, ..)) = before {
            self.counts[severity as usize] -= 1;
        }
        let worst = SEVERITIES.into_iter().find(|s| self.counts[*s as usize] > 0);
        let more = i32::try_from(self.open.len().saturating_sub(1)).unwrap_or(i32::MAX);
        self.by_alerts = worst.map_or(0, |w| points(w) + more.saturating_mul(100).min(MORE_MAX));
        is_news
    }

    /// A series of a KPI was measured. Whether the KPI's level is another one.
    pub fn measure(
        &mut self,
        kpi: &Kpi,
        series: Fingerprint,
        level: Option<KpiLevel>,
        value: f64,
        policy: &Assess,
    ) -> bool {
        let known = self.kpis.entry(kpi.id.clone()).or_default();
        let (before, was) = (known.terms(), known.level);
        known.importance = kpi.importance;
        known.measure(series, level, value);
        let (now, is) = (known.terms(), known.level);
        if is.is_none() {
            self.kpis.remove(&kpi.id);
        }
        if was == is && before == now {
            return false;
        }
        (self.weight, self.weighted) = (self.weight + now.0 - before.0, self.weighted + now.1 - before.1);
        self.weigh(policy);
        true
    }

    /// Policy or topology is another one: KPIs that are gone count no more, importances may be others.
    pub fn refit(&mut self, kpis: &[Kpi], policy: &Assess) {
        self.kpis.retain(|id, _| kpis.iter().any(|kpi| kpi.id == *id));
        for kpi in kpis {
            if let Some(known) = self.kpis.get_mut(&kpi.id) {
                known.importance = kpi.importance;
            }
        }
        let sum = |sum: (i32, i32), kpi: &KpiHealth| (sum.0 + kpi.terms().0, sum.1 + kpi.terms().1);
        (self.weight, self.weighted) = self.kpis.values().fold((0, 0), sum);
        self.weigh(policy);
    }

    /// Σ(G·K)/ΣG ("How service health scores work", Splunk ITSI 4.4), capped.
    fn weigh(&mut self, policy: &Assess) {
        let mean = if self.weight == 0 { WELL } else { (100 * self.weighted + self.weight / 2) / self.weight };
        let cap = self.kpis.values().map(|kpi| kpi.cap(policy)).min().unwrap_or(WELL);
        self.by_kpis = WELL - mean.min(cap);
    }

    /// What a KPI takes from the score: its part of the mean, or all above its cap. In hundredths.
    pub fn taken_by(&self, kpi: &KpiHealth, policy: &Assess) -> i32 {
        let (g, gk) = kpi.terms();
        let mean = if self.weight == 0 { 0 } else { 100 * (100 * g - gk) / self.weight };
        mean.max(WELL - kpi.cap(policy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        kpi::SeriesEntry,
        policy::Policy,
        threshold::{Bands, Direction},
    };

    fn kpi(id: &str, importance: u8) -> Kpi {
        let figures = [None, Some(1.0), Some(2.0), Some(3.0), Some(4.0)];
        Kpi {
            id: id.into(),
            title: id.into(),
            series: SeriesEntry { origin: None, entity: None, check: id.into() },
            importance,
            unit: "".into(),
            bands: Bands { direction: Direction::Above, adaptive: None, figures, margin: 0.0, samples: 1 },
            during: Vec::new(),
        }
    }

    /// The score in hundredths of a service with KPIs of these importances and levels.
    fn score(kpis: &[(u8, KpiLevel)]) -> i32 {
        let (policy, mut service) = (Policy::default().assess, ServiceHealth::well());
        for (n, (importance, level)) in kpis.iter().enumerate() {
            let kpi = kpi(&n.to_string(), *importance);
            service.measure(&kpi, Fingerprint(n as u128), Some(Critical), 9.0, &policy);
            service.measure(&kpi, Fingerprint(n as u128), Some(*level), 9.0, &policy);
        }
        WELL - service.own()
    }

    use KpiLevel::{Critical, High, Info, Low, Medium, Normal};

    #[test]
    fn the_mean_is_that_of_the_documentation() {
        // Splunk prints 74.53, of rounded terms; the high KPI's importance of 5 caps at 70.
        assert_eq!(score(&[(10, Normal), (7, Low), (4, High), (1, High)]), 7_455);
        assert_eq!(score(&[(10, Normal), (7, Low), (5, High)]), 7_000);
        assert_eq!(score(&[(1, Medium), (1, Normal), (1, Normal)]), 8_333);
        assert_eq!(score(&[(3, Medium)]), 5_000);
    }

    #[test]
    fn a_critical_kpi_does_not_hide_among_many() {
        let mut kpis = vec![(5, Normal); 12];
        kpis[7].1 = Critical;
        assert_eq!(score(&kpis), 4_000);
        kpis[7] = (4, Critical);
        assert_eq!(score(&kpis), 9_322, "one that matters little is a part of the mean");
    }

    #[test]
    fn importance_0_and_info_are_left_out_and_11_is_all() {
        assert_eq!(score(&[(0, Critical)]), WELL);
        assert_eq!(score(&[(9, Info), (9, Normal)]), WELL);
        assert_eq!(score(&[(9, Info), (2, Low)]), 7_000);
        assert_eq!(score(&[(11, Critical), (10, Normal), (10, Normal)]), 0);
        assert_eq!(score(&[(11, High), (10, Normal)]), (100 * (11 * 30 + 10 * 100) + 10) / 21);
    }

    #[test]
    fn the_worst_series_of_a_kpi_counts_and_what_is_gone_counts_no_more() {
        let (policy, mut service) = (Policy::default().assess, ServiceHealth::well());
        let kpi = kpi("a", 8);
        service.measure(&kpi, Fingerprint(1), Some(Critical), 9.0, &policy);
        assert!(!service.measure(&kpi, Fingerprint(2), Some(Normal), 1.0, &policy));
        assert_eq!((service.own(), service.kpis["a"].value), (WELL, 9.0));
        assert!(service.measure(&kpi, Fingerprint(1), None, 0.0, &policy));
        assert_eq!(service.own(), 0);
        service.measure(&kpi, Fingerprint(2), Some(Medium), 2.0, &policy);
        assert_eq!(service.own(), 5_000);
        service.refit(&[], &policy);
        assert_eq!((service.own(), service.weight), (0, 0));
        service.measure(&kpi, Fingerprint(2), None, 0.0, &policy);
        assert!(service.kpis.is_empty());
    }
}
