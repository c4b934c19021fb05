//! Numbers in, a score out.
pub mod detectors;
