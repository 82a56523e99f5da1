//! Whole answers (`chat.completion`): into the common view, and from the view for a client.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::pictures::pictures;
use super::request::{TIERS, write_call};
use super::thoughts::{ThinkingBlock, thoughts};
use super::wire::{CallWire, Content, PartWire, ToolCallWire};
use crate::custom_text::custom_input;
use crate::error::FormatError;
use crate::exchange::{Answer, AnswerHead, Image, Part, Source, Stop, Text, ToolCall, Usage};
use crate::json::{Array, Object, Str, answer_text, write};
use crate::openai::error;
use crate::openai::usage::{self, UsageReport};

#[derive(Deserialize)]
struct Completion<'a> {
    #[serde(borrow, default)]
    id: Option<Str<'a>>,
    #[serde(borrow, default)]
    model: Option<Str<'a>>,
    /// Some servers say it with a fraction.
    #[serde(default)]
    created: Option<f64>,
    #[serde(borrow, default)]
    choices: SmallVec<[Choice<'a>; 1]>,
    #[serde(default)]
    usage: Option<UsageReport>,
    #[serde(borrow, default)]
    service_tier: Option<Str<'a>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, default)]
    message: Option<Message<'a>>,
    /// The answer of the legacy completions format, which is else the same.
    #[serde(borrow, default)]
    text: Option<Str<'a>>,
    #[serde(borrow, default)]
    finish_reason: Option<Str<'a>>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    logprobs: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Content<'a>,
    #[serde(borrow, default)]
    reasoning_content: Option<Str<'a>>,
    #[serde(borrow, default)]
    reasoning: Option<Str<'a>>,
    #[serde(borrow, default)]
    thinking_blocks: Option<Vec<ThinkingBlock<'a>>>,
    #[serde(borrow, default)]
    reasoning_details: Option<&'a RawValue>,
    #[serde(borrow, default)]
    images: Option<&'a RawValue>,
    #[serde(borrow, default)]
    refusal: Option<Str<'a>>,
    #[serde(borrow, default)]
    tool_calls: Option<Vec<ToolCallWire<'a>>>,
    #[serde(borrow, default)]
    function_call: Option<CallWire<'a>>,
}

/// Reads an answer. Several choices become the parts of one: they are not translated, only metered.
///
/// # Errors
/// When the body is no chat answer.
pub fn decode(body: &[u8]) -> Result<Answer<'_>, FormatError> {
    let completion: Completion<'_> = serde_json::from_slice(body)?;
    let id = completion.id.map(Str::into_text).unwrap_or_default();
    let (mut parts, mut first) = (Vec::new(), None);
    for choice in completion.choices {
        if let Some(failed) = error::of_choice(choice.finish_reason.as_deref(), choice.error) {
            return Err(FormatError::Provider(Box::new(failed)));
        }
        first.get_or_insert((choice.finish_reason, choice.logprobs));
        parts.extend(choice.text.map(|text| Part::text(text.0)));
        parts.extend(choice.message.into_iter().flat_map(|message| message.parts(&id)));
    }
    let Some((finish_reason, logprobs)) = first else {
        return Err(no_choices());
    };
    let finish = finish_reason.as_deref().map_or(Stop::Other, stop_of);
    Ok(Answer {
        stop: stop_with(finish, &parts),
        parts,
        id,
        model: completion.model.map(Str::into_text).unwrap_or_default(),
        created_s: completion.created.map(|created| created as u64),
        stop_sequence: None,
        usage: completion.usage.map(|report| report.usage()),
        logprobs: logprobs.map(Cow::Borrowed),
        service_tier: completion.service_tier.map(Str::into_text),
    })
}

#[derive(Deserialize)]
struct Metered<'a> {
    #[serde(borrow, default)]
    choices: SmallVec<[ChoiceEnd<'a>; 4]>,
    #[serde(default)]
    usage: Option<UsageReport>,
}

/// A choice of which no more need be known than whether it failed.
#[derive(Deserialize)]
struct ChoiceEnd<'a> {
    #[serde(borrow, default)]
    finish_reason: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

/// Reads no more than what an answer used, for one that passes as it came. `None` if the server does not say:
/// then [`decode`] tells what there is to count.
///
/// # Errors
/// When the body is no chat answer.
pub fn usage(body: &[u8]) -> Result<Option<Usage>, FormatError> {
    let metered: Metered<'_> = serde_json::from_str(answer_text(body)?)?;
    if metered.choices.is_empty() {
        return Err(no_choices());
    }
    for choice in &metered.choices {
        let reason = choice.finish_reason.map(|raw| raw.get().trim_matches('"'));
        if let Some(failed) = error::of_choice(reason, choice.error) {
            return Err(FormatError::Provider(Box::new(failed)));
        }
    }
    Ok(metered.usage.map(|report| report.usage()))
}

