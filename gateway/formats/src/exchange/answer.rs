//! What a model answered.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::Text;
use super::content::Part;
use super::tool_names::ToolNames;
use super::usage::Usage;

/// A whole answer. Only one choice: requests for several are not translated.
#[derive(Debug, Clone)]
pub struct Answer<'a> {
    /// The provider's id of the answer; empty if it has no id.
    pub id: Text<'a>,
    /// The model's name as the provider says it; empty where it does not.
    pub model: Text<'a>,
    /// When it was made, seconds since the Unix epoch, where the provider says so.
    pub created_s: Option<u64>,
    /// Text, thoughts, calls of tools, in order.
    pub parts: Vec<Part<'a>>,
    /// Why the model stopped.
    pub stop: Stop,
    /// The stop text that was met.
    pub stop_sequence: Option<Text<'a>>,
    /// What it used.
    pub usage: Option<Usage>,
    /// Log probabilities in OpenAI's chat form.
    pub logprobs: Option<Cow<'a, RawValue>>,
    /// Service tier that served it, in the provider's words.
    pub service_tier: Option<Text<'a>>,
}

/// What the client is shown of an answer beside its content: the gateway's names, not the provider's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnswerHead {
    /// Id of the answer, with the prefix that the client's format uses.
    pub id: String,
    /// The model's name: what the client asked for.
    pub model: String,
    /// When the answer was made, seconds since the Unix epoch.
    pub created_s: u64,
    /// Whether the client asked with OpenAI's old `functions` and reads calls only there; see
    /// [`super::Request::legacy_functions`].
    pub legacy_functions: bool,
    /// How the client names tools that the backend knows by another name; see [`super::Request::tool_names`].
    pub tool_names: Option<Arc<ToolNames>>,
    /// Tokens of the prompt as the gateway counts them, for formats that tell them before the provider has.
    pub prompt_tokens: Option<u64>,
}

/// Why a model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It had said everything.
    End,
    /// It reached the most tokens it may produce, or its context is full.
    Length,
    /// It met a stop text.
    StopSequence,
    /// It waits for the results of tools.
    ToolUse,
    /// A filter of the provider cut it off.
    ContentFilter,
    /// It would not answer.
    Refusal,
    /// It paused a long turn and can be asked to go on.
    Pause,
    /// For a reason that has no name here.
    Other,
}

impl Stop {
    /// Its name in events and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::End => "stop",
            Self::Length => "length",
            Self::StopSequence => "stop_sequence",
            Self::ToolUse => "tool_calls",
            Self::ContentFilter => "content_filter",
            Self::Refusal => "refusal",
            Self::Pause => "pause",
            Self::Other => "other",
        }
    }
}
