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
    output::{Body, Verdict},
    scope::Cx,
    stages::{absence, enrich},
    timers::TimerKind,
};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

mod flap;
mod ids;
use ids::{Ids, Seen};

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
    Severity,
    /// Only its count or its times.
    Count,
}

/// Longest gap between repeats that auto-clear waits for, threefold.
const AUTO_CLEAR_MAX: Span = Span::hours(7 * 24);

/// A share of this of the alerts goes when there are too many.
const EVICTED_SHARE: usize = 64;

/// A key of an event: of its origin and id.
pub fn event_key(origin: &str, id: &str) -> u64 {
    let mut framed = Framed::default();
    framed.field(origin).field(id).hash64()
}

/// The latest recovery of a source identity that came before its problem.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Held {
    at: Timestamp,
    origin: Arc<str>,
    event: u64,
}

/// The alerts of a scope.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Deduplicator {
    #[serde(with = "crate::snapshot::sorted")]
    alerts: FxHashMap<Fingerprint, Alert>,
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
    /// Alerts that make room for it; they are cleared.
    pub evicted: Vec<Fingerprint>,
}

impl Absorbed {
    const fn of(outcome: Outcome, alert: Fingerprint, change: Option<Change>) -> Self {
        Self { outcome: Some(outcome), alert, change, then: None, evicted: Vec::new() }
    }
}

impl Deduplicator {
    /// The alert of a fingerprint.
    pub fn get(&self, key: Fingerprint) -> Option<&Alert> {
        self.alerts.get(&key)
    }

    /// The alert of a fingerprint.
    pub fn get_mut(&mut self, key: Fingerprint) -> Option<&mut Alert> {
        self.alerts.get_mut(&key)
    }

    /// All alerts, in no order.
    #[expect(clippy::disallowed_methods, reason = "views are sorted by who shows them")]
    pub fn iter(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.values()
    }

    /// Whether the same id came before with the same status and time.
    pub fn is_redelivered(&mut self, event: &Event, cx: &mut Cx<'_>) -> (u64, bool) {
        let key = self.framed.clear().field(&event.origin).field(&event.id).hash64();
        let status = [event.status as u8, event.kind as u8];
        let said = self.framed.clear().field(status).field(event.time.0.to_le_bytes()).hash64();
        let policy = cx.policy;
        let seen = self.ids.see(key, said, cx.core.clock, policy.deduplicate.id_horizon, policy.limits.ids);
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
        self.alerts.get(&key)
    }

    /// The tool's or the mapping's identity if there is one, else (origin, entity, check).
    fn fingerprint(&mut self, event: &Event) -> Fingerprint {
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
        let Some(alert) = self.alerts.get_mut(&key) else { return self.open(heard, event, cx) };
        let standing = alert.standing(identity);
        let held = if standing.is_some() { None } else { self.held.get(&held_under(key, identity)) };
        let quiet_until = standing.map(|s| s.quiet_until).or(held.map(|h| h.at)).unwrap_or(Timestamp::MIN);
        if late && (alert.firing || at <= quiet_until.max(alert.quiet_until)) {
            return Absorbed::of(Outcome::Late, key, None);
        }
        let (was_firing, severity) = (alert.firing, alert.severity);
        if !alert.open && at > quiet_until && lapsed(alert, event.began(at), cx) {
            return self.open(heard, event, cx);
        }
        if was_firing {
            alert.longest_gap = alert.longest_gap.max(at - alert.last_fired_at);
        }
        alert.fire(identity, event, at, quiet_until);
        if held.is_some() {
            self.settle_held(key, identity, at, cx);
        }
        if !was_firing && self.alerts.get(&key).is_some_and(|a| a.firing) {
            return self.reopen(heard, event, severity, cx);
        }
        // A start says more than the time at which it was told only where it is another one: some tools fill it in anew
        // with each repeat.
        let start = event.told_start(at).filter(|start| *start != event.time);
        if let (Some(start), Some(known)) = (start, standing.filter(|s| s.fires && at >= s.fired_at))
            && start > known.started_at
            && self.came_back(key, start, cx)
        {
            return Absorbed::of(Outcome::Folded, key, Some(Change::FlapStarted));
        }
        let change = self.alerts.get_mut(&key).map(|alert| severity_change(alert, severity));
        Absorbed::of(Outcome::Folded, key, Some(change.flatten().unwrap_or(Change::Count)))
    }

