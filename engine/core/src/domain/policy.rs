//! What an operator wrote: data, not code. Journaled with its defaults, so it can hold no secret.
use super::{
    check::Checks,
    glob,
    maintenance::Maintenance,
    matcher::{Field, Matchers},
    schedule::{Days, Schedule},
    severity::Severity,
    threshold::{During, figures, validate_during},
    time::{Span, Timestamp},
    zone::Zone,
};
use quell_models::detectors::Moment;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

mod cause;
mod cohesion;
mod correlate;
pub use cause::CauseModel;
pub use cohesion::{Cohesion, Peers};
pub use correlate::{
    Action, BackgroundModel, Bounds, Break, CausalEdge, Clue, CorrectionModel, Correlate, Grouping, PlaceModel,
    ResolutionModel, Revise, TimeModel, Weights, WhatModel, WiringModel, wrong_edge,
};

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
    pub flap: Flap,
    /// The first that matches holds.
    pub absence: Vec<Absence>,
    pub suppress: Suppress,
    pub maintenance: Vec<Maintenance>,
    pub score: Score,
    pub checks: Checks,
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
    /// By a pattern of the origin, instead of that; of several the longest.
    pub auto_clear_by_origin: BTreeMap<String, Span>,
    /// An alert that fires again within it is the same alert.
    pub reopen_window: Span,
    /// By a pattern of the origin, instead of that; of several the longest.
    pub reopen_window_by_origin: BTreeMap<String, Span>,
    /// So long after its clear an alert of an incident that is not closed may turn out to have fired on.
    pub went_on_window: Span,
    /// How often an alert whose count alone changes speaks.
    pub count_interval: Span,
}

impl Deduplicate {
    /// How long an alert of this origin has to be silent to be cleared.
    pub fn auto_clear_of(&self, origin: &str) -> Span {
        by_origin(&self.auto_clear_by_origin, origin).unwrap_or(self.auto_clear)
    }

    /// How long after its clear an alert of this origin is the same one.
    pub fn reopen_window_of(&self, origin: &str) -> Span {
        by_origin(&self.reopen_window_by_origin, origin).unwrap_or(self.reopen_window)
    }
}

fn by_origin(spans: &BTreeMap<String, Span>, origin: &str) -> Option<Span> {
    let of = spans.iter().filter(|(pattern, _)| glob::matches(pattern, origin));
    of.max_by_key(|(pattern, _)| pattern.len()).map(|(_, span)| *span)
}

/// Which alerts change too often for each change to be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flap {
    /// An alert flaps with so many changes between firing and not (its opening is one)
    pub changes: usize,
    /// within so long,
    pub window: Span,
    /// until there are fewer than so many.
    pub leave_below: usize,
}

/// A dead man's switch: an alert that always fires, and whose silence is the problem.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Absence {
    /// A pattern.
    pub check: String,
    /// A pattern.
    #[serde(default = "any")]
    pub origin: String,
    /// It is silent after so long without a firing, or after two of its last gap if that is longer.
    pub after: Span,
    /// Of the silence.
    #[serde(default = "critical")]
    pub severity: Severity,
}

fn any() -> String {
    "*".to_owned()
}

const fn critical() -> Severity {
    Severity::Critical
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

/// When measured series speak.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// A sample at this score, 0 to 1, is unusual and becomes an event,
    pub speak_at: f64,
    /// of this severity.
    pub severity: Severity,
    /// A series that was unusual has recovered when nothing unusual came for so long.
    pub calm: Span,
    /// What has been unusual for so long is the new usual.
    pub new_usual: Span,
    /// What was usual before is usual, too, for so long.
    pub old_usual: Span,
    /// Which series are missed when they go silent.
    pub silence: Silence,
    /// For so many of their usual gaps,
    pub silence_gaps: u32,
    /// and at least so long.
    pub silence_min: Span,
    /// So many openings of alerts of one check are the fewest that are a burst.
    pub burst_min: u32,
    /// A series that is not heard of for so long is forgotten.
    pub keep: Span,
    /// Where series have their hours of the day and their weekends.
    pub timezone: Zone,
    /// Days that are as weekends.
    pub holidays: Days,
    /// Of series whose checks match one of these, shapes that were never seen are events too.
    pub shapes: Vec<String>,
    /// Of what adaptive figures are learned from, half is left after so long.
    pub learn_half_life: Span,
    /// They say nothing before so many samples.
    pub learn_samples: u64,
    /// What series will be.
    pub forecast: Forecast,
    /// The first that matches a series holds; a KPI goes by its own.
    pub threshold: Vec<Threshold>,
    /// Which series are peers, and when one has left the others.
    pub cohesion: Cohesion,
}

/// Which series are forecast, and what is told of that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forecast {
    pub of: ForecastOf,
    /// So long ahead.
    pub ahead: Span,
    /// A limit that is probably reached within so long is told.
    pub capacity: Span,
    /// Of the alerts.
    pub severity: Severity,
}

