//! From chunks into events.

use serde::Deserialize;
use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::super::answer::{call_id, refined, stop_of};
use super::super::pictures::pictures;
use super::super::thoughts::details;
use super::super::wire::{CallWire, Content, ToolCallWire, all_text};
use super::calls::{Calls, Piece, Step};
use super::prefix::Prefix;
use crate::error::{FormatError, ProviderError};
use crate::exchange::{Delta, Part, PartStart, Stop, StreamDecoder, StreamEvent, Text};
use crate::json::Str;
use crate::openai::error::{of_choice, of_event};
use crate::openai::usage::UsageReport;

/// What an event's data says when the stream is complete.
const DONE: &str = "[DONE]";

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    id: Option<Str<'a>>,
    #[serde(borrow, default)]
    model: Option<Str<'a>>,
    #[serde(borrow, default)]
    choices: SmallVec<[Choice<'a>; 1]>,
    #[serde(default)]
    usage: Option<UsageReport>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    /// What some servers say instead: `error`.
    #[serde(borrow, default)]
    object: Option<Str<'a>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: u32,
    #[serde(borrow, default)]
    delta: Option<ChoiceDelta<'a>>,
    /// What is added in the legacy completions format, which is else the same.
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
struct ChoiceDelta<'a> {
    #[serde(borrow, default)]
    content: Content<'a>,
    #[serde(borrow, default)]
    reasoning_content: Option<Str<'a>>,
    #[serde(borrow, default)]
    reasoning: Option<Str<'a>>,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Reasoning,
    Refusal,
    ToolCall,
}

/// Reads a stream of chunks. A stream of several choices is read for metering: its parts come in the order in which
/// they arrive, whichever choice they belong to.
#[derive(Debug, Default)]
pub struct Decoder {
    id: String,
    started: bool,
    over: bool,
    prefix: Prefix,
    parts: Parts,
    calls: Calls,
    refused: bool,
    /// Choices that began and that finished, one bit each.
    begun: u128,
    finished: u128,
    stop: Option<Stop>,
    stop_told: bool,
}

/// The part that is open now.
#[derive(Debug, Default)]
struct Parts {
    open: Option<(Kind, u32)>,
    next: u32,
}

