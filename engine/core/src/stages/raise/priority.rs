//! Priority from impact and urgency, as ITIL has it.
use super::Evidence;
use crate::{
    domain::{
        episode::Episode,
        health::Level,
        incident::{Incident, Priority},
        severity::Severity,
        time::Span,
    },
    scope::Cx,
};
use std::sync::Arc;

/// So many services at once are a high impact, whatever their tier.
const SERVICES_MANY: usize = 3;
/// Alerts that joined within it tell whether an incident grows.
const TREND: Span = Span::minutes(5);

/// Impact: the worst of the services, by tier, one less where it is healthy all the same; or many services. Urgency: by
/// severity, one more where the incident grows.
pub(super) fn priority(incident: &Incident, episode: &Episode, by: &Evidence<'_>, cx: &Cx<'_>) -> Priority {
    let (impact, impact_reason) = impact(incident, by, cx);
    let (mut urgency, severity) = (urgency(incident.severity), incident.severity);
    let grows = urgency > 1 && grows(incident, episode, cx);
    urgency -= u8::from(grows);
    let trend = if grows { ", and it grows" } else { "" };
    Priority {
        impact,
        urgency,
        reason: format!("impact {impact}: {impact_reason}; urgency {urgency}: {severity}{trend}"),
    }
}

const fn urgency(severity: Severity) -> u8 {
    match severity {
        Severity::Critical => 1,
        Severity::Major | Severity::Minor => 2,
        Severity::Warning | Severity::Info => 3,
    }
}

fn impact(incident: &Incident, by: &Evidence<'_>, cx: &Cx<'_>) -> (u8, String) {
    if incident.services.len() >= SERVICES_MANY {
        return (1, format!("{} services", incident.services.len()));
    }
    let worst = incident.services.iter().map(|id| (of_service(id, by, cx), id)).min();
    worst.map_or_else(
        || (3, "no service is known to suffer".to_owned()),
        |(impact, id)| {
            let level = by.health.level(id).unwrap_or(Level::Healthy);
            (impact, format!("{id} is {level}"))
        },
    )
}

fn of_service(id: &Arc<str>, by: &Evidence<'_>, cx: &Cx<'_>) -> u8 {
    let service = cx.topology.service(&cx.core.name, id);
    let tier = service.and_then(|s| s.tier.as_deref()).map_or(2, of_tier);
    let healthy = by.health.level(id) == Some(Level::Healthy);
    (tier + u8::from(healthy)).min(3)
}

fn of_tier(tier: &str) -> u8 {
    match tier.trim().to_ascii_lowercase().as_str() {
        "0" | "1" | "tier1" | "tier-1" | "critical" | "high" | "gold" | "platinum" => 1,
        "3" | "4" | "5" | "tier3" | "tier-3" | "low" | "bronze" => 3,
        _ => 2,
    }
}

/// Whether as many alerts as raise an incident have joined it lately, beside those it was raised by.
fn grows(incident: &Incident, episode: &Episode, cx: &Cx<'_>) -> bool {
    let since = incident.opened_at.max(cx.core.clock - TREND);
    let lately = episode.members.iter().rev().take_while(|m| m.opened_at > since);
    lately.take(cx.policy.raise.many_alerts).count() >= cx.policy.raise.many_alerts
}
