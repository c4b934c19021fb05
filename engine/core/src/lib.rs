//! The decisions of Quell: a pure fold from inputs to outputs. No clock, no I/O, no threads, no randomness.
pub mod domain;
