//! Why an engine stops.
use super::FOLD;

/// Why an engine stops.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    #[error("the journal belongs to {found:02x?}, not to {expected:02x?}: another journal stands in its place")]
    AnotherJournal { expected: [u8; 16], found: [u8; 16] },
    #[error("the journal has been folded by newer code (FOLD {era}, this is {FOLD}): run the newer version")]
    NewerEra { era: u32 },
    #[error(
        "the snapshot was made by other code (FOLD {found}, this is {FOLD}): let the version that made it finish with `quell run --drain`, then start this one"
    )]
    OtherFold { found: u32 },
    #[error("the snapshot is damaged: {0}")]
    Snapshot(String),
}

pub(super) fn damaged(error: postcard::Error) -> EngineError {
    EngineError::Snapshot(error.to_string())
}
