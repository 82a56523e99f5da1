//! OpenAI Responses as what a backend is spoken to in, for clients of other formats.

use serde_json::{Value, json};
use tollgate_tests::harness::gateway::{GatewayConfig, chat};

use super::{anthropic, parsed};
use crate::support::{Bed, CHAT, bed, text_of};

const MESSAGES: &str = "/v1/messages";
const AT_CHAT: &str = "/v1/chat/completions";
const AT_RESPONSES: &str = "/v1/responses";

/// A backend that has both of OpenAI's APIs.
async fn openai() -> Bed {
    let config = |config: GatewayConfig| {
        config
            .set("backends.sim.serves_responses", json!(true))
            .alias("sol", "sim", "gpt-5.6-sol")
            .alias("codex", "sim", "gpt-5.3-codex")
            .alias("small", "sim", "gpt-4.1-mini")
            .product("gold", &["sol", "codex", "small"])
    };
    bed(Default::default(), config).await
}

/// Where the last request went, and what it said.
fn sent(bed: &Bed) -> (String, Value) {
    let seen = bed.sim.state().seen().pop().unwrap();
    (seen.path.to_string(), serde_json::from_str(&seen.body).unwrap())
}

fn weather() -> Value {
    json!({ "type": "object", "properties": { "place": { "type": "string" } }, "required": ["place"] })
}

fn chat_with_tool(alias: &str) -> Value {
    let mut body = chat(alias, "Please use the tool.");
    body["tools"] =
        json!([{ "type": "function", "function": { "name": "weather", "parameters": weather() } }]);
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_goes_to_responses_where_its_model_takes_it_only_there() {
    let bed = openai().await;
    let client = bed.gateway.client("checkout");
    let mut told_not_to_think = chat_with_tool("sol");
    told_not_to_think["reasoning_effort"] = json!("none");
    for (body, path) in [
        (chat("sol", "Hello"), AT_CHAT),
        (chat_with_tool("sol"), AT_RESPONSES),
        (told_not_to_think, AT_CHAT),
        (chat("codex", "Hello"), AT_RESPONSES),
        (chat_with_tool("small"), AT_CHAT),
    ] {
        let reply = client.post(CHAT, &body).await.unwrap();
        assert_eq!(reply.status, 200, "{body}: {}", reply.text());
        assert_eq!(reply.json()["object"], "chat.completion", "{body}");
        assert_eq!(sent(&bed).0, path, "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_of_a_chat_with_a_tool_ends_with_what_the_tool_said() {
    let bed = openai().await;
    let client = bed.gateway.client("checkout");
    let mut body = chat_with_tool("sol");
    body["reasoning_effort"] = json!("low");
    let first = client.post(CHAT, &body).await.unwrap().json();
    let message = first["choices"][0]["message"].clone();
    assert_eq!(first["choices"][0]["finish_reason"], "tool_calls", "{first}");
    let call = message["tool_calls"][0]["id"].clone();
    for (name, value) in [("role", json!("assistant")), ("content", Value::Null)] {
        assert_eq!(message[name], value, "{message}");
    }
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(message);
    messages.push(json!({ "role": "tool", "tool_call_id": call, "content": "rain" }));
    let reply = client.post(CHAT, &body).await.unwrap();
    assert!(text_of(&reply).contains("rain"), "{}", reply.text());
    let (path, request) = sent(&bed);
    assert_eq!((&*path, &request["store"]), (AT_RESPONSES, &json!(false)));
    let kinds: Vec<_> =
        request["input"].as_array().unwrap().iter().map(|item| item["type"].clone()).collect();
    assert_eq!(kinds, ["message", "reasoning", "function_call", "function_call_output"], "{request}");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_with_tools_and_thoughts_stream_over_responses_and_bring_the_thoughts_back() {
    let bed = openai().await;
    let client = anthropic(&bed);
    let mut body = json!({ "model": "sol", "max_tokens": 4000, "stream": true, "system": "Be brief.",
        "thinking": { "type": "enabled", "budget_tokens": 2048 },
        "messages": [{ "role": "user", "content": "Please use the tool." }],
        "tools": [{ "name": "weather", "input_schema": weather() }] });
    let events = parsed(&client.stream(MESSAGES, &body).await.unwrap().rest().await.unwrap());
    assert_eq!(sent(&bed).0, AT_RESPONSES);
    let of = |kind: &'static str| events.iter().filter(move |event| event["delta"]["type"] == kind);
    let joined = |kind: &'static str, field: &str| {
        of(kind).map(|event| event["delta"][field].as_str().unwrap()).collect::<String>()
    };
    let (thinking, signature) =
        (joined("thinking_delta", "thinking"), joined("signature_delta", "signature"));
    assert!(!thinking.is_empty() && !signature.is_empty(), "{events:?}");
    let call = events.iter().find(|event| event["content_block"]["type"] == "tool_use").unwrap();
    let input: Value = serde_json::from_str(&joined("input_json_delta", "partial_json")).unwrap();
    let call =
        json!({ "type": "tool_use", "id": call["content_block"]["id"], "name": "weather", "input": input });
    let result = json!({ "type": "tool_result", "tool_use_id": call["id"], "content": "rain" });
    let messages = body["messages"].as_array_mut().unwrap();
    let thought = json!({ "type": "thinking", "thinking": thinking, "signature": signature });
    messages.push(json!({ "role": "assistant", "content": [thought, call] }));
    messages.push(json!({ "role": "user", "content": [result] }));
    body["stream"] = json!(false);
    let reply = client.post(MESSAGES, &body).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(reply.text().contains("rain"), "{}", reply.text());
    assert_eq!(sent(&bed).1["input"][1]["type"], "reasoning");
}
