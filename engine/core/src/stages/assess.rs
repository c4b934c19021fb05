//! How well services do: the least of what their KPIs say, what their open alerts leave, and what they borrow from what
//! they depend on. Kept as sums; a change costs what it changes.
use crate::{
    domain::{
        alert::Alert,
        episode::{KPI, PREDICTION},
        event::ORIGIN,
        health::Level,
        time::Span,
    },
    output::{Body, ServiceUpdate},
    scope::Cx,
    stages::score::Measured,
    timers::TimerKind,
};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, sync::Arc};

mod outlook;
mod service;
mod told;
use service::ServiceHealth;

/// The whole of health, in hundredths of a point.
pub const WELL: i32 = 10_000;
/// How often a service speaks whose score moves within its level, or its alerts.
const SPEAK_INTERVAL: Span = Span::seconds(10);
/// How often it speaks whose KPIs are only measured.
const MEASURED_INTERVAL: Span = Span::seconds(60);
const CONTRIBUTIONS_MAX: usize = 10;

/// The health of a scope's services.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HealthBoard {
    #[serde(with = "crate::snapshot::sorted")]
    services: FxHashMap<Arc<str>, ServiceHealth>,
    /// Those whose score moved and that have not spoken since.
    unsaid: BTreeSet<Arc<str>>,
    speaks: bool,
}

/// Whether an alert takes points: work that was announced, and what people chose not to hear of, is no ill health.
fn counts(alert: &Alert) -> bool {
    // What a KPI's level says counts as the KPI's, and what is only predicted is not so yet.
    let is_other = |key: &str| key == KPI || key == PREDICTION;
    let is_other = *alert.origin == *ORIGIN && alert.labels.iter().any(|(key, _)| is_other(key));
    alert.open && alert.suppressed_by.is_none() && !is_other
}

impl HealthBoard {
    /// Says every service that the topology has and that was not heard of: they are well. Others may have other KPIs or
    /// depend on others now.
    pub fn introduce(&mut self, cx: &mut Cx<'_>) {
        for id in cx.topology.services(&cx.core.name) {
            if !self.services.contains_key(id) && self.services.len() < cx.policy.limits.services {
                self.services.insert(id.clone(), ServiceHealth::well());
                self.say(id, cx);
            }
        }
        let known = self.known();
        for id in &known {
            let kpis = cx.topology.service(&cx.core.name, id).map_or(&[][..], |k| &k.kpis);
            if let Some(service) = self.services.get_mut(id) {
                service.refit(kpis, &cx.policy.assess);
            }
        }
        for id in &known {
            self.rescore(id, cx);
        }
    }

    /// An alert opened, cleared or changed its severity.
    pub fn assess(&mut self, alert: &Alert, cx: &mut Cx<'_>) {
        let counts = counts(alert);
        for id in &*alert.services {
            if !self.services.contains_key(id) {
                if self.services.len() >= cx.policy.limits.services {
                    cx.core.evicted.services += 1;
                    continue;
                }
                self.services.insert(id.clone(), ServiceHealth::well());
            }
            let Some(service) = self.services.get_mut(id) else { continue };
            let own = service.own();
            // What it says of its alerts is another thing even where the score stays.
            if service.follow(alert, counts) {
                self.say_soon(id, cx);
            }
            self.spread(id, own, cx);
        }
    }

    /// A series of a KPI was measured.
    pub fn measure(&mut self, measured: &Measured, cx: &mut Cx<'_>) {
        let Measured { service: id, kpi, series, level, value } = measured;
        let Some(kpi) = cx.topology.kpi(&cx.core.name, id, kpi) else { return };
        let Some(service) = self.services.get_mut(id) else { return };
        service.pass(cx);
        let own = service.own();
        // Most samples change no level.
        if service.measure(kpi, *series, *level, *value, &cx.policy.assess) {
            self.say_soon(id, cx);
            self.spread(id, own, cx);
        } else if service.said_at + MEASURED_INTERVAL <= cx.core.clock {
            self.say_soon(id, cx);
        }
    }

    /// A service's own points were `before`.
    fn spread(&mut self, id: &Arc<str>, before: i32, cx: &mut Cx<'_>) {
        self.rescore(id, cx);
        if self.services.get(id).is_some_and(|s| s.own() != before)
            && let Some(known) = cx.topology.service(&cx.core.name, id)
        {
            for dependent in known.downstream.keys() {
                self.rescore(dependent, cx);
            }
        }
    }

    fn rescore(&mut self, id: &Arc<str>, cx: &mut Cx<'_>) {
        let Some(own) = self.services.get(id).map(ServiceHealth::own) else { return };
        let borrowed = self.borrowed(id, cx).map(|(_, points)| points).max().unwrap_or(0);
        let score = (WELL - own.max(borrowed)).max(0);
        let Some(service) = self.services.get_mut(id) else { return };
        service.pass(cx);
        let before = std::mem::replace(&mut service.score, score);
        if Level::of(before) != Level::of(score) {
            self.say(id, cx);
        } else if before != score {
            self.say_soon(id, cx);
        }
    }

    fn say_soon(&mut self, id: &Arc<str>, cx: &mut Cx<'_>) {
        self.unsaid.insert(id.clone());
        if !self.speaks {
            self.speaks = true;
            cx.set(TimerKind::SpeakServices, 0, cx.core.clock + SPEAK_INTERVAL);
        }
    }

    /// What each service that it depends on takes from it, as the topology says.
    fn borrowed<'a>(&'a self, id: &str, cx: &Cx<'a>) -> impl Iterator<Item = (&'a Arc<str>, i32)> + use<'a> {
        let share = cx.policy.assess.dependency_share;
        let known = cx.topology.service(&cx.core.name, id);
        known.into_iter().flat_map(|s| &s.borrows).filter_map(move |(other, damped)| {
            let mut points = f64::from(self.services.get(other)?.own());
            for _ in 0..*damped {
                points *= share;
            }
            // Rounded to fixed point before it is compared.
            Some((other, points as i32)).filter(|(_, p)| *p > 0)
        })
    }

    fn say(&mut self, id: &Arc<str>, cx: &mut Cx<'_>) {
        self.unsaid.remove(id);
        if let Some(service) = self.services.get_mut(id) {
            service.said_at = cx.core.clock;
        }
        if cx.out.brief {
            return;
        }
        if let Some(update) = self.update(id, cx) {
            cx.out.say(Body::Service(Box::new(update)));
        }
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
        self.known().into_iter().filter_map(|id| self.update(&id, cx))
    }

    #[expect(clippy::disallowed_methods, reason = "they are sorted")]
    fn known(&self) -> Vec<Arc<str>> {
        let mut known: Vec<_> = self.services.keys().cloned().collect();
        known.sort_unstable();
        known
    }
}
