//! JSON Schemas as a target takes them. Members keep their order: models answer in it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::value::RawValue;
use tollgate_families::SchemaDialect;

use crate::exchange::Text;
use crate::json::Str;

/// Deepest level that is looked at; what is deeper stays as it is.
const MOST_DEPTH: usize = 64;
/// Words whose values are schemas by name.
const BY_NAME: [&str; 5] = ["properties", "$defs", "definitions", "patternProperties", "dependentSchemas"];
/// Words whose value is a schema, or a list of schemas.
const NESTED: [&str; 11] = [
    "items",
    "prefixItems",
    "additionalProperties",
    "contains",
    "anyOf",
    "oneOf",
    "allOf",
    "not",
    "if",
    "then",
    "else",
];
const UNIONS: [&str; 3] = ["anyOf", "oneOf", "allOf"];

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
    False,
}

type Members<'a> = Vec<(Text<'a>, Node<'a>)>;

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
            Self::Word(word) => serializer.serialize_str(word),
            Self::False => serializer.serialize_bool(false),
        }
    }
}

/// The members of an object, one level deep; `None` if it is none.
fn members(raw: &RawValue) -> Option<Members<'_>> {
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

fn items(raw: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(raw.get()).ok()
}

fn leaf<'a>(members: &Members<'a>, name: &str) -> Option<&'a RawValue> {
    members.iter().find_map(|(known, value)| match value {
        Node::Leaf(raw) if known == name => Some(*raw),
        _ => None,
    })
}

fn has(members: &Members<'_>, name: &str) -> bool {
    members.iter().any(|(known, _)| known == name)
}

/// The value becomes this one, in its place or at the end.
fn put<'a>(members: &mut Members<'a>, name: &'static str, value: Node<'a>) {
    match members.iter_mut().find(|(known, _)| known == name) {
        Some((_, old)) => *old = value,
        None => members.push((name.into(), value)),
    }
}

/// The schema of a tool's arguments: an object, whatever else it may be. Alternatives at the top that the target
/// refuses become one object of all their properties, so that arguments keep their form; only what all alternatives
/// require is required.
pub(crate) fn arguments<'a>(schema: Option<&'a RawValue>, dialect: &SchemaDialect) -> Schema<'a> {
    let empty =
        || vec![("type".into(), Node::Word("object")), ("properties".into(), Node::Object(Vec::new()))];
    let Some(raw) = schema else { return Schema::Changed(Node::Object(empty())) };
    let Some(mut top) = members(raw) else {
        return match raw.get() {
            "null" => Schema::Changed(Node::Object(empty())),
            _ => Schema::AsWritten(raw),
        };
    };
    let mut changed = false;
    if !dialect.top_unions && UNIONS.iter().any(|union| has(&top, union)) {
        merge_unions(&mut top);
        changed = true;
    }
    if leaf(&top, "type").is_none_or(|kind| kind.get() != r#""object""#) {
        // In front: it is what models and people read first.
        top.retain(|(name, _)| name != "type");
        top.insert(0, ("type".into(), Node::Word("object")));
        changed = true;
    }
    let is_null = leaf(&top, "properties").is_some_and(|raw| raw.get() == "null");
    if is_null || (dialect.properties_required && !has(&top, "properties")) {
        put(&mut top, "properties", Node::Object(Vec::new()));
        changed = true;
    }
    let before = top.len();
    top.retain(|(name, _)| !dialect.refused_at_top.iter().any(|word| word == name));
    match changed || top.len() != before {
        true => Schema::Changed(Node::Object(top)),
        false => Schema::AsWritten(raw),
    }
}

/// What an alternative says, as far as it is an object. References lead to definitions of the same schema.
fn arm<'a>(raw: &'a RawValue, top: &Members<'a>) -> Members<'a> {
    let Some(found) = members(raw) else { return Vec::new() };
    let Some(path) = leaf(&found, "$ref").and_then(crate::view::text_of) else { return found };
    let defined = || {
        let (group, name) = path.strip_prefix("#/")?.split_once('/')?;
        members(leaf(&members(leaf(top, group)?)?, name)?)
    };
    defined().unwrap_or(found)
}

fn merge_unions(top: &mut Members<'_>) {
    let mut properties = leaf(top, "properties").and_then(members).unwrap_or_default();
    let mut required = names(leaf(top, "required"));
    for union in UNIONS {
        let Some(arms) = leaf(top, union).and_then(items) else { continue };
        let arms: Vec<Members<'_>> = arms.into_iter().map(|raw| arm(raw, top)).collect();
        for arm in &arms {
            for (name, value) in leaf(arm, "properties").and_then(members).unwrap_or_default() {
                add_property(&mut properties, name, value);
            }
        }
        let wanted = arms.iter().map(|arm| names(leaf(arm, "required")));
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
        put(top, "required", Node::List(required.into_iter().map(|name| Node::Leaf(name.0)).collect()));
    }
}

/// A name as it is written, compared by its text.
#[derive(Debug, Clone, Copy)]
struct Name<'a>(&'a RawValue);

impl PartialEq for Name<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

fn names(raw: Option<&RawValue>) -> Vec<Name<'_>> {
    raw.and_then(items).unwrap_or_default().into_iter().map(Name).collect()
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

/// The schema of an answer, with what the target wants of such schemas, and whether words were left out that it
/// refuses.
pub(crate) fn answer<'a>(raw: &'a RawValue, dialect: &SchemaDialect, closed: bool) -> (Schema<'a>, bool) {
    let refused = &dialect.refused_strict;
    if !closed && refused.is_empty() {
        return (Schema::AsWritten(raw), false);
    }
    let mut lost = false;
    let node = closed_schema(raw, refused, closed, 0, &mut lost);
    (Schema::Changed(node), lost)
}

