//! OpenAI's Chat Completions, as OpenAI and Azure serve them.

use bytes::Bytes;
use serde_json::{Value, json};
use uuid::Uuid;

use super::mind::{End, Said, Used};
use super::{halves, now_s, pieces};

pub(super) mod completions;
pub(super) mod embeddings;
mod request;
pub(super) mod responses;
pub(super) mod store;

pub(super) use request::read;

/// What an answer depends on besides what is said.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Extras {
    /// Whether a stream ends with its usage.
    pub(super) wants_usage: bool,
    /// Whether Azure's content filters speak too.
    pub(super) filters: bool,
}

/// The answer as one object.
pub(super) fn whole(said: &Said, model: &str, extras: Extras) -> Value {
    let calls = calls(said);
    let content = if said.text.is_empty() && !calls.is_empty() { Value::Null } else { json!(said.text) };
    let mut message = json!({ "role": "assistant", "content": content, "refusal": null, "annotations": [] });
    if !calls.is_empty() {
        message["tool_calls"] = Value::Array(calls);
    }
    let mut choice =
        json!({ "index": 0, "message": message, "logprobs": null, "finish_reason": finish(&said.end) });
    let mut answer = head("chat.completion", model);
    if extras.filters {
        choice["content_filter_results"] = filter_results();
        answer["prompt_filter_results"] =
            json!([{ "prompt_index": 0, "content_filter_results": filter_results() }]);
    }
    answer["choices"] = json!([choice]);
    answer["usage"] = usage(said.used);
    answer
}

/// The answer as chunks.
pub(super) fn stream(said: &Said, model: &str, extras: Extras) -> Vec<Bytes> {
    let head = head("chat.completion.chunk", model);
    let chunk = |choices: Value, usage: Value| {
        let mut chunk = head.clone();
        chunk["choices"] = choices;
        if extras.wants_usage {
            chunk["usage"] = usage;
        }
        event(&chunk)
    };
    let choice = |delta: Value, finish: Value| {
        chunk(json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }]), Value::Null)
    };
    let mut events = Vec::new();
    if extras.filters {
        let results = json!([{ "prompt_index": 0, "content_filter_results": filter_results() }]);
        let first = json!({ "choices": [], "created": 0, "id": "", "model": "", "object": "",
            "prompt_filter_results": results });
        events.push(event(&first));
    }
    let content = if said.calls.is_empty() { json!("") } else { Value::Null };
    events.push(choice(json!({ "role": "assistant", "content": content, "refusal": null }), Value::Null));
    events
        .extend(pieces(&said.text).into_iter().map(|piece| choice(json!({ "content": piece }), Value::Null)));
    for (index, call) in calls(said).iter().enumerate() {
        let arguments = call["function"]["arguments"].as_str().unwrap_or_default();
        let function = json!({ "name": call["function"]["name"], "arguments": "" });
        let begin = json!({ "index": index, "id": call["id"], "type": "function", "function": function });
        events.push(choice(json!({ "tool_calls": [begin] }), Value::Null));
        events.extend(halves(arguments).into_iter().map(|half| {
            let more = json!({ "index": index, "function": { "arguments": half } });
            choice(json!({ "tool_calls": [more] }), Value::Null)
        }));
    }
    events.push(choice(json!({}), json!(finish(&said.end))));
    if extras.wants_usage {
        events.push(chunk(json!([]), usage(said.used)));
    }
    events.push(Bytes::from_static(b"data: [DONE]\n\n"));
    events
}

fn head(object: &str, model: &str) -> Value {
    json!({ "id": format!("chatcmpl-{}", Uuid::now_v7().simple()), "object": object, "created": now_s(),
        "model": model, "service_tier": "default", "system_fingerprint": "fp_tollgate_sim" })
}

fn event(value: &Value) -> Bytes {
    Bytes::from(format!("data: {value}\n\n"))
}

fn finish(end: &End) -> &'static str {
    match end {
        End::Done | End::Stop(_) => "stop",
        End::Length => "length",
        End::Calls => "tool_calls",
    }
}

fn calls(said: &Said) -> Vec<Value> {
    let calls = said.calls.iter().map(|call| {
        let function = json!({ "name": call.name, "arguments": call.arguments.to_string() });
        json!({ "id": call.id, "type": "function", "function": function })
    });
    calls.collect()
}

fn usage(used: Used) -> Value {
    json!({
        "prompt_tokens": used.prompt(),
        "completion_tokens": used.answer(),
        "total_tokens": used.prompt() + used.answer(),
        "prompt_tokens_details": { "cached_tokens": used.cached, "audio_tokens": 0 },
        "completion_tokens_details": { "reasoning_tokens": used.thought, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0 },
    })
}

fn filter_results() -> Value {
    let safe = json!({ "filtered": false, "severity": "safe" });
    json!({ "hate": safe, "self_harm": safe, "sexual": safe, "violence": safe })
}
