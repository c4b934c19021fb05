//! What the tests of the whole share, a file per door.
#[path = "harness/story.rs"]
pub mod story;
