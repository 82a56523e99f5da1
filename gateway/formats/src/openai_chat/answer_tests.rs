//! Answers read, written and read again.

use super::*;
use crate::exchange::Usage;
use proptest::prelude::*;

fn shown() -> AnswerHead {
    AnswerHead { id: "a".into(), model: "alias".into(), created_s: 7, ..AnswerHead::default() }
}

fn answer(parts: Vec<Part<'static>>, stop: Stop) -> Answer<'static> {
    Answer {
        id: "".into(),
        model: "".into(),
        created_s: None,
        parts,
        stop,
        stop_sequence: None,
        usage: None,
        logprobs: None,
        service_tier: None,
    }
}

#[test]
fn calls_and_refusals_are_reasons_to_stop_whatever_the_server_says() {
    let stop = |message: &str| {
        let body = format!(r#"{{"choices":[{{"message":{message},"finish_reason":"stop"}}]}}"#);
        decode(body.as_bytes()).unwrap().stop
    };
    assert_eq!(stop(r#"{"content":"a"}"#), Stop::End);
    assert_eq!(
        stop(r#"{"tool_calls":[{"id":"c","function":{"name":"f","arguments":"{}"}}]}"#),
        Stop::ToolUse
    );
    assert_eq!(stop(r#"{"refusal":"no"}"#), Stop::Refusal);
}

#[test]
fn the_usage_alone_is_what_the_whole_reading_finds() {
    for body in [
        r#"{"choices":[{"message":{"content":"\u00e4 \"x\""}}],"usage":{"prompt_tokens":9,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":3}}}"#,
        r#"{"usage":{"prompt_tokens":1},"choices":[{"text":"a"},{"text":"b"}],"extra":[{}]}"#,
        r#"{"choices":[{"message":{"content":"no report"}}],"usage":null}"#,
    ] {
        assert_eq!(usage(body.as_bytes()).unwrap(), decode(body.as_bytes()).unwrap().usage, "{body}");
    }
}

#[test]
fn what_is_no_answer_has_no_usage_either() {
    let bodies: [&[u8]; 7] = [
        b"",
        b"[]",
        br#"{"usage":{"prompt_tokens":1}}"#,
        br#"{"choices":[],"usage":{"prompt_tokens":1}}"#,
        br#"{"choices":["a"],"usage":{"prompt_tokens":1}}"#,
        br#"{"choices":[{"message":{"content":"cut"#,
        b"{\"choices\":[{\"text\":\"\xff\"}],\"usage\":{\"prompt_tokens\":1}}",
    ];
    for body in bodies {
        assert!(usage(body).is_err(), "{}", String::from_utf8_lossy(body));
        assert!(decode(body).is_err(), "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn answers_of_compatible_servers_are_read() {
    let body = br#"{"id":"x-1","created":1.5,"choices":[{"message":{"reasoning":"hm","content":[{"type":"thinking","thinking":[{"type":"text","text":"so"}]},{"type":"text","text":"yes"},{"type":"reference","ids":[1]}],"tool_calls":[{"id":"","function":{"name":"f","arguments":{"a":1}}}]},"finish_reason":"eos"}]}"#;
    let answer = decode(body).unwrap();
    let [
        Part::Reasoning { text: one, .. },
        Part::Reasoning { text: two, .. },
        Part::Text { text, .. },
        Part::ToolCall(call),
    ] = &answer.parts[..]
    else {
        panic!("{:?}", answer.parts)
    };
    assert_eq!((&**one, &**two, &**text), ("hm", "so", "yes"));
    assert_eq!((&*call.id, &*call.name, &*call.arguments), ("call_x10", "f", r#"{"a":1}"#));
    assert_eq!((answer.created_s, answer.stop), (Some(1), Stop::Other));
}

#[test]
fn pictures_beside_the_text_are_parts_of_the_answer() {
    let body = br#"{"choices":[{"message":{"content":"Look:","images":[
        {"type":"image_url","index":0,"image_url":{"url":"data:image/png;base64,AAAA"}},
        {"type":"image_url","image_url":{"url":"https://x.example/a.png"}},{"type":"other"}]}}]}"#;
    let answer = decode(body).unwrap();
    let [Part::Text { .. }, Part::Image(here), Part::Image(there)] = &answer.parts[..] else {
        panic!("{:?}", answer.parts)
    };
    assert_eq!(here.media_type, "image/png");
    assert!(matches!(&here.source, Source::Base64(data) if data == "AAAA"));
    assert!(matches!(&there.source, Source::Url(url) if url == "https://x.example/a.png"));
    assert_eq!(
        decode(br#"{"choices":[{"message":{"content":"a","images":"none"}}]}"#).unwrap().parts.len(),
        1
    );
}

#[test]
fn all_choices_are_read_for_metering() {
    let body = br#"{"choices":[{"message":{"content":"a"},"finish_reason":"stop"},{"message":{"content":"b"},"finish_reason":"length"}]}"#;
    let answer = decode(body).unwrap();
    assert_eq!((answer.parts.len(), answer.stop), (2, Stop::End));
    assert!(decode(br#"{"choices":[]}"#).is_err());
}

#[test]
fn thoughts_with_proofs_are_shown_to_clients_that_send_them_back() {
    let parts = vec![
        Part::Reasoning { text: "hm".into(), signature: Some("s".into()), redacted: None },
        Part::Reasoning { text: "".into(), signature: None, redacted: Some("d".into()) },
        Part::text("yes"),
    ];
    let json = String::from_utf8(encode(&answer(parts, Stop::End), &shown())).unwrap();
    assert!(json.contains(
        r#""reasoning_content":"hm","thinking_blocks":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"redacted_thinking","data":"d"}]"#
    ), "{json}");
}

#[test]
fn texts_are_joined_and_stops_have_openais_names() {
    let reason = |parts: Vec<Part<'static>>, stop| {
        let json: serde_json::Value =
            serde_json::from_slice(&encode(&answer(parts, stop), &shown())).unwrap();
        let choice = &json["choices"][0];
        (choice["finish_reason"].as_str().unwrap().to_owned(), choice["message"]["content"].clone())
    };
    assert_eq!(reason(vec![Part::text("a"), Part::text("b")], Stop::Pause), ("stop".into(), "ab".into()));
    assert_eq!(reason(vec![], Stop::Refusal).0, "content_filter");
    assert_eq!(reason(vec![Part::Refusal("no".into())], Stop::Refusal).0, "stop");
    assert_eq!(reason(vec![], Stop::StopSequence), ("stop".into(), serde_json::Value::Null));
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(text in "[ -~é]{1,9}", thoughts in "[ -~]{1,9}", arguments in "[ -~]{1,9}", input in 0u64..1000, output in 0u64..1000) {
        let call = ToolCall { id: "c".into(), name: "f".into(), arguments: arguments.into() };
        let thoughts = Part::Reasoning { text: thoughts.into(), signature: None, redacted: None };
        let mut answer = answer(vec![thoughts, Part::text(text), Part::ToolCall(call)], Stop::ToolUse);
        answer.usage = Some(Usage { input, output, ..Usage::reported() });
        let body = encode(&answer, &shown());
        let read = decode(&body).unwrap();
        prop_assert_eq!(format!("{:?}", read.parts), format!("{:?}", answer.parts));
        prop_assert_eq!((read.usage, read.stop, &*read.model), (answer.usage, answer.stop, "alias"));
    }

    #[test]
    fn any_bytes_are_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&body);
    }
}
