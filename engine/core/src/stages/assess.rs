//! How well services do: from the severity of their open alerts, and of those of what they depend on.
use crate::{
    domain::{
        alert::{Alert, AlertId},
        health::Level,
        severity::Severity,
        time::Span,
    },
    output::{Body, Contribution, ServiceUpdate},
    scope::Cx,
    timers::TimerKind,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The whole of health, in hundredths of a point.
pub const WELL: i32 = 10_000;
/// How often a service whose score moves within its level speaks.
const SPEAK_INTERVAL: Span = Span::seconds(10);
/// Each open alert beside the worst takes a point, up to so many hundredths.
const MORE_MAX: i32 = 1_500;
const CONTRIBUTIONS_MAX: usize = 10;

/// Worst first.
const SEVERITIES: [Severity; 5] =
    [Severity::Critical, Severity::Major, Severity::Minor, Severity::Warning, Severity::Info];

const fn points(severity: Severity) -> i32 {
    match severity {
        Severity::Info => 500,
        Severity::Warning => 2_000,
        Severity::Minor => 4_000,
        Severity::Major => 6_000,
        Severity::Critical => 8_000,
    }
}

/// Whether an alert takes points: work that was announced, and what people chose not to hear of, is no ill health.
const fn counts(alert: &Alert) -> bool {
    alert.open && alert.suppressed_by.is_none()
}

/// A service's alerts and score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct ServiceHealth {
    /// Severity, entity and check of each open alert.
    open: BTreeMap<AlertId, (Severity, Arc<str>, Arc<str>)>,
    /// How many there are of each severity.
    counts: [u32; 5],
    /// Points its own alerts take, in hundredths.
    own: i32,
    score: i32,
}

impl ServiceHealth {
    const fn well() -> Self {
        Self { open: BTreeMap::new(), counts: [0; 5], own: 0, score: WELL }
    }

    fn follow(&mut self, alert: &Alert) {
        let now = (alert.severity, alert.entity.clone(), alert.check.clone());
        let before = if counts(alert) { self.open.insert(alert.id, now) } else { self.open.remove(&alert.id) };
        if counts(alert) {
            self.counts[alert.severity as usize] += 1;
        }
        if let Some((severity, ..)) = before {
            self.counts[severity as usize] -= 1;
        }
        let worst = SEVERITIES.into_iter().find(|s| self.counts[*s as usize] > 0);
        let more = i32::try_from(self.open.len().saturating_sub(1)).unwrap_or(i32::MAX);
        self.own = worst.map_or(0, |w| points(w) + more.saturating_mul(100).min(MORE_MAX));
    }
}

/// The health of a scope's services.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HealthBoard {
    services: BTreeMap<Arc<str>, ServiceHealth>,
    /// Those whose score moved and that have not spoken since.
    unsaid: BTreeSet<Arc<str>>,
    speaks: bool,
}

impl HealthBoard {
    /// Says every service that the topology has and that was not heard of: they are well. Others may depend on others now.
    pub fn introduce(&mut self, cx: &mut Cx<'_>) {
        for id in cx.topology.services(&cx.core.name) {
            if !self.services.contains_key(id) && self.services.len() < cx.policy.limits.services {
                self.services.insert(id.clone(), ServiceHealth::well());
                self.say(id, cx);
            }
        }
        let known: Vec<_> = self.services.keys().cloned().collect();
        for id in &known {
            self.rescore(id, cx);
        }
    }

    /// An alert opened, cleared, changed its severity, or is heard of no more or again.
    pub fn assess(&mut self, alert: &Alert, cx: &mut Cx<'_>) {
        for id in &alert.services {
            if !self.services.contains_key(id) {
                if self.services.len() >= cx.policy.limits.services {
                    continue;
                }
                self.services.insert(id.clone(), ServiceHealth::well());
            }
            let Some(service) = self.services.get_mut(id) else { continue };
            let before = service.own;
            service.follow(alert);
            self.rescore(id, cx);
            if before != self.services[id].own
                && let Some(known) = cx.topology.service(&cx.core.name, id)
            {
                for dependent in known.downstream.keys() {
                    self.rescore(dependent, cx);
                }
            }
        }
    }

