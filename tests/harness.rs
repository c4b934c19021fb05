//! What the tests of the whole share, a file per door.
pub mod story;
