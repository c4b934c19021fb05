//! Work that was announced: what it is about, and when.
use super::{
    matcher::{AlertView, Matchers},
    schedule::{Schedule, ScheduleError, ScheduleText},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, sync::Arc};

/// A maintenance window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "MaintenanceText", into = "MaintenanceText")]
pub struct Maintenance {
    /// Unique in its scope, and in the policy.
    pub id: Arc<str>,
    pub title: Arc<str>,
    /// Who asked for it; empty where nobody says.
    pub creator: Arc<str>,
    pub what: Target,
    pub schedule: Schedule,
}

/// What a window is about.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// Alerts that meet all of them.
    Matchers(Matchers),
    /// Alerts of these entities, not of what runs on them: that is inhibition's.
    Entities(BTreeSet<Arc<str>>),
    /// Alerts that speak of one of these services.
    Services(BTreeSet<Arc<str>>),
}

impl Target {
    /// Whether it is about an alert.
    pub fn matches(&self, alert: &AlertView<'_>) -> bool {
        match self {
            Self::Matchers(matchers) => matchers.matches(alert),
            Self::Entities(entities) => entities.contains(alert.entity),
            Self::Services(services) => alert.services.iter().any(|service| services.contains(service)),
        }
    }
}

impl Maintenance {
    /// `scopes/{scope}/maintenanceWindows/{window}`
    pub fn name(scope: &str, id: &str) -> String {
        format!("scopes/{scope}/maintenanceWindows/{id}")
    }
}

/// A window as people write it: one of `matchers`, `entities` and `services`, and a schedule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MaintenanceText {
    pub id: Arc<str>,
    pub title: Arc<str>,
    pub creator: Arc<str>,
    pub matchers: Option<Matchers>,
    pub entities: BTreeSet<Arc<str>>,
    pub services: BTreeSet<Arc<str>>,
    pub schedule: ScheduleText,
}

/// Why a text is no window.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MaintenanceError {
    #[error("a window has an `id`")]
    NoId,
    #[error("`{0}`: a window has one of matchers, entities and services")]
    Target(Arc<str>),
    #[error("`{0}`: schedule.{1}")]
    Schedule(Arc<str>, ScheduleError),
}

impl TryFrom<MaintenanceText> for Maintenance {
    type Error = MaintenanceError;

    fn try_from(text: MaintenanceText) -> Result<Self, MaintenanceError> {
        let MaintenanceText { id, title, creator, matchers, entities, services, schedule } = text;
        if id.is_empty() {
            return Err(MaintenanceError::NoId);
        }
        let what = match (matchers, entities.is_empty(), services.is_empty()) {
            (Some(matchers), true, true) => Target::Matchers(matchers),
            (None, false, true) => Target::Entities(entities),
            (None, true, false) => Target::Services(services),
            _ => return Err(MaintenanceError::Target(id)),
        };
        let schedule = schedule.try_into().map_err(|error| MaintenanceError::Schedule(id.clone(), error))?;
        Ok(Self { id, title, creator, what, schedule })
    }
}

impl From<Maintenance> for MaintenanceText {
    fn from(window: Maintenance) -> Self {
        let Maintenance { id, title, creator, what, schedule } = window;
        let mut text = Self { id, title, creator, schedule: schedule.into(), ..Self::default() };
        match what {
            Target::Matchers(matchers) => text.matchers = Some(matchers),
            Target::Entities(entities) => text.entities = entities,
            Target::Services(services) => text.services = services,
        }
        text
    }
}
