//! Parts of a turn as content blocks.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::anthropic::wire::CacheControlOut;
use crate::calls::{Arguments, CallId};
use crate::exchange::{CacheMark, Image, Media, Part, ToolResult};
use crate::media::{Location, locate, media_type};

/// A list of blocks.
pub(super) struct Blocks<'r, 'a>(&'r [Cow<'r, Part<'a>>]);

impl<'r, 'a> Blocks<'r, 'a> {
    pub(super) const fn of(parts: &'r [Cow<'r, Part<'a>>]) -> Self {
        Self(parts)
    }

    /// A block of text.
    pub(super) const fn text(text: &'r str, cache: Option<CacheMark>) -> impl Serialize + 'r {
        TextBlock { text, cache }
    }

    /// Whether a part becomes a block. Blank texts are refused by the API, and thoughts that nobody signed are
    /// not its own.
    pub(super) fn has_place(part: &Part<'_>) -> bool {
        match part {
            Part::Text { text, .. } | Part::Refusal(text) => !text.trim_ascii().is_empty(),
            Part::Reasoning { signature, redacted, .. } => signature.is_some() || redacted.is_some(),
            other => obstacle(other).is_none(),
        }
    }
}

impl Serialize for Blocks<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|part| BlockOut(part)))
    }
}

/// The parameter that a part is to OpenAI's clients, when no block can hold it.
pub(super) fn obstacle(part: &Part<'_>) -> Option<&'static str> {
    match part {
        Part::Audio(_) => Some("messages[].content[].input_audio"),
        Part::Document { media, .. } if DocumentKind::of(media).is_none() => {
            Some("messages[].content[].file")
        }
        _ => None,
    }
}

struct TextBlock<'r> {
    text: &'r str,
    cache: Option<CacheMark>,
}

impl Serialize for TextBlock<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", "text")?;
        map.serialize_entry("text", self.text)?;
        end(map, self.cache)
    }
}

/// One part as a block.
struct BlockOut<'r, 'a>(&'r Part<'a>);

impl Serialize for BlockOut<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Part::Text { text, cache } => TextBlock { text, cache: *cache }.serialize(serializer),
            Part::Refusal(text) => TextBlock { text, cache: None }.serialize(serializer),
            Part::Image(image) => {
                let mut map = typed(serializer, "image")?;
                map.serialize_entry("source", &ImageSource(image))?;
                end(map, image.cache)
            }
            Part::Document { media, name } => {
                let mut map = typed(serializer, "document")?;
                map.serialize_entry("source", &DocumentSource(media))?;
                if let Some(name) = name {
                    map.serialize_entry("title", name)?;
                }
                end(map, media.cache)
            }
            Part::ToolCall(call) => {
                let mut map = typed(serializer, "tool_use")?;
                map.serialize_entry("id", &CallId(&call.id))?;
                map.serialize_entry("name", &call.name)?;
                map.serialize_entry("input", &Arguments(&call.arguments))?;
                map.end()
            }
            Part::ToolResult(result) => tool_result(result, serializer),
            Part::Reasoning { redacted: Some(data), .. } => {
                let mut map = typed(serializer, "redacted_thinking")?;
                map.serialize_entry("data", data)?;
                map.end()
            }
            Part::Reasoning { text, signature, .. } => {
                let mut map = typed(serializer, "thinking")?;
                map.serialize_entry("thinking", text)?;
                map.serialize_entry("signature", signature.as_deref().unwrap_or_default())?;
                map.end()
            }
            // Left out by `Blocks::has_place`.
            Part::Audio(_) => typed(serializer, "audio")?.end(),
        }
    }
}

fn tool_result<S: Serializer>(result: &ToolResult<'_>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = typed(serializer, "tool_result")?;
    map.serialize_entry("tool_use_id", &CallId(&result.call_id))?;
    let json = result.json.map(|json| Cow::Owned(Part::text(json.get())));
    let parts = result.parts.iter().filter(|part| Blocks::has_place(part)).map(Cow::Borrowed);
    let parts: Vec<Cow<'_, Part<'_>>> = json.into_iter().chain(parts).collect();
    let alone = if let [alone] = parts.as_slice() { Some(&**alone) } else { None };
    match alone {
        Some(Part::Text { text, cache: None }) => map.serialize_entry("content", text)?,
        None if parts.is_empty() => {}
        _ => map.serialize_entry("content", &Blocks(&parts))?,
    }
    if result.is_error {
        map.serialize_entry("is_error", &true)?;
    }
    end(map, result.cache)
}

fn typed<S: Serializer>(serializer: S, kind: &str) -> Result<S::SerializeMap, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    map.serialize_entry("type", kind)?;
    Ok(map)
}

fn end<M: SerializeMap>(mut map: M, cache: Option<CacheMark>) -> Result<M::Ok, M::Error> {
    if let Some(mark) = cache {
        map.serialize_entry("cache_control", &CacheControlOut(mark))?;
    }
    map.end()
}

fn base64_source<S: Serializer>(serializer: S, media_type: &str, data: &str) -> Result<S::Ok, S::Error> {
    let mut map = typed(serializer, "base64")?;
    map.serialize_entry("media_type", media_type)?;
    map.serialize_entry("data", data)?;
    map.end()
}

fn one_entry<S: Serializer>(serializer: S, kind: &str, key: &str, value: &str) -> Result<S::Ok, S::Error> {
    let mut map = typed(serializer, kind)?;
    map.serialize_entry(key, value)?;
    map.end()
}

struct ImageSource<'r, 'a>(&'r Image<'a>);

impl Serialize for ImageSource<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match locate(&self.0.source) {
            Location::Inline { media_type: in_address, data } => {
                let kind = media_type(&self.0.media_type, in_address, data).unwrap_or("image/png");
                base64_source(serializer, kind, data)
            }
            Location::Address(url) => one_entry(serializer, "url", "url", url),
            Location::File(id) => one_entry(serializer, "file", "file_id", id),
        }
    }
}

/// Documents that the format knows.
enum DocumentKind<'r> {
    Pdf(&'r str),
    /// Whatever its kind, it is read as plain text.
    Text(String),
    Url(&'r str),
    File(&'r str),
}

impl<'r> DocumentKind<'r> {
    fn of(media: &'r Media<'_>) -> Option<Self> {
        let (in_address, data) = match locate(&media.source) {
            Location::File(id) => return Some(Self::File(id)),
            Location::Address(url) => return Some(Self::Url(url)),
            Location::Inline { media_type, data } => (media_type, data),
        };
        match media_type(&media.media_type, in_address, data)? {
            "application/pdf" => Some(Self::Pdf(data)),
            kind if kind.starts_with("text/") => {
                String::from_utf8(BASE64_STANDARD.decode(data).ok()?).ok().map(Self::Text)
            }
            _ => None,
        }
    }
}

struct DocumentSource<'r, 'a>(&'r Media<'a>);

impl Serialize for DocumentSource<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match DocumentKind::of(self.0) {
            Some(DocumentKind::Pdf(data)) => base64_source(serializer, "application/pdf", data),
            Some(DocumentKind::Url(url)) => one_entry(serializer, "url", "url", url),
            Some(DocumentKind::File(id)) => one_entry(serializer, "file", "file_id", id),
            Some(DocumentKind::Text(text)) => {
                let mut map = typed(serializer, "text")?;
                map.serialize_entry("media_type", "text/plain")?;
                map.serialize_entry("data", &text)?;
                map.end()
            }
            // Left out by `Blocks::has_place`.
            None => serializer.serialize_none(),
        }
    }
}
