//! A schema as it is read and written: JSON whose members keep their order, because models answer in it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::value::RawValue;

use crate::exchange::Text;
use crate::json::Str;
use crate::view::text_of;

/// A schema for a backend.
#[derive(Debug)]
pub(crate) enum Schema<'a> {
    AsWritten(&'a RawValue),
    Changed(Node<'a>),
}

impl Serialize for Schema<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::AsWritten(raw) => raw.serialize(serializer),
            Self::Changed(node) => node.serialize(serializer),
        }
    }
}

/// JSON whose members keep their order.
#[derive(Debug, Clone)]
pub(crate) enum Node<'a> {
    Object(Members<'a>),
    List(Vec<Node<'a>>),
    Leaf(&'a RawValue),
    Word(&'static str),
    Text(Text<'a>),
    False,
}

pub(crate) type Members<'a> = Vec<(Text<'a>, Node<'a>)>;

impl Serialize for Node<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (name, value) in members {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
            Self::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(item)?;
                }
                list.end()
            }
            Self::Leaf(raw) => raw.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Word(word) => serializer.serialize_str(word),
            Self::False => serializer.serialize_bool(false),
        }
    }
}

/// The members of an object, one level deep; `None` if it is none.
pub(super) fn members(raw: &RawValue) -> Option<Members<'_>> {
    struct Flat<'a>(Members<'a>);

    impl<'de: 'a, 'a> Deserialize<'de> for Flat<'a> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Object;

            impl<'de> Visitor<'de> for Object {
                type Value = Flat<'de>;

                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("an object")
                }

                fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Flat<'de>, A::Error> {
                    let mut members = Vec::new();
                    while let Some((Str(name), value)) = map.next_entry()? {
                        members.push((name, Node::Leaf(value)));
                    }
                    Ok(Flat(members))
                }
            }

            deserializer.deserialize_map(Object)
        }
    }

    serde_json::from_str::<Flat<'_>>(raw.get()).ok().map(|flat| flat.0)
}

pub(super) fn items(raw: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(raw.get()).ok()
}

pub(super) fn leaf<'a>(members: &Members<'a>, name: &str) -> Option<&'a RawValue> {
    members.iter().find_map(|(known, value)| match value {
        Node::Leaf(raw) if known == name => Some(*raw),
        _ => None,
    })
}

pub(super) fn has(members: &Members<'_>, name: &str) -> bool {
    members.iter().any(|(known, _)| known == name)
}

/// The value becomes this one, in its place or at the end.
pub(super) fn put<'a>(members: &mut Members<'a>, name: &'static str, value: Node<'a>) {
    match members.iter_mut().find(|(known, _)| known == name) {
        Some((_, old)) => *old = value,
        None => members.push((name.into(), value)),
    }
}

/// Names in a list, as far as they are texts.
pub(super) fn names<'a>(members: &Members<'a>, word: &str) -> Vec<Text<'a>> {
    let all = leaf(members, word).and_then(items).unwrap_or_default();
    all.into_iter().filter_map(text_of).collect()
}

/// Whether `type` is this word, alone or among others.
pub(super) fn has_type(members: &Members<'_>, wanted: &str) -> bool {
    let is_wanted = |raw: &RawValue| text_of(raw).is_some_and(|word| word == wanted);
    match members.iter().find(|(name, _)| name == "type") {
        Some((_, Node::Word(word))) => *word == wanted,
        Some((_, Node::Leaf(raw))) => {
            is_wanted(raw) || items(raw).unwrap_or_default().into_iter().any(is_wanted)
        }
        _ => false,
    }
}

/// Says that it is an object, and nothing else, in front: that is what models and people read first. Whether that was
/// not said before.
pub(super) fn say_object(members: &mut Members<'_>) -> bool {
    if leaf(members, "type").is_some_and(|kind| kind.get() == r#""object""#) {
        return false;
    }
    members.retain(|(name, _)| name != "type");
    members.insert(0, ("type".into(), Node::Word("object")));
    true
}

/// What a reference within the schema names.
pub(super) fn referred<'a>(path: &str, top: &Members<'a>) -> Option<&'a RawValue> {
    let (group, name) = path.strip_prefix("#/")?.split_once('/')?;
    leaf(&members(leaf(top, group)?)?, name)
}
