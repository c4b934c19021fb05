//! When an alert last changed between firing and not, to know one that flaps.
use crate::domain::{
    policy::Flap,
    severity::Severity,
    time::{Span, Timestamp},
};
use serde::{Deserialize, Serialize};

/// The latest changes; an opening is one. Made with the second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Changes {
    /// In order of time; no more than make an alert flap.
    times: Vec<Timestamp>,
    /// When it last stopped flapping.
    pub calm_since: Timestamp,
    /// The worst that was told while it flaps.
    pub worst: Severity,
}

impl Changes {
    /// Of an alert that opened at `opened`.
    pub fn since(opened: Timestamp) -> Self {
        Self { times: vec![opened], calm_since: Timestamp::MIN, worst: Severity::Info }
    }

    /// One more change; whether there are as many within the window as make an alert flap. The window is half-open: what
    /// is as old as it is wide lies outside.
    pub fn add(&mut self, at: Timestamp, flap: &Flap) -> bool {
        let place = self.times.partition_point(|time| *time <= at);
        self.times.insert(place, at);
        let beyond = self.times.len().saturating_sub(flap.changes);
        self.times.drain(..beyond);
        match (self.times.first(), self.times.last()) {
            (Some(first), Some(last)) => self.times.len() >= flap.changes && *last - *first < flap.window,
            _ => false,
        }
    }

    /// When fewer than `leave_below` changes will lie within the window, if none comes.
    pub fn calm_at(&self, flap: &Flap) -> Timestamp {
        let leaves = self.times.len().checked_sub(flap.leave_below.max(1)).and_then(|place| self.times.get(place));
        leaves.map_or(Timestamp::MIN, |at| *at + flap.window.max(Span(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAP: Flap = Flap { changes: 5, window: Span::minutes(10), leave_below: 2 };

    fn after(minutes: &[i64]) -> (bool, Timestamp) {
        let at = |minute: i64| Timestamp(minute * 60_000);
        let mut changes = Changes::since(at(minutes[0]));
        let flaps = minutes[1..].iter().map(|m| changes.add(at(*m), &FLAP)).last();
        (flaps.unwrap_or(false), changes.calm_at(&FLAP))
    }

    #[test]
    fn five_within_the_half_open_window() {
        assert!(after(&[0, 1, 2, 3, 9]).0);
        assert!(!after(&[0, 1, 2, 3, 10]).0, "the first is as old as the window is wide");
        assert!(!after(&[0, 1, 2, 3]).0);
        assert!(after(&[0, 5, 11, 12, 13, 14]).0, "older ones are forgotten");
        assert!(after(&[0, 9, 3, 1, 2]).0, "in any order");
    }

    #[test]
    fn it_ends_when_the_last_but_one_leaves_the_window() {
        assert_eq!(after(&[0, 1, 2, 3, 9]).1, Timestamp(13 * 60_000));
        assert_eq!(after(&[7]).1, Timestamp::MIN);
    }
}
