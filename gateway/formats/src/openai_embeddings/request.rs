//! Requests for embeddings.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess};
use serde_json::value::RawValue;

use crate::error::FormatError;
use crate::exchange::{Extra, Text};
use crate::json::{Members, Str, members};
use crate::view::{read, text_of};

pub use crate::exchange::embeddings::{EmbeddingRequest, Encoding, Input};

/// Reads a request.
///
/// # Errors
/// When the body is no such request.
pub fn decode(body: &[u8]) -> Result<EmbeddingRequest<'_>, FormatError> {
    let body: Body<'_> = read(body)?;
    let missing = || FormatError::invalid("`input` is missing", "input");
    let encoding = match body.encoding_format.as_deref() {
        None | Some("float") => Encoding::Float,
        Some("base64") => Encoding::Base64,
        Some(_) => {
            let message = "`encoding_format` must be `float` or `base64`";
            return Err(FormatError::invalid(message, "encoding_format"));
        }
    };
    Ok(EmbeddingRequest {
        input: input(body.input.ok_or_else(missing)?)?,
        dimensions: body.dimensions,
        encoding,
        end_user: body.user.map(Str::into_text),
        extras: body.extras,
    })
}

fn input(raw: &RawValue) -> Result<Input<'_>, FormatError> {
    if let Some(text) = text_of(raw) {
        return Ok(Input::Texts(vec![text]));
    }
    let json = raw.get();
    let empty = || FormatError::invalid("`input` is empty", "input");
    let wrong = |_| FormatError::invalid("`input` must be texts or tokens, all of one kind", "input");
    match json.get(1..).unwrap_or_default().trim_start().as_bytes().first() {
        Some(b']') => Err(empty()),
        Some(b'"') => {
            let texts: Vec<Str<'_>> = serde_json::from_str(json).map_err(wrong)?;
            Ok(Input::Texts(texts.into_iter().map(Str::into_text).collect()))
        }
        Some(b'[') => {
            let lists: Vec<Vec<u32>> = serde_json::from_str(json).map_err(wrong)?;
            if lists.iter().any(Vec::is_empty) { Err(empty()) } else { Ok(Input::Tokens(lists)) }
        }
        _ => Ok(Input::Tokens(vec![serde_json::from_str(json).map_err(wrong)?])),
    }
}

#[derive(Default)]
struct Body<'a> {
    input: Option<&'a RawValue>,
    dimensions: Option<u64>,
    encoding_format: Option<Str<'a>>,
    user: Option<Str<'a>>,
    extras: Vec<Extra<'a>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Body<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        members::<Body<'de>, D>(deserializer)
    }
}

impl<'de> Members<'de> for Body<'de> {
    const EXPECTED: &'static str = "an embeddings request";

    fn take<A: MapAccess<'de>>(&mut self, name: Text<'de>, map: &mut A) -> Result<(), A::Error> {
        match &*name {
            "input" => self.input = Some(map.next_value()?),
            "dimensions" => self.dimensions = map.next_value()?,
            "encoding_format" => self.encoding_format = map.next_value()?,
            "user" => self.user = map.next_value()?,
            "model" => {
                map.next_value::<IgnoredAny>()?;
            }
            _ => {
                let value: &RawValue = map.next_value()?;
                if value.get() != "null" {
                    self.extras.push(Extra { name, value });
                }
            }
        }
        Ok(())
    }
}