    fn rescore(&mut self, id: &Arc<str>, cx: &mut Cx<'_>) {
        let Some(own) = self.services.get(id).map(|s| s.own) else { return };
        let borrowed = self.upstream(id, cx).map(|(_, points)| points).max().unwrap_or(0);
        let score = (WELL - own.max(borrowed)).max(0);
        let Some(service) = self.services.get_mut(id) else { return };
        let before = std::mem::replace(&mut service.score, score);
        if Level::of(before) != Level::of(score) {
            self.say(id, cx);
        } else if before != score {
            self.unsaid.insert(id.clone());
            if !self.speaks {
                self.speaks = true;
                cx.set(TimerKind::SpeakServices, 0, cx.core.clock + SPEAK_INTERVAL);
            }
        }
    }

    /// What each service that it depends on takes from it.
    fn upstream<'a>(&'a self, id: &str, cx: &Cx<'a>) -> impl Iterator<Item = (&'a Arc<str>, i32)> + use<'a> {
        let share = cx.policy.assess.dependency_share;
        let known = cx.topology.service(&cx.core.name, id);
        known.into_iter().flat_map(|s| &s.upstream).filter_map(move |(other, steps)| {
            let mut points = f64::from(self.services.get(other)?.own);
            for _ in 0..*steps {
                points *= share;
            }
            // Rounded to fixed point before it is compared.
            Some((other, points as i32)).filter(|(_, p)| *p > 0)
        })
    }

    fn say(&mut self, id: &Arc<str>, cx: &mut Cx<'_>) {
        self.unsaid.remove(id);
        if cx.out.brief {
            return;
        }
        if let Some(update) = self.update(id, cx) {
            cx.out.say(Body::Service(Box::new(update)));
        }
    }

    fn update(&self, id: &Arc<str>, cx: &Cx<'_>) -> Option<ServiceUpdate> {
        let service = self.services.get(id)?;
        let known = cx.topology.service(&cx.core.name, id);
        let scope = cx.core.name.clone();
        let mut own: Vec<_> = service.open.iter().map(|(alert, (s, e, c))| (*s, *alert, e, c)).collect();
        own.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut contributions: Vec<Contribution> = own
            .into_iter()
            .take(CONTRIBUTIONS_MAX)
            .map(|(severity, alert, entity, check)| Contribution {
                name: Alert::name(&scope, alert),
                reason: format!("{severity}: {check} on {entity}"),
                points: points(severity),
            })
            .collect();
        contributions.extend(self.upstream(id, cx).map(|(other, points)| Contribution {
            name: format!("scopes/{scope}/services/{other}"),
            reason: format!("depends on {other}"),
            points,
        }));
        contributions.sort_by(|a, b| b.points.cmp(&a.points).then_with(|| a.name.cmp(&b.name)));
        contributions.truncate(CONTRIBUTIONS_MAX);
        Some(ServiceUpdate {
            scope,
            id: id.clone(),
            name: known.and_then(|k| k.name.clone()).unwrap_or_else(|| id.clone()),
            tier: known.and_then(|k| k.tier.clone()).unwrap_or_default(),
            score: service.score,
            level: Level::of(service.score),
            contributions,
            open_alerts: service.open.len(),
            at: cx.core.clock,
        })
    }

    /// How a service does, if it is known.
    pub fn level(&self, id: &str) -> Option<Level> {
        self.score(id).map(Level::of)
    }

    /// Its score in hundredths of a point, if it is known.
    pub fn score(&self, id: &str) -> Option<i32> {
        self.services.get(id).map(|service| service.score)
    }

    /// Says what moved.
    pub fn on_speak(&mut self, cx: &mut Cx<'_>) {
        self.speaks = false;
        for id in std::mem::take(&mut self.unsaid) {
            self.say(&id, cx);
        }
    }

    /// Every service as it is now.
    pub fn updates<'a>(&'a self, cx: &'a Cx<'_>) -> impl Iterator<Item = ServiceUpdate> + 'a {
        self.services.keys().filter_map(|id| self.update(id, cx))
    }
}
