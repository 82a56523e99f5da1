//! Reads one service's section of the file, completed with what the host knows better.
//!
//! Every field that the file does have keeps its line and column in error messages; the added ones come
//! after it, so that a field can never be given twice.

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor,
};
use serde_json::Value;

/// The names of the fields that a section has, whatever their values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(BTreeSet<String>);

impl Fields {
    /// Whether the section has the field.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = Fields;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the settings of a service")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut names = BTreeSet::new();
                while let Some((name, IgnoredAny)) = map.next_entry()? {
                    names.insert(name);
                }
                Ok(Fields(names))
            }
        }
        deserializer.deserialize_map(Names)
    }
}

/// Fields to add where a section does not have them.
#[derive(Debug, Clone, Default)]
pub struct Additions(Vec<(&'static str, Value)>);

impl Additions {
    /// Adds `value` unless the section has the field.
    pub fn add(&mut self, given: &Fields, name: &'static str, value: Value) {
        if !given.contains(name) {
            self.0.push((name, value));
        }
    }

    /// The settings of a service whose section is absent.
    ///
    /// # Errors
    /// When the additions alone are not enough.
    pub fn alone<T: DeserializeOwned>(self) -> Result<T, serde_json::Error> {
        let fields = self.0.into_iter().map(|(name, value)| (name.to_owned(), value));
        serde_json::from_value(Value::Object(fields.collect()))
    }
}

/// Reads a `T` from a section and the additions.
pub struct Section<T> {
    additions: Additions,
    target: PhantomData<T>,
}

impl<T> Section<T> {
    /// A section to be completed with `additions`.
    #[must_use]
    pub fn new(additions: Additions) -> Self {
        Self { additions, target: PhantomData }
    }
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Section<T> {
    type Value = T;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Section<T> {
    type Value = T;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the settings of a service")
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        let added = self.additions.0.into_iter();
        T::deserialize(MapAccessDeserializer::new(Completed { map, added, value: None }))
    }
}

/// The entries of a map and then some more.
struct Completed<A, I> {
    map: A,
    added: I,
    /// Value of the added field whose name was read last.
    value: Option<Value>,
}

impl<'de, A: MapAccess<'de>, I: Iterator<Item = (&'static str, Value)>> MapAccess<'de> for Completed<A, I> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        // Without an inner key the map is at its end; a map may be asked again there.
        let mut seed = Reusable(Some(seed));
        if let Some(key) = self.map.next_key_seed(&mut seed)? {
            return Ok(Some(key));
        }
        let (Some((name, value)), Some(seed)) = (self.added.next(), seed.0) else { return Ok(None) };
        self.value = Some(value);
        seed.deserialize(serde::de::value::BorrowedStrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        match self.value.take() {
            Some(value) => seed.deserialize(value).map_err(A::Error::custom),
            None => self.map.next_value_seed(seed),
        }
    }
}

/// A seed that is still there when the map had no key for it.
struct Reusable<S>(Option<S>);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for &mut Reusable<S> {
    type Value = S::Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        match self.0.take() {
            Some(seed) => seed.deserialize(deserializer),
            None => Err(D::Error::custom("a key was read twice")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Service {
        listen: String,
        store: Store,
        #[serde(default)]
        workers: u32,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "snake_case", deny_unknown_fields)]
    enum Store {
        Embedded { path: String },
        Remote { url: String },
    }

    fn read(text: &str) -> Result<Service, serde_saphyr::Error> {
        let given: Fields = serde_saphyr::from_str(text)?;
        let mut additions = Additions::default();
        additions.add(&given, "listen", "127.0.0.1:1".into());
        additions.add(&given, "store", serde_json::json!({ "embedded": { "path": "data" } }));
        serde_saphyr::with_deserializer_from_str(text, |yaml| {
            Section::<Service>::new(additions).deserialize(yaml)
        })
    }

    #[test]
    fn what_is_missing_is_added_and_what_is_there_is_kept() {
        let service = read("workers: 3\nlisten: 127.0.0.1:9\n").unwrap();
        let store = Store::Embedded { path: "data".into() };
        assert_eq!(service, Service { listen: "127.0.0.1:9".into(), store, workers: 3 });
        let service = read("store: { remote: { url: u } }\n").unwrap();
        assert_eq!(service.store, Store::Remote { url: "u".into() });
        assert_eq!(service.listen, "127.0.0.1:1");
    }

    #[test]
    fn a_mistake_in_the_file_keeps_its_line() {
        let error = read("listen: x\nwrokers: 3\n").unwrap_err();
        assert_eq!(error.location().unwrap().line(), 2, "{error}");
        assert!(error.to_string().contains("wrokers"), "{error}");
    }

    #[test]
    fn a_service_without_a_section_is_made_of_the_additions() {
        let mut additions = Additions::default();
        additions.add(&Fields::default(), "listen", "a".into());
        additions.add(&Fields::default(), "store", serde_json::json!({ "remote": { "url": "u" } }));
        assert_eq!(additions.alone::<Service>().unwrap().store, Store::Remote { url: "u".into() });
    }
}
