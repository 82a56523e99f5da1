//! A streamed answer, event by event.
//!
//! Decoders promise: [`StreamEvent::Start`] comes first and once; a part starts before its deltas and ends
//! before the next one starts; indexes count up from 0; after [`StreamEvent::End`] or
//! [`StreamEvent::Failed`] nothing comes. Encoders may rely on it.

use serde_json::value::RawValue;

use super::Text;
use super::answer::Stop;
use super::content::Image;
use super::usage::Usage;
use crate::error::{FormatError, ProviderError};

/// One step of a streamed answer.
#[derive(Debug, Clone)]
pub enum StreamEvent<'a> {
    /// The answer begins.
    Start {
        /// The provider's id of the answer; empty where it has none.
        id: Text<'a>,
        /// The model's name as the provider says it; empty where it does not.
        model: Text<'a>,
    },
    /// A part begins.
    PartStart {
        /// Its place in the answer.
        index: u32,
        /// What it is.
        part: PartStart<'a>,
    },
    /// A part goes on.
    Delta {
        /// Its place in the answer.
        index: u32,
        /// What is added.
        delta: Delta<'a>,
    },
    /// A part is complete.
    PartEnd {
        /// Its place in the answer.
        index: u32,
    },
    /// The provider's usage report so far, running until the model has stopped. A later one replaces it side by
    /// side: see [`Usage::update`].
    Usage(Usage),
    /// Log probabilities of the last delta, in OpenAI's chat form.
    Logprobs(&'a RawValue),
    /// The model stopped; usage may still come.
    Stop {
        /// Why.
        reason: Stop,
        /// The stop text that was met.
        stop_sequence: Option<Text<'a>>,
    },
    /// The provider broke off with an error.
    Failed(ProviderError),
    /// The stream is complete.
    End,
}

/// What kind of part begins.
#[derive(Debug, Clone)]
pub enum PartStart<'a> {
    /// Text.
    Text,
    /// Thoughts.
    Reasoning,
    /// Thoughts that only the provider can read, whole.
    RedactedReasoning(Text<'a>),
    /// Why the model would not answer.
    Refusal,
    /// The model asks for a tool; its arguments follow.
    ToolCall {
        /// Id that its result refers to.
        id: Text<'a>,
        /// Name of the tool.
        name: Text<'a>,
    },
    /// A picture, whole.
    Image(Image<'a>),
}

/// What is added to a part.
#[derive(Debug, Clone)]
pub enum Delta<'a> {
    /// To a text.
    Text(Text<'a>),
    /// To thoughts.
    Reasoning(Text<'a>),
    /// Proof of the thoughts, whole.
    Signature(Text<'a>),
    /// To a refusal.
    Refusal(Text<'a>),
    /// To the JSON text of a tool's arguments.
    Arguments(Text<'a>),
}

/// Reads a backend's stream.
pub trait StreamDecoder: Send {
    /// Reads one event: `name` is the SSE `event` field or the event-stream's `:event-type`, `data` its payload.
    /// Hands on what it means, in order.
    ///
    /// # Errors
    /// When the event cannot be understood; the stream is broken then.
    fn read(
        &mut self,
        name: Option<&str>,
        data: &str,
        out: &mut dyn FnMut(StreamEvent<'_>),
    ) -> Result<(), FormatError>;

    /// The backend's body ended. Hands on what is still owed when the format ends without a last event; does
    /// nothing when the end was seen.
    ///
    /// # Errors
    /// When the stream was cut before the model had finished.
    fn finish(&mut self, out: &mut dyn FnMut(StreamEvent<'_>)) -> Result<(), FormatError>;
}

/// Writes a client's stream.
pub trait StreamEncoder: Send {
    /// Appends the bytes that tell the client of `event`, possibly no bytes.
    fn write(&mut self, event: &StreamEvent<'_>, out: &mut Vec<u8>);
}
