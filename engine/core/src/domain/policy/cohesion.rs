//! Which series are peers.
use super::anything;
use crate::domain::glob;
use serde::{Deserialize, Serialize};

/// Whose series are peers, and when one has left the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cohesion {
    /// The series of one KPI at one origin are peers.
    pub kpis: bool,
    /// One that is so many spreads from them has left, and is back below half of it.
    pub leaves_at: f64,
    /// The first that matches a series holds, before its KPI.
    pub peers: Vec<Peers>,
}

/// Series of one origin and check that are peers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peers {
    /// Patterns: `*` stands for anything.
    #[serde(default = "anything")]
    pub origin: String,
    #[serde(default = "anything")]
    pub entity: String,
    pub check: String,
    /// Only those under one service are, and those under none have none.
    #[serde(default)]
    pub same_service: bool,
}

impl Cohesion {
    /// Farther is as far.
    pub const LEAVES_AT_MAX: f64 = 10.0;

    /// The rule that holds for a series.
    pub fn rule_of(&self, origin: &str, entity: &str, check: &str) -> Option<&Peers> {
        let is = glob::matches;
        self.peers.iter().find(|rule| is(&rule.check, check) && is(&rule.entity, entity) && is(&rule.origin, origin))
    }

    /// # Errors
    /// What is wrong, and where.
    pub fn validate(&self) -> Result<(), String> {
        let max = Self::LEAVES_AT_MAX;
        if !(1.0..=max).contains(&self.leaves_at) {
            return Err(format!("leaves_at: from 1 to {max}"));
        }
        let empty = self.peers.iter().position(|rule| rule.check.is_empty());
        empty.map_or(Ok(()), |n| Err(format!("peers[{n}].check: not empty; `*` is any")))
    }
}

impl Default for Cohesion {
    /// Those of `default.toml`.
    fn default() -> Self {
        Self { kpis: true, leaves_at: 4.0, peers: Vec::new() }
    }
}
