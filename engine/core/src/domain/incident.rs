//! An episode that people are asked to act on.
use super::{
    alert::AlertId,
    episode::{EpisodeId, Evidence, Reason},
    recurrence::{Problem, SimilarIncident},
    severity::Severity,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, fmt, sync::Arc};

/// `hash(scope, founding fingerprint, opened_at, ordinal)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IncidentId(pub u64);

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Where an incident is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum State {
    New,
    /// Somebody looks after it.
    Acknowledged,
    InProgress,
    OnHold,
    Resolved,
    Closed,
}

impl State {
    /// In lower case: `resolved`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Acknowledged => "acknowledged",
            Self::InProgress => "in progress",
            Self::OnHold => "on hold",
            Self::Resolved => "resolved",
            Self::Closed => "closed",
        }
    }

    /// Neither resolved nor closed.
    pub const fn is_open(self) -> bool {
        !matches!(self, Self::Resolved | Self::Closed)
    }
}

/// Why an incident was raised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum RaiseReason {
    /// An alert fired on for this many seconds.
    Fires { entity: Arc<str>, check: Arc<str>, seconds: i64 },
    /// So many alerts at once.
    Many { alerts: usize, entities: usize },
    /// So many alerts, of an origin that tells of no ends, of checks that are rarely heard.
    Unexpected { alerts: usize, nats: u32 },
    /// A person said that it is another one than this.
    Split { from: IncidentId, number: u64 },
    /// So many other incidents were raised within so many seconds.
    Storm { incidents: usize, seconds: i64 },
}

impl fmt::Display for RaiseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fires { entity, check, seconds: 0 } => write!(f, "{check} on {entity} fires"),
            Self::Fires { entity, check, seconds } if seconds % 60 == 0 => {
                write!(f, "{check} on {entity} has fired for {} min", seconds / 60)
            }
            Self::Fires { entity, check, seconds } => write!(f, "{check} on {entity} has fired for {seconds} s"),
            Self::Many { alerts, entities } => write!(f, "{alerts} alerts on {entities} entities at once"),
            Self::Unexpected { alerts, nats } => {
                write!(f, "{alerts} alerts that are unexpected together ({nats} nats)")
            }
            Self::Split { number, .. } => write!(f, "split by hand from incident {number}"),
            Self::Storm { incidents, seconds } if seconds % 60 == 0 => {
                write!(f, "{incidents} incidents within {} min", seconds / 60)
            }
            Self::Storm { incidents, seconds } => write!(f, "{incidents} incidents within {seconds} s"),
        }
    }
}

/// What most likely caused an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cause {
    pub entity: Arc<str>,
    /// Empty: it has no alert itself.
    pub check: Arc<str>,
    /// The id of the change that is suspected.
    pub change: Option<Arc<str>>,
    pub reason: String,
    /// In thousandths.
    pub confidence: u32,
}

/// From this confidence on a cause is likely, else possible. People are not told the number: too few causes were confirmed to
/// count how often it holds.
const LIKELY: u32 = 500;

impl Cause {
    /// It is likely, not only possible.
    pub const fn is_likely(&self) -> bool {
        self.confidence >= LIKELY
    }

    /// Nothing was heard of it itself.
    pub fn is_silent(&self) -> bool {
        self.check.is_empty() && self.change.is_none()
    }

    /// What its texts take.
    pub fn bytes(&self) -> usize {
        self.entity.len() + self.check.len() + self.change.as_ref().map_or(0, |id| id.len()) + self.reason.len()
    }
}

/// A change near an incident: a suspect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NearbyChange {
    pub id: Arc<str>,
    pub entity: Arc<str>,
    pub check: Arc<str>,
    pub summary: Arc<str>,
    pub at: Timestamp,
    /// Why it is near.
    pub reason: String,
}

impl NearbyChange {
    /// What its texts take.
    pub fn bytes(&self) -> usize {
        self.id.len() + self.entity.len() + self.check.len() + self.summary.len() + self.reason.len()
    }
}

/// The incident as recorded in another system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    pub system: String,
    pub key: String,
    pub url: String,
}

/// Something that happened to an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimelineEntry {
    pub at: Timestamp,
    /// Empty: Quell itself.
    pub actor: Arc<str>,
    pub kind: Arc<str>,
    pub text: String,
}

impl TimelineEntry {
    /// What its texts take.
    pub fn bytes(&self) -> usize {
        self.actor.len() + self.kind.len() + self.text.len()
    }
}

/// Who did something, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct By {
    pub actor: Arc<str>,
    pub at: Timestamp,
}

/// How bad it is for the business, and how soon (ITIL): 1 is worst. Priority is `impact + urgency − 1`, from 1 to 5.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Priority {
    /// 1 to 3.
    pub impact: u8,
    /// 1 to 3.
    pub urgency: u8,
    pub reason: String,
}

