#![doc = include_str!("../README.md")]
pub mod arrays;
pub mod cohesion;
pub mod detectors;
pub mod distribution;
pub mod forecast;
#[cfg(test)]
mod numbers;
pub mod rhythm;
pub mod similarity;
mod stir;
pub mod templates;
