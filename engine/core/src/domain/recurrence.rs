//! What comes back: incidents of the past that were alike, and the problem that may be behind them.
use super::{
    incident::{IncidentId, Ticket},
    time::{Span, Timestamp},
};
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, fmt, sync::Arc};

/// An incident that is over, as later ones show it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PastIncident {
    pub id: IncidentId,
    pub number: u64,
    pub title: String,
    pub started_at: Timestamp,
    pub resolved_at: Timestamp,
    /// `None`: all its alerts were clear.
    pub resolved_by: Option<Arc<str>>,
    /// What people said of it last; empty where they said nothing.
    pub resolution: String,
    pub tickets: Vec<Ticket>,
    /// What was shown as its most likely cause: `latency on db`.
    pub cause: String,
}

impl PastIncident {
    /// What its texts take.
    pub fn bytes(&self) -> usize {
        let tickets = self.tickets.iter().map(|t| t.system.len() + t.key.len() + t.url.len());
        let by = self.resolved_by.as_ref().map_or(0, |by| by.len());
        self.title.len() + self.resolution.len() + self.cause.len() + by + tickets.sum::<usize>()
    }
}

/// An incident of the past that was like another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SimilarIncident {
    /// In thousandths.
    pub similarity: u32,
    pub past: Arc<PastIncident>,
}

/// `hash(scope, its first incident)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProblemId(pub u64);

impl fmt::Display for ProblemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// An incident of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Returned {
    pub number: u64,
    pub id: IncidentId,
    pub started_at: Timestamp,
}

/// A candidate for what ITIL calls a problem, the cause of one or more incidents: like ones keep coming.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    pub id: ProblemId,
    /// Counted in its scope, from 1.
    pub number: u64,
    /// That of its latest incident.
    pub title: String,
    /// How many incidents it has had.
    pub count: u64,
    /// When the first of them began.
    pub first_at: Timestamp,
    /// The latest of them, by number.
    pub returned: VecDeque<Returned>,
    /// When it comes, for people; `None` where no time of day stands out.
    pub usual: Option<String>,
}

impl Problem {
    /// `scopes/{scope}/problems/{problem}`
    pub fn name(scope: &str, id: ProblemId) -> String {
        format!("scopes/{scope}/problems/{id}")
    }

    /// When the latest of its incidents began.
    pub fn last_at(&self) -> Timestamp {
        self.returned.iter().map(|one| one.started_at).max().unwrap_or(self.first_at)
    }

    /// How long it was on average from one to the next.
    pub fn every(&self) -> Span {
        let gaps = i64::try_from(self.count.saturating_sub(1)).unwrap_or(i64::MAX);
        Span((self.last_at() - self.first_at).0.max(0) / gaps.max(1))
    }
}
