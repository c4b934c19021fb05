//! How many there are of what, kept as the views change: a scrape must not walk them.
use dashmap::DashMap;
use quell_connectors::wire;
use quell_core::domain::{alert::Alert, episode::EpisodeId, incident::Incident};
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
    /// Open alerts by their episode; episodes without any are not here.
    episodes: DashMap<EpisodeId, u32>,
}

/// What an alert may be beside its state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Flags {
    flapping: bool,
    suppressed: bool,
}

impl Flags {
    const fn of(alert: &Alert) -> Self {
        let open = alert.open;
        Self { flapping: open && alert.flapping, suppressed: open && alert.suppressed_by.is_some() }
    }
}

impl Tally {
    /// An alert is another one than before; `None` where it was or is not there.
    pub fn alert(&self, before: Option<&Alert>, after: Option<&Alert>) {
        // First what is new: nothing falls below 0.
        for (alert, by) in [(after, 1), (before, -1_i64)] {
            let Some(alert) = alert else { continue };
            let (state, severity) = (wire::alert_state(alert.open), wire::severity(alert.severity) as i32);
            step(cell(&self.alerts, state, severity), by);
            let flags = Flags::of(alert);
            if flags.flapping {
                step(&self.flapping, by);
            }
            if flags.suppressed {
                step(&self.suppressed, by);
            }
            if let Some(episode) = alert.episode.filter(|_| alert.open) {
                self.episode(episode, by as i32);
            }
        }
    }

    fn episode(&self, id: EpisodeId, by: i32) {
        let mut open = self.episodes.entry(id).or_default();
        *open = open.saturating_add_signed(by);
        drop(open);
        self.episodes.remove_if(&id, |_, open| *open == 0);
    }

    /// An incident is another one than before; `None` where it was or is not there.
    pub fn incident(&self, before: Option<&Incident>, after: Option<&Incident>) {
        for (incident, by) in [(after, 1), (before, -1)] {
            let Some(incident) = incident else { continue };
            let (state, priority) = (wire::incident_state(incident.state) as i32, i32::from(incident.priority.value()));
            step(cell(&self.incidents, state, priority), by);
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

const fn cell<const N: usize, const M: usize>(all: &[[AtomicU64; M]; N], row: i32, column: i32) -> &AtomicU64 {
    &all[row as usize][column as usize]
}

fn step(count: &AtomicU64, by: i64) {
    // Two's complement: adding -1 takes one away.
    count.fetch_add(by as u64, Ordering::Relaxed);
}
