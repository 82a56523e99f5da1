//! What OpenAI's older formats have in common: chat, completions and embeddings report errors and usage alike.

pub mod error;
pub(crate) mod fields;
pub(crate) mod usage;
