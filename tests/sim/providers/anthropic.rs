//! Anthropic's Messages API.

use bytes::Bytes;
use serde_json::{Value, json};
use uuid::Uuid;

use super::check::{Checked, Node};
use super::mind::{End, Said, Used};
use super::pieces;

mod request;

pub(super) use request::{read, read_thinking, signature};

/// The answer as one message.
pub(super) fn whole(said: &Said, model: &str) -> Value {
    let (reason, stop) = stop(&said.end);
    let mut message = head(model, usage(said.used, said.used.answer()));
    message["content"] = Value::Array(blocks(said));
    message["stop_reason"] = json!(reason);
    message["stop_sequence"] = json!(stop);
    message
}

/// The answer as events.
pub(super) fn stream(said: &Said, model: &str) -> Vec<Bytes> {
    let mut events = vec![
        event(json!({ "type": "message_start", "message": head(model, usage(said.used, 1)) })),
        event(json!({ "type": "ping" })),
    ];
    for (index, block) in blocks(said).iter().enumerate() {
        let (empty, deltas) = deltas(block);
        let with_index =
            |kind: &str, name: &str, value: Value| json!({ "type": kind, "index": index, name: value });
        events.push(event(with_index("content_block_start", "content_block", empty)));
        events
            .extend(deltas.into_iter().map(|delta| event(with_index("content_block_delta", "delta", delta))));
        events.push(event(json!({ "type": "content_block_stop", "index": index })));
    }
    let (reason, stop) = stop(&said.end);
    let delta = json!({ "stop_reason": reason, "stop_sequence": stop });
    let usage = json!({ "output_tokens": said.used.answer() });
    events.push(event(json!({ "type": "message_delta", "delta": delta, "usage": usage })));
    events.push(event(json!({ "type": "message_stop" })));
    events
}

/// The number of tokens of a prompt.
pub(super) fn counted(tokens: u64) -> Value {
    json!({ "input_tokens": tokens })
}

fn head(model: &str, usage: Value) -> Value {
    json!({ "id": format!("msg_{}", Uuid::now_v7().simple()), "type": "message", "role": "assistant",
        "model": model, "content": [], "stop_reason": null, "stop_sequence": null, "usage": usage })
}

fn usage(used: Used, answer: u64) -> Value {
    json!({ "input_tokens": used.fresh, "cache_creation_input_tokens": used.kept,
        "cache_read_input_tokens": used.cached,
        "cache_creation": { "ephemeral_5m_input_tokens": used.kept, "ephemeral_1h_input_tokens": 0 },
        "output_tokens": answer, "service_tier": "standard" })
}

fn stop(end: &End) -> (&'static str, Option<&str>) {
    match end {
        End::Done => ("end_turn", None),
        End::Length => ("max_tokens", None),
        End::Calls => ("tool_use", None),
        End::Stop(text) => ("stop_sequence", Some(text)),
    }
}

fn blocks(said: &Said) -> Vec<Value> {
    let mut blocks = Vec::new();
    if let Some(thought) = &said.thought {
        blocks.push(json!({ "type": "thinking", "thinking": thought, "signature": signature(thought) }));
    }
    if !said.text.is_empty() {
        blocks.push(json!({ "type": "text", "text": said.text }));
    }
    blocks.extend(said.calls.iter().map(
        |call| json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments }),
    ));
    blocks
}

/// A block as it begins, and what is added to it.
fn deltas(block: &Value) -> (Value, Vec<Value>) {
    let mut empty = block.clone();
    let text = |name: &str| block[name].as_str().unwrap_or_default().to_owned();
    match block["type"].as_str() {
        Some("thinking") => {
            empty["thinking"] = json!("");
            empty["signature"] = json!("");
            let thought = text("thinking");
            let mut deltas: Vec<_> = pieces(&thought)
                .into_iter()
                .map(|piece| json!({ "type": "thinking_delta", "thinking": piece }))
                .collect();
            deltas.push(json!({ "type": "signature_delta", "signature": text("signature") }));
            (empty, deltas)
        }
        Some("tool_use") => {
            empty["input"] = json!({});
            let arguments = block["input"].to_string();
            // The first piece of the real API is empty.
            let parts = std::iter::once("").chain(super::halves(&arguments));
            (empty, parts.map(|part| json!({ "type": "input_json_delta", "partial_json": part })).collect())
        }
        _ => {
            empty["text"] = json!("");
            let text = text("text");
            let parts = pieces(&text).into_iter();
            (empty, parts.map(|piece| json!({ "type": "text_delta", "text": piece })).collect())
        }
    }
}

fn event(value: Value) -> Bytes {
    let kind = value["type"].as_str().unwrap_or_default();
    Bytes::from(format!("event: {kind}\ndata: {value}\n\n"))
}

/// Refuses what is no schema that a JSON answer can have.
pub(super) fn json_schema(format: &Node<'_>) -> Checked<Value> {
    format.only(&["type", "schema"])?;
    format.need("type")?.word(&["json_schema"])?;
    let schema = format.need("schema")?;
    schema.closed_schema(false)?;
    Ok(schema.object()?.clone())
}
