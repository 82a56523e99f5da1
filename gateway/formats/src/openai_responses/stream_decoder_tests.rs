//! Streams of a backend: pieces, whole items, proofs, failures.

use super::*;
use crate::error::ProviderErrorKind;
use proptest::prelude::*;

/// What the events mean, one line each.
fn told(events: &[&str]) -> Vec<String> {
    let (mut decoder, mut lines) = (Decoder::new(), Vec::new());
    for data in events {
        let mut out = |event: StreamEvent<'_>| {
            lines.push(match event {
                StreamEvent::Start { .. } => "start".to_owned(),
                StreamEvent::PartStart { part, .. } => format!("{part:?}"),
                StreamEvent::Delta { delta, .. } => format!("{delta:?}"),
                StreamEvent::PartEnd { .. } => "end of part".to_owned(),
                StreamEvent::Stop { reason, .. } => format!("{reason:?}"),
                StreamEvent::Failed(error) => format!("{:?}: {}", error.kind, error.message),
                StreamEvent::End => "end".to_owned(),
                other => format!("{other:?}"),
            });
        };
        decoder.read(None, data, &mut out).unwrap();
    }
    lines
}

const COMPLETED: &str = r#"{"type":"response.completed","response":{"status":"completed"}}"#;

#[test]
fn a_stream_that_ends_without_its_last_event_was_cut() {
    let mut decoder = Decoder::new();
    decoder.read(None, r#"{"type":"response.output_text.delta","delta":"x"}"#, &mut |_| {}).unwrap();
    assert_eq!(decoder.finish(&mut |_| {}), Err(FormatError::CutShort));
}

#[test]
fn the_tokens_of_a_piece_follow_it() {
    let delta =
        r#"{"type":"response.output_text.delta","delta":"x","logprobs":[{"token":"x","logprob":-1}]}"#;
    let plain = r#"{"type":"response.output_text.delta","delta":"y","logprobs":[]}"#;
    let lines = told(&[delta, plain]);
    assert_eq!(lines[2], "Text(\"x\")");
    assert!(lines[3].contains(r#"{"content":[{"token":"x","logprob":-1}],"refusal":null}"#), "{lines:?}");
    assert_eq!(lines[4..], ["Text(\"y\")"]);
}

#[test]
fn an_error_event_is_a_failure() {
    for data in [
        r#"{"type":"error","code":"rate_limit_exceeded","message":"slow down"}"#,
        r#"{"type":"error","error":{"code":"rate_limit_exceeded","message":"slow down"}}"#,
        r#"{"type":"response.failed","response":{"error":{"code":"rate_limit_exceeded","message":"slow down"}}}"#,
    ] {
        let expected = format!("{:?}: slow down", ProviderErrorKind::RateLimit);
        assert_eq!(told(&[data]).last(), Some(&expected), "{data}");
    }
}

#[test]
fn an_item_that_came_without_pieces_is_told_when_it_is_done() {
    let lines = told(&[
        r#"{"type":"response.output_item.done","item":{"type":"message","content":[{"type":"output_text","text":"hi"}]}}"#,
        r#"{"type":"response.output_item.done","item":{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}}"#,
        COMPLETED,
    ]);
    let expected = [
        "start",
        "Text",
        r#"Text("hi")"#,
        "end of part",
        r#"ToolCall { id: "c", name: "f" }"#,
        r#"Arguments("{}")"#,
        "end of part",
        "ToolUse",
        "end",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_call_with_a_text_is_told_as_json() {
    let lines = told(&[
        r#"{"type":"response.output_item.added","item":{"type":"custom_tool_call","call_id":"c","name":"patch","input":""}}"#,
        r#"{"type":"response.custom_tool_call_input.delta","delta":"a\n"}"#,
        r#"{"type":"response.custom_tool_call_input.delta","delta":"\"b\""}"#,
        r#"{"type":"response.output_item.done","item":{"type":"custom_tool_call","call_id":"c","name":"patch","input":"a\n\"b\""}}"#,
    ]);
    let written: String = lines.iter().filter_map(|line| line.strip_prefix("Arguments(")).collect();
    assert_eq!(written, r#""{\"input\":\"")"a\\n")"\\\"b\\\"")"\"}")"#);
}

#[test]
fn thoughts_come_with_their_seal_or_as_a_seal_alone() {
    let lines = told(&[
        r#"{"type":"response.reasoning_summary_part.added"}"#,
        r#"{"type":"response.reasoning_summary_text.delta","delta":"a"}"#,
        r#"{"type":"response.reasoning_summary_part.added"}"#,
        r#"{"type":"response.reasoning_summary_text.delta","delta":"b"}"#,
        r#"{"type":"response.output_item.done","item":{"type":"reasoning","summary":[{"text":"a"},{"text":"b"}],"encrypted_content":"s1"}}"#,
        r#"{"type":"response.output_item.done","item":{"type":"reasoning","summary":[],"encrypted_content":"s2"}}"#,
    ]);
    let expected = [
        "start",
        "Reasoning",
        r#"Reasoning("a")"#,
        r#"Reasoning("\n\n")"#,
        r#"Reasoning("b")"#,
        r#"Signature("s1")"#,
        "end of part",
        r#"RedactedReasoning("s2")"#,
        "end of part",
    ];
    assert_eq!(lines, expected);
}

proptest! {
    #[test]
    fn hostile_events_never_panic(name in "[a-z._]{0,40}", data in "[\\[\\]{}\":,a-z_0-9.]{0,120}") {
        let _ = Decoder::new().read(Some(&name), &data, &mut |_| {});
    }
}
