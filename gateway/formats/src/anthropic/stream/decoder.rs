//! Reads a backend's stream.

use std::borrow::Cow;

use serde::Deserialize;

use super::events::{
    BlockDelta, BlockStart, BlockStop, DeltaIn, Failure, Kind, Message, MessageDelta, MessageStart,
};
use crate::anthropic::answer::stop_from_name;
use crate::anthropic::wire::Block;
use crate::error::FormatError;
use crate::exchange::{Delta, PartStart, Stop, StreamDecoder, StreamEvent, Usage};
use crate::json::Str;

/// Reads the events of one answer. Blocks of tools that run at the provider are left out.
#[derive(Debug, Default)]
pub struct Decoder {
    phase: Phase,
    /// The block that is open.
    open: Option<Open>,
    next_index: u32,
    usage: Usage,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    #[default]
    Waiting,
    Running,
    /// The model has stopped.
    Stopped,
    Ended,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    /// Its place among the provider's blocks.
    theirs: u64,
    /// Its place in the answer; `None` if it is left out.
    ours: Option<u32>,
    holds: Holds,
}

/// What the deltas of a block can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Text,
    Thoughts,
    Arguments,
    Nothing,
}

impl Holds {
    fn takes(self, delta: &Delta<'_>) -> bool {
        match delta {
            Delta::Text(_) => self == Self::Text,
            Delta::Reasoning(_) | Delta::Signature(_) => self == Self::Thoughts,
            Delta::Arguments(_) => self == Self::Arguments,
            Delta::Refusal(_) => false,
        }
    }
}

type Out<'o> = &'o mut dyn FnMut(StreamEvent<'_>);

impl Decoder {
    /// For one answer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn start(&mut self, message: Message<'_>, out: Out<'_>) -> Result<(), FormatError> {
        if self.phase != Phase::Waiting {
            return Err(broken("a second `message_start`"));
        }
        self.phase = Phase::Running;
        out(StreamEvent::Start {
            id: message.id.map(Str::into_text).unwrap_or_default(),
            model: message.model.map(Str::into_text).unwrap_or_default(),
        });
        if let Some(report) = message.usage {
            // The prompt is counted here. The answer's tokens are a placeholder, and would hide that a stream that
            // is cut has no count.
            let unknown = Usage::default();
            self.usage = Usage {
                output: unknown.output,
                reasoning: unknown.reasoning,
                output_reported: unknown.output_reported,
                ..report.after(&unknown).running()
            };
            out(StreamEvent::Usage(self.usage));
        }
        Ok(())
    }

    fn start_block(&mut self, theirs: u64, block: &Block<'_>, out: Out<'_>) -> Result<(), FormatError> {
        self.end_block(out);
        let (part, holds) = match block.kind() {
            "text" => (PartStart::Text, Holds::Text),
            "thinking" => (PartStart::Reasoning, Holds::Thoughts),
            "redacted_thinking" => {
                let data = Cow::Borrowed(block.data.as_deref().unwrap_or_default());
                (PartStart::RedactedReasoning(data), Holds::Nothing)
            }
            "tool_use" => match (&block.id, &block.name) {
                (Some(id), Some(name)) => {
                    let (id, name) = (Cow::Borrowed(&**id), Cow::Borrowed(&**name));
                    (PartStart::ToolCall { id, name }, Holds::Arguments)
                }
                _ => return Err(broken("a call of a tool without id or name")),
            },
            _ => {
                self.open = Some(Open { theirs, ours: None, holds: Holds::Nothing });
                return Ok(());
            }
        };
        let index = self.next_index;
        self.next_index = index.saturating_add(1);
        self.open = Some(Open { theirs, ours: Some(index), holds });
        out(StreamEvent::PartStart { index, part });
        let fitting = |delta: &Delta<'_>| holds.takes(delta) && !is_empty(delta);
        for delta in said_at_once(block).into_iter().flatten().filter(fitting) {
            out(StreamEvent::Delta { index, delta });
        }
        Ok(())
    }

    fn delta(&self, theirs: u64, delta: DeltaIn<'_>, out: Out<'_>) -> Result<(), FormatError> {
        let open = self.open.filter(|open| open.theirs == theirs);
        let Some(Open { ours: Some(index), holds, .. }) = open else {
            // A part of a block that is left out; or of one that was never begun.
            return if open.is_some() { Ok(()) } else { Err(broken("a delta of a block that is not open")) };
        };
        let delta = match &*delta.kind {
            "text_delta" => delta.text.map(|text| Delta::Text(text.0)),
            "input_json_delta" => delta.partial_json.map(|text| Delta::Arguments(text.0)),
            "thinking_delta" => delta.thinking.map(|text| Delta::Reasoning(text.0)),
            "signature_delta" => delta.signature.map(|text| Delta::Signature(text.0)),
            // Citations and what may come: nothing that the common view knows.
            _ => None,
        };
        if let Some(delta) = delta.filter(|delta| !is_empty(delta)) {
            if !holds.takes(&delta) {
                return Err(broken("a delta of another kind than its block"));
            }
            out(StreamEvent::Delta { index, delta });
        }
        Ok(())
    }

    fn end_block(&mut self, out: Out<'_>) {
        if let Some(Open { ours: Some(index), .. }) = self.open.take() {
            out(StreamEvent::PartEnd { index });
        }
    }

    fn message_delta(&mut self, event: MessageDelta<'_>, out: Out<'_>) {
        let stop = event.delta.and_then(|delta| {
            let reason = delta.stop_reason.filter(|reason| !reason.is_empty())?;
            Some((reason, delta.stop_sequence))
        });
        if let Some(report) = event.usage {
            let usage = report.after(&self.usage);
            let is_last = stop.is_some() || self.phase == Phase::Stopped;
            self.usage = if is_last { usage } else { usage.running() };
            out(StreamEvent::Usage(self.usage));
        }
        let Some((reason, stop_sequence)) = stop else { return };
        if self.phase == Phase::Running {
            self.end_block(out);
            self.phase = Phase::Stopped;
            out(StreamEvent::Stop {
                reason: stop_from_name(&reason),
                stop_sequence: stop_sequence.map(Str::into_text),
            });
        }
    }

    fn end(&mut self, out: Out<'_>) {
        self.end_block(out);
        if self.phase == Phase::Running {
            out(StreamEvent::Stop { reason: Stop::Other, stop_sequence: None });
        }
        self.phase = Phase::Ended;
        out(StreamEvent::End);
    }
}

