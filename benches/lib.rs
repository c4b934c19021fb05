//! What the programs of this package share: the real binary, a real Apache Kafka, streams of events.
#[path = "../tests/harness/broker.rs"]
pub mod broker;
pub mod crowd;
pub mod running;
#[path = "../tests/harness/stream.rs"]
pub mod stream;
