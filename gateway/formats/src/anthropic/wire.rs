//! Content blocks and cache marks as they stand on the wire; requests and answers share them.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

use crate::exchange::{CacheMark, Text};
use crate::json::Str;

/// A block of any type: every field that some type has, so that it is read in one go.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Block<'a> {
    /// Its type, as written.
    #[serde(borrow, rename = "type")]
    pub(super) kind: &'a RawValue,
    #[serde(borrow, default)]
    pub(super) text: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) source: Option<SourceField<'a>>,
    #[serde(borrow, default)]
    pub(super) id: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) name: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) tool_use_id: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) tool_name: Option<Str<'a>>,
    /// Of a tool's result a text or blocks; of other types whatever they like.
    #[serde(borrow, default)]
    pub(super) content: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) is_error: Option<bool>,
    #[serde(borrow, default)]
    pub(super) thinking: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) signature: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) data: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) title: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) context: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) citations: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) transformations: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) cache_control: Option<CacheControl<'a>>,
}

impl<'a> Block<'a> {
    /// The name of its type; what is no plain text is nobody's type.
    pub(super) fn kind(&self) -> &'a str {
        self.kind.get().trim_matches('"')
    }
}

/// A source of bytes; search results have an address there.
#[derive(Debug)]
pub(super) enum SourceField<'a> {
    Object(SourceObject<'a>),
    Address,
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct SourceObject<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Str<'a>,
    #[serde(borrow, default)]
    pub(super) media_type: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) data: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) url: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) file_id: Option<Str<'a>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for SourceField<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Sources;

        impl<'de> Visitor<'de> for Sources {
            type Value = SourceField<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a source")
            }

            fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
                Ok(SourceField::Address)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                SourceObject::deserialize(MapAccessDeserializer::new(map)).map(SourceField::Object)
            }
        }

        deserializer.deserialize_any(Sources)
    }
}

/// Content: a text, or blocks.
#[derive(Debug)]
pub(super) enum Content<'a> {
    Text(Text<'a>),
    Blocks(Vec<Block<'a>>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Contents;

        impl<'de> Visitor<'de> for Contents {
            type Value = Content<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of content blocks")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Content::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Content::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Content::Blocks)
            }
        }

        deserializer.deserialize_any(Contents)
    }
}

/// A cache mark; no `ttl` means five minutes.
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

/// Writes a cache mark.
pub(super) struct CacheControlOut(pub(super) CacheMark);

impl Serialize for CacheControlOut {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", "ephemeral")?;
        if self.0 == CacheMark::OneHour {
            map.serialize_entry("ttl", "1h")?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(value: &impl Serialize) -> String {
        serde_json::to_string(value).unwrap()
    }

    #[test]
    fn cache_marks_keep_their_time() {
        let mark = |text: &str| serde_json::from_str::<CacheControl<'_>>(text).unwrap().mark();
        assert_eq!(mark(r#"{"type":"ephemeral"}"#), CacheMark::FiveMinutes);
        assert_eq!(mark(r#"{"type":"ephemeral","ttl":"1h"}"#), CacheMark::OneHour);
        assert_eq!(json(&CacheControlOut(CacheMark::OneHour)), r#"{"type":"ephemeral","ttl":"1h"}"#);
        assert_eq!(json(&CacheControlOut(CacheMark::FiveMinutes)), r#"{"type":"ephemeral"}"#);
    }
}
