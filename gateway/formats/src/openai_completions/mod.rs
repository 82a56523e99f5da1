//! OpenAI's legacy Completions (API reference, "Completions"): a text in, its continuation out.
//!
//! Answers and streams of backends differ from chat in `text` alone: the readers of
//! [`super::openai_chat`] take both. Translated to another
//! format the prompt becomes a message of the user.

pub mod answer;
pub mod request;
pub mod stream;
pub mod view;

pub use crate::openai::error;

#[cfg(test)]
mod tests;
