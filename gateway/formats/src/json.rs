//! Small pieces of JSON that every format reads and writes: borrowed texts, texts into buffers.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::error::FormatError;
use crate::exchange::Text;

/// A JSON text that borrows from the body unless it holds escapes. A plain `Option<Cow<str>>` always copies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Str<'a>(pub(crate) Text<'a>);

impl<'a> Str<'a> {
    /// The text.
    #[must_use]
    pub(crate) fn into_text(self) -> Text<'a> {
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

/// A request that is read member by member, so that a member without a place can be kept by its name.
pub(crate) trait Members<'de>: Default {
    /// What the object is, for errors.
    const EXPECTED: &'static str;

    /// Reads the value of the member `name`.
    fn take<A: MapAccess<'de>>(&mut self, name: Text<'de>, map: &mut A) -> Result<(), A::Error>;
}

/// Reads an object member by member.
pub(crate) fn members<'de, T: Members<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Object<T>(PhantomData<T>);

    impl<'de, T: Members<'de>> Visitor<'de> for Object<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(T::EXPECTED)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
            let mut object = T::default();
            while let Some(Str(name)) = map.next_key()? {
                object.take(name, &mut map)?;
            }
            Ok(object)
        }
    }

    deserializer.deserialize_map(Object(PhantomData))
}

/// Appends a value as JSON. Types of this crate cannot fail to serialise, and a vector takes every byte.
pub(crate) fn write<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let start = out.len();
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.truncate(start);
        out.extend_from_slice(b"null");
    }
}

/// Writes one JSON object into a buffer, member by member, without building it first.
#[derive(Debug)]
pub(crate) struct Object<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl<'o> Object<'o> {
    /// Begins an object.
    pub(crate) fn new(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    /// Begins a member; its value has to be written to the buffer that is given. `name` needs no escapes.
    pub(crate) fn key(&mut self, name: &str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// A member.
    pub(crate) fn put<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> &mut Self {
        write(self.key(name), value);
        self
    }

    /// A member whose value is JSON already.
    pub(crate) fn raw(&mut self, name: &str, json: &str) -> &mut Self {
        self.key(name).extend_from_slice(json.as_bytes());
        self
    }

    /// A member, where there is a value.
    pub(crate) fn given<T: Serialize>(&mut self, name: &str, value: Option<T>) -> &mut Self {
        if let Some(value) = value {
            self.put(name, &value);
        }
        self
    }

    /// A member that is an object.
    pub(crate) fn object(&mut self, name: &str, fill: impl FnOnce(&mut Object<'_>)) -> &mut Self {
        let mut inner = Object::new(self.key(name));
        fill(&mut inner);
        inner.end();
        self
    }

    /// Ends the object.
    pub(crate) fn end(self) {
        self.out.push(b'}');
    }
}

/// Writes a JSON array into a buffer, item by item.
#[derive(Debug)]
pub(crate) struct Array<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl<'o> Array<'o> {
    /// Begins an array.
    pub(crate) fn new(out: &'o mut Vec<u8>) -> Self {
        out.push(b'[');
        Self { out, empty: true }
    }

    /// Begins an item; its value has to be written to the buffer that is given.
    pub(crate) fn item(&mut self) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
        self.out
    }

    /// An item that is an object.
    pub(crate) fn object(&mut self, fill: impl FnOnce(&mut Object<'_>)) {
        let mut inner = Object::new(self.item());
        fill(&mut inner);
        inner.end();
    }

    /// Ends the array.
    pub(crate) fn end(self) {
        self.out.push(b']');
    }
}

/// The text of a backend's whole answer, which is one JSON object in every format.
pub(crate) fn answer_text(body: &[u8]) -> Result<&str, FormatError> {
    let text = std::str::from_utf8(body)
        .map_err(|_| FormatError::invalid("the answer of the model is not UTF-8", None))?;
    if !text.trim_start().starts_with('{') {
        return Err(FormatError::invalid("the answer of the model is not a JSON object", None));
    }
    Ok(text)
}

/// Arguments of a tool as JSON text: as the text holds them, or as written where a server sends an object.
#[must_use]
pub(crate) fn text_or_raw(raw: &RawValue) -> Text<'_> {
    crate::view::text_of(raw).unwrap_or(Cow::Borrowed(raw.get()))
}

/// A text or several, as `stop` is given; empty for `null`.
#[derive(Debug, Default)]
pub(crate) struct Texts<'a>(pub(crate) Vec<Text<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Texts<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <Option<&'a RawValue>>::deserialize(deserializer)?;
        let Some(raw) = raw else { return Ok(Self::default()) };
        if let Some(text) = crate::view::text_of(raw) {
            return Ok(Self(vec![text]));
        }
        let texts: Vec<Str<'a>> = serde_json::from_str(raw.get())
            .map_err(|_| Error::custom("`stop` must be a text or an array of texts"))?;
        Ok(Self(texts.into_iter().map(Str::into_text).collect()))
    }
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

    #[test]
    fn objects_and_arrays_nest() {
        let mut out = Vec::new();
        let mut object = Object::new(&mut out);
        object.put("a", "x\"y").given("none", None::<u8>).raw("r", "[1]").object("o", |_| {});
        let mut array = Array::new(object.key("list"));
        array.object(|item| {
            item.put("n", &1.5);
        });
        write(array.item(), &true);
        array.end();
        object.end();
        assert_eq!(out, br#"{"a":"x\"y","r":[1],"o":{},"list":[{"n":1.5},true]}"#);
    }
}
