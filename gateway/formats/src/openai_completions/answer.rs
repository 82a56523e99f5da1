//! Whole answers (`text_completion`).

use crate::exchange::{Answer, AnswerHead, Part, Stop};
use crate::json::{Array, Object};
use crate::openai::usage;

/// Writes an answer for a client: its texts. Thoughts and calls of tools have no place in this format.
#[must_use]
pub fn encode(answer: &Answer<'_>, shown: &AnswerHead) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    let mut body = Object::new(&mut out);
    body.put("id", &shown.id)
        .put("object", "text_completion")
        .put("created", &shown.created_s)
        .put("model", &shown.model);
    let text: String = answer
        .parts
        .iter()
        .filter_map(|part| match part {
            Part::Text { text, .. } | Part::Refusal(text) => Some(&**text),
            _ => None,
        })
        .collect();
    let mut choices = Array::new(body.key("choices"));
    choices.object(|choice| {
        choice.put("text", &text).put("index", &0).raw("logprobs", "null");
        choice.put("finish_reason", finish_reason(answer.stop));
    });
    choices.end();
    if let Some(usage) = &answer.usage {
        usage::write(body.key("usage"), usage);
    }
    body.end();
    out
}

pub(super) fn finish_reason(stop: Stop) -> &'static str {
    match stop {
        Stop::Length => "length",
        Stop::ContentFilter | Stop::Refusal => "content_filter",
        Stop::End | Stop::StopSequence | Stop::ToolUse | Stop::Pause | Stop::Other => "stop",
    }
}
