//! Errors as every door of the API says them (<https://google.aip.dev/193>).
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// A refusal or a failure.
#[derive(Clone, Debug)]
pub struct Problem {
    /// HTTP's code.
    pub status: StatusCode,
    /// gRPC's, by name.
    pub code: Code,
    pub message: String,
    /// As gRPC has them: which field, why, when to try again.
    pub details: Vec<Value>,
    /// Methods that there are at this path.
    pub allow: Option<String>,
}

impl Problem {
    /// The caller's to mend.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::InvalidArgument, message)
    }

    /// With codes of both.
    pub fn new(status: StatusCode, code: Code, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), details: Vec::new(), allow: None }
    }

    /// The body.
    pub fn body(&self) -> Value {
        let (code, status) = (self.status.as_u16(), code_name(self.code));
        json!({"error": {"code": code, "status": status, "message": self.message, "details": self.details}})
    }
}

impl From<Status> for Problem {
    fn from(status: Status) -> Self {
        let problem = Self::new(http_status(status.code()), status.code(), status.message());
        Self { details: details(&status), ..problem }
    }
}

/// The details that Quell gives, in protobuf's JSON form of `google.protobuf.Any`.
fn details(status: &Status) -> Vec<Value> {
    let all = status.get_error_details();
    let mut told = Vec::new();
    if let Some(request) = all.bad_request() {
        let violations = request.field_violations.iter();
        let violations: Vec<_> = violations.map(|v| json!({"field": v.field, "description": v.description})).collect();
        told.push(json!({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations}));
    }
    if let Some(info) = all.error_info() {
        let of =
            json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": info.reason, "domain": info.domain});
        told.push(of);
    }
    if let Some(delay) = all.retry_info().and_then(|retry| retry.retry_delay) {
        let delay = format!("{}s", delay.as_secs_f64());
        told.push(json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}));
    }
    told
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        let headers = response.headers_mut();
        if let Some(allow) = self.allow.as_deref().and_then(|allow| HeaderValue::from_str(allow).ok()) {
            headers.insert(header::ALLOW, allow);
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// HTTP's code of gRPC's, as `google/rpc/code.proto` has it.
fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        // 499: the client closed the request; it has no name in HTTP.
        Code::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
    }
}

/// `NOT_FOUND`
const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
