//! The items of an answer's output as a client sees them.

use std::borrow::Cow;

use super::{custom, logprobs};
use crate::calls::Arguments;
use crate::exchange::{AnswerHead, Image, Part, Source};
use crate::json::{Array, Object};

/// One item of the output.
#[derive(Debug)]
pub(super) enum Output<'a> {
    /// What was said, and its tokens as JSON.
    Text {
        text: &'a str,
        logprobs: &'a str,
    },
    Refusal(&'a str),
    Call {
        id: &'a str,
        tool: Tool<'a>,
        arguments: &'a str,
    },
    /// Thoughts and their proof, or what only a provider can read.
    Reasoning {
        text: &'a str,
        sealed: Option<&'a str>,
        is_redacted: bool,
    },
    Picture {
        media_type: &'a str,
        data: &'a str,
    },
}

/// A tool as the client named it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tool<'a> {
    pub(super) name: &'a str,
    pub(super) namespace: Option<&'a str>,
    pub(super) form: Form,
}

/// What a call of a tool looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// With JSON.
    Function,
    /// With a text.
    Custom,
    /// A search for tools that the client runs.
    Search,
}

impl<'a> Tool<'a> {
    /// The tool that a backend calls `name`.
    pub(super) fn of(shown: &'a AnswerHead, name: &'a str) -> Self {
        let Some(tool) = shown.tool_names.as_ref().and_then(|names| names.by_sent(name)) else {
            return Self { name, namespace: None, form: Form::Function };
        };
        let form = match (tool.is_custom, tool.is_search) {
            (true, _) => Form::Custom,
            (_, true) => Form::Search,
            _ => Form::Function,
        };
        Self { name: &tool.name, namespace: tool.namespace.as_deref(), form }
    }
}

impl<'a> Output<'a> {
    /// A part of an answer; `None` if no item can hold it.
    pub(super) fn of(part: &'a Part<'_>, shown: &'a AnswerHead) -> Option<Self> {
        Some(match part {
            Part::Text { text, .. } => Self::Text { text, logprobs: logprobs::NONE },
            Part::Refusal(text) => Self::Refusal(text),
            Part::ToolCall(call) => {
                Self::Call { id: &call.id, tool: Tool::of(shown, &call.name), arguments: &call.arguments }
            }
            Part::Reasoning { text, signature, redacted } => {
                let sealed = signature.as_deref().or(redacted.as_deref());
                Self::Reasoning { text, sealed, is_redacted: redacted.is_some() }
            }
            Part::Image(image) => Self::Picture { media_type: &image.media_type, data: image_data(image) },
            Part::Audio(_) | Part::Document { .. } | Part::ToolResult(_) => return None,
        })
    }

    const fn prefix(&self) -> &'static str {
        match self {
            Self::Text { .. } | Self::Refusal(_) => "msg",
            Self::Call { tool: Tool { form: Form::Function, .. }, .. } => "fc",
            Self::Call { tool: Tool { form: Form::Custom, .. }, .. } => "ctc",
            Self::Call { tool: Tool { form: Form::Search, .. }, .. } => "tsc",
            Self::Reasoning { .. } => "rs",
            Self::Picture { .. } => "ig",
        }
    }

    /// Id of the item at this place of a response.
    pub(super) fn id(&self, response: &str, index: usize) -> String {
        format!("{}_{}_{index}", self.prefix(), response.strip_prefix("resp_").unwrap_or(response))
    }

    /// The item; one in progress has no content yet.
    pub(super) fn write(&self, out: &mut Vec<u8>, response: &str, index: usize, done: bool) {
        let status = if done { "completed" } else { "in_progress" };
        let mut item = Object::new(out);
        item.put("id", &self.id(response, index));
        match self {
            Self::Text { .. } | Self::Refusal(_) => {
                item.put("type", "message").put("status", status).put("role", "assistant");
                let mut content = Array::new(item.key("content"));
                if done {
                    self.write_content(content.item());
                }
                content.end();
            }
            Self::Call { id, tool, arguments } => write_call(&mut item, id, *tool, arguments, done),
            Self::Reasoning { text, sealed, is_redacted } => {
                item.put("type", "reasoning");
                let mut summary = Array::new(item.key("summary"));
                // A proof of thoughts that are not shown has an empty text beside it: that tells it, when it comes
                // back, from thoughts that only the provider can read.
                if done && (!text.is_empty() || sealed.is_some() && !is_redacted) {
                    self.write_content(summary.item());
                }
                summary.end();
                item.given("encrypted_content", sealed.filter(|_| done));
            }
            Self::Picture { media_type, data } => {
                item.put("type", "image_generation_call").put("status", status);
                item.put("result", &done.then_some(*data));
                let format = media_type.strip_prefix("image/").filter(|_| done);
                item.given("output_format", format);
            }
        }
        item.end();
    }

    /// The part of the item that grows.
    pub(super) fn write_content(&self, out: &mut Vec<u8>) {
        let mut part = Object::new(out);
        match self {
            Self::Text { text, logprobs } => {
                part.put("type", "output_text").put("text", text);
                part.raw("annotations", "[]").raw("logprobs", logprobs);
            }
            Self::Refusal(text) => {
                part.put("type", "refusal").put("refusal", text);
            }
            Self::Reasoning { text, .. } => {
                part.put("type", "summary_text").put("text", text);
            }
            Self::Call { .. } | Self::Picture { .. } => {}
        }
        part.end();
    }
}

fn write_call(item: &mut Object<'_>, id: &str, tool: Tool<'_>, arguments: &str, done: bool) {
    let Tool { name, namespace, form } = tool;
    let status = if done { "completed" } else { "in_progress" };
    match form {
        Form::Function => {
            item.put("type", "function_call").put("status", status).put("call_id", id);
            item.put("name", name).given("namespace", namespace);
            item.put("arguments", if done { custom::written(arguments) } else { "" });
        }
        Form::Custom => {
            item.put("type", "custom_tool_call").put("status", status).put("call_id", id);
            item.put("name", name).given("namespace", namespace);
            item.put("input", &if done { custom::input(arguments) } else { Cow::Borrowed("") });
        }
        Form::Search => {
            item.put("type", "tool_search_call").put("status", status).put("call_id", id);
            item.put("execution", "client");
            item.put("arguments", &Arguments(if done { arguments } else { "" }));
        }
    }
}

/// What an `image_generation_call` holds of a picture: its bytes, or where they are if nobody has them here.
pub(super) fn image_data<'a>(image: &'a Image<'_>) -> &'a str {
    match &image.source {
        Source::Base64(data) | Source::Url(data) | Source::File(data) => data,
    }
}
