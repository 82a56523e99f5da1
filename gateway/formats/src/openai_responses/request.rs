//! A Responses request into the common view.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::input;
use crate::error::{FormatError, request_fault};
use crate::exchange::{
    Effort, Extra, OutputForm, Reasoning, Request, Sampling, SystemText, Tool, ToolChoice,
};
use crate::json::Str;
use crate::view;

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    instructions: Option<Str<'a>>,
    #[serde(default)]
    max_output_tokens: Option<u64>,
    #[serde(default)]
    temperature: Option<f64>,
    #[serde(default)]
    top_p: Option<f64>,
    #[serde(borrow, default)]
    tools: Option<Vec<ToolBody<'a>>>,
    #[serde(borrow, default)]
    tool_choice: Option<&'a RawValue>,
    #[serde(default)]
    parallel_tool_calls: Option<bool>,
    #[serde(borrow, default)]
    text: Option<TextBody<'a>>,
    #[serde(borrow, default)]
    reasoning: Option<ReasoningBody<'a>>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    top_logprobs: Option<u8>,
    #[serde(borrow, default)]
    user: Option<Str<'a>>,
    #[serde(borrow, default)]
    safety_identifier: Option<Str<'a>>,
    #[serde(borrow, default)]
    service_tier: Option<Str<'a>>,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow, default)]
    store: Option<&'a RawValue>,
    #[serde(borrow, default)]
    previous_response_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    conversation: Option<&'a RawValue>,
    #[serde(borrow, default)]
    prompt: Option<&'a RawValue>,
    #[serde(borrow, default)]
    include: Option<&'a RawValue>,
    #[serde(borrow, default)]
    truncation: Option<&'a RawValue>,
    #[serde(borrow, default)]
    background: Option<&'a RawValue>,
    #[serde(borrow, default)]
    max_tool_calls: Option<&'a RawValue>,
    #[serde(borrow, default)]
    prompt_cache_key: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ToolBody<'a> {
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
}

#[derive(Deserialize)]
struct TextBody<'a> {
    #[serde(borrow, default)]
    format: Option<FormatBody<'a>>,
    #[serde(borrow, default)]
    verbosity: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct FormatBody<'a> {
    #[serde(borrow, rename = "type")]
    kind: Str<'a>,
    #[serde(borrow, default)]
    name: Option<Str<'a>>,
    #[serde(borrow, default)]
    description: Option<Str<'a>>,
    #[serde(borrow, default)]
    schema: Option<&'a RawValue>,
    #[serde(default)]
    strict: Option<bool>,
}

#[derive(Deserialize)]
struct ReasoningBody<'a> {
    #[serde(borrow, default)]
    effort: Option<Str<'a>>,
    #[serde(borrow, default)]
    summary: Option<Str<'a>>,
    #[serde(borrow, default)]
    generate_summary: Option<Str<'a>>,
}

/// Values that say what happens anyway, so that they need no place in another format.
const WITHOUT_EFFECT: [(&str, &[&str]); 5] = [
    ("store", &["false", "null"]),
    ("include", &["[]", "null"]),
    ("truncation", &["\"disabled\"", "null"]),
    ("background", &["false", "null"]),
    ("previous_response_id", &["null"]),
];

