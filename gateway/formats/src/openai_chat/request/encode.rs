//! From the common view into a chat request for a backend.
//!
//! Left out without a word, because nothing the caller asked for is lost: marks for prompt caches (servers of this
//! format cache by themselves), thoughts of earlier turns, and the flag that a tool failed (its text says so).

use super::super::wire::audio_format;
use crate::adapt::{Place, TargetModel};
use crate::error::FormatError;
use crate::exchange::{
    Effort, Image, Media, OutputForm, Part, Reasoning, Request, Source, SystemText, Tool, ToolCall,
    ToolChoice, ToolResult, Turn, TurnRole,
};
use crate::json::{Array, Object, write};
use crate::unmapped::Unmapped;

/// Parameters of OpenAI's formats that servers of this format take, beside those of the common view.
const TAKEN_OVER: &[&str] = &[
    "store",
    "prediction",
    "web_search_options",
    "verbosity",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
];

/// Service tiers of this format.
pub(in super::super) const TIERS: &[&str] = &["auto", "default", "flex", "scale", "priority"];

/// What this API takes, whatever the model.
pub const PLACE: Place =
    Place { takes_unmarked_proofs: false, has_system_turns: true, most_name_letters: 64 };

/// Writes a request for `model`. A stream is always asked for its usage.
///
/// # Errors
/// When the request holds what this format has no place for.
pub fn encode(
    request: &Request<'_>,
    target: TargetModel<'_>,
    unmapped: &mut Unmapped,
) -> Result<Vec<u8>, FormatError> {
    let model = target.name;
    let mut out = Vec::with_capacity(1024);
    let mut body = Object::new(&mut out);
    body.put("model", model);
    let mut messages = Array::new(body.key("messages"));
    system(&mut messages, &request.system);
    for turn in &request.turns {
        match turn.role {
            TurnRole::User => user(&mut messages, turn, unmapped)?,
            TurnRole::Assistant => assistant(&mut messages, turn, unmapped)?,
            TurnRole::System => note(&mut messages, turn),
        }
    }
    messages.end();
    tools(&mut body, request);
    sampling(&mut body, request, model, unmapped)?;
    output(&mut body, &request.output);
    if let Some(effort) = request.reasoning.and_then(effort) {
        let highest = if effort == Effort::Max { Effort::XHigh } else { effort };
        body.put("reasoning_effort", highest.as_str());
    }
    if request.stream {
        body.put("stream", &true).raw("stream_options", r#"{"include_usage":true}"#);
    }
    body.given("user", request.end_user.as_deref());
    match request.service_tier.as_deref() {
        None => {}
        Some("standard_only") => {
            body.put("service_tier", "default");
        }
        Some(tier) if TIERS.contains(&tier) => {
            body.put("service_tier", tier);
        }
        Some(_) => unmapped.param("service_tier")?,
    }
    if let Some(metadata) = request.metadata {
        body.raw("metadata", metadata.get());
    }
    for extra in &request.extras {
        if TAKEN_OVER.contains(&&*extra.name) {
            body.raw(&extra.name, extra.value.get());
        } else {
            unmapped.param(extra.name.clone().into_owned())?;
        }
    }
    body.end();
    Ok(out)
}

fn sampling(
    body: &mut Object<'_>,
    request: &Request<'_>,
    model: &str,
    unmapped: &mut Unmapped,
) -> Result<(), FormatError> {
    let sampling = &request.sampling;
    let most = if counts_reasoning(model) { "max_completion_tokens" } else { "max_tokens" };
    body.given(most, sampling.max_output_tokens)
        .given("temperature", sampling.temperature)
        .given("top_p", sampling.top_p)
        .given("seed", sampling.seed)
        .given("frequency_penalty", sampling.frequency_penalty)
        .given("presence_penalty", sampling.presence_penalty);
    if !sampling.stop.is_empty() {
        body.put("stop", &sampling.stop);
    }
    if let Some(top) = sampling.top_logprobs {
        body.put("logprobs", &true).given("top_logprobs", (top > 0).then_some(top));
    }
    if let Some(bias) = sampling.logit_bias {
        body.raw("logit_bias", bias.get());
    }
    unmapped.given("top_k", sampling.top_k.as_ref())?;
    unmapped.given("n", sampling.choices.filter(|n| *n > 1).as_ref())
}

/// Whether a model takes `max_completion_tokens` only: OpenAI's reasoning models (`o1` … `gpt-5` …). Older servers
/// of this format know `max_tokens` alone.
fn counts_reasoning(model: &str) -> bool {
    let mut words = model.split(|c: char| !c.is_ascii_alphanumeric());
    let o_series = words.any(
        |word| matches!(word.as_bytes(), [b'o', digit, ..] if digit.is_ascii_digit() && word.len() <= 3),
    );
    o_series || model.contains("gpt-5") || model.contains("gpt-6")
}

fn effort(reasoning: Reasoning) -> Option<Effort> {
    reasoning.effort.or_else(|| reasoning.budget_tokens.map(Effort::from_budget))
}

fn output(body: &mut Object<'_>, form: &OutputForm<'_>) {
    match form {
        OutputForm::Text => {}
        OutputForm::JsonObject => {
            body.raw("response_format", r#"{"type":"json_object"}"#);
        }
        OutputForm::JsonSchema { name, description, schema, strict } => {
            body.object("response_format", |format| {
                format.put("type", "json_schema").object("json_schema", |form| {
                    form.put("name", name).given("description", description.as_ref());
                    form.raw("schema", schema.get()).given("strict", *strict);
                });
            });
        }
    }
}

fn tools(body: &mut Object<'_>, request: &Request<'_>) {
    if request.tools.is_empty() {
        return;
    }
    let mut tools = Array::new(body.key("tools"));
    for tool in &request.tools {
        tools.object(|item| {
            item.put("type", "function").object("function", |function| write_tool(function, tool));
        });
    }
    tools.end();
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
            body.object("tool_choice", |choice| {
                choice.put("type", "function").object("function", |function| {
                    function.put("name", name);
                });
            });
        }
    }
    body.given("parallel_tool_calls", request.parallel_tool_calls);
}