impl Forecast {
    /// Whole seconds ahead.
    pub fn ahead_seconds(&self) -> u32 {
        u32::try_from(self.ahead.0 / 1_000).unwrap_or(u32::MAX).max(1)
    }
}

/// Which series are forecast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ForecastOf {
    None,
    /// Those that are KPIs.
    Kpis,
    /// Those that have thresholds.
    All,
}

impl Score {
    /// A moment as detectors see it.
    pub fn moment(&self, at: Timestamp) -> Moment {
        self.timezone.moment(at, &self.holidays)
    }

    /// `speak_at` in thousandths.
    pub fn speaks_at(&self) -> u16 {
        (self.speak_at * 1_000.0 + 0.5) as u16
    }
}

/// Which series are missed when they go silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Silence {
    None,
    /// Those that are KPIs.
    Kpis,
    All,
}

figures! {
    /// Figures that series are held against.
    Threshold {
        /// Patterns: `*` stands for anything.
        #[serde(default = "anything")]
        origin: String,
        #[serde(default = "anything")]
        entity: String,
        check: String,
        /// Others while a schedule is open; the first that is holds.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        during: Vec<ThresholdDuring>,
    }
    info warning minor major critical
}

figures! {
    /// Figures while a schedule is open.
    ThresholdDuring {
        name: Arc<str>,
        schedule: Schedule,
    }
    info warning minor major critical
}

fn anything() -> String {
    "*".to_owned()
}

impl Threshold {
    /// Its time policies.
    pub fn during(&self) -> Vec<During> {
        let one = |one: &ThresholdDuring| During {
            name: one.name.clone(),
            schedule: one.schedule.clone(),
            bands: one.bands(),
        };
        self.during.iter().map(one).collect()
    }

    /// Whether its figures go together.
    ///
    /// # Errors
    /// Which do not, for people.
    pub fn validate(&self) -> Result<(), String> {
        self.bands().validate()?;
        validate_during(&self.during())
    }

    /// Whether a series is one of those it speaks of.
    pub fn matches(&self, origin: &str, entity: &str, check: &str) -> bool {
        let is = glob::matches;
        is(&self.check, check) && is(&self.entity, entity) && is(&self.origin, origin)
    }
}

/// How a service's health follows from its KPIs, its alerts and what it depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assess {
    /// What reaches a service of the points that something it depends on lost, per step.
    pub dependency_share: f64,
    /// KPIs of at least this importance (0 to 11) cap the score of their service:
    pub cap_importance: u8,
    /// at so many points while one of them is critical,
    pub cap_critical: u8,
    /// at so many while one of them is high.
    pub cap_high: u8,
}

/// When an episode becomes an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raise {
    /// An alert below it raises nothing by itself.
    pub severity_min: Severity,
    /// How long one alert has to fire.
    pub settle: Span,
    /// Instead of that, where it is longer, of an alert that comes at its hour.
    pub settle_at_its_hour: Span,
    /// So many alerts at once raise sooner,
    pub many_alerts: usize,
    /// if they are on so many entities,
    pub many_entities: usize,
    /// after so long.
    pub many_settle: Span,
    /// An origin that has told of no end in so many openings is endless: its silence says nothing. 0: none is.
    pub endless_openings: u32,
    /// And in so long.
    pub endless_after: Span,
    /// An alert of such an origin raises by itself only if it is so grave,
    pub endless_severity_min: Severity,
    /// or in an episode whose checks surprise by so much, in nats.
    pub surprise: f64,
    /// All alerts have been clear for so long.
    pub resolve: Span,
    /// Nothing has happened after the resolution for so long.
    pub close: Span,
    /// A resolved incident that gets an alert within it is reopened; after it, there is a new one that is linked to it.
    pub reopen_window: Span,
    /// How long a closed incident is kept.
    pub keep: Span,
    /// How often an incident that only grows speaks, for each 25 of its alerts.
    pub revision_interval: Span,
    /// A change so long before an incident is a suspect,
    pub change_window: Span,
    /// and one told so long after its beginning still is: clocks differ.
    pub change_slack: Span,
    /// How long a command's request id is remembered.
    pub request_horizon: Span,
    /// What is made of alerts, topology and changes to tell what caused it.
    pub cause: CauseModel,
    pub storm: Storm,
    pub recurrence: Recurrence,
}

/// When incidents are so many that one stands for all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storm {
    /// So many at once; 0: never.
    pub incidents: usize,
    /// Raised within so long.
    pub within: Span,
}

impl Storm {
    /// So many within as long are still one.
    pub fn lasting(&self) -> usize {
        (self.incidents / 2).max(2)
    }
}

