//! Changes that were told lately: deployments, configuration pushes. They are suspects.
use crate::{
    domain::{event::Event, incident::NearbyChange, time::Timestamp},
    scope::Cx,
    stages::enrich,
};
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, sync::Arc};

/// A change that was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    pub id: Arc<str>,
    pub at: Timestamp,
    pub entity: Arc<str>,
    pub check: Arc<str>,
    pub summary: Arc<str>,
    #[serde(deserialize_with = "crate::shared::read_list")]
    pub services: Arc<[Arc<str>]>,
}

/// The latest changes of a scope, in the order they came.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Changes(VecDeque<Change>);

impl Changes {
    /// Notes a change, made at `at`; the oldest make room.
    pub fn note(&mut self, event: &Event, at: Timestamp, cx: &mut Cx<'_>) -> Change {
        let horizon = cx.core.clock - cx.policy.raise.change_window - cx.policy.raise.change_window;
        while self.0.len() >= cx.policy.limits.changes || self.0.front().is_some_and(|c| c.at < horizon) {
            let Some(gone) = self.0.pop_front() else { break };
            cx.core.evicted.changes += u64::from(gone.at >= horizon);
        }
        let change = Change {
            id: event.id.as_str().into(),
            at,
            entity: event.entity.as_str().into(),
            check: event.check.as_str().into(),
            summary: event.summary.as_str().into(),
            services: enrich::services(cx.topology, event),
        };
        self.0.push_back(change.clone());
        change
    }

    /// Those made within the window before an incident began, latest first.
    pub fn before(&self, began: Timestamp, cx: &Cx<'_>) -> impl Iterator<Item = &Change> {
        let from = began - cx.policy.raise.change_window;
        // Told changes are late now and then; what came after the incident began is no suspect, but for clocks that differ.
        let to = began + cx.policy.raise.change_slack;
        self.0.iter().rev().filter(move |c| (from..=to).contains(&c.at))
    }
}

impl Change {
    /// As an incident shows it.
    pub fn nearby(&self, reason: String) -> NearbyChange {
        NearbyChange {
            id: self.id.clone(),
            entity: self.entity.clone(),
            check: self.check.clone(),
            summary: self.summary.clone(),
            at: self.at,
            reason,
        }
    }
}