fn write_tool(function: &mut Object<'_>, tool: &Tool<'_>) {
    function.put("name", &tool.name).given("description", tool.description.as_ref());
    if let Some(parameters) = tool.parameters {
        function.raw("parameters", parameters.get());
    }
    function.given("strict", tool.strict);
}

/// All instructions as one message: some servers take only one, and only at the start.
fn system(messages: &mut Array<'_>, texts: &[SystemText<'_>]) {
    match texts {
        [] => {}
        [one] => messages.object(|message| {
            message.put("role", "system").put("content", &one.text);
        }),
        several => messages.object(|message| {
            message.put("role", "system");
            let mut parts = Array::new(message.key("content"));
            several.iter().for_each(|part| text_part(&mut parts, &part.text));
            parts.end();
        }),
    }
}

/// Instructions in the midst of the conversation stay where they are.
fn note(messages: &mut Array<'_>, turn: &Turn<'_>) {
    let texts: Vec<&str> = turn.parts.iter().filter_map(text_of).collect();
    messages.object(|message| {
        message.put("role", "system");
        match texts.as_slice() {
            [one] => {
                message.put("content", one);
            }
            several => {
                let mut parts = Array::new(message.key("content"));
                several.iter().for_each(|text| text_part(&mut parts, text));
                parts.end();
            }
        }
    });
}

/// Results of tools come first: they must follow the calls at once. Their pictures follow in a message of the user,
/// because messages of tools hold text alone.
fn user(messages: &mut Array<'_>, turn: &Turn<'_>, unmapped: &mut Unmapped) -> Result<(), FormatError> {
    let mut said: Vec<&Part<'_>> = Vec::new();
    let mut results = false;
    for part in &turn.parts {
        let Part::ToolResult(result) = part else { continue };
        results = true;
        messages.object(|message| tool_result(message, result));
        said.extend(result.parts.iter().filter(|part| !matches!(part, Part::Text { .. })));
    }
    said.extend(turn.parts.iter().filter(|part| !matches!(part, Part::ToolResult(_))));
    if results && said.is_empty() {
        return Ok(());
    }
    let mut outcome = Ok(());
    messages.object(|message| {
        message.put("role", "user").given("name", turn.name.as_ref());
        outcome = content(message.key("content"), &said, unmapped);
    });
    outcome
}

fn tool_result(message: &mut Object<'_>, result: &ToolResult<'_>) {
    message.put("role", "tool").put("tool_call_id", &result.call_id);
    let texts = result.parts.iter().filter_map(text_of);
    match (texts.clone().count(), result.json) {
        (0, Some(json)) => {
            message.put("content", json.get());
        }
        (0, None) => {
            message.put("content", "");
        }
        (1, _) => texts.for_each(|text| {
            message.put("content", text);
        }),
        _ => {
            let mut parts = Array::new(message.key("content"));
            texts.for_each(|text| text_part(&mut parts, text));
            parts.end();
        }
    }
}

fn text_of<'p>(part: &'p Part<'_>) -> Option<&'p str> {
    match part {
        Part::Text { text, .. } => Some(text),
        _ => None,
    }
}

