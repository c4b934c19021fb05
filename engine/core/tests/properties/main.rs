//! What is always true of the fold, whatever the events (design rules 3, 7, 19, 20).
mod extremes;
mod known;
mod order;
mod packing;
mod scopes;
mod snapshots;
mod storms;
mod ticks;
mod world;
