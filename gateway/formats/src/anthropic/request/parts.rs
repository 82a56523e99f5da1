//! Content blocks of a request as parts of a turn.

use std::borrow::Cow;
use std::collections::HashSet;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::place::{Place, extra, missing};
use crate::anthropic::wire::{Block, Content, SourceField, SourceObject};
use crate::error::{FormatError, request_fault};
use crate::exchange::{CacheMark, Extra, Image, Media, Part, Source, Text, ToolCall, ToolResult};

/// What reading a conversation brings up beside its turns.
#[derive(Debug, Default)]
pub(super) struct Aside<'a> {
    pub(super) extras: Vec<Extra<'a>>,
    /// Tools that were referred to or called.
    pub(super) tools: HashSet<Text<'a>>,
}

impl Aside<'_> {
    pub(super) fn knows_tool(&self, name: &str) -> bool {
        self.tools.contains(name)
    }
}

/// Content as parts; blocks that no other format has are kept by path in `extras`.
pub(super) fn parts<'a>(
    content: Content<'a>,
    place: Place,
    aside: &mut Aside<'a>,
) -> Result<Vec<Part<'a>>, FormatError> {
    let blocks = match content {
        Content::Text(text) => return Ok(vec![Part::text(text)]),
        Content::Blocks(blocks) => blocks,
    };
    let mut parts = Vec::with_capacity(blocks.len());
    for (index, block) in blocks.into_iter().enumerate() {
        parts.extend(part(block, place.at(index), aside)?);
    }
    Ok(parts)
}

fn part<'a>(block: Block<'a>, place: Place, aside: &mut Aside<'a>) -> Result<Option<Part<'a>>, FormatError> {
    let cache = block.cache_control.as_ref().map(|control| control.mark());
    let absent = |field: &str| missing(place.field(field));
    Ok(Some(match block.kind() {
        "text" => Part::Text { text: block.text.ok_or_else(|| absent("text"))?.0, cache },
        "image" => Part::Image(image(block, cache, place, aside)?),
        "document" => return document(block, cache, place, aside),
        "tool_use" => {
            let name = block.name.ok_or_else(|| absent("name"))?.0;
            aside.tools.insert(name.clone());
            Part::ToolCall(ToolCall {
                id: block.id.ok_or_else(|| absent("id"))?.0,
                name,
                arguments: Cow::Borrowed(block.input.map_or("", |raw| raw.get())),
            })
        }
        // Other providers know no references: the model is told the name of the tool that was found.
        "tool_reference" => {
            let name = block.tool_name.ok_or_else(|| absent("tool_name"))?.0;
            aside.tools.insert(name.clone());
            Part::Text { text: name, cache }
        }
        "tool_result" if !place.is_inner() => Part::ToolResult(tool_result(block, cache, place, aside)?),
        "thinking" => Part::Reasoning {
            text: block.thinking.ok_or_else(|| absent("thinking"))?.0,
            signature: block.signature.map(|text| text.0).filter(|text| !text.is_empty()),
            redacted: None,
        },
        "redacted_thinking" => Part::Reasoning {
            text: Cow::Borrowed(""),
            signature: None,
            redacted: Some(block.data.ok_or_else(|| absent("data"))?.0),
        },
        _ => {
            aside.extras.push(extra(place.field("type"), block.kind));
            return Ok(None);
        }
    }))
}

fn image<'a>(
    block: Block<'a>,
    cache: Option<CacheMark>,
    place: Place,
    aside: &mut Aside<'a>,
) -> Result<Image<'a>, FormatError> {
    aside.extras.extend(block.transformations.map(|raw| extra(place.field("transformations"), raw)));
    let (media_type, source) = match block.source {
        Some(SourceField::Object(object)) => source(object, place)?,
        _ => return Err(missing(place.field("source"))),
    };
    Ok(Image { media_type, source, detail: None, cache })
}

fn tool_result<'a>(
    block: Block<'a>,
    cache: Option<CacheMark>,
    place: Place,
    aside: &mut Aside<'a>,
) -> Result<ToolResult<'a>, FormatError> {
    let content = match block.content {
        None => None,
        Some(raw) => Some(serde_json::from_str::<Content<'a>>(raw.get()).map_err(|error| {
            let path = place.field("content");
            FormatError::Invalid {
                message: format!("`{path}` cannot be read: {}", request_fault(&error)),
                param: Some(path.into()),
            }
        })?),
    };
    Ok(ToolResult {
        call_id: block.tool_use_id.ok_or_else(|| missing(place.field("tool_use_id")))?.0,
        parts: content.map(|content| parts(content, place, aside)).transpose()?.unwrap_or_default(),
        json: None,
        is_error: block.is_error.unwrap_or(false),
        cache,
    })
}

fn document<'a>(
    block: Block<'a>,
    cache: Option<CacheMark>,
    place: Place,
    aside: &mut Aside<'a>,
) -> Result<Option<Part<'a>>, FormatError> {
    aside.extras.extend(block.context.map(|raw| extra(place.field("context"), raw)));
    let citations = block.citations.filter(|raw| !raw.get().contains("false"));
    aside.extras.extend(citations.map(|raw| extra(place.field("citations"), raw)));
    let object = match block.source {
        Some(SourceField::Object(object)) => object,
        _ => return Err(missing(place.field("source"))),
    };
    let (media_type, source) = match &*object.kind {
        // Documents made of blocks are known here alone.
        "content" => {
            aside.extras.push(extra(place.field("source"), block.kind));
            return Ok(None);
        }
        "text" => {
            let text = object.data.ok_or_else(|| missing(place.field("source.data")))?;
            let media_type = object.media_type.map_or(Cow::Borrowed("text/plain"), |kind| kind.0);
            (media_type, Source::Base64(BASE64_STANDARD.encode(text.as_bytes()).into()))
        }
        _ => source(object, place)?,
    };
    let name = block.title.map(|title| title.0);
    Ok(Some(Part::Document { media: Media { media_type, source, cache }, name }))
}

/// MIME type and source; the type is empty where it is not said.
fn source<'a>(object: SourceObject<'a>, place: Place) -> Result<(Text<'a>, Source<'a>), FormatError> {
    let absent = |field: &str| missing(place.field(field));
    let media_type = object.media_type.map(|kind| kind.0).unwrap_or_default();
    let source = match &*object.kind {
        "base64" => Source::Base64(object.data.ok_or_else(|| absent("source.data"))?.0),
        "url" => Source::Url(object.url.ok_or_else(|| absent("source.url"))?.0),
        "file" => Source::File(object.file_id.ok_or_else(|| absent("source.file_id"))?.0),
        _ => {
            let path = place.field("source.type");
            return Err(FormatError::Invalid {
                message: format!("`{path}` is none of the known sources"),
                param: Some(path.into()),
            });
        }
    };
    Ok((media_type, source))
}
