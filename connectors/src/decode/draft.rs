//! What was said of an event, before it is one: every format fills a [`Draft`], a mapping may have its say, and
//! [`finish`] makes the event of it or says why not.
use super::{
    Context, LABEL_VALUE_BYTES_MAX, Rejection, SUMMARY_BYTES_MAX, TEXT_BYTES_MAX,
    frame::Frame,
    text::{Cleaner, line},
    words,
};
use quell_core::domain::{
    event::{Event, Kind, Status},
    severity::Severity,
    time::{Span, Timestamp},
};
use std::borrow::Cow;

/// How far a time may lie from the arrival where the wall clock is asked: ten years, of 365.25 days.
const WALL: Span = Span::hours(87_660);

/// The label that keeps a word for a severity that Quell does not know.
const SEVERITY_LABEL: &str = "severity";

/// As sent; what is absent, `null` or empty is empty here. Labels are settled.
#[derive(Debug, Default)]
pub struct Draft<'a> {
    pub id: Cow<'a, str>,
    pub time: Option<Timestamp>,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub origin: Cow<'a, str>,
    pub entity: Cow<'a, str>,
    pub check: Cow<'a, str>,
    pub status: Cow<'a, str>,
    pub severity: Cow<'a, str>,
    pub summary: Cow<'a, str>,
    pub value: Option<f64>,
    pub labels: Vec<(String, String)>,
    pub service: Cow<'a, str>,
    pub scope: Cow<'a, str>,
    pub fingerprint: Cow<'a, str>,
    pub identity: Cow<'a, str>,
    pub kind: Cow<'a, str>,
    /// The identity of the condition by the format's own rule, where neither the event nor the mapping has one.
    pub condition: String,
}

/// The event of what was said.
///
/// # Errors
/// Where something that it needs is missing, or is not what it has to be.
pub fn finish(draft: Draft<'_>, cleaner: Cleaner, context: &Context<'_>) -> Result<Event, Rejection> {
    let time = draft.time.ok_or_else(|| missing("time"))?;
    if context.check_wall {
        check_wall(time, context.arrival)?;
    }
    let kind = word("kind", &draft.kind, Kind::Alert, words::kind, "alert, sample, log or change")?;
    if kind == Kind::Sample && draft.value.is_none() {
        return Err(Rejection::new("value: missing, and a sample must have it"));
    }
    let status = |word: &str| context.mapping.status(word).or_else(|| words::status(word));
    let mut labels = draft.labels;
    let severity = severity(draft.severity, &mut labels, context);
    let mut event = Event {
        id: identity("id", cleaner, draft.id)?,
        time,
        // A start after its end is none; it must not refuse the recovery that carries it.
        started_at: draft.started_at.filter(|start| draft.ended_at.is_none_or(|end| *start <= end)),
        ended_at: draft.ended_at,
        origin: identity("origin", cleaner, draft.origin)?,
        entity: required("entity", cleaner, draft.entity)?,
        check: required("check", cleaner, draft.check)?,
        status: word("status", &draft.status, Status::Firing, status, "firing or resolved")?,
        severity,
        summary: line(draft.summary, SUMMARY_BYTES_MAX),
        value: draft.value,
        labels,
        service: identity("service", cleaner, draft.service)?,
        scope: identity("scope", cleaner, draft.scope)?,
        fingerprint: identity("fingerprint", cleaner, draft.fingerprint)?,
        identity: identity("identity", cleaner, draft.identity)?,
        kind,
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
    if event.fingerprint.is_empty() {
        event.fingerprint = draft.condition;
    }
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

/// By the mapping's table, then by the words that are known. Any other word is no reason to lose an alarm: it is the
/// mapping's default, or a warning. A word that says more than the severity is kept as a label, unless the origin has a
/// label of that name.
fn severity(word: Cow<'_, str>, labels: &mut Vec<(String, String)>, context: &Context<'_>) -> Severity {
    let (told, known) = (context.mapping.severity(&word), words::severity(&word));
    if known.is_none()
        && !word.trim_ascii().is_empty()
        && let Err(index) = labels.binary_search_by(|(key, _)| key.as_str().cmp(SEVERITY_LABEL))
    {
        labels.insert(index, (SEVERITY_LABEL.to_owned(), line(word, LABEL_VALUE_BYTES_MAX)));
    }
    told.or(known).or(context.mapping.severity_default).unwrap_or(Severity::Warning)
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
