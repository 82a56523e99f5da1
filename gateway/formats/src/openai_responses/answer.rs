//! Whole responses.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::custom;
use super::items::{Content, Item};
use super::logprobs::{self, Tokens};
use super::output::Output;
use super::usage::{self, UsageReport};
use crate::error::{FormatError, ProviderError};
use crate::exchange::{Answer, AnswerHead, Part, Stop, ToolCall, Usage};
use crate::json::{Array, Object, Str};
use crate::openai::error;

#[derive(Deserialize)]
pub(super) struct Body<'a> {
    #[serde(borrow, default)]
    pub(super) id: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) model: Option<Str<'a>>,
    #[serde(default)]
    created_at: Option<f64>,
    #[serde(borrow, default)]
    pub(super) status: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) incomplete_details: Option<Incomplete<'a>>,
    #[serde(borrow, default)]
    pub(super) error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    output: Vec<Item<'a>>,
    #[serde(default)]
    usage: Option<UsageReport>,
    #[serde(borrow, default)]
    service_tier: Option<Str<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Incomplete<'a> {
    #[serde(borrow, default)]
    reason: Option<Str<'a>>,
}

/// Stands between the summaries of one thought where they become one text.
pub(super) const BETWEEN_SUMMARIES: &str = "\n\n";

/// Reads a response.
///
/// # Errors
/// When it is no response.
pub fn decode(body: &[u8]) -> Result<Answer<'_>, FormatError> {
    let body: Body<'_> = serde_json::from_slice(body)?;
    if let Some(failed) = body.failed() {
        return Err(FormatError::Provider(Box::new(failed)));
    }
    if body.id.is_none() && body.status.is_none() && body.output.is_empty() {
        return Err(FormatError::invalid("the answer is no response", None));
    }
    let mut parts = Vec::new();
    let stop = stop_of(&body);
    let usage = body.reported();
    let mut tokens = Vec::new();
    for item in body.output {
        read_item(item, &mut parts, &mut tokens)?;
    }
    Ok(Answer {
        id: body.id.unwrap_or_default().into_text(),
        model: body.model.unwrap_or_default().into_text(),
        created_s: body.created_at.filter(|at| *at >= 0.0).map(|at| at as u64),
        stop: stop_with(stop, &parts),
        parts,
        stop_sequence: None,
        usage,
        logprobs: logprobs::in_chat_form(tokens).map(Cow::Owned),
        service_tier: body.service_tier.map(Str::into_text),
    })
}

impl Body<'_> {
    /// The error of a response that failed.
    pub(super) fn failed(&self) -> Option<ProviderError> {
        if self.status.as_deref() != Some("failed") {
            return None;
        }
        Some(error::decode_text(0, self.error.map_or("{}", RawValue::get)))
    }

    /// What it used; a response that works in the background still goes on.
    pub(super) fn reported(&self) -> Option<Usage> {
        let usage = self.usage?.usage();
        Some(match self.status.as_deref() {
            Some("queued" | "in_progress") => usage.running(),
            _ => usage,
        })
    }
}

pub(super) fn stop_of(body: &Body<'_>) -> Stop {
    let reason = body.incomplete_details.as_ref().and_then(|details| details.reason.as_deref());
    match (body.status.as_deref(), reason) {
        (Some("completed") | None, _) => Stop::End,
        (Some("incomplete"), Some("max_output_tokens")) => Stop::Length,
        (Some("incomplete"), Some("content_filter")) => Stop::ContentFilter,
        _ => Stop::Other,
    }
}

