//! The one place where an error becomes a text in the client's API format.

use serde::Serialize;
use tollgate_crossing::ClientFormat;
use tollgate_formats::{ClientError, ProviderErrorKind, gemini};
use tollgate_schemas::ids::RequestId;

use crate::error::GatewayError;

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

/// An error as the body of a response.
#[must_use]
pub fn whole(error: &GatewayError, client: ClientFormat, request_id: RequestId) -> Vec<u8> {
    let class = error.class();
    let message = error.to_string();
    match client {
        ClientFormat::Messages => {
            let text =
                AnthropicText { kind: anthropic_kind(class.status), message: &message, code: class.code };
            json(&AnthropicBody { kind: "error", error: text, request_id })
        }
        ClientFormat::Gemini { .. } | ClientFormat::GeminiEmbeddings(_) => {
            let request_id = request_id.to_string();
            let told = ClientError {
                kind: ProviderErrorKind::from_status(class.status),
                message: &message,
                code: Some(class.code),
                param: error.param(),
                request_id: Some(&request_id),
            };
            let mut out = Vec::with_capacity(256);
            gemini::client::error::write(class.status, &told, &mut out);
            out
        }
        _ => {
            let text = OpenAiText {
                message: &message,
                kind: class.kind,
                param: error.param(),
                code: class.code,
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
            let class = error.class();
            let message = error.to_string();
            let event = ResponsesEvent {
                kind: "error",
                code: class.code,
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
