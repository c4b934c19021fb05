//! What the fold says.
use crate::{
    domain::{
        alert::{Alert, AlertId},
        command::CommandResult,
        correction::{Correction, CorrectionId},
        episode::{EpisodeId, Evidence, Gain, Moved},
        event::Event,
        health::Level,
        incident::{Incident, IncidentId, ShortAlert},
        kpi::KpiLevel,
        maintenance::Maintenance,
        recurrence::{Problem, ProblemId},
        silence::Silence,
        time::Timestamp,
    },
    ledger::Outcome,
    stages::deduplicate::event_key,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Where an output goes. Each topic has its own dense numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum OutputTopic {
    Incidents,
    Alerts,
    Health,
    DeadLetter,
    /// What came of commands, and problems.
    Commands,
}

impl OutputTopic {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Incidents, Self::Alerts, Self::Health, Self::DeadLetter, Self::Commands];
}

/// A number for each topic.
pub type ByTopic<T> = [T; OutputTopic::ALL.len()];

/// One thing said.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Dense within its topic, from 1.
    pub number: u64,
    /// The journal position that made it.
    pub position: u64,
    pub body: Body,
}

/// What is said.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    Incident(Box<IncidentUpdate>),
    Alert(Box<AlertUpdate>),
    Service(Box<ServiceUpdate>),
    DeadLetter(Box<DeadLetter>),
    Result(Box<CommandResult>),
    Silence(Box<SilenceUpdate>),
    Window(Box<WindowUpdate>),
    Correction(Box<CorrectionUpdate>),
    /// What people said of which alerts belong together holds no more.
    CorrectionGone {
        scope: Arc<str>,
        id: CorrectionId,
    },
    /// A silence, or a maintenance window, that is no longer kept; by name.
    SuppressorGone {
        scope: Arc<str>,
        name: String,
    },
    Problem(Box<ProblemUpdate>),
    /// A problem that is no longer kept.
    ProblemGone {
        scope: Arc<str>,
        id: ProblemId,
    },
    /// An incident that is no longer kept.
    IncidentGone {
        scope: Arc<str>,
        id: IncidentId,
    },
    /// An alert that is no longer kept.
    AlertGone {
        scope: Arc<str>,
        id: AlertId,
    },
}

impl Body {
    /// Where it goes.
    pub const fn topic(&self) -> OutputTopic {
        match self {
            Self::Incident(_) | Self::IncidentGone { .. } => OutputTopic::Incidents,
            Self::Alert(_) | Self::AlertGone { .. } => OutputTopic::Alerts,
            Self::Service(_) => OutputTopic::Health,
            Self::DeadLetter(_) => OutputTopic::DeadLetter,
            Self::Result(_)
            | Self::Silence(_)
            | Self::Window(_)
            | Self::Problem(_)
            | Self::ProblemGone { .. }
            | Self::Correction(_)
            | Self::CorrectionGone { .. }
            | Self::SuppressorGone { .. } => OutputTopic::Commands,
        }
    }
}

/// A revision of an incident.
#[derive(Clone, Debug, PartialEq)]
pub struct IncidentUpdate {
    pub scope: Arc<str>,
    pub incident: Incident,
    /// All that ever belonged to it, up to 800 KB.
    pub alerts: Vec<ShortAlert>,
    /// There are more alerts than fit, or more joined or left.
    pub alerts_truncated: bool,
    pub alert_count: usize,
    pub open_alert_count: usize,
    /// Those that joined with this revision, up to 200 KB with those that left.
    pub added: Vec<AlertId>,
    /// Those that left with this revision.
    pub removed: Vec<AlertId>,
    /// What made it one of several, the latest 16, oldest first; with how many of its alerts came so.
    pub merges: Vec<(Moved, usize)>,
    /// For people.
    pub change: &'static str,
}

/// An alert as it is now. The engine goes on with a copy where it changes while someone holds this.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertUpdate {
    pub scope: Arc<str>,
    pub alert: Arc<Alert>,
}

/// A silence as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct SilenceUpdate {
    pub scope: Arc<str>,
    pub silence: Silence,
}

/// A maintenance window as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowUpdate {
    pub scope: Arc<str>,
    pub window: Maintenance,
}

/// A problem as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct ProblemUpdate {
    pub scope: Arc<str>,
    pub problem: Arc<Problem>,
}

/// What people said of which alerts belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct CorrectionUpdate {
    pub scope: Arc<str>,
    pub correction: Correction,
}

/// A service as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceUpdate {
    pub scope: Arc<str>,
    pub id: Arc<str>,
    pub name: Arc<str>,
    pub tier: Arc<str>,
    /// In hundredths, 0 to 10,000.
    pub score: i32,
    pub level: Level,
    /// Why, for people: the level and what pulls it down most.
    pub reason: String,
    /// Worst first, at most 10.
    pub contributions: Vec<Contribution>,
    /// Those that were measured, in the order of their ids.
    pub kpis: Vec<KpiUpdate>,
    pub open_alerts: usize,
    pub at: Timestamp,
    /// Where it is forecast, and enough was seen.
    pub forecast: Option<HealthForecast>,
}

