//! The HTTP doors: events in, liveness, metrics.
use super::grpc::{Api, encode_position};
use crate::ingest;
use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use quell_connectors::decode::{self, Format, Mapping, body};
use quell_core::domain::policy::Clock;
use serde::Serialize;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// What the doors share.
#[derive(Clone)]
pub struct Doors {
    pub api: Api,
    pub mapping: Arc<Mapping>,
    pub counts: Arc<DoorCounts>,
    /// The page of `/metrics`.
    pub metrics: Arc<dyn Fn() -> Result<String, String> + Send + Sync>,
}

/// Events at the HTTP door, by answer.
#[derive(Debug, Default)]
pub struct DoorCounts {
    pub taken: AtomicU64,
    pub refused: AtomicU64,
    pub too_large: AtomicU64,
    pub unavailable: AtomicU64,
}

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

/// The routes.
pub fn router(doors: Doors, body_max: usize) -> Router {
    Router::new()
        .route("/live", get(|| async { "live\n" }))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/api/v1/events", post(events))
        .layer(DefaultBodyLimit::max(body_max))
        .with_state(doors)
}

async fn ready(State(doors): State<Doors>) -> Response {
    let progress = &doors.api.shared.progress;
    if let Some(why) = progress.stopped() {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response();
    }
    if progress.is_ready() && doors.api.views.is_loaded() && !doors.api.stop.is_requested() {
        return "ready\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, "recovering\n").into_response()
}

async fn metrics(State(doors): State<Doors>) -> Response {
    match (doors.metrics)() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error).into_response(),
    }
}

/// One event, an array or NDJSON; answered when the journal has it, durably.
async fn events(
    State(doors): State<Doors>,
    headers: HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(rejection) => {
            DoorCounts::add(&doors.counts.too_large, 1);
            return refuse(rejection.status(), format!("{}: server.body_max is the limit", rejection.body_text()));
        }
    };
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let elements = match body::split(&body, content_type) {
        Ok(elements) => elements,
        Err(rejection) => {
            DoorCounts::add(&doors.counts.refused, 1);
            return refuse(StatusCode::BAD_REQUEST, rejection.reason);
        }
    };
    let (mut taken, mut rejected) = (Vec::new(), Vec::new());
    let context = decode::Context {
        arrival: doors.api.shared.outside.now(),
        offset: 0,
        check_wall: doors.api.shared.clock == Clock::Wall,
        mapping: &doors.mapping,
        default_origin: "http",
    };
    for (index, element) in elements.into_iter().enumerate() {
        match element.and_then(|bytes| decode::decode(Format::Canonical, bytes, &context)) {
            Ok(event) => taken.push(event),
            Err(rejection) => rejected.push(Refused { index, reason: rejection.reason }),
        }
    }
    let accepted = taken.len();
    let positions = match ingest::append_events(&doors.api.shared, taken).await {
        Ok(positions) => positions,
        Err(error) => {
            DoorCounts::add(&doors.counts.unavailable, accepted as u64);
            return refuse(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("the journal did not take them: {error}; send them again, with the same ids"),
            );
        }
    };
    DoorCounts::add(&doors.counts.taken, accepted as u64);
    DoorCounts::add(&doors.counts.refused, rejected.len() as u64);
    let status = match (accepted, rejected.len()) {
        (_, 0) => StatusCode::OK,
        (0, _) => StatusCode::BAD_REQUEST,
        _ => StatusCode::MULTI_STATUS,
    };
    (status, axum::Json(Answer { accepted, rejected, position: encode_position(&positions) })).into_response()
}

fn refuse(status: StatusCode, reason: String) -> Response {
    let answer = Answer { accepted: 0, rejected: vec![Refused { index: 0, reason }], position: String::new() };
    (status, axum::Json(answer)).into_response()
}

impl DoorCounts {
    fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }
}
