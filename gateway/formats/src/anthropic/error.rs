//! Errors: `{"type": "error", "error": {"type", "message"}, "request_id"}`.

use serde_json::value::RawValue;

use crate::error::{ClientError, ProviderError, ProviderErrorKind};
use crate::json::{self, Str};

/// Longest text that is shown of a body that is no error of this format, bytes.
const MAX_TEXT_BYTES: usize = 512;

#[derive(serde::Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    error: ErrorObject<'a>,
}

/// An error as it stands in bodies and in streams.
#[derive(serde::Deserialize)]
pub(super) struct ErrorObject<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Str<'a>>,
    #[serde(borrow, default)]
    message: Option<Str<'a>>,
    #[serde(borrow, default)]
    details: Option<&'a RawValue>,
}

#[derive(serde::Deserialize)]
struct Details<'a> {
    #[serde(borrow, default)]
    error_code: Option<Str<'a>>,
}

impl ErrorObject<'_> {
    /// In words that every format has; without a known type the status decides.
    pub(super) fn into_error(self, status: Option<u16>) -> ProviderError {
        let no_reason = || "the provider gave no reason".to_owned();
        let by_status = status.map_or(ProviderErrorKind::Server, ProviderErrorKind::from_status);
        let name = self.kind.as_deref();
        let detail = self.details.and_then(|raw| serde_json::from_str::<Details<'_>>(raw.get()).ok());
        let code = detail.and_then(|detail| detail.error_code.map(|code| code.0.into_owned()));
        ProviderError {
            kind: name.and_then(kind_from_name).unwrap_or(by_status),
            message: self
                .message
                .filter(|text| !text.is_empty())
                .map_or_else(no_reason, |text| text.0.into_owned()),
            status: name.and_then(status_from_name),
            code: code.or_else(|| name.map(str::to_owned)),
            param: None,
            retry_after: None,
        }
    }
}

/// Reads an error. A body of another form (a proxy's page) becomes the message, shortened.
#[must_use]
pub fn decode(status: u16, body: &[u8]) -> ProviderError {
    if let Ok(read) = serde_json::from_slice::<Body<'_>>(body) {
        return read.error.into_error(Some(status));
    }
    let start = body.get(..body.len().min(MAX_TEXT_BYTES)).unwrap_or_default();
    let text = String::from_utf8_lossy(start).trim().to_owned();
    // A page of HTML says nothing to a program.
    let says_nothing = text.is_empty() || text.starts_with('<');
    ProviderError {
        kind: ProviderErrorKind::from_status(status),
        message: if says_nothing { format!("the provider answered with status {status}") } else { text },
        status: None,
        code: None,
        param: None,
        retry_after: None,
    }
}

fn kind_from_name(name: &str) -> Option<ProviderErrorKind> {
    Some(match name {
        "invalid_request_error" | "conflict_error" => ProviderErrorKind::InvalidRequest,
        "authentication_error" => ProviderErrorKind::Authentication,
        "permission_error" | "billing_error" => ProviderErrorKind::Permission,
        "not_found_error" => ProviderErrorKind::NotFound,
        "request_too_large" => ProviderErrorKind::TooLarge,
        "rate_limit_error" => ProviderErrorKind::RateLimit,
        "api_error" => ProviderErrorKind::Server,
        "overloaded_error" => ProviderErrorKind::Overloaded,
        "timeout_error" => ProviderErrorKind::Timeout,
        _ => return None,
    })
}

/// The status of an error that is told in a stream or under a success, where its kind alone does not say it.
fn status_from_name(name: &str) -> Option<u16> {
    match name {
        "overloaded_error" => Some(529),
        "billing_error" => Some(402),
        "conflict_error" => Some(409),
        _ => None,
    }
}

