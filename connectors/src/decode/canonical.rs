//! The canonical event as JSON (RFC 8259): one object; fields that Quell does not know are left out.
//!
//! The object is read in one pass, into texts that borrow from the bytes. The visitor is written by hand: serde's own
//! names no field in its errors, and takes an array for a struct.
use super::{
    Context, EVENT_BYTES_MAX, LABEL_KEY_BYTES_MAX, LABEL_VALUE_BYTES_MAX, LABELS_BYTES_MAX, LABELS_MAX, Rejection,
    SUMMARY_BYTES_MAX, TEXT_BYTES_MAX,
    frame::Frame,
    text::{Cleaner, cut, line},
    words,
};
use quell_core::domain::{
    event::{Event, Kind, Status},
    severity::Severity,
    time::{Span, Timestamp},
};
use read::{Fields, Read};
use serde::Deserializer as _;
use serde_json::error::Category;
use std::borrow::Cow;

mod read;

/// How far a time may lie from the arrival where the wall clock is asked: ten years, of 365.25 days.
const WALL: Span = Span::hours(87_660);

/// The label that keeps a word for a severity that Quell does not know.
const SEVERITY_LABEL: &str = "severity";

/// One event of the bytes of one JSON object; a byte order mark before it is let pass.
///
/// # Errors
/// As [`super::decode`].
pub fn decode(bytes: &[u8], context: &Context<'_>) -> Result<Event, Rejection> {
    if bytes.len() > EVENT_BYTES_MAX {
        return Err(Rejection::new(format_args!("{} bytes; an event has at most {EVENT_BYTES_MAX}", bytes.len())));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    // Once for all of it: the parser then need not look at each text again.
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Rejection::new(format_args!("not UTF-8 from byte {} on", error.valid_up_to())))?;
    let cleaner = Cleaner::of(text);
    build(read(text, cleaner)?, cleaner, context)
}

fn read(text: &str, cleaner: Cleaner) -> Result<Fields<'_>, Rejection> {
    if text.trim_ascii().is_empty() {
        return Err(Rejection::new("empty"));
    }
    let (mut fields, mut at) = (Fields::default(), None);
    let mut json = serde_json::Deserializer::from_str(text);
    let read = json.deserialize_map(Read { fields: &mut fields, at: &mut at, cleaner }).and_then(|()| json.end());
    read.map_err(|error| {
        let words = error.to_string();
        let field = at.map_or(String::new(), |field: &str| format!("{field}: "));
        Rejection::new(match error.classify() {
            // The field says it better than line and column of what is mostly one long line.
            Category::Data => {
                format!("{field}{}", words.rsplit_once(" at line ").map_or(words.as_str(), |(reason, _)| reason))
            }
            _ => format!("not readable as JSON: {field}{words}"),
        })
    })?;
    Ok(fields)
}

fn build(fields: Fields<'_>, cleaner: Cleaner, context: &Context<'_>) -> Result<Event, Rejection> {
    let time = fields.time.ok_or_else(|| missing("time"))?;
    if context.check_wall {
        check_wall(time, context.arrival)?;
    }
    let mut labels = fields.labels;
    let severity = severity(fields.severity, &mut labels);
    let mut event = Event {
        id: identity("id", cleaner, fields.id)?,
        time,
        // A start after its end is none; it must not refuse the recovery that carries it.
        started_at: fields.started_at.filter(|start| fields.ended_at.is_none_or(|end| *start <= end)),
        ended_at: fields.ended_at,
        origin: identity("origin", cleaner, fields.origin)?,
        entity: required("entity", cleaner, fields.entity)?,
        check: required("check", cleaner, fields.check)?,
        status: word("status", &fields.status, Status::Firing, words::status, "firing or resolved")?,
        severity,
        summary: line(fields.summary, SUMMARY_BYTES_MAX),
        value: fields.value,
        labels,
        service: identity("service", cleaner, fields.service)?,
        scope: identity("scope", cleaner, fields.scope)?,
        fingerprint: identity("fingerprint", cleaner, fields.fingerprint)?,
        identity: identity("identity", cleaner, fields.identity)?,
        kind: word("kind", &fields.kind, Kind::Alert, words::kind, "alert, sample, log or change")?,
        arrival: context.arrival,
        offset: context.offset,
        part: 0,
    };
    if event.origin.is_empty() {
        context.default_origin.clone_into(&mut event.origin);
    }
    // Before the mapping is applied: a new mapping must not make another event of it.
    if event.id.is_empty() {
        event.id = content_id(&event);
    }
    context.mapping.apply(&mut event)?;
    Ok(event)
}

