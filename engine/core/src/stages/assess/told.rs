//! A service as outputs say it: what it is, and why.
use super::{
    CONTRIBUTIONS_MAX, HealthBoard,
    service::{ServiceHealth, points},
};
use crate::{
    domain::{alert::Alert, health::Level, threshold::Number, topology::Service},
    output::{Contribution, KpiUpdate, ServiceUpdate},
    scope::Cx,
    stages::deduplicate::first_of,
};
use std::{cmp::Reverse, sync::Arc};

/// Reasons that are told with a level.
const REASONS_MAX: usize = 3;

impl HealthBoard {
    pub(super) fn update(&self, id: &Arc<str>, cx: &Cx<'_>) -> Option<ServiceUpdate> {
        let service = self.services.get(id)?;
        let known = cx.topology.service(&cx.core.name, id);
        let contributions = self.contributions(id, service, known, cx);
        let level = Level::of(service.score);
        Some(ServiceUpdate {
            scope: cx.core.name.clone(),
            id: id.clone(),
            name: known.and_then(|k| k.name.clone()).unwrap_or_else(|| id.clone()),
            tier: known.and_then(|k| k.tier.clone()).unwrap_or_default(),
            score: service.score,
            level,
            reason: reason(level, &contributions),
            contributions,
            kpis: known.map(|k| kpis(service, k)).unwrap_or_default(),
            open_alerts: service.open.len(),
            at: cx.core.clock,
            forecast: service.outlook.as_ref().and_then(|outlook| outlook.forecast()),
        })
    }

    /// Worst first.
    fn contributions(
        &self,
        id: &str,
        service: &ServiceHealth,
        known: Option<&Service>,
        cx: &Cx<'_>,
    ) -> Vec<Contribution> {
        let scope = &cx.core.name;
        let own =
            service.open.iter().map(|(alert, (severity, entity, check))| (Reverse(*severity), *alert, entity, check));
        let alerts = first_of(own.collect(), CONTRIBUTIONS_MAX);
        let alerts = alerts.into_iter().map(|(Reverse(severity), alert, entity, check)| Contribution {
            name: Alert::name(scope, alert),
            reason: format!("{severity} {check} on {entity}"),
            points: points(severity),
        });
        let kpis = known.into_iter().flat_map(|k| &k.kpis).filter_map(|kpi| {
            let now = service.kpis.get(&kpi.id)?;
            let (value, unit) = (Number(now.value), &kpi.unit);
            let blank = if unit.is_empty() { "" } else { " " };
            let (level, title, importance) = (now.level?, &kpi.title, kpi.importance);
            Some(Contribution {
                name: format!("scopes/{scope}/services/{id}/kpis/{}", kpi.id),
                reason: format!("{level} {title} ({value}{blank}{unit}, importance {importance})"),
                points: service.taken_by(now, &cx.policy.assess),
            })
        });
        let borrowed = self.borrowed(id, cx).map(|(other, points)| Contribution {
            name: format!("scopes/{scope}/services/{other}"),
            reason: format!("depends on {other}"),
            points,
        });
        let mut all: Vec<_> = kpis.chain(alerts).chain(borrowed).filter(|c| c.points > 0).collect();
        all.sort_by(|a, b| b.points.cmp(&a.points).then_with(|| a.name.cmp(&b.name)));
        all.truncate(CONTRIBUTIONS_MAX);
        all
    }
}

/// `degraded: high latency (812 ms, importance 8), depends on db`
fn reason(level: Level, contributions: &[Contribution]) -> String {
    if contributions.is_empty() {
        return level.to_string();
    }
    let reasons: Vec<&str> = contributions.iter().take(REASONS_MAX).map(|c| &*c.reason).collect();
    format!("{level}: {}", reasons.join(", "))
}

fn kpis(service: &ServiceHealth, known: &Service) -> Vec<KpiUpdate> {
    let one = |kpi: &crate::domain::kpi::Kpi| {
        let now = service.kpis.get(&kpi.id)?;
        Some(KpiUpdate {
            id: kpi.id.clone(),
            title: kpi.title.clone(),
            value: now.value,
            unit: kpi.unit.clone(),
            level: now.level?,
            importance: kpi.importance,
        })
    };
    let mut all: Vec<_> = known.kpis.iter().filter_map(one).collect();
    all.sort_by(|a, b| a.id.cmp(&b.id));
    all
}
