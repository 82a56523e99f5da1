//! The body of a completions request, read no further than routing and metering have to.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::FormatError;
use crate::openai::fields::{include_usage, tokens};
use crate::view::{View, as_written, read};

/// What a server allows where the request does not say (API reference, `max_tokens`).
pub(super) const DEFAULT_MAX_TOKENS: u64 = 16;

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default, deserialize_with = "as_written")]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    prompt: Option<&'a RawValue>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    n: Option<u64>,
    #[serde(default)]
    best_of: Option<u64>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    stream_options: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    max_tokens: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    temperature: Option<&'a RawValue>,
}

/// Reads a body.
///
/// # Errors
/// When the body is no JSON object, or a field that is read has the wrong type.
pub fn view(body: &[u8]) -> Result<View<'_>, FormatError> {
    let body: Body<'_> = read(body)?;
    let prompt = body.prompt.ok_or_else(|| FormatError::invalid("`prompt` is missing", "prompt"))?;
    if !prompt.get().starts_with(['"', '[']) {
        return Err(FormatError::invalid("`prompt` must be a text or an array", "prompt"));
    }
    let known = [
        ("stream_options", body.stream_options),
        ("max_tokens", body.max_tokens),
        ("temperature", body.temperature),
    ];
    let fields = known.into_iter().filter_map(|(name, raw)| raw.map(|raw| (name, raw))).collect();
    let each = tokens(body.max_tokens, "max_tokens")?.unwrap_or(DEFAULT_MAX_TOKENS);
    // All of `best_of` are generated and billed, `n` of them are shown.
    let choices = body.n.unwrap_or(1).max(body.best_of.unwrap_or(1)).max(1);
    Ok(View {
        model: body.model,
        stream: body.stream.unwrap_or(false),
        include_usage: include_usage(body.stream_options),
        max_output_tokens: Some(each.saturating_mul(choices)),
        fields,
        ..View::default()
    })
}
