//! Messages read and written.

use serde_json::{Value, json};

use super::*;

fn shown() -> AnswerHead {
    AnswerHead { id: "msg_1".into(), model: "chat".into(), ..AnswerHead::default() }
}

fn again(body: &Value) -> Value {
    let text = body.to_string();
    serde_json::from_slice(&encode(&decode(text.as_bytes()).unwrap(), &shown())).unwrap()
}

#[test]
fn an_answer_of_every_part_is_written_as_it_was_read() {
    let body = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "chat",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "redacted_thinking", "data": "xyz"},
            {"type": "text", "text": "Let me look."},
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
        ],
        "stop_reason": "tool_use", "stop_sequence": null,
        "usage": {
            "input_tokens": 10, "cache_creation_input_tokens": 7, "cache_read_input_tokens": 5,
            "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4},
            "output_tokens": 30, "output_tokens_details": {"thinking_tokens": 12}, "service_tier": "priority",
        },
    });
    assert_eq!(again(&body), body);
}

#[test]
fn every_stop_reason_is_understood() {
    let stop = |name: &str| {
        let body = json!({"content": [], "stop_reason": name}).to_string();
        decode(body.as_bytes()).unwrap().stop
    };
    for (name, expected) in [
        ("end_turn", Stop::End),
        ("max_tokens", Stop::Length),
        ("model_context_window_exceeded", Stop::Length),
        ("stop_sequence", Stop::StopSequence),
        ("tool_use", Stop::ToolUse),
        ("pause_turn", Stop::Pause),
        ("refusal", Stop::Refusal),
        ("later_invention", Stop::Other),
    ] {
        assert_eq!(stop(name), expected, "{name}");
    }
    assert_eq!(stop_name(Stop::ContentFilter, false), "refusal");
    assert_eq!(stop_name(Stop::End, true), "tool_use");
}

#[test]
fn blocks_of_provider_tools_are_left_out_and_the_rest_is_kept() {
    let body = json!({"content": [
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"type": "web_search_result"}]},
        {"type": "text", "text": "found", "citations": [{"type": "web_search_result_location"}]},
    ], "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 2}});
    assert_eq!(again(&body)["content"], json!([{"type": "text", "text": "found"}]));
}

#[test]
fn an_error_in_place_of_an_answer_is_no_answer() {
    assert!(decode(br#"{"type":"error","error":{"type":"api_error","message":"x"}}"#).is_err());
    assert!(decode(b"<html>").is_err());
    assert!(decode(b"").is_err());
}
