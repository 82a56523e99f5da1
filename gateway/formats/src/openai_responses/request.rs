//! A Responses request into the common view.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::body::{Body, FormatBody, ReasoningBody, TextBody};
pub use super::encode::{PLACE, encode};
use super::{input, tools};
use crate::error::{FormatError, request_fault};
use crate::exchange::{Effort, Extra, OutputForm, Reasoning, Request, Sampling, SystemText, ToolChoice};
use crate::json::Str;
use crate::openai::allowed;
use crate::view;

/// What an answer may be asked to hold that it holds anyway.
const SEALED_THOUGHTS: &str = "reasoning.encrypted_content";
/// The same where the answer is asked for its most likely tokens.
const LOGPROBS: &str = "message.output_text.logprobs";

/// Reads a request.
///
/// # Errors
/// What is wrong and where.
pub fn decode(body: &[u8]) -> Result<Request<'_>, FormatError> {
    let body: Body<'_> = view::read(body)?;
    let has_both_names = body.safety_identifier.is_some() && body.user.is_some();
    let mut request = Request {
        parallel_tool_calls: body.parallel_tool_calls,
        sampling: sampling(&body),
        stream: body.stream.unwrap_or(false),
        include_usage: true,
        end_user: body.safety_identifier.or(body.user).map(Str::into_text),
        service_tier: body.service_tier.map(Str::into_text),
        metadata: body.metadata.filter(|raw| raw.get() != "null"),
        extras: body.extras,
        hints: body.hints,
        ..Request::default()
    };
    if has_both_names {
        request.hint("user");
    }
    if let Some(instructions) = body.instructions {
        request.system.push(SystemText { text: instructions.into_text(), cache: None });
    }
    if let Some(reasoning) = &body.reasoning {
        request.reasoning = Some(read_reasoning(reasoning)?);
        reasoning.hints().for_each(|name| request.hint(name));
    }
    if let Some(raw) = body.tool_choice {
        request.tool_choice = read_tool_choice(raw, &mut request.extras)?;
    }
    for tool in body.tools.unwrap_or_default() {
        tools::read(tool, None, &mut request)?;
    }
    if let Some(text) = body.text {
        read_text(text, &mut request)?;
    }
    note_includes(&body.include, &mut request);
    input::read(body.input, &mut request)?;
    Ok(request)
}

/// What an answer is to hold and does not hold anyway.
fn note_includes(include: &[Str<'_>], request: &mut Request<'_>) {
    let has_tokens = request.sampling.top_logprobs.is_some();
    let comes_anyway = |wanted: &str| wanted == SEALED_THOUGHTS || wanted == LOGPROBS && has_tokens;
    let others = include.iter().filter(|wanted| !comes_anyway(wanted));
    request.hints.extend(others.map(|wanted| Cow::Owned(format!("include[{}]", &**wanted))));
}

fn sampling<'a>(body: &Body<'_>) -> Sampling<'a> {
    Sampling {
        max_output_tokens: body.max_output_tokens,
        temperature: body.temperature,
        top_p: body.top_p,
        top_logprobs: body.top_logprobs,
        ..Sampling::default()
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
    let show_param = show.map(|_| "reasoning.summary");
    Ok(Reasoning { effort, show, show_param, ..Reasoning::default() })
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
        #[serde(borrow, default)]
        namespace: Option<Str<'b>>,
    }
    if raw.get() == "null" {
        return Ok(None);
    }
    if let Some(word) = view::text_of(raw) {
        let wrong = "`tool_choice` must be auto, none, required or a tool";
        return match &*word {
            "auto" => Ok(Some(ToolChoice::Auto)),
            "none" => Ok(Some(ToolChoice::None)),
            "required" => Ok(Some(ToolChoice::Required)),
            _ => Err(FormatError::invalid(wrong, "tool_choice")),
        };
    }
    let named: Named<'_> = serde_json::from_str(raw.get()).map_err(|error| {
        FormatError::invalid(format!("`tool_choice`: {}", request_fault(&error)), "tool_choice")
    })?;
    match (&*named.kind, named.name) {
        ("function" | "custom", Some(name)) => {
            Ok(Some(ToolChoice::Named(tools::called(named.namespace.as_deref(), name.into_text()))))
        }
        (kind, _) => {
            let choice = (kind == "allowed_tools").then(|| allowed(raw, tools::called)).flatten();
            if choice.is_none() {
                extras.push(Extra { name: Cow::Borrowed("tool_choice"), value: raw });
            }
            Ok(choice)
        }
    }
}

