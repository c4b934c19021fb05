//! Whether an origin's clock is off, from how far the times of its events lie from their arrival.
//!
//! An event arrives after it was observed, never before: of many, the one that was under way for the shortest time shows
//! the clock best. What is on its way for long is on its way for various times, so only what is off by about as much for
//! a while is a clock's fault.
use crate::domain::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// So many events,
const EVENTS_MIN: u32 = 20;
/// over so long, are looked at together.
const LOOK: Span = Span::minutes(5);
/// Clocks that are kept by NTP are nearer to each other.
const AHEAD_MIN: Span = Span::seconds(10);

/// What is known of an origin's clock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skew {
    events: u32,
    since: Timestamp,
    least: Span,
    most: Span,
    known: Option<Span>,
}

impl Skew {
    /// An event's time was so far `off` its arrival. One that comes later than `lateness` does harm.
    pub fn see(&mut self, off: Span, arrival: Timestamp, lateness: Span) {
        if self.events == 0 {
            (self.since, self.least, self.most) = (arrival, off, off);
        }
        self.events = self.events.saturating_add(1);
        (self.least, self.most) = (self.least.min(off), self.most.max(off));
        if self.events >= EVENTS_MIN && arrival - self.since >= LOOK {
            let steady = self.most.0.saturating_sub(self.least.0) <= lateness.0;
            let is_off = self.least > AHEAD_MIN || self.most.0 < -lateness.0;
            self.known = Some(self.most).filter(|_| steady && is_off);
            self.events = 0;
        }
    }

    /// How far it is off, if it is, steadily: in the future where it is positive.
    pub const fn known(&self) -> Option<Span> {
        self.known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(off: impl Fn(i64) -> i64) -> Option<Span> {
        let mut skew = Skew::default();
        for second in (0..1_000).step_by(10) {
            skew.see(Span::seconds(off(second)), Timestamp(second * 1_000), Span::minutes(2));
        }
        skew.known()
    }

    #[test]
    fn a_clock_that_is_off_is_known_by_how_much() {
        assert_eq!(seen(|second| 3_600 - second % 30), Some(Span::seconds(3_600)));
        assert_eq!(seen(|second| -7_200 - second % 30), Some(Span::seconds(-7_200)));
    }

    #[test]
    fn what_takes_its_time_is_no_clock_that_is_off() {
        assert_eq!(seen(|second| -second % 90), None, "delays within the lateness");
        assert_eq!(seen(|second| -7_200 + 5 * second), None, "a backlog is caught up with");
        assert_eq!(seen(|second| if second % 100 == 0 { 0 } else { -3_600 }), None, "some are old");
        assert_eq!(seen(|_| 5), None, "NTP");
    }

    #[test]
    fn one_that_was_set_right_is_off_no_more() {
        assert_eq!(seen(|second| if second < 310 { 3_600 } else { 0 }), None);
    }
}