fn text_part(parts: &mut Array<'_>, text: &str) {
    parts.object(|part| {
        part.put("type", "text").put("text", text);
    });
}

/// A content: one text as it is, anything else as parts.
fn content(out: &mut Vec<u8>, parts: &[&Part<'_>], unmapped: &mut Unmapped) -> Result<(), FormatError> {
    match parts {
        [] => write(out, ""),
        [Part::Text { text, .. }] => write(out, text),
        several => {
            let mut list = Array::new(out);
            for part in several {
                user_part(&mut list, part, unmapped)?;
            }
            list.end();
        }
    }
    Ok(())
}

fn user_part(list: &mut Array<'_>, part: &Part<'_>, unmapped: &mut Unmapped) -> Result<(), FormatError> {
    match part {
        Part::Text { text, .. } => text_part(list, text),
        Part::Image(image) => return image_part(list, image, unmapped),
        Part::Audio(media) => match (&media.source, audio_format(&media.media_type)) {
            (Source::Base64(data), Some(format)) => list.object(|part| {
                part.put("type", "input_audio").object("input_audio", |audio| {
                    audio.put("data", data).put("format", format);
                });
            }),
            _ => return unmapped.param("messages.content.audio"),
        },
        Part::Document { media, name } => return document_part(list, media, name.as_deref(), unmapped),
        Part::Reasoning { .. } => {}
        Part::Refusal(text) => text_part(list, text),
        Part::ToolCall(_) | Part::ToolResult(_) => return unmapped.param("messages.content.tool"),
    }
    Ok(())
}

fn image_part(list: &mut Array<'_>, image: &Image<'_>, unmapped: &mut Unmapped) -> Result<(), FormatError> {
    let url = match &image.source {
        Source::Url(url) => url.clone(),
        Source::Base64(data) => format!("data:{};base64,{data}", image.media_type).into(),
        Source::File(_) => return unmapped.param("messages.content.image.file_id"),
    };
    list.object(|part| {
        part.put("type", "image_url").object("image_url", |image_url| {
            image_url.put("url", &url).given("detail", image.detail.as_ref());
        });
    });
    Ok(())
}

fn document_part(
    list: &mut Array<'_>,
    media: &Media<'_>,
    name: Option<&str>,
    unmapped: &mut Unmapped,
) -> Result<(), FormatError> {
    if matches!(media.source, Source::Url(_)) {
        return unmapped.param("messages.content.file.url");
    }
    list.object(|part| {
        part.put("type", "file").object("file", |file| {
            match &media.source {
                Source::Base64(data) => {
                    // The name is required beside bytes.
                    file.put("filename", name.unwrap_or("document"));
                    file.put("file_data", &format!("data:{};base64,{data}", media.media_type));
                }
                Source::File(id) => {
                    file.put("file_id", id);
                }
                Source::Url(_) => {}
            }
        });
    });
    Ok(())
}

fn assistant(messages: &mut Array<'_>, turn: &Turn<'_>, unmapped: &mut Unmapped) -> Result<(), FormatError> {
    let mut texts: Vec<&Part<'_>> = Vec::new();
    let mut calls: Vec<&ToolCall<'_>> = Vec::new();
    let mut refusal = None;
    for part in &turn.parts {
        match part {
            Part::Text { .. } => texts.push(part),
            Part::ToolCall(call) => calls.push(call),
            Part::Refusal(text) => refusal = Some(text),
            Part::Reasoning { .. } => {}
            Part::Image(_) | Part::Audio(_) | Part::Document { .. } | Part::ToolResult(_) => {
                unmapped.param("messages.content")?;
            }
        }
    }
    let mut outcome = Ok(());
    messages.object(|message| {
        message.put("role", "assistant").given("name", turn.name.as_ref());
        if texts.is_empty() && (!calls.is_empty() || refusal.is_some()) {
            message.raw("content", "null");
        } else {
            outcome = content(message.key("content"), &texts, unmapped);
        }
        message.given("refusal", refusal);
        if !calls.is_empty() {
            let mut list = Array::new(message.key("tool_calls"));
            calls.iter().for_each(|call| list.object(|item| write_call(item, call)));
            list.end();
        }
    });
    outcome
}

/// A call as requests and answers hold it.
pub(in super::super) fn write_call(item: &mut Object<'_>, call: &ToolCall<'_>) {
    item.put("id", &call.id).put("type", "function").object("function", |function| {
        let arguments = if call.arguments.is_empty() { "{}" } else { &call.arguments };
        function.put("name", &call.name).put("arguments", arguments);
    });
}
