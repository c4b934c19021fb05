//! The HTTP doors: events in, liveness, metrics.
use super::{door::Later, grpc::Api};
use axum::{
    Router,
    body::HttpBody,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use doors::{Door, PLACES};
use quell_connectors::decode::{Format, Mapping};
use std::{collections::BTreeMap, sync::Arc};

pub mod doors;
mod events;
pub use events::answer_schema;

/// What the doors share.
#[derive(Clone)]
pub struct Doors {
    pub api: Api,
    /// By format; a door without one takes events as they are.
    pub mappings: Arc<BTreeMap<Format, Mapping>>,
    /// The page of `/metrics`.
    pub metrics: Arc<dyn Fn() -> Result<String, String> + Send + Sync>,
}

/// The routes.
pub fn router(doors: Doors) -> Router {
    let body_max = doors.api.door.limits.body_max;
    let (mut events, mut others) = (Router::new(), Router::new().route("/", get(|| async { doors::page() })));
    for place in &PLACES {
        match place.door {
            Door::Events(format) => events = events.route(place.path, takes(format)),
            Door::Live => others = others.route(place.path, get(|| async { "live\n" })),
            Door::Ready => others = others.route(place.path, get(ready)),
            Door::Metrics => others = others.route(place.path, get(metrics)),
        }
    }
    let events = events
        .layer(DefaultBodyLimit::max(body_max))
        .route_layer(middleware::from_fn_with_state(doors.clone(), with_room));
    others.merge(events).with_state(doors)
}

fn takes(format: Format) -> MethodRouter<Doors> {
    match format {
        Format::Canonical => post(events::canonical),
        Format::Alertmanager => post(events::alertmanager),
        Format::CloudEvents => post(events::cloudevents),
        Format::Json => post(events::json),
    }
}

/// Why a body that is compressed is refused: a few bytes could become any number.
pub(super) const ENCODED: &str = "content-encoding: only identity is taken; send the body as it is";

/// Whether a body is compressed.
pub(super) fn is_encoded(headers: &HeaderMap) -> bool {
    headers.get_all(header::CONTENT_ENCODING).iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// A body has its room before it is read, and its answer in time: who sends a byte a minute would hold the room.
async fn with_room(State(doors): State<Doors>, request: Request, next: Next) -> Response {
    if is_encoded(request.headers()) {
        return events::refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, ENCODED.to_owned());
    }
    let door = &doors.api.door;
    // One that does not say how long it is may be as long as any.
    let bytes = HttpBody::size_hint(request.body()).exact().and_then(|bytes| usize::try_from(bytes).ok());
    let _room = match door.enter(bytes.unwrap_or(usize::MAX)) {
        Ok(room) => room,
        Err(later) => return events::later(&later),
    };
    match tokio::time::timeout(door.limits.request_max, next.run(request)).await {
        Ok(response) => response,
        Err(_) => events::later(&door.count(Later::Slow)),
    }
}

async fn ready(State(doors): State<Doors>) -> Response {
    let progress = &doors.api.shared.progress;
    if let Some(why) = progress.stopped() {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response();
    }
    if progress.is_ready() && !doors.api.stop.is_requested() {
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
