//! The one walk through a schema and all that it holds.

use serde_json::value::RawValue;

use super::node::{Members, Node, items, leaf, members, referred};
use crate::view::text_of;

/// Deepest schema that is looked into; what is below stays as it is.
const MOST_LEVELS: usize = 64;
/// Most bytes that stand in the place of references.
const MOST_INLINED: usize = 256 * 1024;

/// Where schemas stand in a schema.
enum Holds {
    /// The value is one, or a list of them.
    Schemas,
    /// The value has one under each of its names.
    Named,
    /// The value is none.
    None,
}

fn holds(word: &str) -> Holds {
    match word {
        "items"
        | "prefixItems"
        | "additionalProperties"
        | "anyOf"
        | "oneOf"
        | "allOf"
        | "not"
        | "if"
        | "then"
        | "else"
        | "contains"
        | "propertyNames"
        | "unevaluatedProperties"
        | "unevaluatedItems" => Holds::Schemas,
        "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas" => Holds::Named,
        _ => Holds::None,
    }
}

/// Changes the members of a schema, given how deep it stands.
pub(super) type Change<'v, 'a> = &'v mut dyn FnMut(&mut Members<'a>, usize);

/// A schema with every schema in it changed, from the outside inwards.
pub(super) fn changed<'a>(schema: Node<'a>, change: Change<'_, 'a>) -> Node<'a> {
    Walk { change, defined: None, open: Vec::new(), inlined: 0 }.schema(schema, 0)
}

/// As [`changed`], with what references name in their place; a reference into itself allows anything.
pub(super) fn changed_without_references<'a>(
    schema: Node<'a>,
    defined: &Members<'a>,
    change: Change<'_, 'a>,
) -> Node<'a> {
    Walk { change, defined: Some(defined), open: Vec::new(), inlined: 0 }.schema(schema, 0)
}

struct Walk<'v, 'a> {
    change: Change<'v, 'a>,
    /// The members of the whole schema, to which references lead, if they are replaced.
    defined: Option<&'v Members<'a>>,
    /// The references that are being followed.
    open: Vec<String>,
    /// Bytes that stand in their places so far.
    inlined: usize,
}

impl<'a> Walk<'_, 'a> {
    fn schema(&mut self, node: Node<'a>, level: usize) -> Node<'a> {
        if level >= MOST_LEVELS {
            // What a reference down there names would be gone.
            return if self.defined.is_some() { Node::Object(Vec::new()) } else { node };
        }
        let mut found = match node {
            Node::Object(found) => found,
            Node::Leaf(raw) => match members(raw) {
                Some(found) => found,
                None => return node,
            },
            other => return other,
        };
        if let Some(defined) = self.defined {
            if let Some(path) = leaf(&found, "$ref").and_then(text_of) {
                return self.reference(&path, defined, level);
            }
            found.retain(|(name, _)| !matches!(&**name, "$defs" | "definitions"));
        }
        (self.change)(&mut found, level);
        let held = found.into_iter().map(|(name, value)| {
            let value = match holds(&name) {
                Holds::Schemas => self.schemas(value, level + 1),
                Holds::Named => self.named(value, level + 1),
                Holds::None => value,
            };
            (name, value)
        });
        Node::Object(held.collect())
    }

    fn schemas(&mut self, value: Node<'a>, level: usize) -> Node<'a> {
        match value {
            Node::Leaf(raw) => match items(raw) {
                Some(list) => {
                    Node::List(list.into_iter().map(|raw| self.schema(Node::Leaf(raw), level)).collect())
                }
                None => self.schema(value, level),
            },
            Node::List(list) => Node::List(list.into_iter().map(|node| self.schema(node, level)).collect()),
            other => self.schema(other, level),
        }
    }

    fn named(&mut self, value: Node<'a>, level: usize) -> Node<'a> {
        let all = match value {
            Node::Object(all) => all,
            Node::Leaf(raw) => match members(raw) {
                Some(all) => all,
                None => return value,
            },
            other => return other,
        };
        Node::Object(all.into_iter().map(|(name, node)| (name, self.schema(node, level))).collect())
    }

    fn reference(&mut self, path: &str, defined: &Members<'a>, level: usize) -> Node<'a> {
        let is_open = self.open.iter().any(|open| open == path);
        let found: Option<&'a RawValue> = referred(path, defined).filter(|_| !is_open);
        let Some(found) = found.filter(|found| self.inlined + found.get().len() <= MOST_INLINED) else {
            return Node::Object(Vec::new());
        };
        self.inlined += found.get().len();
        self.open.push(path.to_owned());
        let schema = self.schema(Node::Leaf(found), level);
        self.open.pop();
        schema
    }
}
