//! Reads a Messages request.

use serde_json::value::RawValue;

use super::body::{Body, Message, OutputConfig, OutputFormat, Thinking, ToolChoice as Choice, ToolEntry};
use super::parts::{Aside, parts};
use super::place::{Place, extra, missing};
use crate::anthropic::wire::Content;
use crate::error::FormatError;
use crate::exchange::{
    Effort, OutputForm, Part, Reasoning, Request, Sampling, Tool, ToolChoice, Turn, TurnRole,
};
use crate::media::PART_LEFT_OUT;
use crate::view;

/// Name for a JSON schema: formats that need one have no other source for it.
const SCHEMA_NAME: &str = "response";

/// Reads a request for an answer or for a token count. What has no place in the common view is in its extras,
/// by path.
///
/// # Errors
/// When the body is not what the format says.
pub fn decode(body: &[u8]) -> Result<Request<'_>, FormatError> {
    let mut body: Body<'_> = view::read(body)?;
    let Some(messages) = body.messages.take() else {
        return Err(FormatError::invalid("`messages` must be a list", "messages"));
    };
    let mut request = Request {
        sampling: sampling(&mut body),
        stream: body.stream.unwrap_or(false),
        include_usage: true,
        end_user: body.metadata.and_then(|metadata| metadata.user_id).map(|id| id.0),
        service_tier: body.service_tier.map(|tier| tier.0),
        hints: body.hints,
        ..Request::default()
    };
    let mut aside = Aside { extras: body.extras, ..Aside::default() };
    if let Some(system) = body.system {
        read_system(system, || "system".to_owned(), &mut request, &mut aside)?;
    }
    for (index, message) in messages.into_iter().enumerate() {
        read_message(message, index, &mut request, &mut aside)?;
    }
    for (index, tool) in body.tools.unwrap_or_default().into_iter().enumerate() {
        read_tool(tool, index, &mut request, &mut aside)?;
    }
    request.extras = aside.extras;
    if let Some(choice) = body.tool_choice {
        read_choice(choice, &mut request)?;
    }
    read_output(body.output_config, body.output_format, &mut request)?;
    if let Some(thinking) = body.thinking {
        read_thinking(&thinking, &mut request);
    }
    Ok(request)
}

fn sampling<'a>(body: &mut Body<'a>) -> Sampling<'a> {
    Sampling {
        max_output_tokens: body.max_tokens.map(|number| number.0),
        temperature: body.temperature,
        top_p: body.top_p,
        top_k: body.top_k.map(|number| number.0),
        stop: body.stop_sequences.take().unwrap_or_default().into_iter().map(|text| text.0).collect(),
        ..Sampling::default()
    }
}

/// Instructions at the top, or in the midst of the conversation.
fn read_system<'a>(
    content: Content<'a>,
    path: impl Fn() -> String,
    request: &mut Request<'a>,
    aside: &mut Aside<'a>,
) -> Result<(), FormatError> {
    let mut texts = Vec::new();
    match content {
        Content::Text(text) => texts.push(Part::Text { text, cache: None }),
        Content::Blocks(blocks) => {
            for (index, block) in blocks.into_iter().enumerate() {
                let path = || format!("{}[{index}]", path());
                let cache = block.cache_control.as_ref().map(|control| control.mark());
                match (block.kind(), block.text) {
                    ("text", Some(text)) => texts.push(Part::Text { text: text.0, cache }),
                    ("text", None) => return Err(missing(format!("{}.text", path()))),
                    _ => aside.extras.push(extra(format!("{}.type", path()), block.kind)),
                }
            }
        }
    }
    request.instruct(texts);
    Ok(())
}

fn read_message<'a>(
    message: Message<'a>,
    index: usize,
    request: &mut Request<'a>,
    aside: &mut Aside<'a>,
) -> Result<(), FormatError> {
    let role = match &*message.role {
        "user" => TurnRole::User,
        "assistant" => TurnRole::Assistant,
        "system" => {
            return read_system(message.content, || format!("messages[{index}].content"), request, aside);
        }
        _ => {
            return Err(FormatError::Invalid {
                message: format!("`messages[{index}].role` must be `user`, `assistant` or `system`"),
                param: Some(format!("messages[{index}].role").into()),
            });
        }
    };
    let kept = aside.extras.len();
    let mut parts = parts(message.content, Place::message(index), aside)?;
    if parts.is_empty() && role == TurnRole::User && aside.extras.len() > kept {
        parts.push(Part::text(PART_LEFT_OUT));
    }
    request.turns.push(Turn { role, name: None, parts });
    Ok(())
}

