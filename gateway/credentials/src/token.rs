//! Answers of OAuth 2.0 token endpoints (RFC 6749 §5) and of those that speak almost the same.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use serde::Deserialize;
use serde_json::Value;

use crate::endpoint::{Answer, Endpoint};
use crate::error::CredentialError;

/// Life of a token whose answer does not tell it.
const UNTOLD_LIFE: Duration = Duration::from_secs(300);
/// Longest error code that is kept, bytes.
const MAX_CODE_BYTES: usize = 64;

/// A fetched value and how long it is valid.
pub(crate) struct Fetched<V> {
    pub(crate) value: V,
    pub(crate) life: Duration,
}

/// A token as endpoints answer it. Azure sends its numbers as text, and some of its endpoints only the
/// moment of expiry.
#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    #[serde(default)]
    token_type: Option<String>,
    #[serde(default)]
    expires_in: Value,
    #[serde(default)]
    expires_on: Value,
}

/// The value of the `Authorization` header for a token that was answered at `unix`.
///
/// # Errors
/// When the endpoint refused, or answered something else than a token that can be used.
pub(crate) fn bearer(
    endpoint: &Endpoint,
    answer: &Answer,
    unix: Duration,
) -> Result<Fetched<HeaderValue>, CredentialError> {
    if answer.status != 200 {
        return Err(refusal(endpoint, answer, &[]));
    }
    let Ok(token) = serde_json::from_slice::<TokenAnswer>(&answer.body) else {
        return Err(endpoint.answer_error("it is not the JSON of a token"));
    };
    if token.token_type.as_deref().is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err(endpoint.answer_error("its token is not a bearer token"));
    }
    let life = life(&token, unix);
    if life.is_zero() {
        return Err(endpoint.answer_error("its token has expired"));
    }
    if token.access_token.is_empty() {
        return Err(endpoint.answer_error("its token is empty"));
    }
    let Ok(mut value) = HeaderValue::try_from(format!("Bearer {}", token.access_token)) else {
        return Err(endpoint.answer_error("its token cannot stand in a header"));
    };
    value.set_sensitive(true);
    Ok(Fetched { value, life })
}

fn life(token: &TokenAnswer, unix: Duration) -> Duration {
    let left = whole_seconds(&token.expires_in).map(Duration::from_secs);
    let until = || whole_seconds(&token.expires_on).map(|at| Duration::from_secs(at).saturating_sub(unix));
    left.or_else(until).unwrap_or(UNTOLD_LIFE)
}

fn whole_seconds(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64().or_else(|| number.as_f64().map(|seconds| seconds as u64)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// What an endpoint's error status means; the statuses of `passing` are transient there too.
pub(crate) fn refusal(endpoint: &Endpoint, answer: &Answer, passing: &[u16]) -> CredentialError {
    let status = answer.status;
    CredentialError::Refused {
        endpoint: Arc::clone(&endpoint.name),
        status,
        code: error_code(&answer.body),
        retry_after: answer.retry_after,
        transient: matches!(status, 408 | 429 | 500..) || passing.contains(&status),
    }
}

/// The error code of a JSON answer: `error`, or `error.code`, and Microsoft Entra's number.
fn error_code(body: &[u8]) -> Option<Arc<str>> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let error = answer.get("error")?;
    let code = error.as_str().or_else(|| error.get("code")?.as_str()).filter(|code| is_code(code))?;
    match answer.get("error_codes").and_then(|codes| codes.get(0)).and_then(Value::as_u64) {
        Some(number) => Some(format!("{code}, AADSTS{number}").into()),
        None => Some(code.into()),
    }
}

/// Whether a text has the form of an error code. Anything else may be a repetition of the request.
pub(crate) fn is_code(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_CODE_BYTES
        && text.bytes().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint() -> Endpoint {
        Endpoint::new("https://id.example/token", false, "token_url").unwrap()
    }

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, retry_after: None, body: bytes::Bytes::copy_from_slice(body.as_bytes()) }
    }

    fn token(body: &str) -> Result<(String, u64), String> {
        bearer(&endpoint(), &answer(200, body), Duration::from_secs(1_000))
            .map(|got| (got.value.to_str().unwrap().to_owned(), got.life.as_secs()))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_life_is_read_in_every_form_that_endpoints_use() {
        for (fields, life) in [
            (r#""expires_in":3599"#, 3599),
            (r#""expires_in":3599.0"#, 3599),
            (r#""expires_in":"86399","expires_on":"1""#, 86399),
            (r#""expires_on":"1600""#, 600),
            (r#""expires_on":1600,"expires_in":null"#, 600),
            (r#""scope":"x""#, 300),
        ] {
            let body = format!(r#"{{"access_token":"t","token_type":"bearer",{fields}}}"#);
            assert_eq!(token(&body), Ok(("Bearer t".to_owned(), life)), "{body}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_told_apart() {
        for (body, reason) in [
            ("<html>", "it is not the JSON of a token"),
            (r#"{"token":"t"}"#, "it is not the JSON of a token"),
            (r#"{"access_token":""}"#, "its token is empty"),
            (r#"{"access_token":"t","token_type":"mac"}"#, "its token is not a bearer token"),
            (r#"{"access_token":"t","expires_in":0}"#, "its token has expired"),
            (r#"{"access_token":"t","expires_on":"999"}"#, "its token has expired"),
            (r#"{"access_token":"a\nb"}"#, "its token cannot stand in a header"),
        ] {
            let error = token(body).unwrap_err();
            assert!(error.ends_with(reason), "{body}: {error}");
        }
    }

    #[test]
    fn a_refusal_keeps_the_code_and_nothing_else() {
        for (status, body, text, transient) in [
            (
                401,
                r#"{"error":"invalid_client","error_description":"AADSTS7000215: secret s3cret","error_codes":[7000215]}"#,
                "status 401 (invalid_client, AADSTS7000215)",
                false,
            ),
            (400, r#"{"error":{"code":"BadRequest","message":"s3cret"}}"#, "status 400 (BadRequest)", false),
            (400, r#"{"error":"no such secret: s3cret"}"#, "status 400", false),
            (404, "service account s3cret is not defined", "status 404", false),
            (429, "{}", "status 429", true),
            (503, "", "status 503", true),
        ] {
            let error = refusal(&endpoint(), &answer(status, body), &[]);
            assert!(error.to_string().ends_with(text), "{error}");
            assert_eq!(error.is_transient(), transient);
            assert!(!format!("{error:?}").contains("s3cret"));
        }
    }
}
