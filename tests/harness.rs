//! What the tests of the whole share, a file per door.
#[path = "harness/bad_inputs.rs"]
pub mod bad_inputs;
#[path = "harness/broker.rs"]
pub mod broker;
#[path = "harness/people.rs"]
pub mod people;
#[path = "harness/process.rs"]
pub mod process;
#[path = "harness/prometheus.rs"]
pub mod prometheus;
#[path = "harness/sim.rs"]
pub mod sim;
#[path = "harness/story.rs"]
pub mod story;
#[path = "harness/stream.rs"]
pub mod stream;