impl Decoder {
    /// At the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn json(&mut self, data: &str, out: &mut dyn FnMut(StreamEvent<'_>)) -> Result<(), FormatError> {
        let chunk: Chunk<'_> = serde_json::from_str(data)?;
        if chunk.error.is_some() || chunk.object.as_deref() == Some("error") {
            self.fail(of_event(chunk.error, data), out);
            return Ok(());
        }
        self.chunk(chunk, out)
    }

    fn chunk(&mut self, chunk: Chunk<'_>, out: &mut dyn FnMut(StreamEvent<'_>)) -> Result<(), FormatError> {
        // Azure begins with results of its filters, before the answer has an id.
        if !self.started && (!chunk.choices.is_empty() || chunk.usage.is_some()) {
            self.started = true;
            let id = chunk.id.map(Str::into_text).unwrap_or_default();
            self.id = id.clone().into_owned();
            out(StreamEvent::Start { id, model: chunk.model.map(Str::into_text).unwrap_or_default() });
        }
        for choice in chunk.choices {
            self.choice(choice, out)?;
            if self.over {
                return Ok(());
            }
        }
        if let Some(report) = chunk.usage {
            // Some servers report with every chunk.
            let usage = report.usage();
            out(StreamEvent::Usage(if self.stop_told { usage } else { usage.running() }));
        }
        Ok(())
    }

    fn choice(
        &mut self,
        choice: Choice<'_>,
        out: &mut dyn FnMut(StreamEvent<'_>),
    ) -> Result<(), FormatError> {
        let bit = 1u128 << choice.index.min(127);
        self.begun |= bit;
        if let Some(delta) = choice.delta {
            self.delta(choice.index, delta, out)?;
        }
        if let Some(text) = choice.text {
            self.text(Kind::Text, choice.index, text.0, out);
        }
        if let Some(logprobs) = choice.logprobs {
            out(StreamEvent::Logprobs(logprobs));
        }
        // Some servers send an empty text until they know.
        if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_empty()) {
            if let Some(failed) = of_choice(Some(&reason), choice.error) {
                self.fail(failed, out);
                return Ok(());
            }
            self.finished |= bit;
            if self.stop.is_none() || choice.index == 0 {
                self.stop = Some(stop_of(&reason));
            }
            if self.finished == self.begun {
                self.tell_stop(out);
            }
        }
        Ok(())
    }

    fn delta(
        &mut self,
        choice: u32,
        delta: ChoiceDelta<'_>,
        out: &mut dyn FnMut(StreamEvent<'_>),
    ) -> Result<(), FormatError> {
        let thoughts = delta.reasoning_content.or(delta.reasoning);
        let has_text = thoughts.as_deref().is_some_and(|text| !text.is_empty());
        if let Some(thoughts) = thoughts {
            self.text(Kind::Reasoning, choice, thoughts.0, out);
        }
        for part in details(delta.reasoning_details) {
            self.thought(choice, part, has_text, out);
        }
        self.content(choice, delta.content, out);
        for image in pictures(delta.images) {
            self.end_parts(out);
            self.parts.begin(Kind::Text, choice, PartStart::Image(image), out);
            self.end_parts(out);
        }
        if let Some(refusal) = delta.refusal {
            self.refused |= !refusal.is_empty();
            self.text(Kind::Refusal, choice, refusal.0, out);
        }
        for call in delta.tool_calls.into_iter().flatten() {
            let id = call.id.map(Str::into_text).unwrap_or_default();
            self.call(choice, call.index, &id, call.function, out)?;
        }
        match delta.function_call {
            Some(call) => self.call(choice, Some(u32::MAX), "", Some(call), out),
            None => Ok(()),
        }
    }

    fn content(&mut self, choice: u32, content: Content<'_>, out: &mut dyn FnMut(StreamEvent<'_>)) {
        match content {
            Content::None => {}
            Content::Text(text) => self.text(Kind::Text, choice, text, out),
            Content::Parts(parts) => {
                for part in parts {
                    self.text(Kind::Reasoning, choice, all_text(part.thinking), out);
                    self.text(Kind::Text, choice, part.text.map(Str::into_text).unwrap_or_default(), out);
                }
            }
        }
    }

    /// A piece of `reasoning_details`, whose text is mostly told beside it, too: then only its proof is new.
    fn thought(&mut self, choice: u32, part: Part<'_>, has_text: bool, out: &mut dyn FnMut(StreamEvent<'_>)) {
        let Part::Reasoning { text, signature, redacted } = part else { return };
        if !has_text {
            self.text(Kind::Reasoning, choice, text, out);
        }
        if let Some(proof) = signature.filter(|proof| !proof.is_empty()) {
            if self.parts.open != Some((Kind::Reasoning, choice)) {
                self.end_parts(out);
                self.parts.begin(Kind::Reasoning, choice, PartStart::Reasoning, out);
            }
            self.parts.add(Delta::Signature(proof), out);
        }
        if let Some(data) = redacted {
            self.end_parts(out);
            self.parts.begin(Kind::Reasoning, choice, PartStart::RedactedReasoning(data), out);
            self.end_parts(out);
        }
    }

    fn text(&mut self, kind: Kind, choice: u32, text: Text<'_>, out: &mut dyn FnMut(StreamEvent<'_>)) {
        if text.is_empty() {
            return;
        }
        if self.parts.open != Some((kind, choice)) {
            self.end_parts(out);
            let part = match kind {
                Kind::Reasoning => PartStart::Reasoning,
                Kind::Refusal => PartStart::Refusal,
                Kind::Text | Kind::ToolCall => PartStart::Text,
            };
            self.parts.begin(kind, choice, part, out);
        }
        let delta = match kind {
            Kind::Reasoning => Delta::Reasoning(text),
            Kind::Refusal => Delta::Refusal(text),
            Kind::Text | Kind::ToolCall => Delta::Text(text),
        };
        self.parts.add(delta, out);
    }

    fn call(
        &mut self,
        choice: u32,
        index: Option<u32>,
        id: &str,
        function: Option<CallWire<'_>>,
        out: &mut dyn FnMut(StreamEvent<'_>),
    ) -> Result<(), FormatError> {
        let Some(mut function) = function else { return Ok(()) };
        let (name, arguments) = (function.name(), function.arguments());
        let piece = Piece { choice, index, id, name: &name, arguments: &arguments };
        let (answer_id, parts) = (&self.id, &mut self.parts);
        let new_id = |place| call_id(answer_id, place);
        self.calls.take(&piece, new_id, &mut |step| parts.step(step, choice, out))
    }

    /// Ends what is open, calls that wait included.
    fn end_parts(&mut self, out: &mut dyn FnMut(StreamEvent<'_>)) {
        let parts = &mut self.parts;
        self.calls.flush(&mut |step| parts.step(step, 0, out));
        parts.end(out);
    }

    fn tell_stop(&mut self, out: &mut dyn FnMut(StreamEvent<'_>)) {
        if std::mem::replace(&mut self.stop_told, true) {
            return;
        }
        self.end_parts(out);
        let reason = refined(self.stop.unwrap_or(Stop::Other), self.calls.any(), self.refused);
        out(StreamEvent::Stop { reason, stop_sequence: None });
    }

    /// The stream says that it is complete, or ended after the model had finished.
    fn end(&mut self, out: &mut dyn FnMut(StreamEvent<'_>)) {
        if self.stop.is_none() {
            self.stop = Some(Stop::End);
        }
        self.tell_stop(out);
        self.end_parts(out);
        self.over = true;
        out(StreamEvent::End);
    }

    fn fail(&mut self, error: ProviderError, out: &mut dyn FnMut(StreamEvent<'_>)) {
        self.over = true;
        out(StreamEvent::Failed(error));
    }
}

impl Parts {
    fn begin(&mut self, kind: Kind, choice: u32, part: PartStart<'_>, out: &mut dyn FnMut(StreamEvent<'_>)) {
        self.end(out);
        self.open = Some((kind, choice));
        out(StreamEvent::PartStart { index: self.next, part });
        self.next = self.next.saturating_add(1);
    }

    fn add(&self, delta: Delta<'_>, out: &mut dyn FnMut(StreamEvent<'_>)) {
        out(StreamEvent::Delta { index: self.next.saturating_sub(1), delta });
    }

    fn end(&mut self, out: &mut dyn FnMut(StreamEvent<'_>)) {
        if self.open.take().is_some() {
            out(StreamEvent::PartEnd { index: self.next.saturating_sub(1) });
        }
    }

    fn step(&mut self, step: Step<'_>, choice: u32, out: &mut dyn FnMut(StreamEvent<'_>)) {
        match step {
            Step::Begin { id, name } => {
                let part = PartStart::ToolCall { id: id.into(), name: name.into() };
                self.begin(Kind::ToolCall, choice, part, out);
            }
            Step::Arguments(json) => self.add(Delta::Arguments(json.into()), out),
            Step::End => self.end(out),
        }
    }
}

impl StreamDecoder for Decoder {
    fn read(
        &mut self,
        name: Option<&str>,
        data: &str,
        out: &mut dyn FnMut(StreamEvent<'_>),
    ) -> Result<(), FormatError> {
        if self.over || data.is_empty() {
            return Ok(());
        }
        if data == DONE {
            if !self.started {
                return Err(FormatError::CutShort);
            }
            self.end(out);
            return Ok(());
        }
        if name == Some("error") {
            self.fail(of_event(None, data), out);
            return Ok(());
        }
        if let Some(short) = self.prefix.shorten(data) {
            let outcome = self.json(&short, out);
            self.prefix.reuse(short);
            return outcome;
        }
        self.json(data, out)?;
        self.prefix.learn(data);
        Ok(())
    }

    fn finish(&mut self, out: &mut dyn FnMut(StreamEvent<'_>)) -> Result<(), FormatError> {
        if self.over {
            return Ok(());
        }
        // Some servers end without saying so; the reason to stop is proof enough.
        if self.stop.is_none() {
            return Err(FormatError::CutShort);
        }
        self.end(out);
        Ok(())
    }
}
