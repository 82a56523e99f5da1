//! Finds secrets that stand in the configuration itself.

use serde::ser::{
    Error as _, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use serde_json::Error;

use crate::mistakes::Mistakes;
use crate::secret::PLAIN;

/// What is said of a secret in plain text.
const MESSAGE: &str = "is written in plain text; write it as ${secret:env:NAME} or ${secret:file:/path}, \
                       or set `allow_plain_secrets: true`";

/// Every secret of `config` that is written in plain text, with its path.
///
/// A secret is a [`crate::SecretTemplate`]; where a map from free names holds them (the properties of a client
/// library), those whose name speaks of a secret.
#[must_use]
pub fn plain_secrets(config: &impl Serialize) -> Mistakes {
    let mut found = Mistakes::default();
    let walk = Walk { path: String::new(), free_name: None, found: &mut found };
    if let Err(error) = config.serialize(walk) {
        // What cannot be looked at is not taken for fine.
        found.add("configuration", format!("cannot be searched for plain secrets: {error}"));
    }
    found
}

/// Whether the name of a property says that its value is a secret: `sasl.password`, but not `ssl.key.location`.
fn names_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let speaks = ["password", "secret", "token", "jaas", "credential", "private", "passphrase"];
    let names_place = [".location", ".url", "_url", ".path", ".file"].iter().any(|end| name.ends_with(end));
    let is_key = name.ends_with("key") || name.ends_with(".pem");
    !names_place && (is_key || speaks.iter().any(|word| name.contains(word)))
}

/// Goes through a value and writes nothing.
struct Walk<'a> {
    path: String,
    /// The last step of the path where that is a key of a map and not a field of a type.
    free_name: Option<String>,
    found: &'a mut Mistakes,
}

impl Walk<'_> {
    fn below(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn step(&mut self, name: &str) -> Walk<'_> {
        Walk { path: self.below(name), free_name: None, found: self.found }
    }
}

macro_rules! nothing_in {
    ($($method:ident: $kind:ty),*) => {
        $(fn $method(self, _: $kind) -> Result<(), Error> { Ok(()) })*
    };
}

impl<'a> Serializer for Walk<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Parts<'a>;
    type SerializeTuple = Parts<'a>;
    type SerializeTupleStruct = Parts<'a>;
    type SerializeTupleVariant = Parts<'a>;
    type SerializeMap = Parts<'a>;
    type SerializeStruct = Parts<'a>;
    type SerializeStructVariant = Parts<'a>;

    nothing_in!(
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_f32: f32,
        serialize_f64: f64, serialize_char: char, serialize_str: &str, serialize_bytes: &[u8],
        serialize_unit_struct: &'static str
    );

    fn serialize_none(self) -> Result<(), Error> {
        Ok(())
    }

    fn serialize_unit(self) -> Result<(), Error> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), Error> {
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        if name == PLAIN && self.free_name.as_deref().is_none_or(names_secret) {
            self.found.add(self.path, MESSAGE);
            return Ok(());
        }
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self.step(variant))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Parts<'a>, Error> {
        Ok(Parts::of(self))
    }

    fn serialize_tuple(self, _: usize) -> Result<Parts<'a>, Error> {
        Ok(Parts::of(self))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Parts<'a>, Error> {
        Ok(Parts::of(self))
    }

    fn serialize_tuple_variant(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<'a>, Error> {
        self.path = self.below(variant);
        Ok(Parts::of(self))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Parts<'a>, Error> {
        Ok(Parts::of(self))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts<'a>, Error> {
        Ok(Parts::of(self))
    }

    fn serialize_struct_variant(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<'a>, Error> {
        self.path = self.below(variant);
        Ok(Parts::of(self))
    }
}

/// What a value consists of.
struct Parts<'a> {
    walk: Walk<'a>,
    index: usize,
    key: String,
}

impl<'a> Parts<'a> {
    const fn of(walk: Walk<'a>) -> Self {
        Self { walk, index: 0, key: String::new() }
    }

    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let path = format!("{}[{}]", self.walk.path, self.index);
        self.index += 1;
        value.serialize(Walk { path, free_name: None, found: self.walk.found })
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Error> {
        value.serialize(self.walk.step(name))
    }
}

macro_rules! items {
    ($($kind:ident::$method:ident),*) => {
        $(impl $kind for Parts<'_> {
            type Ok = ();
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.item(value)
            }

            fn end(self) -> Result<(), Error> {
                Ok(())
            }
        })*
    };
}

items!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
);

macro_rules! fields {
    ($($kind:ident),*) => {
        $(impl $kind for Parts<'_> {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Error> {
                self.field(name, value)
            }

            fn end(self) -> Result<(), Error> {
                Ok(())
            }
        })*
    };
}

fields!(SerializeStruct, SerializeStructVariant);

impl SerializeMap for Parts<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        let key = serde_json::to_value(key)?;
        self.key = key.as_str().ok_or_else(|| Error::custom("a key is no text"))?.to_owned();
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let key = std::mem::take(&mut self.key);
        let path = self.walk.below(&key);
        value.serialize(Walk { path, free_name: Some(key), found: self.walk.found })
    }

    fn end(self) -> Result<(), Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::secret::SecretTemplate;

    #[derive(Serialize, Deserialize)]
    struct Service {
        token: Option<SecretTemplate>,
        store: Store,
        headers: Vec<Header>,
        properties: BTreeMap<String, SecretTemplate>,
        backends: BTreeMap<String, Header>,
    }

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Store {
        Server { url: String, password: SecretTemplate },
        Remote(Header),
    }

    #[derive(Serialize, Deserialize)]
    struct Header {
        name: String,
        value: SecretTemplate,
    }

    fn paths(yaml: &str) -> Vec<String> {
        let service: Service = crate::load::parse_yaml(std::path::Path::new("s.yaml"), yaml).unwrap();
        plain_secrets(&service).0.into_iter().map(|mistake| mistake.path).collect()
    }

    #[test]
    fn every_plain_secret_is_named_by_its_path() {
        let found = paths(
            "token: hunter2
store: { server: { url: u, password: '' } }
headers: [ { name: a, value: '${secret:env:A}' }, { name: b, value: b } ]
properties: { sasl.password: p, ssl.key.location: /k, client.id: me, sasl.jaas.config: j, ssl.key.pem: k }
backends: { east.one: { name: x, value: Bearer abc } }",
        );
        let expected = [
            "token",
            "store.server.password",
            "headers[1].value",
            "properties.sasl.jaas.config",
            "properties.sasl.password",
            "properties.ssl.key.pem",
            "backends.east.one.value",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn references_are_fine_also_within_a_text() {
        let found = paths(
            "token: ${secret:env:T}
store: { remote: { name: n, value: 'Bearer ${secret:file:/t}' } }
headers: []
properties: { sasl.password: '${secret:env:P}' }
backends: {}",
        );
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn the_message_says_what_to_write_and_never_the_secret() {
        let service = Header { name: "n".to_owned(), value: "hunter2".parse().unwrap() };
        let said = plain_secrets(&service).to_string();
        assert!(
            said.starts_with("value: is written in plain text; write it as ${secret:env:NAME}"),
            "{said}"
        );
        assert!(!said.contains("hunter2"), "{said}");
    }
}
