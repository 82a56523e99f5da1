//! Content blocks of Converse.

use serde::Serialize;
use serde_json::value::RawValue;

use super::media::{self, MediaBlock};
use crate::calls::{Arguments, CallId};
use crate::error::FormatError;
use crate::exchange::{CacheMark, Part, ToolCall, ToolResult};
use crate::unmapped::Unmapped;

/// One block; the name of its kind is its only key.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Block<'r> {
    Text(&'r str),
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
    unmapped: &'u mut Unmapped,
    documents: usize,
}

impl<'u> BlockWriter<'u> {
    pub(super) fn new(unmapped: &'u mut Unmapped) -> Self {
        Self { unmapped, documents: 0 }
    }

    pub(super) fn unmapped(&mut self) -> &mut Unmapped {
        self.unmapped
    }

    /// Appends a part, and its cache mark. Blank texts are left out, which the API refuses, and so are thoughts
    /// that Bedrock has not signed.
    pub(super) fn write<'r>(
        &mut self,
        part: &'r Part<'_>,
        out: &mut Vec<Block<'r>>,
    ) -> Result<(), FormatError> {
        let (block, cache) = match part {
            Part::Text { text, cache } => (text_block(text), *cache),
            Part::Refusal(text) => (text_block(text), None),
            Part::Image(image) => (media::image(image, self.unmapped)?.map(Block::Image), image.cache),
            Part::Audio(audio) => (media::audio(audio, self.unmapped)?.map(Block::Audio), audio.cache),
            Part::Document { media, name } => {
                let block = media::document(media, name.as_deref(), self.documents, self.unmapped)?;
                self.documents += usize::from(block.is_some());
                (block.map(Block::Document), media.cache)
            }
            Part::ToolCall(call) => (Some(Block::ToolUse(tool_use(call))), None),
            Part::ToolResult(result) => {
                let block = self.tool_result(result)?;
                (Some(Block::ToolResult(block)), result.cache)
            }
            Part::Reasoning { text, signature, redacted } => {
                (thought(text, signature.as_deref(), redacted.as_deref()).map(Block::ReasoningContent), None)
            }
        };
        let is_there = block.is_some();
        out.extend(block);
        out.extend(cache.filter(|_| is_there).map(|mark| Block::CachePoint(mark.into())));
        Ok(())
    }

    fn tool_result<'r>(&mut self, result: &'r ToolResult<'_>) -> Result<ToolResultBlock<'r>, FormatError> {
        let mut content = Vec::with_capacity(result.parts.len());
        for part in &result.parts {
            self.write(part, &mut content)?;
        }
        if content.is_empty() {
            // Only objects have a place as JSON.
            content.extend(result.json.map(|json| match json.get().starts_with('{') {
                true => Block::Json(json),
                false => Block::Text(json.get()),
            }));
        }
        Ok(ToolResultBlock {
            tool_use_id: CallId(&result.call_id),
            content,
            status: result.is_error.then_some("error"),
        })
    }
}

fn text_block(text: &str) -> Option<Block<'_>> {
    (!text.trim_ascii().is_empty()).then_some(Block::Text(text))
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
