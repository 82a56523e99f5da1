//! Errors: what providers of this format and their many imitators send, and what clients of it are told.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::{ClientError, ProviderError, ProviderErrorKind};
use crate::json::{Object, Str};
use crate::view::text_of;

/// Longest message that is taken over from a body that is no JSON, characters.
const MAX_PLAIN: usize = 300;
/// Longest message of any error, characters.
const MAX_MESSAGE: usize = 4000;

/// The places where servers put their errors: OpenAI in `error`, others at the top or in `detail`.
#[derive(Default, Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    detail: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    code: Option<&'a RawValue>,
    #[serde(borrow, default)]
    param: Option<&'a RawValue>,
}

/// Reads an error. `status` is that of the answer; 0 in the middle of a stream, which has no status.
#[must_use]
pub fn decode(status: u16, body: &[u8]) -> ProviderError {
    let text = String::from_utf8_lossy(body);
    decode_text(status, &text)
}

pub(crate) fn decode_text(status: u16, text: &str) -> ProviderError {
    let Some(outer) = object(text) else { return plain(status, text) };
    let nested = outer.error.map(RawValue::get);
    let inner = nested.and_then(object);
    let said = match (&inner, outer.error) {
        (Some(inner), _) => inner.message.or(inner.detail),
        (None, Some(raw)) => Some(raw),
        (None, None) => outer.message.or(outer.detail),
    };
    let fields = inner.as_ref().unwrap_or(&outer);
    let code = fields.code.and_then(word);
    let kind = fields.kind.and_then(word);
    let message = said.map(|raw| {
        let said = text_of(raw).unwrap_or(Cow::Borrowed(raw.get()));
        said.chars().take(MAX_MESSAGE).collect::<String>()
    });
    let named = code.as_deref().and_then(status_in);
    ProviderError {
        kind: kind_of(status, kind.as_deref(), code.as_deref()),
        message: message.filter(|said| !said.is_empty()).unwrap_or_else(|| plain_message(text)),
        status: named,
        code: code.filter(|_| named.is_none()).or_else(|| kind.filter(|kind| is_telling(kind))),
        param: fields.param.and_then(word),
        retry_after: None,
    }
}

/// The HTTP status that a code is: many servers repeat it there. Other numbers are codes of their own.
fn status_in(code: &str) -> Option<u16> {
    code.parse().ok().filter(|status| (100..600).contains(status))
}

/// Types that say more than OpenAI's few do, from servers that have no code beside them.
fn is_telling(kind: &str) -> bool {
    matches!(
        kind,
        "insufficient_quota" | "exceeded_current_quota_error" | "billing_error" | "insufficient_balance"
    )
}

/// The first object of a text: Gemini's compatible endpoint wraps its errors in arrays.
fn object(text: &str) -> Option<Body<'_>> {
    match text.trim_start().as_bytes().first()? {
        b'{' => serde_json::from_str(text).ok(),
        b'[' => serde_json::from_str::<Vec<Body<'_>>>(text).ok()?.into_iter().next(),
        _ => None,
    }
}

/// A text or a number as a word.
fn word(raw: &RawValue) -> Option<String> {
    match text_of(raw) {
        Some(text) => Some(text.into_owned()).filter(|text| !text.is_empty()),
        None => raw.get().parse::<u32>().ok().map(|number| number.to_string()),
    }
}

fn plain(status: u16, text: &str) -> ProviderError {
    ProviderError {
        kind: kind_of(status, None, None),
        message: plain_message(text),
        status: None,
        code: None,
        param: None,
        retry_after: None,
    }
}

/// A page of HTML says nothing to a program.
fn plain_message(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.starts_with('<') {
        return "the provider gave no reason".to_owned();
    }
    text.chars().take(MAX_PLAIN).collect()
}

fn kind_of(status: u16, kind: Option<&str>, code: Option<&str>) -> ProviderErrorKind {
    use ProviderErrorKind as Kind;
    match (kind.unwrap_or_default(), code.unwrap_or_default()) {
        (_, "context_length_exceeded" | "string_above_max_length" | "invalid_prompt" | "content_filter") => {
            Kind::InvalidRequest
        }
        (_, "server_is_overloaded" | "slow_down") => Kind::Overloaded,
        (_, "rate_limit_exceeded" | "insufficient_quota")
        | ("rate_limit_error" | "insufficient_quota", _) => Kind::RateLimit,
        (_, "model_not_found" | "DeploymentNotFound") => Kind::NotFound,
        (_, "invalid_api_key") => Kind::Authentication,
        _ if status != 0 && status != 200 => Kind::from_status(status),
        (_, code) if status_in(code).is_some_and(|status| status >= 400) => {
            Kind::from_status(status_in(code).unwrap_or(500))
        }
        ("invalid_request_error" | "BadRequestError", _) => Kind::InvalidRequest,
        ("authentication_error", _) => Kind::Authentication,
        ("permission_error", _) => Kind::Permission,
        ("not_found_error" | "NotFoundError", _) => Kind::NotFound,
        ("overloaded_error" | "service_unavailable", _) => Kind::Overloaded,
        ("timeout" | "timeout_error", _) => Kind::Timeout,
        _ => Kind::Server,
    }
}

