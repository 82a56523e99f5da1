//! A streamed answer: each event is a whole response with what is new. Calls of tools arrive whole, usage counts
//! up, and the stream ends with its body.

use super::error;
use super::logprobs::in_chat_form;
use super::wire::{self, Candidate, InlineData, PartIn, Response};
use crate::error::FormatError;
use crate::exchange::{Delta, Image, PartStart, Phase, Source, Stop, StreamDecoder, StreamEvent, Usage};
use crate::json::Str;

type Out<'o> = &'o mut dyn FnMut(StreamEvent<'_>);

/// A part that has begun and not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Text,
    Reasoning,
}

/// Reads the events of one stream.
#[derive(Debug, Default)]
pub struct Decoder {
    phase: Phase,
    open: Option<Open>,
    /// Index of the next part.
    next: u32,
    calls: u32,
    /// The answer's id, for the ids of calls that have none.
    response_id: String,
}

impl Decoder {
    /// For a new stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn begin(&mut self, response: &mut Response<'_>, out: Out<'_>) {
        if self.phase != Phase::Before {
            return;
        }
        self.phase = Phase::Answering;
        let id = response.response_id.take().map(Str::into_text).unwrap_or_default();
        self.response_id.push_str(&id);
        let model = response.model_version.take().map(Str::into_text).unwrap_or_default();
        out(StreamEvent::Start { id, model });
    }

    fn candidate(&mut self, candidate: Candidate<'_>, out: Out<'_>) -> Result<(), FormatError> {
        for part in candidate.content.into_iter().flat_map(|content| content.parts) {
            self.part(part, out)?;
        }
        if let Some(logprobs) = candidate.logprobs_result.as_ref().and_then(in_chat_form) {
            out(StreamEvent::Logprobs(&logprobs));
        }
        if let Some(reason) = candidate.finish_reason.filter(wire::is_a_reason) {
            self.stop(wire::stop(&reason, self.calls > 0), out);
        }
        Ok(())
    }

    fn part(&mut self, part: PartIn<'_>, out: Out<'_>) -> Result<(), FormatError> {
        if let Some(data) = part.inline_data {
            return self.picture(data, out);
        }
        let text = part.text.filter(|text| !text.is_empty());
        if part.thought {
            if let Some(text) = text {
                let index = self.open(Open::Reasoning, out);
                out(StreamEvent::Delta { index, delta: Delta::Reasoning(text.into_text()) });
            }
            if let Some(signature) = part.thought_signature {
                self.sign(&signature, out);
            }
            return Ok(());
        }
        if let Some(signature) = part.thought_signature {
            self.sign(&signature, out);
        }
        if let Some(text) = text {
            let index = self.open(Open::Text, out);
            out(StreamEvent::Delta { index, delta: Delta::Text(text.into_text()) });
        }
        if let Some(call) = part.function_call {
            let call = call.into_call(&self.response_id, self.calls);
            self.calls = self.calls.saturating_add(1);
            self.close(out);
            let index = self.take_index();
            out(StreamEvent::PartStart { index, part: PartStart::ToolCall { id: call.id, name: call.name } });
            out(StreamEvent::Delta { index, delta: Delta::Arguments(call.arguments) });
            out(StreamEvent::PartEnd { index });
        }
        Ok(())
    }

    /// Pictures come whole.
    fn picture(&mut self, data: InlineData<'_>, out: Out<'_>) -> Result<(), FormatError> {
        let media_type = data.mime_type.map(Str::into_text).unwrap_or_default();
        if !media_type.starts_with("image/") {
            return Err(FormatError::invalid("media other than pictures cannot be passed on", None));
        }
        self.close(out);
        let image =
            Image { media_type, source: Source::Base64(data.data.into_text()), detail: None, cache: None };
        let index = self.take_index();
        out(StreamEvent::PartStart { index, part: PartStart::Image(image) });
        out(StreamEvent::PartEnd { index });
        Ok(())
    }

    /// A proof ends the thoughts it belongs to; where they are not shown, it stands alone.
    fn sign(&mut self, signature: &str, out: Out<'_>) {
        let index = self.open(Open::Reasoning, out);
        out(StreamEvent::Delta { index, delta: Delta::Signature(signature.into()) });
        self.close(out);
    }

    fn take_index(&mut self) -> u32 {
        let index = self.next;
        self.next = self.next.saturating_add(1);
        index
    }

    /// Index of the open part of this kind; begins it when there is none.
    fn open(&mut self, kind: Open, out: Out<'_>) -> u32 {
        if self.open == Some(kind) {
            return self.next.saturating_sub(1);
        }
        self.close(out);
        self.open = Some(kind);
        let index = self.take_index();
        let part = match kind {
            Open::Text => PartStart::Text,
            Open::Reasoning => PartStart::Reasoning,
        };
        out(StreamEvent::PartStart { index, part });
        index
    }

    fn close(&mut self, out: Out<'_>) {
        if self.open.take().is_some() {
            out(StreamEvent::PartEnd { index: self.next.saturating_sub(1) });
        }
    }

    fn stop(&mut self, reason: Stop, out: Out<'_>) {
        self.close(out);
        self.phase = Phase::Stopped;
        out(StreamEvent::Stop { reason, stop_sequence: None });
    }
}

impl StreamDecoder for Decoder {
    fn read(&mut self, _: Option<&str>, data: &str, out: Out<'_>) -> Result<(), FormatError> {
        if self.phase == Phase::Ended {
            return Ok(());
        }
        let mut response: Response<'_> = serde_json::from_str(data)?;
        if let Some(error) = response.error {
            self.phase = Phase::Ended;
            out(StreamEvent::Failed(error::in_stream(error)));
            return Ok(());
        }
        self.begin(&mut response, out);
        let is_blocked = response.is_blocked();
        if let Some(usage) = &response.usage_metadata {
            let stops = response
                .candidates
                .first()
                .is_some_and(|first| first.finish_reason.as_ref().is_some_and(wire::is_a_reason));
            let is_last = stops || is_blocked || self.phase == Phase::Stopped;
            let usage = Usage::from(usage);
            out(StreamEvent::Usage(if is_last { usage } else { usage.running() }));
        }
        if self.phase == Phase::Answering {
            if let Some(candidate) = response.candidates.into_iter().next() {
                self.candidate(candidate, out)?;
            } else if is_blocked {
                self.stop(Stop::ContentFilter, out);
            }
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