impl Priority {
    /// 1 (worst) to 5.
    pub const fn value(&self) -> u8 {
        self.impact + self.urgency - 1
    }
}

/// An incident as it is now; its alerts are its episode's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    pub id: IncidentId,
    /// Counted in its scope, from 1.
    pub number: u64,
    pub episode: EpisodeId,
    pub revision: u64,
    pub state: State,
    /// When its first alert began.
    pub started_at: Timestamp,
    pub opened_at: Timestamp,
    pub updated_at: Timestamp,
    pub acknowledged: Option<By>,
    /// Who resolved it; `None`: all its alerts were clear.
    pub resolved_by: Option<Arc<str>>,
    /// Empty: nobody is assigned.
    pub assignee: Arc<str>,
    pub resolved_at: Option<Timestamp>,
    pub closed_at: Option<Timestamp>,
    pub raised: RaiseReason,
    /// The worst of its open alerts; once it is over the worst that it was, and so is the priority.
    pub severity: Severity,
    pub priority: Priority,
    /// The worst that it was.
    pub worst_severity: Severity,
    /// Where it was more urgent before: the most that it was.
    pub worst_priority: Option<Box<Priority>>,
    pub title: String,
    /// Two or three sentences for people.
    pub summary: String,
    /// Best first.
    pub causes: Vec<Cause>,
    pub services: Vec<Arc<str>>,
    /// Latest first.
    pub changes: Vec<NearbyChange>,
    /// Oldest first.
    pub timeline: VecDeque<TimelineEntry>,
    pub tickets: Vec<Ticket>,
    /// Incidents merged into it.
    pub duplicates: Vec<IncidentId>,
    /// The one that it was split from.
    pub split_from: Option<IncidentId>,
    /// An earlier one, of an alert that has come back.
    pub previous: Option<IncidentId>,
    pub reopened: u32,
    /// All its open alerts are suppressed.
    pub muted: bool,
    /// The clock when it last spoke.
    pub said_at: Timestamp,
    /// How many of the episode's members were told.
    pub members_said: usize,
    /// Alerts that have left since it last spoke.
    pub removed: Vec<AlertId>,
    /// The incident that took it in.
    pub merged_into: Option<IncidentId>,
    /// The major incident of a storm that it is a branch of.
    pub major: Option<IncidentId>,
    /// Of a major incident the first 1,000 of its branches, those that are no longer kept too,
    pub branches: Vec<IncidentId>,
    /// and how many there are.
    pub branch_count: u32,
    /// It has changed since it last spoke,
    pub unsaid: bool,
    /// and its causes may be others.
    pub rank_again: bool,
    /// Of how many alerts they were ranked.
    pub ranked: usize,
    /// What the model has suggested to do with it.
    pub suggested: Vec<Suggested>,
    /// Those of the past that it is most like, best first.
    pub similar: Vec<SimilarIncident>,
    /// What keeps coming back, as it stood when the causes were last ranked.
    pub problem: Option<Arc<Problem>>,
}

/// What the model has suggested to do with an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suggested {
    /// The incident to merge it with, or to move an alert to; itself: the alert has another cause.
    pub other: IncidentId,
    /// `None`: all, as the two are one.
    pub alert: Option<AlertId>,
    /// Nobody has taken or refused it yet.
    pub open: bool,
}

/// What is kept of an incident's past,
const TIMELINE_MAX: usize = 100;
/// in bytes: every update carries it.
const TIMELINE_BYTES_MAX: usize = 64_000;
/// Branches of a major incident that are named.
const BRANCHES_MAX: usize = 1_000;

impl Incident {
    /// One that `raised` gives reason for, at `at`; its revision 1 is yet to be said.
    pub fn new(id: IncidentId, number: u64, episode: EpisodeId, raised: RaiseReason, at: Timestamp) -> Self {
        Self {
            id,
            number,
            episode,
            revision: 0,
            state: State::New,
            started_at: at,
            opened_at: at,
            updated_at: at,
            acknowledged: None,
            resolved_by: None,
            assignee: Arc::default(),
            resolved_at: None,
            closed_at: None,
            raised,
            severity: Severity::Info,
            priority: Priority { impact: 3, urgency: 3, reason: String::new() },
            worst_severity: Severity::Info,
            worst_priority: None,
            title: String::new(),
            summary: String::new(),
            causes: Vec::new(),
            services: Vec::new(),
            changes: Vec::new(),
            timeline: VecDeque::new(),
            tickets: Vec::new(),
            duplicates: Vec::new(),
            split_from: None,
            previous: None,
            reopened: 0,
            muted: false,
            said_at: Timestamp::MIN,
            members_said: 0,
            removed: Vec::new(),
            merged_into: None,
            major: None,
            branches: Vec::new(),
            branch_count: 0,
            unsaid: false,
            rank_again: false,
            ranked: 0,
            suggested: Vec::new(),
            similar: Vec::new(),
            problem: None,
        }
    }

