//! How long alerts stay: open without being heard of, kept after their clear, and at the limit.
use super::{Change, Deduplicator, first_of, severity_change};
use crate::{
    domain::{
        alert::{Alert, Fingerprint},
        time::{Span, Timestamp},
    },
    output::Body,
    scope::Cx,
    timers::TimerKind,
};
use std::sync::Arc;

/// Longest gap between repeats that auto-clear waits for, threefold.
const AUTO_CLEAR_MAX: Span = Span::hours(7 * 24);

/// A share of this of the alerts goes when there are too many.
const EVICTED_SHARE: usize = 64;

impl Deduplicator {
    /// It counts as open no more.
    pub(super) fn close(&mut self, key: Fingerprint, expired: bool, cx: &mut Cx<'_>) {
        let Some(alert) = self.alerts.get_mut(key).map(Arc::make_mut) else { return };
        (alert.open, alert.flapping) = (false, false);
        alert.expired = expired;
        cx.core.timers.cancel(TimerKind::AutoClear, key.0);
        cx.core.timers.cancel(TimerKind::Flap, key.0);
        cx.set(TimerKind::ForgetAlert, key.0, forgotten_at(alert, cx));
    }

    /// Nothing was heard of an alert for long.
    pub fn on_auto_clear(&mut self, key: Fingerprint, due: Timestamp, cx: &mut Cx<'_>) -> Option<Change> {
        let alert = self.alerts.get_mut(key).map(Arc::make_mut).filter(|a| a.firing)?;
        let severity = alert.severity;
        if auto_clear_at(alert, cx) <= due {
            alert.expire(due, patience(alert, cx));
        }
        if alert.firing {
            cx.set(TimerKind::AutoClear, key.0, auto_clear_at(alert, cx));
            return severity_change(alert, severity);
        }
        alert.expired = true;
        // One that flaps is cleared when it no longer does.
        let clears = !alert.flapping;
        if clears {
            self.close(key, true, cx);
        }
        clears.then_some(Change::Cleared)
    }

    /// Until when a cleared alert may turn out to have fired on: its tool tells when it began, so that a repeat can say so.
    pub fn may_go_on_until(&self, key: Fingerprint, cx: &Cx<'_>) -> Option<(Timestamp, &Alert)> {
        let alert = self.get(key).filter(|alert| !alert.open && alert.started_at < alert.occurred_at)?;
        Some((alert.cleared_at? + cx.policy.deduplicate.went_on_window, alert))
    }

    /// A cleared alert is past its time.
    pub fn on_forget(&mut self, key: Fingerprint, due: Timestamp, cx: &mut Cx<'_>) {
        let Some(alert) = self.get(key).filter(|a| !a.open) else { return };
        let at = forgotten_at(alert, cx);
        if at > due {
            // Another recovery came since.
            return cx.set(TimerKind::ForgetAlert, key.0, at);
        }
        self.forget(key, cx);
    }

    /// An alert is no longer kept, and nothing will happen to it.
    pub fn forget(&mut self, key: Fingerprint, cx: &mut Cx<'_>) {
        let Some(alert) = self.alerts.remove(key) else { return };
        let kinds = [
            TimerKind::Suppress,
            TimerKind::Revise,
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
    pub(super) fn make_room(&mut self, cx: &mut Cx<'_>) -> Vec<Fingerprint> {
        let max = cx.policy.limits.alerts;
        if self.alerts.len() < max {
            return Vec::new();
        }
        let all = self.alerts.iter().map(|a| (a.open, a.last_fired_at, a.fingerprint)).collect();
        let mut open = Vec::new();
        for (is_open, _, key) in first_of(all, max.div_ceil(EVICTED_SHARE)) {
            cx.core.evicted.alerts += 1;
            if is_open {
                if let Some(alert) = self.alerts.get_mut(key).map(Arc::make_mut) {
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

/// By the time at which the recovery was told: one told late is remembered as long as another.
pub fn forgotten_at(alert: &Alert, cx: &Cx<'_>) -> Timestamp {
    alert.quiet_until.max(alert.cleared_at.unwrap_or(Timestamp::MIN))
        + cx.policy.deduplicate.reopen_window_of(&alert.origin)
}

/// How long what it reports has to be silent to be over.
pub fn patience(alert: &Alert, cx: &Cx<'_>) -> Span {
    let patient = Span(alert.longest_gap.0.saturating_mul(3)).min(AUTO_CLEAR_MAX);
    cx.policy.deduplicate.auto_clear_of(&alert.origin).max(patient)
}

/// When the next of its identities, or the whole of it, will have been silent for so long.
pub fn auto_clear_at(alert: &Alert, cx: &Cx<'_>) -> Timestamp {
    alert.longest_unheard() + patience(alert, cx)
}
