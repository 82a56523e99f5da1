//! One text of a JSON document, found by its pointer (RFC 6901) without keeping the rest of the document.

use std::fmt;
use std::str::FromStr;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Most segments of a pointer.
const MAX_DEPTH: usize = 16;

/// Where to look: `/metadata/session_id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer(Box<[Box<str>]>);

/// A text that is no pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a JSON pointer of up to {MAX_DEPTH} parts, like /metadata/session_id")]
pub struct NotAPointer;

impl FromStr for Pointer {
    type Err = NotAPointer;

    fn from_str(text: &str) -> Result<Self, NotAPointer> {
        let parts = text.strip_prefix('/').ok_or(NotAPointer)?.split('/');
        let parts: Box<[Box<str>]> =
            parts.map(|part| part.replace("~1", "/").replace("~0", "~").into()).collect();
        if parts.len() > MAX_DEPTH { Err(NotAPointer) } else { Ok(Self(parts)) }
    }
}

impl Pointer {
    /// The text or number at this place; `None` if there is nothing of that kind.
    #[must_use]
    pub fn text_in(&self, json: &[u8]) -> Option<String> {
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        Seek(&self.0).deserialize(&mut deserializer).ok().flatten()
    }
}

/// Reads one value and looks for the rest of the pointer in it.
struct Seek<'a>(&'a [Box<str>]);

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<String>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Seek<'_> {
    fn scalar<E>(&self, text: impl ToString) -> Result<Option<String>, E> {
        Ok(self.0.is_empty().then(|| text.to_string()))
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Option<String>, E> {
        self.scalar(text)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Option<String>, E> {
        self.scalar(number)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Option<String>, E> {
        self.scalar(number)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Option<String>, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Option<String>, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Option<String>, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<String>, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<std::borrow::Cow<'_, str>>()? {
            match self.0.split_first() {
                Some((part, rest)) if **part == *key => found = map.next_value_seed(Seek(rest))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Option<String>, A::Error> {
        let wanted = self.0.split_first().and_then(|(part, rest)| Some((part.parse::<usize>().ok()?, rest)));
        let (mut found, mut index) = (None, 0);
        loop {
            match wanted {
                Some((at, rest)) if at == index => match list.next_element_seed(Seek(rest))? {
                    Some(value) => found = value,
                    None => return Ok(found),
                },
                _ => {
                    if list.next_element::<IgnoredAny>()?.is_none() {
                        return Ok(found);
                    }
                }
            }
            index += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"a":{"b/c":["x",{"d":"deep"}],"n":7,"f":1.5,"t":true},"e":"\u00e9","z":null}"#;

    fn check(pointer: &str, expected: Option<&str>) {
        let found = pointer.parse::<Pointer>().unwrap().text_in(JSON.as_bytes());
        assert_eq!(found.as_deref(), expected, "{pointer}");
    }

    #[test]
    fn texts_and_whole_numbers_are_found() {
        check("/a/b~1c/1/d", Some("deep"));
        check("/a/b~1c/0", Some("x"));
        check("/a/n", Some("7"));
        check("/e", Some("é"));
    }

    #[test]
    fn other_values_and_missing_places_are_nothing() {
        for pointer in ["/a", "/a/f", "/a/t", "/z", "/a/b~1c/2", "/a/b~1c/x", "/missing/far", "/"] {
            check(pointer, None);
        }
        assert_eq!("/a".parse::<Pointer>().unwrap().text_in(b"{\"a\":"), None);
    }

    #[test]
    fn a_pointer_begins_with_a_slash_and_is_short() {
        assert_eq!("a/b".parse::<Pointer>(), Err(NotAPointer));
        assert_eq!("/x".repeat(17).parse::<Pointer>(), Err(NotAPointer));
    }
}
