//! Numbers in, a score out.
pub mod cohesion;
pub mod detectors;
pub mod rhythm;
pub mod templates;
