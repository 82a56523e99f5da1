//! Streamed responses, read.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::{self, Body};
use super::items::{Content, Item};
use super::{custom, logprobs};
use crate::error::FormatError;
use crate::exchange::{Delta, PartStart, Stop, StreamDecoder, StreamEvent};
use crate::json::Str;
use crate::openai::error;

/// Reads one stream. Items come one after the other.
#[derive(Debug, Default)]
pub struct Decoder {
    started: bool,
    ended: bool,
    called: bool,
    refused: bool,
    /// The next part's place, and whether one is open.
    next: u32,
    open: Option<Open>,
    /// Whether something of the current item was told.
    told: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Text,
    Refusal,
    Reasoning,
    Call,
    /// A call with a text, told as the JSON that other formats have.
    CustomCall,
    Picture,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Option<Str<'a>>,
    #[serde(borrow, default)]
    delta: Option<Str<'a>>,
    /// Tokens of a piece of a text.
    #[serde(borrow, default)]
    logprobs: Option<&'a RawValue>,
    #[serde(borrow, default)]
    item: Option<Item<'a>>,
    #[serde(borrow, default)]
    response: Option<Body<'a>>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

type Out<'o> = &'o mut dyn FnMut(StreamEvent<'_>);

impl Decoder {
    /// At the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn start(&mut self, response: Option<&Body<'_>>, out: Out<'_>) {
        if !std::mem::replace(&mut self.started, true) {
            let text = |text: Option<&Str<'_>>| text.map_or("", |text| &**text).to_owned();
            let id = text(response.and_then(|response| response.id.as_ref()));
            let model = text(response.and_then(|response| response.model.as_ref()));
            out(StreamEvent::Start { id: id.into(), model: model.into() });
        }
    }

    /// A piece of a text or of thoughts; its part begins where none of its kind is open.
    fn piece(&mut self, kind: Open, delta: Delta<'_>, out: Out<'_>) {
        self.start(None, out);
        if self.open != Some(kind) {
            self.close(out);
            let part = match kind {
                Open::Refusal => PartStart::Refusal,
                Open::Reasoning => PartStart::Reasoning,
                _ => PartStart::Text,
            };
            self.refused |= kind == Open::Refusal;
            self.open_part(kind, part, out);
        }
        self.tell(delta, out);
    }

    /// A piece of what is said, and its tokens.
    fn text(&mut self, text: Cow<'_, str>, tokens: Option<&RawValue>, out: Out<'_>) {
        self.piece(Open::Text, Delta::Text(text), out);
        if let Some(tokens) = logprobs::in_chat_form(tokens) {
            out(StreamEvent::Logprobs(&tokens));
        }
    }

    /// A piece of what a tool is called with.
    fn arguments(&mut self, text: Cow<'_, str>, out: Out<'_>) {
        match self.open {
            Some(Open::Call) => self.tell(Delta::Arguments(text), out),
            Some(Open::CustomCall) => self.tell(Delta::Arguments(custom::escaped(&text).into()), out),
            // Nothing says which tool.
            _ => {}
        }
    }

    fn tell(&mut self, delta: Delta<'_>, out: Out<'_>) {
        self.told = true;
        out(StreamEvent::Delta { index: self.next.saturating_sub(1), delta });
    }

    fn open_part(&mut self, kind: Open, part: PartStart<'_>, out: Out<'_>) {
        out(StreamEvent::PartStart { index: self.next, part });
        self.next = self.next.saturating_add(1);
        self.open = Some(kind);
    }

    fn close(&mut self, out: Out<'_>) {
        let Some(open) = self.open.take() else { return };
        let index = self.next.saturating_sub(1);
        if open == Open::CustomCall {
            out(StreamEvent::Delta { index, delta: Delta::Arguments(custom::END.into()) });
        }
        out(StreamEvent::PartEnd { index });
    }

    fn item_added(&mut self, item: &Item<'_>, out: Out<'_>) {
        self.start(None, out);
        self.close(out);
        self.told = false;
        let kind = match item.kind.as_deref() {
            Some("function_call") => Open::Call,
            Some("custom_tool_call") => Open::CustomCall,
            _ => return,
        };
        self.called = true;
        let text = |text: &Option<Str<'_>>| text.as_deref().unwrap_or_default().to_owned();
        let (id, name) = (text(&item.call_id), text(&item.name));
        self.open_part(kind, PartStart::ToolCall { id: id.into(), name: name.into() }, out);
        if kind == Open::CustomCall {
            let index = self.next.saturating_sub(1);
            out(StreamEvent::Delta { index, delta: Delta::Arguments(custom::START.into()) });
        }
    }

    /// The whole item: what was not told in pieces is told now.
    fn item_done(&mut self, item: Item<'_>, out: Out<'_>) -> Result<(), FormatError> {
        match item.kind.as_deref() {
            Some("function_call" | "custom_tool_call") => {
                if self.open.is_none() {
                    self.item_added(&item, out);
                }
                if !self.told {
                    self.arguments(item.text_of_call(), out);
                }
            }
            Some("reasoning") => self.thoughts_done(item, out),
            Some("image_generation_call") => {
                if let Some(picture) = item.picture() {
                    self.start(None, out);
                    self.close(out);
                    self.open_part(Open::Picture, PartStart::Image(picture), out);
                }
            }
            Some("message") if !self.told => {
                for part in item.parts()? {
                    match part {
                        Content { text: Some(text), logprobs, .. } => self.text(text.0, logprobs, out),
                        Content { refusal: Some(text), .. } => {
                            self.piece(Open::Refusal, Delta::Refusal(text.0), out);
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        self.close(out);
        self.told = false;
        Ok(())
    }

    fn thoughts_done(&mut self, item: Item<'_>, out: Out<'_>) {
        let sealed = item.encrypted_content.filter(|sealed| !sealed.is_empty());
        let said = answer::thoughts(item.summary, item.content);
        if !self.told && !said.is_empty() {
            self.piece(Open::Reasoning, Delta::Reasoning(said.into()), out);
        }
        match sealed {
            Some(sealed) if self.open == Some(Open::Reasoning) => self.tell(Delta::Signature(sealed.0), out),
            Some(sealed) => {
                self.start(None, out);
                self.close(out);
                self.open_part(Open::Reasoning, PartStart::RedactedReasoning(sealed.0), out);
            }
            None => {}
        }
    }

    fn end(&mut self, response: &Body<'_>, failed: bool, out: Out<'_>) {
        self.start(Some(response), out);
        self.close(out);
        if let Some(usage) = response.reported() {
            out(StreamEvent::Usage(usage));
        }
        self.ended = true;
        if failed || response.status.as_deref() == Some("failed") {
            let said = response.error.map_or("{}", RawValue::get);
            return out(StreamEvent::Failed(error::decode_text(0, said)));
        }
        let stop = match answer::stop_of(response) {
            Stop::End if self.called => Stop::ToolUse,
            Stop::End if self.refused => Stop::Refusal,
            stop => stop,
        };
        out(StreamEvent::Stop { reason: stop, stop_sequence: None });
        out(StreamEvent::End);
    }
}

impl StreamDecoder for Decoder {
    fn read(&mut self, name: Option<&str>, data: &str, out: Out<'_>) -> Result<(), FormatError> {
        if self.ended || data == "[DONE]" {
            return Ok(());
        }
        let event: Event<'_> = serde_json::from_str(data)?;
        let kind = event.kind.as_deref().or(name).unwrap_or_default();
        match (kind, event.delta, event.item, &event.response) {
            ("response.created" | "response.in_progress" | "response.queued", _, _, response) => {
                self.start(response.as_ref(), out);
            }
            ("response.output_text.delta", Some(delta), ..) => {
                self.text(delta.0, event.logprobs, out);
            }
            ("response.refusal.delta", Some(delta), ..) => {
                self.piece(Open::Refusal, Delta::Refusal(delta.0), out);
            }
            ("response.reasoning_summary_part.added", ..) if self.told => {
                self.piece(Open::Reasoning, Delta::Reasoning(answer::BETWEEN_SUMMARIES.into()), out);
            }
            ("response.reasoning_summary_text.delta" | "response.reasoning_text.delta", Some(delta), ..) => {
                self.piece(Open::Reasoning, Delta::Reasoning(delta.0), out);
            }
            (
                "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta",
                Some(delta),
                ..,
            ) => self.arguments(delta.0, out),
            ("response.output_item.added", _, Some(item), _) => self.item_added(&item, out),
            ("response.output_item.done", _, Some(item), _) => self.item_done(item, out)?,
            ("response.completed" | "response.incomplete" | "response.failed", _, _, Some(response)) => {
                self.end(response, kind == "response.failed", out);
            }
            ("error", ..) => {
                self.ended = true;
                out(StreamEvent::Failed(error::of_event(event.error, data)));
            }
            // Progress of tools that the provider runs itself, and whatever comes later.
            _ => {}
        }
        Ok(())
    }

    fn finish(&mut self, _: Out<'_>) -> Result<(), FormatError> {
        if self.ended { Ok(()) } else { Err(FormatError::CutShort) }
    }
}

#[cfg(test)]
#[path = "stream_decoder_tests.rs"]
mod tests;
