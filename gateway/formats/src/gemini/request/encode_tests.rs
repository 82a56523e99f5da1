//! What the golden files do not show: rules about single fields, and what is refused.

use std::borrow::Cow;

use proptest::prelude::*;

use super::*;
use tollgate_families::ApiFormat;

use crate::adapt::adapt;
use crate::exchange::{
    Effort, Image, Part, Reasoning, Source, SystemText, ToolCall, ToolResult, Turn, TurnRole,
};
use crate::testing::target;
use crate::unmapped::OnUnmappable;

fn user(parts: Vec<Part<'static>>) -> Turn<'static> {
    Turn { role: TurnRole::User, name: None, parts }
}

fn model(parts: Vec<Part<'static>>) -> Turn<'static> {
    Turn { role: TurnRole::Assistant, name: None, parts }
}

fn call(id: &'static str, name: &'static str) -> Part<'static> {
    Part::ToolCall(ToolCall { id: id.into(), name: name.into(), arguments: "{}".into() })
}

fn result(call_id: &'static str, text: &'static str) -> Part<'static> {
    Part::ToolResult(ToolResult {
        call_id: call_id.into(),
        parts: vec![Part::text(text)],
        json: None,
        is_error: false,
        cache: None,
    })
}

fn thought(text: &'static str, signature: Option<&'static str>) -> Part<'static> {
    Part::Reasoning { text: text.into(), signature: signature.map(Cow::Borrowed), redacted: None }
}

fn written(request: &Request<'_>, name: &str) -> Result<String, FormatError> {
    let body = encode(request, target(name, ApiFormat::Gemini), &mut Unmapped::new(OnUnmappable::Reject))?;
    Ok(String::from_utf8(body).unwrap())
}

fn conversation(turns: Vec<Turn<'static>>, name: &str) -> String {
    written(&Request { turns, ..Request::default() }, name).unwrap()
}