/// The name of a kind on this wire.
const fn kind_name(kind: ProviderErrorKind) -> &'static str {
    match kind {
        ProviderErrorKind::InvalidRequest => "invalid_request_error",
        ProviderErrorKind::Authentication => "authentication_error",
        ProviderErrorKind::Permission => "permission_error",
        ProviderErrorKind::NotFound => "not_found_error",
        ProviderErrorKind::TooLarge => "request_too_large",
        ProviderErrorKind::RateLimit => "rate_limit_error",
        ProviderErrorKind::Overloaded => "overloaded_error",
        ProviderErrorKind::Timeout => "timeout_error",
        ProviderErrorKind::Server => "api_error",
    }
}

/// Writes an error. The code stands twice: under `code` as in every format of the gateway, and where the SDK looks
/// for it (`details.error_code`, its `error.error_code`).
#[must_use]
pub fn encode(error: &ClientError<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    write(error, &mut out);
    out
}

/// Appends an error; in streams it is the data of an `error` event.
pub(super) fn write(error: &ClientError<'_>, out: &mut Vec<u8>) {
    #[derive(serde::Serialize)]
    struct BodyOut<'e> {
        r#type: &'static str,
        error: ErrorOut<'e>,
        #[serde(skip_serializing_if = "Option::is_none")]
        request_id: Option<&'e str>,
    }

    #[derive(serde::Serialize)]
    struct ErrorOut<'e> {
        r#type: &'static str,
        message: &'e str,
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<&'e str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        param: Option<&'e str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        details: Option<DetailsOut<'e>>,
    }

    #[derive(serde::Serialize)]
    struct DetailsOut<'e> {
        error_code: &'e str,
    }

    let body = BodyOut {
        r#type: "error",
        error: ErrorOut {
            r#type: kind_name(error.kind),
            message: error.message,
            code: error.code,
            param: error.param,
            details: error.code.map(|error_code| DetailsOut { error_code }),
        },
        request_id: error.request_id,
    };
    json::write(out, &body);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_decides_before_the_status() {
        let body = br#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"r"}"#;
        let error = decode(529, body);
        assert_eq!((error.kind, error.message.as_str()), (ProviderErrorKind::Overloaded, "Overloaded"));
        assert_eq!(error.code.as_deref(), Some("overloaded_error"));
        assert_eq!(decode(400, body).kind, ProviderErrorKind::Overloaded);
    }

    #[test]
    fn a_text_of_a_proxy_keeps_its_status_and_is_shortened() {
        let error = decode(413, "x".repeat(10_000).as_bytes());
        assert_eq!(error.kind, ProviderErrorKind::TooLarge);
        assert_eq!(error.message.len(), MAX_TEXT_BYTES);
        assert_eq!(decode(502, b"<html>bad gateway</html>").message, "the provider answered with status 502");
        assert_eq!(decode(502, b"").message, "the provider answered with status 502");
        assert_eq!(decode(500, b"\xff\xfe").kind, ProviderErrorKind::Server);
    }

    #[test]
    fn an_error_without_a_message_says_so() {
        for error in [r#"{"type":"api_error"}"#, r#"{"type":"api_error","message":""}"#] {
            let error = decode(500, format!(r#"{{"type":"error","error":{error}}}"#).as_bytes());
            assert_eq!(error.message, "the provider gave no reason");
        }
    }

    #[test]
    fn every_kind_survives_being_written_and_read() {
        for kind in [
            ProviderErrorKind::InvalidRequest,
            ProviderErrorKind::Authentication,
            ProviderErrorKind::Permission,
            ProviderErrorKind::NotFound,
            ProviderErrorKind::TooLarge,
            ProviderErrorKind::RateLimit,
            ProviderErrorKind::Overloaded,
            ProviderErrorKind::Timeout,
            ProviderErrorKind::Server,
        ] {
            let shown = ClientError {
                kind,
                message: "m",
                code: Some("own_code"),
                param: None,
                request_id: Some("req"),
            };
            let read = decode(418, &encode(&shown));
            assert_eq!((read.kind, read.code.as_deref()), (kind, Some("own_code")));
        }
    }
}
