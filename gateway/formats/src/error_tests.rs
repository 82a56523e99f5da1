//! No error repeats what the model said or what the client asked.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::exchange::StreamDecoder;
use crate::{anthropic, bedrock, gemini, openai_chat, openai_embeddings, openai_responses};

const SECRET: &str = "Tirpitz";

/// The value with one node replaced, for each of its nodes and each of several wrong values that hold the secret.
fn malformed(value: &Value) -> Vec<Value> {
    let mut all = vec![json!(SECRET), json!([SECRET]), json!({ SECRET: SECRET }), json!(7), Value::Null];
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let with = |member: Value| {
                    let mut members = members.clone();
                    members.insert(name.clone(), member);
                    Value::Object(members)
                };
                all.extend(malformed(member).into_iter().map(with));
            }
        }
        Value::Array(items) => {
            for (place, item) in items.iter().enumerate() {
                let with = |item: Value| {
                    let mut items = items.clone();
                    items[place] = item;
                    Value::Array(items)
                };
                all.extend(malformed(item).into_iter().map(with));
            }
        }
        _ => {}
    }
    all
}

/// Texts that should be this JSON but are not, or not all of it.
fn texts(value: &Value) -> Vec<String> {
    let text = value.to_string();
    let cut = (0..text.len()).filter(|end| text.is_char_boundary(*end)).map(|end| text[..end].to_owned());
    let torn = cut.clone().map(|start| format!("{start}{SECRET}\n{SECRET}\""));
    malformed(value).iter().map(Value::to_string).chain(cut).chain(torn).collect()
}

/// How many of the texts are refused, none of them in words that hold the secret.
fn silent_refusals<T>(value: &Value, read: impl Fn(&str) -> Result<T, FormatError>) -> usize {
    let errors: Vec<FormatError> = texts(value).iter().filter_map(|text| read(text).err()).collect();
    for error in &errors {
        let chain = format!("{error} {error:?}");
        assert!(!chain.contains(SECRET), "{chain}");
    }
    errors.len()
}

fn check_answer<T>(body: &Value, decode: impl Fn(&[u8]) -> Result<T, FormatError>) {
    assert!(decode(body.to_string().as_bytes()).is_ok(), "{body}");
    assert!(silent_refusals(body, |text| decode(text.as_bytes())) > 20, "{body}");
}

