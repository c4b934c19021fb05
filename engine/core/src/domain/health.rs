//! How well a service does.
use serde::{Deserialize, Serialize};
use std::fmt;

/// In words, by the score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Level {
    /// 90 and above.
    Healthy,
    /// 60 to 90.
    Degraded,
    /// 30 to 60.
    Impaired,
    /// Below 30.
    Failing,
}

impl Level {
    /// The level of a score in hundredths of a point, 0 to 10,000.
    pub const fn of(score: i32) -> Self {
        match score {
            9_000.. => Self::Healthy,
            6_000.. => Self::Degraded,
            3_000.. => Self::Impaired,
            _ => Self::Failing,
        }
    }

    /// In lower case: `degraded`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Impaired => "impaired",
            Self::Failing => "failing",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
