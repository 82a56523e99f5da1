//! OpenAI Chat Completions (API reference, "Chat completions"), as OpenAI, Azure OpenAI and compatible servers
//! speak it. [`view`] is what metering and routing read; the rest translates.
//!
//! What compatible servers add is read: `reasoning_content` and `reasoning`, hidden reasoning tokens, calls of
//! tools without ids. What clients add for other providers is carried: `cache_control`, `thinking_blocks`,
//! `reasoning_details`.

pub mod answer;
pub mod bound;
mod pictures;
pub mod request;
pub mod stream;
mod thoughts;
pub mod view;
mod wire;

pub use crate::openai::error;
