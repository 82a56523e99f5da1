//! The items that Responses consist of, as they stand in `input` and `output`.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::Str;

/// One item; which fields it has depends on its type. A message may leave its type out.
#[derive(Debug, Deserialize)]
pub(super) struct Item<'a> {
    #[serde(borrow, rename = "type", default)]
    pub(super) kind: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) role: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) call_id: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) name: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) arguments: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) output: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) summary: Option<Vec<Content<'a>>>,
    #[serde(borrow, default)]
    pub(super) encrypted_content: Option<Str<'a>>,
}

/// One part of a message, of a tool's output or of a summary.
#[derive(Debug, Deserialize)]
pub(super) struct Content<'a> {
    #[serde(borrow, rename = "type", default)]
    pub(super) kind: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) text: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) refusal: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) image_url: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) file_id: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) file_url: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) file_data: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) filename: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) detail: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) input_audio: Option<Audio<'a>>,
}

/// A sound in a message.
#[derive(Debug, Deserialize)]
pub(super) struct Audio<'a> {
    #[serde(borrow)]
    pub(super) data: Str<'a>,
    #[serde(borrow)]
    pub(super) format: Str<'a>,
}
