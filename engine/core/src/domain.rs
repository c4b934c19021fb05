//! What things are.
pub mod alert;
pub mod episode;
pub mod event;
pub mod hash;
pub mod health;
pub mod incident;
pub mod matcher;
pub mod policy;
pub mod severity;
pub mod time;
pub mod topology;
