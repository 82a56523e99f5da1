//! What a backend is sent: thoughts, bounds, what has no place.

use tollgate_families::ApiFormat;

use super::*;
use crate::exchange::{Part, Sampling, ToolCall, Turn, TurnRole};
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
