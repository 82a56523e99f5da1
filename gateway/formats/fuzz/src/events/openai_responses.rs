//! Events of OpenAI Responses.

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
    Created(Option<Text>),
    Text(Option<Text>),
    Refusal(Option<Text>),
    Reasoning(Option<Text>),
    Arguments(Option<Text>),
    ItemAdded(Item),
    ItemDone(Item),
    End { end: End, usage: Option<[Number; 2]>, reason: Option<Text>, items: Vec<Item> },
    Error(Option<Text>, Option<Text>),
    Done,
    New,
}

#[derive(Debug, Arbitrary)]
enum Item {
    Call { id: Option<Text>, name: Option<Text>, arguments: Option<Text> },
    Message(Vec<Text>),
    Other(Text),
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum End {
    Completed,
    Incomplete,
    Failed,
}

impl Event {
    pub(super) fn write(&self) -> Written {
        if matches!(self.step, Step::Done) {
            return (None, "[DONE]".to_owned());
        }
        let (name, mut data) = self.step.write();
        data["type"] = json!(name);
        (self.named.then_some(name), data.to_string())
    }
}

impl Step {
    fn write(&self) -> (&'static str, Value) {
        let delta = |text: &Option<Text>| object([("delta", given(text))]);
        match self {
            Self::Created(id) => ("response.created", json!({"response": object([("id", given(id))])})),
            Self::Text(text) => ("response.output_text.delta", delta(text)),
            Self::Refusal(text) => ("response.refusal.delta", delta(text)),
            Self::Reasoning(text) => ("response.reasoning_summary_text.delta", delta(text)),
            Self::Arguments(text) => ("response.function_call_arguments.delta", delta(text)),
            Self::ItemAdded(item) => ("response.output_item.added", json!({"item": item.write()})),
            Self::ItemDone(item) => ("response.output_item.done", json!({"item": item.write()})),
            Self::End { end, usage, reason, items } => end.write(usage.as_ref(), reason.as_ref(), items),
            Self::Error(code, message) => {
                ("error", object([("code", given(code)), ("message", given(message))]))
            }
            Self::Done | Self::New => ("response.something_new", json!({})),
        }
    }
}

impl Item {
    fn write(&self) -> Value {
        match self {
            Self::Call { id, name, arguments } => object([
                ("type", Some(json!("function_call"))),
                ("call_id", given(id)),
                ("name", given(name)),
                ("arguments", given(arguments)),
            ]),
            Self::Message(texts) => {
                let parts: Value = texts
                    .iter()
                    .map(|text| json!({"type": "output_text", "text": Value::from(text)}))
                    .collect();
                json!({"type": "message", "role": "assistant", "content": parts})
            }
            Self::Other(kind) => json!({"type": Value::from(kind)}),
        }
    }
}

impl End {
    fn write(
        self,
        usage: Option<&[Number; 2]>,
        reason: Option<&Text>,
        items: &[Item],
    ) -> (&'static str, Value) {
        let (name, status) = match self {
            Self::Completed => ("response.completed", "completed"),
            Self::Incomplete => ("response.incomplete", "incomplete"),
            Self::Failed => ("response.failed", "failed"),
        };
        let usage = usage.map(|[input, output]| {
            json!({"input_tokens": Value::from(input), "output_tokens": Value::from(output)})
        });
        let output: Value = items.iter().map(Item::write).collect();
        let response = object([
            ("status", Some(json!(status))),
            ("usage", usage),
            ("incomplete_details", reason.map(|reason| json!({"reason": Value::from(reason)}))),
            ("output", Some(output)),
        ]);
        (name, json!({ "response": response }))
    }
}
