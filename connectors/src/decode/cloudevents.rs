//! CloudEvents 1.0 (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md>): structured as a JSON object,
//! or binary, with the attributes in headers (`ce_*` in Kafka, `ce-*` in HTTP) and the data as the value or body.
//!
//! | field | is |
//! |---|---|
//! | `id`, `origin` | `id` and `source`: together they are the event's identity |
//! | `entity` | that of the data, else `subject`, else `source` |
//! | `check` | that of the data, else `type` |
//! | `time` | that of the data, else `time`, else the arrival |
//! | `severity` | that of the data, else `severitytext`, else `severitynumber` by OpenTelemetry's scale |
//! | `summary` | that of the data, else the data itself where it is a text |
//! | labels | those of the data, and the extension attributes where there is none of that name |
//! | all else | that of the data |
//!
//! The data counts where it is a JSON object, its members under the names of the canonical event, of the same types;
//! what else it says a mapping can fetch, as in `fields.entity = "data.host"`. `data_base64` is let pass.
use super::{
    Context, EVENT_BYTES_MAX, Message, Rejection, TEXT_BYTES_MAX,
    canonical::{self, text_of},
    draft::{Draft, finish},
    read::{Scalar, Text, explain, label_key, settle},
    text::{Cleaner, cut_apart},
    time::rfc3339,
};
use crate::decode::LABEL_VALUE_BYTES_MAX;
use quell_core::domain::event::Event;
use serde::{
    Deserializer as _,
    de::{Error, IgnoredAny, MapAccess, Visitor},
};
use serde_json::{Map, Value, value::RawValue};
use std::{borrow::Cow, fmt};

/// Attributes as they were told, by name.
#[derive(Default)]
struct Attributes<'a> {
    all: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// The data's JSON; empty without any.
    data: &'a str,
}

/// Those that say something of the event themselves.
const KNOWN: [&str; 10] = [
    "id",
    "source",
    "specversion",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
    "severitytext",
    "severitynumber",
];

/// One event.
///
/// # Errors
/// Where an attribute that is required is missing, the version is not 1, or the data has an error under a name that the
/// canonical event knows.
pub fn decode(message: &Message<'_>, context: &Context<'_>) -> Result<Event, Rejection> {
    if !message.headers.iter().any(|(name, _)| attribute(name).is_some()) {
        let text = text_of(message.bytes, EVENT_BYTES_MAX)?;
        let attributes = structured(text)?;
        return event(&attributes, text, Cleaner::of(text), context);
    }
    let mut attributes = binary(message.headers)?;
    // Bytes that are no text say nothing that Quell could read.
    attributes.data = text_of(message.bytes, EVENT_BYTES_MAX).or_else(|rejection| match message.bytes.len() {
        ..=EVENT_BYTES_MAX => Ok(""),
        _ => Err(rejection),
    })?;
    let text;
    let json = match attributes.data.trim_ascii_start().as_bytes().first() {
        Some(b'{') => attributes.data,
        None => "",
        // A text; in JSON it has quotes.
        Some(_) => {
            text = Value::from(attributes.data).to_string();
            &text
        }
    };
    let document = document(&attributes, json)?;
    let attributes = Attributes { all: attributes.all, data: json };
    event(&attributes, &document, Cleaner::careful(), context)
}

/// The attribute of a header.
fn attribute(header: &str) -> Option<&str> {
    header.strip_prefix("ce_").or_else(|| header.strip_prefix("ce-")).filter(|name| !name.is_empty())
}

fn binary(headers: &[(String, Vec<u8>)]) -> Result<Attributes<'_>, Rejection> {
    let mut all: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::new();
    for (name, value) in headers {
        let Some(attribute) = attribute(name) else { continue };
        let value = std::str::from_utf8(value).map_err(|_| Rejection::new(format_args!("{name}: not UTF-8")))?;
        // In HTTP what is not ASCII is written in hexadecimal digits (the HTTP binding, section 3.1.3.2).
        let value = if name.starts_with("ce-") { percent_decoded(value) } else { Cow::Borrowed(value) };
        if all.iter().any(|(known, _)| known == attribute) {
            return Err(Rejection::new(format_args!("{name}: stands twice")));
        }
        all.push((attribute.into(), value));
    }
    Ok(Attributes { all, data: "" })
}

fn percent_decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok()).filter(|_| *first == b'%');
        let decoded = digits.filter(|hex| !hex.starts_with('+')).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(decoded.unwrap_or(*first));
        rest = if decoded.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned().into()
}

fn structured(text: &str) -> Result<Attributes<'_>, Rejection> {
    let (mut attributes, mut at) = (Attributes::default(), None);
    let mut json = serde_json::Deserializer::from_str(text);
    let read = json.deserialize_map(Read { attributes: &mut attributes, at: &mut at }).and_then(|()| json.end());
    read.map_err(|error| explain(&error, at.as_deref()))?;
    Ok(attributes)
}

