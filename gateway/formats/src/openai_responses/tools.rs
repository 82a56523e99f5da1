//! The tools of a client's Responses request, flattened: those in namespaces and those that a search has found stand
//! beside the others.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::{FormatError, request_fault};
use crate::exchange::{CUSTOM_PARAMETERS, CustomTool, Extra, Request, Text, Tool, ToolName};
use crate::json::Str;
use crate::openai::custom::Grammar;

/// What a search for tools is called where it is a function.
pub(super) const SEARCH: &str = "tool_search";

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, rename = "type")]
    kind: Str<'a>,
    #[serde(borrow, default)]
    name: Option<Str<'a>>,
    #[serde(borrow, default)]
    description: Option<Str<'a>>,
    #[serde(borrow, default)]
    parameters: Option<&'a RawValue>,
    #[serde(default)]
    strict: Option<bool>,
    /// Of a custom tool.
    #[serde(borrow, default)]
    format: Option<&'a RawValue>,
    /// Of a namespace.
    #[serde(borrow, default)]
    tools: Vec<&'a RawValue>,
    /// Who runs a search for tools.
    #[serde(borrow, default)]
    execution: Option<Str<'a>>,
}

/// What a tool of a namespace is called towards a backend.
pub(super) fn called<'a>(namespace: Option<&str>, name: Text<'a>) -> Text<'a> {
    match namespace {
        Some(namespace) if !namespace.is_empty() => format!("{namespace}__{name}").into(),
        _ => name,
    }
}

/// Reads one tool.
///
/// # Errors
/// When it has not the form of one.
pub(super) fn read<'a>(
    raw: &'a RawValue,
    namespace: Option<&str>,
    request: &mut Request<'a>,
) -> Result<(), FormatError> {
    let tool: Body<'a> = serde_json::from_str(raw.get()).map_err(|error| {
        FormatError::invalid(format!("`tools` cannot be read: {}", request_fault(&error)), "tools")
    })?;
    let name = || FormatError::invalid("a tool has no `name`", "tools");
    match &*tool.kind {
        "function" => add(tool, namespace, request),
        "namespace" => {
            let inner = tool.name.ok_or_else(name)?;
            tool.tools.into_iter().try_for_each(|raw| read(raw, Some(&inner), request))
        }
        // The client runs the search, so the model can ask it as it asks for any tool.
        SEARCH if tool.execution.as_deref() == Some("client") && tool.parameters.is_some() => {
            add(Body { name: Some(Str(Cow::Borrowed(SEARCH))), ..tool }, None, request)
        }
        "custom" => add(tool, namespace, request),
        // The model answers without them, if not as well; agents offer them whether or not they are used.
        other @ ("web_search" | "web_search_preview" | "image_generation" | SEARCH) => {
            request.hints.push(Cow::Owned(format!("tools[{other}]")));
            Ok(())
        }
        // A tool that the provider runs itself; named so that a refusal says which one.
        other => {
            let name = Cow::Owned(format!("tools[{other}]"));
            request.extras.push(Extra { name, value: raw });
            Ok(())
        }
    }
}

fn add<'a>(tool: Body<'a>, namespace: Option<&str>, request: &mut Request<'a>) -> Result<(), FormatError> {
    let given = tool.name.ok_or_else(|| FormatError::invalid("a tool has no `name`", "tools"))?.into_text();
    let name = called(namespace, given.clone());
    // What a search has found may have been told before.
    if request.tools.iter().any(|known| known.name == name) {
        return Ok(());
    }
    let (is_custom, is_search) = (&*tool.kind == "custom", &*tool.kind == SEARCH);
    if namespace.is_some() || is_custom || is_search {
        request.tool_names.add(ToolName {
            sent: name.clone().into_owned(),
            name: given.into_owned(),
            namespace: namespace.map(str::to_owned),
            is_custom,
            is_search,
        });
    }
    let custom = is_custom.then_some(CustomTool { format: tool.format });
    let parameters = match is_custom {
        true => serde_json::from_str(CUSTOM_PARAMETERS).ok(),
        false => tool.parameters.filter(|raw| raw.get() != "null"),
    };
    let mut description = tool.description.map(Str::into_text);
    if let Some(grammar) = custom.and_then(|custom| Grammar::of(custom.format?)) {
        description = Some(grammar.described(description));
    }
    request.tools.push(Tool { name, description, parameters, strict: tool.strict, custom, cache: None });
    Ok(())
}

/// Reads the tools that a search has found, and says their names.
///
/// # Errors
/// As [`read`].
pub(super) fn read_found<'a>(raw: &'a RawValue, request: &mut Request<'a>) -> Result<String, FormatError> {
    let found: Vec<&'a RawValue> = serde_json::from_str(raw.get()).map_err(|error| {
        FormatError::invalid(format!("`tools` cannot be read: {}", request_fault(&error)), "input")
    })?;
    let known = request.tools.len();
    found.into_iter().try_for_each(|raw| read(raw, None, request))?;
    let names: Vec<&str> = request.tools.iter().skip(known).map(|tool| &*tool.name).collect();
    Ok(format!("Tools that can be called now: {}", names.join(", ")))
}
