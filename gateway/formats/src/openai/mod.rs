//! What OpenAI's formats have in common: chat, completions and embeddings report errors and usage alike; chat and
//! Responses have tools that take a text, and hold answers to schemas.

mod allowed;
pub(crate) mod custom;
pub mod error;
pub(crate) mod fields;
pub(crate) mod form;
pub(crate) mod json_word;
pub(crate) mod usage;

pub(crate) use allowed::allowed;
