//! Numbers in, a score out.
pub mod detectors;
pub mod forecast;
pub mod templates;
