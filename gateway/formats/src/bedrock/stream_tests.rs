//! Events of a stream keep the promises of the common view.

use proptest::prelude::*;

use super::super::event_stream::{self, Header, Parser, Value, encode_event};
use super::*;
use crate::error::ProviderErrorKind;

fn read_all(events: &[(&str, &str)]) -> (Vec<String>, Result<(), FormatError>) {
    let mut decoder = Decoder::new();
    let mut seen = Vec::new();
    for (name, data) in events {
        let done = decoder.read(Some(name), data, &mut |event| seen.push(format!("{event:?}")));
        if done.is_err() {
            return (seen, done);
        }
    }
    let done = decoder.finish(&mut |event| seen.push(format!("{event:?}")));
    (seen, done)
}

const USAGE: (&str, &str) =
    ("metadata", r#"{"usage":{"inputTokens":3,"outputTokens":4,"totalTokens":7},"metrics":{"latencyMs":9}}"#);

#[test]
fn blocks_start_with_their_first_delta_and_end_before_the_next() {
    let (seen, done) = read_all(&[
        ("messageStart", r#"{"role":"assistant","p":"abc"}"#),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":0,"delta":{"reasoningContent":{"text":"hm"}},"p":"ab"}"#,
        ),
        ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"reasoningContent":{"signature":"s"}}}"#),
        ("contentBlockStop", r#"{"contentBlockIndex":0}"#),
        ("contentBlockDelta", r#"{"contentBlockIndex":1,"delta":{"text":"Hi"}}"#),
        ("contentBlockDelta", r#"{"contentBlockIndex":1,"delta":{"text":"!"}}"#),
        ("contentBlockStop", r#"{"contentBlockIndex":1}"#),
        (
            "contentBlockStart",
            r#"{"contentBlockIndex":2,"start":{"toolUse":{"toolUseId":"t1","name":"weather"}}}"#,
        ),
        ("contentBlockDelta", r#"{"contentBlockIndex":2,"delta":{"toolUse":{"input":"{}"}}}"#),
        ("contentBlockStop", r#"{"contentBlockIndex":2}"#),
        ("messageStop", r#"{"stopReason":"tool_use"}"#),
        USAGE,
    ]);
    done.unwrap();
    let expected = [
        r#"Start { id: "", model: "" }"#,
        "PartStart { index: 0, part: Reasoning }",
        r#"Delta { index: 0, delta: Reasoning("hm") }"#,
        r#"Delta { index: 0, delta: Signature("s") }"#,
        "PartEnd { index: 0 }",
        "PartStart { index: 1, part: Text }",
        r#"Delta { index: 1, delta: Text("Hi") }"#,
        r#"Delta { index: 1, delta: Text("!") }"#,
        "PartEnd { index: 1 }",
        r#"PartStart { index: 2, part: ToolCall { id: "t1", name: "weather" } }"#,
        r#"Delta { index: 2, delta: Arguments("{}") }"#,
        "PartEnd { index: 2 }",
        "Stop { reason: ToolUse, stop_sequence: None }",
    ];
    assert_eq!(seen[..expected.len()], expected);
    assert!(seen[expected.len()].starts_with("Usage(Usage { input: 3,"));
    assert_eq!(seen.last().unwrap(), "End");
}

#[test]
fn a_block_that_never_stops_ends_where_the_next_begins() {
    let (seen, _) = read_all(&[
        ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"a"}}"#),
        ("contentBlockDelta", r#"{"contentBlockIndex":3,"delta":{"text":"b"}}"#),
        ("messageStop", r#"{"stopReason":"end_turn"}"#),
    ]);
    assert_eq!(seen[3], "PartEnd { index: 0 }");
    assert_eq!(seen[4], "PartStart { index: 1, part: Text }");
    assert_eq!(seen[6], "PartEnd { index: 1 }");
    assert_eq!(seen.last().unwrap(), "End", "usage is missing, the answer is whole");
}

#[test]
fn a_picture_that_comes_in_pieces_is_handed_on_whole() {
    let start = r#"{"contentBlockIndex":1,"start":{"image":{"format":"png"}}}"#;
    let (seen, done) = read_all(&[
        ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"Look:"}}"#),
        ("contentBlockStart", start),
        ("contentBlockDelta", r#"{"contentBlockIndex":1,"delta":{"image":{"source":{"bytes":"iVBORw=="}}}}"#),
        ("contentBlockDelta", r#"{"contentBlockIndex":1,"delta":{"image":{"source":{"bytes":"DQoaCg=="}}}}"#),
        ("contentBlockStop", r#"{"contentBlockIndex":1}"#),
        ("contentBlockDelta", r#"{"contentBlockIndex":2,"delta":{"image":{"source":{"bytes":"/9j/4AAQ"}}}}"#),
        ("messageStop", r#"{"stopReason":"end_turn"}"#),
    ]);
    done.unwrap();
    assert_eq!(seen[3], "PartEnd { index: 0 }");
    assert!(seen[4].starts_with(r#"PartStart { index: 1, part: Image(Image { media_type: "image/png", source: Base64("iVBORw0KGgo=")"#), "{}", seen[4]);
    assert_eq!(seen[5], "PartEnd { index: 1 }");
    assert!(
        seen[6].starts_with(r#"PartStart { index: 2, part: Image(Image { media_type: "image/jpeg""#),
        "{}",
        seen[6]
    );
    assert_eq!(seen.last().unwrap(), "End");
}

#[test]
fn a_picture_that_is_no_base64_breaks_the_stream() {
    let (_, done) = read_all(&[
        ("contentBlockDelta", r#"{"contentBlockIndex":1,"delta":{"image":{"source":{"bytes":"a=b"}}}}"#),
        ("contentBlockDelta", r#"{"contentBlockIndex":1,"delta":{"image":{"source":{"bytes":"DQoaCg=="}}}}"#),
    ]);
    assert!(done.is_err());
}

#[test]
fn a_stream_without_message_stop_is_cut_short() {
    let (_, done) = read_all(&[("messageStart", r#"{"role":"assistant"}"#), USAGE]);
    assert_eq!(done, Err(FormatError::CutShort));
    assert_eq!(read_all(&[]).1, Err(FormatError::CutShort));
}

#[test]
fn arguments_need_the_start_of_their_call() {
    let (_, done) =
        read_all(&[("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"toolUse":{"input":"{"}}}"#)]);
    assert!(matches!(done, Err(FormatError::Invalid { .. })));
}

#[test]
fn exceptions_and_errors_end_the_stream() {
    let mut bytes = Vec::new();
    encode_event("messageStart", r#"{"role":"assistant"}"#, &mut bytes).unwrap();
    let text = |name, value| Header { name, value: Value::Text(value) };
    let exception = [text(":message-type", "exception"), text(":exception-type", "throttlingException")];
    event_stream::encode(&exception, br#"{"message":"Too many tokens"}"#, &mut bytes).unwrap();
    let error = [
        text(":message-type", "error"),
        text(":error-code", "InternalFailure"),
        text(":error-message", "gone"),
    ];
    event_stream::encode(&error, b"", &mut bytes).unwrap();
    let (mut decoder, mut failures) = (Decoder::new(), Vec::new());
    let mut events = 0;
    Parser::default()
        .push(&bytes, |message| {
            decoder
                .read_message(&message, &mut |event| {
                    events += 1;
                    if let StreamEvent::Failed(error) = event {
                        failures.push(error);
                    }
                })
                .unwrap();
        })
        .unwrap();
    assert_eq!((events, failures.len()), (2, 1), "nothing comes after the first failure");
    assert_eq!(
        (failures[0].kind, failures[0].message.as_str()),
        (ProviderErrorKind::RateLimit, "Too many tokens")
    );
    decoder.finish(&mut |_| panic!("nothing is owed")).unwrap();
}

#[test]
fn an_error_that_is_not_modelled_keeps_its_code_and_text() {
    let headers = [
        Header { name: ":message-type", value: Value::Text("error") },
        Header { name: ":error-code", value: Value::Text("InternalFailure") },
        Header { name: ":error-message", value: Value::Text("it \"broke\"") },
    ];
    let message = Message { headers: headers.into_iter().collect(), payload: b"" };
    let mut seen = None;
    let mut out = |event: StreamEvent<'_>| {
        if let StreamEvent::Failed(error) = event {
            seen = Some(error);
        }
    };
    Decoder::new().read_message(&message, &mut out).unwrap();
    let error = seen.unwrap();
    assert_eq!(
        (error.kind, error.message.as_str(), error.code.as_deref()),
        (ProviderErrorKind::Server, "it \"broke\"", Some("InternalFailure"))
    );
}

proptest! {
    #[test]
    fn no_event_makes_the_decoder_panic(
        events in proptest::collection::vec(
            (
                prop::sample::select(vec![
                    "messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop",
                    "metadata", "validationException", "other",
                ]),
                prop::sample::select(vec![
                    "", "{}", r#"{"contentBlockIndex":0,"delta":{"text":"a"}}"#, r#"{"stopReason":"x"}"#,
                    r#"{"contentBlockIndex":4294967295,"start":{"toolUse":{"toolUseId":"i","name":"n"}}}"#,
                    r#"{"contentBlockIndex":1,"delta":{"toolUse":{"input":"{"}}}"#, "[1", "null",
                ]),
            ),
            0..20,
        ),
    ) {
        let (seen, _) = read_all(&events);
        let starts = seen.iter().filter(|event| event.starts_with("Start {")).count();
        prop_assert!(starts <= 1);
        let ends = seen.iter().position(|event| event == "End" || event.starts_with("Failed"));
        prop_assert!(ends.is_none_or(|place| place == seen.len() - 1));
    }
}
