//! How backends' errors are told to clients.

use serde_json::Value;

use super::*;

fn parts(status: u16) -> http::response::Parts {
    http::Response::builder().status(status).body(()).unwrap().into_parts().0
}

fn told(client: ClientFormat, wire: Wire, status: u16, body: &str) -> (Meaning, u16, Value) {
    let crossing = Crossing { client, wire };
    let said = crossing.error(&parts(status), body.as_bytes());
    let refusal = crossing.refusal(&said, Bytes::copy_from_slice(body.as_bytes()), RequestId::now());
    (said.meaning, client.refusal_status(&said), serde_json::from_slice(&refusal).unwrap())
}

const OPENAI_LENGTH: &str = r#"{"error":{"message":"This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#;
const ANTHROPIC_LENGTH: &str = r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 208310 tokens > 200000 maximum"}}"#;
const VLLM_LENGTH: &str = r#"{"object":"error","message":"This model's maximum context length is 4096 tokens.","type":"BadRequestError","param":null,"code":400}"#;

#[test]
fn a_prompt_that_is_too_long_is_told_in_the_words_that_each_sides_clients_look_for() {
    let (_, status, body) = told(ClientFormat::Messages, Wire::Chat, 400, OPENAI_LENGTH);
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("prompt is too long: 9000 tokens > 8192 maximum (This model's"), "{message}");
    assert_eq!((status, &body["error"]["type"]), (400, &"invalid_request_error".into()));
    let (_, _, body) = told(ClientFormat::Chat, Wire::Messages, 400, ANTHROPIC_LENGTH);
    assert_eq!(body["error"]["code"], "context_length_exceeded");
    assert_eq!(body["error"]["message"], "prompt is too long: 208310 tokens > 200000 maximum");
    let (_, status, body) = told(ClientFormat::Gemini { stream: false }, Wire::Chat, 400, OPENAI_LENGTH);
    let message = body["error"]["message"].as_str().unwrap();
    assert!(
        message
            .starts_with("The input token count (9000) exceeds the maximum number of tokens allowed (8192).")
    );
    assert_eq!((status, &body["error"]["status"]), (400, &"INVALID_ARGUMENT".into()));
    for client in [ClientFormat::Chat, ClientFormat::Responses, ClientFormat::Completions] {
        let (meaning, _, body) = told(client, Wire::Chat, 500, VLLM_LENGTH);
        assert_eq!((meaning, &body["error"]["code"]), (Meaning::TooLong, &"context_length_exceeded".into()));
    }
}

#[test]
fn an_error_that_has_the_words_passes_as_it_came() {
    for (client, wire, body) in [
        (ClientFormat::Chat, Wire::Chat, OPENAI_LENGTH),
        (ClientFormat::Messages, Wire::Messages, ANTHROPIC_LENGTH),
        (
            ClientFormat::Messages,
            Wire::Messages,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"input length and `max_tokens` exceed context limit: 1 + 2 > 2"}}"#,
        ),
    ] {
        assert_eq!(told(client, wire, 400, body).2, serde_json::from_str::<Value>(body).unwrap());
    }
}

#[test]
fn a_filter_is_told_with_the_code_of_the_clients_format() {
    let risk = r#"{"error":{"message":"Content Exists Risk","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}"#;
    let (meaning, status, body) = told(ClientFormat::Chat, Wire::Chat, 400, risk);
    assert_eq!((meaning, status), (Meaning::Filtered, 400));
    assert_eq!(body["error"]["code"], "content_filter");
    let (_, _, body) = told(ClientFormat::Messages, Wire::Chat, 400, risk);
    assert_eq!(body["error"]["type"], "invalid_request_error");
    assert_eq!(body["error"]["message"], "Content Exists Risk");
}

#[test]
fn an_error_under_a_success_is_seen_in_every_format() {
    let fault = || FormatError::invalid("nothing", None);
    for (wire, body, status, meaning) in [
        (Wire::Chat, r#"{"error":{"message":"Rate limit exceeded","code":429}}"#, 429, Meaning::RateLimited),
        (Wire::Chat, r#"{"object":"error","message":"no","type":"x","code":502}"#, 502, Meaning::Failed),
        (Wire::Embeddings, r#"{"error":{"message":"no money","code":402}}"#, 402, Meaning::NoMoney),
        (Wire::Responses, r#"{"error":{"message":"m","type":"server_error"}}"#, 500, Meaning::Failed),
        (
            Wire::Messages,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#,
            529,
            Meaning::Overloaded,
        ),
        (
            Wire::Generate,
            r#"{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}"#,
            503,
            Meaning::Overloaded,
        ),
        (
            Wire::Generate,
            r#"[{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}]"#,
            429,
            Meaning::RateLimited,
        ),
        (
            Wire::Converse,
            r#"{"__type":"com.amazon#ThrottlingException","message":"m"}"#,
            429,
            Meaning::RateLimited,
        ),
        (Wire::Converse, r#"{"message":"m"}"#, 500, Meaning::Failed),
    ] {
        let FormatError::Provider(error) = wire.error_in(body.as_bytes(), fault()) else { panic!("{body}") };
        let said = BackendError::new(200, *error);
        assert_eq!((said.status, said.meaning), (status, meaning), "{body}");
    }
    for (wire, body) in [
        (Wire::Chat, r#"{"error":null,"choices":[]}"#),
        (Wire::Chat, "<html>"),
        (Wire::Messages, "{}"),
        (Wire::Converse, r#"{"output":{}}"#),
    ] {
        assert_eq!(wire.error_in(body.as_bytes(), fault()), fault(), "{body}");
    }
}

#[test]
fn only_two_numbers_are_taken_for_lengths() {
    assert_eq!(lengths("maximum is 131,072 tokens, you asked for 140,000."), Some((140_000, 131_072)));
    assert_eq!(lengths("maximum is 8192 tokens, you asked for 9000 (8000 in the messages)"), None);
    assert_eq!(lengths("Prompt too long"), None);
}
