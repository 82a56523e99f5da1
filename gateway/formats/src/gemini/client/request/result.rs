//! What a function gave: an object, whose usual forms are a text under `output` or `result`, or one under `error`.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess};
use serde_json::value::RawValue;

use crate::exchange::{Part, Text, ToolResult};
use crate::json::{Members, members};
use crate::view::text_of;

/// Members of an object, as far as it matters how many there are.
#[derive(Default)]
struct Response<'a> {
    first: Option<(Text<'a>, &'a RawValue)>,
    has_more: bool,
}

impl<'de> Members<'de> for Response<'de> {
    const EXPECTED: &'static str = "an object";

    fn take<A: MapAccess<'de>>(&mut self, name: Text<'de>, map: &mut A) -> Result<(), A::Error> {
        let value = map.next_value()?;
        self.has_more = self.first.is_some();
        self.first.get_or_insert((name, value));
        Ok(())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Response<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        members::<Response<'de>, D>(deserializer)
    }
}

/// A result of this call; `media` stand beside it.
pub(super) fn result<'a>(
    call_id: Text<'a>,
    response: Option<&'a RawValue>,
    media: Vec<Part<'a>>,
) -> ToolResult<'a> {
    let mut result = ToolResult { call_id, parts: Vec::new(), json: None, is_error: false, cache: None };
    if let Some(raw) = response {
        let only = match serde_json::from_str::<Response<'a>>(raw.get()) {
            Ok(Response { first: Some(first), has_more: false }) => Some(first),
            _ => None,
        };
        match only.as_ref().map(|(name, value)| (&**name, *value)) {
            Some(("output" | "result", value)) => said(&mut result, value),
            Some(("error", value)) => {
                result.is_error = true;
                said(&mut result, value);
            }
            _ => result.json = Some(raw),
        }
    }
    result.parts.extend(media);
    result
}

fn said<'a>(result: &mut ToolResult<'a>, value: &'a RawValue) {
    match text_of(value) {
        Some(text) => result.parts.push(Part::text(text)),
        None => result.json = Some(value),
    }
}
