//! Forms of answers as Messages and Converse take them: objects that are closed, and no words that are refused.

use serde_json::value::RawValue;
use tollgate_families::SchemaDialect;

use super::node::{Node, Schema, has, leaf, put};
use super::walk::changed;

/// The schema of an answer, with what the target wants of such schemas, and whether words were left out that it
/// refuses.
pub(crate) fn answer<'a>(raw: &'a RawValue, dialect: &SchemaDialect, closed: bool) -> (Schema<'a>, bool) {
    let refused = &dialect.refused_strict;
    if !closed && refused.is_empty() {
        return (Schema::AsWritten(raw), false);
    }
    let mut lost = false;
    let node = changed(Node::Leaf(raw), &mut |found, _| {
        let before = found.len();
        found.retain(|(name, _)| !refused.iter().any(|word| word == name));
        lost |= found.len() != before;
        let is_object = has(found, "properties")
            || leaf(found, "type").is_some_and(|kind| kind.get().contains(r#""object""#));
        if closed && is_object {
            put(found, "additionalProperties", Node::False);
        }
    });
    (Schema::Changed(node), lost)
}

/// Whether a strict tool's schema holds words that the target refuses in one.
pub(crate) fn has_refused_words(raw: &RawValue, dialect: &SchemaDialect) -> bool {
    answer(raw, dialect, false).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::testing::{claude, raw};

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
