//! Requests written, and what is refused on the way.

use serde_json::{Value, json};

use super::encode;
use tollgate_families::ApiFormat;

use crate::error::FormatError;
use crate::exchange::{
    CacheMark, Effort, Image, Media, OutputForm, Part, Reasoning, Request, Source, SystemText, Tool,
    ToolCall, ToolChoice, ToolResult, Turn, TurnRole,
};
use crate::testing::target;
use crate::unmapped::{OnUnmappable, Unmapped};

fn written(request: &Request<'_>) -> Value {
    let mut unmapped = Unmapped::new(OnUnmappable::Reject);
    serde_json::from_slice(
        &encode(request, target("claude-sonnet-4-5", ApiFormat::Anthropic), &mut unmapped).unwrap(),
    )
    .unwrap()
}

fn refused(request: &Request<'_>) -> String {
    let mut unmapped = Unmapped::new(OnUnmappable::Reject);
    match encode(request, target("claude-sonnet-4-5", ApiFormat::Anthropic), &mut unmapped).unwrap_err() {
        FormatError::Unsupported { param } => param.into_owned(),
        other => other.to_string(),
    }
}

/// What is written when the policy is to leave out, and what was left out.
fn without(request: &Request<'_>) -> (Value, Vec<String>) {
    named(request, OnUnmappable::Drop)
}

/// The same when the policy is to refuse.
fn kept(request: &Request<'_>) -> (Value, Vec<String>) {
    named(request, OnUnmappable::Reject)
}

fn named(request: &Request<'_>, policy: OnUnmappable) -> (Value, Vec<String>) {
    let mut unmapped = Unmapped::new(policy);
    let body = encode(request, target("claude-sonnet-4-5", ApiFormat::Anthropic), &mut unmapped).unwrap();
    let dropped = unmapped.dropped().iter().map(|name| name.clone().into_owned()).collect();
    (serde_json::from_slice(&body).unwrap(), dropped)
}

fn turn(role: TurnRole, parts: Vec<Part<'_>>) -> Turn<'_> {
    Turn { role, name: None, parts }
}

fn asking<'a>(parts: Vec<Part<'a>>) -> Request<'a> {
    Request { turns: vec![turn(TurnRole::User, parts)], ..Request::default() }
}

fn hello() -> Request<'static> {
    asking(vec![Part::text("hello")])
}

fn call(id: &'static str, arguments: &'static str) -> Part<'static> {
    Part::ToolCall(ToolCall { id: id.into(), name: "f".into(), arguments: arguments.into() })
}

fn result(id: &'static str, text: &'static str) -> Part<'static> {
    Part::ToolResult(ToolResult {
        call_id: id.into(),
        parts: vec![Part::text(text)],
        json: None,
        is_error: false,
        cache: None,
    })
}

#[test]
fn what_the_format_demands_is_there_even_if_the_client_said_nothing() {
    assert_eq!(
        written(&hello()),
        json!({"model": "claude-sonnet-4-5", "max_tokens": 64000, "messages": [{"role": "user", "content": "hello"}]})
    );
}

#[test]
fn turns_of_one_side_are_joined_and_results_of_tools_come_first() {
    let request = Request {
        turns: vec![
            turn(TurnRole::User, vec![Part::text("a")]),
            turn(TurnRole::User, vec![Part::text("b")]),
            turn(TurnRole::Assistant, vec![Part::text("")]),
            turn(TurnRole::Assistant, vec![call("c1", r#"{"x":1}"#), call("c2", "")]),
            turn(TurnRole::User, vec![Part::text("and?")]),
            turn(TurnRole::User, vec![result("c1", "one")]),
            turn(TurnRole::User, vec![result("c2", "two")]),
        ],
        ..Request::default()
    };
    assert_eq!(
        written(&request)["messages"],
        json!([
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "c1", "name": "f", "input": {"x": 1}},
                {"type": "tool_use", "id": "c2", "name": "f", "input": {}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "one"},
                {"type": "tool_result", "tool_use_id": "c2", "content": "two"},
                {"type": "text", "text": "and?"},
            ]},
        ])
    );
}

#[test]
fn a_conversation_that_the_user_does_not_begin_gets_an_opening() {
    let mut request =
        Request { turns: vec![turn(TurnRole::Assistant, vec![Part::text("hi")])], ..Request::default() };
    assert_eq!(
        written(&request)["messages"],
        json!([{"role": "user", "content": "Begin."}, {"role": "assistant", "content": "hi"}])
    );
    request.turns.clear();
    assert!(refused(&request).contains("at least one message"));
    request.system = vec![SystemText { text: "Write a poem".into(), cache: None }];
    assert_eq!(written(&request)["messages"], json!([{"role": "user", "content": "Begin."}]));
}

