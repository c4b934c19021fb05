//! Follows the feed and the views of a running engine, and tells what a person on call would want to hear: each thing
//! once, what belongs together together.
use super::{
    line::{Kind, Line, Tone, level_name, severity_name},
    screen::Board,
    text::{clean, count, lasted},
};
use crate::{
    commands::explain::{how_sure, reason},
    outputs::OutputReader,
    serve::{
        feed::{self, Updates},
        grpc::Api,
    },
};
use futures::{FutureExt as _, StreamExt as _};
use prost::Message as _;
use quell_connectors::{log::Topic, wire};
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
use tokio::{sync::mpsc, time::Instant};

/// An incident that grows is told of no more often, by the time of its events.
const TELL_EVERY: Span = Span::seconds(60);
/// What follows an opening so soon is told with it.
const WITH_OPENING: Span = Span::seconds(30);
/// Where recorded time passes slowly nobody waits longer for either. Where it does not, how fast the machine is decides nothing.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// How long a reader waits for what comes next.
const READ_WAIT: Duration = Duration::from_millis(100);
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
    /// When it was told of last.
    at: Timestamp,
    /// What is about to be told, and since when.
    pending: Option<(Pending, Instant)>,
}

/// What is told together with what follows it soon.
#[derive(Clone, Copy, Debug)]
enum Pending {
    Opening { at: Timestamp, again: bool },
    Growth,
}

/// What is told at a time. Of one moment what suffers comes first, then why, whichever was heard of first.
#[derive(Debug)]
struct Block {
    at: Timestamp,
    of: Of,
    lines: Vec<Line>,
}

/// Whose news it is, by name.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Of {
    Service(String),
    Incident(String),
}

/// What was told of a service.
#[derive(Debug)]
struct Health {
    score: f64,
    level: v1::HealthLevel,
}

