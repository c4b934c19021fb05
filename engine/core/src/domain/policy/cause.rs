//! What most likely caused an incident: the numbers of the model.
use crate::domain::time::Span;
use serde::{Deserialize, Serialize};

/// What makes a suspect the cause. Sizes are those of alerts (the label `score`, 0 to 100); chances are from 0 to 1; the rest
/// are factors of odds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CauseModel {
    /// At this size an alert of errors, latency or traffic doubles the odds of who would cause it,
    pub symptom_size: f64,
    /// and at this one that of a condition of the thing itself: those are rarer by chance.
    pub own_size: f64,
    /// What an alert that tells no size counts for.
    pub plain_size: f64,
    /// That trouble of a service reaches who depends on it, a step.
    pub dependency: f64,
    /// That trouble reaches what runs on it, and the service that rests on it.
    pub ground: f64,
    /// What an alert about the way between two says of the other end.
    pub peer: f64,
    /// That who suffers raises an alert.
    pub recall: f64,
    /// Of what has no alert.
    pub silent: f64,
    /// Of what only its callers see.
    pub outside: f64,
    /// Of what was done to the system: a change, an experiment.
    pub intervention: f64,
    /// Of a configuration.
    pub configuration: f64,
    /// What begins after what it would cause has odds less by up to this,
    pub late: f64,
    /// half of it when so late.
    pub late_after: Span,
    /// Levels of what runs on what that are followed.
    pub levels: u8,
    /// Confidence is this by the odds,
    pub confidence: f64,
    /// in the power of this.
    pub confidence_power: f64,
    /// Suspects without an alert, at most.
    pub silent_max: usize,
    /// Words of a type of entity that is an intervention,
    pub interventions: Vec<String>,
    /// of one that is a configuration,
    pub configurations: Vec<String>,
    /// and types that only their callers see.
    pub outsiders: Vec<String>,
}

impl Default for CauseModel {
    /// Those of `default.toml`.
    fn default() -> Self {
        let words = |all: &str| all.split(", ").map(ToOwned::to_owned).collect();
        Self {
            symptom_size: 10.0,
            own_size: 3.0,
            plain_size: 10.0,
            dependency: 0.6,
            ground: 0.9,
            peer: 0.3,
            recall: 0.2,
            silent: 0.4,
            outside: 0.35,
            intervention: 8.0,
            configuration: 1.5,
            late: 0.5,
            late_after: Span::minutes(2),
            levels: 3,
            confidence: 2.5,
            confidence_power: 1.5,
            silent_max: 64,
            interventions: words("chaos, schedule, policy, experiment, fault, change"),
            configurations: words("config, secret, flag, budget, volume, claim, quota, limit"),
            outsiders: words("remote, client, external, inferred"),
        }
    }
}
