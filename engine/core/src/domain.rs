//! What things are.
pub mod alert;
pub mod command;
pub mod episode;
pub mod event;
pub mod glob;
pub mod hash;
pub mod health;
pub mod incident;
pub mod policy;
pub mod severity;
pub mod time;
pub mod topology;
