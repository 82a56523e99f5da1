//! Errors as clients get them: `google.rpc.Status`, with the gateway's code as `ErrorInfo` and the field at fault as
//! `BadRequest`.

use crate::error::ClientError;
use crate::json::{Array, Object};

/// Writes an error.
#[must_use]
pub fn encode(error: &ClientError<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    write(error.kind.status(), error, &mut out);
    out
}

/// Writes an error that goes with this HTTP status.
pub fn write(status: u16, error: &ClientError<'_>, out: &mut Vec<u8>) {
    let mut body = Object::new(out);
    body.object("error", |body| {
        body.put("code", &status).put("message", error.message).put("status", name(status));
        let mut details = Array::new(body.key("details"));
        if let Some(code) = error.code {
            details.object(|detail| {
                detail.put("@type", "type.googleapis.com/google.rpc.ErrorInfo").put("reason", code);
                detail.put("domain", "tollgate").object("metadata", |metadata| {
                    metadata.given("request_id", error.request_id);
                });
            });
        }
        if let Some(field) = error.param {
            details.object(|detail| {
                detail.put("@type", "type.googleapis.com/google.rpc.BadRequest");
                let mut violations = Array::new(detail.key("fieldViolations"));
                violations.object(|violation| {
                    violation.put("field", field).put("description", error.message);
                });
                violations.end();
            });
        }
        details.end();
    });
    body.end();
}

/// The name of `google.rpc.Code` that goes with an HTTP status.
const fn name(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        408 | 504 => "DEADLINE_EXCEEDED",
        429 => "RESOURCE_EXHAUSTED",
        501 => "UNIMPLEMENTED",
        502 | 503 => "UNAVAILABLE",
        400..=499 => "INVALID_ARGUMENT",
        _ => "INTERNAL",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ProviderErrorKind;
    use crate::gemini::error::decode;

    #[test]
    fn what_is_written_is_read_again() {
        use ProviderErrorKind as Kind;
        for kind in [
            Kind::InvalidRequest,
            Kind::Authentication,
            Kind::Permission,
            Kind::NotFound,
            Kind::RateLimit,
            Kind::Overloaded,
            Kind::Timeout,
            Kind::Server,
        ] {
            let shown = ClientError {
                kind,
                message: "m",
                code: Some("own"),
                param: Some("contents"),
                request_id: Some("r"),
            };
            let read = decode(kind.status(), &encode(&shown));
            assert_eq!((read.kind, &*read.message, read.param.as_deref()), (kind, "m", Some("contents")));
        }
    }

    #[test]
    fn the_stable_code_and_the_request_s_id_are_details() {
        let shown = ClientError {
            kind: ProviderErrorKind::NotFound,
            message: "gone",
            code: Some("model_not_found"),
            param: None,
            request_id: Some("r1"),
        };
        assert_eq!(
            String::from_utf8(encode(&shown)).unwrap(),
            concat!(
                r#"{"error":{"code":404,"message":"gone","status":"NOT_FOUND","details":[{"#,
                r#""@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"model_not_found","#,
                r#""domain":"tollgate","metadata":{"request_id":"r1"}}]}}"#
            )
        );
    }
}
