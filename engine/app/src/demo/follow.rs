//! Follows the feed and the views of a running engine, and tells what a person on call would want to hear: each thing
//! once, what belongs together together.
use super::{
    line::{Kind, Line, Tone, level_name, severity_name},
    screen::Board,
    text::{clean, count, lasted},
};
use crate::serve::{
    feed::{self, Updates},
    grpc::Api,
};
use futures::{FutureExt as _, StreamExt as _};
use quell_connectors::wire;
use quell_core::{
    domain::{
        alert::Alert,
        incident::Incident,
        time::{Span, Timestamp},
    },
    ledger::Outcome,
    output::{AlertUpdate, IncidentUpdate},
};
use quell_proto::v1::{self, WatchIncidentsRequest, WatchIncidentsResponse, watch_incidents_request::From as Start};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::time::Instant;

/// An incident that grows, and a service whose health turns, are told of no more often.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// What follows an opening so soon is told with it.
const WITH_OPENING: Span = Span::seconds(30);
/// More alerts of an incident are counted, not listed; fewer where an alert takes several rows.
const ALERTS_LISTED: usize = 6;
const ALERTS_LISTED_NARROW: usize = 4;
const NARROW: usize = 120;

/// What was told of an incident.
#[derive(Debug)]
pub struct Told {
    pub incident: v1::Incident,
    alerts: BTreeSet<String>,
    cause: Option<(String, String)>,
    priority: u32,
    at: Option<Instant>,
    /// It has grown since.
    grown: bool,
}

/// What was told of a service.
#[derive(Debug)]
struct Health {
    score: f64,
    level: v1::HealthLevel,
    at: Option<Instant>,
}

/// Follows.
pub struct Follower {
    api: Api,
    updates: Updates,
    /// By name.
    incidents: BTreeMap<String, Told>,
    services: BTreeMap<String, Health>,
    /// By alert: its service. An alert may be past and forgotten when its incident is told of at the end.
    of_service: BTreeMap<String, String>,
    /// Not told yet: feed and views are read beside each other, and what is told is told in the order of its time.
    blocks: Vec<(Timestamp, Vec<Line>)>,
    /// The latest time known at the last poll.
    horizon: Timestamp,
    /// Alerts of an incident that are listed.
    listed: usize,
}

fn time(at: Option<&prost_types::Timestamp>) -> Timestamp {
    at.map_or(Timestamp(0), wire::time_back)
}

/// The last part of a resource's name.
fn last(name: &str) -> String {
    clean(name.rsplit('/').next().unwrap_or_default())
}

impl Follower {
    /// From the beginning.
    ///
    /// # Errors
    /// Where the feed can't be opened.
    pub async fn new(api: Api, columns: Option<usize>) -> anyhow::Result<Self> {
        let request = WatchIncidentsRequest { from: Some(Start::Beginning(true)), ..Default::default() };
        let updates = feed::watch(&api, request).await?;
        let narrow = columns.is_some_and(|columns| columns < NARROW);
        let listed = if narrow { ALERTS_LISTED_NARROW } else { ALERTS_LISTED };
        Ok(Self {
            api,
            updates,
            incidents: BTreeMap::new(),
            services: BTreeMap::new(),
            of_service: BTreeMap::new(),
            blocks: Vec::new(),
            horizon: Timestamp::MIN,
            listed,
        })
    }

    /// The incidents in the order they were opened.
    pub fn incidents(&self) -> Vec<&v1::Incident> {
        let mut all: Vec<_> = self.incidents.values().map(|told| &told.incident).collect();
        all.sort_by_key(|incident| (time(incident.opened_at.as_ref()), incident.number.clone()));
        all
    }

