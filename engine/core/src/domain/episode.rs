//! Alerts that the engine believes share a cause.
use super::{
    alert::{Alert, AlertId, Fingerprint},
    incident::IncidentId,
    severity::Severity,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, sync::Arc};

/// `hash(scope, founding fingerprint, opened_at, ordinal)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EpisodeId(pub u64);

impl fmt::Display for EpisodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Why an alert is in its episode.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reason {
    /// It founded the episode.
    First,
    /// Another alert of the same entity.
    SameEntity,
    /// The entity runs on this one, which has an alert.
    RunsOn(Arc<str>),
    /// Something with an alert runs on the entity.
    Carries,
    /// The entity is linked to this one, which has an alert.
    LinkedTo(Arc<str>),
    /// Both belong to this service.
    SameService(Arc<str>),
    /// Its service depends on this one.
    DependsOn(Arc<str>),
    /// This service depends on its service.
    Serves(Arc<str>),
    /// It has come back.
    Returned,
}

impl Reason {
    /// How far apart in the topology, in steps.
    pub const fn distance(&self) -> u8 {
        match self {
            Self::First | Self::SameEntity | Self::Returned => 0,
            Self::RunsOn(_) | Self::Carries | Self::LinkedTo(_) | Self::SameService(_) => 1,
            Self::DependsOn(_) | Self::Serves(_) => 2,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => f.write_str("the first"),
            Self::SameEntity => f.write_str("same entity"),
            Self::RunsOn(entity) => write!(f, "runs on {entity}"),
            Self::Carries => f.write_str("carries what has an alert"),
            Self::LinkedTo(entity) => write!(f, "linked to {entity}"),
            Self::SameService(service) => write!(f, "same service, {service}"),
            Self::DependsOn(service) => write!(f, "depends on {service}"),
            Self::Serves(service) => write!(f, "{service} depends on it"),
            Self::Returned => f.write_str("it came back"),
        }
    }
}

/// An alert in an episode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    pub alert: AlertId,
    pub fingerprint: Fingerprint,
    pub entity: Arc<str>,
    pub check: Arc<str>,
    pub summary: Arc<str>,
    pub services: Vec<Arc<str>>,
    pub severity: Severity,
    pub open: bool,
    /// It is open and flaps.
    pub flapping: bool,
    /// It is open and suppressed.
    pub muted: bool,
    /// When it first occurred in this episode.
    pub opened_at: Timestamp,
    pub reason: Reason,
    /// Seconds after the alert it joined, for people.
    pub after: i64,
}

impl Member {
    /// The member that `alert` becomes.
    pub fn of(alert: &Alert, reason: Reason, after: i64) -> Self {
        Self {
            alert: alert.id,
            fingerprint: alert.fingerprint,
            entity: alert.entity.clone(),
            check: alert.check.clone(),
            summary: alert.summary.clone(),
            services: alert.services.clone(),
            severity: alert.severity,
            open: alert.open,
            flapping: false,
            muted: false,
            opened_at: alert.occurred_at,
            reason,
            after,
        }
    }
}

/// An episode as it is now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Episode {
    pub id: EpisodeId,
    /// When its first alert occurred.
    pub founded_at: Timestamp,
    /// When its latest alert occurred.
    pub last_joined_at: Timestamp,
    /// In the order they joined.
    pub members: Vec<Member>,
    /// How many are open.
    pub open: usize,
    /// How many of those are suppressed,
    pub muted: usize,
    /// and how many are suppressed or flap.
    pub unsteady: usize,
    /// The latest clear of a member.
    pub last_cleared_at: Timestamp,
    pub incident: Option<IncidentId>,
    /// The resolved or closed incident that one of its alerts was of before it came back.
    pub previous: Option<IncidentId>,
    /// When its many alerts will raise an incident, if they do.
    pub many_due: Option<Timestamp>,
    /// The hashes under which it is found while it takes alerts; sorted.
    pub keys: Vec<u64>,
}

impl Episode {
    /// How many of its open alerts are heard and do not flap.
    pub const fn steady(&self) -> usize {
        self.open - self.unsteady
    }

    /// A member flaps or is suppressed, or it is not.
    pub fn mark(&mut self, member: usize, flapping: bool, muted: bool) {
        let Some(member) = self.members.get_mut(member) else { return };
        let (unsteady, was_muted) = (member.flapping || member.muted, member.muted);
        (member.flapping, member.muted) = (flapping, muted);
        self.unsteady = self.unsteady + usize::from(flapping || muted) - usize::from(unsteady);
        self.muted = self.muted + usize::from(muted) - usize::from(was_muted);
    }

    /// How many entities have open alerts that are heard and do not flap, up to `enough`.
    pub fn steady_entities(&self, enough: usize) -> usize {
        let mut seen = BTreeSet::new();
        for member in self.members.iter().filter(|m| m.open && !m.flapping && !m.muted) {
            seen.insert(&*member.entity);
            if seen.len() >= enough {
                break;
            }
        }
        seen.len()
    }

    /// It has open alerts, and all are suppressed.
    pub const fn is_muted(&self) -> bool {
        self.open > 0 && self.muted == self.open
    }

    /// The worst of its open alerts that are heard.
    pub fn severity(&self) -> Option<Severity> {
        self.members.iter().filter(|m| m.open && !m.muted).map(|m| m.severity).max()
    }
}
