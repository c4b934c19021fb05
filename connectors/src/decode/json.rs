//! Any JSON object, of which a mapping says what it means: without one it says nothing of an event.
//!
//! Of a name that stands twice in an object, the last one counts: such documents are not Quell's to judge.
use super::{
    Context, EVENT_BYTES_MAX, Message, Rejection,
    canonical::text_of,
    draft::{Draft, finish},
    field::Field,
    mapping::Target,
    text::Cleaner,
};
use quell_core::domain::event::Event;

/// One event. Where the mapping finds no time and looks for none, it is the arrival, and what is told again is another
/// event: its id is that of its place.
///
/// # Errors
/// Where the bytes are no JSON, a path leads to something that its field can't be, or entity or check are missing.
pub fn decode(message: &Message<'_>, context: &Context<'_>) -> Result<Event, Rejection> {
    let text = text_of(message.bytes, EVENT_BYTES_MAX)?;
    if !text.trim_ascii_start().starts_with('{') {
        return Err(Rejection::new("not a JSON object"));
    }
    let mut draft = Draft::default();
    context.mapping.fill(&mut draft, text)?;
    let timed = context.mapping.fields.0.contains_key(&Target::Field(Field::Time));
    if draft.time.is_none() && !timed {
        draft.time = Some(context.arrival);
        if draft.id.trim_ascii().is_empty() {
            draft.id = format!("{}:{}", message.source, context.offset).into();
        }
    }
    finish(draft, Cleaner::careful(), context)
}
