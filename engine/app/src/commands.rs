//! What `quell` can be told to do, a module a command.
use std::fmt;

pub mod replay;

/// An error that decides the program's exit code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub code: u8,
    /// With file, line and reason where it is about a file.
    pub message: String,
}

impl Failure {
    /// Bad usage or bad input.
    pub fn input(message: impl fmt::Display) -> Self {
        Self { code: 2, message: message.to_string() }
    }
}

/// The exit code that an error asks for; 1 where it asks for none.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    error.downcast_ref::<Failure>().map_or(1, |failure| failure.code)
}