/// What a service's score will be, in hundredths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthForecast {
    pub at: Timestamp,
    pub score: i32,
    /// 80 % of what comes lies between these.
    pub low: i32,
    pub high: i32,
    /// Forecasts before it were better than its last score and than yesterday's; else it is the better of these.
    pub is_adopted: bool,
}

/// A KPI as it was when its service last spoke.
#[derive(Clone, Debug, PartialEq)]
pub struct KpiUpdate {
    pub id: Arc<str>,
    pub title: Arc<str>,
    pub value: f64,
    pub unit: Arc<str>,
    pub level: KpiLevel,
    pub importance: u8,
}

/// What pulls a service down.
#[derive(Clone, Debug, PartialEq)]
pub struct Contribution {
    /// An alert's name, a KPI's, or a service's.
    pub name: String,
    pub reason: String,
    /// In hundredths of a point.
    pub points: i32,
}

/// A record that could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// `{topic}/{partition}`
    pub source: Arc<str>,
    pub offset: i64,
    pub reason: String,
    /// As it was received, cut to 64 KiB.
    pub payload: Vec<u8>,
}

/// What one step said.
#[derive(Debug, Default)]
pub struct Outputs {
    pub items: Vec<Output>,
    /// Kept where someone asks what became of each event: offline, in tests.
    pub trace: Option<Trace>,
    /// Incidents are said without their alerts, which the trace has too, and services not at all: many times faster in a
    /// storm.
    pub brief: bool,
}

impl Outputs {
    /// With a trace.
    pub fn traced() -> Self {
        Self { trace: Some(Trace::default()), ..Self::default() }
    }

    pub(crate) fn say(&mut self, body: Body) {
        self.items.push(Output { number: 0, position: 0, body });
    }

    /// An event is refused before any stage sees it.
    pub(crate) fn judge(&mut self, event: &Event, outcome: Outcome) {
        if let Some(trace) = &mut self.trace {
            let event = event_key(&event.origin, &event.id);
            trace.verdicts.push(Verdict::of(event, outcome, None, ""));
        }
    }
}

/// What became of each event, and where alerts were placed, each in the order it was decided.
#[derive(Debug, Default)]
pub struct Trace {
    pub verdicts: Vec<Verdict>,
    pub placed: Vec<Placed>,
    /// What the model decided of alerts,
    pub weighed: Vec<Weighed>,
    /// and of whole episodes.
    pub united: Vec<United>,
    /// What alerts were weighed against as they opened, where it is asked for.
    pub considered: Option<Vec<Considered>>,
}

/// An alert was weighed against an episode as it opened; `evidence` has no margin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Considered {
    pub alert: AlertId,
    pub episode: EpisodeId,
    pub evidence: Evidence,
}

/// An alert was weighed, and placed by it. Numbers are log-odds in thousandths of a nat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighed {
    pub scope: Arc<str>,
    pub alert: AlertId,
    /// Where it went.
    pub episode: EpisodeId,
    /// It had a place before.
    pub moves: bool,
    /// That is an episode of its own: `total` is what spoke for the best of the others, or for staying.
    pub founds: bool,
    /// As it was compared,
    pub total: i64,
    /// with what it had to be more than; no more than, where it founds.
    pub needed: i64,
    /// What the next best had.
    pub second: i64,
    /// Of the odds, not of the parts: the same but for their rounding.
    pub odds: i64,
    /// Of all candidates together.
    pub together: i64,
    /// What is told of it.
    pub evidence: Evidence,
}

/// Two episodes became one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct United {
    pub scope: Arc<str>,
    pub from: EpisodeId,
    pub into: EpisodeId,
    pub at: Timestamp,
    /// As it was compared, in thousandths of a nat.
    pub total: i64,
    /// `None`: an alert that was alone is better off there.
    pub gain: Option<Gain>,
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// [`event_key`](crate::stages::deduplicate::event_key) of its origin and id.
    pub event: u64,
    pub outcome: Outcome,
    pub alert: Option<AlertId>,
    pub episode: Option<EpisodeId>,
    /// What keeps its alert from being heard, for people.
    pub suppressed_by: Option<String>,
}

impl Verdict {
    pub(crate) fn of(event: u64, outcome: Outcome, alert: Option<&Alert>, scope: &str) -> Self {
        let suppressed_by = alert.and_then(|a| a.suppressed_by.as_ref()).map(|by| by.describe(scope));
        Self { event, outcome, alert: alert.map(|a| a.id), episode: alert.and_then(Alert::place), suppressed_by }
    }
}

/// An alert took a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    pub scope: Arc<str>,
    pub alert: AlertId,
    /// The episode that it leaves for it; `None` where an occurrence begins.
    pub from: Option<EpisodeId>,
    pub episode: EpisodeId,
    pub at: Timestamp,
    pub reason: String,
    /// Verdicts of the step that stood before it.
    pub before: usize,
}
