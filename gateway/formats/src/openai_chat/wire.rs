//! Pieces of JSON that requests, answers and stream chunks share.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::custom_text::custom_arguments;
use crate::exchange::{CacheMark, Image, Media, Part, Source, Text};
use crate::json::{Str, text_or_raw};

/// `content`: nothing, a text, or parts.
#[derive(Debug, Default)]
pub(super) enum Content<'a> {
    #[default]
    None,
    Text(Text<'a>),
    Parts(Vec<PartWire<'a>>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Contents;

        impl<'de> Visitor<'de> for Contents {
            type Value = Content<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or an array of parts")
            }

            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(Content::None)
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Content::Text(text.into()))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Content::Text(text.to_owned().into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut parts = Vec::new();
                while let Some(part) = items.next_element()? {
                    parts.push(part);
                }
                Ok(Content::Parts(parts))
            }
        }

        deserializer.deserialize_any(Contents)
    }
}

/// A part of a content, whatever its type: fields of other types are `None`.
#[derive(Debug, serde::Deserialize)]
pub(super) struct PartWire<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Str<'a>,
    #[serde(borrow, default)]
    pub(super) text: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) image_url: Option<ImageUrl<'a>>,
    #[serde(borrow, default)]
    pub(super) input_audio: Option<InputAudio<'a>>,
    #[serde(borrow, default)]
    pub(super) file: Option<File<'a>>,
    #[serde(borrow, default)]
    pub(super) refusal: Option<Str<'a>>,
    /// Thoughts as Mistral (texts) and Anthropic (one text) write them.
    #[serde(borrow, default)]
    pub(super) thinking: Content<'a>,
    #[serde(borrow, default)]
    pub(super) cache_control: Option<CacheControl<'a>>,
}

/// `image_url`: an object, or its `url` alone as some clients send it.
#[derive(Debug)]
pub(super) struct ImageUrl<'a> {
    url: Text<'a>,
    detail: Option<Text<'a>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for ImageUrl<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        struct Object<'a> {
            #[serde(borrow)]
            url: Str<'a>,
            #[serde(borrow, default)]
            detail: Option<Str<'a>>,
        }
        struct Urls;

        impl<'de> Visitor<'de> for Urls {
            type Value = ImageUrl<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with `url`")
            }

            fn visit_borrowed_str<E: Error>(self, url: &'de str) -> Result<Self::Value, E> {
                Ok(ImageUrl { url: url.into(), detail: None })
            }

            fn visit_str<E: Error>(self, url: &str) -> Result<Self::Value, E> {
                Ok(ImageUrl { url: url.to_owned().into(), detail: None })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let object = Object::deserialize(MapAccessDeserializer::new(map))?;
                Ok(ImageUrl { url: object.url.0, detail: object.detail.map(Str::into_text) })
            }
        }

        deserializer.deserialize_any(Urls)
    }
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct InputAudio<'a> {
    #[serde(borrow)]
    data: Str<'a>,
    #[serde(borrow)]
    format: Str<'a>,
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct File<'a> {
    #[serde(borrow, default)]
    file_data: Option<Str<'a>>,
    #[serde(borrow, default)]
    file_id: Option<Str<'a>>,
    #[serde(borrow, default)]
    filename: Option<Str<'a>>,
}

/// Anthropic's mark, which many clients send in this format, too.
#[derive(Debug, serde::Deserialize)]
pub(super) struct CacheControl<'a> {
    #[serde(borrow, default)]
    ttl: Option<Str<'a>>,
}

impl CacheControl<'_> {
    pub(super) fn mark(&self) -> CacheMark {
        match self.ttl.as_deref() {
            Some("1h") => CacheMark::OneHour,
            _ => CacheMark::FiveMinutes,
        }
    }
}

/// A call of a tool, whole or (in chunks) a piece of one.
#[derive(Debug, serde::Deserialize)]
pub(super) struct ToolCallWire<'a> {
    #[serde(default)]
    pub(super) index: Option<u32>,
    #[serde(borrow, default)]
    pub(super) id: Option<Str<'a>>,
    #[serde(borrow, default, rename = "type")]
    pub(super) kind: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) function: Option<CallWire<'a>>,
    /// Set for the call of a tool that takes free text.
    #[serde(borrow, default)]
    pub(super) custom: Option<CustomCall<'a>>,
}

/// Name and text of the call of a custom tool.
#[derive(Debug, serde::Deserialize)]
pub(super) struct CustomCall<'a> {
    #[serde(borrow, default)]
    name: Option<Str<'a>>,
    #[serde(borrow, default)]
    input: Option<Str<'a>>,
}

impl<'a> CustomCall<'a> {
    /// Name, and the arguments that stand for the text.
    pub(super) fn into_parts(self) -> (Text<'a>, Text<'a>) {
        let input = self.input.map(Str::into_text).unwrap_or_default();
        (self.name.map(Str::into_text).unwrap_or_default(), custom_arguments(&input).into())
    }
}

/// Name and arguments of a call.
#[derive(Debug, serde::Deserialize)]
pub(super) struct CallWire<'a> {
    #[serde(borrow, default)]
    pub(super) name: Option<Str<'a>>,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
}