fn closed_schema<'a>(
    raw: &'a RawValue,
    refused: &[String],
    closed: bool,
    depth: usize,
    lost: &mut bool,
) -> Node<'a> {
    let Some(mut found) = members(raw).filter(|_| depth < MOST_DEPTH) else { return Node::Leaf(raw) };
    let before = found.len();
    found.retain(|(name, _)| !refused.iter().any(|word| word == name));
    *lost |= found.len() != before;
    let is_object = has(&found, "properties")
        || leaf(&found, "type").is_some_and(|kind| kind.get().contains(r#""object""#));
    for (name, value) in &mut found {
        let Node::Leaf(inner) = *value else { continue };
        let mut below = |raw: &'a RawValue| closed_schema(raw, refused, closed, depth + 1, lost);
        if BY_NAME.contains(&&**name) {
            let Some(named) = members(inner) else { continue };
            let each = named.into_iter().map(|(name, schema)| match schema {
                Node::Leaf(raw) => (name, below(raw)),
                other => (name, other),
            });
            *value = Node::Object(each.collect());
        } else if NESTED.contains(&&**name) {
            *value = match items(inner) {
                Some(list) => Node::List(list.into_iter().map(below).collect()),
                None => below(inner),
            };
        }
    }
    if closed && is_object {
        put(&mut found, "additionalProperties", Node::False);
    }
    Node::Object(found)
}

/// Whether a strict tool's schema holds words that the target refuses in one.
pub(crate) fn has_refused_words(raw: &RawValue, dialect: &SchemaDialect) -> bool {
    let mut lost = false;
    if !dialect.refused_strict.is_empty() {
        closed_schema(raw, &dialect.refused_strict, false, 0, &mut lost);
    }
    lost
}

#[cfg(test)]
mod tests {
    use tollgate_families::ApiFormat;

    use super::*;
    use crate::testing::target;

    fn dialect(model: &'static str, format: ApiFormat) -> &'static SchemaDialect {
        &target(model, format).traits.schema
    }

    fn claude() -> &'static SchemaDialect {
        dialect("claude-sonnet-4-5", ApiFormat::Anthropic)
    }

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    fn fitted(json: &str, dialect: &SchemaDialect) -> String {
        serde_json::to_string(&arguments(Some(&raw(json)), dialect)).unwrap()
    }

    #[test]
    fn arguments_are_an_object_with_properties() {
        let fine = r#"{"type":"object", "title":"T"}"#;
        assert_eq!(fitted(fine, claude()), fine);
        assert_eq!(
            fitted(r#"{"type":"object","properties":null}"#, claude()),
            r#"{"type":"object","properties":{}}"#
        );
        assert_eq!(fitted("{}", claude()), r#"{"type":"object"}"#);
        assert_eq!(fitted("null", claude()), r#"{"type":"object","properties":{}}"#);
        let converse = dialect("amazon.nova-pro-v1:0", ApiFormat::Bedrock);
        assert_eq!(fitted(r#"{"type":"object"}"#, converse), r#"{"type":"object","properties":{}}"#);
    }

    #[test]
    fn alternatives_at_the_top_become_one_object_of_all_their_properties() {
        let schema = r##"{"$defs":{"B":{"type":"object","properties":{"kind":{"const":"b"},"n":{"type":"number"}},"required":["kind"]}},
            "oneOf":[{"type":"object","properties":{"kind":{"const":"a"},"z":{}},"required":["kind","z"]},{"$ref":"#/$defs/B"}]}"##;
        let found = fitted(schema, claude());
        assert!(found.starts_with(r#"{"type":"object","$defs""#), "{found}");
        assert!(
            found.ends_with(
                r#""properties":{"kind":{"anyOf":[{"const":"a"},{"const":"b"}]},"z":{},"n":{"type":"number"}},"required":["kind"]}"#
            ),
            "{found}"
        );
        let either = r#"{"type":"object","properties":{"a":{},"b":{}},"anyOf":[{"required":["a"]},{"required":["b"]}]}"#;
        assert_eq!(fitted(either, claude()), r#"{"type":"object","properties":{"a":{},"b":{}}}"#);
        let all = r#"{"allOf":[{"properties":{"a":{}},"required":["a"]},{"properties":{"b":{}},"required":["b"]}]}"#;
        assert_eq!(
            fitted(all, claude()),
            r#"{"type":"object","properties":{"a":{},"b":{}},"required":["a","b"]}"#
        );
    }

    #[test]
    fn answers_have_closed_objects_and_no_refused_words() {
        let schema = raw(r#"{"type":"object","properties":{"minimum":{"type":"integer","minimum":1},
                "list":{"type":"array","items":{"properties":{"x":{}}}}},"required":["minimum"]}"#);
        let (found, lost) = answer(&schema, claude(), true);
        assert!(lost);
        assert_eq!(
            serde_json::to_string(&found).unwrap(),
            concat!(
                r#"{"type":"object","properties":{"minimum":{"type":"integer"},"#,
                r#""list":{"type":"array","items":{"properties":{"x":{}},"additionalProperties":false}}},"#,
                r#""required":["minimum"],"additionalProperties":false}"#
            )
        );
        assert!(has_refused_words(&schema, claude()));
        assert!(!has_refused_words(&raw(r#"{"properties":{"minimum":{}}}"#), claude()));
    }
}
