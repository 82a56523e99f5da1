//! Requests read: what has a place in the common view, what is kept by its path, what is wrong.

use serde_json::{Value, json};
use tollgate_families::ApiFormat;

use super::{decode, encode};
use crate::error::FormatError;
use crate::exchange::{OutputForm, Part, Request};
use crate::testing::target;
use crate::unmapped::{OnUnmappable, Unmapped};

fn read(body: &Value) -> Result<(Vec<String>, Value), FormatError> {
    let text = body.to_string();
    let request = decode(text.as_bytes())?;
    let extras = request.extras.iter().map(|extra| extra.name.clone().into_owned()).collect();
    let known = Request { extras: Vec::new(), ..request };
    let mut unmapped = Unmapped::new(OnUnmappable::Drop);
    let written = encode(&known, target("claude-sonnet-4-5", ApiFormat::Anthropic), &mut unmapped)?;
    Ok((extras, serde_json::from_slice(&written).unwrap()))
}

#[test]
fn a_request_of_every_part_is_written_as_it_was_read() {
    let body = json!({
        "model": "claude-sonnet-4-5", "max_tokens": 5000,
        "system": [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "messages": [
            {"role": "user", "content": [
                {"type": "image", "source": {"type": "file", "file_id": "file_1"},
                 "cache_control": {"type": "ephemeral"}},
                {"type": "document", "title": "T",
                 "source": {"type": "text", "media_type": "text/plain", "data": "plain é"}},
                {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}},
            ]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s1"},
                {"type": "redacted_thinking", "data": "xyz"},
                {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": [1, {"b": null}]}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "is_error": true, "content": [
                    {"type": "text", "text": "no"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}},
                ]},
                {"type": "text", "text": "try again", "cache_control": {"type": "ephemeral"}},
            ]},
        ],
        "tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"}, "strict": true,
                   "cache_control": {"type": "ephemeral"}}],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": true},
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "output_config": {"format": {"type": "json_schema", "schema": {"type": "object", "additionalProperties": false}}},
        "stop_sequences": ["END"], "stream": true, "metadata": {"user_id": "u1"}, "service_tier": "auto",
    });
    let (extras, again) = read(&body).unwrap();
    assert_eq!(again, body);
    assert_eq!(extras, [""; 0]);
}

#[test]
fn what_only_this_format_knows_is_kept_by_path() {
    let (extras, again) = read(&json!({
        "model": "m", "max_tokens": 10, "container": "c", "speed": "fast", "inference_geo": null,
        "messages": [
            {"role": "user", "content": [
                {"type": "search_result", "source": "https://example.com", "title": "t", "content": []},
                {"type": "text", "text": "x"},
            ]},
            {"role": "assistant", "content": [
                {"type": "text", "text": "y", "citations": null},
                {"type": "web_search_tool_result", "tool_use_id": "i", "content": {"type": "error"}},
            ]},
            {"role": "system", "content": "from now on in French"},
            {"role": "user", "content": "z"},
        ],
        "tools": [
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
            {"type": "custom", "name": "f", "input_schema": {}, "defer_loading": true,
             "allowed_callers": ["direct"]},
        ],
        "thinking": {"type": "between_tools"},
    }))
    .unwrap();
    assert_eq!(
        extras,
        [
            "container",
            "messages[0].content[0].type",
            "messages[1].content[1].type",
            "tools[0].type",
            "thinking.type",
        ]
    );
    assert_eq!(again["messages"][2]["role"], "system");
    assert_eq!(again["messages"][2]["content"], "from now on in French");
    assert_eq!(again.get("tools"), None);
}

#[test]
fn an_extra_is_refused_by_its_path() {
    let body = br#"{"messages":[{"role":"user","content":"x"}],"tools":[{"type":"web_search_20250305"}]}"#;
    let request = decode(body).unwrap();
    let claude = target("claude-sonnet-4-5", ApiFormat::Anthropic);
    let refused = encode(&request, claude, &mut Unmapped::new(OnUnmappable::Reject)).unwrap_err();
    assert!(matches!(refused, FormatError::Unsupported { param } if param == "tools[0].type"));
}

