//! Pictures of a message whose model draws: `images`, beside the text.

use serde_json::value::RawValue;

use super::wire::PartWire;
use crate::exchange::{Image, Part, Source};

/// The pictures in `images`; other servers may have another field of this name.
pub(super) fn pictures<'a>(raw: Option<&'a RawValue>) -> impl Iterator<Item = Image<'a>> {
    let items: Vec<&'a RawValue> =
        raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    items.into_iter().filter_map(|item| {
        let part: PartWire<'a> = serde_json::from_str(item.get()).ok()?;
        match part.part().ok()? {
            Part::Image(image) => Some(Image { source: known(image.source)?, ..image }),
            _ => None,
        }
    })
}

/// An address without a word says nothing.
fn known(source: Source<'_>) -> Option<Source<'_>> {
    match &source {
        Source::Base64(text) | Source::Url(text) | Source::File(text) => (!text.is_empty()).then_some(source),
    }
}
