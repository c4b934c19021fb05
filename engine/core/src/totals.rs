//! What a scope has come to since it began. Part of the state, so that a restart does not count again.
use serde::{Deserialize, Serialize};

/// Everything ever made, whether it is still kept or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub alerts: u64,
    pub episodes: u64,
    pub incidents: u64,
    /// Alerts that the model moved and episodes that it merged when it looked again.
    pub revisions: u64,
    /// What it only suggested, as somebody looked after the incident.
    pub suggestions: u64,
    /// Alerts of origins that tell of no ends.
    pub endless: u64,
}

impl Totals {
    /// Adds another scope's.
    pub const fn add(&mut self, other: &Self) {
        self.alerts += other.alerts;
        self.episodes += other.episodes;
        self.incidents += other.incidents;
        self.revisions += other.revisions;
        self.suggestions += other.suggestions;
        self.endless += other.endless;
    }
}

/// What a limit made go before its time, or kept out, by kind (design rule 16).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evicted {
    pub alerts: u64,
    pub episodes: u64,
    pub incidents: u64,
    pub ids: u64,
    pub changes: u64,
    pub requests: u64,
    pub series: u64,
    pub checks: u64,
    pub past_incidents: u64,
    pub problems: u64,
    /// Alerts that found no room for a health of their service,
    pub services: u64,
    /// silences
    pub silences: u64,
    /// and windows that were refused.
    pub maintenance_windows: u64,
}

impl Evicted {
    /// By kind, as in the options under `[limits]`.
    pub const fn by_kind(&self) -> [(&'static str, u64); 13] {
        [
            ("alerts", self.alerts),
            ("episodes", self.episodes),
            ("incidents", self.incidents),
            ("ids", self.ids),
            ("changes", self.changes),
            ("requests", self.requests),
            ("series", self.series),
            ("checks", self.checks),
            ("past_incidents", self.past_incidents),
            ("problems", self.problems),
            ("services", self.services),
            ("silences", self.silences),
            ("maintenance_windows", self.maintenance_windows),
        ]
    }

    /// Adds another scope's.
    pub const fn add(&mut self, other: &Self) {
        self.alerts += other.alerts;
        self.episodes += other.episodes;
        self.incidents += other.incidents;
        self.ids += other.ids;
        self.changes += other.changes;
        self.requests += other.requests;
        self.series += other.series;
        self.checks += other.checks;
        self.past_incidents += other.past_incidents;
        self.problems += other.problems;
        self.services += other.services;
        self.silences += other.silences;
        self.maintenance_windows += other.maintenance_windows;
    }
}
