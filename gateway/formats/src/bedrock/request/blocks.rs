//! Content blocks of Converse.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;
use tollgate_families::{Returned, Traits};

use super::media::{self, MediaBlock, Names};
use crate::calls::{Arguments, CallId};
use crate::error::FormatError;
use crate::exchange::{CacheMark, Part, ToolCall, ToolResult};
use crate::media::left_out;
use crate::unmapped::Unmapped;

/// One block; the name of its kind is its only key.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Block<'r> {
    Text(Cow<'r, str>),
    /// Of a tool's result only.
    Json(&'r RawValue),
    Image(MediaBlock<'r>),
    Audio(MediaBlock<'r>),
    Document(MediaBlock<'r>),
    ToolUse(ToolUse<'r>),
    ToolResult(ToolResultBlock<'r>),
    ReasoningContent(ReasoningContent<'r>),
    CachePoint(CachePoint),
}

impl<'r> Block<'r> {
    pub(super) const fn text(text: &'r str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolUse<'r> {
    tool_use_id: CallId<'r>,
    name: &'r str,
    input: Arguments<'r>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolResultBlock<'r> {
    tool_use_id: CallId<'r>,
    content: Vec<Block<'r>>,
    /// Only some models know it; success is what they assume.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum ReasoningContent<'r> {
    ReasoningText(ReasoningText<'r>),
    RedactedContent(&'r str),
}

#[derive(Debug, Serialize)]
pub(super) struct ReasoningText<'r> {
    text: &'r str,
    signature: &'r str,
}

/// Where a prefix of the prompt may end in the cache.
#[derive(Debug, Serialize)]
pub(super) struct CachePoint {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<&'static str>,
}

impl From<CacheMark> for CachePoint {
    fn from(mark: CacheMark) -> Self {
        let ttl = (mark == CacheMark::OneHour).then_some("1h");
        Self { kind: "default", ttl }
    }
}

/// Writes parts as blocks; counts the documents of a request on the way.
pub(super) struct BlockWriter<'u> {
    traits: &'u Traits,
    unmapped: &'u mut Unmapped,
    names: Names,
}

impl<'u> BlockWriter<'u> {
    pub(super) fn new(traits: &'u Traits, unmapped: &'u mut Unmapped) -> Self {
        Self { traits, unmapped, names: Names::default() }
    }

    pub(super) fn unmapped(&mut self) -> &mut Unmapped {
        self.unmapped
    }

    pub(super) const fn traits(&self) -> &'u Traits {
        self.traits
    }

    /// The blocks of a turn, with their cache marks. Blank texts are left out, which the API refuses, and so are
    /// thoughts that the model may not have back.
    pub(super) fn content<'r>(&mut self, parts: &'r [Part<'_>]) -> Result<Vec<Block<'r>>, FormatError> {
        let mut out = Vec::with_capacity(parts.len());
        for part in parts {
            self.write(part, &mut out)?;
        }
        Ok(out)
    }

    fn write<'r>(&mut self, part: &'r Part<'_>, out: &mut Vec<Block<'r>>) -> Result<(), FormatError> {
        let (block, cache) = match part {
            Part::Text { cache, .. } => (self.medium(part)?, *cache),
            Part::Image(image) => (self.medium(part)?, image.cache),
            Part::Audio(media) | Part::Document { media, .. } => (self.medium(part)?, media.cache),
            Part::Refusal(_) => (self.medium(part)?, None),
            Part::ToolCall(call) if !self.traits.tools.taken => (Some(call_as_text(call)), None),
            Part::ToolCall(call) => (Some(Block::ToolUse(tool_use(call))), None),
            Part::ToolResult(result) => return self.tool_result(result, out),
            Part::Reasoning { .. } if self.traits.thoughts.returned != Returned::Signed => (None, None),
            Part::Reasoning { text, signature, redacted } => {
                (thought(text, signature.as_deref(), redacted.as_deref()).map(Block::ReasoningContent), None)
            }
        };
        let is_there = block.is_some();
        out.extend(block);
        out.extend(cache.filter(|_| is_there).map(|mark| Block::CachePoint(mark.into())));
        Ok(())
    }

    /// What can also stand within a result.
    fn medium<'r>(&mut self, part: &'r Part<'_>) -> Result<Option<Block<'r>>, FormatError> {
        let media = &self.traits.media;
        Ok(match part {
            Part::Text { text, .. } | Part::Refusal(text) => text_block(text),
            Part::Image(_) if !media.images => {
                self.unmapped.param("messages[].content[].image_url")?;
                None
            }
            Part::Image(image) => media::image(image, self.unmapped)?.map(Block::Image),
            Part::Audio(audio) => media::audio(audio, self.unmapped)?.map(Block::Audio),
            Part::Document { media, name } => {
                let name = name.as_deref();
                media::document(media, name, self.traits, &mut self.names, self.unmapped)?
                    .map(Block::Document)
            }
            Part::ToolCall(_) | Part::ToolResult(_) | Part::Reasoning { .. } => None,
        })
    }

    /// A result, and behind it what the model takes only beside results.
    fn tool_result<'r>(
        &mut self,
        result: &'r ToolResult<'_>,
        out: &mut Vec<Block<'r>>,
    ) -> Result<(), FormatError> {
        let (mut content, mut beside) = (Vec::with_capacity(result.parts.len()), Vec::new());
        for part in &result.parts {
            let Some(block) = self.medium(part)? else { continue };
            match &block {
                Block::Image(_) if !self.traits.media.result_images => beside.push(block),
                Block::Document(_) if !self.traits.media.result_documents => beside.push(block),
                _ => content.push(block),
            }
        }
        if content.is_empty() {
            // Only objects have a place as JSON.
            content.extend(result.json.map(|json| match json.get().starts_with('{') {
                true => Block::Json(json),
                false => Block::text(json.get()),
            }));
        }
        if content.is_empty() && beside.is_empty() {
            content.extend(left_out(&result.parts).map(Block::text));
        }
        if self.traits.tools.taken {
            out.push(Block::ToolResult(ToolResultBlock {
                tool_use_id: CallId(&result.call_id),
                content,
                status: result.is_error.then_some("error"),
            }));
        } else {
            out.extend(content.into_iter().map(|block| match block {
                Block::Json(json) => Block::text(json.get()),
                other => other,
            }));
        }
        out.extend(result.cache.map(|mark| Block::CachePoint(mark.into())));
        out.extend(beside);
        Ok(())
    }
}

fn text_block(text: &str) -> Option<Block<'_>> {
    (!text.trim_ascii().is_empty()).then_some(Block::text(text))
}

/// For models without tools that go on with the conversation of one that has them.
fn call_as_text<'r>(call: &ToolCall<'_>) -> Block<'r> {
    Block::Text(Cow::Owned(format!("Called the tool {} with {}", call.name, call.arguments)))
}

fn tool_use<'r>(call: &'r ToolCall<'_>) -> ToolUse<'r> {
    ToolUse { tool_use_id: CallId(&call.id), name: &call.name, input: Arguments(&call.arguments) }
}

fn thought<'r>(
    text: &'r str,
    signature: Option<&'r str>,
    redacted: Option<&'r str>,
) -> Option<ReasoningContent<'r>> {
    if let Some(data) = redacted {
        return Some(ReasoningContent::RedactedContent(data));
    }
    let signature = signature?;
    Some(ReasoningContent::ReasoningText(ReasoningText { text, signature }))
}
