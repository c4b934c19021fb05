//! What happens to an event, a file per stage.
pub mod assess;
pub mod correlate;
pub mod deduplicate;
pub mod enrich;
pub mod raise;
pub mod score;
