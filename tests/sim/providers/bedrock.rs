//! Bedrock's Converse and ConverseStream.

use bytes::Bytes;
use serde_json::{Value, json};

use super::anthropic::signature;
use super::event_stream::event;
use super::mind::{End, Said, Used};
use super::{halves, pieces};

pub(super) mod embeddings;
mod request;

pub(super) use request::{Extras, read};

/// The answer as one object.
pub(super) fn whole(said: &Said, extras: Extras) -> Value {
    let mut answer = json!({
        "metrics": { "latencyMs": 1 },
        "output": { "message": { "role": "assistant", "content": blocks(said) } },
        "stopReason": stop_reason(&said.end),
        "usage": usage(said.used),
    });
    if let Some(fields) = response_fields(said, extras) {
        answer["additionalModelResponseFields"] = fields;
    }
    answer
}

/// The answer as messages of the binary event stream.
pub(super) fn stream(said: &Said, extras: Extras) -> Vec<Bytes> {
    let mut events = vec![event("messageStart", &json!({ "p": "abcd", "role": "assistant" }))];
    for (index, block) in blocks(said).iter().enumerate() {
        if let Some(call) = block.get("toolUse") {
            let start = json!({ "toolUse": { "name": call["name"], "toolUseId": call["toolUseId"] } });
            let start = json!({ "contentBlockIndex": index, "start": start });
            events.push(event("contentBlockStart", &start));
        }
        events.extend(deltas(block).into_iter().map(|delta| {
            event(
                "contentBlockDelta",
                &json!({ "contentBlockIndex": index, "delta": delta, "p": "abcdefgh" }),
            )
        }));
        events.push(event("contentBlockStop", &json!({ "contentBlockIndex": index, "p": "ab" })));
    }
    let mut stop = json!({ "stopReason": stop_reason(&said.end) });
    if let Some(fields) = response_fields(said, extras) {
        stop["additionalModelResponseFields"] = fields;
    }
    events.push(event("messageStop", &stop));
    let end = json!({ "metrics": { "latencyMs": 1 }, "usage": usage(said.used) });
    events.push(event("metadata", &end));
    events
}

fn usage(used: Used) -> Value {
    json!({ "inputTokens": used.fresh, "outputTokens": used.answer(),
        "totalTokens": used.prompt() + used.answer(), "cacheReadInputTokens": used.cached,
        "cacheWriteInputTokens": used.kept })
}

fn stop_reason(end: &End) -> &'static str {
    match end {
        End::Done => "end_turn",
        End::Length => "max_tokens",
        End::Calls => "tool_use",
        End::Stop(_) => "stop_sequence",
    }
}

fn response_fields(said: &Said, extras: Extras) -> Option<Value> {
    match &said.end {
        End::Stop(text) if extras.shows_stop_text => Some(json!({ "stop_sequence": text })),
        _ => None,
    }
}

fn blocks(said: &Said) -> Vec<Value> {
    let mut blocks = Vec::new();
    if let Some(thought) = &said.thought {
        let text = json!({ "text": thought, "signature": signature(thought) });
        blocks.push(json!({ "reasoningContent": { "reasoningText": text } }));
    }
    if !said.text.is_empty() {
        blocks.push(json!({ "text": said.text }));
    }
    blocks.extend(said.calls.iter().map(
        |call| json!({ "toolUse": { "toolUseId": call.id, "name": call.name, "input": call.arguments } }),
    ));
    blocks
}

fn deltas(block: &Value) -> Vec<Value> {
    if let Some(text) = block["text"].as_str() {
        return pieces(text).into_iter().map(|piece| json!({ "text": piece })).collect();
    }
    if let Some(call) = block.get("toolUse") {
        // Here arguments come as text, in the whole answer as an object.
        let arguments = call["input"].to_string();
        return halves(&arguments).into_iter().map(|half| json!({ "toolUse": { "input": half } })).collect();
    }
    let thought = &block["reasoningContent"]["reasoningText"];
    let text = thought["text"].as_str().unwrap_or_default();
    let parts = pieces(text).into_iter().map(|piece| json!({ "reasoningContent": { "text": piece } }));
    let proof = json!({ "reasoningContent": { "signature": thought["signature"] } });
    parts.chain([proof]).collect()
}
