//! Canonical JSON, written while a text is read: keys sorted, no white space, every key of an object once.
//!
//! Numbers stay as they are written: `1` and `1.0` differ.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_json::value::RawValue;

/// The fields of an object by name, each named once; their values are not looked into.
pub(super) struct Fields<'a>(pub(super) BTreeMap<Cow<'a, str>, &'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = BTreeMap<Cow<'de, str>, &'de RawValue>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with unique keys")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut fields = BTreeMap::new();
                while let Some((Name(name), value)) = entries.next_entry()? {
                    if fields.insert(name, value).is_some() {
                        return Err(A::Error::custom("a key is there twice"));
                    }
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Names).map(Self)
    }
}

/// A key, borrowed unless it has escapes.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Whether a value is `null`.
pub(super) fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}

/// The text of a string; `None` for any other value.
pub(super) fn text(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

/// The canonical form of a value.
///
/// # Errors
/// When an object names a key twice, or the value nests deeper than `serde_json` reads.
pub(super) fn canonical(raw: &RawValue) -> Result<Vec<u8>, serde_json::Error> {
    let mut out = Vec::with_capacity(raw.get().len());
    let mut reader = serde_json::Deserializer::from_str(raw.get());
    Write(&mut out).deserialize(&mut reader)?;
    reader.end()?;
    Ok(out)
}

/// Adds a field to an object that is being written.
pub(super) fn push_field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    out.extend(quoted(name).into_bytes());
    out.push(b':');
    out.extend_from_slice(value);
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Writes one value.
struct Write<'a>(&'a mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for Write<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Write<'_> {
    fn put<E>(self, text: impl AsRef<[u8]>) -> Result<(), E> {
        self.0.extend_from_slice(text.as_ref());
        Ok(())
    }
}

impl<'de> Visitor<'de> for Write<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON with unique keys")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.put("null")
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.put(if value { "true" } else { "false" })
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.put(value.to_string())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.put(value.to_string())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.put(Number::from_f64(value).map_or_else(|| "null".to_owned(), |number| number.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.put(quoted(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.0.push(b'[');
        let start = self.0.len();
        loop {
            let end = self.0.len();
            if end > start {
                self.0.push(b',');
            }
            if items.next_element_seed(Write(self.0))?.is_none() {
                self.0.truncate(end);
                break;
            }
        }
        self.0.push(b']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let start = self.0.len();
        let mut fields: BTreeMap<Cow<'de, str>, Range<usize>> = BTreeMap::new();
        while let Some(Name(name)) = entries.next_key()? {
            let from = self.0.len() - start;
            entries.next_value_seed(Write(self.0))?;
            if fields.insert(name, from..self.0.len() - start).is_some() {
                return Err(A::Error::custom("a key is there twice"));
            }
        }
        // The values came in the order of the text and leave in that of their names.
        let values = self.0.split_off(start);
        self.0.push(b'{');
        for (name, range) in fields {
            push_field(self.0, &name, &values[range]);
        }
        self.0.push(b'}');
        Ok(())
    }
}