struct Read<'r, 'de> {
    attributes: &'r mut Attributes<'de>,
    at: &'r mut Option<String>,
}

impl<'de> Visitor<'de> for Read<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a CloudEvent, a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let all = &mut self.attributes.all;
        while let Some(key) = map.next_key_seed(Text)? {
            if all.iter().any(|(known, _)| *known == key) || (key == "data" && !self.attributes.data.is_empty()) {
                *self.at = Some(key.into_owned());
                return Err(A::Error::custom("stands twice"));
            }
            match &*key {
                "data" => self.attributes.data = map.next_value::<&'de RawValue>()?.get(),
                "data_base64" => _ = map.next_value::<IgnoredAny>()?,
                _ => {
                    *self.at = Some(key.clone().into_owned());
                    if let Some(value) = map.next_value_seed(Scalar { label: None })? {
                        all.push((key, value));
                    }
                    *self.at = None;
                }
            }
        }
        Ok(())
    }
}

/// What a mapping's paths lead into, where the attributes came in headers.
fn document(attributes: &Attributes<'_>, data: &str) -> Result<String, Rejection> {
    let mut members: Map<String, Value> =
        attributes.all.iter().map(|(name, value)| (name.to_string(), Value::from(&**value))).collect();
    if !data.is_empty() {
        let data = serde_json::from_str(data).map_err(|error| explain(&error, Some("data")))?;
        members.insert("data".to_owned(), data);
    }
    Ok(Value::Object(members).to_string())
}

fn event(
    attributes: &Attributes<'_>,
    document: &str,
    cleaner: Cleaner,
    context: &Context<'_>,
) -> Result<Event, Rejection> {
    let get = |name: &str| {
        let found = attributes.all.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.as_ref()).trim()
    };
    for name in ["specversion", "id", "source", "type"] {
        if get(name).is_empty() {
            return Err(Rejection::new(format_args!("{name}: missing, and a CloudEvent must have it")));
        }
    }
    let version = get("specversion");
    if !version.starts_with("1.") {
        return Err(Rejection::new(format_args!("specversion: `{version}` is not known, write 1.0")));
    }
    let mut draft = match attributes.data.trim_ascii_start().as_bytes().first() {
        Some(b'{') => canonical::read(attributes.data, cleaner)
            .map_err(|rejection| Rejection::new(format_args!("data: {rejection}")))?,
        Some(b'"') => {
            let text: String = serde_json::from_str(attributes.data).map_err(|error| explain(&error, Some("data")))?;
            Draft { summary: text.into(), ..Draft::default() }
        }
        _ => Draft::default(),
    };
    draft.id = get("id").to_owned().into();
    draft.origin = get("source").to_owned().into();
    let fill = |place: &mut Cow<'_, str>, names: &[&str]| {
        if place.trim_ascii().is_empty()
            && let Some(value) = names.iter().map(|name| get(name)).find(|value| !value.is_empty())
        {
            *place = cut_apart(value.to_owned(), TEXT_BYTES_MAX).into();
        }
    };
    fill(&mut draft.entity, &["subject", "source"]);
    fill(&mut draft.check, &["type"]);
    fill(&mut draft.severity, &["severitytext"]);
    if draft.severity.trim_ascii().is_empty() && !get("severitynumber").is_empty() {
        draft.severity = open_telemetry(get("severitynumber")).into();
    }
    if draft.time.is_none() {
        draft.time = match get("time") {
            "" => Some(context.arrival),
            text => Some(rfc3339(text).map_err(|fault| Rejection::new(format_args!("time: {fault} ({text})")))?),
        };
    }
    extensions(attributes, &mut draft).map_err(|reason| Rejection::new(format_args!("labels: {reason}")))?;
    context.mapping.fill(&mut draft, document)?;
    finish(draft, cleaner, context)
}

/// Extension attributes become labels.
fn extensions(attributes: &Attributes<'_>, draft: &mut Draft<'_>) -> Result<(), String> {
    for (name, value) in &attributes.all {
        if KNOWN.contains(&name.as_ref()) || draft.labels.iter().any(|(key, _)| key == name) {
            continue;
        }
        let key = label_key(name.as_ref().into(), Cleaner::careful())?;
        draft.labels.push((key, cut_apart(super::text::clean(value.as_ref().into()), LABEL_VALUE_BYTES_MAX)));
    }
    settle(&mut draft.labels)
}

/// The word for a number of OpenTelemetry's scale
/// (<https://opentelemetry.io/docs/specs/otel/logs/data-model/#field-severitynumber>); 15 and 16 are the upper half of
/// its warnings.
fn open_telemetry(number: &str) -> String {
    match number.parse::<u8>() {
        Ok(1..=12) => "info",
        Ok(13..=14) => "warning",
        Ok(15..=16) => "minor",
        Ok(17..=20) => "major",
        Ok(21..=24) => "critical",
        // 0 is "not said".
        Ok(0) => "",
        _ => number,
    }
    .to_owned()
}

#[cfg(test)]
mod tests;