fn missing(field: &str) -> Rejection {
    Rejection::new(format_args!("{field}: missing"))
}

/// A text that identifies: never cut, since two could become one. Blanks alone are nothing.
fn identity(field: &str, cleaner: Cleaner, text: Cow<'_, str>) -> Result<String, Rejection> {
    if text.trim_ascii().is_empty() {
        return Ok(String::new());
    }
    let text = cleaner.clean(text);
    if text.len() > TEXT_BYTES_MAX {
        return Err(Rejection::new(format_args!("{field}: {} bytes; at most {TEXT_BYTES_MAX}", text.len())));
    }
    Ok(text)
}

fn required(field: &str, cleaner: Cleaner, text: Cow<'_, str>) -> Result<String, Rejection> {
    let text = identity(field, cleaner, text)?;
    if text.is_empty() { Err(missing(field)) } else { Ok(text) }
}

fn word<T>(
    field: &str,
    text: &str,
    absent: T,
    known: impl FnOnce(&str) -> Option<T>,
    fix: &str,
) -> Result<T, Rejection> {
    if text.trim_ascii().is_empty() {
        return Ok(absent);
    }
    known(text).ok_or_else(|| Rejection::new(format_args!("{field}: unknown `{}`, write {fix}", line(text.into(), 64))))
}

/// An unknown word is no reason to lose an alarm: it is a warning, and the word is kept as a label, unless the origin
/// has a label of that name.
fn severity(word: Cow<'_, str>, labels: &mut Vec<(String, String)>) -> Severity {
    words::severity(&word).unwrap_or_else(|| {
        if !word.trim_ascii().is_empty()
            && let Err(index) = labels.binary_search_by(|(key, _)| key.as_str().cmp(SEVERITY_LABEL))
        {
            labels.insert(index, (SEVERITY_LABEL.to_owned(), line(word, LABEL_VALUE_BYTES_MAX)));
        }
        Severity::Warning
    })
}

fn check_wall(time: Timestamp, arrival: Timestamp) -> Result<(), Rejection> {
    let side = if time > arrival + WALL {
        "after"
    } else if time < arrival - WALL {
        "before"
    } else {
        return Ok(());
    };
    Err(Rejection::new(format_args!("time: more than ten years {side} its arrival; is its unit milliseconds?")))
}

/// The id of something that happens once: a hash of all that was said of it.
fn content_id(event: &Event) -> String {
    let mut frame = Frame::with_capacity(1024);
    let absent = Timestamp::MIN;
    for time in [event.time, event.started_at.unwrap_or(absent), event.ended_at.unwrap_or(absent)] {
        frame.number(time.0 as u64);
    }
    frame.number(event.status as u64).number(event.severity as u64).number(event.kind as u64);
    // No number of JSON is a NaN.
    frame.number(event.value.unwrap_or(f64::NAN).to_bits());
    for text in
        [&event.origin, &event.entity, &event.check, &event.summary, &event.service, &event.scope, &event.fingerprint]
    {
        frame.text(text);
    }
    for (key, value) in &event.labels {
        frame.text(key).text(value);
    }
    // Ids that were derived before there was this field stay the same.
    if !event.identity.is_empty() {
        frame.text(&event.identity);
    }
    frame.hex()
}

/// Sorts labels by key and keeps the last of those with the same key.
///
/// # Errors
/// Where they are too many or too large.
fn settle(labels: &mut Vec<(String, String)>) -> Result<(), String> {
    if !labels.is_sorted_by(|(a, _), (b, _)| a < b) {
        // Stable, so that of equal keys the last one said is the last; `dedup_by` keeps the first, hence the swap.
        labels.sort_by(|(a, _), (b, _)| a.cmp(b));
        labels.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                std::mem::swap(later, kept);
            }
            same
        });
    }
    if labels.len() > LABELS_MAX {
        return Err(format!("{} of them; at most {LABELS_MAX}", labels.len()));
    }
    let bytes: usize = labels.iter().map(|(key, value)| key.len() + value.len()).sum();
    if bytes > LABELS_BYTES_MAX { Err(format!("{bytes} bytes; at most {LABELS_BYTES_MAX}")) } else { Ok(()) }
}

/// # Errors
/// Where it is empty or too long: keys are never cut, since two could become one.
fn label_key(key: Cow<'_, str>, cleaner: Cleaner) -> Result<String, String> {
    if key.trim_ascii().is_empty() {
        return Err("a label without a name".to_owned());
    }
    let key = cleaner.clean(key);
    if key.len() > LABEL_KEY_BYTES_MAX {
        return Err(format!("a name of {} bytes; at most {LABEL_KEY_BYTES_MAX}", key.len()));
    }
    Ok(key)
}
