//! The one place where an error becomes a text in the client's API format.

use std::borrow::Cow;

use serde::Serialize;
use tollgate_crossing::ClientFormat;
use tollgate_formats::{ClientError, ProviderErrorKind, gemini};
use tollgate_schemas::ids::RequestId;

use crate::error::GatewayError;

/// OpenAI's type and code of an account without a quota that is left; SDKs do not ask again when they read it.
const QUOTA: &str = "insufficient_quota";

/// OpenAI's form (API reference, "Error codes"), with the request's id.
#[derive(Serialize)]
struct OpenAiBody<'a> {
    error: OpenAiText<'a>,
}

#[derive(Serialize)]
struct OpenAiText<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    param: Option<&'a str>,
    code: &'a str,
    request_id: RequestId,
}

/// Anthropic's form (API reference, "Errors"), with the gateway's code beside its type.
#[derive(Serialize)]
struct AnthropicBody<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    error: AnthropicText<'a>,
    request_id: RequestId,
}

#[derive(Serialize)]
struct AnthropicText<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    message: &'a str,
    code: &'a str,
}

/// The error event of a Responses stream (API reference, "Streaming events").
#[derive(Serialize)]
struct ResponsesEvent<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    code: &'a str,
    message: &'a str,
    param: Option<&'a str>,
    request_id: RequestId,
}

/// The status of an error as clients of this format know it: 529 is Anthropic's own.
#[must_use]
pub fn status(error: &GatewayError, client: ClientFormat) -> u16 {
    match (error.class().status, client) {
        (529, ClientFormat::Messages) => 529,
        (529, _) => 503,
        (status, _) => status,
    }
}

/// Message and code: the provider's where it was its error, else the gateway's.
fn words(error: &GatewayError, client: ClientFormat) -> (Cow<'_, str>, Cow<'_, str>) {
    let code = error.class().code;
    match error {
        GatewayError::Backend { said, .. } => {
            let words = client.words(said);
            (words.message, words.code.unwrap_or(code).into())
        }
        _ => (error.to_string().into(), code.into()),
    }
}

/// OpenAI's type of an error. A quota that is used up has one of its own.
fn openai_kind(error: &GatewayError) -> &'static str {
    match error {
        GatewayError::Backend { said, .. } if said.error.code.as_deref() == Some(QUOTA) => QUOTA,
        _ => error.class().kind,
    }
}

/// An error as the body of a response.
#[must_use]
pub fn whole(error: &GatewayError, client: ClientFormat, request_id: RequestId) -> Vec<u8> {
    let (message, code) = words(error, client);
    match client {
        ClientFormat::Messages => {
            let kind = anthropic_kind(status(error, client));
            let text = AnthropicText { kind, message: &message, code: &code };
            json(&AnthropicBody { kind: "error", error: text, request_id })
        }
        ClientFormat::Gemini { .. } | ClientFormat::GeminiEmbeddings(_) => {
            let request_id = request_id.to_string();
            let told = ClientError {
                kind: ProviderErrorKind::from_status(status(error, client)),
                message: &message,
                code: Some(&code),
                param: error.param(),
                request_id: Some(&request_id),
            };
            let mut out = Vec::with_capacity(256);
            gemini::client::error::write(status(error, client), &told, &mut out);
            out
        }
        _ => {
            let text = OpenAiText {
                message: &message,
                kind: openai_kind(error),
                param: error.param(),
                code: &code,
                request_id,
            };
            json(&OpenAiBody { error: text })
        }
    }
}

/// An error as the last event of a stream that has begun.
#[must_use]
pub fn event(error: &GatewayError, client: ClientFormat, request_id: RequestId) -> Vec<u8> {
    let (name, data) = match client {
        ClientFormat::Messages => (Some("error"), whole(error, client, request_id)),
        ClientFormat::Responses => {
            let (message, code) = words(error, client);
            let event = ResponsesEvent {
                kind: "error",
                code: &code,
                message: &message,
                param: error.param(),
                request_id,
            };
            (Some("error"), json(&event))
        }
        _ => (None, whole(error, client, request_id)),
    };
    let mut out = Vec::with_capacity(data.len() + 24);
    if let Some(name) = name {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(&data);
    out.extend_from_slice(b"\n\n");
    out
}

fn json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).unwrap_or_default()
}

