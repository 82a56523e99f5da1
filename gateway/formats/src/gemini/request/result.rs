//! What a tool gave, as a `functionResponse`: an object, and media beside it.

use std::borrow::Cow;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;
use tollgate_families::Traits;

use super::media::{FileData, InlineData, medium};
use crate::calls;
use crate::error::FormatError;
use crate::exchange::{Part, ToolResult};
use crate::unmapped::Unmapped;

#[derive(Debug, serde::Serialize)]
pub(super) struct FunctionResponse<'r> {
    id: &'r str,
    name: &'r str,
    response: Response<'r>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<MediaPart<'r>>,
}

#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
enum MediaPart<'r> {
    InlineData(InlineData<'r>),
    FileData(FileData<'r>),
}

/// The result itself. An object that a tool gave is passed as such; everything else is its `output`, or its
/// `error`.
#[derive(Debug)]
enum Response<'r> {
    Object(&'r RawValue),
    Json(&'static str, &'r RawValue),
    Text(&'static str, Cow<'r, str>),
}

impl Serialize for Response<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = match self {
            Self::Object(object) => return object.serialize(serializer),
            _ => serializer.serialize_map(Some(1))?,
        };
        match self {
            Self::Json(key, json) => map.serialize_entry(key, json)?,
            Self::Text(key, text) => map.serialize_entry(key, text)?,
            Self::Object(_) => {}
        }
        map.end()
    }
}

/// Writes a result of the function `name`, with those of its media that it may hold.
pub(super) fn function_response<'r>(
    result: &'r ToolResult<'_>,
    name: &'r str,
    traits: &Traits,
    holds_media: impl Fn(&Part<'_>) -> bool,
    unmapped: &mut Unmapped,
) -> Result<FunctionResponse<'r>, FormatError> {
    let mut texts: Vec<&'r str> = Vec::new();
    let mut parts = Vec::new();
    for part in &result.parts {
        match part {
            Part::Text { text, .. } | Part::Refusal(text) => texts.push(text),
            other if !holds_media(other) => {}
            other => parts.extend(match medium(other, traits, unmapped)? {
                Some((Some(inline), _)) => Some(MediaPart::InlineData(inline)),
                Some((None, Some(file))) => Some(MediaPart::FileData(file)),
                _ => None,
            }),
        }
    }
    let key = if result.is_error { "error" } else { "output" };
    let response = match (result.json, texts.as_slice()) {
        (Some(json), _) if json.get().starts_with('{') && !result.is_error => Response::Object(json),
        (Some(json), _) => Response::Json(key, json),
        (None, [text]) => match calls::object(text).filter(|_| !result.is_error) {
            Some(object) => Response::Object(object),
            None => Response::Text(key, Cow::Borrowed(text)),
        },
        (None, texts) => Response::Text(key, Cow::Owned(texts.join("\n"))),
    };
    Ok(FunctionResponse { id: &result.call_id, name, response, parts })
}
