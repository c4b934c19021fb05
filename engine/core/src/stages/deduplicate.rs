//! Folds events into alerts by fingerprint.
//!
//! Within the allowed lateness the result does not depend on the order of events (design rule 20): a source identity
//! fires if its latest firing is newer than its latest recovery, with the severity of that firing; an alert fires while
//! an identity of it does, as gravely as the worst; its count is that of its firings. Whether it flaps follows the
//! journal's order.
use crate::{
    domain::{
        alert::{Alert, AlertId, Fingerprint, Switch},
        event::{Event, Status},
        hash::Framed,
        severity::Severity,
        time::{Span, Timestamp},
    },
    ledger::Outcome,
    output::Body,
    scope::Cx,
    stages::{absence, enrich},
    timers::TimerKind,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

mod alerts;
mod flap;
mod held;
mod ids;
mod lifetime;
use alerts::Alerts;
use held::{Held, held_under};
use ids::{Ids, Seen};
use lifetime::auto_clear_at;

/// What happened to an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Opened,
    Reopened,
    Cleared,
    /// Cleared by a recovery that had come first.
    Recovered,
    /// Cleared because a limit is reached, and then forgotten.
    Evicted,
    /// It changes too often for each change to be told. One that was clear may be reopened flapping instead.
    FlapStarted,
    /// It still fires, and no longer changes so often. One that does not is cleared.
    FlapEnded,
    /// Its severity is another one.
    Severity {
        rose: bool,
    },
    /// Only its count or its times.
    Count,
}

/// A key of an event: of its origin and id.
pub fn event_key(origin: &str, id: &str) -> u64 {
    let mut framed = Framed::default();
    framed.field(origin).field(id).hash64()
}

/// The alerts of a scope.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Deduplicator {
    alerts: Alerts,
    /// By [`held_under`].
    held: BTreeMap<Fingerprint, Held>,
    ids: Ids,
    #[serde(skip)]
    framed: Framed,
}

impl PartialEq for Framed {
    /// It is a place to write in, no state.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// What became of an event, and of the alerts that it changed.
#[derive(Debug)]
pub struct Absorbed {
    /// `None` while a recovery is held.
    pub outcome: Option<Outcome>,
    pub alert: Fingerprint,
    pub change: Option<Change>,
    /// What happens to the same alert right after.
    pub then: Option<Change>,
    /// It fires on, and for the first time since the topology is another one: what is known of it may be too.
    pub outdated: bool,
    /// Alerts that make room for it; they are cleared.
    pub evicted: Vec<Fingerprint>,
}

impl Absorbed {
    const fn of(outcome: Outcome, alert: Fingerprint, change: Option<Change>) -> Self {
        Self { outcome: Some(outcome), alert, change, then: None, outdated: false, evicted: Vec::new() }
    }
}

impl Deduplicator {
    /// The alert of a fingerprint.
    pub fn get(&self, key: Fingerprint) -> Option<&Alert> {
        self.alerts.get(key).map(Arc::as_ref)
    }

    /// The alert of a fingerprint, to be changed by [`Arc::make_mut`]: who was told of it may hold it as it is.
    pub fn get_mut(&mut self, key: Fingerprint) -> Option<&mut Arc<Alert>> {
        self.alerts.get_mut(key)
    }

    /// All alerts, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Alert>> {
        self.alerts.iter()
    }

    /// Whether the same id came before with the same status and time.
    pub fn is_redelivered(&mut self, event: &Event, cx: &mut Cx<'_>) -> (u64, bool) {
        let key = self.framed.clear().field(&event.origin).field(&event.id).hash64();
        let status = [event.status as u8, event.kind as u8];
        let said = self.framed.clear().field(status).field(event.time.0.to_le_bytes()).hash64();
        let policy = cx.policy;
        let (clock, horizon, max) = (cx.core.clock, policy.deduplicate.id_horizon, policy.limits.ids);
        let seen = self.ids.see((key, said), clock, horizon, max, &mut cx.core.evicted.ids);
        if matches!(seen, Seen::Reused) {
            cx.core.ledger.id_reused += 1;
        }
        (key, matches!(seen, Seen::Redelivered))
    }

    /// Folds an alert event; `at` is its time, held to its arrival.
    pub fn absorb(&mut self, event: &Event, event_key: u64, at: Timestamp, cx: &mut Cx<'_>) -> Absorbed {
        let key = self.fingerprint(event);
        let heard = Heard { key, identity: self.identity(event), at, late: at < cx.watermark() };
        match event.status {
            Status::Firing => self.fire(heard, event, cx),
            Status::Resolved => self.recover(heard, event, event_key, cx),
        }
    }

