//! Arguments of tools as Messages and Converse take them: what stands at the top matters to these APIs alone.

use serde_json::value::RawValue;
use tollgate_families::SchemaDialect;

use super::node::{Node, Schema, has, leaf, members, put, say_object};
use super::unions::{has_unions, merge_unions};

/// The schema of a tool's arguments: an object, whatever else it may be.
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
    if !dialect.top_unions && has_unions(&top) {
        merge_unions(&mut top);
        changed = true;
    }
    changed |= say_object(&mut top);
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

#[cfg(test)]
mod tests {
    use tollgate_families::ApiFormat;

    use super::*;
    use crate::schema::testing::{claude, dialect, raw};

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
}