fn no_choices() -> FormatError {
    FormatError::invalid("the answer has no choices", "choices")
}

impl<'a> Message<'a> {
    fn parts(self, answer_id: &str) -> Vec<Part<'a>> {
        let text = self.reasoning_content.or(self.reasoning);
        let mut parts = thoughts(self.thinking_blocks, self.reasoning_details, text);
        match self.content {
            Content::None => {}
            Content::Text(text) if text.is_empty() => {}
            Content::Text(text) => parts.push(Part::text(text)),
            // Parts that only this server knows are no reason to lose an answer that is paid for.
            Content::Parts(items) => {
                parts.extend(items.into_iter().filter_map(|item| PartWire::part(item).ok()))
            }
        }
        parts.extend(pictures(self.images).map(Part::Image));
        parts.extend(self.refusal.filter(|text| !text.is_empty()).map(|text| Part::Refusal(text.0)));
        for (place, call) in self.tool_calls.into_iter().flatten().enumerate() {
            let id = call.id.map(Str::into_text).filter(|id| !id.is_empty());
            let id = id.unwrap_or_else(|| call_id(answer_id, place).into());
            let (name, arguments) = match (call.function, call.custom) {
                (Some(mut function), _) => (function.name(), function.arguments()),
                (None, Some(custom)) => custom.into_parts(),
                (None, None) => continue,
            };
            parts.push(Part::ToolCall(ToolCall { id, name, arguments }));
        }
        if let Some(mut call) = self.function_call {
            let (name, arguments) = (call.name(), call.arguments());
            parts.push(Part::ToolCall(ToolCall { id: call_id(answer_id, 0).into(), name, arguments }));
        }
        parts
    }
}

/// An id for a call of a server that gives no ids; different in every answer.
pub(super) fn call_id(answer_id: &str, place: usize) -> String {
    let letters: String = answer_id.chars().filter(char::is_ascii_alphanumeric).take(32).collect();
    format!("call_{letters}{place}")
}

/// What a `finish_reason` says.
pub(super) fn stop_of(finish_reason: &str) -> Stop {
    match finish_reason {
        "stop" => Stop::End,
        "length" => Stop::Length,
        "tool_calls" | "function_call" => Stop::ToolUse,
        "content_filter" => Stop::ContentFilter,
        _ => Stop::Other,
    }
}

/// `stop` is also said after the call of a tool that was demanded, and after a refusal.
fn stop_with(stop: Stop, parts: &[Part<'_>]) -> Stop {
    let calls = parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
    let refused = parts.iter().any(|part| matches!(part, Part::Refusal(_)));
    refined(stop, calls, refused)
}

pub(super) fn refined(stop: Stop, calls: bool, refused: bool) -> Stop {
    match stop {
        Stop::End if calls => Stop::ToolUse,
        Stop::End if refused => Stop::Refusal,
        stop => stop,
    }
}

/// The `finish_reason` that clients read. `refused` is whether the refusal has a text of its own.
pub(super) fn finish_reason(stop: Stop, refused: bool, legacy_functions: bool) -> &'static str {
    match stop {
        Stop::Length => "length",
        Stop::ToolUse if legacy_functions => "function_call",
        Stop::ToolUse => "tool_calls",
        Stop::ContentFilter => "content_filter",
        Stop::Refusal if !refused => "content_filter",
        Stop::End | Stop::StopSequence | Stop::Refusal | Stop::Pause | Stop::Other => "stop",
    }
}

/// Writes an answer for a client.
#[must_use]
pub fn encode(answer: &Answer<'_>, shown: &AnswerHead) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    let mut body = Object::new(&mut out);
    body.put("id", &shown.id)
        .put("object", "chat.completion")
        .put("created", &shown.created_s)
        .put("model", &shown.model);
    let mut choices = Array::new(body.key("choices"));
    choices.object(|choice| {
        choice.put("index", &0).object("message", |message| write_message(message, answer, shown));
        choice.raw("logprobs", answer.logprobs.as_deref().map_or("null", RawValue::get));
        let refused = answer.parts.iter().any(|part| matches!(part, Part::Refusal(_)));
        choice.put("finish_reason", finish_reason(answer.stop, refused, shown.legacy_functions));
    });
    choices.end();
    if let Some(usage) = &answer.usage {
        usage::write(body.key("usage"), usage);
    }
    let tier = answer.service_tier.as_deref().filter(|tier| TIERS.contains(tier));
    body.given("service_tier", tier);
    body.end();
    out
}

