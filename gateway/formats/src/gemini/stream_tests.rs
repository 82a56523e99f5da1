//! Events of a stream keep the promises of the common view.

use proptest::prelude::*;

use super::*;
use crate::error::ProviderErrorKind;

fn read_all(events: &[&str]) -> (Vec<String>, Result<(), FormatError>) {
    let mut decoder = Decoder::new();
    let mut seen = Vec::new();
    for data in events {
        let done = decoder.read(None, data, &mut |event| seen.push(format!("{event:?}")));
        if done.is_err() {
            return (seen, done);
        }
    }
    let done = decoder.finish(&mut |event| seen.push(format!("{event:?}")));
    (seen, done)
}

#[test]
fn thoughts_text_and_calls_become_parts() {
    let (seen, done) = read_all(&[
        r#"{"candidates":[{"content":{"parts":[{"text":"hm","thought":true}],"role":"model"}}],
            "usageMetadata":{"promptTokenCount":4,"thoughtsTokenCount":2},"modelVersion":"m","responseId":"r"}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":" well","thought":true}]}}],"responseId":"r"}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"Hi"}]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"!"}]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"functionCall":{"id":"1","name":"f","args":{"a":1}},
            "thoughtSignature":"c2ln"},{"functionCall":{"id":"2","name":"g","args":{}}}]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":""}]},"finishReason":"STOP"}],
            "usageMetadata":{"promptTokenCount":4,"thoughtsTokenCount":2,"candidatesTokenCount":9}}"#,
    ]);
    done.unwrap();
    let events: Vec<&str> =
        seen.iter().map(String::as_str).filter(|event| !event.starts_with("Usage")).collect();
    assert_eq!(
        events,
        [
            r#"Start { id: "r", model: "m" }"#,
            "PartStart { index: 0, part: Reasoning }",
            r#"Delta { index: 0, delta: Reasoning("hm") }"#,
            r#"Delta { index: 0, delta: Reasoning(" well") }"#,
            "PartEnd { index: 0 }",
            "PartStart { index: 1, part: Text }",
            r#"Delta { index: 1, delta: Text("Hi") }"#,
            r#"Delta { index: 1, delta: Text("!") }"#,
            "PartEnd { index: 1 }",
            "PartStart { index: 2, part: Reasoning }",
            r#"Delta { index: 2, delta: Signature("c2ln") }"#,
            "PartEnd { index: 2 }",
            r#"PartStart { index: 3, part: ToolCall { id: "1", name: "f" } }"#,
            r#"Delta { index: 3, delta: Arguments("{\"a\":1}") }"#,
            "PartEnd { index: 3 }",
            r#"PartStart { index: 4, part: ToolCall { id: "2", name: "g" } }"#,
            r#"Delta { index: 4, delta: Arguments("{}") }"#,
            "PartEnd { index: 4 }",
            "Stop { reason: ToolUse, stop_sequence: None }",
            "End",
        ]
    );
    assert!(seen[1].contains("reasoning: 2") && seen.iter().any(|event| event.contains("output: 9")));
}

#[test]
fn a_proof_right_after_thoughts_is_theirs() {
    let (seen, _) = read_all(&[
        r#"{"candidates":[{"content":{"parts":[{"text":"hm","thought":true}]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"Hi","thoughtSignature":"c2ln"}]}}]}"#,
    ]);
    assert_eq!(seen[3], r#"Delta { index: 0, delta: Signature("c2ln") }"#);
    assert_eq!(seen[5], "PartStart { index: 1, part: Text }");
}

#[test]
fn a_refused_prompt_stops_by_a_filter() {
    let (seen, done) = read_all(&[r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#]);
    done.unwrap();
    assert_eq!(seen[1..], ["Stop { reason: ContentFilter, stop_sequence: None }", "End"]);
}

#[test]
fn an_error_in_the_stream_ends_it() {
    let mut failure = None;
    let mut decoder = Decoder::new();
    let event = r#"{"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}}"#;
    decoder
        .read(None, event, &mut |event| {
            if let StreamEvent::Failed(error) = event {
                failure = Some(error);
            }
        })
        .unwrap();
    assert_eq!(failure.unwrap().kind, ProviderErrorKind::Overloaded);
    decoder.read(None, "{}", &mut |_| panic!("nothing comes after a failure")).unwrap();
    decoder.finish(&mut |_| panic!("nothing is owed")).unwrap();
}

#[test]
fn a_stream_without_a_reason_to_stop_is_cut_short() {
    let (_, done) = read_all(&[r#"{"candidates":[{"content":{"parts":[{"text":"Hi"}]}}]}"#]);
    assert_eq!(done, Err(FormatError::CutShort));
}

proptest! {
    #[test]
    fn no_event_makes_the_decoder_panic(
        events in proptest::collection::vec(
            prop::sample::select(vec![
                "", "{}", "null", "[", r#"{"candidates":[]}"#, r#"{"error":3}"#,
                r#"{"candidates":[{"content":{"parts":[{"text":"a"},{"text":"b","thought":true}]}}]}"#,
                r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f"}}]}}]}"#,
                r#"{"candidates":[{"finishReason":"STOP"}]}"#, r#"{"promptFeedback":{"blockReason":"X"}}"#,
            ]),
            0..12,
        ),
        noise in ".{0,40}",
    ) {
        let _ = read_all(&[&noise]);
        let (seen, _) = read_all(&events);
        prop_assert!(seen.iter().filter(|event| event.starts_with("Start ")).count() <= 1);
        prop_assert!(seen.iter().filter(|event| event.starts_with("Stop")).count() <= 1);
        let ends = seen.iter().position(|event| event == "End" || event.starts_with("Failed"));
        prop_assert!(ends.is_none_or(|place| place == seen.len() - 1));
    }
}

#[test]
fn a_reason_to_stop_that_is_filled_in_from_the_beginning_is_none() {
    for reason in ["", "FINISH_REASON_UNSPECIFIED"] {
        let event = format!(
            r#"{{"candidates":[{{"content":{{"parts":[{{"text":"a"}}]}},"finishReason":"{reason}"}}]}}"#
        );
        assert_eq!(read_all(&[&event]).1, Err(FormatError::CutShort), "{reason}");
    }
}
