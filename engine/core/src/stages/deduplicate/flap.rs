//! Alerts that change too often for each change to be told, with hysteresis: entering takes more changes than staying.
use super::{Change, Deduplicator};
use crate::{
    domain::{
        alert::{Changes, Fingerprint},
        time::Timestamp,
    },
    scope::Cx,
    timers::TimerKind,
};
use std::sync::Arc;

impl Deduplicator {
    /// An alert changed between firing and not; whether it flaps now. A dead man's switch never does.
    pub(super) fn changed(&mut self, key: Fingerprint, at: Timestamp, cx: &mut Cx<'_>) -> bool {
        let Some(alert) = self.alerts.get_mut(key).map(Arc::make_mut).filter(|a| a.switch.is_none()) else {
            return false;
        };
        let flap = &cx.policy.flap;
        let opened = alert.occurred_at;
        let changes = alert.changes.get_or_insert_with(|| Box::new(Changes::since(opened)));
        let rapid = changes.add(at, flap);
        if rapid && !alert.flapping {
            alert.flapping = true;
            changes.worst = alert.severity;
            cx.set(TimerKind::Flap, key.0, changes.calm_at(flap));
        }
        alert.flapping
    }

    /// Under one identity it ended and came back between two reports: two changes, neither of which was told. Whether it
    /// flaps by that.
    pub(super) fn came_back(&mut self, key: Fingerprint, start: Timestamp, cx: &mut Cx<'_>) -> bool {
        let Some(alert) = self.alerts.get_mut(key).map(Arc::make_mut) else { return false };
        alert.reopened += 1;
        let flapped = alert.flapping;
        self.changed(key, start, cx);
        self.changed(key, start, cx) && !flapped
    }

    /// The last change but one is about to leave the window, or it was followed by others. Then what is true is told.
    pub fn on_flap(&mut self, key: Fingerprint, due: Timestamp, cx: &mut Cx<'_>) -> Option<Change> {
        let alert = self.alerts.get_mut(key).map(Arc::make_mut).filter(|a| a.flapping)?;
        let changes = alert.changes.as_mut()?;
        let calm_at = changes.calm_at(&cx.policy.flap);
        if calm_at > due {
            cx.set(TimerKind::Flap, key.0, calm_at);
            return None;
        }
        changes.calm_since = due;
        alert.flapping = false;
        if alert.firing {
            return Some(Change::FlapEnded);
        }
        let expired = alert.expired;
        self.close(key, expired, cx);
        Some(Change::Cleared)
    }
}
