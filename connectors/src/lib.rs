//! The outside world: logs, sources, formats.
pub mod kafka;
pub mod log;
pub mod source;