    /// The alert that an event is about.
    pub fn find(&mut self, event: &Event) -> Option<&Alert> {
        let key = self.fingerprint(event);
        self.get(key)
    }

    /// The tool's or the mapping's identity if there is one, else (origin, entity, check).
    pub fn fingerprint(&mut self, event: &Event) -> Fingerprint {
        let framed = self.framed.clear().field(&event.origin);
        Fingerprint(if event.fingerprint.is_empty() {
            framed.field(&event.entity).field(&event.check).hash128()
        } else {
            framed.field(&event.fingerprint).hash128()
        })
    }

    fn identity(&mut self, event: &Event) -> u64 {
        if event.identity.is_empty() { 0 } else { self.framed.clear().field(&event.identity).hash64() }
    }

    fn fire(&mut self, heard: Heard, event: &Event, cx: &mut Cx<'_>) -> Absorbed {
        let Heard { key, identity, at, late } = heard;
        let Some(alert) = self.alerts.get_mut(key) else { return self.open(heard, event, cx) };
        let alert = Arc::make_mut(alert);
        let standing = alert.standing(identity);
        let held = if standing.is_some() { None } else { self.held.get(&held_under(key, identity)) };
        let quiet_until = standing.map(|s| s.quiet_until).or(held.map(|h| h.at)).unwrap_or(Timestamp::MIN);
        if late && (alert.firing || at <= quiet_until.max(alert.quiet_until)) {
            return Absorbed::of(Outcome::Late, key, None);
        }
        let (was_firing, severity) = (alert.firing, alert.severity);
        let outdated = alert.open && cx.topologies.changed_between(alert.last_fired_at, at);
        if !alert.open && at > quiet_until && lapsed(alert, event.began(at), cx) {
            return self.open(heard, event, cx);
        }
        if was_firing {
            alert.longest_gap = alert.longest_gap.max(at - alert.last_fired_at);
        }
        alert.fire(identity, event, at, quiet_until);
        let fires_again = alert.firing && !was_firing;
        let change = if fires_again { None } else { severity_change(alert, severity) };
        if held.is_some() {
            self.settle_held(key, identity, at, cx);
        }
        if fires_again {
            return Absorbed { outdated, ..self.reopen(heard, event, severity, cx) };
        }
        // A start says more than the time at which it was told only where it is another one: some tools fill it in anew
        // with each repeat.
        let start = event.told_start(at).filter(|start| *start != event.time);
        if let (Some(start), Some(known)) = (start, standing.filter(|s| s.fires && at >= s.fired_at))
            && start > known.started_at
            && self.came_back(key, start, cx)
        {
            return Absorbed { outdated, ..Absorbed::of(Outcome::Folded, key, Some(Change::FlapStarted)) };
        }
        Absorbed { outdated, ..Absorbed::of(Outcome::Folded, key, Some(change.unwrap_or(Change::Count))) }
    }

    /// It fires again. One that flaps counts as open all the while.
    fn reopen(&mut self, heard: Heard, event: &Event, severity: Severity, cx: &mut Cx<'_>) -> Absorbed {
        let Heard { key, at, .. } = heard;
        self.changed(key, at, cx);
        let Some(alert) = self.alerts.get_mut(key).map(Arc::make_mut) else {
            return Absorbed::of(Outcome::Folded, key, None);
        };
        let start = event.began(at);
        // What began before it is said to have ended went on from there: the same occurrence, and no second ticket.
        alert.occurred_at = alert.cleared_at.filter(|cleared| start < *cleared).map_or(at, |cleared| cleared.min(at));
        alert.expired = false;
        alert.reopened += 1;
        cx.set(TimerKind::AutoClear, key.0, auto_clear_at(alert, cx));
        if alert.open {
            let change = severity_change(alert, severity).unwrap_or(Change::Count);
            return Absorbed::of(Outcome::Folded, key, Some(change));
        }
        alert.open = true;
        alert.services = enrich::services(cx.topologies.at(at), event);
        Absorbed::of(Outcome::Reopened, key, Some(Change::Reopened))
    }

