//! The HTTP doors: events in, liveness, metrics.
use super::grpc::Api;
use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use quell_connectors::decode::{Format, Mapping};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

mod events;

/// What the doors share.
#[derive(Clone)]
pub struct Doors {
    pub api: Api,
    /// By format; a door without one takes events as they are.
    pub mappings: Arc<BTreeMap<Format, Mapping>>,
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

/// The routes.
pub fn router(doors: Doors, body_max: usize) -> Router {
    Router::new()
        .route("/live", get(|| async { "live\n" }))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/api/v1/events", post(events::canonical))
        .route("/api/v1/alertmanager", post(events::alertmanager))
        // Where Prometheus itself posts to an Alertmanager.
        .route("/api/v2/alerts", post(events::alertmanager))
        .route("/api/v1/cloudevents", post(events::cloudevents))
        .route("/api/v1/json", post(events::json))
        .layer(DefaultBodyLimit::max(body_max))
        .with_state(doors)
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

impl DoorCounts {
    fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }
}