fn write_message(message: &mut Object<'_>, answer: &Answer<'_>, shown: &AnswerHead) {
    let joined =
        |pick: for<'p> fn(&'p Part<'_>) -> Option<&'p str>| join(answer.parts.iter().filter_map(pick));
    message.put("role", "assistant");
    let text = joined(|part| match part {
        Part::Text { text, .. } => Some(text),
        _ => None,
    });
    write(message.key("content"), &text);
    let refusal = joined(|part| match part {
        Part::Refusal(text) => Some(text),
        _ => None,
    });
    write(message.key("refusal"), &refusal);
    let thoughts = joined(|part| match part {
        Part::Reasoning { text, .. } => Some(text).filter(|text| !text.is_empty()).map(|text| &**text),
        _ => None,
    });
    message.given("reasoning_content", thoughts);
    write_images(message, answer);
    write_thinking(message, answer);
    write_calls(message, answer, shown);
}

fn write_calls(message: &mut Object<'_>, answer: &Answer<'_>, shown: &AnswerHead) {
    let calls = || {
        answer.parts.iter().filter_map(|part| match part {
            Part::ToolCall(call) => Some(call),
            _ => None,
        })
    };
    match calls().next() {
        None => {}
        Some(call) if shown.legacy_functions => {
            message.object("function_call", |function| {
                let arguments = if call.arguments.is_empty() { "{}" } else { &call.arguments };
                function.put("name", &call.name).put("arguments", arguments);
            });
        }
        Some(_) => {
            let mut list = Array::new(message.key("tool_calls"));
            let is_custom = |name: &str| shown.tool_names.as_ref().is_some_and(|names| names.is_custom(name));
            calls().for_each(|call| {
                list.object(|item| match is_custom(&call.name) {
                    true => write_custom_call(item, call),
                    false => write_call(item, call),
                });
            });
            list.end();
        }
    }
}

/// A call of a tool that takes free text, for the client that gave it as such.
fn write_custom_call(item: &mut Object<'_>, call: &ToolCall<'_>) {
    item.put("id", &call.id).put("type", "custom").object("custom", |custom| {
        custom.put("name", &call.name).put("input", &custom_input(&call.arguments));
    });
}

/// Pictures as servers of this format whose models draw tell them: `images`, beside the text.
fn write_images(message: &mut Object<'_>, answer: &Answer<'_>) {
    let images = || {
        answer.parts.iter().filter_map(|part| match part {
            Part::Image(image) => Some(image),
            _ => None,
        })
    };
    if images().next().is_none() {
        return;
    }
    let mut list = Array::new(message.key("images"));
    images().for_each(|image| write_image(&mut list, image));
    list.end();
}

pub(super) fn write_image(list: &mut Array<'_>, image: &Image<'_>) {
    let url = match &image.source {
        Source::Url(url) | Source::File(url) => url.clone(),
        Source::Base64(data) => format!("data:{};base64,{data}", image.media_type).into(),
    };
    list.object(|item| {
        item.put("type", "image_url").object("image_url", |image_url| {
            image_url.put("url", &url);
        });
    });
}

/// Thoughts with proofs, for clients that send them back; see [`super`].
fn write_thinking(message: &mut Object<'_>, answer: &Answer<'_>) {
    let proven = |part: &&Part<'_>| matches!(part, Part::Reasoning { signature, redacted, .. } if signature.is_some() || redacted.is_some());
    if !answer.parts.iter().any(|part| proven(&part)) {
        return;
    }
    let mut blocks = Array::new(message.key("thinking_blocks"));
    for part in answer.parts.iter().filter(proven) {
        if let Part::Reasoning { text, signature, redacted } = part {
            blocks.object(|block| write_block(block, text, signature.as_deref(), redacted.as_deref()));
        }
    }
    blocks.end();
}

pub(super) fn write_block(
    block: &mut Object<'_>,
    thinking: &str,
    signature: Option<&str>,
    redacted: Option<&str>,
) {
    match redacted {
        Some(data) => {
            block.put("type", "redacted_thinking").put("data", data);
        }
        None => {
            block.put("type", "thinking").put("thinking", thinking).given("signature", signature);
        }
    }
}

/// Texts one after the other; `None` if there are no texts.
fn join<'p>(mut texts: impl Iterator<Item = &'p str>) -> Option<Text<'p>> {
    let first = texts.next()?;
    let Some(second) = texts.next() else { return Some(first.into()) };
    let mut joined = String::with_capacity(first.len() + second.len());
    joined.push_str(first);
    joined.push_str(second);
    joined.extend(texts);
    Some(joined.into())
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
