//! The gRPC API as REST and JSON: transcoded by the `google.api.http` options of the proto files, so that a method is
//! written once (<https://google.aip.dev/127>).
mod binding;
mod call;
mod openapi;
mod problem;
mod request;
mod template;

use super::http::{ENCODED, is_encoded};
use anyhow::Context as _;
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Query, Request},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use binding::{Binding, bindings, find};
use call::{Beside, call};
use futures::StreamExt as _;
use problem::Problem;
use prost_reflect::DescriptorPool;
use quell_proto::DESCRIPTORS;
use std::sync::Arc;
use tonic::{Code, service::Routes};
use tower_service::Service as _;

/// Where the description is.
pub const OPENAPI: &str = "/api/v1/openapi.json";

/// What answers requests.
struct Rest {
    bindings: Vec<Binding>,
    /// The services, in this process.
    grpc: Routes,
    body_max: usize,
}

/// The description of all of it (OpenAPI 3.1).
///
/// # Errors
/// Where the descriptors can't be read: a defect of the build.
pub fn description() -> anyhow::Result<serde_json::Value> {
    let pool = DescriptorPool::decode(DESCRIPTORS).context("the descriptor set")?;
    Ok(openapi::document(&pool, &bindings(&pool)?))
}

/// The routes: the description, and everything that nothing else answers.
///
/// # Errors
/// Where the descriptors can't be read: a defect of the build.
pub fn router(grpc: Routes, body_max: usize) -> anyhow::Result<Router> {
    let pool = DescriptorPool::decode(DESCRIPTORS).context("the descriptor set")?;
    let bindings = bindings(&pool)?;
    let description = Bytes::from(openapi::document(&pool, &bindings).to_string());
    let described = move || async move { ([(header::CONTENT_TYPE, "application/json")], description) };
    let rest = Arc::new(Rest { bindings, grpc, body_max });
    let answer = move |request: Request| {
        let rest = rest.clone();
        async move { rest.answer(request).await }
    };
    Ok(Router::new().route(OPENAPI, get(described)).fallback(answer))
}

impl Rest {
    async fn answer(&self, request: Request) -> Response {
        let is_grpc = request.headers().get(header::CONTENT_TYPE);
        if is_grpc.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc")) {
            // An unknown service: refused as gRPC refuses.
            let Ok(response) = self.grpc.clone().call(request).await;
            return response.map(Body::new);
        }
        self.try_answer(request).await.unwrap_or_else(IntoResponse::into_response)
    }

    async fn try_answer(&self, request: Request) -> Result<Response, Problem> {
        let (parts, body) = request.into_parts();
        let (binding, path) = find(&self.bindings, &parts.method, parts.uri.path())?;
        if !parts.method.is_safe() {
            not_from_elsewhere(&parts.headers)?;
        }
        if is_encoded(&parts.headers) {
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::InvalidArgument, ENCODED.to_owned()));
        }
        let query: Query<Vec<(String, String)>> =
            Query::try_from_uri(&parts.uri).map_err(|error| Problem::invalid(format!("the query: {error}")))?;
        let body = match binding.body {
            binding::Body::Nothing => Bytes::new(),
            _ => self.read(body).await?,
        };
        let message = request::message(binding, path, &query, &body)?;
        let beside = Beside { headers: parts.headers, extensions: parts.extensions };
        call(self.grpc.clone(), &binding.method, message, beside).await
    }

    async fn read(&self, body: Body) -> Result<Bytes, Problem> {
        let (mut whole, mut chunks) = (Vec::new(), body.into_data_stream());
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| Problem::invalid(format!("the body broke off: {error}")))?;
            if whole.len() + chunk.len() > self.body_max {
                let message = format!("the body is larger than server.body_max, {} bytes", self.body_max);
                return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, Code::InvalidArgument, message));
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.into())
    }
}

/// A page of another site that an operator looks at must not command what listens on the operator's loopback: browsers
/// say where a request comes from, other clients do not
/// (as Go's `http.CrossOriginProtection`, <https://words.filippo.io/csrf>).
fn not_from_elsewhere(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name| headers.get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
    let own = match (text(header::HeaderName::from_static("sec-fetch-site")), text(header::ORIGIN)) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => origin.split_once("://").map(|(_, host)| host) == text(header::HOST),
        (None, None) => true,
    };
    if own {
        return Ok(());
    }
    Err(Problem::new(StatusCode::FORBIDDEN, Code::PermissionDenied, "a page of another site may not ask for this"))
}
