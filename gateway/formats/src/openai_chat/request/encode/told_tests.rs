//! What has no field of its own here: failures of tools, thinking that is up to the model, whether thoughts are shown.

use serde_json::{Value, json};
use tollgate_families::ApiFormat;

use super::*;
use crate::exchange::{CacheMark, Part, Reasoning, ToolResult, Turn, TurnRole};
use crate::testing::target;
use crate::unmapped::OnUnmappable;

fn sent(model: &str, request: &Request<'_>) -> (Value, String) {
    let mut unmapped = Unmapped::new(OnUnmappable::Reject);
    let body = encode(request, target(model, ApiFormat::OpenAi), &mut unmapped).unwrap();
    (serde_json::from_slice(&body).unwrap(), unmapped.dropped().join(" "))
}

fn thinking(model: &str, reasoning: Reasoning) -> (Value, String) {
    let turns = vec![Turn { role: TurnRole::User, name: None, parts: vec![Part::text("hi")] }];
    let (body, named) = sent(model, &Request { turns, reasoning: Some(reasoning), ..Request::default() });
    let told = ["reasoning_effort", "thinking", "enable_thinking", "thinking_budget"];
    let told = told.into_iter().filter_map(|name| Some((name.to_owned(), body.get(name)?.clone())));
    (Value::Object(told.collect()), named)
}

#[test]
fn the_text_of_a_result_says_that_the_tool_failed() {
    let result = |parts, cache| {
        Part::ToolResult(ToolResult { call_id: "c".into(), parts, json: None, is_error: true, cache })
    };
    let parts = vec![
        result(vec![Part::text("no such file")], None),
        result(vec![Part::text("Error: no such file")], None),
        result(Vec::new(), None),
        result(vec![Part::text("a"), Part::text("b")], Some(CacheMark::FiveMinutes)),
    ];
    let turns = vec![Turn { role: TurnRole::User, name: None, parts }];
    let (body, _) = sent("gpt-4.1", &Request { turns, ..Request::default() });
    let said: Vec<&Value> =
        body["messages"].as_array().unwrap().iter().map(|message| &message["content"]).collect();
    assert_eq!(said[..3], [&json!("Error: no such file"), &json!("Error: no such file"), &json!("Error")]);
    assert_eq!(said[3], &json!([{"type": "text", "text": "Error: a"}, {"type": "text", "text": "b"}]));
}

#[test]
fn how_much_a_model_thinks_is_left_to_it_and_told_only_if_it_would_not_think() {
    let adapts = Reasoning { adapts: true, ..Reasoning::default() };
    for (model, told, named) in [
        ("gpt-5", json!({}), ""),
        ("gpt-5.1", json!({"reasoning_effort": "medium"}), ""),
        ("deepseek-v4-flash", json!({}), ""),
        ("gpt-4.1", json!({}), "reasoning_effort"),
        ("some-model", json!({}), "reasoning_effort"),
    ] {
        assert_eq!(thinking(model, adapts), (told, named.to_owned()), "{model}");
    }
    let low = Reasoning { effort: Some(tollgate_families::Effort::Low), ..adapts };
    assert_eq!(thinking("gpt-5", low).0, json!({"reasoning_effort": "low"}));
}

#[test]
fn whether_thoughts_are_shown_is_named_where_the_model_does_otherwise() {
    let wish = |show| Reasoning {
        adapts: true,
        show: Some(show),
        show_param: Some("reasoning.summary"),
        ..Reasoning::default()
    };
    assert_eq!(thinking("gpt-5", wish(true)).1, "reasoning.summary");
    assert_eq!(thinking("gpt-5", wish(false)).1, "");
    assert_eq!(thinking("deepseek-v4-flash", wish(true)).1, "");
    assert_eq!(thinking("deepseek-v4-flash", wish(false)).1, "reasoning.summary");
}

#[test]
fn betas_of_another_api_are_named() {
    let turns = vec![Turn { role: TurnRole::User, name: None, parts: vec![Part::text("hi")] }];
    let request = Request { turns, betas: vec!["context-1m-2025-08-07".into()], ..Request::default() };
    assert_eq!(sent("gpt-4.1", &request).1, "anthropic-beta");
}