#[test]
fn results_of_tools_name_the_function_of_the_latest_call_with_their_id() {
    let turns = vec![
        user(vec![Part::text("a")]),
        model(vec![call("1", "old")]),
        user(vec![result("1", "x")]),
        model(vec![call("1", "new")]),
        user(vec![result("1", "{\"y\": 2}"), Part::text("and?")]),
    ];
    let body = conversation(turns, "gemini-2.5-flash");
    assert!(
        body.contains(r#"{"functionResponse":{"id":"1","name":"old","response":{"output":"x"}}}"#),
        "{body}"
    );
    assert!(body.ends_with(
        r#"{"functionResponse":{"id":"1","name":"new","response":{"y": 2}}},{"text":"and?"}]}]}"#
    ));
}

#[test]
fn a_result_without_its_call_is_refused() {
    let request = Request { turns: vec![user(vec![result("7", "x")])], ..Request::default() };
    assert!(written(&request, "gemini-2.5-flash").unwrap_err().to_string().contains("`7`"));
}

#[test]
fn proofs_go_back_to_the_part_they_came_with() {
    let turns = vec![
        user(vec![Part::text("a")]),
        model(vec![thought("hm", Some("s1")), call("1", "f"), call("2", "g")]),
        user(vec![result("2", "x"), result("1", "y")]),
        model(vec![Part::text("done"), thought("", Some("s2"))]),
    ];
    let body = conversation(turns, "gemini-3-pro-preview");
    assert!(body.contains(concat!(
        r#"[{"thought":true,"text":"hm"},{"functionCall":{"id":"1","name":"f","args":{}},"thoughtSignature":"s1"},"#,
        r#"{"functionCall":{"id":"2","name":"g","args":{}}}]"#
    )), "{body}");
    assert!(body.ends_with(r#"[{"text":"done"},{"text":"","thoughtSignature":"s2"}]}]}"#), "{body}");
}

#[test]
fn a_proof_that_was_moved_before_the_text_still_finds_its_call() {
    let turns = vec![
        user(vec![Part::text("a")]),
        model(vec![thought("", Some("s1")), Part::text("looking"), call("1", "f")]),
    ];
    let body = conversation(turns, "gemini-3-pro-preview");
    assert!(body.contains(
        r#"[{"text":"looking"},{"functionCall":{"id":"1","name":"f","args":{}},"thoughtSignature":"s1"}]"#
    ));
}

#[test]
fn thoughts_without_a_proof_are_left_out_and_newer_models_are_told_so() {
    let turns = || vec![user(vec![Part::text("a")]), model(vec![thought("x", None), call("1", "f")])];
    assert!(
        conversation(turns(), "gemini-2.5-pro")
            .ends_with(r#"{"role":"model","parts":[{"functionCall":{"id":"1","name":"f","args":{}}}]}]}"#)
    );
    assert!(
        conversation(turns(), "gemini-3-pro-preview")
            .ends_with(r#""args":{}},"thoughtSignature":"skip_thought_signature_validator"}]}]}"#)
    );
}

#[test]
fn turns_of_one_side_are_joined_and_empty_ones_left_out() {
    let turns = vec![
        user(vec![Part::text("a")]),
        user(vec![Part::text("b")]),
        model(vec![Part::text("")]),
        user(vec![Part::text("c")]),
    ];
    assert_eq!(
        conversation(turns, "gemini-2.5-flash"),
        r#"{"contents":[{"role":"user","parts":[{"text":"a"},{"text":"b"},{"text":"c"}]}]}"#
    );
    assert!(written(&Request::default(), "gemini-2.5-flash").is_err());
}

fn picture(source: Source<'static>) -> Turn<'static> {
    user(vec![Part::Image(Image { media_type: "".into(), source, detail: None, cache: None })])
}

#[test]
fn pictures_are_sent_or_fetched() {
    let body = |source| conversation(vec![picture(source)], "gemini-2.5-flash");
    assert!(
        body(Source::Base64("/9j/4AA".into()))
            .contains(r#"{"inlineData":{"mimeType":"image/jpeg","data":"/9j/4AA"}}"#)
    );
    assert!(
        body(Source::Url("data:image/webp;base64,UklG".into()))
            .contains(r#"{"mimeType":"image/webp","data":"UklG"}"#)
    );
    let by_address = |model| {
        let url = Source::Url("https://x/y.PNG?z=1".into());
        written(&Request { turns: vec![picture(url)], ..Request::default() }, model)
    };
    assert!(
        by_address("gemini-4-argon")
            .unwrap()
            .contains(r#"{"fileData":{"mimeType":"image/png","fileUri":"https://x/y.PNG?z=1"}}"#)
    );
    assert!(matches!(by_address("gemini-2.5-flash"), Err(FormatError::Unsupported { .. })));
    assert!(body(Source::Url("https://youtu.be/x".into())).contains("youtu.be"));
    assert!(body(Source::File("gs://b/o".into())).contains(r#"{"fileData":{"fileUri":"gs://b/o"}}"#));
    let unknown = Request { turns: vec![picture(Source::File("file-abc".into()))], ..Request::default() };
    assert!(matches!(written(&unknown, "m"), Err(FormatError::Unsupported { .. })));
}

#[test]
fn what_has_no_place_is_refused_or_named() {
    let mut request = Request { turns: vec![user(vec![Part::text("a")])], ..Request::default() };
    request.sampling.seed = Some(i64::MAX);
    request.sampling.choices = Some(2);
    request.reasoning = Some(Reasoning { effort: Some(Effort::None), ..Reasoning::default() });
    request.service_tier = Some("scale".into());
    assert!(matches!(written(&request, "gemini-3-pro"), Err(FormatError::Unsupported { .. })));
    let mut unmapped = Unmapped::new(OnUnmappable::Drop);
    encode(&request, target("gemini-3-pro", ApiFormat::Gemini), &mut unmapped).unwrap();
    assert_eq!(unmapped.dropped(), ["n", "reasoning_effort", "seed", "service_tier"]);
}

#[test]
fn strict_tools_are_validated_and_choices_have_modes() {
    let tool =
        |strict| Tool { name: "f".into(), description: None, parameters: None, strict, ..Tool::default() };
    let mode = |strict, choice| {
        let request = Request {
            turns: vec![user(vec![Part::text("a")])],
            tools: vec![tool(strict)],
            tool_choice: choice,
            ..Request::default()
        };
        let body = written(&request, "gemini-2.5-flash").unwrap();
        body.split_once(r#""functionCallingConfig":"#).map(|(_, config)| config.to_owned())
    };
    assert_eq!(mode(None, None), None);
    assert_eq!(mode(Some(true), None).unwrap(), r#"{"mode":"VALIDATED"}}}"#);
    assert_eq!(mode(Some(true), Some(ToolChoice::Required)).unwrap(), r#"{"mode":"ANY"}}}"#);
    assert_eq!(mode(None, Some(ToolChoice::None)).unwrap(), r#"{"mode":"NONE"}}}"#);
    assert_eq!(
        mode(None, Some(ToolChoice::Named("f".into()))).unwrap(),
        r#"{"mode":"ANY","allowedFunctionNames":["f"]}}}"#
    );
}

proptest! {
    /// Whatever the order of turns and parts: JSON whose roles alternate, results before everything else, and
    /// the first call of each step with a proof.
    #[test]
    fn conversations_come_out_alternating(turns in conversations()) {
        let request = Request { turns, ..Request::default() };
        let Ok(body) = written(&request, "gemini-3-pro") else { return Ok(()) };
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let mut before = None;
        for content in body["contents"].as_array().unwrap() {
            prop_assert_ne!(before, Some(&content["role"]));
            before = Some(&content["role"]);
            let parts = content["parts"].as_array().unwrap();
            let is_result: Vec<bool> = parts.iter().map(|part| part.get("functionResponse").is_some()).collect();
            prop_assert!(!is_result.is_empty() && is_result.is_sorted_by(|a, b| a >= b));
            let first_call = parts.iter().find(|part| part.get("functionCall").is_some());
            prop_assert!(first_call.is_none_or(|call| call.get("thoughtSignature").is_some()));
        }
    }
}

fn conversations() -> impl Strategy<Value = Vec<Turn<'static>>> {
    let part = prop_oneof![
        ".{0,4}".prop_map(Part::text),
        Just(call("1", "f")),
        Just(result("1", "x")),
        Just(thought("hm", Some("s"))),
        Just(thought("", Some("t"))),
        Just(thought("hm", None)),
    ];
    let turn = (any::<bool>(), proptest::collection::vec(part, 0..4))
        .prop_map(|(is_user, parts)| if is_user { user(parts) } else { model(parts) });
    proptest::collection::vec(turn, 0..8)
}

/// One step of a conversation: what the model said, what its tools gave, what the user says next.
fn step() -> impl Strategy<Value = Vec<Turn<'static>>> {
    let thoughts = prop_oneof![Just(None), Just(Some(None)), Just(Some(Some("tg1.test.s")))];
    (thoughts, "[a-z]{0,4}", any::<bool>(), any::<bool>(), "[a-z]{1,4}").prop_map(
        |(thoughts, said, calls, has_note, next)| {
            let mut parts: Vec<Part<'static>> =
                thoughts.map(|proof| thought("hm", proof)).into_iter().collect();
            parts.push(Part::text(format!("{said}.")));
            let mut turns = Vec::new();
            if calls {
                parts.extend([call("1", "f"), call("2", "g")]);
            }
            turns.push(model(parts));
            if calls {
                turns.extend([user(vec![result("1", "x")]), user(vec![result("2", "y")])]);
            }
            if has_note {
                turns.push(Turn { role: TurnRole::System, ..user(vec![Part::text("90000 left")]) });
            }
            turns.push(user(vec![Part::text(next)]));
            turns
        },
    )
}

proptest! {
    /// What the provider's prompt cache goes by.
    #[test]
    fn a_prompt_begins_as_it_did_a_turn_ago(
        steps in proptest::collection::vec(step(), 1..5),
        name in prop_oneof![Just("gemini-2.5-flash"), Just("gemini-3-pro-preview"), Just("gemma-3-27b-it")],
    ) {
        let mut turns = vec![user(vec![Part::text("go")])];
        let mut before: Option<String> = None;
        for step in steps {
            turns.extend(step);
            let system = vec![SystemText { text: "Be brief.".into(), cache: None }];
            let mut request = Request { system, turns: turns.clone(), ..Request::default() };
            let target = target(name, ApiFormat::Gemini);
            adapt(&mut request, target, PLACE);
            let body = encode(&request, target, &mut Unmapped::new(OnUnmappable::Reject)).unwrap();
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            let mut now = format!("{}{}", body["systemInstruction"], body["contents"]);
            now.pop();
            prop_assert!(before.is_none_or(|before| now.starts_with(&before)), "{}", now);
            before = Some(now);
        }
    }
}
