//! Events by HTTP: taken apart, decoded each for itself, and answered when the journal has them, durably.
use super::Doors;
use crate::{
    ingest::Part,
    serve::{
        door::{Counts, Later},
        errors::RETRY,
        grpc::encode_position,
    },
};
use axum::{
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use quell_connectors::decode::{
    self, Format, Mapping,
    body::{self, Element},
};
use quell_core::domain::policy::Clock;
use serde::Serialize;
use serde_json::{Value, json};

/// Of one request so many that were refused are dead-lettered each for itself; the rest is counted in one more, so that
/// a body of commas does not become a flood of letters.
const LETTERS_MAX: usize = 1_000;

/// How a body holds events.
#[derive(Clone, Copy)]
enum Framing<'h> {
    /// The whole of it is the format's business.
    Whole,
    /// One object, an array or lines, by the content type and its look.
    Split(Option<&'h str>),
}

type Body = Result<Bytes, BytesRejection>;

/// The answer to events.
#[derive(Debug, Serialize)]
struct Answer {
    /// Events that are in the journal, durably.
    accepted: usize,
    rejected: Vec<Refused>,
    /// For `min_position` of reads.
    #[serde(skip_serializing_if = "String::is_empty")]
    position: String,
}

#[derive(Debug, Serialize)]
struct Refused {
    /// From 0, in the order they were sent.
    index: usize,
    reason: String,
}

/// The schema of the answer, for the description.
pub fn answer_schema() -> Value {
    json!({"type": "object", "required": ["accepted", "rejected"], "additionalProperties": false, "properties": {
        "accepted": {"type": "integer", "minimum": 0, "description": "Events that are in the journal, durably."},
        "rejected": {"type": "array", "items": {
            "type": "object",
            "required": ["index", "reason"],
            "additionalProperties": false,
            "properties": {
                "index": {"type": "integer", "minimum": 0, "description": "From 0, in the order they were sent."},
                "reason": {"type": "string", "description": "Begins with the field's name where it is about one."},
            },
        }},
        "position": {"type": "string", "description": "For `minPosition` of reads; left out where nothing was taken."},
    }})
}

/// One event, an array or NDJSON.
pub async fn canonical(State(doors): State<Doors>, headers: HeaderMap, body: Body) -> Response {
    take(&doors, Format::Canonical, body, &[], Framing::Split(content_type(&headers))).await
}

/// A group of Alertmanager's webhook, or the array that Prometheus sends.
pub async fn alertmanager(State(doors): State<Doors>, body: Body) -> Response {
    take(&doors, Format::Alertmanager, body, &[], Framing::Whole).await
}

/// An event in structured or binary mode, or a batch.
pub async fn cloudevents(State(doors): State<Doors>, headers: HeaderMap, body: Body) -> Response {
    let attributes = headers.iter().filter(|(name, _)| name.as_str().starts_with("ce-"));
    let attributes: Vec<_> =
        attributes.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect();
    let structured = content_type(&headers).is_some_and(|name| name.starts_with("application/cloudevents"));
    let attributes = if structured { Vec::new() } else { attributes };
    let framing = if attributes.is_empty() { Framing::Split(content_type(&headers)) } else { Framing::Whole };
    take(&doors, Format::CloudEvents, body, &attributes, framing).await
}

/// Any JSON: an object, an array or NDJSON, as the source's mapping has it.
pub async fn json(State(doors): State<Doors>, headers: HeaderMap, body: Body) -> Response {
    if !doors.mappings.contains_key(&Format::Json) {
        let reason = "this door needs a [[source]] with kind = \"http\", format = \"json\" and fields";
        return refuse(StatusCode::NOT_FOUND, reason.to_owned());
    }
    take(&doors, Format::Json, body, &[], Framing::Split(content_type(&headers))).await
}

fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok())
}

