//! Events of Anthropic Messages.

use arbitrary::Arbitrary;
use serde_json::{Value, json};

use super::{Number, Text, Written, given, object};

/// An event; the name beside it may be missing.
#[derive(Debug, Arbitrary)]
pub struct Event {
    named: bool,
    step: Step,
}

#[derive(Debug, Arbitrary)]
enum Step {
    MessageStart { id: Option<Text>, usage: Option<Usage> },
    BlockStart { index: Number, block: Block },
    BlockDelta { index: Number, delta: Delta },
    BlockStop { index: Number },
    MessageDelta { reason: Option<Text>, sequence: Option<Text>, usage: Option<Usage> },
    MessageStop,
    Ping,
    Error(Text),
}

#[derive(Debug, Arbitrary)]
enum Block {
    Text(Text),
    Thinking(Text),
    Redacted(Option<Text>),
    Call { id: Option<Text>, name: Option<Text>, input: Option<Text> },
    Other(Text),
}

#[derive(Debug, Arbitrary)]
enum Delta {
    Text(Text),
    Arguments(Text),
    Thinking(Text),
    Signature(Text),
    Empty(Text),
}

#[derive(Debug, Arbitrary)]
struct Usage {
    input: Option<Number>,
    output: Option<Number>,
    cache_read: Option<Number>,
    cache_write: Option<Number>,
}

impl Event {
    pub(super) fn write(&self) -> Written {
        let (name, mut data) = self.step.write();
        data["type"] = json!(name);
        (self.named.then_some(name), data.to_string())
    }
}

impl Step {
    fn write(&self) -> (&'static str, Value) {
        match self {
            Self::MessageStart { id, usage } => {
                let message = object([("id", given(id)), ("usage", usage.as_ref().map(Usage::write))]);
                ("message_start", json!({ "message": message }))
            }
            Self::BlockStart { index, block } => {
                ("content_block_start", json!({"index": Value::from(index), "content_block": block.write()}))
            }
            Self::BlockDelta { index, delta } => {
                ("content_block_delta", json!({"index": Value::from(index), "delta": delta.write()}))
            }
            Self::BlockStop { index } => ("content_block_stop", json!({"index": Value::from(index)})),
            Self::MessageDelta { reason, sequence, usage } => {
                let delta = object([("stop_reason", given(reason)), ("stop_sequence", given(sequence))]);
                let usage = usage.as_ref().map(Usage::write);
                ("message_delta", object([("delta", Some(delta)), ("usage", usage)]))
            }
            Self::MessageStop => ("message_stop", json!({})),
            Self::Ping => ("ping", json!({})),
            Self::Error(text) => {
                ("error", json!({"error": {"type": "overloaded_error", "message": Value::from(text)}}))
            }
        }
    }
}

impl Block {
    fn write(&self) -> Value {
        match self {
            Self::Text(text) => json!({"type": "text", "text": Value::from(text)}),
            Self::Thinking(text) => {
                json!({"type": "thinking", "thinking": Value::from(text), "signature": ""})
            }
            Self::Redacted(data) => {
                object([("type", Some(json!("redacted_thinking"))), ("data", given(data))])
            }
            Self::Call { id, name, input } => object([
                ("type", Some(json!("tool_use"))),
                ("id", given(id)),
                ("name", given(name)),
                ("input", input.as_ref().map(|text| json!({"a": Value::from(text)}))),
            ]),
            Self::Other(kind) => json!({"type": Value::from(kind)}),
        }
    }
}

impl Delta {
    fn write(&self) -> Value {
        match self {
            Self::Text(text) => json!({"type": "text_delta", "text": Value::from(text)}),
            Self::Arguments(text) => json!({"type": "input_json_delta", "partial_json": Value::from(text)}),
            Self::Thinking(text) => json!({"type": "thinking_delta", "thinking": Value::from(text)}),
            Self::Signature(text) => json!({"type": "signature_delta", "signature": Value::from(text)}),
            Self::Empty(kind) => json!({"type": Value::from(kind)}),
        }
    }
}

impl Usage {
    fn write(&self) -> Value {
        object([
            ("input_tokens", given(&self.input)),
            ("output_tokens", given(&self.output)),
            ("cache_read_input_tokens", given(&self.cache_read)),
            ("cache_creation_input_tokens", given(&self.cache_write)),
        ])
    }
}
