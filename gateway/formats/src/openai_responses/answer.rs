//! Whole responses.

use serde::Deserialize;

use super::items::{Content, Item};
use super::usage::{self, UsageReport};
use crate::error::{FormatError, ProviderError};
use crate::exchange::{Answer, AnswerHead, Image, Part, Source, Stop, ToolCall, Usage};
use crate::json::{Array, Object, Str};

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
    pub(super) error: Option<ErrorText<'a>>,
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

#[derive(Deserialize)]
pub(super) struct ErrorText<'a> {
    #[serde(borrow, default)]
    pub(super) code: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) message: Option<Str<'a>>,
}

/// Reads a response.
///
/// # Errors
/// When it is no response.
pub fn decode(body: &[u8]) -> Result<Answer<'_>, FormatError> {
    let body: Body<'_> = serde_json::from_slice(body)?;
    let mut parts = Vec::new();
    let stop = stop_of(&body);
    let usage = body.reported();
    for item in body.output {
        read_item(item, &mut parts)?;
    }
    let calls = parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
    Ok(Answer {
        id: body.id.unwrap_or_default().into_text(),
        model: body.model.unwrap_or_default().into_text(),
        created_s: body.created_at.filter(|at| *at >= 0.0).map(|at| at as u64),
        parts,
        stop: if stop == Stop::End && calls { Stop::ToolUse } else { stop },
        stop_sequence: None,
        usage,
        logprobs: None,
        service_tier: body.service_tier.map(Str::into_text),
    })
}

impl Body<'_> {
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

fn read_item<'a>(item: Item<'a>, parts: &mut Vec<Part<'a>>) -> Result<(), FormatError> {
    match item.kind.as_deref() {
        Some("message") => {
            let Some(raw) = item.content else { return Ok(()) };
            let content: Vec<Content<'a>> = serde_json::from_str(raw.get())?;
            parts.extend(content.into_iter().filter_map(|part| match (part.text, part.refusal) {
                (Some(text), _) => Some(Part::text(text.into_text())),
                (None, Some(refusal)) => Some(Part::Refusal(refusal.into_text())),
                (None, None) => None,
            }));
        }
        Some("function_call") => parts.push(Part::ToolCall(ToolCall {
            id: item.call_id.unwrap_or_default().into_text(),
            name: item.name.unwrap_or_default().into_text(),
            arguments: item.arguments.unwrap_or_default().into_text(),
        })),
        Some("reasoning") => {
            let texts = item.summary.unwrap_or_default().into_iter().filter_map(|part| part.text);
            let texts: Vec<String> = texts.map(|text| text.into_text().into_owned()).collect();
            let redacted = item.encrypted_content.map(Str::into_text);
            parts.push(Part::Reasoning { text: texts.join("\n\n").into(), signature: None, redacted });
        }
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
    for (index, part) in answer.parts.iter().enumerate() {
        if let Some(item) = item_of(part) {
            item.write(list.item(), &shown.id, index, true);
        }
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

/// One item of the output.
pub(super) enum Output<'a> {
    Text(&'a str),
    Refusal(&'a str),
    Call {
        id: &'a str,
        name: &'a str,
        arguments: &'a str,
    },
    Reasoning {
        text: &'a str,
        encrypted: Option<&'a str>,
    },
    /// A picture, in base64.
    Image(&'a str),
}

fn item_of<'a>(part: &'a Part<'_>) -> Option<Output<'a>> {
    Some(match part {
        Part::Text { text, .. } => Output::Text(text),
        Part::Refusal(text) => Output::Refusal(text),
        Part::ToolCall(call) => {
            let arguments = if call.arguments.is_empty() { "{}" } else { &*call.arguments };
            Output::Call { id: &call.id, name: &call.name, arguments }
        }
        Part::Reasoning { text, redacted, .. } => Output::Reasoning { text, encrypted: redacted.as_deref() },
        Part::Image(image) => Output::Image(image_data(image)),
        Part::Audio(_) | Part::Document { .. } | Part::ToolResult(_) => return None,
    })
}

/// What an `image_generation_call` holds of a picture: its bytes, or where they are if nobody has them here.
pub(super) fn image_data<'a>(image: &'a Image<'_>) -> &'a str {
    match &image.source {
        Source::Base64(data) | Source::Url(data) | Source::File(data) => data,
    }
}

/// Id of the item at this place of a response.
pub(super) fn item_id(kind: &str, response: &str, index: usize) -> String {
    format!("{kind}_{}_{index}", response.strip_prefix("resp_").unwrap_or(response))
}

impl Output<'_> {
    pub(super) const fn prefix(&self) -> &'static str {
        match self {
            Self::Text(_) | Self::Refusal(_) => "msg",
            Self::Call { .. } => "fc",
            Self::Reasoning { .. } => "rs",
            Self::Image(_) => "ig",
        }
    }

    /// The item; one in progress has no content yet.
    pub(super) fn write(&self, out: &mut Vec<u8>, response: &str, index: usize, done: bool) {
        let status = if done { "completed" } else { "in_progress" };
        let mut item = Object::new(out);
        item.put("id", &item_id(self.prefix(), response, index));
        match self {
            Self::Text(_) | Self::Refusal(_) => {
                item.put("type", "message").put("status", status).put("role", "assistant");
                let mut content = Array::new(item.key("content"));
                if done {
                    self.write_content(content.item());
                }
                content.end();
            }
            Self::Call { id, name, arguments } => {
                item.put("type", "function_call").put("status", status);
                item.put("call_id", id).put("name", name);
                item.put("arguments", if done { *arguments } else { "" });
            }
            Self::Reasoning { text, encrypted } => {
                item.put("type", "reasoning");
                let mut summary = Array::new(item.key("summary"));
                if done && !text.is_empty() {
                    self.write_content(summary.item());
                }
                summary.end();
                item.given("encrypted_content", encrypted.filter(|_| done));
            }
            Self::Image(data) => {
                item.put("type", "image_generation_call").put("status", status);
                item.given("result", Some(*data).filter(|_| done));
            }
        }
        item.end();
    }

    /// The part of the item that grows.
    pub(super) fn write_content(&self, out: &mut Vec<u8>) {
        let mut part = Object::new(out);
        match self {
            Self::Text(text) => {
                part.put("type", "output_text").put("text", text);
                part.raw("annotations", "[]").raw("logprobs", "[]");
            }
            Self::Refusal(text) => {
                part.put("type", "refusal").put("refusal", text);
            }
            Self::Reasoning { text, .. } => {
                part.put("type", "summary_text").put("text", text);
            }
            Self::Call { .. } | Self::Image(_) => {}
        }
        part.end();
    }
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
