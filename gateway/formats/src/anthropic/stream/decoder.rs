//! Reads a backend's stream.

use std::borrow::Cow;

use crate::anthropic::answer::stop_from_name;
use crate::anthropic::error::ErrorObject;
use crate::anthropic::usage::UsageIn;
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
    /// Its place in the answer; none when it is left out.
    ours: Option<u32>,
}

/// An event of any type.
#[derive(serde::Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "type")]
    kind: Str<'a>,
    #[serde(default)]
    index: Option<u64>,
    #[serde(borrow, default)]
    message: Option<Message<'a>>,
    #[serde(borrow, default)]
    content_block: Option<Block<'a>>,
    #[serde(borrow, default)]
    delta: Option<DeltaIn<'a>>,
    #[serde(borrow, default)]
    usage: Option<UsageIn<'a>>,
    #[serde(borrow, default)]
    error: Option<ErrorObject<'a>>,
}

#[derive(serde::Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    id: Option<Str<'a>>,
    #[serde(borrow, default)]
    model: Option<Str<'a>>,
    #[serde(borrow, default)]
    usage: Option<UsageIn<'a>>,
}

/// What is new, of a block or of the whole message.
#[derive(serde::Deserialize)]
struct DeltaIn<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Str<'a>>,
    #[serde(borrow, default)]
    text: Option<Str<'a>>,
    #[serde(borrow, default)]
    partial_json: Option<Str<'a>>,
    #[serde(borrow, default)]
    thinking: Option<Str<'a>>,
    #[serde(borrow, default)]
    signature: Option<Str<'a>>,
    #[serde(borrow, default)]
    stop_reason: Option<Str<'a>>,
    #[serde(borrow, default)]
    stop_sequence: Option<Str<'a>>,
}

