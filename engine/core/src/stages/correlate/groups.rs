//! Explicit policies: what operators decide themselves, before the model is asked.
use super::Correlator;
use crate::{
    domain::{
        alert::Alert,
        episode::{Episode, EpisodeId, Evidence, Reason},
        matcher::AlertView,
        policy::{Action, Grouping},
        time::Timestamp,
    },
    scope::Cx,
    stages::raise::Raiser,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// The live episode of each policy and combination of values.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Groups {
    live: BTreeMap<u64, EpisodeId>,
}

impl Correlator {
    /// The episode of the first policy that is for an alert. One that follows on an episode that takes no more after its
    /// incident was closed is linked to that.
    pub(super) fn place_by_policy(&mut self, alert: &mut Alert, raiser: &Raiser, cx: &mut Cx<'_>) -> Option<EpisodeId> {
        let policy = cx.policy;
        let view = AlertView::from(&*alert);
        let grouping = policy.correlate.policy.iter().find(|p| p.filter.iter().all(|m| m.matches(&view)))?;
        let key = self.group(grouping, &view);
        let live = key.and_then(|key| self.groups.live.get(&key)).and_then(|id| self.episodes.get(id));
        let at = alert.occurred_at;
        let in_time = live.filter(|e| takes(e, grouping, at) && e.members.len() < policy.limits.alerts_per_episode);
        let name: Arc<str> = grouping.name.as_str().into();
        let (id, reason) = match in_time.filter(|episode| raiser.takes_alerts(episode, at, policy)) {
            Some(episode) => (episode.id, Reason::Policy(name)),
            None => {
                let previous = in_time.and_then(|episode| episode.incident);
                let id = self.found(alert, cx);
                if let Some(episode) = self.episodes.get_mut(&id) {
                    (episode.policy, episode.min_alerts, episode.previous) =
                        (Some(name), grouping.min_alerts, previous);
                }
                (id, Reason::First)
            }
        };
        let is_last = grouping.breaks.event.as_ref().is_some_and(|event| event.matches(&view));
        match key {
            Some(key) if is_last => self.groups.live.remove(&key),
            Some(key) => self.groups.live.insert(key, id),
            None => None,
        };
        self.join(id, alert, reason, Evidence::default(), cx);
        Some(id)
    }

    /// Whom an alert is grouped with; `None`: with nobody.
    fn group(&mut self, grouping: &Grouping, view: &AlertView<'_>) -> Option<u64> {
        let framed = self.framed.clear().field(&grouping.name);
        if grouping.action == Action::Never {
            return None;
        }
        for field in &grouping.split_by {
            let value = view.value(field);
            if value.is_empty() {
                return None;
            }
            framed.field(value);
        }
        Some(framed.hash64())
    }
}

impl Groups {
    /// Two episodes are one: what would have come to the first comes to the second.
    pub fn redirect(&mut self, from: &Episode, into: EpisodeId) {
        if from.policy.is_some() {
            self.live.values_mut().filter(|live| **live == from.id).for_each(|live| *live = into);
        }
    }

    /// An episode that has ended is no group's.
    pub fn forget(&mut self, episode: &Episode) {
        if episode.policy.is_some() {
            self.live.retain(|_, live| *live != episode.id);
        }
    }
}

fn takes(episode: &Episode, grouping: &Grouping, at: Timestamp) -> bool {
    let breaks = &grouping.breaks;
    let quiet = episode.open == 0 && breaks.inactivity.is_some_and(|most| at - episode.last_cleared_at > most);
    at - episode.last_joined_at <= grouping.window
        && !quiet
        && breaks.max_age.is_none_or(|most| at - episode.founded_at <= most)
        && breaks.max_alerts.is_none_or(|most| episode.members.len() < most)
}