    /// What has happened since the last call; with `all`, what else would have waited for a moment.
    ///
    /// # Errors
    /// Where the feed ends.
    pub fn poll(&mut self, all: bool) -> anyhow::Result<Vec<Line>> {
        let mut blocks = std::mem::take(&mut self.blocks);
        for entry in &self.api.views.alerts {
            let AlertUpdate { scope, alert } = entry.value();
            if let Some(service) = alert.services.first() {
                self.of_service.entry(Alert::name(scope, alert.id)).or_insert_with(|| service.to_string());
            }
        }
        // Before the incidents of the same moment: what suffers, then why.
        self.tell_health(all, &mut blocks);
        for update in self.take()? {
            self.on_update(update, &mut blocks);
        }
        let names: Vec<String> = self.incidents.iter().filter(|(_, told)| told.grown).map(|(n, _)| n.clone()).collect();
        for name in names {
            self.tell_grown(&name, all, &mut blocks);
        }
        blocks.sort_by_key(|(at, _)| *at);
        let latest = blocks.last().map_or(self.horizon, |(at, _)| *at);
        let ripe = if all { blocks.len() } else { blocks.partition_point(|(at, _)| *at <= self.horizon) };
        self.blocks = blocks.split_off(ripe);
        self.horizon = latest;
        Ok(blocks.into_iter().flat_map(|(_, lines)| lines).collect())
    }

    /// What the feed has now. Several revisions of an incident that only grows become the last of them.
    fn take(&mut self) -> anyhow::Result<Vec<WatchIncidentsResponse>> {
        let mut taken: Vec<WatchIncidentsResponse> = Vec::new();
        while let Some(next) = self.updates.next().now_or_never() {
            let next = next.ok_or_else(|| anyhow::anyhow!("the feed ended"))??;
            let Some(incident) = &next.incident else { continue };
            let before = taken.iter_mut().rev().find(|t| t.incident.as_ref().is_some_and(|i| i.name == incident.name));
            match before {
                Some(before) if next.change == "updated" && merges(before, incident) => before.incident = next.incident,
                _ => taken.push(next),
            }
        }
        Ok(taken)
    }

    fn on_update(&mut self, update: WatchIncidentsResponse, blocks: &mut Vec<(Timestamp, Vec<Line>)>) {
        let Some(incident) = update.incident else { return };
        let name = incident.name.clone();
        let told = self.incidents.entry(name.clone()).or_insert_with(|| Told {
            incident: v1::Incident::default(),
            alerts: BTreeSet::new(),
            cause: None,
            priority: 0,
            at: None,
            grown: false,
        });
        told.incident = incident;
        match &*update.change {
            "opened" | "reopened" => {
                let again = update.change == "reopened";
                let at = if again { &told.incident.updated_at } else { &told.incident.opened_at };
                let at = time(at.as_ref());
                blocks.push((at, told.tell_open(at, again, self.listed)));
            }
            "resolved" => {
                // What it grew by comes before its end.
                self.tell_grown(&name, true, blocks);
                if let Some(told) = self.incidents.get(&name) {
                    blocks.push((time(told.incident.updated_at.as_ref()), vec![told.tell_resolved()]));
                }
            }
            "updated" => told.grown = true,
            // That a resolved one is closed after a day is no news.
            _ => {}
        }
    }

    fn tell_grown(&mut self, name: &str, all: bool, blocks: &mut Vec<(Timestamp, Vec<Line>)>) {
        let Some(told) = self.incidents.get_mut(name).filter(|told| told.grown) else { return };
        if !all && told.at.is_some_and(|at| at.elapsed() < TELL_EVERY) {
            return;
        }
        told.grown = false;
        let at = time(told.incident.updated_at.as_ref());
        let lines = told.tell_grown(at, self.listed);
        if !lines.is_empty() {
            blocks.push((at, lines));
        }
    }

