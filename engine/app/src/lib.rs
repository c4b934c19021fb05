//! The service: configuration, ingest, engine, doors.
pub mod human;
pub mod toml_file;