#[test]
fn no_error_of_a_malformed_answer_repeats_it() {
    let chat = json!({"id": "c", "model": "m", "choices": [{"index": 0, "finish_reason": "stop", "message": {
        "role": "assistant", "content": SECRET, "reasoning_content": SECRET,
        "tool_calls": [{"id": "t", "type": "function", "function": {"name": "f", "arguments": SECRET}}]}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2}});
    check_answer(&chat, |body| openai_chat::answer::decode(body).map(drop));
    check_answer(&chat, openai_chat::answer::usage);
    let text = json!({"choices": [{"text": SECRET, "finish_reason": "stop"}]});
    check_answer(&text, |body| openai_chat::answer::decode(body).map(drop));
    let response = json!({"id": "r", "status": "completed", "output": [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": SECRET}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": SECRET}]},
        {"type": "function_call", "call_id": "t", "name": "f", "arguments": SECRET}],
        "usage": {"input_tokens": 1, "output_tokens": 2}});
    check_answer(&response, |body| openai_responses::answer::decode(body).map(drop));
    let message = json!({"id": "m", "content": [{"type": "text", "text": SECRET},
        {"type": "tool_use", "id": "t", "name": "f", "input": {"q": SECRET}}],
        "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 2}});
    check_answer(&message, |body| anthropic::answer::decode(body).map(drop));
    let converse = json!({"output": {"message": {"role": "assistant", "content": [{"text": SECRET},
        {"toolUse": {"toolUseId": "t", "name": "f", "input": {"q": SECRET}}}]}},
        "stopReason": "end_turn", "usage": {"inputTokens": 1, "outputTokens": 2}});
    check_answer(&converse, |body| bedrock::answer::decode(body).map(drop));
    let generate = json!({"candidates": [{"content": {"parts": [{"text": SECRET},
        {"functionCall": {"name": "f", "args": {"q": SECRET}}}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 1}});
    check_answer(&generate, |body| gemini::answer::decode(body).map(drop));
}

#[test]
fn no_error_of_malformed_vectors_repeats_them() {
    check_answer(&json!({"data": [], "usage": {"prompt_tokens": 1}}), openai_embeddings::answer::usage);
    let gemini = json!({"embeddings": [{"values": [1.0]}], "usageMetadata": {"promptTokenCount": 1}});
    check_answer(&gemini, gemini::embeddings::decode);
    let titan = json!({"embedding": [1.0], "inputTextTokenCount": 1});
    check_answer(&titan, |body| bedrock::embeddings::decode(body, "amazon.titan-embed-text-v2:0", None));
    let cohere = json!({"embeddings": {"float": [[1.0]]}});
    check_answer(&cohere, |body| bedrock::embeddings::decode(body, "cohere.embed-english-v3", None));
    check_answer(&json!({"input_tokens": 1}), anthropic::count_tokens::decode);
}

/// Reads the events before each one well and that one badly.
fn check_stream<D: StreamDecoder>(decoder: impl Fn() -> D, events: &[(&str, Value)]) {
    for (place, (name, data)) in events.iter().enumerate() {
        let read = |data: &str| {
            let mut decoder = decoder();
            for (name, data) in &events[..place] {
                decoder.read(Some(name), &data.to_string(), &mut |_| {})?;
            }
            decoder.read(Some(name), data, &mut |_| {})?;
            decoder.read(Some(SECRET), data, &mut |_| {})?;
            decoder.finish(&mut |_| {})
        };
        assert!(silent_refusals(data, read) > 20, "{data}");
    }
}

#[test]
fn no_error_of_a_malformed_stream_repeats_it() {
    let chat = |delta: Value| ("", json!({"id": "c", "choices": [{"index": 0, "delta": delta}]}));
    let call = json!({"index": 0, "id": "t", "function": {"name": "f", "arguments": SECRET}});
    check_stream(
        openai_chat::stream::Decoder::new,
        &[chat(json!({"content": SECRET})), chat(json!({"tool_calls": [call]}))],
    );
    check_stream(
        openai_responses::stream::Decoder::new,
        &[
            ("", json!({"type": "response.output_text.delta", "delta": SECRET})),
            (
                "",
                json!({"type": "response.output_item.added", "item": {"type": "function_call", "call_id": "t",
                "name": SECRET}}),
            ),
        ],
    );
    check_stream(
        anthropic::stream::Decoder::new,
        &[
            ("message_start", json!({"type": "message_start", "message": {"id": "m", "content": []}})),
            (
                "content_block_start",
                json!({"type": "content_block_start", "index": 0,
                "content_block": {"type": "text", "text": SECRET}}),
            ),
            (
                "content_block_delta",
                json!({"type": "content_block_delta", "index": 0,
                "delta": {"type": "text_delta", "text": SECRET}}),
            ),
            ("message_delta", json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}})),
        ],
    );
    check_stream(
        bedrock::stream::Decoder::new,
        &[
            ("contentBlockDelta", json!({"contentBlockIndex": 0, "delta": {"text": SECRET}})),
            (
                "contentBlockStart",
                json!({"contentBlockIndex": 1,
                "start": {"toolUse": {"toolUseId": "t", "name": SECRET}}}),
            ),
            ("contentBlockDelta", json!({"contentBlockIndex": 1, "delta": {"toolUse": {"input": SECRET}}})),
        ],
    );
    check_stream(
        gemini::stream::Decoder::new,
        &[("", json!({"candidates": [{"content": {"parts": [{"text": SECRET}]}}]}))],
    );
}

#[test]
fn senders_of_malformed_requests_are_told_what_was_expected_and_not_what_they_sent() {
    let chat = |body: &str| openai_chat::request::decode(body.as_bytes()).map(drop);
    let messages = |body: &str| anthropic::request::decode(body.as_bytes()).map(drop);
    let responses = |body: &str| openai_responses::request::decode(body.as_bytes()).map(drop);
    type Read<'r> = &'r dyn Fn(&str) -> Result<(), FormatError>;
    let cases: [(Read<'_>, &str); 7] = [
        (&chat, r#"{"messages":"Tirpitz, expected Tirpitz"}"#),
        (&chat, r#"{"messages":[{"role":"user","content":{"Tirpitz":1}}]}"#),
        (&chat, r#"{"messages":[],"stream":"Tirpitz"}"#),
        (&messages, r#"{"messages":[{"role":"user","content":["Tirpitz"]}]}"#),
        (
            &messages,
            r#"{"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":["Tirpitz"]}]}]}"#,
        ),
        (&responses, r#"{"input":["Tirpitz"]}"#),
        (&responses, r#"{"input":[{"role":"user","content":["Tirpitz"]}]}"#),
    ];
    for (read, body) in cases {
        let error = read(body).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(SECRET), "{error:?}");
        assert!(error.to_string().contains("expected "), "{error}");
    }
}

#[test]
fn names_of_fields_are_ours_and_told() {
    #[derive(Debug, serde::Deserialize)]
    struct Body {
        #[serde(rename = "messages")]
        _messages: u8,
    }
    let fault = |json: &str| request_fault(&serde_json::from_str::<Body>(json).unwrap_err());
    assert_eq!(fault("{}"), "missing field `messages` at line 1 column 2");
    assert_eq!(fault(r#"{"messages":"x"}"#), "expected u8 at line 1 column 15");
    assert_eq!(fault(r#"{"messages":1,"messages":1}"#), "duplicate field `messages` at line 1 column 24");
}

proptest! {
    #[test]
    fn no_text_of_a_request_gets_into_its_error(text in "[ -~]{8,40}") {
        let json = json!({"messages": text}).to_string();
        let error = openai_chat::request::decode(json.as_bytes()).map(drop).unwrap_err();
        prop_assert!(!error.to_string().contains(&text), "{}", error);
    }
}
