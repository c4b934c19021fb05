//! The outside world: logs, sources, formats.
#[cfg(test)]
mod compliance;
pub mod decode;
pub mod kafka;
pub mod log;
pub mod source;
pub mod wire;
