//! Counts the tokens of prompts as their models' providers count them.
//!
//! - [`Family`] says by which rules a model counts: encoding, messages, tools, images.
//! - [`Tally`], [`count_text`], [`count_chat`] and [`count_input`] count on the caller's thread, within a [`Budget`] of
//!   work; what exceeds it is extrapolated and no longer exact.
//! - [`Counter`] counts large prompts on threads of its own.
//! - [`upper_bound`] is what a prompt can come to at most, for next to nothing.
//!
//! Texts come from anybody, so their shape must not matter: cutting and encoding are linear, use no stack and no
//! regular expression, and count their work. `tiktoken-rs` is the reference: it provides the vocabularies and says
//! which model has which, and the tests and benches compare with it. It does not count here, because it panics on
//! long runs of white space and takes most of a second for 2 MB without any.

mod bound;
mod classes;
mod count;
mod counter;
mod encoding;
mod estimate;
mod family;
mod image;
pub mod image_size;
mod merges;
mod openai;
mod pairs;
mod split;
mod tally;
mod tools;
mod trie;

pub use bound::upper_bound;
pub use count::{Budget, Count};
pub use counter::{Counter, INLINE_BYTES, Stats, Work};
pub use encoding::Encoding;
pub use estimate::by_json_size;
pub use family::Family;
pub use image::{Detail, Size};
pub use openai::{count_chat, count_input};
pub use tally::{ImageSource, Piece, Tally, count_text, count_text_within};

/// Why the tables of an encoding could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The Unicode tables do not have a class.
    #[error("the classes of characters cannot be built: {0}")]
    Classes(String),
    /// The vocabulary is not a byte-pair encoding.
    #[error("the vocabulary is not a byte-pair encoding")]
    Vocabulary,
}
