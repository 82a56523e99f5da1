//! OpenAI's Embeddings (API reference, "Embeddings").

pub mod answer;
pub mod request;
pub mod view;

pub use super::openai_chat::error;

#[cfg(test)]
mod tests;
