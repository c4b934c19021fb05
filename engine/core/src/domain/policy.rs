//! What an operator wrote: data, not code. Journaled with its defaults, so it can hold no secret.
use super::{
    maintenance::Maintenance,
    matcher::{Field, Matchers},
    severity::Severity,
    time::Span,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

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
    pub suppress: Suppress,
    pub maintenance: Vec<Maintenance>,
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

/// Which alerts are kept from people, beside silences and maintenance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suppress {
    /// An alert that says that an entity is down mutes those of what runs on it.
    pub topology: bool,
    /// Such an alert is at least so grave,
    pub topology_severity: Severity,
    /// and is one of these.
    pub topology_down: Matchers,
    pub inhibit: Vec<Inhibit>,
    /// How long a silence or window that is over is kept.
    pub keep: Span,
}

/// A rule by which one alert mutes others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inhibit {
    pub name: Arc<str>,
    /// Open alerts of this kind mute
    pub source: Matchers,
    /// those of that kind
    pub target: Matchers,
    /// that have the same values of these.
    #[serde(default)]
    pub equal: Vec<Field>,
    /// Two values that are absent are equal, as in Alertmanager.
    #[serde(default)]
    pub absent_equal: bool,
}

/// Which alerts share a cause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Correlate {
    /// How long an episode takes new alerts after its last, and one of its own back after it cleared.
    pub gap: Span,
    /// How far apart in the topology two alerts of an episode may be, in steps (0 to 2).
    pub distance_max: u8,
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
    pub silences: usize,
    pub maintenance_windows: usize,
    pub inhibition_rules: usize,
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
            suppress: Suppress {
                topology: true,
                topology_severity: Severity::Major,
                topology_down: Matchers::down(),
                inhibit: Vec::new(),
                keep: Span::hours(5 * 24),
            },
            maintenance: Vec::new(),
            correlate: Correlate { gap: Span::minutes(1), distance_max: 2 },
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
                silences: 10_000,
                maintenance_windows: 1_000,
                inhibition_rules: 1_000,
            },
        }
    }
}
