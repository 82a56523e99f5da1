//! OpenAI's Responses.

use bytes::Bytes;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::ask::{Ask, Part, Role, Turn};
use super::super::check::Node;
use super::super::mind::{End, Said, Used};
use super::super::{halves, now_s, pieces};

mod items;
mod request;

pub(in super::super) use request::read;

/// The response with its output.
pub(in super::super) fn whole(said: &Said, root: &Node<'_>, model: &str) -> Value {
    let mut response = head(root, model);
    let sealed = root.get("include").is_some_and(|include| {
        include.raw().as_array().is_some_and(|list| list.contains(&json!("reasoning.encrypted_content")))
    });
    finish(&mut response, said, output(said, sealed));
    response
}

/// The response as events that number themselves.
pub(in super::super) fn stream(response: &Value) -> Vec<Bytes> {
    let mut writer = Writer::default();
    let mut begun = response.clone();
    begun["status"] = json!("in_progress");
    begun["output"] = json!([]);
    begun["usage"] = Value::Null;
    begun["incomplete_details"] = Value::Null;
    writer.event("response.created", json!({ "response": begun }));
    writer.event("response.in_progress", json!({ "response": begun }));
    for (index, item) in response["output"].as_array().into_iter().flatten().enumerate() {
        writer.item(index, item);
    }
    let cut = response["status"] == json!("incomplete");
    let last = if cut { "response.incomplete" } else { "response.completed" };
    writer.event(last, json!({ "response": response }));
    writer.events
}

/// The turn that an answer adds to the conversation.
pub(in super::super) fn turn(said: &Said) -> Turn {
    let calls = said.calls.iter().map(|call| Part::Call { id: call.id.clone(), name: call.name.clone() });
    let text = Some(said.text.clone()).filter(|text| !text.is_empty()).map(Part::Text);
    Turn { role: Role::Model, parts: text.into_iter().chain(calls).collect() }
}

/// Puts a kept conversation before the one of a request.
pub(in super::super) fn resume(ask: &mut Ask, earlier: &[Turn]) {
    let now = std::mem::replace(&mut ask.turns, earlier.to_vec());
    for turn in now {
        ask.push(turn.role, turn.parts);
    }
}

fn head(root: &Node<'_>, model: &str) -> Value {
    let given = |name: &str, default: Value| root.get(name).map_or(default, |node| node.raw().clone());
    json!({
        "id": id("resp"), "object": "response", "created_at": now_s(), "status": "in_progress",
        "background": given("background", json!(false)), "error": null, "incomplete_details": null,
        "instructions": given("instructions", Value::Null),
        "max_output_tokens": given("max_output_tokens", Value::Null),
        "model": model, "output": [], "parallel_tool_calls": given("parallel_tool_calls", json!(true)),
        "previous_response_id": given("previous_response_id", Value::Null),
        "reasoning": given("reasoning", json!({ "effort": null, "summary": null })),
        "service_tier": "default", "store": given("store", json!(true)),
        "temperature": given("temperature", json!(1.0)),
        "text": given("text", json!({ "format": { "type": "text" } })),
        "tool_choice": given("tool_choice", json!("auto")), "tools": given("tools", json!([])),
        "top_p": given("top_p", json!(1.0)), "truncation": "disabled", "usage": null,
        "user": given("user", Value::Null), "metadata": given("metadata", json!({})),
    })
}

fn finish(response: &mut Value, said: &Said, items: Vec<Value>) {
    let cut = said.end == End::Length;
    response["status"] = json!(if cut { "incomplete" } else { "completed" });
    if cut {
        response["incomplete_details"] = json!({ "reason": "max_output_tokens" });
    }
    response["output"] = Value::Array(items);
    response["usage"] = usage(said.used);
}

fn usage(used: Used) -> Value {
    json!({ "input_tokens": used.prompt(), "input_tokens_details": { "cached_tokens": used.cached },
        "output_tokens": used.answer(), "output_tokens_details": { "reasoning_tokens": used.thought },
        "total_tokens": used.prompt() + used.answer() })
}

fn id(prefix: &str) -> String {
    format!("{prefix}_{}", Uuid::now_v7().simple())
}