/// When incidents are said to come back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recurrence {
    /// From this on, 0 to 1, an incident of the past is like a new one.
    pub similarity: f64,
    /// What is kept of an incident for that: so many entities, services, checks, and checks by service.
    pub keys: usize,
    /// How long incidents of the past and problems are remembered.
    pub keep: Span,
    /// So many like ones, the present among them, may have one problem
    pub incidents: usize,
    /// where they began within so long.
    pub within: Span,
    /// The zone in which people are told hours of the day.
    pub timezone: Zone,
}

impl Recurrence {
    /// `similarity` in thousandths.
    pub fn similar_at(&self) -> u32 {
        (self.similarity * 1_000.0 + 0.5) as u32
    }
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
    pub past_incidents: usize,
    pub problems: usize,
    pub services: usize,
    pub origins: usize,
    pub changes: usize,
    pub requests: usize,
    pub silences: usize,
    pub maintenance_windows: usize,
    pub inhibition_rules: usize,
    pub series: usize,
    /// Of which it is known at which hours alerts come.
    pub rhythms: usize,
    /// Series whose shapes are looked at.
    pub shapes: usize,
    /// What correlation learns of: checks,
    pub checks: usize,
    /// entities,
    pub entities: usize,
    /// and label values.
    pub label_values: usize,
    /// What people said of which alerts belong together.
    pub corrections: usize,
    /// Templates of texts.
    #[serde(default = "templates")]
    pub templates: usize,
}

/// For what was journaled before there was this limit.
const fn templates() -> usize {
    4_096
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
                auto_clear_by_origin: BTreeMap::new(),
                reopen_window: Span::minutes(30),
                reopen_window_by_origin: BTreeMap::new(),
                went_on_window: Span::hours(5),
                count_interval: Span::minutes(1),
            },
            flap: Flap { changes: 5, window: Span::minutes(10), leave_below: 2 },
            absence: vec![Absence {
                check: "Watchdog".to_owned(),
                origin: any(),
                after: Span::minutes(5),
                severity: critical(),
            }],
            suppress: Suppress {
                topology: true,
                topology_severity: Severity::Major,
                topology_down: Matchers::down(),
                inhibit: Vec::new(),
                keep: Span::hours(5 * 24),
            },
            maintenance: Vec::new(),
            score: Score {
                speak_at: 0.5,
                severity: Severity::Warning,
                calm: Span::minutes(1),
                new_usual: Span::hours(6),
                old_usual: Span::hours(72),
                silence: Silence::Kpis,
                silence_gaps: 3,
                silence_min: Span::minutes(5),
                burst_min: 10,
                keep: Span::hours(7 * 24),
                timezone: Zone::utc(),
                holidays: Days::default(),
                shapes: Vec::new(),
                forecast: Forecast {
                    of: ForecastOf::Kpis,
                    ahead: Span::minutes(30),
                    capacity: Span::hours(7 * 24),
                    severity: Severity::Info,
                },
                learn_half_life: Span::hours(7 * 24),
                learn_samples: 100,
                threshold: Vec::new(),
                cohesion: Cohesion::default(),
            },
            checks: Checks::default(),
            correlate: Correlate::default(),
            assess: Assess { dependency_share: 0.5, cap_importance: 5, cap_critical: 40, cap_high: 70 },
            raise: Raise {
                severity_min: Severity::Warning,
                settle: Span::minutes(3),
                settle_at_its_hour: Span(0),
                many_alerts: 3,
                many_entities: 2,
                many_settle: Span::seconds(30),
                endless_openings: 10,
                endless_after: Span::hours(1),
                endless_severity_min: Severity::Major,
                surprise: 20.0,
                resolve: Span::minutes(5),
                close: Span::hours(24),
                reopen_window: Span::minutes(30),
                keep: Span::hours(7 * 24),
                revision_interval: Span::seconds(1),
                change_window: Span::hours(2),
                change_slack: Span::minutes(1),
                request_horizon: Span::hours(24),
                cause: CauseModel::default(),
                storm: Storm { incidents: 25, within: Span::minutes(5) },
                recurrence: Recurrence {
                    similarity: 0.5,
                    keys: 16,
                    keep: Span::hours(90 * 24),
                    incidents: 3,
                    within: Span::hours(30 * 24),
                    timezone: Zone::utc(),
                },
            },
            limits: Limits {
                scopes: 10_000,
                ids: 1_000_000,
                alerts: 1_000_000,
                alerts_per_episode: 10_000,
                incidents: 10_000,
                past_incidents: 1_000,
                problems: 1_000,
                services: 10_000,
                origins: 1_000,
                changes: 1_000,
                requests: 10_000,
                silences: 10_000,
                maintenance_windows: 1_000,
                inhibition_rules: 1_000,
                series: 100_000,
                rhythms: 100_000,
                shapes: 1_000,
                checks: 10_000,
                entities: 100_000,
                label_values: 100_000,
                corrections: 10_000,
                templates: templates(),
            },
        }
    }
}
