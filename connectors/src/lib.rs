//! The outside world: logs, sources, formats.
pub mod compliance;
pub mod decode;
pub mod kafka;
pub mod log;
pub mod source;
pub mod wire;
