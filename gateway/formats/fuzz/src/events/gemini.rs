//! Events of Gemini's `streamGenerateContent`: each a whole response.

use arbitrary::Arbitrary;
use serde_json::{Value, json};

use super::{Number, Text, Written, given, object};

/// An event.
#[derive(Debug, Arbitrary)]
pub struct Event {
    id: Option<Text>,
    candidates: Vec<Candidate>,
    blocked: Option<Text>,
    usage: Option<[Number; 4]>,
    error: Option<(Number, Text)>,
}

#[derive(Debug, Arbitrary)]
struct Candidate {
    parts: Vec<Part>,
    finish: Option<Finish>,
    logprobs: bool,
}

#[derive(Debug, Arbitrary)]
enum Finish {
    Stop,
    Other(Text),
}

#[derive(Debug, Arbitrary)]
struct Part {
    thought: Option<bool>,
    signature: Option<Text>,
    text: Option<Text>,
    call: Option<Call>,
    media: bool,
}

#[derive(Debug, Arbitrary)]
struct Call {
    id: Option<Text>,
    name: Text,
    arguments: Option<Text>,
}

impl Event {
    pub(super) fn write(&self) -> Written {
        let usage = self.usage.as_ref().map(|[prompt, cached, answer, thoughts]| {
            json!({
                "promptTokenCount": Value::from(prompt),
                "cachedContentTokenCount": Value::from(cached),
                "candidatesTokenCount": Value::from(answer),
                "thoughtsTokenCount": Value::from(thoughts),
            })
        });
        let blocked = self.blocked.as_ref().map(|reason| json!({"blockReason": Value::from(reason)}));
        let error = self.error.as_ref().map(|(code, message)| {
            json!({"code": Value::from(code), "message": Value::from(message), "status": "INTERNAL"})
        });
        let response = object([
            ("responseId", given(&self.id)),
            ("candidates", Some(self.candidates.iter().map(Candidate::write).collect())),
            ("promptFeedback", blocked),
            ("usageMetadata", usage),
            ("error", error),
        ]);
        (None, response.to_string())
    }
}

impl Candidate {
    fn write(&self) -> Value {
        let finish = self.finish.as_ref().map(|finish| match finish {
            Finish::Stop => json!("STOP"),
            Finish::Other(text) => Value::from(text),
        });
        let parts: Value = self.parts.iter().map(Part::write).collect();
        let logprobs = self
            .logprobs
            .then(|| json!({"chosenCandidates": [{"token": "a", "tokenId": 1, "logProbability": -0.5}]}));
        object([
            ("content", Some(json!({"parts": parts, "role": "model"}))),
            ("finishReason", finish),
            ("logprobsResult", logprobs),
        ])
    }
}

impl Part {
    fn write(&self) -> Value {
        let call = self.call.as_ref().map(|call| {
            object([
                ("id", given(&call.id)),
                ("name", Some(Value::from(&call.name))),
                ("args", call.arguments.as_ref().map(|text| json!({"a": Value::from(text)}))),
            ])
        });
        object([
            ("thought", self.thought.map(Value::from)),
            ("thoughtSignature", given(&self.signature)),
            ("text", given(&self.text)),
            ("functionCall", call),
            ("inlineData", self.media.then(|| json!({"mimeType": "image/png", "data": "AAAA"}))),
        ])
    }
}
