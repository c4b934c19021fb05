//! Folds events into alerts by fingerprint.
//!
//! Within the allowed lateness the result does not depend on the order of events (design rule 20): an alert is open if
//! its latest firing is newer than its latest recovery, its severity is that of its latest firing, its count is that of
//! its firings.
use crate::{
    domain::{
        alert::{Alert, AlertId, Fingerprint},
        event::{Event, Status},
        hash::Framed,
        time::{Span, Timestamp},
    },
    ledger::Outcome,
    output::{Body, Verdict},
    scope::Cx,
    stages::enrich,
    timers::TimerKind,
};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

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

/// The latest recovery that came before its problem.
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
        let late = at < cx.watermark();
        match event.status {
            Status::Firing => self.fire(key, event, at, late, cx),
            Status::Resolved => self.recover(key, event, event_key, at, late, cx),
        }
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

    fn fire(&mut self, key: Fingerprint, event: &Event, at: Timestamp, late: bool, cx: &mut Cx<'_>) -> Absorbed {
        let window = cx.policy.deduplicate.reopen_window;
        let Some(alert) = self.alerts.get_mut(&key) else { return self.open(key, event, at, cx) };
        let closed_since = !alert.open && at <= alert.quiet_until;
        if alert.open || closed_since {
            if late {
                return Absorbed::of(Outcome::Late, key, None);
            }
            let severity = alert.severity;
            if alert.open {
                alert.longest_gap = alert.longest_gap.max(at - alert.last_fired_at);
            }
            fold(alert, event, at);
            let change = if alert.severity == severity { Change::Count } else { Change::Severity };
            return Absorbed::of(Outcome::Folded, key, Some(change));
        }
        if alert.cleared_at.is_some_and(|cleared| at - cleared > window) {
            return self.open(key, event, at, cx);
        }
        fold(alert, event, at);
        alert.open = true;
        alert.expired = false;
        alert.occurred_at = at;
        alert.reopened += 1;
        let due = alert.auto_clear_at(cx.policy.deduplicate.auto_clear);
        cx.set(TimerKind::AutoClear, key.0, due);
        Absorbed::of(Outcome::Reopened, key, Some(Change::Reopened))
    }

    /// A new alert; an older one of the same fingerprint that has been clear for long makes way.
    fn open(&mut self, key: Fingerprint, event: &Event, at: Timestamp, cx: &mut Cx<'_>) -> Absorbed {
        let evicted = self.make_room(cx);
        let services = enrich::services(cx.topology, event);
        let ordinal = cx.core.next_ordinal();
        let id = self
            .framed
            .clear()
            .field(cx.core.name.as_bytes())
            .field(key.0.to_le_bytes())
            .field(at.0.to_le_bytes())
            .field(ordinal.to_le_bytes())
            .hash64();
        let mut alert = Alert::open(AlertId(id), key, event, at, services);
        let mut then = None;
        if let Some(held) = self.held.get(&key) {
            alert.quiet_until = held.at;
            if at <= held.at {
                then = Some(Change::Recovered);
            } else {
                self.let_go(key, cx);
            }
        }
        cx.set(TimerKind::AutoClear, key.0, alert.auto_clear_at(cx.policy.deduplicate.auto_clear));
        if let Some(old) = self.alerts.insert(key, alert) {
            cx.out.say(Body::AlertGone { scope: cx.core.name.clone(), id: old.id });
        }
        Absorbed { outcome: Some(Outcome::Opened), alert: key, change: Some(Change::Opened), then, evicted }
    }

    /// An alert whose recovery came first is cleared as soon as it has its place.
    pub fn release_held(&mut self, key: Fingerprint, cx: &mut Cx<'_>) {
        let Some(held) = self.held.remove(&key) else { return };
        cx.core.timers.cancel(TimerKind::Orphan, key.0);
        self.clear(key, held.at, false, cx);
        let alert = self.alerts.get(&key);
        let verdict = (alert.map(|a| a.id), alert.and_then(|a| a.episode));
        cx.decide_held(&held.origin, held.event, Outcome::Cleared, verdict);
    }

    /// A held recovery has no problem.
    fn let_go(&mut self, key: Fingerprint, cx: &mut Cx<'_>) {
        let Some(held) = self.held.remove(&key) else { return };
        cx.core.timers.cancel(TimerKind::Orphan, key.0);
        cx.decide_held(&held.origin, held.event, Outcome::OrphanResolve, (None, None));
    }

    fn recover(
        &mut self,
        key: Fingerprint,
        event: &Event,
        event_key: u64,
        at: Timestamp,
        late: bool,
        cx: &mut Cx<'_>,
    ) -> Absorbed {
        match self.alerts.get_mut(&key) {
            Some(alert) if alert.open && at >= alert.last_fired_at => {
                self.clear(key, at, false, cx);
                Absorbed::of(Outcome::Cleared, key, Some(Change::Cleared))
            }
            _ if late => Absorbed::of(Outcome::Late, key, None),
            Some(alert) if alert.open => Absorbed::of(Outcome::Folded, key, None),
            Some(alert) => {
                alert.quiet_until = alert.quiet_until.max(at);
                Absorbed::of(Outcome::OrphanResolve, key, None)
            }
            None => self.hold(key, event, event_key, at, cx),
        }
    }

    /// Of several recoveries without a problem the latest waits for it: what bounds the wait bounds the memory.
    fn hold(&mut self, key: Fingerprint, event: &Event, event_key: u64, at: Timestamp, cx: &mut Cx<'_>) -> Absorbed {
        match self.held.get(&key) {
            Some(held) if at <= held.at => return Absorbed::of(Outcome::OrphanResolve, key, None),
            Some(_) => self.let_go(key, cx),
            None if self.held.len() >= cx.policy.limits.alerts => {
                return Absorbed::of(Outcome::OverQuota, key, None);
            }
            None => {}
        }
        self.held.insert(key, Held { at, origin: event.origin.as_str().into(), event: event_key });
        cx.core.ledger.held += 1;
        cx.set(TimerKind::Orphan, key.0, at);
        Absorbed { outcome: None, alert: key, change: None, then: None, evicted: Vec::new() }
    }

    fn clear(&mut self, key: Fingerprint, at: Timestamp, expired: bool, cx: &mut Cx<'_>) {
        let Some(alert) = self.alerts.get_mut(&key) else { return };
        alert.open = false;
        alert.expired = expired;
        alert.cleared_at = Some(at);
        alert.quiet_until = alert.quiet_until.max(at);
        cx.core.timers.cancel(TimerKind::AutoClear, key.0);
        cx.set(TimerKind::ForgetAlert, key.0, at + cx.policy.deduplicate.reopen_window);
    }

    /// Nothing was heard of an alert for long.
    pub fn on_auto_clear(&mut self, key: Fingerprint, due: Timestamp, cx: &mut Cx<'_>) -> Option<Change> {
        let alert = self.alerts.get(&key).filter(|a| a.open)?;
        let at = alert.auto_clear_at(cx.policy.deduplicate.auto_clear);
        if at > due {
            cx.set(TimerKind::AutoClear, key.0, at);
            return None;
        }
        self.clear(key, due, true, cx);
        Some(Change::Cleared)
    }

    /// No problem came for a recovery that was held until `due`.
    pub fn on_orphan(&mut self, key: Fingerprint, cx: &mut Cx<'_>) {
        self.let_go(key, cx);
    }

    /// A cleared alert is past its time.
    pub fn on_forget(&mut self, key: Fingerprint, due: Timestamp, cx: &mut Cx<'_>) {
        let window = cx.policy.deduplicate.reopen_window;
        let past = |a: &Alert| !a.open && a.cleared_at.is_some_and(|at| at + window <= due);
        if self.alerts.get(&key).is_some_and(past) {
            self.forget(key, cx);
        }
    }

    /// An alert is no longer kept, and nothing will happen to it.
    pub fn forget(&mut self, key: Fingerprint, cx: &mut Cx<'_>) {
        let Some(alert) = self.alerts.remove(&key) else { return };
        for kind in
            [TimerKind::Revise, TimerKind::Settle, TimerKind::SpeakAlert, TimerKind::AutoClear, TimerKind::ForgetAlert]
        {
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
                self.clear(key, cx.core.clock, true, cx);
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

fn fold(alert: &mut Alert, event: &Event, at: Timestamp) {
    alert.count += 1;
    let newer = at > alert.last_fired_at;
    if newer || (at == alert.last_fired_at && event.severity > alert.severity) {
        alert.severity = event.severity;
        if *alert.summary != *event.summary {
            alert.summary = event.summary.as_str().into();
        }
    }
    alert.last_fired_at = alert.last_fired_at.max(at);
    alert.opened_at = alert.opened_at.min(at);
}

impl Alert {
    fn auto_clear_at(&self, least: Span) -> Timestamp {
        let patient = Span(self.longest_gap.0.saturating_mul(3)).min(AUTO_CLEAR_MAX);
        self.last_fired_at + least.max(patient)
    }
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
