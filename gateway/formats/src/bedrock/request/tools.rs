//! `toolConfig`: the tools, and whether the model must ask for one.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::RawValue;

use super::blocks::CachePoint;
use crate::error::FormatError;
use crate::exchange::{Part, Request, Tool, ToolChoice};
use crate::unmapped::Unmapped;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolConfig<'r> {
    tools: Vec<ToolEntry<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'r>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum ToolEntry<'r> {
    ToolSpec(ToolSpec<'r>),
    CachePoint(CachePoint),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolSpec<'r> {
    name: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'r str>,
    input_schema: InputSchema<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

#[derive(Debug, Serialize)]
struct InputSchema<'r> {
    #[serde(serialize_with = "schema")]
    json: Option<&'r RawValue>,
}

/// No schema means no arguments.
fn schema<S: Serializer>(json: &Option<&RawValue>, serializer: S) -> Result<S::Ok, S::Error> {
    if let Some(json) = json {
        return json.serialize(serializer);
    }
    let mut map = serializer.serialize_map(Some(2))?;
    map.serialize_entry("type", "object")?;
    map.serialize_entry("properties", &std::collections::BTreeMap::<(), ()>::new())?;
    map.end()
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum Choice<'r> {
    Auto {},
    Any {},
    Tool { name: &'r str },
}

/// The tools of a request. "None" cannot be said here: the tools are left out instead, as long as the
/// conversation holds no call of one. `choice_is_elsewhere`: among the fields of the model's own.
pub(super) fn tool_config<'r>(
    request: &'r Request<'_>,
    choice_is_elsewhere: bool,
    unmapped: &mut Unmapped,
) -> Result<Option<ToolConfig<'r>>, FormatError> {
    let has_calls = request
        .turns
        .iter()
        .flat_map(|turn| &turn.parts)
        .any(|part| matches!(part, Part::ToolCall(_) | Part::ToolResult(_)));
    if request.tools.is_empty() {
        return match has_calls {
            false => Ok(None),
            true => Err(FormatError::invalid(
                "the conversation holds calls of tools; the model behind this alias wants `tools` to declare them",
                "tools",
            )),
        };
    }
    let tool_choice = match request.tool_choice.as_ref() {
        Some(ToolChoice::None) if !has_calls => return Ok(None),
        Some(ToolChoice::None) => {
            unmapped.param("tool_choice")?;
            None
        }
        _ if choice_is_elsewhere => None,
        None => None,
        Some(ToolChoice::Auto) => Some(Choice::Auto {}),
        Some(ToolChoice::Required) => Some(Choice::Any {}),
        Some(ToolChoice::Named(name)) => Some(Choice::Tool { name }),
    };
    let mut tools = Vec::with_capacity(request.tools.len());
    for tool in &request.tools {
        tools.push(ToolEntry::ToolSpec(tool_spec(tool)));
        tools.extend(tool.cache.map(|mark| ToolEntry::CachePoint(mark.into())));
    }
    Ok(Some(ToolConfig { tools, tool_choice }))
}

/// Descriptions may not be empty; not strict is the default, and older models know no other.
fn tool_spec<'r>(tool: &'r Tool<'_>) -> ToolSpec<'r> {
    ToolSpec {
        name: &tool.name,
        description: tool.description.as_deref().filter(|text| !text.is_empty()),
        input_schema: InputSchema { json: tool.parameters },
        strict: tool.strict.filter(|strict| *strict),
    }
}
