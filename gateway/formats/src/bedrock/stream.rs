//! A streamed answer of ConverseStream.
//!
//! Blocks of text and thoughts have no start event: their first delta is it. A block has one kind, but deltas of
//! thoughts and their signature share a block.

use std::borrow::Cow;

use serde::Deserialize;

use super::answer::ImageSource;
use super::error;
use super::event_stream::{Message, MessageKind};
use super::picture::Picture;
use super::wire::{AdditionalFields, TokenUsage, stop};
use crate::error::FormatError;
use crate::exchange::{Delta, PartStart, Phase, StreamDecoder, StreamEvent, Usage};
use crate::json::Str;

type Out<'o> = &'o mut dyn FnMut(StreamEvent<'_>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockStart<'a> {
    #[serde(borrow)]
    start: Start<'a>,
    content_block_index: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Start<'a> {
    #[serde(borrow, default)]
    tool_use: Option<ToolUseStart<'a>>,
    #[serde(borrow, default)]
    image: Option<ImageStart<'a>>,
}

#[derive(Deserialize)]
struct ImageStart<'a> {
    #[serde(borrow)]
    format: Str<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolUseStart<'a> {
    #[serde(borrow)]
    tool_use_id: Str<'a>,
    #[serde(borrow)]
    name: Str<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockDelta<'a> {
    #[serde(borrow)]
    delta: DeltaUnion<'a>,
    content_block_index: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeltaUnion<'a> {
    #[serde(borrow, default)]
    text: Option<Str<'a>>,
    #[serde(borrow, default)]
    tool_use: Option<ToolUseDelta<'a>>,
    #[serde(borrow, default)]
    reasoning_content: Option<ReasoningDelta<'a>>,
    #[serde(borrow, default)]
    image: Option<ImageDelta<'a>>,
}

#[derive(Deserialize)]
struct ImageDelta<'a> {
    #[serde(borrow, default)]
    source: Option<ImageSource<'a>>,
}

#[derive(Deserialize)]
struct ToolUseDelta<'a> {
    #[serde(borrow)]
    input: Str<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReasoningDelta<'a> {
    #[serde(borrow, default)]
    text: Option<Str<'a>>,
    #[serde(borrow, default)]
    signature: Option<Str<'a>>,
    #[serde(borrow, default)]
    redacted_content: Option<Str<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageStop<'a> {
    #[serde(borrow)]
    stop_reason: Str<'a>,
    #[serde(borrow, default)]
    additional_model_response_fields: Option<AdditionalFields<'a>>,
}

#[derive(Deserialize)]
struct Metadata<'a> {
    #[serde(borrow, default)]
    usage: Option<TokenUsage<'a>>,
}

/// Stands before the code of an error that the service's model does not know, where a name is expected.
const UNMODELLED: &str = "error:";

/// A message as [`Decoder::read`] takes it: the name of the event or exception and its JSON. Errors that the
/// service's model does not know have neither, so both are made.
///
/// # Errors
/// When the payload is not UTF-8.
pub fn name_and_data<'m>(message: &Message<'m>) -> Result<(Cow<'m, str>, Cow<'m, str>), FormatError> {
    let name = message.name().unwrap_or_default();
    if message.kind() == MessageKind::Error {
        let text = message.text(":error-message").unwrap_or_default();
        let data = serde_json::json!({ "message": text }).to_string();
        return Ok((Cow::Owned(format!("{UNMODELLED}{name}")), Cow::Owned(data)));
    }
    let payload = std::str::from_utf8(message.payload)
        .map_err(|_| FormatError::invalid("an event of the stream is not UTF-8", None))?;
    Ok((Cow::Borrowed(name), Cow::Borrowed(payload)))
}

/// Kinds of parts, as far as deltas must match them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Reasoning,
    Redacted,
    ToolCall,
}

/// A part that has begun and not ended.
#[derive(Debug, Clone, Copy)]
struct Open {
    /// The provider's number of its block.
    block: u32,
    kind: Kind,
}

/// Reads the events of one stream.
#[derive(Debug, Default)]
pub struct Decoder {
    phase: Phase,
    open: Option<Open>,
    /// Index of the next part.
    next: u32,
    picture: Option<Picture>,
}

impl Decoder {
    /// For a new stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads one message of the event stream, whatever it tells.
    ///
    /// # Errors
    /// When the message cannot be understood.
    pub fn read_message(&mut self, message: &Message<'_>, out: Out<'_>) -> Result<(), FormatError> {
        let (name, data) = name_and_data(message)?;
        self.read(Some(&name), &data, out)
    }

    fn fail(&mut self, name: &str, payload: &str, out: Out<'_>) {
        self.phase = Phase::Ended;
        out(StreamEvent::Failed(error::in_stream(name, payload)));
    }

    fn begin(&mut self, out: Out<'_>) {
        if self.phase == Phase::Before {
            self.phase = Phase::Answering;
            out(StreamEvent::Start { id: Cow::Borrowed(""), model: Cow::Borrowed("") });
        }
    }

    fn close(&mut self, out: Out<'_>) {
        self.show_picture(out);
        if self.open.take().is_some() {
            out(StreamEvent::PartEnd { index: self.next.saturating_sub(1) });
        }
    }

    /// Ends the open part and starts the next one; gives its index.
    fn start(&mut self, block: u32, kind: Kind, part: PartStart<'_>, out: Out<'_>) -> u32 {
        self.close(out);
        let index = self.next;
        self.next = self.next.saturating_add(1);
        self.open = Some(Open { block, kind });
        out(StreamEvent::PartStart { index, part });
        index
    }

