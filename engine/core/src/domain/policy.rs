//! What an operator wrote: data, not code. Journaled with its defaults, so it can hold no secret.
use super::{severity::Severity, time::Span};
use serde::{Deserialize, Serialize};

mod correlate;
pub use correlate::{Action, BackgroundModel, Break, Correlate, Grouping, PlaceModel, Revise, TimeModel, WhatModel};

/// Which time drives the fold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// The wall's: ticks drive it, and no event is newer than its arrival.
    Wall,
    /// That of the events, taken at their word: recorded data.
    Events,
}

/// All that decides, besides the topology. Every key is explained in `default.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    pub clock: Clock,
    pub deduplicate: Deduplicate,
    pub correlate: Correlate,
    pub assess: Assess,
    pub raise: Raise,
    pub limits: Limits,
}

/// Which events are one alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deduplicate {
    /// How far behind the clock an event may be and still count as if it had come in time.
    pub lateness: Span,
    /// How long an event's id is remembered.
    pub id_horizon: Span,
    /// An alert that is not heard of for so long is cleared.
    pub auto_clear: Span,
    /// An alert that fires again within it is the same alert.
    pub reopen_window: Span,
    /// How often an alert whose count alone changes speaks.
    pub count_interval: Span,
}

/// How a service's health follows from its alerts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assess {
    /// What reaches a service of the points that something it depends on lost, per step.
    pub dependency_share: f64,
}

/// When an episode becomes an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raise {
    /// An alert below it raises nothing by itself.
    pub severity_min: Severity,
    /// How long one alert has to fire.
    pub settle: Span,
    /// So many alerts at once raise sooner,
    pub many_alerts: usize,
    /// if they are on so many entities,
    pub many_entities: usize,
    /// after so long.
    pub many_settle: Span,
    /// All alerts have been clear for so long.
    pub resolve: Span,
    /// Nothing has happened after the resolution for so long.
    pub close: Span,
    /// How long a closed incident is kept.
    pub keep: Span,
    /// How often an incident that grows speaks.
    pub revision_interval: Span,
}

/// What bounds memory, per scope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub scopes: usize,
    pub ids: usize,
    pub alerts: usize,
    pub alerts_per_episode: usize,
    pub incidents: usize,
    pub services: usize,
    pub origins: usize,
    /// What correlation learns of: checks,
    pub checks: usize,
    /// entities,
    pub entities: usize,
    /// and label values.
    pub label_values: usize,
}

impl Default for Policy {
    /// The defaults of `default.toml`, for tests of the core alone; the configuration's are read from there, and a test
    /// keeps the two equal.
    fn default() -> Self {
        Self {
            clock: Clock::Wall,
            deduplicate: Deduplicate {
                lateness: Span::minutes(2),
                id_horizon: Span::minutes(10),
                auto_clear: Span::hours(24),
                reopen_window: Span::minutes(30),
                count_interval: Span::minutes(1),
            },
            correlate: Correlate::default(),
            assess: Assess { dependency_share: 0.5 },
            raise: Raise {
                severity_min: Severity::Warning,
                settle: Span::minutes(2),
                many_alerts: 3,
                many_entities: 2,
                many_settle: Span::seconds(30),
                resolve: Span::minutes(5),
                close: Span::hours(24),
                keep: Span::hours(7 * 24),
                revision_interval: Span::seconds(1),
            },
            limits: Limits {
                scopes: 10_000,
                ids: 1_000_000,
                alerts: 1_000_000,
                alerts_per_episode: 10_000,
                incidents: 10_000,
                services: 10_000,
                origins: 1_000,
                checks: 10_000,
                entities: 100_000,
                label_values: 100_000,
            },
        }
    }
}