/// OpenAI's `type` for a kind.
#[must_use]
pub const fn type_of(kind: ProviderErrorKind) -> &'static str {
    match kind {
        ProviderErrorKind::InvalidRequest
        | ProviderErrorKind::Authentication
        | ProviderErrorKind::Permission
        | ProviderErrorKind::NotFound
        | ProviderErrorKind::TooLarge => "invalid_request_error",
        ProviderErrorKind::RateLimit => "rate_limit_error",
        ProviderErrorKind::Overloaded | ProviderErrorKind::Timeout | ProviderErrorKind::Server => {
            "server_error"
        }
    }
}

/// Writes an error for a client (API reference, "Error codes"), with the request's id.
#[must_use]
pub fn encode(error: &ClientError<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    write(&mut out, error);
    out
}

/// Appends an error as an event of a stream that has begun. SDKs raise it and read no further.
pub fn encode_event(error: &ClientError<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: ");
    write(out, error);
    out.extend_from_slice(b"\n\n");
}

fn write(out: &mut Vec<u8>, error: &ClientError<'_>) {
    let mut body = Object::new(out);
    body.object("error", |object| {
        object
            .put("message", error.message)
            .put("type", type_of(error.kind))
            .put("param", &error.param)
            .put("code", &error.code)
            .given("request_id", error.request_id);
    });
    body.end();
}

/// The message of an error event: a chunk's `error`, or the whole data of an event that is called so.
pub(crate) fn of_event(error: Option<&RawValue>, data: &str) -> ProviderError {
    match error.map(RawValue::get) {
        Some(raw) if raw.starts_with('{') => decode_text(0, raw),
        Some(raw) => {
            let said = serde_json::from_str::<Str<'_>>(raw).map(Str::into_text);
            plain(0, &said.unwrap_or(Cow::Borrowed(raw)))
        }
        None => decode_text(0, data),
    }
}

/// The error that a choice ended with. Gateways that answer 200 before they know say so in the end.
pub(crate) fn of_choice(finish_reason: Option<&str>, error: Option<&RawValue>) -> Option<ProviderError> {
    let told = |kind, message: &str| ProviderError {
        kind,
        message: message.to_owned(),
        status: None,
        code: None,
        param: None,
        retry_after: None,
    };
    let error = error.filter(|error| !matches!(error.get(), "{}" | "\"\"" | "false"));
    match (finish_reason, error) {
        (Some("error"), None) => {
            Some(told(ProviderErrorKind::Server, "the provider ended the answer with an error"))
        }
        (Some("insufficient_system_resource"), _) => Some(told(
            ProviderErrorKind::Overloaded,
            "the provider broke the answer off for want of capacity",
        )),
        (_, Some(error)) => Some(of_event(Some(error), error.get())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ProviderErrorKind as Kind;

    fn check(status: u16, body: &str, kind: Kind, message: &str, code: Option<&str>) {
        let error = decode(status, body.as_bytes());
        assert_eq!((error.kind, &*error.message, error.code.as_deref()), (kind, message, code), "{body}");
    }

    #[test]
    fn errors_of_openai_are_read() {
        let body =
            r#"{"error":{"message":"too many","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#;
        check(429, body, Kind::RateLimit, "too many", Some("rate_limit_exceeded"));
        let body = r#"{"error":{"message":"no such field","type":"invalid_request_error","param":"messages","code":null}}"#;
        check(400, body, Kind::InvalidRequest, "no such field", None);
        assert_eq!(decode(400, body.as_bytes()).param.as_deref(), Some("messages"));
    }

    #[test]
    fn errors_of_compatible_servers_are_read() {
        check(
            404,
            r#"{"object":"error","message":"no model","type":"NotFoundError","code":404}"#,
            Kind::NotFound,
            "no model",
            None,
        );
        check(
            400,
            r#"[{"error":{"code":400,"message":"bad","status":"INVALID_ARGUMENT"}}]"#,
            Kind::InvalidRequest,
            "bad",
            None,
        );
        check(422, r#"{"detail":[{"msg":"x"}]}"#, Kind::InvalidRequest, r#"[{"msg":"x"}]"#, None);
        check(500, r#"{"error":"out of memory"}"#, Kind::Server, "out of memory", None);
        check(502, "<html>bad gateway</html>", Kind::Server, "the provider gave no reason", None);
        check(503, "try later", Kind::Overloaded, "try later", None);
    }

    #[test]
    fn an_error_without_a_status_is_known_by_its_words() {
        check(0, r#"{"error":{"message":"m","type":"server_error"}}"#, Kind::Server, "m", None);
        check(0, r#"{"error":{"message":"m","code":429}}"#, Kind::RateLimit, "m", None);
        check(0, r#"{"error":{"message":"m","type":"overloaded_error"}}"#, Kind::Overloaded, "m", None);
    }

    #[test]
    fn any_bytes_are_an_error() {
        for body in [&b""[..], b"\xff\xfe", b"[]", b"{}", b"{\"error\":7}", b"null"] {
            assert!(!decode(500, body).message.is_empty());
        }
    }

    #[test]
    fn clients_are_told_in_their_shape() {
        let error = decode(400, br#"{"error":{"message":"m","param":"p","code":"c"}}"#);
        assert_eq!(
            String::from_utf8(encode(&error.shown(Some("r")))).unwrap(),
            r#"{"error":{"message":"m","type":"invalid_request_error","param":"p","code":"c","request_id":"r"}}"#
        );
    }
}
