//! Tools of a Responses request.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use tollgate_families::Traits;

use crate::exchange::{CUSTOM_PARAMETERS, CustomTool, Request, Tool, ToolChoice};
use crate::json::{Array, Object};

/// Writes tools and which of them the model may ask for.
pub(super) fn write(body: &mut Object<'_>, request: &Request<'_>, traits: &Traits) {
    if request.tools.is_empty() {
        return;
    }
    let is_custom = |tool: &Tool<'_>| tool.custom.is_some() && traits.tools.custom;
    let mut list = Array::new(body.key("tools"));
    for tool in &request.tools {
        list.object(|item| match tool.custom.filter(|_| traits.tools.custom) {
            Some(CustomTool { format }) => {
                item.put("type", "custom").put("name", &tool.name);
                item.given("description", tool.description.as_ref()).given("format", format);
            }
            None => function(item, tool),
        });
    }
    list.end();
    match &request.tool_choice {
        None => {}
        Some(ToolChoice::Auto) => {
            body.put("tool_choice", "auto");
        }
        Some(ToolChoice::None) => {
            body.put("tool_choice", "none");
        }
        Some(ToolChoice::Required) => {
            body.put("tool_choice", "required");
        }
        Some(ToolChoice::Named(name)) => {
            let named = request.tools.iter().find(|tool| tool.name == *name);
            let kind = if named.is_some_and(is_custom) { "custom" } else { "function" };
            body.object("tool_choice", |choice| {
                choice.put("type", kind).put("name", name);
            });
        }
    }
    body.given("parallel_tool_calls", request.parallel_tool_calls);
}

/// Both fields are always said: a schema is required, and left out `strict` means yes here, unlike in every other
/// format.
fn function(item: &mut Object<'_>, tool: &Tool<'_>) {
    item.put("type", "function").put("name", &tool.name).given("description", tool.description.as_ref());
    let parameters = match (tool.parameters, tool.custom) {
        (Some(raw), _) => schema(raw),
        (None, Some(_)) => Cow::Borrowed(CUSTOM_PARAMETERS),
        (None, None) => Cow::Borrowed(NO_ARGUMENTS),
    };
    item.raw("parameters", &parameters).put("strict", &tool.strict.unwrap_or(false));
}

const NO_ARGUMENTS: &str = r#"{"type":"object","properties":{}}"#;

/// The schema of arguments with the type and the properties that the API demands.
fn schema(raw: &RawValue) -> Cow<'_, str> {
    #[derive(Deserialize)]
    struct Shape {
        #[serde(default, rename = "type")]
        kind: Option<IgnoredAny>,
        #[serde(default)]
        properties: Option<IgnoredAny>,
    }
    let text = raw.get();
    let Ok(Shape { kind, properties }) = serde_json::from_str(text) else { return Cow::Borrowed(text) };
    let missing = match (kind, properties) {
        (Some(_), Some(_)) => return Cow::Borrowed(text),
        (Some(_), None) => r#""properties":{}"#,
        (None, Some(_)) => r#""type":"object""#,
        (None, None) => r#""type":"object","properties":{}"#,
    };
    let rest = text.trim_start().strip_prefix('{').unwrap_or_default().trim_start();
    let comma = if rest.starts_with('}') { "" } else { "," };
    format!("{{{missing}{comma}{rest}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_says_that_it_is_an_object_and_has_properties() {
        let told = |text: &str| schema(&RawValue::from_string(text.to_owned()).unwrap()).into_owned();
        assert_eq!(told("{}"), NO_ARGUMENTS);
        assert_eq!(told(r#"{ "type":"object"}"#), r#"{"properties":{},"type":"object"}"#);
        assert_eq!(told(r#"{"properties":{"a":{}}}"#), r#"{"type":"object","properties":{"a":{}}}"#);
        assert_eq!(told(NO_ARGUMENTS), NO_ARGUMENTS);
        assert_eq!(told("true"), "true");
    }
}