/// A response is also completed when it calls a tool or refuses.
fn stop_with(stop: Stop, parts: &[Part<'_>]) -> Stop {
    match stop {
        Stop::End if parts.iter().any(|part| matches!(part, Part::ToolCall(_))) => Stop::ToolUse,
        Stop::End if parts.iter().any(|part| matches!(part, Part::Refusal(_))) => Stop::Refusal,
        stop => stop,
    }
}

/// Thoughts as one text: the summary, or the thoughts themselves where a server shows them.
pub(super) fn thoughts(summary: Option<Vec<Content<'_>>>, content: Option<&RawValue>) -> String {
    let content = || serde_json::from_str::<Vec<Content<'_>>>(content?.get()).ok();
    let parts = summary.filter(|parts| !parts.is_empty()).or_else(content).unwrap_or_default();
    let texts: Vec<&str> = parts.iter().filter_map(|part| part.text.as_deref()).collect();
    texts.join(BETWEEN_SUMMARIES)
}

/// Reads an item, and the tokens of its texts.
fn read_item<'a>(
    item: Item<'a>,
    parts: &mut Vec<Part<'a>>,
    tokens: &mut Vec<&'a RawValue>,
) -> Result<(), FormatError> {
    match item.kind.as_deref() {
        Some("message") => {
            for part in item.parts()? {
                tokens.extend(part.logprobs);
                parts.extend(match (part.text, part.refusal) {
                    (Some(text), _) => Some(Part::text(text.into_text())),
                    (None, refusal) => refusal.map(|refusal| Part::Refusal(refusal.into_text())),
                });
            }
        }
        Some(kind @ ("function_call" | "custom_tool_call")) => {
            let said = item.text_of_call();
            let is_text = kind == "custom_tool_call";
            parts.push(Part::ToolCall(ToolCall {
                id: item.call_id.unwrap_or_default().into_text(),
                name: item.name.unwrap_or_default().into_text(),
                arguments: if is_text { custom::arguments(&said).into() } else { said },
            }));
        }
        Some("reasoning") => {
            let text = thoughts(item.summary, item.content);
            let sealed = item.encrypted_content.map(Str::into_text);
            let (signature, redacted) = if text.is_empty() { (None, sealed) } else { (sealed, None) };
            parts.push(Part::Reasoning { text: text.into(), signature, redacted });
        }
        Some("image_generation_call") => parts.extend(item.picture().map(Part::Image)),
        // Items of tools that the provider runs itself.
        _ => {}
    }
    Ok(())
}

/// Writes a response.
#[must_use]
pub fn encode(answer: &Answer<'_>, shown: &AnswerHead) -> Vec<u8> {
    let mut out = Vec::with_capacity(1_024);
    let mut object = Object::new(&mut out);
    head(&mut object, shown, Status::of(answer.stop), None);
    let mut list = Array::new(object.key("output"));
    // They are those of all that was said, which most often is one text.
    let tokens = answer.logprobs.as_deref().map(Tokens::of);
    let mut tokens = tokens.as_ref().map(Tokens::as_str);
    for (index, part) in answer.parts.iter().enumerate() {
        let Some(mut item) = Output::of(part, shown) else { continue };
        if let Output::Text { logprobs, .. } = &mut item {
            *logprobs = tokens.take().unwrap_or(logprobs::NONE);
        }
        item.write(list.item(), &shown.id, index, true);
    }
    list.end();
    tail(&mut object, answer.usage.as_ref());
    object.end();
    out
}

/// How a response stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    InProgress,
    Completed,
    /// Cut off, and why.
    Incomplete(&'static str),
    Failed,
}

impl Status {
    pub(super) fn of(stop: Stop) -> Self {
        match stop {
            Stop::Length => Self::Incomplete("max_output_tokens"),
            Stop::ContentFilter => Self::Incomplete("content_filter"),
            _ => Self::Completed,
        }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete(_) => "incomplete",
            Self::Failed => "failed",
        }
    }
}

/// What stands before the output. Parameters of the request are not repeated: they say what the provider used,
/// which is not known where another format answered.
pub(super) fn head(
    object: &mut Object<'_>,
    shown: &AnswerHead,
    status: Status,
    error: Option<&ProviderError>,
) {
    object
        .put("id", &shown.id)
        .put("object", "response")
        .put("created_at", &shown.created_s)
        .put("status", status.as_str())
        .put("background", &false);
    match error {
        Some(error) => object.object("error", |body| {
            body.put("code", error.code.as_deref().unwrap_or("server_error")).put("message", &error.message);
        }),
        None => object.raw("error", "null"),
    };
    match status {
        Status::Incomplete(reason) => {
            object.object("incomplete_details", |details| {
                details.put("reason", reason);
            });
        }
        _ => {
            object.raw("incomplete_details", "null");
        }
    }
    object.raw("instructions", "null").raw("max_output_tokens", "null").put("model", &shown.model);
}

