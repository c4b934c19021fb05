//! What happens to an event, a file per stage.
pub mod absence;
pub mod assess;
pub mod changes;
pub mod correlate;
pub mod deduplicate;
pub mod enrich;
pub mod raise;
pub mod score;
pub mod suppress;