#[test]
fn pictures_and_documents_find_their_sources() {
    let image = |media_type: &'static str, source| {
        Part::Image(Image { media_type: media_type.into(), source, detail: None, cache: None })
    };
    let document = |media_type: &'static str, source| Part::Document {
        media: Media { media_type: media_type.into(), source, cache: Some(CacheMark::OneHour) },
        name: Some("n".into()),
    };
    let request = asking(vec![
        image("image/jpg", Source::Base64("/9j/".into())),
        image("", Source::Base64("R0lGOD".into())),
        image("", Source::Url("data:image/webp;base64,UklGRg".into())),
        image("", Source::Url("https://example.com/a.png".into())),
        document("application/pdf", Source::Base64("JVBERi0=".into())),
        document("text/plain", Source::Base64("aGk=".into())),
    ]);
    let content = &written(&request)["messages"][0]["content"];
    let sources: Vec<&Value> = content.as_array().unwrap().iter().map(|block| &block["source"]).collect();
    assert_eq!(
        json!(sources),
        json!([
            {"type": "base64", "media_type": "image/jpeg", "data": "/9j/"},
            {"type": "base64", "media_type": "image/gif", "data": "R0lGOD"},
            {"type": "base64", "media_type": "image/webp", "data": "UklGRg"},
            {"type": "url", "url": "https://example.com/a.png"},
            {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
            {"type": "text", "media_type": "text/plain", "data": "hi"},
        ])
    );
    assert_eq!(content[5]["cache_control"], json!({"type": "ephemeral", "ttl": "1h"}));
}

