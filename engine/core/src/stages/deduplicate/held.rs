//! Recoveries that came before their problem.
use super::{Absorbed, Deduplicator, Heard};
use crate::{
    domain::{
        alert::{Alert, Fingerprint},
        event::Event,
        time::Timestamp,
    },
    ledger::Outcome,
    output::Verdict,
    scope::Cx,
    timers::TimerKind,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The latest recovery of a source identity that came before its problem.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Held {
    pub at: Timestamp,
    origin: Arc<str>,
    event: u64,
}

/// Where the recovery of an identity is held. Fingerprints are hashes, so no two of these are one.
pub const fn held_under(key: Fingerprint, identity: u64) -> Fingerprint {
    Fingerprint(key.0 ^ identity as u128)
}

impl Deduplicator {
    /// Of several recoveries of an identity without a problem the latest waits for it: what bounds the wait bounds the
    /// memory.
    pub(super) fn hold(&mut self, heard: Heard, event: &Event, event_key: u64, cx: &mut Cx<'_>) -> Absorbed {
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
        Absorbed { outcome: None, alert: key, change: None, then: None, outdated: false, evicted: Vec::new() }
    }

    /// A held recovery of an identity that now has fired: it cleared it, or its problem is over.
    pub(super) fn settle_held(&mut self, key: Fingerprint, identity: u64, at: Timestamp, cx: &mut Cx<'_>) {
        let under = held_under(key, identity);
        if self.held.get(&under).is_some_and(|held| held.at < at) {
            return self.let_go(under, cx);
        }
        if let Some(held) = self.held.remove(&under) {
            cx.core.timers.cancel(TimerKind::Orphan, under.0);
            cx.decide_held(&held.origin, held.event, Outcome::Cleared, self.get(key));
        }
    }

    /// An alert whose recovery came first is cleared as soon as it has its place.
    pub fn release_held(&mut self, key: Fingerprint, cx: &mut Cx<'_>) {
        let Some(alert) = self.alerts.get_mut(key).map(Arc::make_mut) else { return };
        let (under, identity) = (held_under(key, alert.identity), alert.identity);
        let Some(held) = self.held.remove(&under) else { return };
        cx.core.timers.cancel(TimerKind::Orphan, under.0);
        alert.recover(identity, held.at, held.at);
        self.changed(key, held.at, cx);
        self.close(key, false, cx);
        cx.decide_held(&held.origin, held.event, Outcome::Cleared, self.get(key));
    }

    /// A held recovery has no problem.
    pub(super) fn let_go(&mut self, under: Fingerprint, cx: &mut Cx<'_>) {
        let Some(held) = self.held.remove(&under) else { return };
        cx.core.timers.cancel(TimerKind::Orphan, under.0);
        cx.decide_held(&held.origin, held.event, Outcome::OrphanResolve, None);
    }

    /// No problem came for a recovery that was held until `due`.
    pub fn on_orphan(&mut self, under: Fingerprint, cx: &mut Cx<'_>) {
        self.let_go(under, cx);
    }
}

impl Cx<'_> {
    /// A held recovery has its outcome.
    fn decide_held(&mut self, origin: &str, event: u64, outcome: Outcome, alert: Option<&Alert>) {
        self.core.ledger.held -= 1;
        self.core.ledger.count(origin, outcome, self.policy.limits.origins);
        if let Some(trace) = &mut self.out.trace {
            trace.verdicts.push(Verdict::of(event, outcome, alert, &self.core.name));
        }
    }
}
