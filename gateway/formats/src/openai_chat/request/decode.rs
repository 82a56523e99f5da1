//! From a chat request into the common view.

use std::borrow::Cow;

use super::super::wire::CacheControl;
use super::body::{Body, Choice, FunctionWire, ResponseFormat, ToolWire};
use super::turns::Turns;
use crate::error::FormatError;
use crate::exchange::{Effort, Extra, OutputForm, Reasoning, Request, Sampling, Tool, ToolChoice};
use crate::json::Str;
use crate::openai::fields::include_usage;
use crate::view::{read, text_of};

/// Reads a request.
///
/// # Errors
/// When the body is no chat request, or holds what the common view has no place for.
pub fn decode(body: &[u8]) -> Result<Request<'_>, FormatError> {
    let mut body: Body<'_> = read(body)?;
    let messages =
        body.messages.take().ok_or_else(|| FormatError::invalid("`messages` is missing", "messages"))?;
    let mut request = Request {
        sampling: sampling(&mut body),
        parallel_tool_calls: body.parallel_tool_calls,
        stream: body.stream.unwrap_or(false),
        include_usage: include_usage(body.stream_options),
        service_tier: body.service_tier.take().map(Str::into_text),
        metadata: body.metadata,
        ..Request::default()
    };
    let mut turns = Turns::default();
    for (place, message) in messages.into_iter().enumerate() {
        turns.take(place, message, &mut request)?;
    }
    tools(&mut body, &mut request)?;
    if let Some(format) = body.response_format.take() {
        request.output = output(format)?;
    }
    if let Some(effort) = body.reasoning_effort.take() {
        request.reasoning = Some(reasoning(&effort)?);
    }
    end_user(&mut body, &mut request);
    request.extras.append(&mut body.extras);
    Ok(request)
}

fn sampling<'a>(body: &mut Body<'a>) -> Sampling<'a> {
    // Zero is what every model does when it is not asked.
    let penalty = |value: Option<f64>| value.filter(|value| *value != 0.0);
    Sampling {
        // The smaller one, if the alias has bounded one of them.
        max_output_tokens: body.max_completion_tokens.into_iter().chain(body.max_tokens).min(),
        temperature: body.temperature,
        top_p: body.top_p,
        top_k: body.top_k,
        stop: std::mem::take(&mut body.stop.0),
        seed: body.seed,
        frequency_penalty: penalty(body.frequency_penalty),
        presence_penalty: penalty(body.presence_penalty),
        choices: body.n.filter(|n| *n != 1),
        top_logprobs: match (body.logprobs, body.top_logprobs) {
            (Some(false), _) | (None, None) => None,
            (Some(true), None) => Some(0),
            (_, top) => top,
        },
        logit_bias: body.logit_bias.filter(|bias| bias.get() != "{}"),
    }
}

fn tools<'a>(body: &mut Body<'a>, request: &mut Request<'a>) -> Result<(), FormatError> {
    for (place, tool) in body.tools.take().into_iter().flatten().enumerate() {
        let ToolWire { kind, function, cache_control } = tool;
        let function = match (kind.as_deref(), function) {
            (Some("function") | None, Some(function)) => function,
            _ => return Err(FormatError::Unsupported { param: format!("tools[{place}]").into() }),
        };
        request.tools.push(tool_of(function, cache_control));
    }
    if let Some(functions) = body.functions.take() {
        request.legacy_functions = true;
        request.tools.extend(functions.into_iter().map(|function| tool_of(function, None)));
    }
    if let Some(choice) = body.tool_choice.take() {
        request.tool_choice = Some(tool_choice(choice, "tool_choice")?);
    } else if let Some(choice) = body.function_call.take() {
        request.tool_choice = Some(tool_choice(choice, "function_call")?);
    }
    // A client of the old form reads one call only.
    if request.legacy_functions && request.parallel_tool_calls.is_none() {
        request.parallel_tool_calls = Some(false);
    }
    Ok(())
}

fn tool_of<'a>(function: FunctionWire<'a>, cache: Option<CacheControl<'a>>) -> Tool<'a> {
    Tool {
        name: function.name.0,
        description: function.description.map(Str::into_text),
        parameters: function.parameters,
        strict: function.strict,
        custom: None,
        cache: cache.or(function.cache_control).map(|cache| cache.mark()),
    }
}

fn tool_choice<'a>(choice: Choice<'a>, param: &'static str) -> Result<ToolChoice<'a>, FormatError> {
    match choice {
        Choice::Word(word) => match &*word {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            "required" | "any" => Ok(ToolChoice::Required),
            _ => {
                let message = format!("`{param}` must be `auto`, `none`, `required` or name a tool");
                Err(FormatError::invalid(message, param))
            }
        },
        Choice::Tool(None, Some(name)) => Ok(ToolChoice::Named(name)),
        Choice::Tool(Some(kind), Some(name)) if kind == "function" => Ok(ToolChoice::Named(name)),
        Choice::Tool(..) => Err(FormatError::Unsupported { param: Cow::Borrowed(param) }),
    }
}

fn output(format: ResponseFormat<'_>) -> Result<OutputForm<'_>, FormatError> {
    match &*format.kind {
        "text" => Ok(OutputForm::Text),
        "json_object" => Ok(OutputForm::JsonObject),
        "json_schema" => {
            let missing =
                |what: &str| FormatError::invalid(format!("`{what}` is missing"), "response_format");
            let form = format.json_schema.ok_or_else(|| missing("response_format.json_schema"))?;
            Ok(OutputForm::JsonSchema {
                name: form.name.0,
                description: form.description.map(Str::into_text),
                schema: form.schema.ok_or_else(|| missing("response_format.json_schema.schema"))?,
                strict: form.strict,
            })
        }
        _ => Err(FormatError::Unsupported { param: "response_format.type".into() }),
    }
}

fn reasoning(effort: &str) -> Result<Reasoning, FormatError> {
    let effort = Effort::from_name(effort).ok_or_else(|| {
        let message = "`reasoning_effort` must be `none`, `minimal`, `low`, `medium`, `high` or `xhigh`";
        FormatError::invalid(message, "reasoning_effort")
    })?;
    Ok(Reasoning { effort: Some(effort), ..Reasoning::default() })
}

/// `safety_identifier` replaces `user` in newer clients; where both are given each keeps its meaning.
fn end_user<'a>(body: &mut Body<'a>, request: &mut Request<'a>) {
    let safety = body.safety_identifier.take();
    match (body.user.take(), safety) {
        (Some(user), safety) => {
            request.end_user = Some(user.0);
            let extra = safety.map(|value| Extra { name: "safety_identifier".into(), value });
            request.extras.extend(extra);
        }
        (None, Some(safety)) => request.end_user = text_of(safety),
        (None, None) => {}
    }
}