    /// A held recovery of an identity that now has fired: it cleared it, or its problem is over.
    fn settle_held(&mut self, key: Fingerprint, identity: u64, at: Timestamp, cx: &mut Cx<'_>) {
        let under = held_under(key, identity);
        if self.held.get(&under).is_some_and(|held| held.at < at) {
            return self.let_go(under, cx);
        }
        if let Some(held) = self.held.remove(&under) {
            cx.core.timers.cancel(TimerKind::Orphan, under.0);
            let verdict = self.alerts.get(&key).map(|a| (Some(a.id), a.episode)).unwrap_or_default();
            cx.decide_held(&held.origin, held.event, Outcome::Cleared, verdict);
        }
    }

    /// It fires again. One that flaps counts as open all the while.
    fn reopen(&mut self, heard: Heard, event: &Event, severity: Severity, cx: &mut Cx<'_>) -> Absorbed {
        let Heard { key, at, .. } = heard;
        self.changed(key, at, cx);
        let Some(alert) = self.alerts.get_mut(&key) else { return Absorbed::of(Outcome::Folded, key, None) };
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
        if let Some(old) = self.alerts.insert(key, alert) {
            cx.core.timers.cancel(TimerKind::Absence, key.0);
            cx.out.say(Body::AlertGone { scope: cx.core.name.clone(), id: old.id });
        }
        Absorbed { outcome: Some(Outcome::Opened), alert: key, change: Some(Change::Opened), then, evicted }
    }

    /// An alert whose recovery came first is cleared as soon as it has its place.
    pub fn release_held(&mut self, key: Fingerprint, cx: &mut Cx<'_>) {
        let Some(alert) = self.alerts.get_mut(&key) else { return };
        let (under, identity) = (held_under(key, alert.identity), alert.identity);
        let Some(held) = self.held.remove(&under) else { return };
        cx.core.timers.cancel(TimerKind::Orphan, under.0);
        let verdict = (Some(alert.id), alert.episode);
        alert.recover(identity, held.at, held.at);
        self.changed(key, held.at, cx);
        self.close(key, false, cx);
        cx.decide_held(&held.origin, held.event, Outcome::Cleared, verdict);
    }

    /// A held recovery has no problem.
    fn let_go(&mut self, under: Fingerprint, cx: &mut Cx<'_>) {
        let Some(held) = self.held.remove(&under) else { return };
        cx.core.timers.cancel(TimerKind::Orphan, under.0);
        cx.decide_held(&held.origin, held.event, Outcome::OrphanResolve, (None, None));
    }