    /// It is a storm's: it has branches and no alerts of its own.
    pub const fn is_major(&self) -> bool {
        matches!(self.raised, RaiseReason::Storm { .. })
    }

    /// Somebody looks after it, or has said or decided something: the model only suggests what to do with it.
    pub fn is_attended(&self) -> bool {
        self.acknowledged.is_some()
            || !self.tickets.is_empty()
            || self.split_from.is_some()
            || self.timeline.iter().any(|e| !e.actor.is_empty())
    }

    /// People have taken or refused some of what was suggested; how much of it stood open.
    pub fn answer(&mut self, is: impl Fn(&Suggested) -> bool) -> u64 {
        let mut answered = 0;
        for suggested in self.suggested.iter_mut().filter(|suggested| suggested.open && is(suggested)) {
            suggested.open = false;
            answered += 1;
        }
        answered
    }

    /// Adds to its past; how it began stays, and then the oldest make room.
    pub fn note(&mut self, at: Timestamp, actor: &str, kind: &str, text: impl Into<String>) {
        let text = text.into();
        let mut bytes = self.timeline.iter().map(TimelineEntry::bytes).sum::<usize>() + text.len();
        while self.timeline.len() > 1 && (self.timeline.len() >= TIMELINE_MAX || bytes > TIMELINE_BYTES_MAX) {
            bytes -= self.timeline.remove(1).map_or(0, |entry| entry.bytes());
        }
        self.timeline.push_back(TimelineEntry { at, actor: actor.into(), kind: kind.into(), text });
    }

    /// One more incident is its branch; the first are named.
    pub fn add_branch(&mut self, branch: IncidentId) {
        self.branch_count = self.branch_count.saturating_add(1);
        if self.branches.len() < BRANCHES_MAX {
            self.branches.push(branch);
        }
    }

    /// An incident is its branch no more.
    pub fn drop_branch(&mut self, branch: IncidentId) {
        self.branch_count = self.branch_count.saturating_sub(1);
        self.branches.retain(|known| *known != branch);
    }

    /// Its priority is another one.
    pub fn prioritise(&mut self, priority: Priority) {
        let before = std::mem::replace(&mut self.priority, priority);
        let is_worst = self.worst_priority.as_ref().is_none_or(|worst| before.value() < worst.value());
        if self.revision > 0 && is_worst && before.value() < self.priority.value() {
            self.worst_priority = Some(Box::new(before));
        }
    }

    /// It is over: which of its alerts ended last says nothing of how grave it was.
    pub fn sum_up(&mut self) {
        self.severity = self.worst_severity;
        if let Some(worst) = self.worst_priority.take_if(|worst| worst.value() < self.priority.value()) {
            self.priority = *worst;
        }
    }

    /// What came from elsewhere takes its place in time.
    pub fn sort_timeline(&mut self) {
        self.timeline.make_contiguous().sort_by_key(|entry| entry.at);
    }

    /// `scopes/{scope}/incidents/{incident}`
    pub fn name(scope: &str, id: IncidentId) -> String {
        format!("scopes/{scope}/incidents/{id}")
    }
}

/// An alert of an incident, in short.
#[derive(Clone, Debug, PartialEq)]
pub struct ShortAlert {
    pub id: AlertId,
    pub entity: Arc<str>,
    pub check: Arc<str>,
    pub summary: Arc<str>,
    pub severity: Severity,
    pub open: bool,
    pub reason: Reason,
    pub evidence: Evidence,
    /// Seconds after the alert it joined; 0 where it did not come after it.
    pub after: i64,
    pub opened_at: Timestamp,
    /// The best other place that was considered; `None` where none was.
    pub next_best: Option<NextBest>,
    /// When it came here from another place.
    pub moved_at: Option<Timestamp>,
    /// It opened at the hour at which it usually comes.
    pub at_its_hour: Option<Box<str>>,
}

/// The best other place that was considered for an alert, as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextBest {
    pub place: Place,
    /// Log-odds of it then, in thousandths of a nat.
    pub total: i64,
}

/// Where an alert may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In an incident of its own.
    Own,
    Incident(IncidentId),
    /// With alerts that are of no incident.
    Alerts,
    /// With alerts that have become part of the incident itself.
    Here,
    /// With alerts that are no longer kept.
    Gone,
}

impl ShortAlert {
    /// Why it is in the incident, for people.
    pub fn why(&self) -> String {
        match self.after {
            ..=0 => self.reason.to_string(),
            after => format!("{}, {after} s after the alert before", self.reason),
        }
    }
}
