//! How many alerts of a check open, against how many usually do.
use super::{Finding, said::blank};
use crate::{
    domain::{
        event::{Event, Status},
        hash::Framed,
        severity::Severity,
        threshold::Number,
        time::{Span, Timestamp},
    },
    scope::Cx,
    stages::deduplicate::first_of,
    timers::TimerKind,
};
use quell_models::detectors::Burst;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const WORD: &str = "burst";
const MINUTE: Span = Span::minutes(1);
/// A burst is over at the earliest so long after it was last seen: what the detector's window holds.
const WINDOW: Span = Span::minutes(5);
/// A share of this of the checks goes when there are too many.
const EVICTED_SHARE: usize = 64;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Check {
    name: Arc<str>,
    burst: Burst,
    last_at: Timestamp,
    /// When its burst last fired.
    said_at: Option<Timestamp>,
}

/// The checks of a scope, by a hash of their names.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bursts {
    #[serde(with = "crate::snapshot::sorted")]
    checks: FxHashMap<u64, Check>,
}

const fn minute(at: Timestamp) -> i64 {
    at.0.div_euclid(MINUTE.0)
}

impl Bursts {
    /// An alert of a check opened.
    pub fn on_opened(&mut self, name: &Arc<str>, cx: &mut Cx<'_>) -> Option<Finding> {
        let (key, now) = (Framed::default().field(name.as_bytes()).hash64(), cx.core.clock);
        if !self.checks.contains_key(&key) {
            self.make_room(cx);
            let burst = Burst::new(minute(now));
            self.checks.insert(key, Check { name: name.clone(), burst, last_at: now, said_at: None });
        }
        let check = self.checks.get_mut(&key)?;
        check.burst.count(minute(now));
        check.last_at = now;
        let bursts = check.burst.in_window() >= cx.policy.score.burst_min
            && check.burst.score().0 >= cx.policy.score.speaks_at();
        let again = check.said_at.is_none_or(|said| now - said >= cx.policy.deduplicate.count_interval);
        if !bursts || !again {
            return None;
        }
        check.said_at = Some(now);
        let found = check.say(Status::Firing, now);
        cx.set(TimerKind::BurstEnd, u128::from(key), now + WINDOW);
        Some(found)
    }

    /// A burst may be over.
    pub fn on_end(&mut self, key: u64, due: Timestamp, cx: &mut Cx<'_>) -> Option<Finding> {
        let check = self.checks.get_mut(&key)?;
        check.burst.pass(minute(due));
        let again = due + MINUTE;
        // At the end of time there is no next minute.
        if check.burst.score().0 >= cx.policy.score.speaks_at() && again > due {
            cx.set(TimerKind::BurstEnd, u128::from(key), again);
            return None;
        }
        check.said_at = None;
        Some(check.say(Status::Resolved, due))
    }

    /// Those that have been quiet since go.
    #[expect(clippy::disallowed_methods, reason = "no order shows in what is forgotten")]
    pub fn forget(&mut self, before: Timestamp, cx: &mut Cx<'_>) {
        self.checks.retain(|key, check| {
            let stays = check.last_at > before;
            if !stays {
                cx.core.timers.cancel(TimerKind::BurstEnd, u128::from(*key));
            }
            stays
        });
    }

    /// When the one was seen that has been quiet for longest.
    #[expect(clippy::disallowed_methods, reason = "the least of all is the least in any order")]
    pub fn oldest(&self) -> Option<Timestamp> {
        self.checks.values().map(|check| check.last_at).min()
    }

    #[expect(clippy::disallowed_methods, reason = "victims are sorted")]
    fn make_room(&mut self, cx: &mut Cx<'_>) {
        let max = cx.policy.limits.checks;
        if self.checks.len() < max {
            return;
        }
        let all = self.checks.iter().map(|(key, check)| (check.last_at, *key)).collect();
        for (_, key) in first_of(all, max.div_ceil(EVICTED_SHARE)) {
            cx.core.evicted.checks += 1;
            cx.core.timers.cancel(TimerKind::BurstEnd, u128::from(key));
            self.checks.remove(&key);
        }
    }
}

impl Check {
    /// It is about the check itself, and mild: a reason, and nothing that raises an incident.
    fn say(&self, status: Status, at: Timestamp) -> Finding {
        let (name, count, usual) = (&self.name, self.burst.in_window(), Number(self.burst.usual()));
        let summary = format!("{count} alerts of {name} opened within 5 minutes, usual are {usual}");
        let (entity, check) = (name.to_string(), format!("{name} {WORD}"));
        Finding::Event(Box::new(Event { entity, check, ..blank(at, status, Severity::Info, summary) }))
    }
}
