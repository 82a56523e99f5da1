//! Streams read and written, and what must never happen on the way.

use super::*;
use crate::error::FormatError;
use crate::exchange::{AnswerHead, Delta, PartStart, Stop, StreamDecoder, StreamEncoder, StreamEvent, Usage};
use proptest::prelude::*;

/// Events in short: `text:`, `+piece`, `end`.
fn events(datas: &[&str]) -> (Vec<String>, Result<(), FormatError>) {
    let mut decoder = Decoder::new();
    let mut seen = Vec::new();
    let mut each = |event: StreamEvent<'_>| {
        seen.push(match event {
            StreamEvent::Start { id, .. } => format!("start {id}"),
            StreamEvent::PartStart { part, .. } => match part {
                PartStart::ToolCall { id, name } => format!("call {id} {name}"),
                PartStart::RedactedReasoning(_) => "redacted".to_owned(),
                part => format!("{part:?}").to_lowercase(),
            },
            StreamEvent::Delta { delta, .. } => match delta {
                Delta::Text(text)
                | Delta::Reasoning(text)
                | Delta::Signature(text)
                | Delta::Refusal(text)
                | Delta::Arguments(text) => format!("+{text}"),
            },
            StreamEvent::PartEnd { .. } => "end".to_owned(),
            StreamEvent::Usage(usage) => format!("usage {}", usage.total()),
            StreamEvent::Logprobs(raw) => format!("logprobs {raw}"),
            StreamEvent::Stop { reason, .. } => format!("stop {reason:?}"),
            StreamEvent::Failed(error) => format!("failed {}", error.message),
            StreamEvent::End => "END".to_owned(),
        });
    };
    let outcome = datas
        .iter()
        .try_for_each(|data| decoder.read(None, data, &mut each))
        .and_then(|()| decoder.finish(&mut each));
    (seen, outcome)
}

fn calls(pieces: &str) -> String {
    format!(r#"{{"id":"a","choices":[{{"index":0,"delta":{{"tool_calls":[{pieces}]}}}}]}}"#)
}

#[test]
fn logprobs_that_came_on_several_lines_are_written_on_one() {
    let (mut decoder, mut encoder) = (Decoder::new(), Encoder::new(AnswerHead::default(), false));
    let mut out = Vec::new();
    let data = "{\"choices\":[{\"index\":0,\"logprobs\":{\r\n\"content\":[]\n}}]}";
    decoder.read(None, data, &mut |event| encoder.write(&event, &mut out)).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("\"logprobs\":{  \"content\":[] }"), "{text}");
    assert!(text.split_terminator("\n\n").all(|event| event.lines().count() == 1), "{text}");
}

