//! Embeddings between the client's format and a backend's.

use bytes::Bytes;
use tollgate_formats::{FormatError, openai_embeddings};

use super::crossing::Incoming;

/// The answer of a backend that speaks the client's format.
///
/// # Errors
/// When it is no list of embeddings.
pub fn answer(body: Bytes) -> Result<Incoming, FormatError> {
    let usage = openai_embeddings::answer::usage(&body)?;
    Ok(Incoming { body, usage, text: String::new(), stop: None, plain: false })
}
