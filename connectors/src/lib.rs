//! The outside world: logs, sources, formats.
pub mod compliance;
pub mod log;
pub mod source;
