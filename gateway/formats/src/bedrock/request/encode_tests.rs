//! What the golden files do not show: rules about single fields and families, and what is refused.

use std::borrow::Cow;

use proptest::prelude::*;

use tollgate_families::ApiFormat;

use super::*;

use crate::exchange::{
    CacheMark, Effort, Image, Media, Part, Reasoning, Source, Tool, ToolCall, ToolChoice, ToolResult, Turn,
    TurnRole,
};
use crate::testing::target;
use crate::unmapped::OnUnmappable;

const CLAUDE: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";
const NOVA: &str = "amazon.nova-pro-v1:0";

fn user(parts: Vec<Part<'static>>) -> Turn<'static> {
    Turn { role: TurnRole::User, name: None, parts }
}

fn model(parts: Vec<Part<'static>>) -> Turn<'static> {
    Turn { role: TurnRole::Assistant, name: None, parts }
}

fn hello() -> Request<'static> {
    Request { turns: vec![user(vec![Part::text("hi")])], ..Request::default() }
}

fn tool() -> Tool<'static> {
    Tool { name: "f".into(), description: None, ..Tool::default() }
}

fn call(id: &'static str) -> Part<'static> {
    Part::ToolCall(ToolCall { id: id.into(), name: "f".into(), arguments: "{}".into() })
}

fn result(id: &'static str, cache: Option<CacheMark>) -> Part<'static> {
    let parts = vec![Part::text("x")];
    Part::ToolResult(ToolResult { call_id: id.into(), parts, json: None, is_error: true, cache })
}

fn written(request: &Request<'_>, name: &str) -> Result<String, FormatError> {
    let body = encode(request, target(name, ApiFormat::Bedrock), &mut Unmapped::new(OnUnmappable::Reject))?;
    Ok(String::from_utf8(body).unwrap())
}

/// What is written, and what was left out of it.
fn named(request: &Request<'_>, name: &str) -> (String, Vec<String>) {
    let mut unmapped = Unmapped::new(OnUnmappable::Reject);
    let body = encode(request, target(name, ApiFormat::Bedrock), &mut unmapped).unwrap();
    let dropped = unmapped.dropped().iter().map(|name| name.clone().into_owned()).collect();
    (String::from_utf8(body).unwrap(), dropped)
}

fn refused(request: &Request<'_>, name: &str) -> String {
    written(request, name).unwrap_err().to_string()
}

#[test]
fn turns_of_one_side_are_joined_with_results_first_and_blank_texts_left_out() {
    let mut request = hello();
    request.tools = vec![tool()];
    request.turns.extend([
        model(vec![Part::text(" \n"), call("1"), call("a/b")]),
        user(vec![Part::text("well")]),
        user(vec![result("1", Some(CacheMark::OneHour)), result("a/b", None)]),
    ]);
    let body = written(&request, NOVA).unwrap();
    assert!(
        body.contains(
            r#"{"role":"assistant","content":[{"toolUse":{"toolUseId":"1","name":"f","input":{}}},"#
        )
    );
    let results = body.split_once(r#"{"role":"user","content":[{"toolResult""#).unwrap().1;
    assert!(
        results.starts_with(concat!(
            r#":{"toolUseId":"1","content":[{"text":"x"}],"status":"error"}},"#,
            r#"{"cachePoint":{"type":"default","ttl":"1h"}},{"toolResult":{"toolUseId":"a_b_"#,
        )),
        "{results}"
    );
    assert!(results.contains(r#""status":"error"}},{"text":"well"}]"#), "{results}");
}

#[test]
fn a_conversation_that_the_user_does_not_begin_gets_an_opening() {
    let mut request = Request { turns: vec![model(vec![Part::text("hi")])], ..Request::default() };
    let body = written(&request, NOVA).unwrap();
    assert!(
        body.starts_with(
            r#"{"messages":[{"role":"user","content":[{"text":"Begin."}]},{"role":"assistant","content":[{"text":"hi"}]}]"#
        ),
        "{body}"
    );
    request.turns.clear();
    assert!(refused(&request, NOVA).contains("at least one message"));
    request.system = vec![SystemText { text: "Write a poem".into(), cache: None }];
    assert!(
        written(&request, NOVA)
            .unwrap()
            .contains(r#""messages":[{"role":"user","content":[{"text":"Begin."}]}]"#)
    );
}

fn with_calls() -> Request<'static> {
    let mut request = hello();
    request.turns.extend([model(vec![call("1")]), user(vec![result("1", None)])]);
    request
}

const STUB: &str = concat!(
    r#""toolConfig":{"tools":[{"toolSpec":{"name":"f","inputSchema":"#,
    r#"{"json":{"type":"object","properties":{}}}}}]}"#
);

#[test]
fn tools_that_the_conversation_called_are_declared_and_must_not_be_called_again() {
    let body = written(&with_calls(), NOVA).unwrap();
    assert!(body.contains(STUB) && !body.contains("additionalModel"), "{body}");
    let body = written(&with_calls(), CLAUDE).unwrap();
    assert!(body.contains(STUB), "{body}");
    assert!(body.contains(r#""additionalModelRequestFields":{"tool_choice":{"type":"none"}}"#), "{body}");
}

#[test]
fn tools_that_must_not_be_used_are_left_out_unless_the_conversation_needs_them() {
    let none = |mut request: Request<'static>| {
        request.tools = vec![tool()];
        request.tool_choice = Some(ToolChoice::None);
        request
    };
    assert!(!written(&none(hello()), NOVA).unwrap().contains("toolConfig"));
    assert_eq!(named(&none(with_calls()), NOVA).1, ["tool_choice"]);
    let (body, dropped) = named(&none(with_calls()), CLAUDE);
    assert!(body.contains(r#"{"tool_choice":{"type":"none"}}"#) && dropped.is_empty(), "{body}");
    let (body, dropped) = named(&none(with_calls()), "anthropic.claude-opus-5-5");
    assert!(body.contains("toolSpec") && !body.contains("tool_choice"), "{body}");
    assert_eq!(dropped, ["tool_choice"]);
}

#[test]
fn a_choice_that_a_model_cannot_be_forced_to_is_left_to_it() {
    let mut request = hello();
    request.tools = vec![tool()];
    request.tool_choice = Some(ToolChoice::Required);
    let (body, dropped) = named(&request, "anthropic.claude-opus-5-5");
    assert!(body.contains(r#""toolChoice":{"auto":{}}"#), "{body}");
    assert_eq!(dropped, ["tool_choice"]);
    let (body, dropped) = named(&request, "us.meta.llama3-1-70b-instruct-v1:0");
    assert!(body.contains("toolSpec") && !body.contains("toolChoice"), "{body}");
    assert_eq!(dropped, ["tool_choice"]);
}

#[test]
fn one_call_at_a_time_is_said_in_the_words_of_claude() {
    let mut request = hello();
    request.parallel_tool_calls = Some(false);
    assert!(!written(&request, NOVA).unwrap().contains("tool"), "without tools it means nothing");
    request.tools = vec![tool()];
    request.tool_choice = Some(ToolChoice::Required);
    let body = written(&request, CLAUDE).unwrap();
    assert!(body.contains(
        r#""additionalModelRequestFields":{"tool_choice":{"type":"any","disable_parallel_tool_use":true}}"#
    ));
    assert!(!body.contains("toolChoice"), "{body}");
    assert_eq!(named(&request, NOVA).1, ["parallel_tool_calls"]);
    request.legacy_functions = true;
    assert_eq!(named(&request, NOVA).1, [""; 0], "it was never asked for");
}

#[test]
fn top_k_has_a_name_in_each_family() {
    let mut request = hello();
    request.sampling.top_k = Some(5);
    let fields = |name: &str| written(&request, name).unwrap().split_once("Fields\":").unwrap().1.to_owned();
    assert_eq!(fields(CLAUDE), r#"{"top_k":5}}"#);
    assert_eq!(fields(NOVA), r#"{"inferenceConfig":{"topK":5}}}"#);
    assert_eq!(fields("cohere.command-r-v1:0"), r#"{"k":5}}"#);
    assert!(refused(&request, "meta.llama3-70b-instruct-v1:0").contains("`top_k`"));
}

fn thinking(effort: Effort, max_tokens: Option<u64>, name: &str) -> Result<String, FormatError> {
    let mut request = hello();
    request.reasoning = Some(Reasoning { effort: Some(effort), ..Reasoning::default() });
    request.sampling.max_output_tokens = max_tokens;
    written(&request, name)
}

#[test]
fn thinking_is_asked_for_as_the_family_wants_it() {
    let body = thinking(Effort::Medium, None, CLAUDE).unwrap();
    assert!(body.contains(r#""inferenceConfig":{"maxTokens":64000}"#), "{body}");
    assert!(body.contains(r#"Fields":{"thinking":{"type":"enabled","budget_tokens":8192}}"#), "{body}");
    let body = thinking(Effort::High, None, "us.anthropic.claude-opus-4-7").unwrap();
    assert!(body.contains(r#"{"thinking":{"type":"adaptive"}}"#) && !body.contains("maxTokens"), "{body}");
    assert!(body.contains(r#""outputConfig":{"effort":"high"}"#), "{body}");
    let body = thinking(Effort::Max, Some(9), "amazon.nova-2-lite-v1:0").unwrap();
    assert!(body.contains(r#"{"reasoningConfig":{"type":"enabled","maxReasoningEffort":"high"}}"#), "{body}");
    let body = thinking(Effort::Minimal, None, "openai.gpt-oss-20b-1:0").unwrap();
    assert!(body.contains(r#"{"reasoning_effort":"low"}"#), "{body}");
    let body = thinking(Effort::High, None, "openai.gpt-5.4").unwrap();
    assert!(body.contains(r#"{"reasoning":{"effort":"high"}}"#), "{body}");
    assert!(!body.contains("maxTokens"), "{body}");
    assert!(!thinking(Effort::Low, None, NOVA).unwrap().contains("easoning"));
}

#[test]
fn a_model_that_thinks_keeps_its_sampling() {
    let mut request = hello();
    request.reasoning = Some(Reasoning { budget_tokens: Some(2_000), ..Reasoning::default() });
    request.sampling.temperature = Some(0.2);
    assert!(refused(&request, CLAUDE).contains("`temperature`"));
    request.sampling.temperature = Some(1.0);
    assert!(!written(&request, CLAUDE).unwrap().contains("temperature"));
}

#[test]
fn a_nucleus_of_everything_is_left_out() {
    let mut request = hello();
    request.sampling.temperature = Some(0.7);
    request.sampling.top_p = Some(1.0);
    assert!(!written(&request, CLAUDE).unwrap().contains("topP"));
    request.sampling.top_p = Some(0.9);
    assert_eq!(named(&request, CLAUDE).1, ["top_p"]);
    assert!(written(&request, NOVA).unwrap().contains(r#""topP":0.9"#));
}

#[test]
fn temperatures_end_at_one() {
    let mut request = hello();
    request.sampling.temperature = Some(1.5);
    assert!(refused(&request, NOVA).contains("`temperature`"));
    let mut unmapped = Unmapped::new(OnUnmappable::Drop);
    let body = String::from_utf8(encode(&request, target(NOVA, ApiFormat::Bedrock), &mut unmapped).unwrap())
        .unwrap();
    assert!(body.contains(r#""temperature":1.0"#), "{body}");
    assert_eq!(unmapped.dropped(), ["temperature"]);
}

#[test]
fn only_claude_is_asked_which_stop_text_it_met() {
    let mut request = hello();
    request.sampling.stop = vec!["END".into()];
    assert!(written(&request, CLAUDE).unwrap().contains(r#"FieldPaths":["/stop_sequence"]"#));
    assert!(!written(&request, NOVA).unwrap().contains("/stop_sequence"));
}

fn with(part: Part<'static>) -> Request<'static> {
    Request { turns: vec![user(vec![part])], ..Request::default() }
}

#[test]
fn pictures_are_bytes_or_in_s3() {
    let picture = |kind: &'static str, source| {
        with(Part::Image(Image { media_type: kind.into(), source, detail: None, cache: None }))
    };
    let body = |kind, source| written(&picture(kind, source), NOVA);
    assert!(
        body("", Source::Base64("iVBORw0KGgoA".into()))
            .unwrap()
            .contains(r#"{"image":{"format":"png","source":{"bytes":"iVBORw0KGgoA"}}}"#)
    );
    assert!(
        body("image/jpg", Source::Url("data:x/y;base64,AA".into())).unwrap().contains(r#""format":"jpeg""#)
    );
    assert!(
        body("", Source::Url("s3://b/o.webp".into()))
            .unwrap()
            .contains(r#"{"format":"webp","source":{"s3Location":{"uri":"s3://b/o.webp"}}}"#)
    );
    for (kind, source) in
        [("image/png", Source::Url("https://x/y.png".into())), ("image/tiff", Source::Base64("AA".into()))]
    {
        let error = body(kind, source).unwrap_err();
        assert!(error.to_string().contains("image_url"), "{error}");
    }
}

#[test]
fn documents_have_formats_and_names() {
    let media = Media {
        media_type: Cow::Borrowed("text/plain; charset=utf-8"),
        source: Source::Base64("aGk=".into()),
        cache: Some(CacheMark::FiveMinutes),
    };
    let body = written(&with(Part::Document { media, name: Some("a.txt".into()) }), NOVA).unwrap();
    assert!(
        body.contains(concat!(
            r#"{"document":{"format":"txt","name":"a-txt","source":{"bytes":"aGk="}}},"#,
            r#"{"cachePoint":{"type":"default"}}"#
        )),
        "{body}"
    );
}

#[test]
fn thoughts_go_back_when_bedrock_signed_them() {
    let mut request = hello();
    let thought = |signature: Option<&'static str>, redacted: Option<&'static str>| Part::Reasoning {
        text: "hm".into(),
        signature: signature.map(Cow::Borrowed),
        redacted: redacted.map(Cow::Borrowed),
    };
    request.turns.push(model(vec![
        thought(Some("s"), None),
        thought(None, Some("AA==")),
        thought(None, None),
        Part::text("hi"),
    ]));
    assert!(written(&request, CLAUDE).unwrap().contains(concat!(
        r#"[{"reasoningContent":{"reasoningText":{"text":"hm","signature":"s"}}},"#,
        r#"{"reasoningContent":{"redactedContent":"AA=="}},{"text":"hi"}]"#
    )));
    assert!(!written(&request, NOVA).unwrap().contains("reasoningContent"));
}

#[test]
fn structured_results_and_labels_are_passed_as_json() {
    let json = serde_json::value::to_raw_value(&serde_json::json!({"a": 1})).unwrap();
    let list = serde_json::value::to_raw_value(&[1]).unwrap();
    let result = |json| {
        Part::ToolResult(ToolResult {
            call_id: "1".into(),
            parts: Vec::new(),
            json: Some(json),
            is_error: false,
            cache: None,
        })
    };
    let turns = vec![Turn { role: TurnRole::User, name: None, parts: vec![result(&json), result(&list)] }];
    let request = Request { turns, tools: vec![tool()], metadata: Some(&json), ..Request::default() };
    let body = written(&request, NOVA).unwrap();
    assert!(
        body.contains(r#""content":[{"json":{"a":1}}]"#) && body.contains(r#""content":[{"text":"[1]"}]"#)
    );
    assert!(body.contains(r#""requestMetadata":{"a":1}"#), "{body}");
}

proptest! {
    /// Whatever the order of turns and parts: JSON whose roles alternate, results before everything else.
    #[test]
    fn conversations_come_out_alternating(turns in conversations()) {
        let request = Request { turns, tools: vec![tool()], ..Request::default() };
        let Ok(body) = written(&request, CLAUDE) else { return Ok(()) };
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let messages = body["messages"].as_array().unwrap();
        for (place, message) in messages.iter().enumerate() {
            prop_assert_eq!(&message["role"], if place % 2 == 0 { "user" } else { "assistant" });
            let is_result: Vec<bool> =
                message["content"].as_array().unwrap().iter().map(|block| block.get("toolResult").is_some()).collect();
            prop_assert!(!is_result.is_empty() && is_result.is_sorted_by(|a, b| a >= b));
        }
    }
}

fn conversations() -> impl Strategy<Value = Vec<Turn<'static>>> {
    let part = prop_oneof![
        ".{0,4}".prop_map(Part::text),
        Just(call("1")),
        Just(result("1", None)),
        Just(Part::Reasoning { text: "hm".into(), signature: Some("s".into()), redacted: None }),
        Just(Part::Refusal("no".into())),
    ];
    let turn = (any::<bool>(), proptest::collection::vec(part, 0..4))
        .prop_map(|(is_user, parts)| if is_user { user(parts) } else { model(parts) });
    proptest::collection::vec(turn, 0..8)
}
