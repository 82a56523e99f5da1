//! Small pieces of JSON that every format reads and writes: borrowed texts, texts into buffers.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::exchange::Text;

/// A JSON text that borrows from the body unless it holds escapes. A plain `Option<Cow<str>>` always copies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Str<'a>(pub Text<'a>);

impl<'a> Str<'a> {
    /// The text.
    #[must_use]
    pub fn into_text(self) -> Text<'a> {
        self.0
    }
}

impl std::ops::Deref for Str<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Serialize for Str<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Str<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;

        impl<'de> Visitor<'de> for Texts {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(text))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
        }

        deserializer.deserialize_str(Texts).map(Str)
    }
}

/// Appends a text as JSON, quotes included.
pub fn write_text(out: &mut Vec<u8>, text: &str) {
    write(out, text);
}

/// Appends a value as JSON. Types of this crate cannot fail to serialise, and a vector takes every byte.
pub fn write<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let start = out.len();
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.truncate(start);
        out.extend_from_slice(b"null");
    }
}

/// Arguments of a tool as JSON text: as the text holds them, or as written where a server sends an object.
#[must_use]
pub fn text_or_raw(raw: &RawValue) -> Text<'_> {
    crate::view::text_of(raw).unwrap_or(Cow::Borrowed(raw.get()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_without_escapes_is_borrowed() {
        let plain: Option<Str<'_>> = serde_json::from_str(r#""plain""#).unwrap();
        assert!(matches!(plain.unwrap().0, Cow::Borrowed("plain")));
        let escaped: Str<'_> = serde_json::from_str(r#""a\nb""#).unwrap();
        assert_eq!(&*escaped, "a\nb");
    }
}
