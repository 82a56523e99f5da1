//! The reference page of the configuration, made from its JSON Schema: every field with its type, default and meaning.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;

use serde_json::{Map, Value};

type Object = Map<String, Value>;

/// Where the definitions of a schema are.
const DEFINITIONS: &str = "#/$defs/";

const HEAD: &str = "# Reference of the gateway's configuration\n\n\
    Generated from the types of the gateway; `UPDATE_SCHEMAS=1 cargo test -p tollgate-config` writes it anew. As a \
    JSON Schema: [`schemas/json/gateway-config.json`](../../schemas/json/gateway-config.json).\n\n\
    Unknown fields are refused. What is _required_ must be there; what has _none_ may be left out, and is not set then.\n";

/// The page, in Markdown.
#[must_use]
pub fn page(schema: &Value) -> String {
    let mut page = Page { definitions: schema.get("$defs"), seen: BTreeSet::new(), waiting: VecDeque::new() };
    let mut text = HEAD.to_owned();
    page.section(&mut text, "The file", schema);
    while let Some((path, name)) = page.waiting.pop_front() {
        if let Some(definition) = page.definition(&name) {
            let _ = write!(text, "\n<a id=\"{}\"></a>\n", anchor(&name));
            page.section(&mut text, &format!("`{path}`"), definition);
        }
    }
    text
}

struct Page<'s> {
    definitions: Option<&'s Value>,
    /// Names of the definitions that have a section or will have one.
    seen: BTreeSet<String>,
    /// Path at which a definition was first found, and its name.
    waiting: VecDeque<(String, String)>,
}

impl<'s> Page<'s> {
    fn definition(&self, name: &str) -> Option<&'s Value> {
        self.definitions?.get(name)
    }

    fn section(&mut self, text: &mut String, title: &str, schema: &Value) {
        let path = title.trim_matches('`').to_owned();
        let below =
            |name: &str| if title.starts_with('`') { format!("{path}.{name}") } else { name.to_owned() };
        let _ = write!(text, "\n## {title}\n\n{}\n", described(schema));
        if let Some(fields) = schema.get("properties").and_then(Value::as_object) {
            text.push_str("\n| Field | Type | Default | Meaning |\n|---|---|---|---|\n");
            let required = schema.get("required").and_then(Value::as_array);
            for (name, field) in fields {
                let is_required = required.is_some_and(|all| all.iter().any(|one| one == name));
                let kind = self.kind(&below(name), field);
                let default = self.default_of(field, is_required);
                let _ =
                    writeln!(text, "| `{name}` | {kind} | {default} | {} |", in_a_cell(&described(field)));
            }
        }
        for alternatives in ["oneOf", "anyOf"] {
            let Some(variants) = schema.get(alternatives).and_then(Value::as_array) else { continue };
            text.push_str("\n| One of | Type | Meaning |\n|---|---|---|\n");
            for variant in variants {
                self.variant(text, &below, variant);
            }
        }
    }

    /// A value by itself, or a field with what is below it.
    fn variant(&mut self, text: &mut String, below: &impl Fn(&str) -> String, variant: &Value) {
        let meaning = in_a_cell(&described(variant));
        match variant.get("properties").and_then(Value::as_object).and_then(|fields| fields.iter().next()) {
            Some((name, field)) => {
                let kind = self.kind(&below(name), field);
                let _ = writeln!(text, "| `{name}` | {kind} | {meaning} |");
            }
            None => {
                let all = variant.get("enum").and_then(Value::as_array).into_iter().flatten();
                for value in all.chain(variant.get("const")) {
                    let _ = writeln!(text, "| {} | value | {meaning} |", code(value));
                }
            }
        }
    }

    /// What may stand there; what has a structure gets a section.
    fn kind(&mut self, path: &str, schema: &Value) -> String {
        let Some(object) = schema.as_object() else { return "any".to_owned() };
        if let Some(name) = reference(object) {
            return self.named(path, name);
        }
        if let Some(any) = object.get("anyOf").and_then(Value::as_array) {
            let kinds: Vec<_> =
                any.iter().filter(|one| !is_null(one)).map(|one| self.kind(path, one)).collect();
            return kinds.join(" or ");
        }
        match object.get("type") {
            Some(Value::String(kind)) => self.plain(path, kind, object),
            Some(Value::Array(kinds)) => {
                let kinds = kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null");
                kinds.map(|kind| self.plain(path, kind, object)).collect::<Vec<_>>().join(" or ")
            }
            _ => "any".to_owned(),
        }
    }

    fn plain(&mut self, path: &str, kind: &str, object: &Object) -> String {
        match kind {
            "array" => {
                let items = object.get("items").map(|items| self.kind(&format!("{path}[]"), items));
                format!("list of {}", items.unwrap_or_default())
            }
            "object" => {
                let below = format!("{path}.NAME");
                let values = object.get("additionalProperties").map(|values| self.kind(&below, values));
                format!("map of {}", values.unwrap_or_default())
            }
            "string" => "text".to_owned(),
            "integer" => "whole number".to_owned(),
            other => other.to_owned(),
        }
    }

    fn named(&mut self, path: &str, name: &str) -> String {
        let quantity = match name {
            "Time" => "time",
            "Bytes" => "size",
            "Tokens" => "tokens",
            "StatusRange" => "status or range",
            _ => "",
        };
        if !quantity.is_empty() {
            return quantity.to_owned();
        }
        let Some(definition) = self.definition(name) else { return "any".to_owned() };
        let has_structure =
            ["properties", "oneOf", "anyOf"].iter().any(|part| definition.get(part).is_some());
        if let (false, Some(values)) = (has_structure, definition.get("enum").and_then(Value::as_array)) {
            return values.iter().map(code).collect::<Vec<_>>().join(", ");
        }
        if !has_structure {
            return self.kind(path, definition);
        }
        if self.seen.insert(name.to_owned()) {
            self.waiting.push_back((path.to_owned(), name.to_owned()));
        }
        format!("[{name}](#{})", anchor(name))
    }

    fn default_of(&self, field: &Value, is_required: bool) -> String {
        match field.get("default") {
            _ if is_required => "_required_".to_owned(),
            None | Some(Value::Null) => "_none_".to_owned(),
            Some(Value::Object(object)) if !object.is_empty() => "see there".to_owned(),
            Some(value) => code(&readable(value, field.as_object().and_then(reference))),
        }
    }
}