fn read_text<'a>(text: TextBody<'a>, request: &mut Request<'a>) -> Result<(), FormatError> {
    let verbosity = text.verbosity.filter(|raw| raw.get() != "null");
    // By the name that it has in chats, which know it too.
    request.extras.extend(verbosity.map(|value| Extra { name: Cow::Borrowed("verbosity"), value }));
    if let Some(format) = text.format {
        request.output = read_format(format)?;
    }
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
    fn whole_numbers_may_be_written_with_a_fraction_of_zero() {
        let request =
            decode(br#"{"model":"m","input":"hi","max_output_tokens":64.0,"top_logprobs":2.0}"#).unwrap();
        assert_eq!((request.sampling.max_output_tokens, request.sampling.top_logprobs), (Some(64), Some(2)));
        assert!(decode(br#"{"model":"m","input":"hi","max_output_tokens":64.5}"#).is_err());
    }

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
    fn what_the_model_says_and_does_in_a_row_is_one_turn() {
        let body = br#"{"input":[
            {"type":"reasoning","summary":[],"encrypted_content":"tg1.a.s"},
            {"type":"function_call","call_id":"c1","name":"f","namespace":"n","arguments":{"a":1}},
            {"type":"message","role":"assistant","content":"wait"},
            {"type":"function_call_output","call_id":"c1","output":"x"},
            {"role":"developer","content":"9 left"},
            {"type":"custom_tool_call","call_id":"c2","name":"g","input":"a\"b"}]}"#;
        let request = decode(body).unwrap();
        let shape: Vec<_> = request.turns.iter().map(|turn| (turn.role, turn.parts.len())).collect();
        let (model, user, system) = (TurnRole::Assistant, TurnRole::User, TurnRole::System);
        assert_eq!(shape, [(model, 3), (user, 1), (system, 1), (model, 1)]);
        let calls = request.turns.iter().flat_map(|turn| &turn.parts).filter_map(|part| match part {
            Part::ToolCall(call) => Some((&*call.name, &*call.arguments)),
            _ => None,
        });
        assert_eq!(calls.collect::<Vec<_>>(), [("n__f", r#"{"a":1}"#), ("g", r#"{"input":"a\"b"}"#)]);
    }

    #[test]
    fn what_only_the_provider_can_do_is_kept_by_name() {
        let body =
            br#"{"input":"x","previous_response_id":"resp_1","store":true,"tools":[{"type":"web_search"},{"type":"file_search"}]}"#;
        let request = decode(body).unwrap();
        let names: Vec<_> = request.extras.iter().map(|extra| &*extra.name).collect();
        assert_eq!(names, ["previous_response_id", "store", "tools[file_search]"]);
        assert_eq!(request.hints, ["tools[web_search]"]);
    }

    #[test]
    fn how_the_service_runs_a_model_is_named() {
        let names = |reasoning: &str| {
            let body = format!(r#"{{"input":"x","reasoning":{reasoning}}}"#);
            decode(body.as_bytes()).unwrap().hints.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let both = ["reasoning.mode", "reasoning.context"];
        assert_eq!(names(r#"{"mode":"pro","context":"all_turns"}"#), both);
        assert!(names(r#"{"mode":"standard","context":"auto"}"#).is_empty());
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