/// Anthropic's type of error for a status (API reference, "HTTP errors").
const fn anthropic_kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        408 | 504 => "timeout_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn data(event: &[u8]) -> Value {
        let text = std::str::from_utf8(event).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
        assert!(text.ends_with("\n\n"));
        serde_json::from_str(line).unwrap()
    }

    #[test]
    fn a_stream_error_is_one_event_of_its_format() {
        let id = RequestId::now();
        let chat = event(&GatewayError::Stopping, ClientFormat::Chat, id);
        assert_eq!(data(&chat)["error"]["code"], "stopping");
        assert_eq!(data(&chat)["error"]["request_id"], id.to_string());
        let messages = event(&GatewayError::Stopping, ClientFormat::Messages, id);
        assert!(messages.starts_with(b"event: error\n"));
        assert_eq!(data(&messages)["error"]["type"], "overloaded_error");
        let responses = event(&GatewayError::Stopping, ClientFormat::Responses, id);
        assert_eq!(
            (&data(&responses)["type"], &data(&responses)["code"]),
            (&"error".into(), &"stopping".into())
        );
    }

    fn backend(status: u16, body: &str) -> GatewayError {
        let error = tollgate_crossing::Wire::Chat.decode_error(status, None, body.as_bytes());
        let said = Box::new(tollgate_formats::meaning::BackendError::new(status, error));
        GatewayError::Backend { said, retry_after: None }
    }

    fn shown(error: &GatewayError, client: ClientFormat) -> (u16, Value) {
        let body = whole(error, client, RequestId::now());
        (status(error, client), serde_json::from_slice::<Value>(&body).unwrap()["error"].take())
    }

    #[test]
    fn an_overload_of_anthropic_is_told_in_each_formats_own_way() {
        let overloaded = backend(529, r#"{"error":{"type":"overloaded_error","message":"Overloaded"}}"#);
        let (status, error) = shown(&overloaded, ClientFormat::Messages);
        assert_eq!(
            (status, &error["type"], &error["message"]),
            (529, &"overloaded_error".into(), &"Overloaded".into())
        );
        let (status, error) = shown(&overloaded, ClientFormat::Chat);
        assert_eq!(
            (status, &error["type"], &error["message"]),
            (503, &"server_error".into(), &"Overloaded".into())
        );
    }

    #[test]
    fn a_failure_of_a_backend_keeps_code_and_message() {
        let quota = r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#;
        let (status, error) = shown(&backend(429, quota), ClientFormat::Chat);
        assert_eq!((status, &error["type"], &error["code"]), (429, &QUOTA.into(), &QUOTA.into()));
        assert_eq!(error["message"], "You exceeded your current quota");
        let (status, error) =
            shown(&backend(503, r#"{"error":{"message":"down","type":"x"}}"#), ClientFormat::Responses);
        assert_eq!(
            (status, &error["code"], &error["message"]),
            (503, &"backend_error".into(), &"down".into())
        );
    }

    #[test]
    fn gemini_s_clients_get_a_status_of_google_with_the_stable_code_in_its_details() {
        let (id, format) = (RequestId::now(), ClientFormat::Gemini { stream: true });
        let body: Value = serde_json::from_slice(&whole(&GatewayError::MissingKey, format, id)).unwrap();
        assert_eq!(
            (&body["error"]["code"], &body["error"]["status"]),
            (&401.into(), &"UNAUTHENTICATED".into())
        );
        let detail = &body["error"]["details"][0];
        assert_eq!(detail["reason"], "missing_api_key");
        assert_eq!(detail["metadata"]["request_id"], id.to_string());
        assert_eq!(data(&event(&GatewayError::Stopping, format, id))["error"]["status"], "UNAVAILABLE");
    }

    #[test]
    fn anthropic_clients_get_their_own_types_and_the_stable_code() {
        let body: Value = serde_json::from_slice(&whole(
            &GatewayError::MissingKey,
            ClientFormat::Messages,
            RequestId::now(),
        ))
        .unwrap();
        assert_eq!(body["type"], "error");
        assert_eq!(body["error"]["type"], "authentication_error");
        assert_eq!(body["error"]["code"], "missing_api_key");
    }
}
