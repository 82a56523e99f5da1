//! API formats of model providers: read, written and translated. Pure: bytes in, bytes out, no I/O, no clock.
//!
//! Every format reads into and writes from one common view, the [`exchange`]: a request, its answer, and the
//! events of a streamed answer. So `n` formats need `2n` mappings and not `n²`. Where the client and the backend
//! speak the same format nothing is translated: the bytes pass, and the view is only read for metering.
//!
//! Modules in reading order: [`exchange`] is the common view, [`unmapped`] says what a format cannot carry,
//! [`error`] what can go wrong; then one folder per API format, each with the same file names: `request`,
//! `answer`, `stream`, `error`. Formats do not import each other. What some of them share has a place of its own:
//! `openai` what OpenAI's formats say alike, `claude` what Messages and Converse say alike, `calls`, `media`,
//! `schema` and `cache_marks` what formats refuse of each other's ids, files, schemas and marks, `custom_text`
//! tools that take a text instead of JSON.

pub mod adapt;
pub mod anthropic;
mod backend_format;
pub mod bedrock;
mod cache_marks;
mod calls;
mod claude;
mod custom_text;
mod cuts;
mod error;
pub mod exchange;
pub mod gemini;
pub mod handles;
mod json;
#[cfg(test)]
mod layers_tests;
pub mod meaning;
mod media;
mod number;
mod openai;
pub mod openai_chat;
pub mod openai_completions;
pub mod openai_embeddings;
pub mod openai_media;
pub mod openai_responses;
#[cfg(test)]
mod prefix_tests;
pub mod redact;
mod sampling;
mod schema;
pub mod sse;
#[cfg(test)]
mod testing;
mod unmapped;
#[cfg(test)]
mod usage_tests;
pub mod view;

pub use adapt::TargetModel;
pub use backend_format::BackendFormat;
pub use error::{ClientError, FormatError, ProviderError, ProviderErrorKind};
pub use exchange::{Answer, AnswerHead, Reported, Request, StreamEvent, Usage};
pub use unmapped::{OnUnmappable, Unmapped};