/// The items of the output; thoughts come sealed besides where that was asked for.
fn output(said: &Said, sealed: bool) -> Vec<Value> {
    let mut items = Vec::new();
    if let Some(thought) = &said.thought {
        let summary = json!([{ "type": "summary_text", "text": thought }]);
        let mut item = json!({ "id": id("rs"), "type": "reasoning", "summary": summary });
        if sealed {
            item["encrypted_content"] = json!(id(items::SEALED));
        }
        items.push(item);
    }
    if !said.text.is_empty() || said.calls.is_empty() {
        let part = json!({ "type": "output_text", "text": said.text, "annotations": [], "logprobs": [] });
        items.push(json!({ "id": id("msg"), "type": "message", "role": "assistant", "status": "completed",
            "content": [part] }));
    }
    items.extend(said.calls.iter().map(|call| match &call.arguments {
        // A custom tool is called with a text.
        Value::String(input) => json!({ "id": id("ctc"), "type": "custom_tool_call", "status": "completed",
            "call_id": call.id, "name": call.name, "input": input }),
        arguments => json!({ "id": id("fc"), "type": "function_call", "status": "completed",
            "call_id": call.id, "name": call.name, "arguments": arguments.to_string() }),
    }));
    items
}

/// Writes events and counts them.
#[derive(Default)]
struct Writer {
    events: Vec<Bytes>,
}

impl Writer {
    fn event(&mut self, kind: &str, mut fields: Value) {
        fields["type"] = json!(kind);
        fields["sequence_number"] = json!(self.events.len());
        self.events.push(Bytes::from(format!("event: {kind}\ndata: {fields}\n\n")));
    }

    fn item(&mut self, index: usize, item: &Value) {
        let at = |more: Value| {
            let mut fields = json!({ "output_index": index, "item_id": item["id"] });
            for (name, value) in more.as_object().into_iter().flatten() {
                fields[name] = value.clone();
            }
            fields
        };
        let mut begun = item.clone();
        begun["status"] = json!("in_progress");
        match item["type"].as_str() {
            Some("reasoning") => {
                begun["summary"] = json!([]);
                self.added(index, &begun);
                let (part, text) =
                    (&item["summary"][0], item["summary"][0]["text"].as_str().unwrap_or_default());
                let empty = json!({ "type": "summary_text", "text": "" });
                let kind = |last: &str| format!("response.reasoning_summary_{last}");
                self.event(&kind("part.added"), at(json!({ "summary_index": 0, "part": empty })));
                for piece in pieces(text) {
                    self.event(&kind("text.delta"), at(json!({ "summary_index": 0, "delta": piece })));
                }
                self.event(&kind("text.done"), at(json!({ "summary_index": 0, "text": text })));
                self.event(&kind("part.done"), at(json!({ "summary_index": 0, "part": part })));
            }
            Some("function_call") => {
                begun["arguments"] = json!("");
                self.added(index, &begun);
                let arguments = item["arguments"].as_str().unwrap_or_default();
                for half in halves(arguments) {
                    self.event("response.function_call_arguments.delta", at(json!({ "delta": half })));
                }
                let done = at(json!({ "arguments": arguments, "name": item["name"] }));
                self.event("response.function_call_arguments.done", done);
            }
            Some("custom_tool_call") => {
                begun["input"] = json!("");
                self.added(index, &begun);
                let input = item["input"].as_str().unwrap_or_default();
                for half in halves(input) {
                    self.event("response.custom_tool_call_input.delta", at(json!({ "delta": half })));
                }
                self.event("response.custom_tool_call_input.done", at(json!({ "input": input })));
            }
            _ => {
                begun["content"] = json!([]);
                self.added(index, &begun);
                let (part, text) =
                    (&item["content"][0], item["content"][0]["text"].as_str().unwrap_or_default());
                let empty = json!({ "type": "output_text", "text": "", "annotations": [], "logprobs": [] });
                self.event("response.content_part.added", at(json!({ "content_index": 0, "part": empty })));
                for piece in pieces(text) {
                    let delta = json!({ "content_index": 0, "delta": piece, "logprobs": [] });
                    self.event("response.output_text.delta", at(delta));
                }
                let done = json!({ "content_index": 0, "text": text, "logprobs": [] });
                self.event("response.output_text.done", at(done));
                self.event("response.content_part.done", at(json!({ "content_index": 0, "part": part })));
            }
        }
        self.event("response.output_item.done", json!({ "output_index": index, "item": item }));
    }

    fn added(&mut self, index: usize, item: &Value) {
        self.event("response.output_item.added", json!({ "output_index": index, "item": item }));
    }
}