    /// A new alert; an older one of the same fingerprint that has been clear for long makes way.
    fn open(&mut self, heard: Heard, event: &Event, cx: &mut Cx<'_>) -> Absorbed {
        let Heard { key, identity, at, .. } = heard;
        let evicted = self.make_room(cx);
        cx.core.alerts_opened += 1;
        let ordinal = cx.core.next_ordinal();
        let id = self
            .framed
            .clear()
            .field(cx.core.name.as_bytes())
            .field(key.0.to_le_bytes())
            .field(at.0.to_le_bytes())
            .field(ordinal.to_le_bytes())
            .hash64();
        let mut alert = Alert::open(AlertId(id), key, event, at);
        let topology = cx.topologies.at(at);
        alert.services = enrich::services(topology, event);
        alert.labels = enrich::labels(topology, event);
        alert.identity = identity;
        if absence::entry(cx.policy, &event.origin, &event.check).is_some() {
            // An alert of the same fingerprint may have gone, and its silence been told.
            alert.switch = Some(Box::new(Switch { heard_at: at, gap: Span(0), silent: true, waits: false }));
        }
        let mut then = None;
        let under = held_under(key, identity);
        if let Some(held) = self.held.get(&under) {
            alert.quiet_until = held.at;
            if at <= held.at {
                then = Some(Change::Recovered);
            } else {
                self.let_go(under, cx);
            }
        }
        cx.set(TimerKind::AutoClear, key.0, auto_clear_at(&alert, cx));
        if let Some(old) = self.alerts.insert(alert) {
            cx.core.timers.cancel(TimerKind::Absence, key.0);
            cx.out.say(Body::AlertGone { scope: cx.core.name.clone(), id: old.id });
        }
        Absorbed {
            outcome: Some(Outcome::Opened),
            alert: key,
            change: Some(Change::Opened),
            then,
            outdated: false,
            evicted,
        }
    }

    fn recover(&mut self, heard: Heard, event: &Event, event_key: u64, cx: &mut Cx<'_>) -> Absorbed {
        let Heard { key, identity, at, late } = heard;
        let known =
            self.alerts.get_mut(key).map(Arc::make_mut).and_then(|alert| Some((alert.standing(identity)?, alert)));
        match known {
            Some((one, alert)) if one.fires && at >= one.fired_at => {
                let severity = alert.severity;
                alert.recover(identity, at, event.ended(one.started_at, at));
                if alert.firing {
                    return Absorbed::of(Outcome::Folded, key, severity_change(alert, severity));
                }
                self.stop(key, at, cx)
            }
            _ if late => Absorbed::of(Outcome::Late, key, None),
            Some((one, _)) if one.fires => Absorbed::of(Outcome::Folded, key, None),
            Some((_, alert)) => {
                alert.remember_recovery(identity, at);
                Absorbed::of(Outcome::OrphanResolve, key, None)
            }
            None => self.hold(heard, event, event_key, cx),
        }
    }

    /// Its last identity recovered. One that flaps, or begins to by this change, counts as open.
    fn stop(&mut self, key: Fingerprint, at: Timestamp, cx: &mut Cx<'_>) -> Absorbed {
        let flapped = self.get(key).is_some_and(|a| a.flapping);
        let flaps = self.changed(key, at, cx);
        match (flapped, flaps) {
            (true, _) => Absorbed::of(Outcome::Folded, key, None),
            (false, true) => Absorbed::of(Outcome::Folded, key, Some(Change::FlapStarted)),
            (false, false) => {
                self.close(key, false, cx);
                Absorbed::of(Outcome::Cleared, key, Some(Change::Cleared))
            }
        }
    }
}

/// The first `n` in order, without sorting the rest.
pub(crate) fn first_of<T: Ord>(mut all: Vec<T>, n: usize) -> Vec<T> {
    if n < all.len() {
        all.select_nth_unstable(n);
        all.truncate(n);
    }
    all.sort_unstable();
    all
}

/// When an event of one source identity of an alert was told.
#[derive(Clone, Copy, Debug)]
struct Heard {
    key: Fingerprint,
    /// A hash; 0 where there is none.
    identity: u64,
    at: Timestamp,
    late: bool,
}

/// Whether a firing that began at `start` is another alert than one that is clear.
fn lapsed(alert: &Alert, start: Timestamp, cx: &Cx<'_>) -> bool {
    alert.cleared_at.is_some_and(|cleared| start - cleared > cx.policy.deduplicate.reopen_window_of(&alert.origin))
}

/// Another severity is told; of an alert that flaps only one that is worse than what was told.
fn severity_change(alert: &mut Alert, before: Severity) -> Option<Change> {
    if alert.severity == before {
        return None;
    }
    let rose = alert.severity > before;
    let Some(changes) = alert.changes.as_mut().filter(|_| alert.flapping) else {
        return Some(Change::Severity { rose });
    };
    let worse = alert.severity > changes.worst;
    changes.worst = changes.worst.max(alert.severity);
    Some(if worse { Change::Severity { rose } } else { Change::Count })
}
