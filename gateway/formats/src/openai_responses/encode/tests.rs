//! What a backend is sent: thoughts, bounds, what has no place.

use tollgate_families::ApiFormat;

use super::*;
use crate::exchange::{
    CustomTool, Image, Media, Part, Sampling, Source, SystemText, Tool, ToolCall, ToolResult, Turn, TurnRole,
};
use crate::testing::target;
use crate::unmapped::OnUnmappable;

fn model() -> TargetModel<'static> {
    target("gpt-5.5", ApiFormat::OpenAi)
}

fn encoded(request: &Request<'_>) -> serde_json::Value {
    let mut unmapped = Unmapped::new(OnUnmappable::Reject);
    serde_json::from_slice(&encode(request, model(), &mut unmapped).unwrap()).unwrap()
}

fn turn(role: TurnRole, parts: Vec<Part<'static>>) -> Turn<'static> {
    Turn { role, name: None, parts }
}

fn thoughts(sealed: &'static str) -> Part<'static> {
    Part::Reasoning { text: "hm".into(), signature: None, redacted: Some(sealed.into()) }
}

fn call() -> Part<'static> {
    Part::ToolCall(ToolCall { id: "c1".into(), name: "f".into(), arguments: "".into() })
}

#[test]
fn thoughts_go_along_only_before_what_followed_them() {
    let turns = vec![
        turn(TurnRole::User, vec![Part::text("hi")]),
        turn(TurnRole::Assistant, vec![thoughts("a"), thoughts("b"), Part::text(""), call(), thoughts("c")]),
    ];
    let json = encoded(&Request { turns, ..Request::default() });
    let kinds: Vec<_> = json["input"].as_array().unwrap().iter().map(|item| &item["type"]).collect();
    assert_eq!(kinds, ["message", "reasoning", "reasoning", "function_call"]);
    assert_eq!((&json["store"], &json["include"][0]), (&false.into(), &"reasoning.encrypted_content".into()));
}

#[test]
fn instructions_alone_are_the_conversation() {
    let system = vec![SystemText { text: "Write a poem.".into(), cache: None }];
    let json = encoded(&Request { system, ..Request::default() });
    assert_eq!(json["input"][0]["role"], "developer");
    assert!(json.get("instructions").is_none());
}

#[test]
fn the_word_that_asks_for_json_is_said_once_however_often_a_request_is_written() {
    let turns = vec![turn(TurnRole::User, vec![Part::text("Ann, 31")])];
    let request = |system: &[&'static str]| Request {
        system: system.iter().map(|text| SystemText { text: (*text).into(), cache: None }).collect(),
        turns: turns.clone(),
        output: OutputForm::JsonObject,
        ..Request::default()
    };
    let first = encoded(&request(&["Be brief."]));
    assert_eq!(first["input"][0]["content"], "Answer with JSON.");
    assert_eq!(encoded(&request(&["Be brief.", "Answer with JSON."])), first);
}

#[test]
fn a_bound_is_never_below_what_the_api_takes_and_a_long_user_is_a_fingerprint() {
    let sampling = Sampling { max_output_tokens: Some(1), ..Sampling::default() };
    let end_user = Some("x".repeat(150).into());
    let json = encoded(&Request { sampling, end_user, ..Request::default() });
    assert_eq!(json["max_output_tokens"], 16);
    assert!(json["safety_identifier"].as_str().unwrap().len() <= 64);
}

#[test]
fn what_has_no_place_is_refused_by_name() {
    let stop = Sampling { stop: vec!["END".into()], ..Sampling::default() };
    let bias = Sampling { seed: Some(1), ..Sampling::default() };
    for (sampling, name) in [(stop, "stop"), (bias, "seed")] {
        let request = Request { sampling, ..Request::default() };
        let refused = encode(&request, model(), &mut Unmapped::new(OnUnmappable::Reject)).unwrap_err();
        assert_eq!(refused, FormatError::Unsupported { param: name.into() });
        let mut unmapped = Unmapped::new(OnUnmappable::Drop);
        encode(&request, model(), &mut unmapped).unwrap();
        assert_eq!(unmapped.dropped(), [name]);
    }
}

/// What a model is sent, and what is named; everything that has no place is left out.
fn sent(model: &str, request: &Request<'_>) -> (serde_json::Value, Vec<String>) {
    let mut unmapped = Unmapped::new(OnUnmappable::Drop);
    let body = encode(request, target(model, ApiFormat::OpenAi), &mut unmapped).unwrap();
    let named = unmapped.dropped().iter().map(ToString::to_string).collect();
    (serde_json::from_slice(&body).unwrap(), named)
}

#[test]
fn a_sound_goes_to_models_that_hear_alone() {
    let media_type = "audio/wav".into();
    let sound = Media { media_type, source: Source::Base64("UklGRg==".into()), cache: None };
    let turns = vec![turn(TurnRole::User, vec![Part::text("hi"), Part::Audio(sound)])];
    let request = Request { turns, ..Request::default() };
    let (body, named) = sent("gpt-5.4", &request);
    assert_eq!(body["input"][0]["content"], serde_json::json!([{"type": "input_text", "text": "hi"}]));
    assert_eq!(named, ["messages.content.audio"]);
    let (body, named) = sent("some-model", &request);
    assert_eq!((&body["input"][0]["content"][1]["type"], named.len()), (&"input_audio".into(), 0));
}

#[test]
fn a_result_says_that_its_tool_failed_and_keeps_its_json_beside_pictures() {
    let json = serde_json::from_str(r#"{"a":1}"#).unwrap();
    let source = Source::Url("https://x.example/a.png".into());
    let picture = Part::Image(Image { media_type: "".into(), source, detail: None, cache: None });
    let result = |parts, json, is_error| {
        let result = ToolResult { call_id: "c".into(), parts, json, is_error, cache: None };
        let turns = vec![turn(TurnRole::User, vec![Part::ToolResult(result)])];
        encoded(&Request { turns, ..Request::default() })["input"][0]["output"].clone()
    };
    assert_eq!(result(vec![Part::text("no")], None, true), "Error: no");
    assert_eq!(result(Vec::new(), Some(json), true), r#"Error: {"a":1}"#);
    assert_eq!(result(Vec::new(), Some(json), false), r#"{"a":1}"#);
    assert_eq!(result(Vec::new(), None, false), "");
    assert_eq!(result(vec![picture], Some(json), false)[0]["text"], r#"{"a":1}"#);
}

#[test]
fn thinking_that_is_up_to_the_model_and_a_summary_are_told_or_named() {
    let adapts = Reasoning { adapts: true, ..Reasoning::default() };
    let wish = Reasoning { show: Some(true), show_param: Some("thinking.display"), ..adapts };
    for (model, reasoning, told, named) in [
        ("gpt-5.5", adapts, serde_json::Value::Null, ""),
        ("gpt-5.4", adapts, serde_json::json!({"effort": "medium"}), ""),
        ("gpt-5.5", wish, serde_json::json!({"summary": "auto"}), ""),
        ("gpt-4.1", wish, serde_json::Value::Null, "reasoning_effort thinking.display"),
    ] {
        let request = Request { reasoning: Some(reasoning), ..Request::default() };
        let (body, dropped) = sent(model, &request);
        assert_eq!(body["reasoning"], told, "{model}");
        assert_eq!(dropped.join(" "), named, "{model}");
    }
}

#[test]
fn betas_of_another_api_are_named() {
    let request = Request { betas: vec!["context-1m-2025-08-07".into()], ..Request::default() };
    assert_eq!(sent("gpt-5.5", &request).1, ["anthropic-beta"]);
}

#[test]
fn a_model_that_wants_to_read_of_json_does_in_a_message() {
    let input = |said: &'static str| {
        let turns = vec![turn(TurnRole::User, vec![Part::text(said)])];
        let system = vec![SystemText { text: "As JSON.".into(), cache: None }];
        let request = Request { turns, system, output: OutputForm::JsonObject, ..Request::default() };
        encoded(&request)["input"].as_array().unwrap().len()
    };
    assert_eq!((input("hi"), input("hi, as Json")), (2, 1));
}

#[test]
fn what_cannot_be_strict_is_not_and_named() {
    let open = serde_json::from_str(r#"{"type":"object","properties":{"a":{"type":"string"}}}"#).unwrap();
    let tool = |name: &'static str, parameters| Tool {
        name: name.into(),
        parameters,
        strict: Some(true),
        ..Tool::default()
    };
    let output =
        OutputForm::JsonSchema { name: "a b".into(), description: None, schema: open, strict: Some(true) };
    let tools = vec![tool("f", Some(open)), tool("g", None)];
    let (body, named) = sent("gpt-5.5", &Request { tools, output, ..Request::default() });
    assert_eq!((&body["tools"][0]["strict"], &body["tools"][1]["strict"]), (&false.into(), &true.into()));
    assert_eq!(body["tools"][1]["parameters"]["additionalProperties"], false);
    let format = &body["text"]["format"];
    assert_eq!((&format["strict"], &format["name"]), (&false.into(), &"a_b".into()));
    assert_eq!(named, ["tools[].function.strict", "response_format.json_schema"]);
}

#[test]
fn the_grammar_of_a_custom_tool_is_told_as_this_api_has_it() {
    let format = r#"{"type":"grammar","grammar":{"syntax":"regex","definition":"a+"}}"#;
    let custom = Some(CustomTool { format: serde_json::from_str(format).ok() });
    let tools = vec![Tool { name: "patch".into(), custom, ..Tool::default() }];
    let body = encoded(&Request { tools, ..Request::default() });
    let told = serde_json::json!({"type": "grammar", "syntax": "regex", "definition": "a+"});
    assert_eq!(body["tools"][0]["format"], told);
}

#[test]
fn the_most_likely_tokens_are_asked_for_where_the_model_tells_them() {
    let sampling = Sampling { top_logprobs: Some(3), ..Sampling::default() };
    let request = Request { sampling, ..Request::default() };
    let (body, named) = sent("gpt-5.4", &request);
    let include = ["message.output_text.logprobs", "reasoning.encrypted_content"];
    assert_eq!((&body["top_logprobs"], &body["include"]), (&3.into(), &serde_json::json!(include)));
    assert!(named.is_empty());
    let (body, named) = sent("gpt-5.5", &request);
    assert_eq!(body.get("top_logprobs"), None);
    assert_eq!(named, ["logprobs"]);
}
