//! Schemas in the words of OpenAPI (`Schema` in Google's reference: types in capitals, `nullable`) as JSON Schema.
//!
//! Other formats know JSON Schema alone, so a body is brought into it before its request is read.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use memchr::memmem;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess};
use serde_json::value::RawValue;

use super::names::camel;
use crate::exchange::Text;
use crate::json::{Array, Members, Object, members, write};
use crate::view::{range_in, spliced, text_of};

/// Deepest schema that is looked into; what is below stays as it is.
const MOST_LEVELS: usize = 32;
/// Formats of OpenAPI that JSON Schema does not know.
const OWN_FORMATS: [&str; 5] = ["enum", "float", "double", "int32", "int64"];
/// Counts that Google's JSON may hold as texts.
const COUNTS: [&str; 6] =
    ["maxItems", "minItems", "maxLength", "minLength", "maxProperties", "minProperties"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(borrow, default)]
    tools: Option<Vec<Tool<'a>>>,
    #[serde(borrow, default, alias = "generation_config")]
    generation_config: Option<Config<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tool<'a> {
    #[serde(borrow, default, alias = "function_declarations")]
    function_declarations: Option<Vec<Declaration<'a>>>,
}

#[derive(Deserialize)]
struct Declaration<'a> {
    #[serde(borrow, default)]
    parameters: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    #[serde(borrow, default, alias = "response_schema")]
    response_schema: Option<&'a RawValue>,
}

/// The body with JSON Schema wherever it has OpenAPI's words; what cannot be read stays as it is.
#[must_use]
pub fn in_json_schema(body: &Bytes) -> Bytes {
    // Most bodies have none of these names, which is found out much faster than by reading them.
    let names = [&b"\"parameters\""[..], b"\"responseSchema\"", b"\"response_schema\""];
    if !names.iter().any(|name| memmem::find(body, name).is_some()) {
        return body.clone();
    }
    let Ok(read) = serde_json::from_slice::<Body<'_>>(body) else { return body.clone() };
    let declarations = read.tools.into_iter().flatten().flat_map(|tool| tool.function_declarations).flatten();
    let schemas = declarations.filter_map(|declaration| declaration.parameters);
    let schemas = schemas.chain(read.generation_config.and_then(|config| config.response_schema));
    let converted: Vec<(Range<usize>, Cow<'_, str>)> = schemas
        .filter_map(|schema| {
            let mut out = Vec::with_capacity(schema.get().len());
            convert(schema, 0, &mut out);
            Some((range_in(body, schema), Cow::Owned(String::from_utf8(out).ok()?)))
        })
        .collect();
    spliced(body, converted)
}

/// Members of a schema in their order.
#[derive(Default)]
struct Schema<'a>(Vec<(Text<'a>, &'a RawValue)>);

impl<'de> Members<'de> for Schema<'de> {
    const EXPECTED: &'static str = "a schema";

    fn take<A: MapAccess<'de>>(&mut self, name: Text<'de>, map: &mut A) -> Result<(), A::Error> {
        self.0.push((name, map.next_value()?));
        Ok(())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Schema<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        members::<Schema<'de>, D>(deserializer)
    }
}

fn convert(raw: &RawValue, level: usize, out: &mut Vec<u8>) {
    match serde_json::from_str::<Schema<'_>>(raw.get()) {
        Ok(schema) if level < MOST_LEVELS => schema.write(level, out),
        _ => out.extend_from_slice(raw.get().as_bytes()),
    }
}

impl Schema<'_> {
    fn get(&self, wanted: &str) -> Option<&RawValue> {
        self.0.iter().find(|(name, _)| camel(name) == wanted).map(|(_, raw)| *raw)
    }

    fn write(&self, level: usize, out: &mut Vec<u8>) {
        let nullable = self.get("nullable").is_some_and(|raw| raw.get() == "true");
        let mut object = Object::new(out);
        for (name, raw) in &self.0 {
            self.member(&mut object, name, raw, nullable, level);
        }
        object.end();
    }

    fn member(&self, object: &mut Object<'_>, name: &str, raw: &RawValue, nullable: bool, level: usize) {
        let text = text_of(raw);
        match &*camel(name) {
            "nullable" | "example" | "propertyOrdering" => {}
            "type" => write_type(object, raw, nullable),
            "format" if text.as_deref().is_some_and(|format| OWN_FORMATS.contains(&format)) => {}
            "enum" if nullable => list_with_null(object.key("enum"), raw, "null", |raw, out| {
                out.extend_from_slice(raw.get().as_bytes());
            }),
            "anyOf" => {
                let other = if nullable && self.get("type").is_none() { r#"{"type":"null"}"# } else { "" };
                list_with_null(object.key("anyOf"), raw, other, |raw, out| convert(raw, level + 1, out));
            }
            "properties" => self.properties(object.key("properties"), raw, level),
            "defs" | "$defs" => self.properties(object.key("$defs"), raw, level),
            "items" | "additionalProperties" => convert(raw, level + 1, object.key(&camel(name))),
            "ref" => {
                object.raw("$ref", raw.get());
            }
            count if COUNTS.contains(&count) => {
                let is_number =
                    |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                let number = text.as_deref().filter(|text| is_number(text)).unwrap_or(raw.get());
                object.raw(count, number);
            }
            // Names need no escapes unless somebody makes them up.
            _ if name.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\')) => {
                object.raw(name, raw.get());
            }
            _ => {}
        }
    }

    /// Schemas by name, in the order that is asked for.
    fn properties(&self, out: &mut Vec<u8>, raw: &RawValue, level: usize) {
        let Ok(Schema(mut properties)) = serde_json::from_str::<Schema<'_>>(raw.get()) else {
            out.extend_from_slice(raw.get().as_bytes());
            return;
        };
        let order: Vec<Text<'_>> = self
            .get("propertyOrdering")
            .and_then(|raw| serde_json::from_str(raw.get()).ok())
            .unwrap_or_default();
        let place = |name: &str| order.iter().position(|ordered| ordered == name).unwrap_or(order.len());
        properties.sort_by_cached_key(|(name, _)| place(name));
        out.push(b'{');
        for (at, (name, schema)) in properties.into_iter().enumerate() {
            out.extend_from_slice(if at > 0 { b"," } else { b"" });
            write(out, &name);
            out.push(b':');
            convert(schema, level + 1, out);
        }
        out.push(b'}');
    }
}

