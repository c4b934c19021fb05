//! The doors beside the API: events in, liveness, metrics.
use super::schema::Schemas;
use crate::serve::http::{
    answer_schema,
    doors::{Door, PLACES, Place},
};
use axum::http::StatusCode;
use quell_connectors::decode::{Format, manual};
use serde_json::{Map, Value, json};

/// What a door that takes events answers, and when.
const ANSWERS: [(StatusCode, &str); 6] = [
    (StatusCode::OK, "All are in the journal, synced."),
    (StatusCode::MULTI_STATUS, "Some are in the journal; `rejected` has the others, each with its index and why."),
    (StatusCode::BAD_REQUEST, "None was taken, each for its reason."),
    (StatusCode::PAYLOAD_TOO_LARGE, "The body is larger than `server.body_max`."),
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body is compressed: send it as it is."),
    (
        StatusCode::SERVICE_UNAVAILABLE,
        "Nothing was taken: send all of it again, with the same ids, after `Retry-After`.",
    ),
];

/// Describes them.
pub fn add(paths: &mut Map<String, Value>, schemas: &mut Schemas) {
    let (event, answer) = (schemas.add("Event", event()), schemas.add("EventsAnswer", answer_schema()));
    for place in &PLACES {
        let item = match place.door {
            Door::Events(format) => json!({"post": takes(place, format, &event, &answer)}),
            Door::Live => json!({"get": tells(place, &[(StatusCode::OK, "It does.")])}),
            Door::Ready => json!({"get": tells(place, &[
                (StatusCode::OK, "They are."),
                (StatusCode::SERVICE_UNAVAILABLE, "Not yet, or one has stopped: why."),
            ])}),
            Door::Metrics => json!({"get": tells(place, &[
                (StatusCode::OK, "Prometheus' text format, 0.0.4."),
                (StatusCode::INTERNAL_SERVER_ERROR, "They can't be gathered: why."),
            ])}),
        };
        paths.insert(place.path.to_owned(), item);
    }
}

fn takes(place: &Place, format: Format, event: &Value, answer: &Value) -> Value {
    let json = |schema: &Value| json!({"schema": schema});
    let one_or_many = |one: &Value| json(&json!({"oneOf": [one, {"type": "array", "items": one}]}));
    let any = json!({"type": "object"});
    let content = match format {
        Format::Canonical => json!({"application/json": one_or_many(event), "application/x-ndjson": json(event)}),
        Format::Alertmanager => {
            let group = json!({"type": "object", "required": ["alerts"], "properties": {
                "alerts": {"type": "array", "items": any},
                "externalURL": {"type": "string"},
            }});
            json!({"application/json": json(&json!({"oneOf": [group, {"type": "array", "items": any}]}))})
        }
        Format::CloudEvents => json!({
            "application/cloudevents+json": json(&any),
            "application/cloudevents-batch+json": json(&json!({"type": "array", "items": any})),
            "*/*": json(&json!({"description": "The data, where headers `ce-…` hold the attributes."})),
        }),
        Format::Json => json!({"application/json": one_or_many(&any), "application/x-ndjson": json(&any)}),
    };
    let responses: Map<String, Value> = ANSWERS
        .into_iter()
        .chain((format == Format::Json).then_some((StatusCode::NOT_FOUND, "No `[[source]]` says how it is read.")))
        .map(|(status, when)| {
            let mut response = json!({"description": when, "content": {"application/json": json(answer)}});
            if status == StatusCode::SERVICE_UNAVAILABLE {
                response["headers"] =
                    json!({"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}});
            }
            (status.as_str().to_owned(), response)
        })
        .collect();
    json!({
        "operationId": place.id,
        "tags": ["events"],
        "description": format!("Takes {}. connectors/EVENTS.md says what becomes of each field.", place.what),
        "parameters": [],
        "requestBody": {"required": true, "content": content},
        "responses": responses,
    })
}

/// A text for a question without parameters.
fn tells(place: &Place, answers: &[(StatusCode, &str)]) -> Value {
    let one = |(status, when): &(StatusCode, &str)| {
        let text = json!({"text/plain": {"schema": {"type": "string"}}});
        (status.as_str().to_owned(), json!({"description": when, "content": text}))
    };
    json!({
        "operationId": place.id,
        "tags": ["process"],
        "description": format!("Tells {}.", place.what),
        "parameters": [],
        "responses": answers.iter().map(one).collect::<Map<_, _>>(),
    })
}

/// The canonical event, by the manual's table.
fn event() -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for row in manual::fields() {
        let mut schema = match row.kind {
            "number" => json!({"type": ["number", "null"]}),
            "time" => json!({"anyOf": [{"type": "string", "format": "date-time"}, {"type": ["integer", "null"]}]}),
            "labels" => {
                let value = json!({"type": ["string", "number", "boolean", "null"]});
                json!({"type": ["object", "null"], "additionalProperties": value})
            }
            "word or number" => json!({"type": ["string", "number", "boolean", "null"]}),
            _ => json!({"type": ["string", "null"]}),
        };
        schema["description"] = format!("{} Without it: {}.", row.is, row.without).into();
        if row.without == "refused" {
            required.push(row.field);
        }
        properties.insert(row.field.to_owned(), schema);
    }
    json!({
        "type": "object",
        "description": "One event. Fields that are not known are left out.",
        "required": required,
        "properties": properties,
    })
}
