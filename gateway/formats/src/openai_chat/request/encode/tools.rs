//! Tools: which are offered, which may be called, and calls that were made.

use tollgate_families::{Choice, Forced, IdForm, Traits};

use crate::calls::fitted_id;
use crate::error::FormatError;
use crate::exchange::{CUSTOM_PARAMETERS, Request, Tool, ToolCall, ToolChoice};
use crate::json::{Array, Object};
use crate::schema::{self, Fitted};
use crate::unmapped::Unmapped;

/// The tools that the model is offered: none where it takes none, or must not call one and cannot be told so.
pub(super) fn offered<'r, 'a>(
    request: &'r Request<'a>,
    traits: &Traits,
    unmapped: &mut Unmapped,
) -> Result<Vec<&'r Tool<'a>>, FormatError> {
    let takes = &traits.tools;
    let mut tools: Vec<&Tool<'_>> = request.tools.iter().collect();
    match &request.tool_choice {
        Some(ToolChoice::None) if !takes.has_choice(Choice::None) => tools.clear(),
        // Of one tool alone, any is this one.
        Some(ToolChoice::Named(name))
            if !takes.has_choice(Choice::Named) && takes.has_choice(Choice::Required) =>
        {
            tools.retain(|tool| tool.name == *name);
        }
        _ => {}
    }
    if !takes.taken && !tools.is_empty() {
        unmapped.param("tools")?;
        tools.clear();
    }
    if let Some(most) = takes.most.map(|most| most as usize).filter(|most| tools.len() > *most) {
        unmapped.param(format!("tools[{most}]"))?;
        tools.truncate(most);
    }
    Ok(tools)
}

/// Writes the tools that are offered, and how they may be called.
pub(super) fn write(
    body: &mut Object<'_>,
    request: &Request<'_>,
    offered: &[&Tool<'_>],
    traits: &Traits,
    thinks: bool,
    unmapped: &mut Unmapped,
) {
    if offered.is_empty() {
        return;
    }
    let mut tools = Array::new(body.key("tools"));
    let mut strict_left = traits.tools.strict_most.unwrap_or(u32::MAX);
    for tool in offered {
        tools.object(|item| {
            item.put("type", "function").object("function", |function| {
                write_tool(function, tool, traits, &mut strict_left, unmapped);
            });
        });
    }
    tools.end();
    choice(body, request, traits, thinks, unmapped);
    match request.parallel_tool_calls {
        Some(false) if !traits.tools.parallel_switch => unmapped.hint("parallel_tool_calls"),
        Some(parallel) if traits.tools.parallel_switch => _ = body.put("parallel_tool_calls", &parallel),
        _ => {}
    }
}

fn choice(
    body: &mut Object<'_>,
    request: &Request<'_>,
    traits: &Traits,
    thinks: bool,
    unmapped: &mut Unmapped,
) {
    let takes = &traits.tools;
    let Some(wanted) = request.tool_choice.as_ref().map(|choice| nearest(choice, traits, thinks)) else {
        return;
    };
    let is_forced = !matches!(
        request.tool_choice,
        Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Allowed { required: false, .. })
    );
    if is_forced && wanted == Choice::Auto {
        unmapped.hint("tool_choice");
    }
    match (wanted, &request.tool_choice) {
        (Choice::Named, Some(ToolChoice::Named(name))) => {
            body.object("tool_choice", |choice| {
                choice.put("type", "function").object("function", |function| {
                    function.put("name", name);
                });
            });
        }
        (Choice::None, _) => _ = body.put("tool_choice", "none"),
        (Choice::Required | Choice::Named, _) => _ = body.put("tool_choice", "required"),
        (Choice::Auto, _) if takes.has_choice(Choice::Auto) => _ = body.put("tool_choice", "auto"),
        (Choice::Auto, _) => {}
    }
}

/// The choice that is nearest to the wanted one of those that can be told.
fn nearest(wanted: &ToolChoice<'_>, traits: &Traits, thinks: bool) -> Choice {
    let takes = &traits.tools;
    let can_force = match traits.reasoning.forced_tools {
        Forced::Taken => true,
        Forced::NotThinking => !thinks,
        Forced::Refused => false,
    };
    match wanted {
        ToolChoice::None => Choice::None,
        ToolChoice::Named(_) if can_force && takes.has_choice(Choice::Named) => Choice::Named,
        // Of the allowed ones alone: no others are told.
        ToolChoice::Allowed { required: false, .. } => Choice::Auto,
        ToolChoice::Required | ToolChoice::Named(_) | ToolChoice::Allowed { .. }
            if can_force && takes.has_choice(Choice::Required) =>
        {
            Choice::Required
        }
        ToolChoice::Auto | ToolChoice::Required | ToolChoice::Named(_) | ToolChoice::Allowed { .. } => {
            Choice::Auto
        }
    }
}

/// A tool that takes free text is a function with one text as its argument: in this format few servers have others.
fn write_tool(
    function: &mut Object<'_>,
    tool: &Tool<'_>,
    traits: &Traits,
    strict_left: &mut u32,
    unmapped: &mut Unmapped,
) {
    function.put("name", &tool.name).given("description", tool.description.as_ref());
    let mut may_be_strict = traits.tools.strict && *strict_left > 0;
    if let Some(parameters) = tool.parameters {
        let Fitted { json, may_be_strict: fits, is_looser } = schema::fitted(parameters, &traits.schema);
        may_be_strict &= fits;
        function.raw("parameters", &json);
        if is_looser {
            unmapped.hint("tools[].function.parameters");
        }
    } else if tool.custom.is_some() {
        function.raw("parameters", CUSTOM_PARAMETERS);
    }
    match tool.strict {
        Some(true) if !may_be_strict => unmapped.hint("tools[].function.strict"),
        Some(strict) if traits.tools.strict => {
            *strict_left -= u32::from(strict);
            function.put("strict", &strict);
        }
        _ => {}
    }
}

/// A call as requests hold it.
pub(super) fn write_fitted_call(item: &mut Object<'_>, call: &ToolCall<'_>, ids: IdForm) {
    let id = fitted_id(&call.id, ids);
    write_function_call(item, &id, call);
}

/// A call as answers hold it.
pub(in super::super::super) fn write_call(item: &mut Object<'_>, call: &ToolCall<'_>) {
    write_function_call(item, &call.id, call);
}

fn write_function_call(item: &mut Object<'_>, id: &str, call: &ToolCall<'_>) {
    item.put("id", id).put("type", "function").object("function", |function| {
        let arguments = if call.arguments.is_empty() { "{}" } else { &call.arguments };
        function.put("name", &call.name).put("arguments", arguments);
    });
}
