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

/// JSON text of a tool's arguments as the object that this format wants. Arguments that are no JSON object (a
/// model can be cut off in the midst of them) are kept as a text under `arguments`.
pub(super) struct Input<'a>(pub(super) &'a str);

impl Serialize for Input<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.0.trim_ascii();
        if text.is_empty() {
            return serializer.serialize_map(Some(0))?.end();
        }
        match serde_json::from_str::<&RawValue>(text) {
            Ok(object) if object.get().starts_with('{') => object.serialize(serializer),
            _ => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("arguments", self.0)?;
                map.end()
            }
        }
    }
}

/// Longest id of a call that is written unchanged, bytes.
const MAX_ID_BYTES: usize = 64;

/// Writes the id of a tool's call in the letters that this format allows: `[a-zA-Z0-9_-]`. Ids of other providers
/// are changed the same way wherever they stand, and two that differ stay different.
pub(super) struct CallId<'a>(pub(super) &'a str);

impl Serialize for CallId<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_plain = |letter: &u8| letter.is_ascii_alphanumeric() || matches!(letter, b'_' | b'-');
        if !self.0.is_empty() && self.0.len() <= MAX_ID_BYTES && self.0.as_bytes().iter().all(is_plain) {
            return serializer.serialize_str(self.0);
        }
        let kept: String = self
            .0
            .bytes()
            .take(40)
            .map(|byte| if is_plain(&byte) { char::from(byte) } else { '_' })
            .collect();
        serializer.collect_str(&format_args!("{kept}_{:016x}", fingerprint(self.0.as_bytes())))
    }
}

/// FNV-1a, 64 bit: the same in every process and release.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(value: &impl Serialize) -> String {
        serde_json::to_string(value).unwrap()
    }

    #[test]
    fn arguments_become_an_object_whatever_the_model_wrote() {
        assert_eq!(json(&Input("")), "{}");
        assert_eq!(json(&Input(r#" {"a": [1]} "#)), r#"{"a": [1]}"#);
        assert_eq!(json(&Input(r#"{"a": [1"#)), r#"{"arguments":"{\"a\": [1"}"#);
        assert_eq!(json(&Input("3")), r#"{"arguments":"3"}"#);
    }

    #[test]
    fn ids_of_other_providers_are_changed_alike_and_stay_apart() {
        assert_eq!(json(&CallId("call_A-1")), r#""call_A-1""#);
        let changed = json(&CallId("fc:1"));
        assert!(changed.starts_with(r#""fc_1_"#), "{changed}");
        assert_eq!(changed, json(&CallId("fc:1")));
        assert_ne!(changed, json(&CallId("fc.1")));
        assert_ne!(json(&CallId("")), r#""""#);
        assert!(json(&CallId(&"x".repeat(1_000))).len() <= MAX_ID_BYTES + 2);
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
