//! OpenAI's legacy Completions (API reference, "Completions"): a text in, its continuation out.
//!
//! Answers and streams differ from chat in `text` alone, so chat's readers serve both. Translated to another
//! format the prompt becomes a message of the user.

pub mod answer;
pub mod request;
pub mod stream;
pub mod view;

pub use super::openai_chat::error;

#[cfg(test)]
mod tests;