    /// Index of the open part of this block and kind; starts it with `part` when there is none.
    fn part(&mut self, block: u32, kind: Kind, part: PartStart<'_>, out: Out<'_>) -> u32 {
        match self.open {
            Some(open) if open.block == block && open.kind == kind => self.next.saturating_sub(1),
            _ => self.start(block, kind, part, out),
        }
    }

    fn block_start(&mut self, event: BlockStart<'_>, out: Out<'_>) {
        if let Some(call) = event.start.tool_use {
            let part = PartStart::ToolCall { id: call.tool_use_id.into_text(), name: call.name.into_text() };
            self.start(event.content_block_index, Kind::ToolCall, part, out);
        }
        if let Some(image) = event.start.image {
            self.close(out);
            self.picture = Some(Picture::new(event.content_block_index, &image.format));
        }
    }

    /// A picture has come to its end.
    fn show_picture(&mut self, out: Out<'_>) {
        let Some(picture) = self.picture.take() else { return };
        let Some(image) = picture.whole() else { return };
        let index = self.next;
        self.next = self.next.saturating_add(1);
        out(StreamEvent::PartStart { index, part: PartStart::Image(image) });
        out(StreamEvent::PartEnd { index });
    }

    fn picture(&mut self, block: u32, data: &str, out: Out<'_>) -> Result<(), FormatError> {
        if self.picture.as_ref().is_none_or(|picture| !picture.is_of(block)) {
            self.close(out);
        }
        self.picture.get_or_insert_with(|| Picture::new(block, "")).add(data)
    }

    fn block_delta(&mut self, event: BlockDelta<'_>, out: Out<'_>) -> Result<(), FormatError> {
        let block = event.content_block_index;
        if let Some(text) = event.delta.text {
            let index = self.part(block, Kind::Text, PartStart::Text, out);
            out(StreamEvent::Delta { index, delta: Delta::Text(text.into_text()) });
        }
        if let Some(data) = event.delta.image.and_then(|image| image.source?.bytes) {
            self.picture(block, &data, out)?;
        }
        if let Some(thoughts) = event.delta.reasoning_content {
            self.reasoning(block, thoughts, out);
        }
        if let Some(call) = event.delta.tool_use {
            let is_open = self.open.is_some_and(|open| open.block == block && open.kind == Kind::ToolCall);
            if !is_open {
                return Err(FormatError::invalid(
                    "arguments came without the start of their tool call",
                    None,
                ));
            }
            let index = self.next.saturating_sub(1);
            out(StreamEvent::Delta { index, delta: Delta::Arguments(call.input.into_text()) });
        }
        Ok(())
    }

    fn reasoning(&mut self, block: u32, thoughts: ReasoningDelta<'_>, out: Out<'_>) {
        if let Some(data) = thoughts.redacted_content {
            self.start(block, Kind::Redacted, PartStart::RedactedReasoning(data.into_text()), out);
        }
        let deltas = [
            thoughts.text.map(|text| Delta::Reasoning(text.into_text())),
            thoughts.signature.map(|signature| Delta::Signature(signature.into_text())),
        ];
        for delta in deltas.into_iter().flatten() {
            let index = self.part(block, Kind::Reasoning, PartStart::Reasoning, out);
            out(StreamEvent::Delta { index, delta });
        }
    }

    fn message_stop(&mut self, event: MessageStop<'_>, out: Out<'_>) {
        self.close(out);
        self.phase = Phase::Stopped;
        let stop_sequence = event
            .additional_model_response_fields
            .and_then(|fields| fields.stop_sequence)
            .map(Str::into_text);
        out(StreamEvent::Stop { reason: stop(&event.stop_reason), stop_sequence });
    }

    /// `metadata` is the last event of a stream.
    fn metadata(&mut self, event: Metadata<'_>, out: Out<'_>) {
        if let Some(usage) = event.usage {
            let usage = Usage::from(usage);
            out(StreamEvent::Usage(if self.phase == Phase::Stopped { usage } else { usage.running() }));
        }
        if self.phase == Phase::Stopped {
            self.phase = Phase::Ended;
            out(StreamEvent::End);
        }
    }
}

impl StreamDecoder for Decoder {
    fn read(&mut self, name: Option<&str>, data: &str, out: Out<'_>) -> Result<(), FormatError> {
        let name = name.unwrap_or_default();
        if self.phase == Phase::Ended {
            return Ok(());
        }
        if let Some(name) = name.strip_prefix(UNMODELLED).or(name.ends_with("Exception").then_some(name)) {
            self.fail(name, data, out);
            return Ok(());
        }
        match name {
            "messageStart" => self.begin(out),
            "contentBlockStart" => {
                self.begin(out);
                self.block_start(serde_json::from_str(data)?, out);
            }
            "contentBlockDelta" => {
                self.begin(out);
                self.block_delta(serde_json::from_str(data)?, out)?;
            }
            "contentBlockStop" => self.close(out),
            "messageStop" => {
                self.begin(out);
                self.message_stop(serde_json::from_str(data)?, out);
            }
            "metadata" => {
                self.begin(out);
                self.metadata(serde_json::from_str(data)?, out);
            }
            // Kinds of events that a later version of the API adds.
            _ => {}
        }
        Ok(())
    }

    fn finish(&mut self, out: Out<'_>) -> Result<(), FormatError> {
        self.phase.finish(out)
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
