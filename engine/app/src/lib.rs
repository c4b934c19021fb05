//! The service: configuration, ingest, engine, doors.
pub mod app;
pub mod clock;
pub mod commands;
pub mod config;
pub mod control;
pub mod human;
pub mod ingest;
pub mod metrics;
pub mod outputs;
pub mod progress;
pub mod rules;
pub mod serve;
pub mod snapshots;
pub mod stop;
pub mod task;
pub mod toml_file;
pub mod views;
