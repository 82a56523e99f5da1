//! Streams read, streams written, and streams that break.

use serde_json::{Value, json};

use super::{Decoder, Encoder};
use crate::error::{FormatError, ProviderErrorKind};
use crate::exchange::{AnswerHead, StreamDecoder, StreamEncoder, StreamEvent, Usage};

/// Reads events and writes them anew.
fn again(events: &[Value]) -> Result<Vec<Value>, FormatError> {
    let mut decoder = Decoder::new();
    let mut encoder =
        Encoder::new(AnswerHead { id: "msg_1".into(), model: "chat".into(), ..AnswerHead::default() });
    let mut out = Vec::new();
    for event in events {
        decoder
            .read(event["type"].as_str(), &event.to_string(), &mut |event| encoder.write(&event, &mut out))?;
    }
    decoder.finish(&mut |event| encoder.write(&event, &mut out))?;
    let text = String::from_utf8(out).unwrap();
    Ok(text.split_terminator("\n\n").map(parsed).collect())
}

fn parsed(event: &str) -> Value {
    let (name, data) = event.split_once("\ndata: ").unwrap();
    let data: Value = serde_json::from_str(data).unwrap();
    assert_eq!(name, format!("event: {}", data["type"].as_str().unwrap()));
    data
}

fn start(usage: &Value) -> Value {
    json!({"type": "message_start", "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "chat", "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": usage,
    }})
}

fn nothing_yet() -> Value {
    json!({"input_tokens": 0, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 0})
}

fn block(index: u32, content_block: &Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": content_block})
}

fn delta(index: u32, delta: &Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn stop(index: u32) -> Value {
    json!({"type": "content_block_stop", "index": index})
}

fn end(reason: &str, usage: &Value) -> [Value; 2] {
    [
        json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null}, "usage": usage}),
        json!({"type": "message_stop"}),
    ]
}

fn text_block() -> Value {
    block(0, &json!({"type": "text", "text": ""}))
}

#[test]
fn a_stream_of_every_part_is_written_as_it_was_read() {
    let usage = json!({
        "input_tokens": 10, "cache_creation_input_tokens": 7, "cache_read_input_tokens": 5,
        "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4},
        "output_tokens": 30, "output_tokens_details": {"thinking_tokens": 12},
    });
    let events = [
        vec![start(&nothing_yet())],
        vec![
            block(0, &json!({"type": "thinking", "thinking": "", "signature": ""})),
            delta(0, &json!({"type": "thinking_delta", "thinking": "hm"})),
            delta(0, &json!({"type": "signature_delta", "signature": "s"})),
            stop(0),
            block(1, &json!({"type": "redacted_thinking", "data": "xyz"})),
            stop(1),
            block(2, &json!({"type": "text", "text": ""})),
            delta(2, &json!({"type": "text_delta", "text": "Let me\nlook \u{1F50E}"})),
            stop(2),
            block(3, &json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}})),
            delta(3, &json!({"type": "input_json_delta", "partial_json": "{\"a\":"})),
            delta(3, &json!({"type": "input_json_delta", "partial_json": " 1}"})),
            stop(3),
            block(4, &json!({"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}})),
            stop(4),
        ],
        end("tool_use", &usage).to_vec(),
    ]
    .concat();
    assert_eq!(again(&events).unwrap(), events);
}

#[test]
fn usage_is_merged_from_the_start_and_the_end() {
    let first = json!({"input_tokens": 10, "cache_creation_input_tokens": 4, "cache_read_input_tokens": 5,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 4}, "output_tokens": 9});
    let [last, message_stop] = end(
        "end_turn",
        &json!({"output_tokens": 20, "cache_creation_input_tokens": 4, "output_tokens_details": {"thinking_tokens": 15}}),
    );
    let mut decoder = Decoder::new();
    let mut usage = Usage::default();
    let mut reports = Vec::new();
    for event in [start(&first), json!({"type": "ping"}), last, message_stop] {
        let mut keep = |event: StreamEvent<'_>| {
            if let StreamEvent::Usage(report) = event {
                usage.update(&report);
                reports.push(report);
            }
        };
        decoder.read(None, &event.to_string(), &mut keep).unwrap();
    }
    let expected =
        Usage { input: 10, cache_read: 5, cache_write_1h: 4, output: 5, reasoning: 15, ..Usage::reported() };
    assert_eq!(usage, expected);
    assert_eq!(reports[0].output_total(), 0, "the first guess of the answer's tokens is no report");
}

