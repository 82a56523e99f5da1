//! Errors of Google: `google.rpc.Status`, with details that say when to come back.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::{ProviderError, ProviderErrorKind};
use crate::json::Str;

/// Most that a provider may ask us to wait; longer waits say nothing useful.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    error: Status<'a>,
}

#[derive(Deserialize)]
struct Status<'a> {
    #[serde(default)]
    code: Option<u16>,
    #[serde(borrow, default)]
    message: Option<Str<'a>>,
    #[serde(borrow, default)]
    status: Option<Str<'a>>,
    #[serde(borrow, default)]
    details: Vec<Detail<'a>>,
}

/// `RetryInfo`, `ErrorInfo`, `BadRequest` and others: of each the field that is of use.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail<'a> {
    #[serde(borrow, default)]
    retry_delay: Option<Str<'a>>,
    #[serde(borrow, default)]
    reason: Option<Str<'a>>,
    #[serde(borrow, default)]
    field_violations: Vec<FieldViolation<'a>>,
}

#[derive(Deserialize)]
struct FieldViolation<'a> {
    #[serde(borrow, default)]
    field: Option<Str<'a>>,
}

/// Reads an error. Streams that were asked for as a list have theirs in one.
#[must_use]
pub fn decode(status: u16, body: &[u8]) -> ProviderError {
    // A list is looked at first: it would pass for an object whose fields stand in order.
    let read = match serde_json::from_slice::<Vec<Body<'_>>>(body) {
        Ok(list) => list.into_iter().next(),
        Err(_) => serde_json::from_slice::<Body<'_>>(body).ok(),
    };
    match read {
        Some(body) => provider_error(status, body.error),
        None => unreadable(status),
    }
}

/// An error within a stream, which carries its own status.
pub(super) fn in_stream(error: &RawValue) -> ProviderError {
    match serde_json::from_str::<Status<'_>>(error.get()) {
        Ok(status) => provider_error(status.code.unwrap_or(500), status),
        Err(_) => unreadable(500),
    }
}

fn unreadable(status: u16) -> ProviderError {
    ProviderError {
        kind: ProviderErrorKind::from_status(status),
        message: format!("the model's provider answered with status {status}"),
        status: None,
        code: None,
        param: None,
        retry_after: None,
    }
}

fn provider_error(status: u16, error: Status<'_>) -> ProviderError {
    let name = error.status.as_deref().unwrap_or_default();
    let mut reasons = error.details.iter().filter_map(|detail| detail.reason.as_deref());
    let is_bad_key = reasons.any(|reason| matches!(reason, "API_KEY_INVALID" | "ACCESS_TOKEN_EXPIRED"));
    let kind = if is_bad_key {
        ProviderErrorKind::Authentication
    } else {
        kind(name).unwrap_or_else(|| ProviderErrorKind::from_status(error.code.unwrap_or(status)))
    };
    let violations = error.details.iter().flat_map(|detail| &detail.field_violations);
    let param = violations.filter_map(|violation| violation.field.as_deref()).next();
    let retry_after = error.details.iter().find_map(|detail| delay(detail.retry_delay.as_deref()?));
    let message = error.message.as_deref().filter(|message| !message.is_empty());
    ProviderError {
        kind,
        message: message.map_or_else(|| unreadable(status).message, str::to_owned),
        status: error.code.filter(|code| (400..600).contains(code)),
        code: Some(name).filter(|name| !name.is_empty()).map(str::to_owned),
        param: param.map(str::to_owned),
        retry_after,
    }
}

/// By the names of `google.rpc.Code`.
fn kind(status: &str) -> Option<ProviderErrorKind> {
    Some(match status {
        "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE" => ProviderErrorKind::InvalidRequest,
        "UNAUTHENTICATED" => ProviderErrorKind::Authentication,
        "PERMISSION_DENIED" => ProviderErrorKind::Permission,
        "NOT_FOUND" => ProviderErrorKind::NotFound,
        "RESOURCE_EXHAUSTED" => ProviderErrorKind::RateLimit,
        "UNAVAILABLE" => ProviderErrorKind::Overloaded,
        "DEADLINE_EXCEEDED" => ProviderErrorKind::Timeout,
        "INTERNAL" | "UNKNOWN" | "DATA_LOSS" | "UNIMPLEMENTED" => ProviderErrorKind::Server,
        _ => return None,
    })
}

/// A duration of protocol buffers in JSON: `34.074824224s`.
fn delay(text: &str) -> Option<Duration> {
    let seconds: f64 = text.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok().map(|wait| wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spent_quota_says_when_to_come_back() {
        let body =
            br#"{"error":{"code":429,"message":"You exceeded your quota","status":"RESOURCE_EXHAUSTED",
            "details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"x"}]},
            {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.5s"}]}}"#;
        let error = decode(429, body);
        assert_eq!(
            (error.kind, error.retry_after),
            (ProviderErrorKind::RateLimit, Some(Duration::from_millis(34_500)))
        );
        assert_eq!(error.code.as_deref(), Some("RESOURCE_EXHAUSTED"));
    }

    #[test]
    fn a_wrong_key_is_no_wrong_request() {
        let body = br#"[{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT",
            "details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}]"#;
        assert_eq!(decode(400, body).kind, ProviderErrorKind::Authentication);
    }

    #[test]
    fn the_field_at_fault_is_named() {
        let body = br#"{"error":{"code":400,"message":"Invalid value","status":"INVALID_ARGUMENT","details":[
            {"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"contents[0].role"}]}]}}"#;
        let error = decode(400, body);
        assert_eq!(
            (error.kind, error.param.as_deref()),
            (ProviderErrorKind::InvalidRequest, Some("contents[0].role"))
        );
    }

    #[test]
    fn every_status_has_a_kind() {
        for (status, code, kind) in [
            ("FAILED_PRECONDITION", 400, ProviderErrorKind::InvalidRequest),
            ("UNAUTHENTICATED", 401, ProviderErrorKind::Authentication),
            ("PERMISSION_DENIED", 403, ProviderErrorKind::Permission),
            ("NOT_FOUND", 404, ProviderErrorKind::NotFound),
            ("UNAVAILABLE", 503, ProviderErrorKind::Overloaded),
            ("DEADLINE_EXCEEDED", 504, ProviderErrorKind::Timeout),
            ("INTERNAL", 500, ProviderErrorKind::Server),
            ("SOMETHING_NEW", 413, ProviderErrorKind::TooLarge),
        ] {
            let body = format!(r#"{{"error":{{"code":{code},"message":"m","status":"{status}"}}}}"#);
            assert_eq!(decode(code, body.as_bytes()).kind, kind, "{status}");
        }
        assert_eq!(decode(502, b"<html>").kind, ProviderErrorKind::Server);
    }

    #[test]
    fn waits_that_make_no_sense_are_ignored() {
        assert_eq!(delay("-1s"), None);
        assert_eq!(delay("NaNs"), None);
        assert_eq!(delay("5"), None);
        assert_eq!(delay("1e300s"), None);
        assert_eq!(delay("999999999s"), Some(LONGEST_WAIT));
    }
}
