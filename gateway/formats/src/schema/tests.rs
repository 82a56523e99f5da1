//! Schemas in the dialects of models.

use super::*;
use crate::schema::testing::raw;

fn openai() -> SchemaDialect {
    SchemaDialect {
        properties_required: true,
        items_required: true,
        top_unions: false,
        refused_at_top: vec!["enum".into(), "not".into()],
        refused: vec!["minLength".into()],
        refused_strict: vec!["allOf".into()],
        strict_closed: true,
        strict_all_required: true,
        ..SchemaDialect::default()
    }
}

fn told(json: &str, dialect: &SchemaDialect) -> String {
    fitted(&raw(json), dialect).json.into_owned()
}

#[test]
fn an_object_says_its_properties_and_an_array_its_items() {
    for (given, expected) in [
        (r#"{"type":"object"}"#, r#"{"type":"object","properties":{}}"#),
        ("{}", r#"{"type":"object","properties":{}}"#),
        (r#"{"type":"object","properties":null}"#, r#"{"type":"object","properties":{}}"#),
        (
            r#"{"type":"object","properties":{"a":{"type":"array"},"b":{"type":["array","null"],"items":{"type":"array"}}}}"#,
            r#"{"type":"object","properties":{"a":{"type":"array","items":{}},"b":{"type":["array","null"],"items":{"type":"array","items":{}}}}}"#,
        ),
    ] {
        assert_eq!(told(given, &openai()), expected);
    }
}

#[test]
fn a_schema_that_fits_is_not_touched() {
    let fits = r#"{ "type" : "object", "properties": {"minLength": {"type":"string"}} }"#;
    assert_eq!(told(fits, &openai()), fits);
    assert_eq!(told(r#"{"type":"array"}"#, &SchemaDialect::default()), r#"{"type":"array"}"#);
    assert_eq!(told("true", &openai()), "true");
}

#[test]
fn refused_words_go_and_properties_of_that_name_stay() {
    let given =
        r#"{"type":"object","enum":[1],"properties":{"not":{"type":"string","minLength":2,"enum":["a"]}}}"#;
    let found = raw(given);
    let found = fitted(&found, &openai());
    assert_eq!(found.json, r#"{"type":"object","properties":{"not":{"type":"string","enum":["a"]}}}"#);
    assert!(found.is_looser);
}

#[test]
fn alternatives_at_the_top_become_one_object() {
    let given = r#"{"description":"d","oneOf":[{"properties":{"a":{"type":"string"},"k":{}},"required":["k","a"]},{"properties":{"b":{},"k":{"type":"number"}},"required":["k"]}]}"#;
    assert_eq!(
        told(given, &openai()),
        r#"{"type":"object","description":"d","properties":{"a":{"type":"string"},"k":{"anyOf":[{},{"type":"number"}]},"b":{}},"required":["k"]}"#
    );
    let all = r#"{"type":"object","allOf":[{"properties":{"a":{}},"required":["a"]},{"properties":{"b":{}},"required":["b"]}]}"#;
    assert_eq!(
        told(all, &openai()),
        r#"{"type":"object","properties":{"a":{},"b":{}},"required":["a","b"]}"#
    );
}

#[test]
fn references_are_replaced_by_what_they_name() {
    let dialect = SchemaDialect { refs: false, ..SchemaDialect::default() };
    let given = r##"{"type":"object","properties":{"a":{"$ref":"#/$defs/A"}},"$defs":{"A":{"type":"object","properties":{"next":{"$ref":"#/$defs/A"},"b":{"$ref":"#/definitions/B"}}}},"definitions":{"B":{"type":"string"}}}"##;
    assert_eq!(
        told(given, &dialect),
        r#"{"type":"object","properties":{"a":{"type":"object","properties":{"next":{},"b":{"type":"string"}}}}}"#
    );
}

#[test]
fn a_property_may_be_called_like_the_place_of_definitions() {
    let dialect = SchemaDialect { refs: false, ..SchemaDialect::default() };
    let given = r##"{"properties":{"definitions":{"$ref":"#/$defs/A"}},"$defs":{"A":{"type":"string"}}}"##;
    assert_eq!(told(given, &dialect), r#"{"properties":{"definitions":{"type":"string"}}}"#);
}

#[test]
fn references_that_double_at_each_step_are_followed_up_to_a_bound() {
    let dialect = SchemaDialect { refs: false, ..SchemaDialect::default() };
    let step = |at: usize| {
        let next = format!(r##"{{"$ref":"#/$defs/{}"}}"##, at + 1);
        format!(r#""{at}":{{"anyOf":[{next},{next}]}}"#)
    };
    let steps: Vec<String> = (0..40).map(step).collect();
    let given =
        format!(r##"{{"properties":{{"a":{{"$ref":"#/$defs/0"}}}},"$defs":{{{}}}}}"##, steps.join(","));
    let told = told(&given, &dialect);
    assert!(told.len() < 512 * 1024 && !told.contains("$ref"), "{}", told.len());
}

#[test]
fn a_schema_outside_the_bounds_of_strict_ones_is_told_apart() {
    let strict = |json: &str| fitted(&raw(json), &openai()).may_be_strict;
    assert!(strict(
        r#"{"type":"object","properties":{"a":{}},"required":["a"],"additionalProperties":false}"#
    ));
    assert!(!strict(r#"{"type":"object","properties":{"a":{}},"required":["a"]}"#));
    assert!(!strict(r#"{"type":"object","properties":{"a":{}},"additionalProperties":false}"#));
    assert!(!strict(
        r#"{"type":"object","properties":{"a":{"allOf":[]}},"required":["a"],"additionalProperties":false}"#
    ));
}