#[test]
fn what_has_no_place_is_refused_by_name() {
    let with = |change: &dyn Fn(&mut Request<'static>)| {
        let mut request = hello();
        change(&mut request);
        request
    };
    let cases: [(&str, Request<'_>); 6] = [
        ("seed", with(&|request| request.sampling.seed = Some(1))),
        ("n", with(&|request| request.sampling.choices = Some(2))),
        ("frequency_penalty", with(&|request| request.sampling.frequency_penalty = Some(0.1))),
        ("presence_penalty", with(&|request| request.sampling.presence_penalty = Some(-1.0))),
        ("logprobs", with(&|request| request.sampling.top_logprobs = Some(0))),
        ("temperature", with(&|request| request.sampling.temperature = Some(1.5))),
    ];
    for (param, request) in cases {
        assert_eq!(refused(&request), param);
        let (body, dropped) = without(&request);
        assert_eq!(dropped, [param]);
        assert_eq!(body["messages"][0]["content"], "hello");
    }
    let harmless = with(&|request| {
        request.sampling.choices = Some(1);
        request.sampling.frequency_penalty = Some(0.0);
        request.sampling.temperature = Some(1.0);
    });
    assert_eq!(written(&harmless)["temperature"], 1.0);
}

#[test]
fn what_does_not_change_the_answer_is_left_out_and_named_whatever_the_policy() {
    let labels = serde_json::value::RawValue::from_string(r#"{"a":"b"}"#.to_owned()).unwrap();
    type Change = dyn Fn(&mut Request<'_>);
    let cases: [(&str, &Change); 5] = [
        ("response_format", &|request| request.output = OutputForm::JsonObject),
        ("service_tier", &|request| request.service_tier = Some("flex".into())),
        ("messages[].name", &|request| request.turns[0].name = Some("ann".into())),
        ("user", &|request| request.end_user = Some("u".repeat(300).into())),
        ("max_tokens", &|request| request.sampling.max_output_tokens = Some(99_999)),
    ];
    for (name, change) in cases {
        let mut request = hello();
        change(&mut request);
        assert_eq!(kept(&request).1, [name]);
    }
    let mut request = hello();
    request.metadata = Some(&labels);
    let (body, dropped) = kept(&request);
    assert_eq!((body.get("metadata"), dropped), (None, vec!["metadata".to_owned()]));
}

#[test]
fn a_nucleus_of_everything_is_left_out_beside_a_temperature() {
    let mut request = hello();
    request.sampling.temperature = Some(0.7);
    request.sampling.top_p = Some(1.0);
    assert_eq!(written(&request).get("top_p"), None);
    request.sampling.top_p = Some(0.9);
    assert_eq!(kept(&request).1, ["top_p"]);
    request.sampling.temperature = None;
    assert_eq!(written(&request)["top_p"], 0.9);
}

#[test]
fn a_temperature_that_may_be_changed_becomes_the_highest() {
    let mut request = hello();
    request.sampling.temperature = Some(1.5);
    assert_eq!(without(&request).0["temperature"], 1.0);
}

#[test]
fn a_medium_without_place_is_refused_or_left_out_also_within_results() {
    let audio = || {
        Part::Audio(Media {
            media_type: "audio/wav".into(),
            source: Source::Base64("UklGRg".into()),
            cache: None,
        })
    };
    let plain = asking(vec![audio(), Part::text("hear")]);
    assert_eq!(refused(&plain), "messages[].content[].input_audio");
    assert_eq!(without(&plain).0["messages"][0]["content"], "hear");
    let within = asking(vec![Part::ToolResult(ToolResult {
        call_id: "c".into(),
        parts: vec![audio()],
        json: None,
        is_error: true,
        cache: None,
    })]);
    assert_eq!(refused(&within), "messages[].content[].input_audio");
    assert_eq!(
        without(&within).0["messages"][0]["content"],
        json!([{"type": "tool_result", "tool_use_id": "c", "is_error": true}])
    );
}

#[test]
fn tools_and_their_choice_are_written_as_the_format_says() {
    let schema = serde_json::value::RawValue::from_string(r#"{"type":"object"}"#.to_owned()).unwrap();
    let mut request = hello();
    let tool = |name: &'static str, strict| Tool {
        name: name.into(),
        description: None,
        parameters: (name == "f").then_some(&*schema),
        strict,
        ..Tool::default()
    };
    request.tools = vec![tool("f", Some(true)), tool("g", Some(false))];
    request.parallel_tool_calls = Some(false);
    let body = written(&request);
    assert_eq!(
        body["tools"],
        json!([
            {"name": "f", "input_schema": {"type": "object"}, "strict": true},
            {"name": "g", "input_schema": {"type": "object", "properties": {}}},
        ])
    );
    assert_eq!(body["tool_choice"], json!({"type": "auto", "disable_parallel_tool_use": true}));
    for (choice, expected) in [
        (ToolChoice::Required, json!({"type": "any", "disable_parallel_tool_use": true})),
        (ToolChoice::None, json!({"type": "none"})),
        (
            ToolChoice::Named("f".into()),
            json!({"type": "tool", "name": "f", "disable_parallel_tool_use": true}),
        ),
    ] {
        request.tool_choice = Some(choice);
        assert_eq!(written(&request)["tool_choice"], expected);
    }
    request.tools[0].name = "a.b".into();
    assert!(refused(&request).contains("`a.b`"));
}

#[test]
fn a_schema_is_demanded_natively() {
    let schema = serde_json::value::RawValue::from_string(r#"{"type":"object"}"#.to_owned()).unwrap();
    let mut request = hello();
    request.output =
        OutputForm::JsonSchema { name: "n".into(), description: None, schema: &schema, strict: Some(true) };
    assert_eq!(
        written(&request)["output_config"],
        json!({"format": {"type": "json_schema", "schema": {"type": "object", "additionalProperties": false}}})
    );
}

#[test]
fn a_model_that_thinks_wants_its_sampling_and_choices_free() {
    let mut request = hello();
    request.reasoning = Some(Reasoning { effort: Some(Effort::Low), ..Reasoning::default() });
    let body = written(&request);
    assert_eq!(body["thinking"], json!({"type": "enabled", "budget_tokens": 2048}));
    assert_eq!(body["max_tokens"], 64000);

    request.sampling.temperature = Some(0.2);
    assert_eq!(refused(&request), "temperature");
    assert_eq!(without(&request).0.get("temperature"), None);

    request.sampling.temperature = None;
    request.tool_choice = Some(ToolChoice::Required);
    let (body, dropped) = kept(&request);
    assert_eq!((body.get("thinking"), dropped), (None, vec!["reasoning_effort".to_owned()]));
}

#[test]
fn newer_models_think_adaptively() {
    let mut request = hello();
    request.reasoning =
        Some(Reasoning { effort: Some(Effort::Max), show: Some(true), ..Reasoning::default() });
    let body =
        encode(&request, target("claude-opus-4-7", ApiFormat::Anthropic), &mut Unmapped::default()).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["thinking"], json!({"type": "adaptive", "display": "summarized"}));
    assert_eq!(body["output_config"], json!({"effort": "max"}));
}

#[test]
fn thinking_in_the_midst_of_tools_needs_the_earlier_thoughts() {
    let signed = Part::Reasoning { text: "hm".into(), signature: Some("sig".into()), redacted: None };
    let unsigned = Part::Reasoning { text: "hm".into(), signature: None, redacted: None };
    let with = |thoughts: Part<'static>| Request {
        turns: vec![
            turn(TurnRole::User, vec![Part::text("go")]),
            turn(TurnRole::Assistant, vec![thoughts, call("c", "{}")]),
            turn(TurnRole::User, vec![result("c", "done")]),
        ],
        reasoning: Some(Reasoning { effort: Some(Effort::Low), ..Reasoning::default() }),
        ..Request::default()
    };
    let (body, dropped) = kept(&with(unsigned));
    assert_eq!((body.get("thinking"), &body["max_tokens"]), (None, &json!(64000)));
    assert_eq!(dropped, ["reasoning_effort"]);
    let body = written(&with(signed));
    assert_eq!(
        body["messages"][1]["content"][0],
        json!({"type": "thinking", "thinking": "hm", "signature": "sig"})
    );
}

#[test]
fn instructions_are_kept_apart_without_empty_ones() {
    let text = |text: &'static str| SystemText { text: text.into(), cache: None };
    let mut request = hello();
    request.system = vec![text("a"), text(""), text("b")];
    assert_eq!(
        written(&request)["system"],
        json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])
    );
}
