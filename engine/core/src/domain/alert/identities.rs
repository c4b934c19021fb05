//! The source identities of an alert: the warning and the critical of one rule, two replicas.
//!
//! An alert fires while any of them does, as gravely as the worst that does. Most alerts have one, whose state is the
//! alert's own; what is here is made when a second one is heard of.
use crate::domain::{
    event::Event,
    severity::Severity,
    time::{Span, Timestamp},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// So many are told apart; those that have ended make room for others, the longest unheard of first.
pub const IDENTITIES_MAX: usize = 16;

/// Where they all fire and there are more, the longest unheard of and those that come are one more.
const OTHERS: u64 = u64::MAX;

/// What one source identity said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    pub key: u64,
    /// Of its latest firing; of several at one time the worst.
    pub severity: Severity,
    /// Of that firing.
    #[serde(deserialize_with = "crate::shared::read_text")]
    pub summary: Arc<str>,
    /// Its latest firing.
    pub fired_at: Timestamp,
    /// When its present occurrence, or the last one, began as far as its origin says.
    pub started_at: Timestamp,
    /// Its latest recovery, by the time at which it was told.
    pub quiet_until: Timestamp,
    /// When it ended, as far as its origin says.
    pub ended_at: Timestamp,
}

impl Identity {
    /// It fires.
    pub fn fires(&self) -> bool {
        self.fired_at > self.quiet_until
    }

    fn heard_at(&self) -> Timestamp {
        self.fired_at.max(self.quiet_until)
    }

    /// A firing that says so at `at`.
    pub fn fire(&mut self, event: &Event, at: Timestamp) {
        let was_quiet = !self.fires();
        if at > self.fired_at || (at == self.fired_at && event.severity > self.severity) {
            self.severity = event.severity;
            if *self.summary != *event.summary {
                self.summary = event.summary.as_str().into();
            }
        }
        self.fired_at = self.fired_at.max(at);
        if was_quiet && self.fires() {
            self.started_at = event.began(at);
        } else {
            self.started_at = self.started_at.max(event.told_start(at).unwrap_or(Timestamp::MIN));
        }
    }
}

/// Two or more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Identities(Vec<Identity>);

impl Identities {
    /// The one that the alert had until now.
    pub fn of(first: Identity) -> Self {
        let mut all = Vec::with_capacity(2);
        all.push(first);
        Self(all)
    }

    /// The one of this key, or where it went.
    pub fn get(&self, key: u64) -> Option<&Identity> {
        let place = self.place(key)?;
        self.0.get(place)
    }

    fn place(&self, key: u64) -> Option<usize> {
        let of = |key: u64| self.0.iter().position(|i| i.key == key);
        of(key).or_else(|| of(OTHERS).filter(|place| self.0[*place].fires()))
    }

    /// The one of this key; a new one has said nothing yet.
    pub fn get_or_add(&mut self, key: u64, event: &Event) -> &mut Identity {
        let place = match self.place(key) {
            Some(place) => place,
            None => {
                self.make_room();
                self.0.push(Identity {
                    key,
                    severity: event.severity,
                    summary: event.summary.as_str().into(),
                    fired_at: Timestamp::MIN,
                    started_at: Timestamp::MIN,
                    quiet_until: Timestamp::MIN,
                    ended_at: Timestamp::MIN,
                });
                self.0.len() - 1
            }
        };
        &mut self.0[place]
    }

    fn make_room(&mut self) {
        if self.0.len() < IDENTITIES_MAX {
            return;
        }
        let longest_unheard = |i: &&Identity| (i.fires(), i.heard_at(), i.key);
        let Some(victim) = self.0.iter().min_by_key(longest_unheard).map(|i| i.key) else { return };
        if let Some(place) = self.0.iter().position(|i| i.key == victim) {
            if self.0[place].fires() {
                self.0[place].key = OTHERS;
            } else {
                self.0.remove(place);
            }
        }
    }

    /// A recovery told at `at`. Of several that are one it is not known which has recovered: they end with the last of
    /// the rest.
    pub fn recover(&mut self, key: u64, at: Timestamp, ended_at: Timestamp) {
        let Some(place) = self.place(key) else { return };
        let rest_fires = self.0.iter().any(|i| i.key != OTHERS && i.fires());
        let one = &mut self.0[place];
        if one.key != OTHERS || !rest_fires {
            one.quiet_until = one.quiet_until.max(at);
            one.ended_at = one.ended_at.max(ended_at);
        }
    }

    /// Those not heard of for `patience` at `now` fire no more.
    pub fn expire(&mut self, now: Timestamp, patience: Span) {
        for one in self.0.iter_mut().filter(|i| i.fires() && i.fired_at + patience <= now) {
            (one.quiet_until, one.ended_at) = (now, now);
        }
    }

    /// The one that speaks for all: the worst that fires, else the one that fired last.
    pub fn leading(&self) -> Option<&Identity> {
        let firing = self.0.iter().filter(|i| i.fires()).max_by_key(|i| (i.severity, i.fired_at, i.key));
        firing.or_else(|| self.0.iter().max_by_key(|i| (i.fired_at, i.severity, i.key)))
    }

    /// The latest firing of the one that has been silent for longest among those that fire.
    pub fn longest_unheard(&self) -> Option<Timestamp> {
        self.0.iter().filter(|i| i.fires()).map(|i| i.fired_at).min()
    }

    /// When the last of them ended.
    pub fn ended_at(&self) -> Option<Timestamp> {
        self.0.iter().map(|i| i.ended_at).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::tests::firing;

    fn of(keys: std::ops::Range<u64>) -> Identities {
        let mut all = Identities(Vec::new());
        for key in keys {
            all.get_or_add(key, &firing()).fire(&firing(), Timestamp(1_000 + key as i64));
        }
        all
    }

    #[test]
    fn what_has_ended_makes_room_first() {
        let mut all = of(0..16);
        all.recover(5, Timestamp(2_000), Timestamp(1_500));
        all.get_or_add(100, &firing()).fire(&firing(), Timestamp(2_100));
        assert_eq!((all.0.len(), all.get(5), all.get(0).map(Identity::fires)), (16, None, Some(true)));
    }

    #[test]
    fn beyond_the_limit_they_are_others_and_end_with_the_last() {
        let mut all = of(0..20);
        assert_eq!(all.0.len(), 16 + 1);
        assert!(all.get(0).is_some_and(|i| i.key == OTHERS), "the longest unheard of");
        all.recover(777, Timestamp(3_000), Timestamp(3_000));
        assert!(all.get(0).is_some_and(Identity::fires), "it is not known which recovered");
        for key in 1..17 {
            all.recover(key, Timestamp(3_000), Timestamp(3_000));
        }
        assert!(all.leading().is_some_and(Identity::fires));
        all.recover(777, Timestamp(3_000), Timestamp(3_000));
        assert!(!all.leading().is_some_and(Identity::fires));
    }
}
