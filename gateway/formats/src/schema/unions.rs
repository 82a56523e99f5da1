//! Alternatives at the top of a schema as one object, for targets that refuse them.

use serde_json::value::RawValue;

use super::node::{Members, Node, has, items, leaf, members, names, put, referred};
use crate::exchange::Text;
use crate::view::text_of;

const UNIONS: [&str; 3] = ["anyOf", "oneOf", "allOf"];

/// What an alternative says, as far as it is an object. References lead to definitions of the same schema.
fn arm<'a>(raw: &'a RawValue, top: &Members<'a>) -> Members<'a> {
    let Some(found) = members(raw) else { return Vec::new() };
    let Some(path) = leaf(&found, "$ref").and_then(text_of) else { return found };
    referred(&path, top).and_then(members).unwrap_or(found)
}

/// Whether there are alternatives.
pub(super) fn has_unions(top: &Members<'_>) -> bool {
    UNIONS.iter().any(|union| has(top, union))
}

/// Makes one object of the alternatives, with all their properties, so that what the model says keeps its form; only
/// what all alternatives require is required.
pub(super) fn merge_unions(top: &mut Members<'_>) {
    let mut properties = leaf(top, "properties").and_then(members).unwrap_or_default();
    let mut required = names(top, "required");
    for union in UNIONS {
        let Some(arms) = leaf(top, union).and_then(items) else { continue };
        let arms: Vec<Members<'_>> = arms.into_iter().map(|raw| arm(raw, top)).collect();
        for arm in &arms {
            for (name, value) in leaf(arm, "properties").and_then(members).unwrap_or_default() {
                add_property(&mut properties, name, value);
            }
        }
        let wanted = arms.iter().map(|arm| names(arm, "required"));
        let wanted = match union {
            "allOf" => Some(wanted.flatten().collect()),
            _ => wanted.reduce(|all, arm| all.into_iter().filter(|name| arm.contains(name)).collect()),
        };
        for name in wanted.unwrap_or_default() {
            if !required.contains(&name) {
                required.push(name);
            }
        }
    }
    top.retain(|(name, _)| !UNIONS.contains(&&**name));
    put(top, "properties", Node::Object(properties));
    if !required.is_empty() {
        put(top, "required", Node::List(required.into_iter().map(Node::Text).collect()));
    }
}

/// A property that two alternatives describe otherwise may be either.
fn add_property<'a>(properties: &mut Members<'a>, name: Text<'a>, value: Node<'a>) {
    let text = |node: &Node<'_>| serde_json::to_string(node).unwrap_or_default();
    let Some((_, known)) = properties.iter_mut().find(|(other, _)| *other == name) else {
        return properties.push((name, value));
    };
    match known {
        Node::Object(either) => {
            if let Some((_, Node::List(all))) = either.iter_mut().find(|(word, _)| word == "anyOf")
                && !all.iter().any(|other| text(other) == text(&value))
            {
                all.push(value);
            }
        }
        one if text(one) == text(&value) => {}
        one => {
            let both = Node::List(vec![one.clone(), value]);
            *one = Node::Object(vec![("anyOf".into(), both)]);
        }
    }
}