impl<'a> CallWire<'a> {
    pub(super) fn name(&mut self) -> Text<'a> {
        self.name.take().map(Str::into_text).unwrap_or_default()
    }

    /// The arguments as text; some servers send an object.
    pub(super) fn arguments(&self) -> Text<'a> {
        self.arguments.map(text_or_raw).unwrap_or_default()
    }
}

/// Why a part has no place in the common view.
pub(super) enum PartFault {
    /// Its type is not known.
    Unknown,
    /// It lacks what its type needs.
    Incomplete(&'static str),
}

impl<'a> PartWire<'a> {
    /// As a part of the common view.
    pub(super) fn part(self) -> Result<Part<'a>, PartFault> {
        let cache = self.cache_control.as_ref().map(CacheControl::mark);
        let missing = PartFault::Incomplete;
        Ok(match &*self.kind {
            "text" | "input_text" | "output_text" => {
                let text = self.text.ok_or(missing("text"))?.0;
                Part::Text { text, cache }
            }
            "image_url" => {
                let image = self.image_url.ok_or(missing("image_url"))?;
                let (media_type, source) = source_of(image.url);
                Part::Image(Image { media_type, source, detail: image.detail, cache })
            }
            "input_audio" => {
                let audio = self.input_audio.ok_or(missing("input_audio"))?;
                let media_type = audio_type(&audio.format);
                Part::Audio(Media { media_type, source: Source::Base64(audio.data.0), cache })
            }
            "file" => document(self.file.ok_or(missing("file"))?, cache)?,
            "refusal" => Part::Refusal(self.refusal.ok_or(missing("refusal"))?.0),
            "thinking" => Part::Reasoning { text: all_text(self.thinking), signature: None, redacted: None },
            _ => return Err(PartFault::Unknown),
        })
    }
}

fn document<'a>(file: File<'a>, cache: Option<CacheMark>) -> Result<Part<'a>, PartFault> {
    let name = file.filename.map(Str::into_text);
    let (media_type, source) = match (file.file_data, file.file_id) {
        (Some(data), _) => match source_of(data.0) {
            // Bytes without a data address around them.
            (_, Source::Url(data)) if !data.contains("://") => {
                ("application/pdf".into(), Source::Base64(data))
            }
            found => found,
        },
        (None, Some(id)) => (Text::default(), Source::File(id.0)),
        (None, None) => return Err(PartFault::Incomplete("file.file_data")),
    };
    Ok(Part::Document { media: Media { media_type, source, cache }, name })
}

/// The texts of a content, one after the other.
pub(super) fn all_text(content: Content<'_>) -> Text<'_> {
    match content {
        Content::None => Text::default(),
        Content::Text(text) => text,
        Content::Parts(parts) => parts
            .into_iter()
            .filter_map(|part| part.text)
            .map(|text| text.0.into_owned())
            .collect::<String>()
            .into(),
    }
}

/// MIME type and bytes of a `data:` address (RFC 2397) in base64; any other address stays one.
fn source_of(url: Text<'_>) -> (Text<'_>, Source<'_>) {
    let Some((start, data)) = split_data_url(&url) else { return (Text::default(), Source::Url(url)) };
    match url {
        Text::Borrowed(url) => (url[start.clone()].into(), Source::Base64(url[data..].into())),
        Text::Owned(url) => {
            (url[start.clone()].to_owned().into(), Source::Base64(url[data..].to_owned().into()))
        }
    }
}

/// Where MIME type and bytes of a `data:` address in base64 stand.
fn split_data_url(url: &str) -> Option<(std::ops::Range<usize>, usize)> {
    const SCHEME: &str = "data:";
    let head = url.get(..SCHEME.len())?;
    let comma = url.find(',').filter(|_| head.eq_ignore_ascii_case(SCHEME))?;
    let parameters = &url[SCHEME.len()..comma];
    parameters.strip_suffix(";base64")?;
    let media_type = parameters.find(';').unwrap_or(parameters.len());
    Some((SCHEME.len()..SCHEME.len() + media_type, comma + 1))
}

fn audio_type(format: &str) -> Text<'static> {
    match format {
        "mp3" => "audio/mpeg".into(),
        "wav" => "audio/wav".into(),
        other => format!("audio/{other}").into(),
    }
}

/// The `format` of a sound; the inverse of what reading does.
pub(super) fn audio_format(media_type: &str) -> Option<&str> {
    match media_type {
        "audio/mpeg" | "audio/mp3" => Some("mp3"),
        "audio/wav" | "audio/x-wav" | "audio/wave" => Some("wav"),
        other => other.strip_prefix("audio/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_addresses_are_taken_apart_without_a_copy() {
        let (media_type, source) = source_of("data:image/png;base64,iVBOR".into());
        assert_eq!(media_type, "image/png");
        assert!(matches!(source, Source::Base64(Text::Borrowed("iVBOR"))));
        let (media_type, source) = source_of("DATA:image/png;charset=x;base64,QQ==".to_owned().into());
        assert_eq!(media_type, "image/png");
        assert!(matches!(source, Source::Base64(data) if data == "QQ=="));
    }

    #[test]
    fn other_addresses_stay_what_they_are() {
        for url in ["https://x.example/a,b.png", "data:text/plain,hi", "data:", "dätä:,"] {
            assert!(matches!(source_of(url.into()), (_, Source::Url(kept)) if kept == url), "{url}");
        }
    }
}