#[test]
fn calls_with_one_index_but_ids_of_their_own_are_told_apart() {
    let one = calls(r#"{"index":0,"id":"x","function":{"name":"f","arguments":"{}"}}"#);
    let two = calls(r#"{"index":0,"id":"y","function":{"name":"f","arguments":"{}"}}"#);
    let (seen, _) = events(&[&one, &two, r#"{"choices":[{"index":0,"finish_reason":"stop"}]}"#]);
    assert_eq!(seen, ["start a", "call x f", "+{}", "end", "call y f", "+{}", "end", "stop ToolUse", "END"]);
}

#[test]
fn calls_without_ids_get_some_and_names_may_come_late() {
    let one = calls(r#"{"index":0,"function":{"arguments":"{"}}"#);
    let two = calls(r#"{"index":0,"function":{"name":"f"}},{"index":0,"function":{"arguments":"}"}}"#);
    let (seen, _) = events(&[&one, &two, "[DONE]"]);
    assert_eq!(seen, ["start a", "call call_a0 f", "+{", "+}", "end", "stop ToolUse", "END"]);
}

#[test]
fn a_piece_for_a_call_that_was_complete_breaks_the_stream() {
    let one = calls(r#"{"index":0,"id":"x","function":{"name":"f","arguments":"{}"}}"#);
    let two = calls(r#"{"index":1,"id":"y","function":{"name":"f","arguments":"{"}}"#);
    let late = calls(r#"{"index":0,"function":{"arguments":"!"}}"#);
    let nothing = calls(r#"{"index":0,"function":{"arguments":""}}"#);
    assert!(events(&[&one, &two, &nothing, "[DONE]"]).1.is_ok());
    assert!(events(&[&one, &two, &late]).1.is_err());
}

#[test]
fn a_picture_beside_the_text_is_handed_on_whole() {
    let (seen, done) = events(&[
        r#"{"id":"a","choices":[{"delta":{"content":"Look:"}}]}"#,
        r#"{"choices":[{"delta":{"content":"","images":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}}]}"#,
        r#"{"choices":[{"delta":{"content":"There."},"finish_reason":"stop"}]}"#,
    ]);
    done.unwrap();
    assert_eq!(seen[..4], ["start a", "text", "+look:", "end"].map(|word| word.replace("look", "Look")));
    assert!(
        seen[4].starts_with(r#"image(image { media_type: "image/png", source: base64("aaaa")"#),
        "{seen:?}"
    );
    assert_eq!(seen[5..8], ["end", "text", "+There."]);
}

#[test]
fn several_choices_are_read_for_metering() {
    let (seen, outcome) = events(&[
        r#"{"id":"a","choices":[{"index":0,"delta":{"content":"x"}},{"index":1,"delta":{"content":"y"}}]}"#,
        r#"{"id":"a","choices":[{"index":0,"delta":{},"finish_reason":"length"}]}"#,
        r#"{"id":"a","choices":[{"index":1,"delta":{"content":"z"},"finish_reason":"stop"}]}"#,
        "[DONE]",
    ]);
    outcome.unwrap();
    assert_eq!(seen, ["start a", "text", "+x", "end", "text", "+y", "+z", "end", "stop Length", "END"]);
}

#[test]
fn a_stream_that_ends_without_saying_so_is_complete_if_the_model_had_stopped() {
    let stopped = r#"{"id":"a","choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}"#;
    assert_eq!(events(&[stopped]).0.last().unwrap(), "END");
    let open = r#"{"id":"a","choices":[{"index":0,"delta":{"content":"x"}}]}"#;
    assert_eq!(events(&[open]).1, Err(FormatError::CutShort));
    assert_eq!(events(&[]).1, Err(FormatError::CutShort));
    assert_eq!(events(&["[DONE]"]).1, Err(FormatError::CutShort));
}

#[test]
fn errors_in_any_shape_end_the_stream() {
    for (data, message) in [
        (r#"{"error":{"message":"m","code":500}}"#, "failed m"),
        (r#"{"error":"m"}"#, "failed m"),
        (r#"{"error":{"type":"server_error"}}"#, r#"failed {"type":"server_error"}"#),
    ] {
        assert_eq!(events(&[data, "[DONE]"]), (vec![message.to_owned()], Ok(())), "{data}");
    }
    let mut decoder = Decoder::new();
    let mut failed = false;
    let mut each = |event: StreamEvent<'_>| failed |= matches!(event, StreamEvent::Failed(_));
    decoder.read(Some("error"), r#"{"message":"m"}"#, &mut each).unwrap();
    assert!(failed);
}

#[test]
fn what_is_no_chunk_breaks_the_stream() {
    for data in ["{", "7", "[]x", r#"{"choices":7}"#, r#"{"choices":[{"index":-1}]}"#] {
        assert!(events(&[data]).1.is_err(), "{data}");
    }
}

fn shown() -> AnswerHead {
    AnswerHead { id: "a".into(), model: "m".into(), created_s: 7, ..AnswerHead::default() }
}

/// Encodes texts as a stream and gives the data of its events.
fn stream_of(pieces: &[String], usage: Option<Usage>) -> Vec<String> {
    let mut encoder = Encoder::new(shown(), usage.is_some());
    let mut out = Vec::new();
    let mut write = |event: StreamEvent<'_>| encoder.write(&event, &mut out);
    write(StreamEvent::Start { id: "".into(), model: "".into() });
    write(StreamEvent::PartStart { index: 0, part: PartStart::Text });
    for piece in pieces {
        write(StreamEvent::Delta { index: 0, delta: Delta::Text(piece.as_str().into()) });
    }
    write(StreamEvent::PartEnd { index: 0 });
    write(StreamEvent::Stop { reason: Stop::Length, stop_sequence: None });
    usage.into_iter().for_each(|usage| write(StreamEvent::Usage(usage)));
    write(StreamEvent::End);
    let text = String::from_utf8(out).unwrap();
    text.split_terminator("\n\n").map(|event| event.strip_prefix("data: ").unwrap().to_owned()).collect()
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(pieces in proptest::collection::vec(".{1,9}", 1..6), input in 1u64..1000) {
        let usage = Usage { input, output: 3, ..Usage::default() };
        let datas = stream_of(&pieces, Some(usage));
        let datas: Vec<&str> = datas.iter().map(String::as_str).collect();
        let (seen, outcome) = events(&datas);
        prop_assert!(outcome.is_ok());
        let mut expected = vec!["start a".to_owned(), "text".to_owned()];
        expected.extend(pieces.iter().map(|piece| format!("+{piece}")));
        expected.extend(["end".to_owned(), "stop Length".to_owned(), format!("usage {}", input + 3), "END".to_owned()]);
        prop_assert_eq!(seen, expected);
    }

    #[test]
    fn any_data_is_read_or_refused(datas in proptest::collection::vec(".{0,60}", 0..4)) {
        let datas: Vec<&str> = datas.iter().map(String::as_str).collect();
        let _ = events(&datas);
    }

    #[test]
    fn pieces_of_calls_in_any_order_never_lose_a_byte(order in proptest::collection::vec(0usize..3, 0..30)) {
        // Three calls of ten pieces each, mixed in any order.
        let whole = r#"{"a":[1,"}"]}"#;
        let size = whole.len();
        let mut at = [0usize; 3];
        let mut datas = Vec::new();
        for call in order.into_iter().chain((0..3).flat_map(|call| std::iter::repeat_n(call, size))) {
            if at[call] == size { continue; }
            let piece = serde_json::to_string(&whole[at[call]..=at[call]]).unwrap();
            at[call] += 1;
            datas.push(calls(&format!(r#"{{"index":{call},"id":"c{call}","function":{{"name":"f","arguments":{piece}}}}}"#)));
        }
        datas.push("[DONE]".to_owned());
        let datas: Vec<&str> = datas.iter().map(String::as_str).collect();
        let (seen, outcome) = events(&datas);
        prop_assert!(outcome.is_ok(), "{:?}", outcome);
        let texts: Vec<String> = seen.split(|event| event.starts_with("call")).skip(1)
            .map(|events| events.iter().filter_map(|event| event.strip_prefix('+')).collect()).collect();
        prop_assert_eq!(texts, [whole, whole, whole]);
    }
}

#[test]
fn an_empty_reason_to_stop_is_none() {
    let chunk = |text: &str, reason: &str| {
        format!(
            r#"{{"id":"a","choices":[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":{reason}}}]}}"#
        )
    };
    let (first, second, last) = (chunk("a", r#""""#), chunk("b", r#""""#), chunk("", r#""length""#));
    let (seen, outcome) = events(&[&first, &second, &last]);
    assert!(outcome.is_ok() && seen.contains(&"stop Length".to_owned()), "{seen:?}");
    let (seen, outcome) = events(&[&first, &second]);
    assert_eq!(outcome, Err(FormatError::CutShort), "{seen:?}");
}

#[test]
fn an_error_is_seen_in_whatever_place_a_server_puts_it() {
    for (data, message) in [
        (r#"{"error":{"message":"m1","code":429}}"#, "m1"),
        (r#"{"object":"error","message":"m2","type":"InternalServerError","code":500}"#, "m2"),
        (
            r#"{"id":"a","choices":[{"index":0,"delta":{"content":""},"finish_reason":"error","error":{"code":502,"message":"m3"}}]}"#,
            "m3",
        ),
        (
            r#"{"id":"a","choices":[{"index":0,"delta":{},"finish_reason":"error"}]}"#,
            "the provider ended the answer with an error",
        ),
    ] {
        let (seen, outcome) = events(&[data]);
        assert_eq!((seen.last(), outcome), (Some(&format!("failed {message}")), Ok(())), "{data}");
    }
}
