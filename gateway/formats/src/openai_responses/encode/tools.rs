//! Tools of a Responses request.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use tollgate_families::Traits;

use crate::exchange::{CUSTOM_PARAMETERS, CustomTool, Request, Tool, ToolChoice};
use crate::json::{Array, Object};
use crate::openai::custom::Grammar;
use crate::schema::fitted;
use crate::unmapped::Unmapped;

/// Writes tools and which of them the model may ask for.
pub(super) fn write(body: &mut Object<'_>, request: &Request<'_>, traits: &Traits, unmapped: &mut Unmapped) {
    if request.tools.is_empty() {
        return;
    }
    let is_custom = |tool: &Tool<'_>| tool.custom.is_some() && traits.tools.custom;
    let mut list = Array::new(body.key("tools"));
    for tool in &request.tools {
        list.object(|item| match tool.custom.filter(|_| traits.tools.custom) {
            Some(CustomTool { format }) => {
                item.put("type", "custom").put("name", &tool.name);
                let description = tool.description.as_deref();
                match format.map(|format| (format, Grammar::of(format))) {
                    Some((_, Some(grammar))) => {
                        item.given("description", description.and_then(|said| grammar.undescribed(said)));
                        item.object("format", |format| grammar.write(format));
                    }
                    Some((format, None)) => {
                        item.given("description", description).raw("format", format.get());
                    }
                    None => _ = item.given("description", description),
                }
            }
            None => function(item, tool, traits, unmapped),
        });
    }
    list.end();
    choice(body, request, is_custom);
    body.given("parallel_tool_calls", request.parallel_tool_calls);
}

fn choice(body: &mut Object<'_>, request: &Request<'_>, is_custom: impl Fn(&Tool<'_>) -> bool) {
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
        Some(ToolChoice::Allowed { required, names }) => {
            let allowed = request.tools.iter().filter(|tool| names.contains(&tool.name));
            body.object("tool_choice", |choice| {
                let mode = if *required { "required" } else { "auto" };
                choice.put("type", "allowed_tools").put("mode", mode);
                let mut list = Array::new(choice.key("tools"));
                for tool in allowed {
                    let kind = if is_custom(tool) { "custom" } else { "function" };
                    list.object(|item| _ = item.put("type", kind).put("name", &tool.name));
                }
                list.end();
            });
        }
    }
}

/// Both fields are always said: a schema is required, and left out `strict` means yes here, unlike in every other
/// format.
fn function(item: &mut Object<'_>, tool: &Tool<'_>, traits: &Traits, unmapped: &mut Unmapped) {
    item.put("type", "function").put("name", &tool.name).given("description", tool.description.as_ref());
    let fitted = tool.parameters.map(|raw| fitted(raw, &traits.schema));
    if fitted.as_ref().is_some_and(|fitted| fitted.is_looser) {
        unmapped.hint("tools[].function.parameters");
    }
    let may_be_strict = fitted.as_ref().is_none_or(|fitted| fitted.may_be_strict);
    let is_strict = tool.strict == Some(true) && may_be_strict;
    if tool.strict == Some(true) && !is_strict {
        unmapped.hint("tools[].function.strict");
    }
    let parameters = match (fitted, tool.custom) {
        (Some(fitted), _) => schema(fitted.json),
        (None, Some(_)) => Cow::Borrowed(CUSTOM_PARAMETERS),
        (None, None) if is_strict => Cow::Borrowed(STRICTLY_NO_ARGUMENTS),
        (None, None) => Cow::Borrowed(NO_ARGUMENTS),
    };
    item.raw("parameters", &parameters).put("strict", &is_strict);
}

const NO_ARGUMENTS: &str = r#"{"type":"object","properties":{}}"#;
const STRICTLY_NO_ARGUMENTS: &str = r#"{"type":"object","properties":{},"additionalProperties":false}"#;

/// The schema of arguments with the type and the properties that the API demands.
fn schema(text: Cow<'_, str>) -> Cow<'_, str> {
    #[derive(Deserialize)]
    struct Shape {
        #[serde(default, rename = "type")]
        kind: Option<IgnoredAny>,
        #[serde(default)]
        properties: Option<IgnoredAny>,
    }
    // A list would be read as the members in their order.
    let Some(rest) = text.trim_start().strip_prefix('{').map(str::trim_start) else { return text };
    let Ok(Shape { kind, properties }) = serde_json::from_str(&text) else { return text };
    let missing = match (kind, properties) {
        (Some(_), Some(_)) => return text,
        (Some(_), None) => r#""properties":{}"#,
        (None, Some(_)) => r#""type":"object""#,
        (None, None) => r#""type":"object","properties":{}"#,
    };
    let comma = if rest.starts_with('}') { "" } else { "," };
    format!("{{{missing}{comma}{rest}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_says_that_it_is_an_object_and_has_properties() {
        let told = |text: &'static str| schema(text.into()).into_owned();
        assert_eq!(told("{}"), NO_ARGUMENTS);
        assert_eq!(told(r#"{ "type":"object"}"#), r#"{"properties":{},"type":"object"}"#);
        assert_eq!(told(r#"{"properties":{"a":{}}}"#), r#"{"type":"object","properties":{"a":{}}}"#);
        assert_eq!(told(NO_ARGUMENTS), NO_ARGUMENTS);
        assert_eq!(told("true"), "true");
        assert_eq!(told(r#"[{"type":"object"}]"#), r#"[{"type":"object"}]"#);
    }
}
