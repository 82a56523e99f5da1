//! From a chat request into the common view.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::super::wire::CacheControl;
use super::body::{Body, Choice, CustomWire, FunctionWire, ResponseFormat, ToolWire};
use super::turns::Turns;
use crate::error::{FormatError, request_fault};
use crate::exchange::{
    CUSTOM_PARAMETERS, CustomTool, Effort, Extra, OutputForm, Reasoning, Request, Sampling, Tool, ToolChoice,
    ToolName,
};
use crate::json::Str;
use crate::openai::allowed;
use crate::openai::custom::Grammar;
use crate::openai::fields::include_usage;
use crate::view::{read, text_of};

/// Reads a request.
///
/// # Errors
/// When the body is no chat request. What the common view has no place for is in the request's extras.
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
    if let Some(raw) = body.response_format.take() {
        request.output = output(raw, &mut request.extras)?;
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
    for (place, raw) in body.tools.take().into_iter().flatten().enumerate() {
        let wrong = |error: serde_json::Error| {
            let message = format!("`tools[{place}]` cannot be read: {}", request_fault(&error));
            FormatError::Invalid { message, param: Some(format!("tools[{place}]").into()) }
        };
        let ToolWire { kind, function, custom, cache_control } =
            serde_json::from_str(raw.get()).map_err(wrong)?;
        match (kind.as_deref(), function, custom) {
            (Some("function") | None, Some(function), _) => {
                request.tools.push(tool_of(function, cache_control));
            }
            (Some("custom") | None, _, Some(custom)) => custom_tool(custom, cache_control, request)?,
            // Tools that run at the provider.
            _ => request.extras.push(Extra { name: format!("tools[{place}]").into(), value: raw }),
        }
    }
    if let Some(functions) = body.functions.take() {
        request.legacy_functions = true;
        request.tools.extend(functions.into_iter().map(|function| tool_of(function, None)));
    }
    if let Some(raw) = body.tool_choice.take() {
        request.tool_choice = tool_choice(raw, "tool_choice", &mut request.extras)?;
    } else if let Some(raw) = body.function_call.take() {
        request.tool_choice = tool_choice(raw, "function_call", &mut request.extras)?;
    }
    // A client of the old form reads one call only.
    if request.legacy_functions && request.parallel_tool_calls.is_none() {
        request.parallel_tool_calls = Some(false);
    }
    Ok(())
}

/// Told as a function with one text where the backend has no such tools; its calls come back as what the client gave.
fn custom_tool<'a>(
    custom: CustomWire<'a>,
    cache: Option<CacheControl<'a>>,
    request: &mut Request<'a>,
) -> Result<(), FormatError> {
    let name = custom.name.0;
    let mut description = custom.description.map(Str::into_text);
    if let Some(grammar) = custom.format.and_then(Grammar::of) {
        description = Some(grammar.described(description));
    }
    request.tool_names.add(ToolName {
        sent: name.clone().into_owned(),
        name: name.clone().into_owned(),
        is_custom: true,
        ..ToolName::default()
    });
    request.tools.push(Tool {
        name,
        description,
        parameters: Some(serde_json::from_str(CUSTOM_PARAMETERS)?),
        strict: None,
        custom: Some(CustomTool { format: custom.format }),
        cache: cache.map(|cache| cache.mark()),
    });
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

/// What the common view has no word for is kept by its name.
fn tool_choice<'a>(
    raw: &'a RawValue,
    param: &'static str,
    extras: &mut Vec<Extra<'a>>,
) -> Result<Option<ToolChoice<'a>>, FormatError> {
    let wrong = || {
        let message = format!("`{param}` must be `auto`, `none`, `required` or name a tool");
        FormatError::invalid(message, param)
    };
    let choice: Choice<'a> = serde_json::from_str(raw.get()).map_err(|_| wrong())?;
    Ok(Some(match choice {
        Choice::Word(word) => match &*word {
            "auto" => ToolChoice::Auto,
            "none" => ToolChoice::None,
            "required" | "any" => ToolChoice::Required,
            _ => return Err(wrong()),
        },
        Choice::Tool(None, Some(name)) => ToolChoice::Named(name),
        Choice::Tool(Some(kind), Some(name)) if matches!(&*kind, "function" | "custom") => {
            ToolChoice::Named(name)
        }
        Choice::Tool(kind, _) => {
            let is_list = kind.as_deref() == Some("allowed_tools");
            let choice = is_list.then(|| allowed(raw, |_, name| name)).flatten();
            if choice.is_none() {
                extras.push(Extra { name: Cow::Borrowed(param), value: raw });
            }
            return Ok(choice);
        }
    }))
}

fn output<'a>(raw: &'a RawValue, extras: &mut Vec<Extra<'a>>) -> Result<OutputForm<'a>, FormatError> {
    let wrong = |message: String| FormatError::invalid(message, "response_format");
    let format: ResponseFormat<'a> = serde_json::from_str(raw.get())
        .map_err(|error| wrong(format!("`response_format` cannot be read: {}", request_fault(&error))))?;
    match &*format.kind {
        "text" => Ok(OutputForm::Text),
        "json_object" => Ok(OutputForm::JsonObject),
        "json_schema" => {
            let form = format
                .json_schema
                .ok_or_else(|| wrong("`response_format.json_schema` is missing".to_owned()))?;
            // Without a schema any object will do.
            let Some(schema) = form.schema else { return Ok(OutputForm::JsonObject) };
            Ok(OutputForm::JsonSchema {
                name: form.name.0,
                description: form.description.map(Str::into_text),
                schema,
                strict: form.strict,
            })
        }
        _ => {
            extras.push(Extra { name: "response_format".into(), value: raw });
            Ok(OutputForm::Text)
        }
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
