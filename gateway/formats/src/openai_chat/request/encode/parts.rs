//! Contents of messages.

use tollgate_families::{CacheMarks, Traits};

use super::super::super::wire::audio_format;
use crate::error::FormatError;
use crate::exchange::{CacheMark, Image, Media, Part, Source, Text};
use crate::json::{Array, Object, write};
use crate::media::{Location, document_text, locate, media_type};
use crate::unmapped::Unmapped;

/// A part of a content that the model takes.
#[derive(Debug)]
pub(super) enum Piece<'p> {
    Text(Text<'p>),
    /// Text that ends what the provider's cache may keep, and for how long.
    Marked(Text<'p>, CacheMark),
    /// Thoughts, for models that want them in the content.
    Thinking(&'p str),
    Image(&'p Image<'p>),
    Audio {
        data: &'p str,
        format: &'p str,
    },
    File(&'p Media<'p>, Option<&'p str>),
}

/// A part as the model takes it; `None` if there is nothing to be said, or it was left out.
pub(super) fn piece<'p>(
    part: &'p Part<'_>,
    traits: &Traits,
    unmapped: &mut Unmapped,
) -> Result<Option<Piece<'p>>, FormatError> {
    let takes = &traits.media;
    let is_blank = |text: &str| !traits.messages.empty_text && text.trim().is_empty();
    let param = match part {
        Part::Text { text, cache } if !is_blank(text) => return Ok(Some(marked(&**text, *cache, traits))),
        Part::Refusal(text) if !is_blank(text) => return Ok(Some(Piece::Text(Text::Borrowed(text)))),
        Part::Text { .. } | Part::Refusal(_) => return Ok(None),
        Part::Image(image) => match &image.source {
            _ if !takes.images => "messages.content.image",
            Source::File(_) => "messages.content.image.file_id",
            source if !takes.image_urls && is_address(source) => "messages.content.image_url",
            _ => return Ok(Some(Piece::Image(image))),
        },
        Part::Audio(media) => match (&media.source, audio_format(&media.media_type)) {
            (Source::Base64(data), Some(format)) if takes.audio => {
                return Ok(Some(Piece::Audio { data, format }));
            }
            _ => "messages.content.audio",
        },
        Part::Document { media, name } => {
            if let Some(text) = document_text(media, name.as_deref()) {
                return Ok(Some(Piece::Text(text.into())));
            }
            match &media.source {
                Source::Url(_) => "messages.content.file.url",
                _ if !takes.pdf => "messages.content.file",
                _ => return Ok(Some(Piece::File(media, name.as_deref()))),
            }
        }
        Part::Reasoning { .. } => return Ok(None),
        Part::ToolCall(_) | Part::ToolResult(_) => "messages.content.tool",
    };
    unmapped.param(param).map(|()| None)
}

/// A text with its mark, where the server takes marks.
pub(super) fn marked<'p>(text: impl Into<Text<'p>>, cache: Option<CacheMark>, traits: &Traits) -> Piece<'p> {
    let text = text.into();
    let cache = cache.filter(|_| traits.cache.marks == CacheMarks::CacheControl);
    let has_hours = traits.cache.ttls.iter().any(|word| word == "1h");
    match cache {
        Some(CacheMark::OneHour) if has_hours => Piece::Marked(text, CacheMark::OneHour),
        Some(_) => Piece::Marked(text, CacheMark::FiveMinutes),
        None => Piece::Text(text),
    }
}

fn is_address(source: &Source<'_>) -> bool {
    matches!(locate(source), Location::Address(_))
}

/// A content: one text as it is, anything else as parts.
pub(super) fn content(out: &mut Vec<u8>, pieces: &[Piece<'_>]) {
    match pieces {
        [] => write(out, ""),
        [Piece::Text(text)] => write(out, text),
        several => {
            let mut list = Array::new(out);
            several.iter().for_each(|piece| list.object(|part| piece.write(part)));
            list.end();
        }
    }
}

impl Piece<'_> {
    fn write(&self, part: &mut Object<'_>) {
        match self {
            Self::Text(text) => _ = part.put("type", "text").put("text", text),
            Self::Marked(text, mark) => {
                let hour = (*mark == CacheMark::OneHour).then_some("1h");
                part.put("type", "text").put("text", text).object("cache_control", |control| {
                    control.put("type", "ephemeral").given("ttl", hour);
                });
            }
            Self::Thinking(text) => {
                part.put("type", "thinking");
                let mut list = Array::new(part.key("thinking"));
                list.object(|item| {
                    item.put("type", "text").put("text", text);
                });
                list.end();
            }
            Self::Image(image) => write_image(part, image),
            Self::Audio { data, format } => {
                part.put("type", "input_audio").object("input_audio", |audio| {
                    audio.put("data", data).put("format", format);
                });
            }
            Self::File(media, name) => write_file(part, media, *name),
        }
    }
}

fn write_image(part: &mut Object<'_>, image: &Image<'_>) {
    let url = match &image.source {
        Source::Base64(data) => {
            let kind = media_type(&image.media_type, "", data).unwrap_or_default();
            Text::Owned(format!("data:{kind};base64,{data}"))
        }
        Source::Url(url) | Source::File(url) => Text::Borrowed(&**url),
    };
    part.put("type", "image_url").object("image_url", |image_url| {
        image_url.put("url", &url).given("detail", image.detail.as_ref());
    });
}

fn write_file(part: &mut Object<'_>, media: &Media<'_>, name: Option<&str>) {
    part.put("type", "file").object("file", |file| match &media.source {
        Source::Base64(data) => {
            // The name is required beside bytes.
            file.put("filename", name.unwrap_or("document"));
            file.put("file_data", &format!("data:{};base64,{data}", media.media_type));
        }
        Source::File(id) | Source::Url(id) => {
            file.put("file_id", id);
        }
    });
}
