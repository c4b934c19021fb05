//! One condition on one entity: its events folded.
use super::{
    episode::{EpisodeId, MEASURED_BY},
    event::{Event, ORIGIN},
    hash::{Framed, hash_of},
    maintenance::Maintenance,
    severity::Severity,
    silence::Silence,
    time::{Span, Timestamp},
};
use crate::shared::{self, Labels};
use serde::{Deserialize, Serialize};
use std::{fmt, num::NonZeroU64, sync::Arc};

mod changes;
mod identities;
pub use changes::Changes;
pub use identities::{IDENTITIES_MAX, Identities, Identity};

/// `hash(scope, fingerprint, opened_at, ordinal)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AlertId(pub u64);

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The identity of a condition within a scope. Packed: what holds one needs no gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(Rust, packed(8))]
pub struct Fingerprint(pub u128);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", { self.0 })
    }
}

/// What keeps an alert from being heard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SuppressedBy {
    Silence(Arc<str>),
    Maintenance(Arc<str>),
    /// Another alert, by a rule of the policy; without one by the topology: it runs on what that alert says is down.
    Inhibition {
        rule: Option<Arc<str>>,
        by: AlertId,
        fingerprint: Fingerprint,
    },
}

impl SuppressedBy {
    /// For people: `scopes/default/silences/s1`, `inhibition rule node: scopes/default/alerts/…`.
    pub fn describe(&self, scope: &str) -> String {
        match self {
            Self::Silence(id) => Silence::name(scope, id),
            Self::Maintenance(id) => Maintenance::name(scope, id),
            Self::Inhibition { rule: Some(rule), by, .. } => {
                format!("inhibition rule {rule}: {}", Alert::name(scope, *by))
            }
            Self::Inhibition { rule: None, by, .. } => format!("inhibition by topology: {}", Alert::name(scope, *by)),
        }
    }
}

/// An alert as it is now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    pub id: AlertId,
    pub fingerprint: Fingerprint,
    #[serde(deserialize_with = "crate::shared::read_text")]
    pub origin: Arc<str>,
    #[serde(deserialize_with = "crate::shared::read_text")]
    pub entity: Arc<str>,
    #[serde(deserialize_with = "crate::shared::read_text")]
    pub check: Arc<str>,
    /// The services it speaks of: the event's own first, then those that the topology knows.
    #[serde(deserialize_with = "crate::shared::read_list")]
    pub services: Arc<[Arc<str>]>,
    #[serde(deserialize_with = "crate::shared::read_text")]
    pub summary: Arc<str>,
    /// The event's own, and those of its entity that the event lacks. Sorted by key, each key once.
    #[serde(deserialize_with = "crate::shared::read_labels")]
    pub labels: Labels,
    /// Of the latest firing, by its time; of several at one time the worst. With several source identities the worst of
    /// those that fire.
    pub severity: Severity,
    /// It counts as open: it fires, or it flaps.
    pub open: bool,
    /// A source identity of it fires.
    pub firing: bool,
    /// It changes too often for each change to be told.
    pub flapping: bool,
    /// Firings folded.
    pub count: u64,
    /// When it first began, as far as its origin says; else when it first fired.
    pub opened_at: Timestamp,
    /// When the present occurrence, or the last one, was heard of.
    pub occurred_at: Timestamp,
    /// When it began, as far as its origin says; else the same.
    pub started_at: Timestamp,
    /// The latest firing.
    pub last_fired_at: Timestamp,
    /// What few alerts have.
    pub(crate) rare: Option<Box<Rare>>,
    /// When the last occurrence ended, as far as its origin says; else when that was told, or the auto-clear.
    pub cleared_at: Option<Timestamp>,
    /// The latest recovery heard of: no event dated before it opens the alert again.
    pub quiet_until: Timestamp,
    /// The longest gap between two firings of an occurrence.
    pub longest_gap: Span,
    /// It was cleared because nothing was heard of it.
    pub expired: bool,
    pub reopened: u32,
    /// Why nobody is to hear of it; of one that has cleared, why nobody was when it did.
    pub suppressed_by: Option<Box<SuppressedBy>>,
    /// When its present occurrence, or the last one, began to be heard; `None` where it never was.
    pub heard_at: Option<Timestamp>,
    /// Where its last occurrence was placed.
    pub episode: Option<EpisodeId>,
    /// What was checked, as it is compared: a hash of the check's name, or of the template of its text in its last occurrence.
    pub(crate) checked: u64,
    /// Which member of the episode it is: see [`Self::member`].
    pub(crate) member: u32,
    /// The clock when it last spoke.
    pub said_at: Timestamp,
    /// It has changed since.
    pub unsaid: bool,
    /// A hash of the source identity that opened it.
    pub identity: u64,
    /// Where there are several.
    pub identities: Option<Box<Identities>>,
    /// Where there are at least two.
    pub changes: Option<Box<Changes>>,
    /// It is a dead man's switch: it says that all is well, and its silence is the problem.
    pub switch: Option<Box<Switch>>,
}