/// What stands behind the output.
pub(super) fn tail(object: &mut Object<'_>, used: Option<&Usage>) {
    object
        .put("parallel_tool_calls", &true)
        .raw("previous_response_id", "null")
        .raw("reasoning", r#"{"effort":null,"summary":null}"#)
        .put("store", &false)
        .raw("temperature", "null")
        .raw("text", r#"{"format":{"type":"text"}}"#)
        .put("tool_choice", "auto")
        .raw("tools", "[]")
        .raw("top_p", "null")
        .put("truncation", "disabled");
    match used {
        Some(used) => usage::write(object.key("usage"), used),
        None => {
            object.raw("usage", "null");
        }
    }
    object.raw("user", "null").raw("metadata", "{}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn answer(stop: Stop, parts: Vec<Part<'static>>) -> Answer<'static> {
        Answer {
            id: "x".into(),
            model: "m".into(),
            created_s: None,
            parts,
            stop,
            stop_sequence: None,
            usage: Some(Usage { input: 3, output: 2, ..Usage::reported() }),
            logprobs: None,
            service_tier: None,
        }
    }

    fn shown() -> AnswerHead {
        AnswerHead { id: "resp_1".into(), model: "chat".into(), created_s: 7, ..AnswerHead::default() }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let call = ToolCall { id: "c1".into(), name: "weather".into(), arguments: "{\"a\":1}".into() };
        let parts = vec![
            Part::Reasoning { text: "hm".into(), signature: None, redacted: None },
            Part::text("hello"),
            Part::ToolCall(call),
        ];
        let bytes = encode(&answer(Stop::ToolUse, parts), &shown());
        let read = decode(&bytes).unwrap();
        assert_eq!((&*read.id, &*read.model, read.stop), ("resp_1", "chat", Stop::ToolUse));
        assert_eq!(read.usage.unwrap().total(), 5);
        assert!(matches!(&read.parts[1], Part::Text { text, .. } if text == "hello"));
        assert!(matches!(&read.parts[2], Part::ToolCall(call) if call.arguments == "{\"a\":1}"));
    }

    #[test]
    fn a_proof_without_a_text_comes_back_as_a_proof_and_sealed_thoughts_as_such() {
        let proven = Part::Reasoning { text: "".into(), signature: Some("s".into()), redacted: None };
        let sealed = Part::Reasoning { text: "".into(), signature: None, redacted: Some("r".into()) };
        let bytes = encode(&answer(Stop::End, vec![proven, sealed, Part::text("x")]), &shown());
        let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let body = serde_json::json!({ "input": json["output"] }).to_string();
        let request = crate::openai_responses::request::decode(body.as_bytes()).unwrap();
        let proofs = request.turns[0].parts.iter().filter_map(|part| match part {
            Part::Reasoning { signature, redacted, .. } => Some((signature.as_deref(), redacted.as_deref())),
            _ => None,
        });
        assert_eq!(proofs.collect::<Vec<_>>(), [(Some("s"), None), (None, Some("r"))]);
    }

    #[test]
    fn the_tokens_of_an_answer_stand_beside_its_text() {
        let logprobs = r#"{"content":[{"token":"x","logprob":-1}],"refusal":null}"#;
        let logprobs = RawValue::from_string(logprobs.to_owned()).unwrap();
        let logprobs = Some(Cow::Owned(logprobs));
        let bytes = encode(&Answer { logprobs, ..answer(Stop::End, vec![Part::text("x")]) }, &shown());
        let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let tokens = &json["output"][0]["content"][0]["logprobs"];
        assert_eq!(*tokens, serde_json::json!([{"token": "x", "logprob": -1}]));
        let read = decode(&bytes).unwrap().logprobs.unwrap();
        assert_eq!(read.get(), r#"{"content":[{"token":"x","logprob":-1}],"refusal":null}"#);
    }

    #[test]
    fn a_cut_answer_is_incomplete_and_says_why() {
        let bytes = encode(&answer(Stop::Length, vec![Part::text("x")]), &shown());
        let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(json["status"], "incomplete");
        assert_eq!(json["incomplete_details"]["reason"], "max_output_tokens");
        assert_eq!(decode(&bytes).unwrap().stop, Stop::Length);
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }
}
