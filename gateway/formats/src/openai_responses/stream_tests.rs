//! Streams for a client: the order of events, calls, failures.

use super::*;
use crate::exchange::{StreamDecoder as _, ToolName, ToolNames};

/// Names and data of the events in these bytes.
fn events(bytes: &[u8]) -> Vec<(String, serde_json::Value)> {
    let text = std::str::from_utf8(bytes).unwrap();
    let event = |event: &str| {
        let (name, data) = event.split_once('\n').unwrap();
        let json = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        (name.strip_prefix("event: ").unwrap().to_owned(), json)
    };
    text.split_terminator("\n\n").map(event).collect()
}

fn encoded(steps: &[StreamEvent<'_>]) -> Vec<u8> {
    let mut tool_names = ToolNames::default();
    let (sent, name) = ("patch".to_owned(), "patch".to_owned());
    tool_names.add(ToolName { sent, name, is_custom: true, ..ToolName::default() });
    let tool_names = Some(tool_names.into());
    let shown = AnswerHead { id: "resp_1".into(), model: "chat".into(), tool_names, ..AnswerHead::default() };
    let (mut encoder, mut out) = (Encoder::new(shown), Vec::new());
    steps.iter().for_each(|step| encoder.write(step, &mut out));
    out
}

fn text_answer() -> Vec<StreamEvent<'static>> {
    vec![
        StreamEvent::Start { id: "x".into(), model: "m".into() },
        StreamEvent::PartStart { index: 0, part: PartStart::Text },
        StreamEvent::Delta { index: 0, delta: Delta::Text("Hel".into()) },
        StreamEvent::Delta { index: 0, delta: Delta::Text("lo".into()) },
        StreamEvent::PartEnd { index: 0 },
        StreamEvent::Usage(Usage { input: 3, output: 2, ..Usage::default() }),
        StreamEvent::Stop { reason: Stop::End, stop_sequence: None },
        StreamEvent::End,
    ]
}

#[test]
fn a_text_is_told_in_the_order_of_the_api() {
    let events = events(&encoded(&text_answer()));
    let names: Vec<_> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    assert!(events.iter().enumerate().all(|(number, (_, data))| data["sequence_number"] == number));
    let last = &events.last().unwrap().1["response"];
    assert_eq!(last["output"][0]["content"][0]["text"], "Hello");
    assert_eq!(last["usage"]["total_tokens"], 5);
}

#[test]
fn a_call_of_a_tool_is_told_with_its_arguments() {
    let part = PartStart::ToolCall { id: "c1".into(), name: "weather".into() };
    let events = events(&encoded(&[
        StreamEvent::Start { id: "".into(), model: "".into() },
        StreamEvent::PartStart { index: 0, part },
        StreamEvent::Delta { index: 0, delta: Delta::Arguments("{\"a\":".into()) },
        StreamEvent::Delta { index: 0, delta: Delta::Arguments("1}".into()) },
        StreamEvent::PartEnd { index: 0 },
        StreamEvent::Stop { reason: Stop::ToolUse, stop_sequence: None },
        StreamEvent::End,
    ]));
    let done = events.iter().find(|(name, _)| name == "response.function_call_arguments.done").unwrap();
    assert_eq!(done.1["arguments"], "{\"a\":1}");
    assert_eq!(events.last().unwrap().1["response"]["output"][0]["call_id"], "c1");
}

#[test]
fn the_text_of_a_custom_tool_is_told_as_it_comes() {
    let arguments = ["", "{\"inp", "ut\": \"*** Be", "gin\\", "n\\ud83d", "\\ude00", "\"}"];
    let part = PartStart::ToolCall { id: "c1".into(), name: "patch".into() };
    let mut steps = vec![StreamEvent::PartStart { index: 0, part }];
    steps.extend(
        arguments.map(|piece| StreamEvent::Delta { index: 0, delta: Delta::Arguments(piece.into()) }),
    );
    steps.extend([StreamEvent::PartEnd { index: 0 }, StreamEvent::End]);
    let events = events(&encoded(&steps));
    let told = events.iter().filter(|(name, _)| name == "response.custom_tool_call_input.delta");
    let pieces: Vec<_> = told.map(|(_, data)| data["delta"].as_str().unwrap()).collect();
    assert_eq!(pieces, ["*** Be", "gin", "\n", "\u{1F600}"]);
    let done = events.iter().find(|(name, _)| name == "response.custom_tool_call_input.done").unwrap();
    assert_eq!(done.1["input"], pieces.concat());
    assert_eq!(events.last().unwrap().1["response"]["output"][0]["input"], pieces.concat());
}

#[test]
fn the_tokens_of_a_text_are_told_with_the_whole_of_it() {
    let mut steps = text_answer();
    let tokens = ["Hel", "lo"].map(|token| format!(r#"{{"content":[{{"token":"{token}"}}]}}"#));
    let [first, second] = tokens.map(|json| RawValue::from_string(json).unwrap());
    steps.insert(3, StreamEvent::Logprobs(&first));
    steps.insert(5, StreamEvent::Logprobs(&second));
    let events = events(&encoded(&steps));
    let told = serde_json::json!([{"token": "Hel"}, {"token": "lo"}]);
    let done = events.iter().find(|(name, _)| name == "response.output_text.done").unwrap();
    assert_eq!(done.1["logprobs"], told);
    let last = &events.last().unwrap().1["response"];
    assert_eq!(last["output"][0]["content"][0]["logprobs"], told);
}

#[test]
fn a_stream_that_was_written_is_read_again() {
    let mut decoder = Decoder::new();
    let (mut text, mut total, mut ended) = (String::new(), 0, false);
    for (name, data) in events(&encoded(&text_answer())) {
        decoder
            .read(Some(&name), &data.to_string(), &mut |event| match event {
                StreamEvent::Delta { delta: Delta::Text(piece), .. } => text.push_str(&piece),
                StreamEvent::Usage(usage) => total = usage.total(),
                StreamEvent::End => ended = true,
                _ => {}
            })
            .unwrap();
    }
    assert_eq!((text.as_str(), total, ended), ("Hello", 5, true));
}

#[test]
fn an_error_ends_the_stream_as_a_failed_response() {
    let error = ProviderError {
        kind: crate::ProviderErrorKind::Overloaded,
        message: "too busy".to_owned(),
        status: None,
        code: None,
        param: None,
        retry_after: None,
    };
    let events = events(&encoded(&[StreamEvent::Failed(error)]));
    assert_eq!(events[0].0, "response.failed");
    assert_eq!(events[0].1["response"]["error"]["message"], "too busy");
}