/// Reads a request.
///
/// # Errors
/// What is wrong and where.
pub fn decode(body: &[u8]) -> Result<Request<'_>, FormatError> {
    let body: Body<'_> = view::read(body)?;
    let mut request = Request {
        parallel_tool_calls: body.parallel_tool_calls,
        sampling: Sampling {
            max_output_tokens: body.max_output_tokens,
            temperature: body.temperature,
            top_p: body.top_p,
            top_logprobs: body.top_logprobs,
            ..Sampling::default()
        },
        stream: body.stream.unwrap_or(false),
        include_usage: true,
        end_user: body.safety_identifier.or(body.user).map(Str::into_text),
        service_tier: body.service_tier.map(Str::into_text),
        metadata: body.metadata.filter(|raw| raw.get() != "null"),
        ..Request::default()
    };
    if let Some(instructions) = body.instructions {
        request.system.push(SystemText { text: instructions.into_text(), cache: None });
    }
    if let Some(reasoning) = &body.reasoning {
        request.reasoning = Some(read_reasoning(reasoning)?);
    }
    if let Some(raw) = body.tool_choice {
        request.tool_choice = read_tool_choice(raw, &mut request.extras)?;
    }
    for tool in body.tools.unwrap_or_default() {
        read_tool(tool, body.tool_choice, &mut request)?;
    }
    if let Some(text) = body.text {
        extra(&mut request.extras, "text.verbosity", text.verbosity);
        if let Some(format) = text.format {
            request.output = read_format(format)?;
        }
    }
    for (name, raw) in [
        ("store", body.store),
        ("previous_response_id", body.previous_response_id),
        ("conversation", body.conversation),
        ("prompt", body.prompt),
        ("include", body.include),
        ("truncation", body.truncation),
        ("background", body.background),
        ("max_tool_calls", body.max_tool_calls),
        ("prompt_cache_key", body.prompt_cache_key),
    ] {
        extra(&mut request.extras, name, raw);
    }
    input::read(body.input, &mut request)?;
    Ok(request)
}

/// Keeps a parameter that has no place in the common view, unless it changes nothing.
fn extra<'a>(extras: &mut Vec<Extra<'a>>, name: &'static str, value: Option<&'a RawValue>) {
    let Some(value) = value else { return };
    let idle = WITHOUT_EFFECT.iter().any(|(known, values)| *known == name && values.contains(&value.get()));
    if !idle && value.get() != "null" {
        extras.push(Extra { name: Cow::Borrowed(name), value });
    }
}

fn read_reasoning(body: &ReasoningBody<'_>) -> Result<Reasoning, FormatError> {
    let effort = match &body.effort {
        Some(name) => Some(Effort::from_name(name).ok_or_else(|| {
            FormatError::invalid(format!("`reasoning.effort` cannot be `{}`", &**name), "reasoning.effort")
        })?),
        None => None,
    };
    let show = (body.summary.is_some() || body.generate_summary.is_some()).then_some(true);
    Ok(Reasoning { effort, budget_tokens: None, show })
}

fn read_tool_choice<'a>(
    raw: &'a RawValue,
    extras: &mut Vec<Extra<'a>>,
) -> Result<Option<ToolChoice<'a>>, FormatError> {
    #[derive(Deserialize)]
    struct Named<'b> {
        #[serde(borrow, rename = "type")]
        kind: Str<'b>,
        #[serde(borrow, default)]
        name: Option<Str<'b>>,
    }
    if raw.get() == "null" {
        return Ok(None);
    }
    if let Some(word) = view::text_of(raw) {
        return match &*word {
            "auto" => Ok(Some(ToolChoice::Auto)),
            "none" => Ok(Some(ToolChoice::None)),
            "required" => Ok(Some(ToolChoice::Required)),
            _ => Err(FormatError::invalid(
                "`tool_choice` must be auto, none, required or a tool",
                "tool_choice",
            )),
        };
    }
    let named: Named<'_> = serde_json::from_str(raw.get()).map_err(|error| {
        FormatError::invalid(format!("`tool_choice`: {}", request_fault(&error)), "tool_choice")
    })?;
    match (&*named.kind, named.name) {
        ("function", Some(name)) => Ok(Some(ToolChoice::Named(name.into_text()))),
        _ => {
            extras.push(Extra { name: Cow::Borrowed("tool_choice"), value: raw });
            Ok(None)
        }
    }
}

