//! The service: configuration, ingest, engine, doors.
pub mod clock;
pub mod commands;
pub mod control;
pub mod human;
pub mod ingest;
pub mod outputs;
pub mod progress;
pub mod rules;
pub mod snapshots;
pub mod task;
pub mod toml_file;
