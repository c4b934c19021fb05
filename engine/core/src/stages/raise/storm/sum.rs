//! What the branches of a storm are together.
use crate::{
    domain::{
        incident::{Incident, Priority},
        severity::Severity,
        time::Timestamp,
    },
    stages::{
        correlate::Correlator,
        raise::say::{SERVICES_MAX, listed},
    },
};
use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

/// Of all branches that are kept.
#[derive(Debug, Default)]
pub struct Sum {
    open: usize,
    alerts: usize,
    started_at: Option<Timestamp>,
    /// The worst of the open ones,
    severity_open: Option<Severity>,
    /// and of all.
    severity: Option<Severity>,
    /// Likewise, with the number of its incident.
    priority_open: Option<(Priority, u64)>,
    priority: Option<(Priority, u64)>,
    /// By how many branches each is touched; most first, then by name.
    services: Vec<(Arc<str>, usize)>,
    /// The entity that most branches have as their first cause, and how many: two or more.
    cause: Option<(Arc<str>, usize)>,
}

impl Sum {
    pub fn of<'a>(branches: impl Iterator<Item = &'a Incident>, correlator: &Correlator) -> Self {
        let mut sum = Self::default();
        let (mut services, mut causes) = (BTreeMap::new(), BTreeMap::new());
        for branch in branches {
            let alerts = correlator.get(branch.episode).map_or(0, |episode| episode.members.len());
            sum.add(branch, alerts);
            branch.services.iter().for_each(|service| *services.entry(service).or_default() += 1);
            if let Some(cause) = branch.causes.first() {
                *causes.entry(&cause.entity).or_insert(0_usize) += 1;
            }
        }
        let cause = causes.into_iter().filter(|(_, count)| *count > 1);
        sum.cause = cause.max_by_key(|(entity, count)| (*count, Reverse(*entity))).map(|(e, count)| (e.clone(), count));
        sum.services = services.into_iter().map(|(service, count)| (service.clone(), count)).collect();
        sum.services.sort_by_key(|(_, count)| Reverse(*count));
        sum
    }

    fn add(&mut self, branch: &Incident, alerts: usize) {
        self.alerts += alerts;
        self.started_at = Some(self.started_at.map_or(branch.started_at, |at| at.min(branch.started_at)));
        self.severity = self.severity.max(Some(branch.severity));
        worse(&mut self.priority, branch);
        if branch.state.is_open() {
            self.open += 1;
            self.severity_open = self.severity_open.max(Some(branch.severity));
            worse(&mut self.priority_open, branch);
        }
    }

    /// A major incident is that. Whether it is another than before.
    pub fn give(self, incident: &mut Incident, at: Timestamp) -> bool {
        let before = (incident.severity, incident.priority.clone());
        let told = (self.title(incident), self.summary(incident), self.named());
        // One that is over stays as grave as it was.
        if incident.state.is_open() {
            let severity = self.severity_open.or(self.severity).unwrap_or(incident.severity);
            if incident.revision > 0 && severity > incident.severity {
                incident.note(at, "", "severity", format!("rose from {} to {severity}", incident.severity));
            }
            incident.severity = severity;
            if let Some((priority, number)) = self.priority_open.or(self.priority) {
                let reason = format!("as of incident {number}: {}", priority.reason);
                incident.prioritise(Priority { reason, ..priority });
            }
        }
        incident.started_at = self.started_at.map_or(incident.started_at, |at| at.min(incident.started_at));
        let known = (&incident.title, &incident.summary, &incident.services);
        let is_new = known != (&told.0, &told.1, &told.2) || before != (incident.severity, incident.priority.clone());
        (incident.title, incident.summary, incident.services) = told;
        is_new
    }

    /// `storm: 43 incidents at once, db, checkout, web and 12 more services suffer`
    fn title(&self, incident: &Incident) -> String {
        let services: Vec<&Arc<str>> = self.services.iter().map(|(service, _)| service).collect();
        let suffer = match services.len() {
            0 => String::new(),
            1 => format!(", {} suffers", listed(&services)),
            2..=4 => format!(", {} suffer", listed(&services)),
            _ => format!(", {} services suffer", listed(&services)),
        };
        format!("storm: {} incidents at once{suffer}", incident.branch_count)
    }

    fn summary(&self, incident: &Incident) -> String {
        let (all, open, alerts) = (incident.branch_count, self.open, self.alerts);
        let how = match open {
            0 => format!("None of {all} incidents is open"),
            1 => format!("One of {all} incidents is open"),
            _ => format!("{open} of {all} incidents are open"),
        };
        let alerts = if alerts == 1 { "one alert".to_owned() } else { format!("{alerts} alerts") };
        let cause =
            self.cause.as_ref().map(|(entity, count)| format!(" {count} of them name {entity} as first cause."));
        format!("{how}, with {alerts} in all.{}", cause.unwrap_or_default())
    }

    /// The first by name, sorted.
    fn named(&self) -> Vec<Arc<str>> {
        let mut named: Vec<Arc<str>> = self.services.iter().map(|(service, _)| service.clone()).collect();
        named.sort();
        named.truncate(SERVICES_MAX);
        named
    }
}

/// The more urgent one, of as urgent ones the first.
fn worse(worst: &mut Option<(Priority, u64)>, branch: &Incident) {
    let key = |priority: &Priority, number: u64| (priority.value(), number);
    let own = key(&branch.priority, branch.number);
    if worst.as_ref().is_none_or(|(priority, number)| own < key(priority, *number)) {
        *worst = Some((branch.priority.clone(), branch.number));
    }
}
