//! What things are.
pub mod alert;
pub mod command;
pub mod episode;
pub mod event;
pub mod glob;
pub mod hash;
pub mod health;
pub mod incident;
pub mod maintenance;
pub mod matcher;
pub mod policy;
pub mod schedule;
pub mod severity;
pub mod silence;
pub mod time;
pub mod topology;