/// Follows.
pub struct Follower {
    api: Api,
    updates: Updates,
    /// Services as they speak, each turn of their health.
    turns: mpsc::UnboundedReceiver<anyhow::Result<v1::Service>>,
    /// By name.
    incidents: BTreeMap<String, Told>,
    services: BTreeMap<String, Health>,
    /// By alert: its service. An alert may be past and forgotten when its incident is told of at the end.
    of_service: BTreeMap<String, String>,
    /// Not told yet: feed and views are read beside each other, and what is told is told in the order of its time.
    blocks: Vec<Block>,
    /// The latest time of a block at the last poll.
    horizon: Timestamp,
    /// The latest time that was heard of.
    latest: Timestamp,
    /// Alerts of an incident that are listed.
    listed: usize,
    is_slow: bool,
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
        let (send, turns) = mpsc::unbounded_channel();
        for partition in 0..api.shared.partitions {
            tokio::spawn(read_health(api.clone(), partition, send.clone()));
        }
        let narrow = columns.is_some_and(|columns| columns < NARROW);
        let listed = if narrow { ALERTS_LISTED_NARROW } else { ALERTS_LISTED };
        Ok(Self {
            api,
            updates,
            turns,
            incidents: BTreeMap::new(),
            services: BTreeMap::new(),
            of_service: BTreeMap::new(),
            blocks: Vec::new(),
            horizon: Timestamp::MIN,
            latest: Timestamp::MIN,
            listed,
            is_slow: true,
        })
    }

    /// Recorded time passes so many times as fast.
    pub fn goes_at(&mut self, speed: f64) {
        self.is_slow = Duration::from_millis(TELL_EVERY.0.unsigned_abs()) > WAIT_MAX.mul_f64(speed.clamp(1.0, 1e6));
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
        while let Ok(service) = self.turns.try_recv() {
            self.tell_health(&service?, &mut blocks);
        }
        while let Some(update) = self.updates.next().now_or_never() {
            let update = update.ok_or_else(|| anyhow::anyhow!("the feed ended"))??;
            self.on_update(update, &mut blocks);
        }
        let (latest, is_slow) = (self.latest, self.is_slow);
        for told in self.incidents.values_mut() {
            let waited = is_slow && told.pending.is_some_and(|(_, since)| since.elapsed() >= WAIT_MAX);
            if all || waited || told.is_due(latest) {
                told.tell_pending(self.listed, &mut blocks);
            }
        }
        blocks.sort_by(|a, b| (a.at, &a.of).cmp(&(b.at, &b.of)));
        let last = blocks.last().map_or(self.horizon, |block| block.at);
        // What is about to be told comes before what has happened since.
        let pending = self.incidents.values().filter_map(Told::pending_at).min().unwrap_or(Timestamp::MAX);
        let is_ripe = |at: Timestamp| all || at <= self.horizon && at <= pending;
        let ripe = blocks.partition_point(|block| is_ripe(block.at));
        self.blocks = blocks.split_off(ripe);
        self.horizon = last;
        Ok(blocks.into_iter().flat_map(|block| block.lines).collect())
    }

    fn on_update(&mut self, update: WatchIncidentsResponse, blocks: &mut Vec<Block>) {
        let Some(incident) = update.incident else { return };
        let (listed, at) = (self.listed, time(incident.updated_at.as_ref()));
        self.latest = self.latest.max(at);
        let told = self.incidents.entry(incident.name.clone()).or_insert_with(|| Told {
            incident: v1::Incident::default(),
            alerts: BTreeSet::new(),
            cause: None,
            priority: 0,
            at: Timestamp::MIN,
            pending: None,
        });
        if told.is_due(at) || matches!(&*update.change, "reopened" | "resolved") {
            told.tell_pending(listed, blocks);
        }
        let opened_at = time(incident.opened_at.as_ref());
        told.incident = incident;
        let pending = match &*update.change {
            "opened" => Pending::Opening { at: opened_at, again: false },
            "reopened" => Pending::Opening { at, again: true },
            "updated" => Pending::Growth,
            "resolved" => {
                blocks.push(told.block(at, vec![told.tell_resolved()]));
                return;
            }
            // That a resolved one is closed after a day is no news.
            _ => return,
        };
        told.pending.get_or_insert_with(|| (pending, Instant::now()));
    }

    fn tell_health(&mut self, service: &v1::Service, blocks: &mut Vec<Block>) {
        let (at, level) = (time(service.updated_at.as_ref()), service.level());
        self.latest = self.latest.max(at);
        let well = Health { score: 100.0, level: v1::HealthLevel::Healthy };
        let told = self.services.entry(service.name.clone()).or_insert(well);
        if told.level == level {
            return;
        }
        // Cut, not rounded: 59.5 is below the level that begins at 60.
        let (before, now) = (told.score.floor(), service.health_score().floor());
        let text = format!("{} {before} -> {now} {}", last(&service.name), level_name(level));
        let worst = service.contributions.first().filter(|_| service.health_score() < told.score);
        let reason = worst.map(|worst| clean(&worst.reason)).unwrap_or_default();
        let (kind, tone, incident) = (Kind::Health, Tone::of_level(level), String::new());
        let lines = vec![Line { at, kind, tone, incident, text, reason }];
        blocks.push(Block { at, of: Of::Service(service.name.clone()), lines });
        *told = Health { score: service.health_score(), level };
    }

    /// Whether everything that the views show was told.
    pub fn is_current(&self) -> bool {
        let incidents = self.api.views.incidents.iter().all(|entry| {
            let IncidentUpdate { scope, incident, .. } = &**entry.value();
            let told = self.incidents.get(&Incident::name(scope, incident.id));
            told.is_some_and(|told| told.incident.revision >= incident.revision)
        });
        let level = |name: &str| self.services.get(name).map_or(v1::HealthLevel::Healthy, |told| told.level);
        incidents && self.api.views.services.iter().all(|service| level(&service.name) == service.level())
    }

    /// The counts as they are now.
    pub fn board(&self) -> Board {
        let views = &self.api.views;
        let counts = self.api.shared.progress.counts();
        let of = |outcome| {
            let all = counts.iter().flat_map(|c| &c.ledger);
            all.filter(move |((_, of), _)| *of == outcome).map(|(_, n)| n).sum()
        };
        let is_open = |told: &&Told| told.incident.state() == v1::incident::State::New;
        let mut services: Vec<_> = views
            .services
            .iter()
            .map(|service| (last(&service.name), service.health_score(), service.level()))
            .collect();
        services.sort_by(|a, b| a.1.total_cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
        Board {
            events: counts.iter().flat_map(|c| c.ledger.values()).sum(),
            samples: of(Outcome::Sampled),
            alerts: counts.iter().map(|c| c.totals.alerts).sum(),
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

/// Reads how the services of a journal partition do, from the beginning, until nobody listens or it can't.
async fn read_health(api: Api, partition: u32, send: mpsc::UnboundedSender<anyhow::Result<v1::Service>>) {
    let (place, journal) = ((Topic::Health, partition), api.shared.control.latest().uuid);
    let read = async {
        let mut reader =
            OutputReader::open(&api.shared.log, place, journal, (0, 0), api.shared.rules.readers_skip).await?;
        while !send.is_closed() {
            let Some(next) = reader.next(READ_WAIT).await? else { continue };
            // What is no longer kept has no body.
            if next.output.gone.is_empty() {
                // Nobody listens at the end.
                let _ = send.send(Ok(v1::Service::decode(next.output.body)?));
            }
        }
        anyhow::Ok(())
    };
    if let Err(error) = read.await {
        let _ = send.send(Err(error));
    }
}

impl Told {
    fn line(&self, at: Timestamp, kind: Kind, tone: Tone, text: String, reason: String) -> Line {
        Line { at, kind, tone, incident: clean(&self.incident.number), text, reason }
    }

    fn block(&self, at: Timestamp, lines: Vec<Line>) -> Block {
        Block { at, of: Of::Incident(self.incident.name.clone()), lines }
    }

    /// The time of what is about to be told.
    fn pending_at(&self) -> Option<Timestamp> {
        self.pending.map(|(pending, _)| match pending {
            Pending::Opening { at, .. } => at,
            Pending::Growth => time(self.incident.updated_at.as_ref()),
        })
    }

    /// Whether what is about to be told is told now, without what comes later.
    fn is_due(&self, now: Timestamp) -> bool {
        self.pending.is_some_and(|(pending, _)| match pending {
            Pending::Opening { at, .. } => now > at + WITH_OPENING,
            Pending::Growth => now >= self.at + TELL_EVERY,
        })
    }

    fn tell_pending(&mut self, listed: usize, blocks: &mut Vec<Block>) {
        let Some((at, (pending, _))) = self.pending_at().zip(self.pending.take()) else { return };
        let lines = match pending {
            Pending::Opening { again, .. } => self.tell_open(at, again, listed),
            Pending::Growth => self.tell_grown(at, listed),
        };
        if !lines.is_empty() {
            blocks.push(self.block(at, lines));
        }
    }

    fn tell_open(&mut self, at: Timestamp, again: bool, listed: usize) -> Vec<Line> {
        self.at = at;
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
        self.at = at;
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
        let what = match &*cause.check {
            "" => clean(&cause.entity),
            check => format!("{} on {}", clean(check), clean(&cause.entity)),
        };
        let text = format!("{}: {what}", how_sure(cause));
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
            let reason = clean(reason(alert, &self.incident));
            lines.push(self.line(at, Kind::Alert(severity), tone, text, reason));
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
