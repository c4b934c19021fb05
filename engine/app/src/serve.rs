//! One port: gRPC, HTTP and metrics.
pub mod commands;
pub mod connections;
mod corrections;
pub mod cursor;
pub mod door;
pub mod errors;
pub mod feed;
pub mod filter;
pub mod grpc;
pub mod http;
pub mod names;
pub mod page;
pub mod publish;
pub mod rest;
pub mod subscriptions;
pub mod suppression;
pub mod topology;
pub mod watch;