impl StreamDecoder for Decoder {
    fn read(&mut self, name: Option<&str>, data: &str, out: Out<'_>) -> Result<(), FormatError> {
        if self.phase == Phase::Ended {
            return Ok(());
        }
        let kind = Kind::of(name, data).map_err(unreadable)?;
        let is_early = self.phase == Phase::Waiting;
        match kind {
            Kind::Other => {}
            Kind::MessageStart => self.start(event::<MessageStart<'_>>(data)?.message, out)?,
            Kind::Error => {
                self.phase = Phase::Ended;
                out(StreamEvent::Failed(event::<Failure<'_>>(data)?.error.into_error(None)));
            }
            _ if is_early => return Err(broken("an event before `message_start`")),
            Kind::BlockStart => {
                let BlockStart { index, content_block } = event(data)?;
                self.start_block(index, &content_block, out)?;
            }
            Kind::BlockDelta => {
                let BlockDelta { index, delta } = event(data)?;
                self.delta(index, delta, out)?;
            }
            Kind::BlockStop => {
                let BlockStop { index } = event(data)?;
                if self.open.is_some_and(|open| open.theirs == index) {
                    self.end_block(out);
                }
            }
            Kind::MessageDelta => self.message_delta(event(data)?, out),
            Kind::MessageStop => self.end(out),
        }
        Ok(())
    }

    fn finish(&mut self, out: Out<'_>) -> Result<(), FormatError> {
        match self.phase {
            Phase::Ended => Ok(()),
            Phase::Stopped => {
                self.end(out);
                Ok(())
            }
            Phase::Waiting | Phase::Running => Err(FormatError::CutShort),
        }
    }
}

fn event<'a, T: Deserialize<'a>>(data: &'a str) -> Result<T, FormatError> {
    serde_json::from_str(data).map_err(unreadable)
}

fn unreadable(error: serde_json::Error) -> FormatError {
    broken(&FormatError::from(error).to_string())
}

fn broken(what: &str) -> FormatError {
    FormatError::invalid(format!("the model's stream is broken: {what}"), None)
}

/// What a block begins with: usually nothing, but some servers say all at once.
fn said_at_once<'b>(block: &'b Block<'_>) -> [Option<Delta<'b>>; 4] {
    let arguments = block.input.filter(|raw| !is_empty_object(raw.get()));
    [
        block.text.as_deref().map(|text| Delta::Text(text.into())),
        block.thinking.as_deref().map(|text| Delta::Reasoning(text.into())),
        block.signature.as_deref().map(|text| Delta::Signature(text.into())),
        arguments.map(|raw| Delta::Arguments(raw.get().into())),
    ]
}

fn is_empty_object(json: &str) -> bool {
    json.bytes().filter(|byte| !byte.is_ascii_whitespace()).eq(*b"{}")
}

fn is_empty(delta: &Delta<'_>) -> bool {
    match delta {
        Delta::Text(text)
        | Delta::Reasoning(text)
        | Delta::Signature(text)
        | Delta::Refusal(text)
        | Delta::Arguments(text) => text.is_empty(),
    }
}
