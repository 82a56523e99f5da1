//! What an embedding model is asked.

use super::Text;
use super::request::Extra;

/// A request for embeddings. The model's name is not part of it: the alias decides that.
#[derive(Debug, Clone)]
pub struct EmbeddingRequest<'a> {
    /// What is embedded.
    pub input: Input<'a>,
    /// Length of the vectors, where the model can shorten them.
    pub dimensions: Option<u64>,
    /// How vectors are written in the answer.
    pub encoding: Encoding,
    /// The caller's own name for its user.
    pub end_user: Option<Text<'a>>,
    /// Parameters that have no place above, by name.
    pub extras: Vec<Extra<'a>>,
}

/// What is embedded; one vector for each item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input<'a> {
    /// Texts.
    Texts(Vec<Text<'a>>),
    /// Tokens of the model's own tokenizer.
    Tokens(Vec<Vec<u32>>),
}

/// How vectors are written in JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Arrays of numbers.
    #[default]
    Float,
    /// Base64 of 32-bit floats, little-endian.
    Base64,
}
