//! The body of an embeddings request, read no further than routing and metering have to.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::FormatError;
use crate::view::{View, as_written, read};

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default, deserialize_with = "as_written")]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

/// Reads a body. Nothing is generated: the most tokens of the answer are 0.
///
/// # Errors
/// When the body is no JSON object, or has no input.
pub fn view(body: &[u8]) -> Result<View<'_>, FormatError> {
    let body: Body<'_> = read(body)?;
    match body.input {
        Some(input) if input.get().starts_with(['"', '[']) => {}
        Some(_) => return Err(FormatError::invalid("`input` must be a text or an array", "input")),
        None => return Err(FormatError::invalid("`input` is missing", "input")),
    }
    Ok(View { model: body.model, max_output_tokens: Some(0), ..View::default() })
}
