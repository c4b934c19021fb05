//! Standard codes with details that programs can read: which field, why, and when to try again
//! (<https://google.aip.dev/193>).
use std::{collections::HashMap, fmt::Display, time::Duration};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

const DOMAIN: &str = "quell";
/// After it a client tries again: a recovery or a broker's change of leader takes about so long.
pub const RETRY: Duration = Duration::from_secs(1);

/// `INVALID_ARGUMENT`: what of which field is not well formed.
pub fn invalid(field: &str, description: impl Display) -> Status {
    let description = description.to_string();
    let message = format!("{field}: {description}");
    let details = ErrorDetails::with_bad_request_violation(field, description);
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// A refusal with a reason in `UPPER_SNAKE_CASE`, which stays the same while the message may change.
pub fn refused(code: Code, reason: &str, message: impl Into<String>) -> Status {
    Status::with_error_details(code, message, info(reason))
}

/// `NOT_FOUND`.
pub fn not_found(what: &str, name: &str) -> Status {
    refused(Code::NotFound, "NOT_FOUND", format!("there is no {what} {name}"))
}

/// `NOT_FOUND`, and why it may have been there.
pub fn no_alert(name: &str) -> Status {
    let kept = "one that has cleared is kept for deduplicate.reopen_window; its incident keeps what it was";
    refused(Code::NotFound, "NOT_FOUND", format!("there is no alert {name}: {kept}"))
}

/// `UNAVAILABLE`: the same may succeed soon.
pub fn unavailable(error: impl Display) -> Status {
    later(Code::Unavailable, "UNAVAILABLE", error)
}

/// `RESOURCE_EXHAUSTED`: the same may succeed when others let go.
pub fn exhausted(reason: &str, message: impl Display) -> Status {
    later(Code::ResourceExhausted, reason, message)
}

fn later(code: Code, reason: &str, message: impl Display) -> Status {
    let mut details = info(reason);
    details.set_retry_info(Some(RETRY));
    Status::with_error_details(code, message.to_string(), details)
}

fn info(reason: &str) -> ErrorDetails {
    ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_say_what_a_program_needs() {
        let status = invalid("filter", "at character 3: a value is expected");
        assert_eq!(
            (status.code(), status.message()),
            (Code::InvalidArgument, "filter: at character 3: a value is expected")
        );
        let violations = status.get_details_bad_request().map(|bad| bad.field_violations).unwrap_or_default();
        assert_eq!(violations.first().map(|v| v.field.as_str()), Some("filter"));

        let status = exhausted("FEEDS_MAX", "too many");
        let info = status.get_details_error_info().expect("info");
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("FEEDS_MAX", "quell"));
        assert_eq!(status.get_details_retry_info().and_then(|retry| retry.retry_delay), Some(RETRY));
        assert!(refused(Code::Aborted, "ETAG", "it has changed").get_details_retry_info().is_none());
    }
}