/// What few alerts have: they share the room for it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rare {
    told_at: Option<Timestamp>,
    at_its_hour: Option<Box<str>>,
    series: Option<NonZeroU64>,
}

impl Rare {
    /// Where there is anything.
    fn kept(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

/// What is known of a dead man's switch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Switch {
    pub heard_at: Timestamp,
    /// Between the last two times that it was heard.
    pub gap: Span,
    /// Its silence has been told.
    pub silent: bool,
    /// A timer will look.
    pub waits: bool,
}

/// What is known of one source identity.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    pub fires: bool,
    pub fired_at: Timestamp,
    pub started_at: Timestamp,
    pub quiet_until: Timestamp,
}

impl Alert {
    /// A new alert of its first firing, at `at`.
    pub fn open(id: AlertId, fingerprint: Fingerprint, event: &Event, at: Timestamp) -> Self {
        Self {
            id,
            fingerprint,
            origin: shared::text(&event.origin),
            entity: shared::text(&event.entity),
            check: shared::text(&event.check),
            services: Arc::default(),
            summary: event.summary.as_str().into(),
            labels: Arc::default(),
            severity: event.severity,
            open: true,
            firing: true,
            flapping: false,
            count: 1,
            opened_at: event.began(at),
            occurred_at: at,
            started_at: event.began(at),
            last_fired_at: at,
            rare: Rare { told_at: told_ahead(event, at), at_its_hour: None, series: series_of(event) }.kept(),
            cleared_at: None,
            quiet_until: Timestamp::MIN,
            longest_gap: Span(0),
            expired: false,
            reopened: 0,
            suppressed_by: None,
            heard_at: Some(at),
            episode: None,
            checked: hash_of(&event.check),
            member: 0,
            said_at: Timestamp::MIN,
            unsaid: false,
            identity: 0,
            identities: None,
            changes: None,
            switch: None,
        }
    }

    /// What one source identity says; `None` where it was not heard of.
    pub fn standing(&self, identity: u64) -> Option<Standing> {
        match &self.identities {
            None if identity != self.identity => None,
            None => Some(Standing {
                fires: self.firing,
                fired_at: self.last_fired_at,
                started_at: self.started_at,
                quiet_until: self.quiet_until,
            }),
            Some(all) => all.get(identity).map(|one| Standing {
                fires: one.fires(),
                fired_at: one.fired_at,
                started_at: one.started_at,
                quiet_until: one.quiet_until,
            }),
        }
    }

    /// Folds a firing of one identity; `quiet_until` is the latest recovery known of it.
    pub fn fire(&mut self, identity: u64, event: &Event, at: Timestamp, quiet_until: Timestamp) {
        self.count += 1;
        self.opened_at = self.opened_at.min(event.began(at));
        if at >= self.last_fired_at {
            self.set_told_at(told_ahead(event, at));
        }
        if self.identities.is_none() && identity == self.identity {
            return self.fire_alone(event, at);
        }
        let known = self.identities.take();
        let mut all = known.unwrap_or_else(|| Box::new(Identities::of(self.as_identity())));
        let one = all.get_or_add(identity, event);
        one.quiet_until = one.quiet_until.max(quiet_until);
        one.fire(event, at);
        self.identities = Some(all);
        self.last_fired_at = self.last_fired_at.max(at);
        self.sum_up();
    }

    /// The only identity is the alert itself.
    fn fire_alone(&mut self, event: &Event, at: Timestamp) {
        if at > self.last_fired_at || (at == self.last_fired_at && event.severity > self.severity) {
            self.severity = event.severity;
            if *self.summary != *event.summary {
                self.summary = event.summary.as_str().into();
            }
        }
        self.last_fired_at = self.last_fired_at.max(at);
        let was_firing = std::mem::replace(&mut self.firing, self.last_fired_at > self.quiet_until);
        if self.firing && !was_firing {
            self.started_at = event.began(at);
        } else if let Some(start) = event.told_start(at) {
            self.started_at = self.started_at.max(start);
        }
    }

    /// A recovery of one identity, told at `at`.
    pub fn recover(&mut self, identity: u64, at: Timestamp, ended_at: Timestamp) {
        self.quiet_until = self.quiet_until.max(at);
        match &mut self.identities {
            None => {
                self.firing = false;
                self.cleared_at = Some(ended_at);
            }
            Some(all) => {
                all.recover(identity, at, ended_at);
                self.sum_up();
                if !self.firing {
                    self.cleared_at = self.identities.as_ref().and_then(|all| all.ended_at());
                }
            }
        }
    }

    /// A recovery, told at `at`, of an identity that does not fire.
    pub fn remember_recovery(&mut self, identity: u64, at: Timestamp) {
        self.quiet_until = self.quiet_until.max(at);
        if let Some(all) = &mut self.identities {
            all.recover(identity, at, Timestamp::MIN);
        }
    }