#[test]
fn blocks_of_provider_tools_are_left_out_and_indexes_close_the_gap() {
    let events = [
        vec![start(&nothing_yet())],
        vec![
            block(0, &json!({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}})),
            delta(0, &json!({"type": "input_json_delta", "partial_json": "{}"})),
            stop(0),
            block(1, &json!({"type": "text", "text": "", "citations": []})),
            delta(1, &json!({"type": "citations_delta", "citation": {"type": "page_location"}})),
            delta(1, &json!({"type": "text_delta", "text": "x"})),
            stop(1),
        ],
        end("end_turn", &json!({"output_tokens": 1})).to_vec(),
    ]
    .concat();
    let written = again(&events).unwrap();
    let kinds: Vec<_> =
        written.iter().map(|event| (event["type"].as_str().unwrap(), event["index"].as_u64())).collect();
    assert_eq!(
        kinds,
        [
            ("message_start", None),
            ("content_block_start", Some(0)),
            ("content_block_delta", Some(0)),
            ("content_block_stop", Some(0)),
            ("message_delta", None),
            ("message_stop", None),
        ]
    );
}

#[test]
fn servers_that_say_all_at_once_are_understood() {
    let events = [
        vec![start(&nothing_yet())],
        vec![block(0, &json!({"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}))],
        end("tool_use", &json!({"output_tokens": 1})).to_vec(),
    ]
    .concat();
    let written = again(&events).unwrap();
    assert_eq!(written[2], delta(0, &json!({"type": "input_json_delta", "partial_json": "{\"a\":1}"})));
    assert_eq!(written[3], stop(0), "a block that was left open is closed");
}

#[test]
fn an_error_in_a_stream_is_handed_on_and_ends_it() {
    let events = [
        start(&nothing_yet()),
        json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
        text_block(),
    ];
    let written = again(&events).unwrap();
    assert_eq!(written.len(), 2);
    assert_eq!(written[1]["error"]["type"], "overloaded_error");

    let mut kind = None;
    let mut keep = |event: StreamEvent<'_>| {
        if let StreamEvent::Failed(error) = event {
            kind = Some(error.kind);
        }
    };
    Decoder::new().read(Some("error"), &events[1].to_string(), &mut keep).unwrap();
    assert_eq!(kind, Some(ProviderErrorKind::Overloaded));
}

#[test]
fn a_stream_that_is_cut_says_so_unless_the_model_had_finished() {
    let [message_delta, _] = end("end_turn", &json!({"output_tokens": 1}));
    assert_eq!(again(&[]), Err(FormatError::CutShort));
    assert_eq!(again(&[start(&nothing_yet()), text_block()]), Err(FormatError::CutShort));
    let written = again(&[start(&nothing_yet()), text_block(), message_delta]).unwrap();
    assert_eq!(written.last().unwrap()["type"], "message_stop");
}

#[test]
fn events_out_of_order_are_an_error_and_new_kinds_are_not() {
    assert!(again(&[text_block()]).is_err());
    assert!(again(&[start(&nothing_yet()), start(&nothing_yet())]).is_err());
    assert!(again(&[start(&nothing_yet()), delta(3, &json!({"type": "text_delta", "text": "x"}))]).is_err());
    let thought = delta(0, &json!({"type": "thinking_delta", "thinking": "x"}));
    let redacted = block(0, &json!({"type": "redacted_thinking", "data": "xyz"}));
    for block in [text_block(), redacted] {
        assert!(again(&[start(&nothing_yet()), block, thought.clone()]).is_err());
    }
    assert!(Decoder::new().read(None, r#"{"index":0}"#, &mut |_| {}).is_err());
    Decoder::new().read(None, r#"{"type":"later_invention","index":-1}"#, &mut |_| {}).unwrap();
    Decoder::new().read(Some("ping"), "", &mut |_| {}).unwrap();
}

#[test]
fn an_empty_reason_to_stop_is_none() {
    let empty = json!({"type": "message_delta", "delta": {"stop_reason": ""}, "usage": {"output_tokens": 1}});
    assert_eq!(again(&[start(&nothing_yet()), empty]), Err(FormatError::CutShort));
}

#[test]
fn a_stream_begins_with_the_tokens_of_its_prompt_as_the_provider_says_them_or_the_gateway_counts_them() {
    let begun = |counted, said: Option<u64>| {
        let shown = AnswerHead { prompt_tokens: counted, ..AnswerHead::default() };
        let (mut encoder, mut out) = (Encoder::new(shown), Vec::new());
        encoder.write(&StreamEvent::Start { id: "".into(), model: "".into() }, &mut out);
        if let Some(input) = said {
            encoder.write(&StreamEvent::Usage(Usage { input, ..Usage::reported().running() }), &mut out);
        }
        encoder.write(&StreamEvent::End, &mut out);
        let text = String::from_utf8(out).unwrap();
        let first = text.split_terminator("\n\n").next().map(parsed).unwrap();
        first["message"]["usage"]["input_tokens"].as_u64()
    };
    assert_eq!(begun(Some(9), None), Some(9));
    assert_eq!(begun(Some(9), Some(11)), Some(11));
    assert_eq!(begun(None, None), Some(0));
}
