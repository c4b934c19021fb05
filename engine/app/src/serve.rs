//! One port: gRPC, HTTP and metrics.
pub mod commands;
pub mod cursor;
pub mod feed;
pub mod filter;
pub mod grpc;
pub mod http;
pub mod page;
pub mod rest;