    fn tell_health(&mut self, all: bool, blocks: &mut Vec<(Timestamp, Vec<Line>)>) {
        let mut services: Vec<_> = self.api.views.services.iter().map(|entry| entry.value().clone()).collect();
        services.sort_by(|a, b| a.health_score().total_cmp(&b.health_score()).then_with(|| a.name.cmp(&b.name)));
        for service in services {
            let level = service.level();
            let told = self.services.entry(service.name.clone()).or_insert(Health {
                score: 100.0,
                level: v1::HealthLevel::Healthy,
                at: None,
            });
            if told.level == level || (!all && told.at.is_some_and(|at| at.elapsed() < TELL_EVERY)) {
                continue;
            }
            // Cut, not rounded: 59.5 is below the level that begins at 60.
            let (before, now) = (told.score.floor(), service.health_score().floor());
            let text = format!("{} {before} -> {now} {}", last(&service.name), level_name(level));
            let worst = service.contributions.first().filter(|_| service.health_score() < told.score);
            let line = Line {
                at: time(service.updated_at.as_ref()),
                kind: Kind::Health,
                tone: Tone::of_level(level),
                incident: String::new(),
                text,
                reason: worst.map(|worst| clean(&worst.reason)).unwrap_or_default(),
            };
            blocks.push((line.at, vec![line]));
            *told = Health { score: service.health_score(), level, at: Some(Instant::now()) };
        }
    }

    /// Whether everything that the views show was told, and of what they have forgotten that it ended.
    pub fn is_current(&self) -> bool {
        let mut shown = BTreeSet::new();
        let is_told = self.api.views.incidents.iter().all(|entry| {
            let IncidentUpdate { scope, incident, .. } = &**entry.value();
            let name = Incident::name(scope, incident.id);
            let told = self.incidents.get(&name).is_some_and(|told| told.incident.revision >= incident.revision);
            shown.insert(name);
            told
        });
        let ended = [v1::incident::State::Resolved, v1::incident::State::Closed];
        let has_ended = |told: &Told| ended.contains(&told.incident.state());
        is_told && self.incidents.iter().all(|(name, told)| shown.contains(name) || has_ended(told))
    }

    /// The counts as they are now.
    pub fn board(&self) -> Board {
        let views = &self.api.views;
        let counts = self.api.shared.progress.counts();
        // What was cleared long ago is in no view.
        let opened = |outcome| outcome == Outcome::Opened;
        let is_open = |told: &&Told| told.incident.state() == v1::incident::State::New;
        let mut services: Vec<_> = views
            .services
            .iter()
            .map(|service| (last(&service.name), service.health_score(), service.level()))
            .collect();
        services.sort_by(|a, b| a.1.total_cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
        Board {
            events: counts.iter().flat_map(|c| c.ledger.values()).sum(),
            alerts: counts
                .iter()
                .flat_map(|c| &c.ledger)
                .filter(|((_, outcome), _)| opened(*outcome))
                .map(|(_, n)| n)
                .sum(),
            alerts_open: views.alerts.iter().filter(|entry| entry.alert.open).count(),
            incidents: self.incidents.len(),
            incidents_open: self.incidents.values().filter(is_open).count(),
            services,
        }
    }

    /// The service of an incident's first cause, or its entity where it belongs to none.
    pub fn cause(&self, incident: &v1::Incident) -> Option<(String, String)> {
        let cause = incident.causes.first()?;
        let alert = incident.alerts.iter().find(|a| a.entity == cause.entity && a.check == cause.check);
        let service = alert.and_then(|alert| self.of_service.get(&alert.name)).unwrap_or(&cause.entity);
        Some((clean(service), clean(&cause.check)))
    }
}

/// Whether an incident that has only grown can be told as the earlier update of it.
fn merges(before: &WatchIncidentsResponse, now: &v1::Incident) -> bool {
    match (&*before.change, &before.incident) {
        ("updated", _) => true,
        ("opened", Some(opened)) => time(now.updated_at.as_ref()) - time(opened.updated_at.as_ref()) <= WITH_OPENING,
        _ => false,
    }
}

impl Told {
    fn line(&self, at: Timestamp, kind: Kind, tone: Tone, text: String, reason: String) -> Line {
        Line { at, kind, tone, incident: clean(&self.incident.number), text, reason }
    }

