//! Gemini's generateContent and streamGenerateContent.

use bytes::Bytes;
use serde_json::{Value, json};
use uuid::Uuid;

use super::anthropic::signature;
use super::mind::{End, Said, Used};
use super::pieces;

pub(super) mod embeddings;
mod request;
mod spelling;

pub(super) use request::read;
pub(super) use spelling::in_camel_case;

/// The answer as one object.
pub(super) fn whole(said: &Said, model: &str) -> Value {
    answer(said, model, &id(), parts(said), true)
}

/// The answer as events: each has the usage so far, the last the reason to stop.
pub(super) fn stream(said: &Said, model: &str) -> Vec<Bytes> {
    let id = id();
    let mut chunks = Vec::new();
    for part in parts(said) {
        let Some(text) = part["text"].as_str() else {
            chunks.push(part);
            continue;
        };
        chunks.extend(pieces(text).into_iter().map(|piece| {
            let mut part = part.clone();
            part["text"] = json!(piece);
            part
        }));
    }
    let last = chunks.len().saturating_sub(1);
    let events =
        chunks.into_iter().enumerate().map(|(at, part)| answer(said, model, &id, vec![part], at == last));
    // Google ends lines with both letters.
    events.map(|event| Bytes::from(format!("data: {event}\r\n\r\n"))).collect()
}

fn id() -> String {
    Uuid::now_v7().simple().to_string()
}

fn answer(said: &Said, model: &str, id: &str, parts: Vec<Value>, ends: bool) -> Value {
    let mut candidate = json!({ "content": { "parts": parts, "role": "model" }, "index": 0 });
    if ends {
        candidate["finishReason"] = json!(if said.end == End::Length { "MAX_TOKENS" } else { "STOP" });
    }
    json!({ "candidates": [candidate], "usageMetadata": usage(said.used), "modelVersion": model,
        "responseId": id })
}

fn usage(used: Used) -> Value {
    let mut usage = json!({ "promptTokenCount": used.prompt(), "candidatesTokenCount": used.said,
        "totalTokenCount": used.prompt() + used.answer(),
        "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": used.prompt() }] });
    for (name, tokens) in [("cachedContentTokenCount", used.cached), ("thoughtsTokenCount", used.thought)] {
        if tokens > 0 {
            usage[name] = json!(tokens);
        }
    }
    usage
}

fn parts(said: &Said) -> Vec<Value> {
    let mut parts = Vec::new();
    if let Some(thought) = said.thought.as_ref().filter(|_| !said.hides_thought) {
        parts.push(json!({ "text": thought, "thought": true }));
    }
    if !said.text.is_empty() || said.calls.is_empty() {
        parts.push(json!({ "text": said.text }));
    }
    for (at, call) in said.calls.iter().enumerate() {
        let mut part = json!({ "functionCall": { "name": call.name, "args": call.arguments } });
        if let Some(thought) = said.thought.as_ref().filter(|_| at == 0) {
            part["thoughtSignature"] = json!(signature(thought));
        }
        parts.push(part);
    }
    parts
}
