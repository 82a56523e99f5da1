//! Whole answers: `message` objects.

use std::borrow::Cow;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::usage::{UsageIn, UsageOut};
use super::wire::Block;
use crate::calls::{Arguments, CallId};
use crate::error::FormatError;
use crate::exchange::{Answer, AnswerHead, Image, Part, Source, Stop, Text, ToolCall, Usage};
use crate::json::{self, Str};

#[derive(serde::Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    id: Option<Str<'a>>,
    #[serde(borrow, default)]
    model: Option<Str<'a>>,
    #[serde(borrow)]
    content: Vec<Block<'a>>,
    #[serde(borrow, default)]
    stop_reason: Option<Str<'a>>,
    #[serde(borrow, default)]
    stop_sequence: Option<Str<'a>>,
    #[serde(borrow, default)]
    usage: Option<UsageIn<'a>>,
}

/// Reads an answer. Blocks of tools that run at the provider are left out: a translated request cannot ask for them.
///
/// # Errors
/// When the body is no message.
pub fn decode(body: &[u8]) -> Result<Answer<'_>, FormatError> {
    let message: Message<'_> = serde_json::from_str(json::answer_text(body)?)?;
    let (usage, service_tier) = match message.usage {
        Some(report) => (Some(report.after(&Usage::default())), report.service_tier),
        None => (None, None),
    };
    Ok(Answer {
        id: message.id.map(Str::into_text).unwrap_or_default(),
        model: message.model.map(Str::into_text).unwrap_or_default(),
        created_s: None,
        parts: message.content.into_iter().filter_map(part).collect(),
        stop: message.stop_reason.as_deref().map_or(Stop::Other, stop_from_name),
        stop_sequence: message.stop_sequence.map(Str::into_text),
        usage,
        logprobs: None,
        service_tier: service_tier.map(Str::into_text),
    })
}

fn part(block: Block<'_>) -> Option<Part<'_>> {
    Some(match block.kind() {
        "text" => Part::Text { text: block.text?.0, cache: None },
        "tool_use" => Part::ToolCall(ToolCall {
            id: block.id?.0,
            name: block.name?.0,
            arguments: Cow::Borrowed(block.input.map_or("", |raw| raw.get())),
        }),
        "thinking" => Part::Reasoning {
            text: block.thinking?.0,
            signature: block.signature.map(Str::into_text).filter(|text| !text.is_empty()),
            redacted: None,
        },
        "redacted_thinking" => {
            Part::Reasoning { text: Cow::Borrowed(""), signature: None, redacted: Some(block.data?.0) }
        }
        _ => return None,
    })
}

/// Reads a stop reason.
pub(super) fn stop_from_name(name: &str) -> Stop {
    match name {
        "end_turn" => Stop::End,
        "max_tokens" | "model_context_window_exceeded" => Stop::Length,
        "stop_sequence" => Stop::StopSequence,
        "tool_use" => Stop::ToolUse,
        "pause_turn" => Stop::Pause,
        "refusal" => Stop::Refusal,
        _ => Stop::Other,
    }
}

/// Writes a stop reason. OpenAI's answers to a forced call of a tool end with `stop`; clients of this format look
/// for `tool_use`.
pub(super) const fn stop_name(stop: Stop, calls_a_tool: bool) -> &'static str {
    match stop {
        Stop::End | Stop::Other if calls_a_tool => "tool_use",
        Stop::End | Stop::Other => "end_turn",
        Stop::Length => "max_tokens",
        Stop::StopSequence => "stop_sequence",
        Stop::ToolUse => "tool_use",
        Stop::ContentFilter | Stop::Refusal => "refusal",
        Stop::Pause => "pause_turn",
    }
}

/// Writes an answer.
#[must_use]
pub fn encode(answer: &Answer<'_>, shown: &AnswerHead) -> Vec<u8> {
    let calls_a_tool = answer.parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
    let usage = answer.usage.unwrap_or_default();
    let message = MessageOut {
        id: &shown.id,
        kind: "message",
        role: "assistant",
        model: &shown.model,
        content: Blocks(&answer.parts),
        stop_reason: Some(stop_name(answer.stop, calls_a_tool)),
        stop_sequence: answer.stop_sequence.as_ref(),
        usage: UsageOut(&usage, answer.service_tier.as_deref().and_then(tier_name)),
    };
    let mut out = Vec::with_capacity(512);
    json::write(&mut out, &message);
    out
}

/// A tier in this format's words.
fn tier_name(tier: &str) -> Option<&'static str> {
    Some(match tier {
        "standard" | "default" => "standard",
        "priority" => "priority",
        "batch" => "batch",
        _ => return None,
    })
}

/// A message; in a stream the content is empty and the end is not known.
#[derive(serde::Serialize)]
pub(super) struct MessageOut<'m, 'a> {
    pub(super) id: &'m str,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) role: &'static str,
    pub(super) model: &'m str,
    pub(super) content: Blocks<'m, 'a>,
    pub(super) stop_reason: Option<&'static str>,
    pub(super) stop_sequence: Option<&'m Text<'a>>,
    pub(super) usage: UsageOut<'m>,
}

/// Parts of an answer as blocks; parts that no answer of this format has are left out.
pub(super) struct Blocks<'m, 'a>(pub(super) &'m [Part<'a>]);

impl Serialize for Blocks<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let has_block =
            |part: &&Part<'_>| !matches!(part, Part::Audio(_) | Part::Document { .. } | Part::ToolResult(_));
        serializer.collect_seq(self.0.iter().filter(has_block).map(BlockOut))
    }
}

struct BlockOut<'m, 'a>(&'m Part<'a>);

impl Serialize for BlockOut<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Part::Image(image) = self.0 {
            return ImageOut(image).serialize(serializer);
        }
        let mut map = serializer.serialize_map(None)?;
        match self.0 {
            Part::Text { text, .. } | Part::Refusal(text) => {
                map.serialize_entry("type", "text")?;
                map.serialize_entry("text", text)?;
            }
            Part::ToolCall(call) => {
                map.serialize_entry("type", "tool_use")?;
                map.serialize_entry("id", &CallId(&call.id))?;
                map.serialize_entry("name", &call.name)?;
                map.serialize_entry("input", &Arguments(&call.arguments))?;
            }
            Part::Reasoning { redacted: Some(data), .. } => {
                map.serialize_entry("type", "redacted_thinking")?;
                map.serialize_entry("data", data)?;
            }
            Part::Reasoning { text, signature, .. } => {
                map.serialize_entry("type", "thinking")?;
                map.serialize_entry("thinking", text)?;
                map.serialize_entry("signature", signature.as_deref().unwrap_or_default())?;
            }
            Part::Image(_) | Part::Audio(_) | Part::Document { .. } | Part::ToolResult(_) => {}
        }
        map.end()
    }
}

/// A picture that the model made, in the form that pictures have in this format's requests: answers of Claude have
/// none, and a client that knows no such block passes it over.
pub(super) struct ImageOut<'m, 'a>(pub(super) &'m Image<'a>);

impl Serialize for ImageOut<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        #[serde(tag = "type", rename_all = "snake_case")]
        enum SourceOut<'s> {
            Base64 { media_type: &'s str, data: &'s str },
            Url { url: &'s str },
            File { file_id: &'s str },
        }
        let source = match &self.0.source {
            Source::Base64(data) => SourceOut::Base64 { media_type: &self.0.media_type, data },
            Source::Url(url) => SourceOut::Url { url },
            Source::File(file_id) => SourceOut::File { file_id },
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", "image")?;
        map.serialize_entry("source", &source)?;
        map.end()
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