    fn tell_open(&mut self, at: Timestamp, again: bool, listed: usize) -> Vec<Line> {
        self.at = Some(Instant::now());
        self.grown = false;
        let incident = &self.incident;
        let (severity, services) = (incident.severity(), incident.services.join(", "));
        let (kind, what) = if again { (Kind::Reopened, " again") } else { (Kind::Opened, "") };
        let mut text = format!("P{} {}{what}", incident.priority, severity_name(severity));
        if !services.is_empty() {
            text += &format!(": {}", clean(&services));
        }
        let mut lines = vec![self.line(at, kind, Tone::of_severity(severity), text, String::new())];
        if !again {
            lines.extend(self.tell_cause(at));
            let why = clean(&self.incident.raise_reason);
            lines.push(self.line(at, Kind::Raised, Tone::Quiet, why, String::new()));
        }
        self.priority = self.incident.priority;
        lines.extend(self.tell_alerts(at, listed));
        lines
    }

    fn tell_grown(&mut self, at: Timestamp, listed: usize) -> Vec<Line> {
        self.at = Some(Instant::now());
        let incident = &self.incident;
        let more = incident.alerts.iter().filter(|alert| !self.alerts.contains(&alert.name)).count();
        let mut texts = Vec::new();
        if more > 0 {
            let all = count(incident.alert_count as usize, "alert");
            texts.push(format!("{more} more, {all} now"));
        }
        // What has become less urgent is no news.
        if incident.priority < self.priority {
            texts.push(format!("P{} -> P{}", self.priority, incident.priority));
        }
        let caused = incident.causes.first().map(|cause| (cause.entity.clone(), cause.check.clone()));
        if texts.is_empty() && caused == self.cause {
            return Vec::new();
        }
        if texts.is_empty() {
            texts.push("another cause".to_owned());
        }
        let tone = Tone::of_severity(incident.severity());
        let mut lines = vec![self.line(at, Kind::Grown, tone, texts.join(", "), String::new())];
        self.priority = incident.priority;
        if caused != self.cause {
            lines.extend(self.tell_cause(at));
        }
        lines.extend(self.tell_alerts(at, listed));
        lines
    }

    fn tell_cause(&mut self, at: Timestamp) -> Option<Line> {
        let cause = self.incident.causes.first()?;
        self.cause = Some((cause.entity.clone(), cause.check.clone()));
        let text = format!("{} on {}", clean(&cause.check), clean(&cause.entity));
        Some(self.line(at, Kind::Cause, Tone::Strong, text, clean(&cause.reason)))
    }

    /// Those that were not told, the worst first.
    fn tell_alerts(&mut self, at: Timestamp, listed: usize) -> Vec<Line> {
        let mut new: Vec<_> = self.incident.alerts.iter().filter(|a| !self.alerts.contains(&a.name)).collect();
        new.sort_by_key(|alert| std::cmp::Reverse(alert.severity));
        // One line more for an alert is as good as one that says there is one more.
        let listed = if new.len() == listed + 1 { new.len() } else { listed };
        let mut lines = Vec::new();
        for alert in new.iter().take(listed) {
            let text = if alert.summary.is_empty() {
                format!("{} on {}", clean(&alert.check), clean(&alert.entity))
            } else {
                clean(&alert.summary)
            };
            let severity = alert.severity();
            let tone = Tone::of_severity(severity);
            lines.push(self.line(at, Kind::Alert(severity), tone, text, clean(&alert.reason)));
        }
        if new.len() > listed {
            let text = format!("and {} more", new.len() - listed);
            lines.push(self.line(at, Kind::More, Tone::Quiet, text, String::new()));
        }
        let names: Vec<String> = new.into_iter().map(|alert| alert.name.clone()).collect();
        self.alerts.extend(names);
        lines
    }

    fn tell_resolved(&self) -> Line {
        let incident = &self.incident;
        let (opened, resolved) = (time(incident.opened_at.as_ref()), time(incident.resolved_at.as_ref()));
        let alerts = count(incident.alert_count as usize, "alert");
        let text = format!("after {}, {alerts}", lasted((resolved - opened).0 / 1_000));
        self.line(time(incident.updated_at.as_ref()), Kind::Resolved, Tone::Good, text, String::new())
    }
}
