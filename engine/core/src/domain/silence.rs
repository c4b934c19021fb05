//! Who asked not to hear of what, and for how long.
use super::{matcher::Matchers, schedule::Occurrence, time::Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A silence of a scope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Silence {
    /// Unique in its scope.
    pub id: Arc<str>,
    pub matchers: Matchers,
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
    pub creator: Arc<str>,
    pub comment: Arc<str>,
    /// Open alerts that it matched when it was created.
    pub hits: u32,
}

impl Silence {
    /// `scopes/{scope}/silences/{silence}`
    pub fn name(scope: &str, id: &str) -> String {
        format!("scopes/{scope}/silences/{id}")
    }

    /// When it holds.
    pub const fn span(&self) -> Occurrence {
        Occurrence { start: self.starts_at, end: self.ends_at }
    }
}
