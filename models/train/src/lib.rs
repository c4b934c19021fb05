//! What is learned from history, offline: tables that the engine then goes by. Nothing of this runs where events are folded, so
//! that it may use whatever mathematics it likes.
pub mod causality;
pub mod patterns;
pub mod weights;
