//! Numbers in, a score out.
pub mod detectors;
pub mod similarity;
mod stir;
pub mod templates;