    fn recover(&mut self, heard: Heard, event: &Event, event_key: u64, cx: &mut Cx<'_>) -> Absorbed {
        let Heard { key, identity, at, late } = heard;
        let known = self.alerts.get_mut(&key).and_then(|alert| Some((alert.standing(identity)?, alert)));
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
        let flapped = self.alerts.get(&key).is_some_and(|a| a.flapping);
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

    /// Of several recoveries of an identity without a problem the latest waits for it: what bounds the wait bounds the
    /// memory.
    fn hold(&mut self, heard: Heard, event: &Event, event_key: u64, cx: &mut Cx<'_>) -> Absorbed {
        let Heard { key, identity, at, .. } = heard;
        let under = held_under(key, identity);
        match self.held.get(&under) {
            Some(held) if at <= held.at => return Absorbed::of(Outcome::OrphanResolve, key, None),
            Some(_) => self.let_go(under, cx),
            None if self.held.len() >= cx.policy.limits.alerts => {
                return Absorbed::of(Outcome::OverQuota, key, None);
            }
            None => {}
        }
        self.held.insert(under, Held { at, origin: event.origin.as_str().into(), event: event_key });
        cx.core.ledger.held += 1;
        cx.set(TimerKind::Orphan, under.0, at);
        Absorbed { outcome: None, alert: key, change: None, then: None, evicted: Vec::new() }
    }

    /// It counts as open no more.
    fn close(&mut self, key: Fingerprint, expired: bool, cx: &mut Cx<'_>) {
        let Some(alert) = self.alerts.get_mut(&key) else { return };
        (alert.open, alert.flapping) = (false, false);
        alert.expired = expired;
        cx.core.timers.cancel(TimerKind::AutoClear, key.0);
        cx.core.timers.cancel(TimerKind::Flap, key.0);
        cx.set(TimerKind::ForgetAlert, key.0, forgotten_at(alert, cx));
    }

    /// Nothing was heard of an alert for long.
    pub fn on_auto_clear(&mut self, key: Fingerprint, due: Timestamp, cx: &mut Cx<'_>) -> Option<Change> {
        let alert = self.alerts.get_mut(&key).filter(|a| a.firing)?;
        if auto_clear_at(alert, cx) <= due {
            let severity = alert.severity;
            alert.expire(due, patience(alert, cx));
            if !alert.firing {
                alert.expired = true;
                if alert.flapping {
                    return None;
                }
                self.close(key, true, cx);
                return Some(Change::Cleared);
            }
            let change = severity_change(alert, severity);
            cx.set(TimerKind::AutoClear, key.0, auto_clear_at(alert, cx));
            return change;
        }
        cx.set(TimerKind::AutoClear, key.0, auto_clear_at(alert, cx));
        None
    }

    /// No problem came for a recovery that was held until `due`.
    pub fn on_orphan(&mut self, under: Fingerprint, cx: &mut Cx<'_>) {
        self.let_go(under, cx);
    }

    /// A cleared alert is past its time.
    pub fn on_forget(&mut self, key: Fingerprint, due: Timestamp, cx: &mut Cx<'_>) {
        let past = |a: &Alert| !a.open && forgotten_at(a, cx) <= due;
        if self.alerts.get(&key).is_some_and(past) {
            self.forget(key, cx);
        }
    }

    /// An alert is no longer kept, and nothing will happen to it.
    pub fn forget(&mut self, key: Fingerprint, cx: &mut Cx<'_>) {
        let Some(alert) = self.alerts.remove(&key) else { return };
        let kinds = [
            TimerKind::Settle,
            TimerKind::SpeakAlert,
            TimerKind::AutoClear,
            TimerKind::Flap,
            TimerKind::Absence,
            TimerKind::ForgetAlert,
        ];
        for kind in kinds {
            cx.core.timers.cancel(kind, key.0);
        }
        cx.out.say(Body::AlertGone { scope: cx.core.name.clone(), id: alert.id });
    }

    /// At the limit, cleared ones go before open ones; of each those that have been silent for longest. The open ones are
    /// returned, cleared: they still have to leave their episodes.
    #[expect(clippy::disallowed_methods, reason = "victims are sorted")]
    fn make_room(&mut self, cx: &mut Cx<'_>) -> Vec<Fingerprint> {
        let max = cx.policy.limits.alerts;
        if self.alerts.len() < max {
            return Vec::new();
        }
        let all = self.alerts.values().map(|a| (a.open, a.last_fired_at, a.fingerprint)).collect();
        let mut open = Vec::new();
        for (is_open, _, key) in first_of(all, max.div_ceil(EVICTED_SHARE)) {
            cx.core.evicted += 1;
            if is_open {
                if let Some(alert) = self.alerts.get_mut(&key) {
                    alert.expire(cx.core.clock, Span(i64::MIN));
                }
                self.close(key, true, cx);
                open.push(key);
            } else {
                self.forget(key, cx);
            }
        }
        open
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

/// Where the recovery of an identity is held. Fingerprints are hashes, so no two of these are one.
const fn held_under(key: Fingerprint, identity: u64) -> Fingerprint {
    Fingerprint(key.0 ^ identity as u128)
}

/// Whether a firing that began at `start` is another alert than one that is clear.
fn lapsed(alert: &Alert, start: Timestamp, cx: &Cx<'_>) -> bool {
    alert.cleared_at.is_some_and(|cleared| start - cleared > cx.policy.deduplicate.reopen_window)
}

/// By the time at which the recovery was told: one told late is remembered as long as another.
fn forgotten_at(alert: &Alert, cx: &Cx<'_>) -> Timestamp {
    alert.quiet_until.max(alert.cleared_at.unwrap_or(Timestamp::MIN)) + cx.policy.deduplicate.reopen_window
}

fn patience(alert: &Alert, cx: &Cx<'_>) -> Span {
    let patient = Span(alert.longest_gap.0.saturating_mul(3)).min(AUTO_CLEAR_MAX);
    cx.policy.deduplicate.auto_clear_of(&alert.origin).max(patient)
}

fn auto_clear_at(alert: &Alert, cx: &Cx<'_>) -> Timestamp {
    alert.longest_unheard() + patience(alert, cx)
}

/// Another severity is told; of an alert that flaps only one that is worse than what was told.
fn severity_change(alert: &mut Alert, before: Severity) -> Option<Change> {
    if alert.severity == before {
        return None;
    }
    let Some(changes) = alert.changes.as_mut().filter(|_| alert.flapping) else { return Some(Change::Severity) };
    let worse = alert.severity > changes.worst;
    changes.worst = changes.worst.max(alert.severity);
    Some(if worse { Change::Severity } else { Change::Count })
}

impl Cx<'_> {
    /// A held recovery has its outcome.
    fn decide_held(
        &mut self,
        origin: &str,
        event: u64,
        outcome: Outcome,
        (alert, episode): (Option<AlertId>, Option<crate::domain::episode::EpisodeId>),
    ) {
        self.core.ledger.held -= 1;
        self.core.ledger.count(origin, outcome, self.policy.limits.origins);
        if let Some(trace) = &mut self.out.trace {
            trace.verdicts.push(Verdict { event, outcome, alert, episode });
        }
    }
}
