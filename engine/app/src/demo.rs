//! `quell demo`'s inside: a recorded outage through Kafka's protocol into a journal of its own, and what a person on
//! call would want to read of it.
pub mod closing;
pub mod follow;
pub mod line;
pub mod play;
pub mod recording;
pub mod screen;
pub mod text;
