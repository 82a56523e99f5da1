//! The common view of one exchange with a model: what was asked, what was answered.
//!
//! It borrows from the bytes it was read from wherever they hold the text unescaped. It knows what at least two
//! providers know; what only one knows is kept by name in [`Request::extras`], so that nothing is lost unnoticed.

mod answer;
mod content;
pub(crate) mod embeddings;
mod gather;
mod phase;
pub mod proofs;
pub mod renaming;
mod request;
mod stream;
mod tool_names;
mod usage;
mod vectors;

pub use answer::{Answer, AnswerHead, Stop};
pub use content::{CacheMark, Image, Media, Part, Source, ToolCall, ToolResult, Turn, TurnRole, note_text};
pub use gather::{Gathered, retell};
pub(crate) use phase::Phase;
pub use request::{
    CUSTOM_INPUT, CUSTOM_PARAMETERS, CustomTool, Extra, OutputForm, Reasoning, Request, Sampling, SystemText,
    Tool, ToolChoice,
};
pub use stream::{Delta, PartStart, StreamDecoder, StreamEncoder, StreamEvent};
pub use tollgate_families::Effort;
pub use tool_names::{ToolName, ToolNames, fitted as fitted_tool_name};
pub use usage::{Lines, Reported, Usage};
pub use vectors::Vectors;

/// Text that borrows from the body it was read from where it can.
pub type Text<'a> = std::borrow::Cow<'a, str>;
