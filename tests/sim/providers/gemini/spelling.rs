//! Names in camel case and in snake case, bytes in either alphabet of base64: Google takes both.

use serde_json::{Map, Value};

/// Fields whose value is the caller's own.
const OWN: [&str; 6] =
    ["args", "response", "parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema"];

/// A body with its names in camel case and its bytes in the alphabet without `-` and `_`.
pub(in super::super) fn in_camel_case(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(fields.into_iter().map(field).collect::<Map<_, _>>()),
        Value::Array(items) => items.into_iter().map(in_camel_case).collect(),
        other => other,
    }
}

fn field((name, value): (String, Value)) -> (String, Value) {
    let name = camel(&name);
    let value = match value {
        value if OWN.contains(&name.as_str()) => value,
        Value::String(bytes) if name == "data" => Value::String(bytes.replace('-', "+").replace('_', "/")),
        value => in_camel_case(value),
    };
    (name, value)
}

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut name, word| {
        let mut letters = word.chars();
        name.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        name.push_str(letters.as_str());
        name
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_brought_into_one_spelling_and_the_caller_s_own_stay() {
        let body = json!({ "generation_config": { "top_p": 1 },
            "contents": [{ "function_call": { "args": { "a_b": 1 } }, "inline_data": { "data": "-_8=" } }] });
        let expected = json!({ "generationConfig": { "topP": 1 },
            "contents": [{ "functionCall": { "args": { "a_b": 1 } }, "inlineData": { "data": "+/8=" } }] });
        assert_eq!(in_camel_case(body), expected);
    }
}
