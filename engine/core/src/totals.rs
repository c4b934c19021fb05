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
    /// What became of incidents that people were told of.
    pub regroupings: Regroupings,
    /// What it only suggested, as somebody looked after the incident.
    pub suggestions: Suggestions,
    /// Alerts of origins that tell of no ends.
    pub endless: u64,
    /// Storms of incidents,
    pub storms: u64,
    /// and incidents that became their branches.
    pub branches: u64,
}

impl Totals {
    /// Adds another scope's.
    pub const fn add(&mut self, other: &Self) {
        self.alerts += other.alerts;
        self.episodes += other.episodes;
        self.incidents += other.incidents;
        self.revisions += other.revisions;
        self.regroupings.add(&other.regroupings);
        self.suggestions.add(&other.suggestions);
        self.endless += other.endless;
        self.storms += other.storms;
        self.branches += other.branches;
    }
}

/// By the model, and by people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByWhom {
    pub model: u64,
    pub operator: u64,
}

impl ByWhom {
    const fn add(&mut self, other: &Self) {
        self.model += other.model;
        self.operator += other.operator;
    }
}

/// How incidents that people were told of changed: incidents merged into another, incidents split off (by the model: alerts that it
/// put out), and alerts moved to another episode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Regroupings {
    pub merged: ByWhom,
    pub split: ByWhom,
    pub moved: ByWhom,
}

impl Regroupings {
    const fn add(&mut self, other: &Self) {
        self.merged.add(&other.merged);
        self.split.add(&other.split);
        self.moved.add(&other.moved);
    }
}

/// What came of suggestions. One that is neither taken nor refused stands open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suggestions {
    pub made: u64,
    /// A person did so.
    pub taken: u64,
    /// A person did or said otherwise, or its incident was closed before anybody did.
    pub refused: u64,
}

impl Suggestions {
    const fn add(&mut self, other: &Self) {
        self.made += other.made;
        self.taken += other.taken;
        self.refused += other.refused;
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
    pub rhythms: u64,
    pub templates: u64,
    pub shapes: u64,
    pub past_incidents: u64,
    pub problems: u64,
    /// Alerts that found no room for a health of their service,
    pub services: u64,
    /// silences
    pub silences: u64,
    /// and windows that were refused.
    pub maintenance_windows: u64,
    pub corrections: u64,
}

impl Evicted {
    /// By kind, as in the options under `[limits]`.
    pub const fn by_kind(&self) -> [(&'static str, u64); 17] {
        [
            ("alerts", self.alerts),
            ("episodes", self.episodes),
            ("incidents", self.incidents),
            ("ids", self.ids),
            ("changes", self.changes),
            ("requests", self.requests),
            ("series", self.series),
            ("checks", self.checks),
            ("rhythms", self.rhythms),
            ("templates", self.templates),
            ("shapes", self.shapes),
            ("past_incidents", self.past_incidents),
            ("problems", self.problems),
            ("services", self.services),
            ("silences", self.silences),
            ("maintenance_windows", self.maintenance_windows),
            ("corrections", self.corrections),
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
        self.rhythms += other.rhythms;
        self.templates += other.templates;
        self.shapes += other.shapes;
        self.past_incidents += other.past_incidents;
        self.problems += other.problems;
        self.services += other.services;
        self.silences += other.silences;
        self.maintenance_windows += other.maintenance_windows;
        self.corrections += other.corrections;
    }
}
