//! What definitions of tools add to a prompt. All of it is an estimate: providers write them out for the model in
//! forms of their own, and OpenAI's cookbook has come close to one of them with constants.

use serde_json::Value;

use crate::family::ToolRule;

/// Cookbook: for the properties of a function together, for each, for each item of an enumeration, and for an
/// enumeration; then once behind all functions.
const PROPERTIES: u64 = 3;
const PROPERTY: u64 = 3;
const ENUM_ITEM: u64 = 3;
const ENUM: u64 = 3;
const FUNCTIONS_END: u64 = 12;
/// Deeper objects in a schema are not looked into; `serde_json` itself stops at 128.
const MOST_DEPTH: usize = 16;

/// No provider adds more than this once for a request with tools.
pub(crate) const MOST_ONCE: u64 = 512;

/// Tokens once for a request with tools.
pub(crate) fn once(rule: ToolRule) -> u64 {
    match rule {
        ToolRule::Cookbook { .. } => FUNCTIONS_END,
        ToolRule::Json { once } => once.min(MOST_ONCE),
    }
}

/// More than a definition ever counts as.
pub(crate) fn bound(json: &str) -> u64 {
    json.len() as u64 + 16
}

/// Counts the tokens of a text.
type CountText<'c> = dyn FnMut(&str) -> u64 + 'c;

/// A function by the cookbook's rule; objects inside objects by the same.
pub(crate) fn cookbook(count: &mut CountText<'_>, per_function: u64, json: &str) -> u64 {
    let Ok(tool) = serde_json::from_str::<Value>(json) else {
        return count(json);
    };
    let function = tool.get("function").unwrap_or(&tool);
    let Some(name) = function.get("name").and_then(Value::as_str) else {
        return count(json);
    };
    let line = format!("{name}:{}", description(function));
    per_function + count(&line) + function.get("parameters").map_or(0, |schema| object(count, schema, 0))
}

fn object(count: &mut CountText<'_>, schema: &Value, depth: usize) -> u64 {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return 0 };
    if properties.is_empty() || depth > MOST_DEPTH {
        return 0;
    }
    let each = properties.iter().map(|(name, schema)| property(count, name, schema, depth));
    PROPERTIES + each.sum::<u64>()
}

fn property(count: &mut CountText<'_>, name: &str, schema: &Value, depth: usize) -> u64 {
    let kind = schema.get("type").and_then(Value::as_str).unwrap_or("any");
    let line = format!("{name}:{kind}:{}", description(schema));
    let mut tokens = PROPERTY + count(&line);
    if let Some(items) = schema.get("enum").and_then(Value::as_array) {
        let each = items.iter().map(|item| match item {
            Value::String(text) => ENUM_ITEM + count(text),
            other => ENUM_ITEM + count(&other.to_string()),
        });
        tokens += each.sum::<u64>().saturating_sub(ENUM);
    }
    let items = schema.get("items").map_or(0, |items| object(count, items, depth + 1));
    tokens + items + object(count, schema, depth + 1)
}

/// Its description, without the last full stop, as the cookbook has it.
fn description(value: &Value) -> &str {
    let text = value.get("description").and_then(Value::as_str).unwrap_or_default();
    text.strip_suffix('.').unwrap_or(text)
}
