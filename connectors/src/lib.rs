//! The outside world: logs, sources, formats.
pub mod decode;
pub mod compliance;
pub mod log;
pub mod source;
pub mod wire;
