//! Alerts that the engine believes share a cause.
use super::{
    alert::{Alert, AlertId, Fingerprint},
    incident::IncidentId,
    severity::Severity,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    num::NonZeroU64,
    sync::Arc,
};

/// `hash(scope, founding fingerprint, opened_at, ordinal)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EpisodeId(pub u64);

impl fmt::Display for EpisodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Why an alert is in its episode, in short.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reason {
    /// It founded the episode.
    First,
    /// Another alert of the same entity.
    SameEntity,
    /// The entity runs on this one, as others in the episode do.
    RunsOn(#[serde(deserialize_with = "crate::shared::read_text")] Arc<str>),
    /// Something with an alert runs on the entity, or mentions it.
    Carries,
    /// Both belong to this service.
    SameService(#[serde(deserialize_with = "crate::shared::read_text")] Arc<str>),
    /// Its service depends on this one.
    DependsOn(#[serde(deserialize_with = "crate::shared::read_text")] Arc<str>),
    /// Services with an alert depend on this one of its own.
    Serves(#[serde(deserialize_with = "crate::shared::read_text")] Arc<str>),
    /// It names this, or is linked to it.
    Mentions(#[serde(deserialize_with = "crate::shared::read_text")] Arc<str>),
    /// They have this label.
    SameLabel(#[serde(deserialize_with = "crate::shared::read_text")] Arc<str>),
    /// Nothing but time and kind.
    SameTime,
    /// It has come back.
    Returned,
    /// Another alert of the measured series that it is about.
    SameSeries,
    /// An alert of this entity mutes it.
    Inhibited(Arc<str>),
    /// An explicit policy says so.
    Policy(#[serde(deserialize_with = "crate::shared::read_text")] Arc<str>),
    /// A person said so.
    ByHand,
    /// People said so of such alerts before.
    Corrected,
    /// Its check is known to follow one that is there.
    Follows(Arc<str>),
}

impl Reason {
    /// What it names; empty where it names nothing.
    pub fn about(&self) -> &str {
        match self {
            Self::RunsOn(name)
            | Self::SameService(name)
            | Self::DependsOn(name)
            | Self::Serves(name)
            | Self::Mentions(name)
            | Self::SameLabel(name)
            | Self::Inhibited(name)
            | Self::Follows(name)
            | Self::Policy(name) => name,
            Self::First
            | Self::SameEntity
            | Self::Carries
            | Self::SameTime
            | Self::Returned
            | Self::SameSeries
            | Self::ByHand
            | Self::Corrected => "",
        }
    }

    /// Whether people decided it, so that the model does not touch it.
    pub const fn is_decided(&self) -> bool {
        matches!(self, Self::Policy(_) | Self::ByHand)
    }

    /// What it was found with said so, by itself: it was not weighed, and counts for nothing in what others are weighed by.
    pub const fn is_given(&self) -> bool {
        matches!(self, Self::SameSeries | Self::Inhibited(_))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => f.write_str("the first"),
            Self::SameEntity => f.write_str("same entity"),
            Self::RunsOn(entity) => write!(f, "runs on {entity}"),
            Self::Carries => f.write_str("carries what has an alert"),
            Self::SameService(service) => write!(f, "same service, {service}"),
            Self::DependsOn(service) => write!(f, "depends on {service}"),
            Self::Serves(service) => write!(f, "others depend on {service}"),
            Self::Mentions(name) => write!(f, "points to {name}"),
            Self::SameLabel(label) => write!(f, "same {label}"),
            Self::SameTime => f.write_str("close in time"),
            Self::Returned => f.write_str("it came back"),
            Self::SameSeries => f.write_str("same measured series"),
            Self::Inhibited(entity) => write!(f, "muted by an alert of {entity}"),
            Self::Policy(name) => write!(f, "by the policy {name}"),
            Self::ByHand => f.write_str("put here by hand"),
            Self::Corrected => f.write_str("people put such together before"),
            Self::Follows(check) => write!(f, "follows {check}, as known"),
        }
    }
}

/// How much speaks for a membership, in thousandths of a nat (log-odds; 693 doubles the odds).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// How densely alerts came, per second.
    pub time: i16,
    /// How much of the episode was still alive.
    pub lifetimes: i16,
    /// How well it fits where the others are.
    pub place: i16,
    /// How usual its check is among theirs.
    pub what: i16,
    /// How rarely its check opens by itself, per second.
    pub background: i16,
    /// What of it is known to cause it.
    pub causality: i16,
    /// What people said of such alerts before.
    pub corrections: i16,
    /// How much better this episode was than the next best, or than one of its own.
    pub margin: i16,
    /// The next best; `None`: one of its own, or nothing was weighed.
    pub next: Option<Rival>,
}

/// An episode that an alert was weighed against and did not get. An id that is 0, which no hash is in practice, is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rival(NonZeroU64);

impl Rival {
    /// This one.
    pub fn of(id: EpisodeId) -> Option<Self> {
        NonZeroU64::new(id.0).map(Self)
    }

    /// Its id.
    pub const fn id(self) -> EpisodeId {
        EpisodeId(self.0.get())
    }
}

/// How much likelier two episodes or more are as one, in thousandths of a nat: what decides a merge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gain {
    /// That the younger ones began within the oldest, and not by themselves.
    pub began: i32,
    /// That their alerts drew each other.
    pub drawn: i32,
    /// Where they lie, together less apart.
    pub place: i32,
    /// Which checks they have, together less apart.
    pub what: i32,
    /// How rare large outages are, and what each merge has to be worth.
    pub size: i32,
    /// What of the older is known to cause how the younger began.
    pub causality: i32,
    /// What people said of such alerts before.
    pub corrections: i32,
}

impl Gain {
    /// What decided: the sum of all parts.
    pub fn total(&self) -> i64 {
        self.parts().map(|(_, millinats)| millinats).sum()
    }

    /// Its parts by name, in the order of the sum; what is known and what people said only where there is such.
    pub fn parts(self) -> impl Iterator<Item = (&'static str, i64)> {
        let Self { began, drawn, place, what, size, causality, corrections } = self;
        let model = [("began", began), ("drawn", drawn), ("place", place), ("what", what), ("size", size)];
        told(model, causality, corrections).map(|(name, millinats)| (name, millinats.into()))
    }
}

/// The parts of the model, and what is known and what people said if anything is.
fn told<T: Copy + Default + PartialEq>(
    model: [(&'static str, T); 5],
    causality: T,
    corrections: T,
) -> impl Iterator<Item = (&'static str, T)> {
    let known = [("causality", causality), ("corrections", corrections)];
    model.into_iter().chain(known.into_iter().filter(|(_, part)| *part != T::default()))
}

/// How a member came to its episode from another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    pub at: Timestamp,
    pub by: MovedBy,
}

/// What decided that a member goes elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MovedBy {
    /// It moved alone: its evidence is of then. Where a person or an alert that mutes it decided, nothing was weighed.
    Itself,
    /// An alert that was alone belongs to its episode, which came to that one: the evidence of the other is of then.
    Another,
    /// Its whole episode became one with others.
    Merge(Gain),
}

impl Moved {
    /// Of a merge.
    pub const fn gain(&self) -> Option<Gain> {
        match self.by {
            MovedBy::Merge(gain) => Some(gain),
            MovedBy::Itself | MovedBy::Another => None,
        }
    }
}

impl Evidence {
    /// The log-odds that decided, in thousandths of a nat: the sum of all parts.
    pub fn total(&self) -> i64 {
        self.parts().map(|(_, millinats)| i64::from(millinats)).sum()
    }

    /// Its parts by name, in the order of the sum. Each is signed as it counts: the rarer its check, the more speaks against
    /// chance. What is known and what people said stands there only where there is such.
    pub fn parts(self) -> impl Iterator<Item = (&'static str, i16)> {
        let Self { time, lifetimes, place, what, background, causality, corrections, .. } = self;
        let model =
            [("time", time), ("lifetimes", lifetimes), ("place", place), ("what", what), ("rarity", background)];
        told(model, causality, corrections)
    }

    /// Whether it was weighed at all: the first, what a policy or a person placed, and what came back are not.
    pub fn is_weighed(&self) -> bool {
        self.parts().any(|(_, part)| part != 0)
    }
}

/// The label of an alert that says how far out of the usual it is, 0 to 100: about as many spreads of what it is of.
pub const SCORE: &str = "score";
/// The label of an alert that the engine found in a measured series: whose series that is.
pub const MEASURED_BY: &str = "measured_by";
/// How the checks of what is only predicted end.
pub const PREDICTED: &str = "predicted";
/// The label of what is predicted: how far ahead.
pub const PREDICTION: &str = "prediction";
/// The label of an alert of a KPI: which of its service.
pub const KPI: &str = "kpi";
/// The label of an alert about the way between two that names the other end: an entity.
const PEER: &str = "peer";
/// What is further out is out as far.
const SCORE_MAX: f64 = 100.0;

fn hundredths(score: &str) -> Option<u16> {
    let score: f64 = score.parse().ok()?;
    (score >= 0.0).then(|| (score.min(SCORE_MAX) * 100.0 + 0.5) as u16)
}

/// An alert in an episode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    pub alert: AlertId,
    pub fingerprint: Fingerprint,
    #[serde(deserialize_with = "crate::shared::read_text")]
    pub entity: Arc<str>,
    #[serde(deserialize_with = "crate::shared::read_text")]
    pub check: Arc<str>,
    #[serde(deserialize_with = "crate::shared::read_text")]
    pub summary: Arc<str>,
    #[serde(deserialize_with = "crate::shared::read_list")]
    pub services: Arc<[Arc<str>]>,
    pub severity: Severity,
    /// How far out of the usual it was when it opened, 0 to 100, in hundredths: its label `score`.
    pub score: Option<u16>,
    /// The other end of the way that it is about: its label `peer`.
    pub peer: Option<Arc<str>>,
    /// The measured series that it is about, of what the engine itself found.
    pub series: Option<NonZeroU64>,
    pub open: bool,
    /// It is open and flaps.
    pub flapping: bool,
    /// It is open and suppressed.
    pub muted: bool,
    /// The alert that muted it last: what mutes it is upstream of it.
    pub muted_by: Option<AlertId>,
    /// When it first occurred in this episode.
    pub opened_at: Timestamp,
    /// When that began, as far as its origin says.
    pub started_at: Timestamp,
    /// When it last cleared.
    pub cleared_at: Timestamp,
    /// It was cleared because nothing was heard of it: when it ended is not known.
    pub expired: bool,
    /// How often it occurred in it.
    pub occurrences: u32,
    pub reason: Reason,
    pub evidence: Evidence,
    /// Seconds after the alert it joined, for people.
    pub after: i64,
    /// Where it was placed elsewhere before; those that came together share it.
    pub moved: Option<Arc<Moved>>,
    /// Of an alert whose origin tells of no ends: how unexpected its check was, in thousandths of a nat.
    pub surprise: Option<u16>,
    /// It opened at the hour at which it usually comes.
    pub at_its_hour: Option<Box<str>>,
}

impl Member {
    /// The member that `alert` becomes.
    pub fn of(alert: &Alert, reason: Reason, evidence: Evidence, after: i64) -> Self {
        Self {
            alert: alert.id,
            fingerprint: alert.fingerprint,
            entity: alert.entity.clone(),
            check: alert.check.clone(),
            summary: alert.summary.clone(),
            services: alert.services.clone(),
            severity: alert.severity,
            score: alert.label(SCORE).and_then(|score| hundredths(score)),
            peer: alert.label(PEER).cloned(),
            series: alert.series(),
            open: alert.open,
            flapping: false,
            muted: false,
            muted_by: None,
            opened_at: alert.occurred_at,
            started_at: alert.started_at.min(alert.occurred_at),
            cleared_at: Timestamp::MIN,
            expired: false,
            occurrences: 1,
            reason,
            evidence,
            after,
            moved: None,
            surprise: None,
            at_its_hour: alert.at_its_hour().map(Into::into),
        }
    }
}

impl Member {
    /// It is not so yet.
    pub fn is_prediction(&self) -> bool {
        self.series.is_some() && self.check.ends_with(PREDICTED)
    }

    /// It stands for nothing that goes on: it flaps, is suppressed, or its origin tells of no ends.
    const fn is_unsteady(&self) -> bool {
        self.flapping || self.muted || self.open && self.surprise.is_some()
    }

    /// From when to when it was open, as far as is known: that nothing is heard of it any more is no end where none is told.
    pub const fn life(&self) -> (Timestamp, Timestamp) {
        let goes_on = self.open || self.expired && self.surprise.is_some();
        (self.opened_at, if goes_on { Timestamp::MAX } else { self.cleared_at })
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
    /// and how many are suppressed, flap, or are of an origin that tells of no ends.
    pub unsteady: usize,
    /// How unexpected the checks of the last kind are together, each once, in thousandths of a nat.
    pub surprise: u32,
    /// The latest clear of a member.
    pub last_cleared_at: Timestamp,
    pub incident: Option<IncidentId>,
    /// The resolved or closed incident that one of its alerts was of before it came back.
    pub previous: Option<IncidentId>,
    /// When its many alerts will raise an incident, if they do.
    pub many_due: Option<Timestamp>,
    /// The policy that made it: the model leaves it alone.
    pub policy: Option<Arc<str>>,
    /// Fewer alerts raise nothing; 0 where the usual rules hold.
    pub min_alerts: usize,
    /// Where those that left it went, and how many; sorted.
    pub went: Vec<(EpisodeId, u32)>,
    /// The grounds by which it is found while it takes alerts; sorted.
    pub keys: Vec<u64>,
}

impl Episode {
    /// An alert joins. Members are large and most episodes small: room is made for a quarter more, not for twice as many.
    pub fn add(&mut self, member: Member) {
        if let Some(surprise) = member.surprise
            && !self.members.iter().any(|m| m.surprise.is_some() && m.check == member.check)
        {
            self.surprise += u32::from(surprise);
        }
        self.unsteady += usize::from(member.is_unsteady());
        self.muted += usize::from(member.muted);
        if self.members.len() == self.members.capacity() {
            self.members.reserve_exact(1 + self.members.len() / 4);
        }
        self.members.push(member);
    }

    /// How many of its open alerts are heard, do not flap, and are known to last.
    pub const fn steady(&self) -> usize {
        self.open - self.unsteady
    }

    /// A member is open or not, flaps or is suppressed, or it is not.
    pub fn mark(&mut self, member: usize, open: bool, flapping: bool, muted: bool) {
        let Some(member) = self.members.get_mut(member) else { return };
        let (unsteady, was_muted) = (member.is_unsteady(), member.muted);
        (member.open, member.flapping, member.muted) = (open, flapping, muted);
        self.unsteady = self.unsteady + usize::from(member.is_unsteady()) - usize::from(unsteady);
        self.muted = self.muted + usize::from(muted) - usize::from(was_muted);
    }

    /// Counts what its members are, after one has come from elsewhere.
    pub fn count_marks(&mut self) {
        self.muted = self.members.iter().filter(|m| m.muted).count();
        self.unsteady = self.members.iter().filter(|m| m.is_unsteady()).count();
        self.count_surprise();
    }

    /// Adds up how unexpected its checks are, each where it came first.
    pub fn count_surprise(&mut self) {
        let mut checks: BTreeMap<&str, u16> = BTreeMap::new();
        for (check, surprise) in self.members.iter().filter_map(|m| Some((&*m.check, m.surprise?))) {
            checks.entry(check).or_insert(surprise);
        }
        self.surprise = checks.values().map(|surprise| u32::from(*surprise)).sum();
    }

    /// How many entities have such alerts, up to `enough`.
    pub fn steady_entities(&self, enough: usize) -> usize {
        let mut seen = BTreeSet::new();
        for member in self.members.iter().filter(|m| m.open && !m.is_unsteady()) {
            seen.insert(&*member.entity);
            if seen.len() >= enough {
                break;
            }
        }
        seen.len()
    }

    /// When the last of its alerts ended; `None` where only the auto-clear said so.
    pub fn ended_at(&self) -> Option<Timestamp> {
        let last = self.members.iter().max_by_key(|m| (m.cleared_at, !m.expired));
        last.filter(|m| !m.expired).map(|m| m.cleared_at)
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

#[cfg(test)]
pub mod tests {
    use super::*;

    /// An alert of a check on an entity of a service; of none where it is empty.
    pub fn member(entity: &str, check: &str, service: &str) -> Member {
        let services: Vec<_> = [service].into_iter().filter(|s| !s.is_empty()).map(Into::into).collect();
        Member {
            alert: AlertId(1),
            fingerprint: Fingerprint(1),
            entity: entity.into(),
            check: check.into(),
            summary: "".into(),
            services: services.into(),
            severity: Severity::Major,
            open: true,
            flapping: false,
            muted: false,
            opened_at: Timestamp(0),
            started_at: Timestamp(0),
            cleared_at: Timestamp::MIN,
            expired: false,
            occurrences: 1,
            reason: Reason::First,
            evidence: Evidence::default(),
            after: 0,
            moved: None,
            surprise: None,
            score: None,
            peer: None,
            series: None,
            muted_by: None,
            at_its_hour: None,
        }
    }

    #[test]
    fn a_check_surprises_once_and_what_tells_of_no_ends_is_not_steady() {
        let mut episode = Episode::new(EpisodeId(1), Timestamp(0));
        for (check, surprise) in [("scan", Some(5_000)), ("scan", Some(4_000)), ("shell", Some(7_000)), ("up", None)] {
            episode.add(Member { surprise, ..member("web", check, "") });
            episode.open += 1;
        }
        assert_eq!((episode.surprise, episode.steady(), episode.steady_entities(9)), (12_000, 1, 1));
        let counted = episode.clone();
        episode.count_marks();
        assert_eq!(episode, counted, "added up anew it is the same");
        episode.mark(0, false, false, false);
        episode.open -= 1;
        assert_eq!((episode.steady(), episode.surprise), (1, 12_000));
    }
}
