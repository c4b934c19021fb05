//! What things are.
pub mod event;
pub mod severity;
pub mod time;
