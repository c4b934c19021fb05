//! Numbers in, a score out.
pub mod arrays;
pub mod detectors;
pub mod distribution;
pub mod similarity;
mod stir;
pub mod templates;
