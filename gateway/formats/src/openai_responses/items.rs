//! The items that Responses consist of, as they stand in `input` and `output`.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::FormatError;
use crate::exchange::{Image, Source, Text};
use crate::json::{Str, text_or_raw};
use crate::view;

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
    pub(super) namespace: Option<Str<'a>>,
    /// A text of JSON, or the object itself.
    #[serde(borrow, default)]
    pub(super) arguments: Option<&'a RawValue>,
    /// What a custom tool is called with.
    #[serde(borrow, default)]
    pub(super) input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) tools: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) output_format: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) output: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) summary: Option<Vec<Content<'a>>>,
    #[serde(borrow, default)]
    pub(super) encrypted_content: Option<Str<'a>>,
}

impl<'a> Item<'a> {
    /// What a call of a tool says, in its own form.
    pub(super) fn text_of_call(&self) -> Text<'a> {
        self.arguments.or(self.input).map(text_or_raw).unwrap_or_default()
    }

    /// The picture that the provider made.
    pub(super) fn picture(self) -> Option<Image<'a>> {
        let data = view::text_of(self.result?)?;
        let format = self.output_format.as_deref().unwrap_or("png");
        Some(Image {
            media_type: format!("image/{format}").into(),
            source: Source::Base64(data),
            detail: None,
            cache: None,
        })
    }

    /// The parts of a message.
    pub(super) fn parts(&self) -> Result<Vec<Content<'a>>, FormatError> {
        let Some(raw) = self.content else { return Ok(Vec::new()) };
        Ok(serde_json::from_str(raw.get())?)
    }
}

/// One part of a message, of a tool's output or of a summary.
#[derive(Debug, Deserialize)]
pub(super) struct Content<'a> {
    #[serde(borrow, rename = "type", default)]
    pub(super) kind: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) text: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) logprobs: Option<&'a RawValue>,
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
