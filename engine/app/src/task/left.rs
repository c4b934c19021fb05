//! Why an owner lets go of its partition.
use super::load::LoadError;
use crate::{journal::InputError, outputs::OutputError};
use quell_connectors::log::{LogError, Topic};
use quell_core::engine::EngineError;

/// Why an owner lets go of its partition.
#[derive(Debug, thiserror::Error)]
pub(super) enum Left {
    /// Recovering is the cure.
    #[error("{0:#}")]
    Again(anyhow::Error),
    /// Only a person can help.
    #[error("{0:#}")]
    ForGood(anyhow::Error),
    /// Records from here on were trimmed: another owner is further, and its snapshots are newer.
    #[error("{topic} is trimmed above position {position}")]
    Trimmed { topic: Topic, position: u64 },
    /// The log takes no more records.
    #[error(transparent)]
    Closed(LogError),
    /// A step panicked, at this position.
    #[error("the engine panicked at journal position {0}")]
    Panicked(u64),
}

impl From<LogError> for Left {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Trimmed { topic, position, .. } => Self::Trimmed { topic, position },
            closed @ LogError::Closed { .. } => Self::Closed(closed),
            other => Self::Again(other.into()),
        }
    }
}

impl From<OutputError> for Left {
    fn from(error: OutputError) -> Self {
        match error {
            OutputError::Log(error) => error.into(),
            damaged @ OutputError::Damaged { .. } => Self::ForGood(damaged.into()),
        }
    }
}

impl From<EngineError> for Left {
    fn from(error: EngineError) -> Self {
        Self::ForGood(error.into())
    }
}

impl From<InputError> for Left {
    fn from(error: InputError) -> Self {
        match error {
            InputError::Unreadable(_) => Self::ForGood(error.into()),
            InputError::Missing { .. } => Self::Again(error.into()),
        }
    }
}

impl From<LoadError> for Left {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Log(error) => error.into(),
            LoadError::Output(error) => error.into(),
            LoadError::Engine(error) => error.into(),
            LoadError::Control(..) => Self::Again(error.into()),
        }
    }
}
