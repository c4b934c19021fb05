//! Numbers in, a score out.
pub mod arrays;
pub mod cohesion;
pub mod detectors;
pub mod distribution;
pub mod rhythm;
pub mod similarity;
mod stir;
pub mod templates;