async fn take(
    doors: &Doors,
    format: Format,
    body: Body,
    headers: &[(String, Vec<u8>)],
    framing: Framing<'_>,
) -> Response {
    let door = &doors.api.door;
    let body = match body {
        Ok(body) => body,
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            Counts::add(&door.too_large, 1);
            return refuse(rejection.status(), format!("{}: server.body_max is the limit", rejection.body_text()));
        }
        Err(rejection) => return refuse(rejection.status(), rejection.body_text()),
    };
    let elements: Vec<Element<'_>> = match framing {
        Framing::Whole => vec![Ok(&body[..])],
        Framing::Split(content_type) => {
            body::split(&body, content_type).unwrap_or_else(|rejection| vec![Err(rejection)])
        }
    };
    let (parts, accepted, rejected) = decode_all(doors, format, elements, headers);
    let positions = match door.append(&doors.api.shared, parts).await {
        Ok(positions) => positions,
        Err(error) => {
            Counts::add(&door.http.unavailable, accepted);
            return later(&error);
        }
    };
    Counts::add(&door.http.taken, accepted);
    Counts::add(&door.http.refused, rejected.len());
    let status = match (accepted, rejected.len()) {
        (_, 0) => StatusCode::OK,
        (0, _) => StatusCode::BAD_REQUEST,
        _ => StatusCode::MULTI_STATUS,
    };
    (status, axum::Json(Answer { accepted, rejected, position: encode_position(&positions) })).into_response()
}

/// What goes to the journal, how much of it is events, and what is answered of the rest.
fn decode_all(
    doors: &Doors,
    format: Format,
    elements: Vec<Element<'_>>,
    headers: &[(String, Vec<u8>)],
) -> (Vec<Part>, usize, Vec<Refused>) {
    let shared = &doors.api.shared;
    let (arrival, plain) = (shared.outside.now(), Mapping::default());
    let request = format!("http/{:016x}", shared.outside.random());
    let (mut parts, mut accepted, mut rejected) = (Vec::new(), 0, Vec::new());
    let mut index = 0;
    let mut sink = |bytes: &[u8], told: Result<_, decode::Rejection>| {
        match &told {
            Ok(_) => accepted += 1,
            Err(rejection) => rejected.push(Refused { index, reason: rejection.reason.clone() }),
        }
        index += 1;
        if told.is_ok() || rejected.len() <= LETTERS_MAX {
            parts.push(Part::of(told, bytes, (0, 0), arrival));
        }
    };
    for (n, element) in (0..).zip(elements) {
        let context = decode::Context {
            arrival,
            // Of the element in the request: an id that is made of the place differs from its neighbours'.
            offset: n,
            check_wall: shared.clock == Clock::Wall,
            mapping: doors.mappings.get(&format).unwrap_or(&plain),
            default_origin: "http",
        };
        match element {
            Ok(bytes) => {
                let message = decode::Message { bytes, headers, source: &request };
                decode::each(format, &message, &context, &mut sink);
            }
            Err(rejection) => sink(b"", Err(rejection)),
        }
    }
    if let Some(more) = rejected.len().checked_sub(LETTERS_MAX).filter(|more| *more > 0) {
        let reason = decode::Rejection::new(format_args!("{more} more of the same request were refused"));
        parts.push(Part::of(Err(reason), b"", (0, 0), arrival));
    }
    (parts, accepted, rejected)
}

/// It has to be sent again.
pub(super) fn later(why: &Later) -> Response {
    let reason = format!("not taken: {why}; send it again, with the same ids");
    let mut response = refuse(StatusCode::SERVICE_UNAVAILABLE, reason);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY.as_secs()));
    response
}

pub(super) fn refuse(status: StatusCode, reason: String) -> Response {
    let answer = Answer { accepted: 0, rejected: vec![Refused { index: 0, reason }], position: String::new() };
    (status, axum::Json(answer)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_schema_is_the_answers() {
        let refused = vec![Refused { index: 0, reason: "time: missing".to_owned() }];
        let answer = Answer { accepted: 1, rejected: refused, position: "0:1".to_owned() };
        let answer = serde_json::to_value(answer).expect("JSON");
        let keys = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<BTreeSet<_>>();
        let schema = answer_schema();
        assert_eq!(keys(&answer), keys(&schema["properties"]));
        let of_one = &schema["properties"]["rejected"]["items"]["properties"];
        assert_eq!(keys(&answer["rejected"][0]), keys(of_one));
    }
}
