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
mod tests {
    use super::*;
    use crate::decode::Mapping;
    use quell_core::domain::{
        event::{Kind, Status},
        severity::Severity,
        time::Timestamp,
    };

    const ARRIVAL: Timestamp = Timestamp(1_760_000_020_000);

    fn read(headers: &[(&str, &str)], bytes: &str, mapping: &Mapping) -> Result<Event, Rejection> {
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
        let context = Context { arrival: ARRIVAL, offset: 1, check_wall: true, mapping, default_origin: "topic" };
        decode(&Message { bytes: bytes.as_bytes(), headers: &headers, source: "topic/0#0" }, &context)
    }

    fn structured(more: &str) -> Result<Event, Rejection> {
        let text =
            format!(r#"{{"specversion":"1.0","id":"A-1","source":"/sensors/7","type":"com.example.hot"{more}}}"#);
        read(&[], &text, &Mapping::default())
    }

    #[test]
    fn attributes_fill_what_the_data_lacks() {
        let bare = structured("").expect("valid");
        assert_eq!((bare.id.as_str(), bare.origin.as_str()), ("A-1", "/sensors/7"));
        assert_eq!((bare.entity.as_str(), bare.check.as_str()), ("/sensors/7", "com.example.hot"));
        assert_eq!(
            (bare.time, bare.status, bare.severity, bare.kind),
            (ARRIVAL, Status::Firing, Severity::Warning, Kind::Alert)
        );
        let told = structured(
            r#","subject":"rack-4","time":"2025-10-09T08:53:34.556Z","severitynumber":17,"region":"eu","datacontenttype":"application/json",
            "data":{"entity":"probe-2","summary":"40 °C","value":40,"labels":{"region":"us","row":"b"},"started_at":1760000000000}"#,
        )
        .expect("valid");
        assert_eq!(
            (told.entity.as_str(), told.check.as_str(), told.summary.as_str()),
            ("probe-2", "com.example.hot", "40 °C")
        );
        assert_eq!((told.time, told.value, told.severity), (Timestamp(1_760_000_014_556), Some(40.0), Severity::Major));
        assert_eq!(told.labels, [("region".to_owned(), "us".to_owned()), ("row".to_owned(), "b".to_owned())]);
        let subject =
            structured(r#","subject":"rack-4","data":"it is \u0007 hot","traceparent":"00-ab""#).expect("valid");
        assert_eq!((subject.entity.as_str(), subject.summary.as_str()), ("rack-4", "it is \u{fffd} hot"));
        assert_eq!(subject.labels, [("traceparent".to_owned(), "00-ab".to_owned())]);
    }

    #[test]
    fn binary_and_structured_are_one_event() {
        let data = r#"{"severity":"major","summary":"hot"}"#;
        let mapping = Mapping::default();
        let attributes = |p: &str| ["specversion", "id", "source", "type", "subject"].map(|name| format!("{p}{name}"));
        let values = ["1.0", "A-1", "/sensors/7", "com.example.hot", "rack-4"];
        let expected = structured(&format!(r#","subject":"rack-4","data":{data}"#)).expect("valid");
        for prefix in ["ce_", "ce-"] {
            let names = attributes(prefix);
            let headers: Vec<_> = names.iter().map(String::as_str).zip(values).collect();
            assert_eq!(read(&headers, data, &mapping).as_ref(), Ok(&expected), "{prefix}");
        }
        let headers = [("ce-specversion", "1.0"), ("ce-id", "%C3%BC%2"), ("ce-source", "/s"), ("ce-type", "t")];
        let event = read(&headers, "plain words", &mapping).expect("valid");
        assert_eq!((event.id.as_str(), event.summary.as_str()), ("ü%2", "plain words"));
        assert!(read(&headers[..3], "", &mapping).expect_err("no type").reason.starts_with("type: missing"));
        let twice = [headers[0], headers[0]];
        assert_eq!(read(&twice, "", &mapping).expect_err("twice").reason, "ce-specversion: stands twice");
    }

    #[test]
    fn what_is_required_is_asked_for() {
        for (bytes, reason) in [
            (r#"{"id":"1","source":"s","type":"t"}"#, "specversion: missing"),
            (r#"{"id":"1","source":"s","type":"t","specversion":"0.3"}"#, "specversion: `0.3` is not known, write 1.0"),
            (r#"{"id":" ","source":"s","type":"t","specversion":"1.0"}"#, "id: missing"),
            (r#"{"id":"1","type":"t","specversion":"1.0"}"#, "source: missing"),
            (r#"{"id":{},"source":"s","type":"t","specversion":"1.0"}"#, "id: an object, where a text belongs"),
            (r#"{"id":"1","id":"2"}"#, "id: stands twice"),
            (
                r#"{"id":"1","source":"s","type":"t","specversion":"1.0","data":{"value":"x"}}"#,
                "data: value: invalid type",
            ),
            (r#"{"id":"1","source":"s","type":"t","specversion":"1.0","time":"yesterday"}"#, "time: not RFC 3339"),
        ] {
            let rejection = read(&[], bytes, &Mapping::default()).expect_err(bytes);
            assert!(rejection.reason.starts_with(reason), "{rejection}\n  instead of {reason}");
        }
        assert!(structured(r#","specversion":"1.0.2""#).is_err());
    }

    #[test]
    fn severity_numbers_are_open_telemetrys() {
        let of = |number: &str| structured(&format!(r#","severitynumber":{number}"#)).expect(number).severity;
        let all = ["0", "1", "9", "13", "15", "17", "21", "24", "99"].map(of);
        let (info, warning) = (Severity::Info, Severity::Warning);
        let expected = [
            warning,
            info,
            info,
            warning,
            Severity::Minor,
            Severity::Major,
            Severity::Critical,
            Severity::Critical,
            warning,
        ];
        assert_eq!(all, expected);
        let text = structured(r#","severitytext":"FATAL","severitynumber":9"#).expect("valid");
        assert_eq!(text.severity, Severity::Critical);
    }

    #[test]
    fn a_mapping_reaches_into_the_data() {
        let mapping: Mapping = serde_json::from_str(r#"{"fields": {"entity": "data.host.name"}}"#).expect("valid");
        let data = r#"{"host":{"name":"db-07"}}"#;
        let text = format!(r#"{{"specversion":"1.0","id":"1","source":"s","type":"t","data":{data}}}"#);
        assert_eq!(read(&[], &text, &mapping).expect("valid").entity, "db-07");
        let headers = [("ce_specversion", "1.0"), ("ce_id", "1"), ("ce_source", "s"), ("ce_type", "t")];
        assert_eq!(read(&headers, data, &mapping).expect("valid").entity, "db-07");
    }
}
