//! Fields that requests of chat and completions share.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::FormatError;
use crate::view::{Change, View, whole_number};

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: Option<bool>,
}

/// Usage asked for at the end of a stream, where the client did not ask: what a gateway needs to meter it.
#[must_use]
pub fn usage_change(view: &View<'_>) -> Option<Change> {
    if !view.stream || view.include_usage {
        return None;
    }
    let mut options: serde_json::Map<String, serde_json::Value> =
        view.field("stream_options").and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    options.insert("include_usage".to_owned(), true.into());
    Some(Change::new("stream_options", &options))
}

/// Whether `stream_options` asks for usage.
pub(crate) fn include_usage(stream_options: Option<&RawValue>) -> bool {
    stream_options
        .and_then(|raw| serde_json::from_str::<StreamOptions>(raw.get()).ok())
        .and_then(|options| options.include_usage)
        .unwrap_or(false)
}

/// A number of tokens; `null` is `None`.
pub(crate) fn tokens(raw: Option<&RawValue>, param: &'static str) -> Result<Option<u64>, FormatError> {
    let Some(raw) = raw else { return Ok(None) };
    whole_number(raw)
        .map_err(|_| FormatError::invalid(format!("`{param}` must be a whole number, 0 or larger"), param))
}