#[test]
fn faults_are_named_with_their_place() {
    let error = |body: &str| decode(body.as_bytes()).unwrap_err().to_string();
    assert!(error(r#"{"max_tokens":1}"#).contains("`messages`"));
    assert!(error(r#"{"messages":[{"role":"tool","content":"x"}]}"#).contains("messages[0].role"));
    assert_eq!(
        error(r#"{"messages":[{"role":"user","content":[{"type":"text"}]}]}"#),
        "`messages[0].content[0].text` is missing"
    );
    assert_eq!(
        error(
            r#"{"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"text"}]}]}]}"#
        ),
        "`messages[0].content[0].content[0].text` is missing"
    );
    assert!(error(r#"{"messages":[{"role":"user","content":5}]}"#).contains("a text or a list"));
    assert!(error(r#"{"messages":[],"max_tokens":"many"}"#).contains("a whole number"));
}

#[test]
fn ten_thousand_messages_and_deep_arguments_are_read() {
    let many: Vec<Value> = (0..10_000).map(|_| json!({"role": "user", "content": "x"})).collect();
    let body = json!({"messages": many}).to_string();
    assert_eq!(decode(body.as_bytes()).unwrap().turns.len(), 10_000);
    let deep = format!(
        r#"{{"messages":[{{"role":"assistant","content":[{{"type":"tool_use","id":"t","name":"f","input":{{"a":{}{}}}}}]}}]}}"#,
        "[".repeat(1_000),
        "]".repeat(1_000)
    );
    let request = decode(deep.as_bytes()).unwrap();
    assert!(matches!(&request.turns[0].parts[0], Part::ToolCall(call) if call.arguments.len() > 2_000));
}

#[test]
fn tools_that_were_put_off_are_there_once_they_are_referred_to_or_called() {
    let body = |blocks: &str| {
        format!(
            r#"{{"messages":[{{"role":"user","content":"x"}},{blocks}],"tools":[
                {{"name":"a","defer_loading":true}},{{"name":"b","defer_loading":true}},{{"name":"c","defer_loading":false}}]}}"#
        )
    };
    let names = |text: &str| {
        let request = decode(text.as_bytes()).unwrap();
        request.tools.iter().map(|tool| tool.name.to_string()).collect::<Vec<_>>()
    };
    let referring = body(
        r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"tool_reference","tool_name":"a"}]}]}"#,
    );
    assert_eq!(names(&referring), ["a", "c"]);
    let request = decode(referring.as_bytes()).unwrap();
    let Part::ToolResult(result) = &request.turns[1].parts[0] else { panic!("no result") };
    assert!(matches!(&result.parts[..], [Part::Text { text, .. }] if text == "a"));
    assert_eq!(request.hints, ["tools[].defer_loading"]);
    let calling =
        body(r#"{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"b","input":{}}]}"#);
    assert_eq!(names(&calling), ["b", "c"]);
}

#[test]
fn whole_numbers_may_be_written_as_fractions_and_a_schema_may_be_absent() {
    let body =
        br#"{"messages":[],"max_tokens":100.0,"top_k":5.0,"thinking":{"type":"enabled","budget_tokens":2e3},
        "output_config":{"format":{"type":"json_schema"}}}"#;
    let request = decode(body).unwrap();
    assert_eq!((request.sampling.max_output_tokens, request.sampling.top_k), (Some(100), Some(5)));
    assert_eq!(request.reasoning.unwrap().budget_tokens, Some(2_000));
    assert!(matches!(request.output, OutputForm::JsonObject));
    assert!(decode(br#"{"messages":[],"max_tokens":1.5}"#).is_err());
}

#[test]
fn what_changes_only_how_a_conversation_is_kept_is_a_hint() {
    let body = br#"{"messages":[],"cache_control":{"type":"ephemeral"},"context_management":{"edits":[]},
        "output_config":{"task_budget":{}},"tools":[{"name":"a","input_examples":[]},{"name":"b","input_examples":[]}]}"#;
    let request = decode(body).unwrap();
    assert!(request.extras.is_empty());
    assert_eq!(
        request.hints,
        ["cache_control", "context_management", "tools[].input_examples", "output_config.task_budget"]
    );
}
