//! The canonical event as JSON (RFC 8259): one object; fields that Quell does not know are left out.
//!
//! The object is read in one pass, into texts that borrow from the bytes. The visitor is written by hand: serde's own
//! names no field in its errors, and takes an array for a struct.
use super::{
    Context, EVENT_BYTES_MAX, Rejection,
    draft::{Draft, finish},
    read::explain,
    text::Cleaner,
};
use quell_core::domain::event::Event;
use read::Read;
use serde::Deserializer as _;

mod read;

/// One event of the bytes of one JSON object; a byte order mark before it is let pass.
///
/// # Errors
/// Where they are no canonical event: the reason names the field and, where it can be told, the fix. Never panics,
/// whatever the bytes.
pub fn decode(bytes: &[u8], context: &Context<'_>) -> Result<Event, Rejection> {
    let text = text_of(bytes, EVENT_BYTES_MAX)?;
    let cleaner = Cleaner::of(text);
    let mut draft = read(text, cleaner)?;
    context.mapping.fill(&mut draft, text)?;
    finish(draft, cleaner, context)
}

/// Bytes as text without a byte order mark; checked once for all of it: the parser then need not look at each text again.
///
/// # Errors
/// Where they are too many, or no UTF-8.
pub fn text_of(bytes: &[u8], bytes_max: usize) -> Result<&str, Rejection> {
    if bytes.len() > bytes_max {
        return Err(Rejection::new(format_args!("{} bytes; an event has at most {bytes_max}", bytes.len())));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Rejection::new(format_args!("not UTF-8 from byte {} on", error.valid_up_to())))?;
    if text.trim_ascii().is_empty() { Err(Rejection::new("empty")) } else { Ok(text) }
}

/// What an object says under the names of an event's fields.
///
/// # Errors
/// Where it is no JSON object, or a field has another type.
pub fn read(text: &str, cleaner: Cleaner) -> Result<Draft<'_>, Rejection> {
    let (mut draft, mut at) = (Draft::default(), None);
    let mut json = serde_json::Deserializer::from_str(text);
    let read = json.deserialize_map(Read { draft: &mut draft, at: &mut at, cleaner }).and_then(|()| json.end());
    read.map_err(|error| explain(&error, at))?;
    Ok(draft)
}