fn write_type(object: &mut Object<'_>, raw: &RawValue, nullable: bool) {
    match text_of(raw) {
        Some(kind) if kind == "TYPE_UNSPECIFIED" => {}
        Some(kind) if nullable => _ = object.put("type", &[kind.to_ascii_lowercase().as_str(), "null"]),
        Some(kind) => _ = object.put("type", &kind.to_ascii_lowercase()),
        None => _ = object.raw("type", raw.get()),
    }
}

/// A list whose items are written by `item`, with one more behind them unless that is empty.
fn list_with_null(out: &mut Vec<u8>, raw: &RawValue, other: &str, item: impl Fn(&RawValue, &mut Vec<u8>)) {
    let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(raw.get()) else {
        out.extend_from_slice(raw.get().as_bytes());
        return;
    };
    let mut list = Array::new(out);
    items.into_iter().for_each(|raw| item(raw, list.item()));
    if !other.is_empty() {
        list.item().extend_from_slice(other.as_bytes());
    }
    list.end();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn converted(schema: &str) -> String {
        let body = Bytes::from(format!(
            r#"{{"tools":[{{"function_declarations":[{{"name":"parameters","parameters":{schema}}}]}}]}}"#
        ));
        let text = String::from_utf8(in_json_schema(&body).to_vec()).unwrap();
        let (start, end) =
            (r#"{"tools":[{"function_declarations":[{"name":"parameters","parameters":"#, "}]}]}");
        text.strip_prefix(start).unwrap().strip_suffix(end).unwrap().to_owned()
    }

    #[test]
    fn types_are_in_small_letters_and_null_is_a_type() {
        let schema = r#"{"type":"OBJECT","properties":{"type":{"type":"STRING","format":"enum","enum":["a"],"nullable":true},
            "at":{"type":"INTEGER","format":"int32","example":3}},"required":["type"]}"#;
        assert_eq!(
            converted(schema),
            concat!(
                r#"{"type":"object","properties":{"type":{"type":["string","null"],"enum":["a",null]},"#,
                r#""at":{"type":"integer"}},"required":["type"]}"#
            )
        );
    }

    #[test]
    fn properties_stand_in_the_order_that_is_asked_for() {
        let schema = r#"{"properties":{"a":{"type":"STRING"},"b":{},"c":{}},"property_ordering":["c","a"]}"#;
        assert_eq!(converted(schema), r#"{"properties":{"c":{},"a":{"type":"string"},"b":{}}}"#);
    }

    #[test]
    fn alternatives_lists_and_counts_are_read_in_either_spelling() {
        let schema =
            r#"{"any_of":[{"type":"ARRAY","items":{"type":"NUMBER"},"min_items":"1"}],"nullable":true}"#;
        assert_eq!(
            converted(schema),
            r#"{"anyOf":[{"type":"array","items":{"type":"number"},"minItems":1},{"type":"null"}]}"#
        );
        assert_eq!(
            converted(r#"{"ref":"x","defs":{"x":{"type":"NULL"}}}"#),
            r#"{"$ref":"x","$defs":{"x":{"type":"null"}}}"#
        );
    }

    #[test]
    fn json_schema_and_bodies_without_schemas_stay_as_they_are() {
        let schema = r#"{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false}"#;
        assert_eq!(converted(schema), schema);
        let plain = Bytes::from_static(br#"{"contents":[]}"#);
        assert_eq!(in_json_schema(&plain).as_ptr(), plain.as_ptr());
        let config = Bytes::from_static(br#"{"generationConfig":{"responseSchema":{"type":"STRING"}}}"#);
        assert!(in_json_schema(&config).ends_with(br#"{"type":"string"}}}"#));
    }

    #[test]
    fn schemas_without_end_are_not_followed() {
        let deep = format!("{}1{}", r#"{"items":"#.repeat(3_000), "}".repeat(3_000));
        assert_eq!(converted(&deep), deep);
    }

    proptest! {
        #[test]
        fn what_is_json_stays_json(schema in "[{}\\[\\]\":,a-zA-Z_ ]{0,60}") {
            let body = Bytes::from(format!(r#"{{"generationConfig":{{"responseSchema":{schema}}}}}"#));
            let is_json = |body: &Bytes| serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok();
            prop_assert_eq!(is_json(&in_json_schema(&body)), is_json(&body));
        }
    }
}