type Out<'o> = &'o mut dyn FnMut(StreamEvent<'_>);

impl Decoder {
    /// For one answer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn start(&mut self, message: Option<Message<'_>>, out: Out<'_>) -> Result<(), FormatError> {
        if self.phase != Phase::Waiting {
            return Err(broken("a second `message_start`"));
        }
        let message = message.ok_or_else(|| broken("`message_start` without a message"))?;
        self.phase = Phase::Running;
        out(StreamEvent::Start {
            id: message.id.map(Str::into_text).unwrap_or_default(),
            model: message.model.map(Str::into_text).unwrap_or_default(),
        });
        if let Some(report) = message.usage {
            // The prompt is counted here. The answer's tokens are a first guess that is not yet split into thoughts
            // and words, and would hide that a stream that is cut has no count.
            self.usage = Usage { output: 0, reasoning: 0, ..report.after(&self.usage) };
            out(StreamEvent::Usage(self.usage));
        }
        Ok(())
    }

    fn start_block(&mut self, theirs: u64, block: &Block<'_>, out: Out<'_>) -> Result<(), FormatError> {
        self.end_block(out);
        let part = match block.kind() {
            "text" => PartStart::Text,
            "thinking" => PartStart::Reasoning,
            "redacted_thinking" => {
                PartStart::RedactedReasoning(Cow::Borrowed(block.data.as_deref().unwrap_or_default()))
            }
            "tool_use" => match (&block.id, &block.name) {
                (Some(id), Some(name)) => {
                    PartStart::ToolCall { id: Cow::Borrowed(&**id), name: Cow::Borrowed(&**name) }
                }
                _ => return Err(broken("a call of a tool without id or name")),
            },
            _ => {
                self.open = Some(Open { theirs, ours: None });
                return Ok(());
            }
        };
        let index = self.next_index;
        self.next_index = index.saturating_add(1);
        self.open = Some(Open { theirs, ours: Some(index) });
        out(StreamEvent::PartStart { index, part });
        // Usually empty; some servers say all at once.
        let first = [
            block.text.as_deref().map(|text| Delta::Text(text.into())),
            block.thinking.as_deref().map(|text| Delta::Reasoning(text.into())),
            block.signature.as_deref().map(|text| Delta::Signature(text.into())),
            block
                .input
                .filter(|raw| !is_empty_object(raw.get()))
                .map(|raw| Delta::Arguments(raw.get().into())),
        ];
        for delta in first.into_iter().flatten().filter(|delta| !is_empty(delta)) {
            out(StreamEvent::Delta { index, delta });
        }
        Ok(())
    }

    fn delta(&self, theirs: u64, delta: DeltaIn<'_>, out: Out<'_>) -> Result<(), FormatError> {
        let open = self.open.filter(|open| open.theirs == theirs);
        let Some(Open { ours: Some(index), .. }) = open else {
            // A part of a block that is left out; or of one that was never begun.
            return if open.is_some() { Ok(()) } else { Err(broken("a delta of a block that is not open")) };
        };
        let delta = match delta.kind.as_deref() {
            Some("text_delta") => delta.text.map(|text| Delta::Text(text.0)),
            Some("input_json_delta") => delta.partial_json.map(|text| Delta::Arguments(text.0)),
            Some("thinking_delta") => delta.thinking.map(|text| Delta::Reasoning(text.0)),
            Some("signature_delta") => delta.signature.map(|text| Delta::Signature(text.0)),
            // Citations and what may come: nothing that the common view knows.
            _ => None,
        };
        if let Some(delta) = delta.filter(|delta| !is_empty(delta)) {
            out(StreamEvent::Delta { index, delta });
        }
        Ok(())
    }

    fn end_block(&mut self, out: Out<'_>) {
        if let Some(Open { ours: Some(index), .. }) = self.open.take() {
            out(StreamEvent::PartEnd { index });
        }
    }

    fn message_delta(&mut self, delta: Option<DeltaIn<'_>>, usage: Option<UsageIn<'_>>, out: Out<'_>) {
        if let Some(report) = usage {
            self.usage = report.after(&self.usage);
            out(StreamEvent::Usage(self.usage));
        }
        let Some((reason, stop_sequence)) =
            delta.and_then(|delta| Some((delta.stop_reason?, delta.stop_sequence)))
        else {
            return;
        };
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
        if self.phase == Phase::Ended || name == Some("ping") {
            return Ok(());
        }
        let event: Event<'_> = serde_json::from_str(data)?;
        let is_ours = matches!(
            &*event.kind,
            "content_block_start"
                | "content_block_delta"
                | "content_block_stop"
                | "message_delta"
                | "message_stop"
        );
        if is_ours && self.phase == Phase::Waiting {
            return Err(broken("an event before `message_start`"));
        }
        match (&*event.kind, event.index) {
            ("message_start", _) => self.start(event.message, out)?,
            ("content_block_start", Some(index)) => {
                let block = event.content_block.ok_or_else(|| broken("a block without content"))?;
                self.start_block(index, &block, out)?;
            }
            ("content_block_delta", Some(index)) => {
                let delta = event.delta.ok_or_else(|| broken("a delta without content"))?;
                self.delta(index, delta, out)?;
            }
            ("content_block_stop", Some(index)) if self.open.is_none_or(|open| open.theirs == index) => {
                self.end_block(out);
            }
            ("content_block_start" | "content_block_delta" | "content_block_stop", None) => {
                return Err(broken("a block without an index"));
            }
            ("message_delta", _) => self.message_delta(event.delta, event.usage, out),
            ("message_stop", _) => self.end(out),
            ("error", _) => {
                self.phase = Phase::Ended;
                let error = event.error.ok_or_else(|| broken("an error without content"))?;
                out(StreamEvent::Failed(error.into_error(None)));
            }
            // Pings, and events that are yet to come.
            _ => {}
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

fn broken(what: &str) -> FormatError {
    FormatError::invalid(format!("the model's stream is broken: {what}"), None)
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