fn read_tool<'a>(
    tool: ToolBody<'a>,
    choice: Option<&'a RawValue>,
    request: &mut Request<'a>,
) -> Result<(), FormatError> {
    if &*tool.kind != "function" {
        // A tool that the provider runs itself; named so that a refusal says which one.
        let name = format!("tools[{}]", &*tool.kind);
        let value = tool.parameters.or(choice).unwrap_or(RawValue::NULL);
        request.extras.push(Extra { name: Cow::Owned(name), value });
        return Ok(());
    }
    let name = tool.name.ok_or_else(|| FormatError::invalid("a function tool has no `name`", "tools"))?;
    request.tools.push(Tool {
        name: name.into_text(),
        description: tool.description.map(Str::into_text),
        parameters: tool.parameters.filter(|raw| raw.get() != "null"),
        strict: tool.strict,
        custom: None,
        cache: None,
    });
    Ok(())
}

fn read_format(format: FormatBody<'_>) -> Result<OutputForm<'_>, FormatError> {
    Ok(match &*format.kind {
        "text" => OutputForm::Text,
        "json_object" => OutputForm::JsonObject,
        "json_schema" => OutputForm::JsonSchema {
            name: format.name.map_or(Cow::Borrowed("answer"), Str::into_text),
            description: format.description.map(Str::into_text),
            schema: format
                .schema
                .ok_or_else(|| FormatError::invalid("`text.format.schema` is missing", "text.format"))?,
            strict: format.strict,
        },
        other => {
            let message = format!("`text.format.type` cannot be `{other}`");
            return Err(FormatError::invalid(message, "text.format"));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{Part, TurnRole};
    use proptest::prelude::*;

    #[test]
    fn a_text_is_one_turn_and_instructions_come_first() {
        let body =
            br#"{"model":"m","instructions":"be short","input":"hi","store":false,"truncation":"disabled"}"#;
        let request = decode(body).unwrap();
        assert_eq!(request.system[0].text, "be short");
        assert!(matches!(&request.turns[0].parts[0], Part::Text { text, .. } if text == "hi"));
        assert!(request.extras.is_empty());
    }

    #[test]
    fn calls_and_their_results_follow_the_turns_they_belong_to() {
        let body = br#"{"input":[
            {"role":"user","content":[{"type":"input_text","text":"weather?"}]},
            {"type":"message","role":"assistant","content":[{"type":"output_text","text":"let me see"}]},
            {"type":"function_call","call_id":"c1","name":"weather","arguments":"{}"},
            {"type":"function_call","call_id":"c2","name":"time","arguments":"{}"},
            {"type":"function_call_output","call_id":"c1","output":"sunny"},
            {"type":"function_call_output","call_id":"c2","output":[{"type":"input_text","text":"noon"}]}]}"#;
        let request = decode(body).unwrap();
        let shape: Vec<_> = request.turns.iter().map(|turn| (turn.role, turn.parts.len())).collect();
        assert_eq!(shape, [(TurnRole::User, 1), (TurnRole::Assistant, 3), (TurnRole::User, 2)]);
    }

    #[test]
    fn what_only_the_provider_can_do_is_kept_by_name() {
        let body =
            br#"{"input":"x","previous_response_id":"resp_1","store":true,"tools":[{"type":"web_search"}]}"#;
        let request = decode(body).unwrap();
        let names: Vec<_> = request.extras.iter().map(|extra| &*extra.name).collect();
        assert_eq!(names, ["tools[web_search]", "store", "previous_response_id"]);
    }

    #[test]
    fn mistakes_name_their_place() {
        for (body, place) in [
            (r#"{"input":[{"role":"robot","content":"x"}]}"#, "robot"),
            (r#"{"input":[{"type":"function_call","name":"f"}]}"#, "call_id"),
            (r#"{"input":"x","text":{"format":{"type":"xml"}}}"#, "xml"),
            (r#"{"input":"x","reasoning":{"effort":"lots"}}"#, "lots"),
        ] {
            let message = decode(body.as_bytes()).unwrap_err().to_string();
            assert!(message.contains(place), "{body}: {message}");
        }
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }

        #[test]
        fn hostile_input_never_panics(input in "[\\[\\]{}\":,a-z_0-9]{0,80}") {
            let _ = decode(format!("{{\"input\":{input}}}").as_bytes());
        }
    }
}
