//! Events of Bedrock's ConverseStream.

use arbitrary::Arbitrary;
use serde_json::{Value, json};

use super::{Number, Text, Written, given, object};

/// An event.
#[derive(Debug, Arbitrary)]
pub enum Event {
    MessageStart,
    BlockStart { index: Number, call: Option<(Text, Text)> },
    BlockDelta { index: Number, delta: Delta },
    BlockStop { index: Number },
    MessageStop { reason: Text, sequence: Option<Text> },
    Metadata { usage: Option<[Number; 3]> },
    Exception(Text),
    Unmodelled(Text),
    Other(Text),
}

#[derive(Debug, Arbitrary)]
pub struct Delta {
    text: Option<Text>,
    input: Option<Text>,
    reasoning: Option<Reasoning>,
}

#[derive(Debug, Arbitrary)]
pub struct Reasoning {
    text: Option<Text>,
    signature: Option<Text>,
    redacted: Option<Text>,
}

impl Event {
    pub(super) fn write(&self) -> Written {
        let (name, data) = match self {
            Self::MessageStart => ("messageStart", json!({"role": "assistant"})),
            Self::BlockStart { index, call } => {
                let call = call
                    .as_ref()
                    .map(|(id, name)| json!({"toolUseId": Value::from(id), "name": Value::from(name)}));
                let start = object([("toolUse", call)]);
                ("contentBlockStart", json!({"contentBlockIndex": Value::from(index), "start": start}))
            }
            Self::BlockDelta { index, delta } => (
                "contentBlockDelta",
                json!({"contentBlockIndex": Value::from(index), "delta": delta.write()}),
            ),
            Self::BlockStop { index } => {
                ("contentBlockStop", json!({"contentBlockIndex": Value::from(index)}))
            }
            Self::MessageStop { reason, sequence } => {
                let fields = sequence.as_ref().map(|text| json!({"stop_sequence": Value::from(text)}));
                let reason = Some(Value::from(reason));
                ("messageStop", object([("stopReason", reason), ("additionalModelResponseFields", fields)]))
            }
            Self::Metadata { usage } => {
                let usage = usage.as_ref().map(|[input, output, total]| {
                    json!({
                        "inputTokens": Value::from(input),
                        "outputTokens": Value::from(output),
                        "totalTokens": Value::from(total),
                    })
                });
                ("metadata", object([("usage", usage)]))
            }
            Self::Exception(text) => ("throttlingException", json!({"message": Value::from(text)})),
            Self::Unmodelled(text) => ("error:500", json!({"message": Value::from(text)})),
            Self::Other(text) => ("somethingNew", json!({"text": Value::from(text)})),
        };
        (Some(name), data.to_string())
    }
}

impl Delta {
    fn write(&self) -> Value {
        let reasoning = self.reasoning.as_ref().map(|reasoning| {
            object([
                ("text", given(&reasoning.text)),
                ("signature", given(&reasoning.signature)),
                ("redactedContent", given(&reasoning.redacted)),
            ])
        });
        object([
            ("text", given(&self.text)),
            ("toolUse", self.input.as_ref().map(|text| json!({"input": Value::from(text)}))),
            ("reasoningContent", reasoning),
        ])
    }
}
