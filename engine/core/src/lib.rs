//! The decisions of Quell: a pure fold from inputs to outputs. No clock, no I/O, no threads, no randomness.
pub mod domain;
pub mod engine;
pub mod ledger;
pub mod output;
mod requests;
mod room;
pub mod scope;
mod shared;
mod snapshot;
pub mod stages;
mod timers;
pub mod totals;