fn reference(schema: &Object) -> Option<&str> {
    schema.get("$ref").and_then(Value::as_str)?.strip_prefix(DEFINITIONS)
}

fn is_null(schema: &Value) -> bool {
    schema.get("type").is_some_and(|kind| kind == "null")
}

fn described(schema: &Value) -> String {
    schema.get("description").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Line ends and bars would end the cell.
fn in_a_cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}

fn code(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "empty".to_owned(),
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    }
}

/// A quantity in its largest whole unit.
fn readable(value: &Value, kind: Option<&str>) -> Value {
    let largest = |amount: u64, units: &[(u64, &str)]| {
        let fits = |(size, _): &&(u64, &str)| amount >= *size && amount.is_multiple_of(*size);
        units
            .iter()
            .find(fits)
            .map_or_else(|| amount.to_string(), |(size, unit)| format!("{}{unit}", amount / size))
    };
    match (kind, value) {
        (Some("Bytes"), Value::Number(number)) => {
            let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
            number.as_u64().map_or_else(|| value.clone(), |bytes| largest(bytes, &units).into())
        }
        (Some("Time"), Value::String(text)) => {
            let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];
            let ms = text.strip_suffix("ms").and_then(|ms| ms.parse::<u64>().ok());
            match ms {
                Some(0) => "0s".into(),
                Some(ms) => largest(ms, &units).into(),
                None => value.clone(),
            }
        }
        _ => value.clone(),
    }
}

fn anchor(name: &str) -> String {
    name.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quantities_are_told_in_their_largest_whole_unit() {
        for (kind, value, text) in [
            ("Time", json!("10000ms"), "`10s`"),
            ("Time", json!("1500ms"), "`1500ms`"),
            ("Time", json!("0ms"), "`0s`"),
            ("Bytes", json!(16_777_216), "`16MiB`"),
            ("Bytes", json!(1000), "`1000`"),
            ("Tokens", json!(1_024), "`1024`"),
        ] {
            assert_eq!(code(&readable(&value, Some(kind))), text);
        }
    }

    #[test]
    fn every_structure_has_one_section_and_every_field_a_row() {
        let schema = json!({
            "description": "All.",
            "properties": {
                "a": { "description": "One\nof | them.", "$ref": "#/$defs/Part", "default": { "x": 1 } },
                "b": { "type": "object", "additionalProperties": { "$ref": "#/$defs/Part" }, "default": {} },
                "c": { "anyOf": [ { "$ref": "#/$defs/Time" }, { "type": "null" } ], "default": null },
            },
            "required": ["a"],
            "$defs": { "Part": { "description": "A part.", "properties": { "x": { "type": "integer", "default": 1 } } } },
        });
        let text = page(&schema);
        assert!(text.contains("| `a` | [Part](#part) | _required_ | One of \\| them. |"), "{text}");
        assert!(text.contains("| `b` | map of [Part](#part) | `{}` |  |"), "{text}");
        assert!(text.contains("| `c` | time | _none_ |  |"), "{text}");
        assert!(text.ends_with("## `a`\n\nA part.\n\n| Field | Type | Default | Meaning |\n|---|---|---|---|\n| `x` | whole number | `1` |  |\n"), "{text}");
        assert_eq!(text.matches("A part.").count(), 1);
    }
}
