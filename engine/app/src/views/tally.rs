//! How many there are of what, kept as the views change: a scrape must not walk them.
use dashmap::DashMap;
use quell_proto::v1;
use std::{
    array,
    sync::atomic::{AtomicU64, Ordering},
};

/// States of an alert, of an incident, severities and priorities: their numbers on the wire, 0 (unspecified) included.
const ALERT_STATES: usize = 3;
const SEVERITIES: usize = 6;
const INCIDENT_STATES: usize = 7;
const PRIORITIES: usize = 6;

/// Counts of what the views hold.
#[derive(Debug, Default)]
pub struct Tally {
    alerts: [[AtomicU64; SEVERITIES]; ALERT_STATES],
    incidents: [[AtomicU64; PRIORITIES]; INCIDENT_STATES],
    flapping: AtomicU64,
    suppressed: AtomicU64,
    /// Open alerts by the name of their episode; episodes without any are not here.
    episodes: DashMap<String, u64>,
}

/// What an alert may be beside its state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Flags {
    flapping: bool,
    suppressed: bool,
}

impl Flags {
    fn of(alert: &v1::Alert) -> Self {
        let open = alert.state() == v1::alert::State::Open;
        Self { flapping: open && alert.flapping, suppressed: open && alert.suppressed }
    }
}

impl Tally {
    /// An alert is another one than before; `None` where it was or is not there.
    pub fn alert(&self, before: Option<&v1::Alert>, after: Option<&v1::Alert>) {
        // First what is new: nothing falls below 0.
        for (alert, by) in [(after, 1), (before, -1_i64)] {
            let Some(alert) = alert else { continue };
            step(cell(&self.alerts, alert.state, alert.severity), by);
            let flags = Flags::of(alert);
            if flags.flapping {
                step(&self.flapping, by);
            }
            if flags.suppressed {
                step(&self.suppressed, by);
            }
            if alert.state() == v1::alert::State::Open && !alert.episode.is_empty() {
                self.episode(&alert.episode, by);
            }
        }
    }

    fn episode(&self, name: &str, by: i64) {
        let mut open = self.episodes.entry(name.to_owned()).or_default();
        *open = open.saturating_add_signed(by);
        drop(open);
        self.episodes.remove_if(name, |_, open| *open == 0);
    }

    /// An incident is another one than before; `None` where it was or is not there.
    pub fn incident(&self, before: Option<&v1::Incident>, after: Option<&v1::Incident>) {
        for (incident, by) in [(after, 1), (before, -1)] {
            let Some(incident) = incident else { continue };
            let priority = i32::try_from(incident.priority).unwrap_or(0);
            step(cell(&self.incidents, incident.state, priority), by);
        }
    }

    /// Alerts by state and severity, each by its number on the wire.
    pub fn alerts(&self) -> [[u64; SEVERITIES]; ALERT_STATES] {
        array::from_fn(|state| array::from_fn(|severity| self.alerts[state][severity].load(Ordering::Relaxed)))
    }

    /// Incidents by state and priority.
    pub fn incidents(&self) -> [[u64; PRIORITIES]; INCIDENT_STATES] {
        array::from_fn(|state| array::from_fn(|priority| self.incidents[state][priority].load(Ordering::Relaxed)))
    }

    /// Alerts that change too often for each change to be told.
    pub fn flapping(&self) -> u64 {
        self.flapping.load(Ordering::Relaxed)
    }

    /// Alerts that are kept quiet.
    pub fn suppressed(&self) -> u64 {
        self.suppressed.load(Ordering::Relaxed)
    }

    /// Episodes with an open alert.
    pub fn open_episodes(&self) -> u64 {
        self.episodes.len() as u64
    }
}

/// What a later version has beyond our words counts as unspecified.
fn cell<const N: usize, const M: usize>(all: &[[AtomicU64; M]; N], row: i32, column: i32) -> &AtomicU64 {
    let index = |n: i32, max: usize| usize::try_from(n).ok().filter(|n| *n < max).unwrap_or(0);
    &all[index(row, N)][index(column, M)]
}

fn step(count: &AtomicU64, by: i64) {
    // Two's complement: adding -1 takes one away.
    count.fetch_add(by as u64, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use v1::{Severity, alert, incident};

    fn alert(state: alert::State, severity: Severity, episode: &str) -> v1::Alert {
        let (state, severity) = (state as i32, severity as i32);
        v1::Alert { state, severity, episode: episode.to_owned(), ..Default::default() }
    }

    #[test]
    fn counts_are_those_of_what_is_there() {
        let tally = Tally::default();
        let open = alert(alert::State::Open, Severity::Major, "e1");
        let worse = alert(alert::State::Open, Severity::Critical, "e1");
        let cleared = alert(alert::State::Cleared, Severity::Critical, "e1");
        let other = alert(alert::State::Open, Severity::Info, "e2");
        tally.alert(None, Some(&open));
        tally.alert(None, Some(&other));
        assert_eq!((tally.alerts()[1], tally.open_episodes()), ([0, 1, 0, 0, 1, 0], 2));
        tally.alert(Some(&open), Some(&worse));
        assert_eq!((tally.alerts()[1], tally.open_episodes()), ([0, 1, 0, 0, 0, 1], 2));
        tally.alert(Some(&worse), Some(&cleared));
        assert_eq!((tally.alerts()[1], tally.alerts()[2]), ([0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1]));
        assert_eq!(tally.open_episodes(), 1);
        tally.alert(Some(&cleared), None);
        tally.alert(Some(&other), None);
        assert_eq!((tally.alerts(), tally.open_episodes()), ([[0; 6]; 3], 0));
    }

    #[test]
    fn words_of_a_later_version_are_unspecified() {
        let tally = Tally::default();
        let strange = v1::Incident { state: 99, priority: u32::MAX, ..Default::default() };
        tally.incident(None, Some(&strange));
        assert_eq!(tally.incidents()[incident::State::Unspecified as usize][0], 1);
        tally.incident(Some(&strange), None);
        assert_eq!(tally.incidents(), [[0; 6]; 7]);
    }
}