/// Tools that run at the provider have a type of their own; no other provider has them. A tool that was put off is
/// one of the request's once a result has referred to it or the model has called it.
fn read_tool<'a>(
    tool: ToolEntry<'a>,
    index: usize,
    request: &mut Request<'a>,
    aside: &mut Aside<'a>,
) -> Result<(), FormatError> {
    if let Some(kind) = tool.kind.filter(|kind| kind.get() != r#""custom""#) {
        aside.extras.push(extra(format!("tools[{index}].type"), kind));
        return Ok(());
    }
    let is_special =
        |raw: &&RawValue| !raw.get().bytes().filter(|byte| !byte.is_ascii_whitespace()).eq(*br#"["direct"]"#);
    let callers = tool.allowed_callers.filter(is_special);
    aside.extras.extend(callers.map(|value| extra(format!("tools[{index}].allowed_callers"), value)));
    if tool.input_examples.is_some() {
        request.hint("tools[].input_examples");
    }
    if tool.eager_input_streaming == Some(true) {
        request.hint("tools[].eager_input_streaming");
    }
    if tool.defer_loading.is_some_and(|raw| raw.get() == "true") {
        request.hint("tools[].defer_loading");
        if !tool.name.as_deref().is_some_and(|name| aside.knows_tool(name)) {
            return Ok(());
        }
    }
    let name = tool.name.ok_or_else(|| missing(format!("tools[{index}].name")))?;
    request.tools.push(Tool {
        name: name.0,
        description: tool.description.map(|text| text.0),
        parameters: tool.input_schema,
        strict: tool.strict,
        custom: None,
        cache: tool.cache_control.map(|control| control.mark()),
    });
    Ok(())
}

fn read_choice<'a>(choice: Choice<'a>, request: &mut Request<'a>) -> Result<(), FormatError> {
    request.tool_choice = Some(match &*choice.kind {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => {
            ToolChoice::Named(choice.name.ok_or_else(|| missing("tool_choice.name".to_owned()))?.into_text())
        }
        _ => {
            return Err(FormatError::invalid(
                "`tool_choice.type` must be `auto`, `any`, `tool` or `none`",
                "tool_choice",
            ));
        }
    });
    request.parallel_tool_calls = choice.disable_parallel_tool_use.map(|disabled| !disabled);
    Ok(())
}

fn read_output<'a>(
    config: Option<OutputConfig<'a>>,
    older_format: Option<OutputFormat<'a>>,
    request: &mut Request<'a>,
) -> Result<(), FormatError> {
    let mut format = older_format;
    if let Some(config) = config {
        format = config.format.or(format);
        if config.task_budget.is_some() {
            request.hint("output_config.task_budget");
        }
        if let Some(effort) = config.effort {
            let known = Effort::from_name(&effort).ok_or_else(|| {
                FormatError::invalid("`output_config.effort` is none of the known efforts", "output_config")
            })?;
            request.reasoning.get_or_insert_default().effort = Some(known);
        }
    }
    match format {
        Some(OutputFormat { kind, schema: Some(schema) }) if kind.get() == r#""json_schema""# => {
            // The provider guarantees the match, so the one that takes its place has to.
            request.output = OutputForm::JsonSchema {
                name: SCHEMA_NAME.into(),
                description: None,
                schema,
                strict: Some(true),
            };
        }
        // Without a schema any object will do.
        Some(OutputFormat { kind, schema: None }) if kind.get() == r#""json_schema""# => {
            request.output = OutputForm::JsonObject;
        }
        Some(other) => request.extras.push(extra("output_config.format", other.kind)),
        None => {}
    }
    Ok(())
}

fn read_thinking<'a>(thinking: &Thinking<'a>, request: &mut Request<'a>) {
    let display = thinking.display.as_deref().map(|display| display != "omitted");
    let show_param = display.map(|_| "thinking.display");
    if thinking.block_binding.is_some() {
        request.hint("thinking.block_binding");
    }
    match thinking.kind.get() {
        r#""enabled""# => {
            let reasoning = request.reasoning.get_or_insert_default();
            reasoning.budget_tokens = thinking.budget_tokens.map(|number| number.0);
            (reasoning.show, reasoning.show_param) = (display.or(Some(true)), show_param);
        }
        r#""adaptive""# => {
            let reasoning = request.reasoning.get_or_insert_default();
            reasoning.adapts = true;
            (reasoning.show, reasoning.show_param) = (display, show_param);
        }
        r#""disabled""# => {
            request.reasoning = Some(Reasoning { effort: Some(Effort::None), ..Reasoning::default() });
        }
        _ => request.extras.push(extra("thinking.type", thinking.kind)),
    }
}
