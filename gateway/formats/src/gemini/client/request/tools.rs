//! Functions that the model may call, and whether it may.

use super::body::{Calling, Declaration, Tool as ToolIn, ToolConfig};
use super::others::{extend, note_hints, take_hints};
use crate::error::FormatError;
use crate::exchange::{Request, Tool, ToolChoice};
use crate::json::Str;

/// Whether calls and results of Google's own tools are shown.
const HINTS: [&str; 2] = ["includeServerSideToolInvocations", "include_server_side_tool_invocations"];

/// Tools that Google runs itself no other provider has: they are kept by name.
pub(super) fn read<'a>(
    tools: Vec<ToolIn<'a>>,
    config: Option<ToolConfig<'a>>,
    request: &mut Request<'a>,
) -> Result<(), FormatError> {
    for (index, tool) in tools.into_iter().enumerate() {
        extend(&mut request.extras, tool.others, || format!("tools[{index}]"));
        for declaration in tool.function_declarations.into_iter().flatten() {
            add(declaration, request)?;
        }
    }
    let Some(config) = config else { return Ok(()) };
    let others = take_hints(&mut request.hints, config.others, &HINTS, || "toolConfig".to_owned());
    extend(&mut request.extras, others, || "toolConfig".to_owned());
    match config.calling {
        Some(calling) => read_calling(calling, request),
        None => Ok(()),
    }
}

fn add<'a>(declaration: Declaration<'a>, request: &mut Request<'a>) -> Result<(), FormatError> {
    note_hints(&mut request.hints, declaration.others, Some("tools[].functionDeclarations[]"));
    let name = declaration.name.ok_or_else(|| {
        FormatError::invalid("a function declaration has no `name`", "tools[].functionDeclarations[].name")
    })?;
    request.tools.push(Tool {
        name: name.into_text(),
        description: declaration.description.map(Str::into_text),
        parameters: declaration.parameters_json_schema.or(declaration.parameters),
        ..Tool::default()
    });
    Ok(())
}

/// Where only some functions may be called, the choice names them.
fn read_calling<'a>(calling: Calling<'a>, request: &mut Request<'a>) -> Result<(), FormatError> {
    note_hints(&mut request.hints, calling.others, Some("toolConfig.functionCallingConfig"));
    let allowed: Vec<_> = calling.allowed_function_names.into_iter().flatten().map(Str::into_text).collect();
    let mode = calling.mode.as_deref().unwrap_or_default().to_ascii_uppercase();
    request.tool_choice = match mode.as_str() {
        "" | "MODE_UNSPECIFIED" => None,
        "VALIDATED" if !allowed.is_empty() => Some(ToolChoice::Allowed { required: false, names: allowed }),
        "AUTO" | "VALIDATED" => Some(ToolChoice::Auto),
        "NONE" => Some(ToolChoice::None),
        "ANY" => match allowed.as_slice() {
            [one] => Some(ToolChoice::Named(one.clone())),
            [] => Some(ToolChoice::Required),
            _ => Some(ToolChoice::Allowed { required: true, names: allowed }),
        },
        _ => {
            return Err(FormatError::invalid(
                "`toolConfig.functionCallingConfig.mode` must be `AUTO`, `ANY`, `NONE` or `VALIDATED`",
                "toolConfig.functionCallingConfig.mode",
            ));
        }
    };
    Ok(())
}