    /// What has not been heard of for `patience` at `now` fires no more.
    pub fn expire(&mut self, now: Timestamp, patience: Span) {
        if let Some(all) = &mut self.identities {
            all.expire(now, patience);
            self.sum_up();
        } else if self.last_fired_at + patience <= now {
            self.firing = false;
        }
        if !self.firing {
            self.cleared_at = Some(now);
            self.quiet_until = self.quiet_until.max(now);
        }
    }

    fn sum_up(&mut self) {
        let Some(leading) = self.identities.as_ref().and_then(|all| all.leading()) else { return };
        self.firing = leading.fires();
        self.severity = leading.severity;
        if !Arc::ptr_eq(&self.summary, &leading.summary) {
            self.summary = leading.summary.clone();
        }
    }

    fn as_identity(&self) -> Identity {
        Identity {
            key: self.identity,
            severity: self.severity,
            summary: self.summary.clone(),
            fired_at: self.last_fired_at,
            started_at: self.started_at,
            quiet_until: self.quiet_until,
            ended_at: self.cleared_at.unwrap_or(Timestamp::MIN),
        }
    }

    /// The latest firing of what has been silent for longest among what fires.
    pub fn longest_unheard(&self) -> Timestamp {
        self.identities.as_ref().and_then(|all| all.longest_unheard()).unwrap_or(self.last_fired_at)
    }

    /// When it last stopped flapping.
    pub fn calm_since(&self) -> Timestamp {
        self.changes.as_ref().map_or(Timestamp::MIN, |changes| changes.calm_since)
    }

    /// When it came, as far as people are concerned: the end of a silence that hid its beginning.
    pub fn heard_since(&self) -> Timestamp {
        self.heard_at.unwrap_or(self.occurred_at)
    }

    /// The time that its latest firing gave itself, where it lay in the future and was held to its arrival.
    pub fn told_at(&self) -> Option<Timestamp> {
        self.rare.as_ref().and_then(|rare| rare.told_at)
    }

    fn set_told_at(&mut self, told_at: Option<Timestamp>) {
        if self.told_at() != told_at {
            self.keep(|rare| rare.told_at = told_at);
        }
    }

    /// Where it opened at the hour at which it usually comes: on how many days, for people.
    pub fn at_its_hour(&self) -> Option<&str> {
        self.rare.as_ref().and_then(|rare| rare.at_its_hour.as_deref())
    }

    /// It opened.
    pub fn set_at_its_hour(&mut self, at_its_hour: Option<Box<str>>) {
        self.keep(|rare| rare.at_its_hour = at_its_hour);
    }

    fn keep(&mut self, change: impl FnOnce(&mut Rare)) {
        let mut rare = self.rare.take().map(|rare| *rare).unwrap_or_default();
        change(&mut rare);
        self.rare = rare.kept();
    }

    /// One of its labels.
    pub fn label(&self, key: &str) -> Option<&Arc<str>> {
        let place = self.labels.binary_search_by(|(own, _)| (**own).cmp(key)).ok()?;
        self.labels.get(place).map(|(_, value)| value)
    }

    /// A hash of the measured series that it is about, of what the engine itself found.
    pub fn series(&self) -> Option<NonZeroU64> {
        self.rare.as_ref().and_then(|rare| rare.series)
    }

    /// Where its last occurrence was placed; one that was never heard is nowhere.
    pub fn place(&self) -> Option<EpisodeId> {
        self.episode.filter(|_| self.heard_at.is_some())
    }

    /// Which member of its episode it is.
    pub const fn member(&self) -> usize {
        self.member as usize
    }

    /// It is that member of its episode.
    pub fn is_member(&mut self, n: usize) {
        // An episode has at most `limits.alerts_per_episode` of them.
        self.member = u32::try_from(n).unwrap_or(u32::MAX);
    }

    /// `scopes/{scope}/alerts/{alert}`
    pub fn name(scope: &str, id: AlertId) -> String {
        format!("scopes/{scope}/alerts/{id}")
    }
}

/// Its series: what the engine finds of one has that one's fingerprint, then what is found. Several may have one entity and check.
fn series_of(event: &Event) -> Option<NonZeroU64> {
    let is_measured = event.origin == ORIGIN && event.labels.iter().any(|(key, _)| key == MEASURED_BY);
    let (series, _) = event.fingerprint.split_once('/').filter(|_| is_measured)?;
    NonZeroU64::new(Framed::default().field("series").field(series).hash64())
}

fn told_ahead(event: &Event, at: Timestamp) -> Option<Timestamp> {
    (event.time > at).then_some(event.time)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// There may be a million of them.
    #[test]
    fn what_is_rare_is_elsewhere() {
        // With the two counts of an `Arc` a block of 320 bytes.
        assert!(size_of::<Alert>() <= 304, "{} bytes", size_of::<Alert>());
    }
}
