//! The outside world: logs, sources, formats.
pub mod log;
pub mod source;
pub mod wire;
