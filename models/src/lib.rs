//! Numbers in, a score out.
pub mod detectors;
pub mod distribution;
pub mod forecast;
pub mod templates;
