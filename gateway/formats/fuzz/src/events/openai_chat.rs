//! Chunks of OpenAI Chat Completions and of the legacy completions.

use arbitrary::Arbitrary;
use serde_json::{Value, json};

use super::{Number, Text, Written, given, object};

/// An event.
#[derive(Debug, Arbitrary)]
pub enum Event {
    Chunk { id: Option<Text>, model: Option<Text>, choices: Vec<Choice>, usage: Option<Usage> },
    Error { text: Text, named: bool },
    Done,
}

#[derive(Debug, Arbitrary)]
pub struct Choice {
    index: Option<Number>,
    delta: Option<Delta>,
    text: Option<Text>,
    finish: Option<Finish>,
    logprobs: bool,
}

#[derive(Debug, Arbitrary)]
pub struct Delta {
    content: Option<Text>,
    parts: bool,
    reasoning: Option<Text>,
    refusal: Option<Text>,
    calls: Vec<Call>,
    function: Option<(Option<Text>, Option<Text>)>,
}

#[derive(Debug, Arbitrary)]
pub struct Call {
    index: Option<Number>,
    id: Option<Text>,
    name: Option<Text>,
    arguments: Option<Text>,
}

#[derive(Debug, Arbitrary)]
pub enum Finish {
    Stop,
    Calls,
    Length,
    Other(Text),
}

#[derive(Debug, Arbitrary)]
pub struct Usage {
    prompt: Number,
    completion: Number,
    total: Option<Number>,
    cached: Option<Number>,
    reasoning: Option<Number>,
}

impl Event {
    pub(super) fn write(&self) -> Written {
        match self {
            Self::Chunk { id, model, choices, usage } => {
                let chunk = object([
                    ("id", given(id)),
                    ("model", given(model)),
                    ("choices", Some(choices.iter().map(Choice::write).collect())),
                    ("usage", usage.as_ref().map(Usage::write)),
                ]);
                // The order of real servers, which decoders expect.
                (None, in_order(&chunk, ["id", "model", "choices", "usage"]))
            }
            Self::Error { text, named } => {
                (named.then_some("error"), json!({"error": {"message": Value::from(text)}}).to_string())
            }
            Self::Done => (None, "[DONE]".to_owned()),
        }
    }
}

fn in_order<const N: usize>(object: &Value, names: [&str; N]) -> String {
    let members: Vec<String> =
        names.iter().filter_map(|name| object.get(name).map(|value| format!("\"{name}\":{value}"))).collect();
    format!("{{{}}}", members.join(","))
}

impl Choice {
    fn write(&self) -> Value {
        let finish = self.finish.as_ref().map(|finish| match finish {
            Finish::Stop => json!("stop"),
            Finish::Calls => json!("tool_calls"),
            Finish::Length => json!("length"),
            Finish::Other(text) => Value::from(text),
        });
        object([
            ("index", given(&self.index)),
            ("delta", self.delta.as_ref().map(Delta::write)),
            ("text", given(&self.text)),
            ("finish_reason", finish),
            ("logprobs", self.logprobs.then(|| json!({"content": [{"token": "a", "logprob": -0.5}]}))),
        ])
    }
}

impl Delta {
    fn write(&self) -> Value {
        let content = given(&self.content);
        let content = if self.parts {
            content
                .map(|text| json!([{"type": "text", "text": text}, {"type": "thinking", "thinking": text}]))
        } else {
            content
        };
        let calls = (!self.calls.is_empty()).then(|| self.calls.iter().map(Call::write).collect());
        let function = self
            .function
            .as_ref()
            .map(|(name, arguments)| object([("name", given(name)), ("arguments", given(arguments))]));
        object([
            ("content", content),
            ("reasoning_content", given(&self.reasoning)),
            ("refusal", given(&self.refusal)),
            ("tool_calls", calls),
            ("function_call", function),
        ])
    }
}

impl Call {
    fn write(&self) -> Value {
        let function = object([("name", given(&self.name)), ("arguments", given(&self.arguments))]);
        object([("index", given(&self.index)), ("id", given(&self.id)), ("function", Some(function))])
    }
}

impl Usage {
    fn write(&self) -> Value {
        object([
            ("prompt_tokens", Some(Value::from(&self.prompt))),
            ("completion_tokens", Some(Value::from(&self.completion))),
            ("total_tokens", given(&self.total)),
            ("prompt_tokens_details", Some(object([("cached_tokens", given(&self.cached))]))),
            ("completion_tokens_details", Some(object([("reasoning_tokens", given(&self.reasoning))]))),
        ])
    }
}
