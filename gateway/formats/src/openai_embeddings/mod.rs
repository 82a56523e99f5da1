//! OpenAI's Embeddings (API reference, "Embeddings").

pub mod answer;
pub mod backend;
pub mod request;
pub mod view;

pub use crate::openai::error;

#[cfg(test)]
mod tests;
