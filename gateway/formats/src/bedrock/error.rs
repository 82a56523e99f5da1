//! Errors of Bedrock: the exception's name stands in a header, its text in the body.

use serde::Deserialize;

use crate::error::{ProviderError, ProviderErrorKind};
use crate::json::Str;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body<'a> {
    #[serde(borrow)]
    message: Option<Str<'a>>,
    /// Signature and credential errors of AWS are spelt so.
    #[serde(borrow, rename = "Message")]
    capital_message: Option<Str<'a>>,
    #[serde(borrow, rename = "__type")]
    kind: Option<Str<'a>>,
}

/// Reads an error. `error_type` is the header `x-amzn-errortype`, which may carry a namespace before `#` and an
/// address after `:`; the body's `__type` stands in for it.
#[must_use]
pub fn decode(status: u16, error_type: Option<&str>, body: &[u8]) -> ProviderError {
    let read: Body<'_> = serde_json::from_slice(body).unwrap_or_default();
    let name = error_type.or(read.kind.as_deref()).map(exception_name).filter(|name| !name.is_empty());
    let message = read.message.or(read.capital_message).map(|text| text.into_text().into_owned());
    new(status, name, message.filter(|text| !text.is_empty()))
}

/// An error within a stream, where there is no status.
pub(super) fn in_stream(name: &str, payload: &str) -> ProviderError {
    let read: Body<'_> = serde_json::from_str(payload).unwrap_or_default();
    let message = read.message.or(read.capital_message).map(|text| text.into_text().into_owned());
    new(500, Some(exception_name(name)), message.filter(|text| !text.is_empty()))
}

fn new(status: u16, name: Option<&str>, message: Option<String>) -> ProviderError {
    let kind = name.and_then(kind).unwrap_or_else(|| ProviderErrorKind::from_status(status));
    let message = message.unwrap_or_else(|| match name {
        Some(name) => format!("the model's provider answered with {name}"),
        None => format!("the model's provider answered with status {status}"),
    });
    let code = name.map(str::to_owned);
    ProviderError { kind, message, status: None, code, param: None, retry_after: None }
}

/// `ns#ThrottlingException:http://…` → `ThrottlingException`.
fn exception_name(text: &str) -> &str {
    let before = text.split_once(':').map_or(text, |(name, _)| name);
    before.rsplit_once('#').map_or(before, |(_, name)| name).trim()
}

/// Streams write the same names with a small first letter.
fn kind(name: &str) -> Option<ProviderErrorKind> {
    Some(match name {
        "ThrottlingException" | "throttlingException" | "ServiceQuotaExceededException" => {
            ProviderErrorKind::RateLimit
        }
        "ValidationException" | "validationException" | "ConflictException" => {
            ProviderErrorKind::InvalidRequest
        }
        "AccessDeniedException" => ProviderErrorKind::Permission,
        "ResourceNotFoundException" => ProviderErrorKind::NotFound,
        "ModelTimeoutException" => ProviderErrorKind::Timeout,
        "ServiceUnavailableException" | "serviceUnavailableException" | "ModelNotReadyException" => {
            ProviderErrorKind::Overloaded
        }
        "ModelErrorException"
        | "ModelStreamErrorException"
        | "modelStreamErrorException"
        | "InternalServerException"
        | "internalServerException" => ProviderErrorKind::Server,
        "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "IncompleteSignatureException"
        | "MissingAuthenticationTokenException"
        | "ExpiredTokenException"
        | "InvalidClientTokenId" => ProviderErrorKind::Authentication,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_exception_decides() {
        for (name, status, kind) in [
            ("ThrottlingException", 429, ProviderErrorKind::RateLimit),
            ("ServiceQuotaExceededException", 400, ProviderErrorKind::RateLimit),
            ("ValidationException", 400, ProviderErrorKind::InvalidRequest),
            ("AccessDeniedException", 403, ProviderErrorKind::Permission),
            ("UnrecognizedClientException", 403, ProviderErrorKind::Authentication),
            ("ResourceNotFoundException", 404, ProviderErrorKind::NotFound),
            ("ModelTimeoutException", 408, ProviderErrorKind::Timeout),
            ("ModelNotReadyException", 429, ProviderErrorKind::Overloaded),
            ("ServiceUnavailableException", 503, ProviderErrorKind::Overloaded),
            ("ModelErrorException", 424, ProviderErrorKind::Server),
            ("InternalServerException", 500, ProviderErrorKind::Server),
        ] {
            let error = decode(status, Some(name), br#"{"message":"no"}"#);
            assert_eq!((error.kind, error.message.as_str(), error.code.as_deref()), (kind, "no", Some(name)));
        }
    }

    #[test]
    fn namespace_and_address_around_the_name_are_ignored() {
        let header = "com.amazon.coral.service#ExpiredTokenException:http://internal.amazon.com/coral/";
        assert_eq!(decode(403, Some(header), b"").kind, ProviderErrorKind::Authentication);
        let body = br#"{"__type":"com.amazon#AccessDeniedException","Message":"not yours"}"#;
        let error = decode(403, None, body);
        assert_eq!((error.kind, error.message.as_str()), (ProviderErrorKind::Permission, "not yours"));
    }

    #[test]
    fn a_body_that_is_no_json_still_gives_an_error() {
        let error = decode(502, None, b"<html>");
        assert_eq!(error.kind, ProviderErrorKind::Server);
        assert_eq!(error.message, "the model's provider answered with status 502");
    }
}
