//! What reports of usage say of themselves, format by format: what is missing, what still runs, what is final.

use crate::exchange::{AnswerHead, Reported, StreamDecoder, StreamEncoder, StreamEvent, Usage};
use crate::{anthropic, bedrock, gemini, openai_chat, openai_responses};

use Reported::{Final, No, Running};

type Event = (&'static str, &'static str);

/// Everything that a stream of these events reports, one by one.
fn reports(mut decoder: impl StreamDecoder, events: &[Event]) -> Vec<Usage> {
    let mut reports = Vec::new();
    for (name, data) in events {
        let mut note = |event: StreamEvent<'_>| {
            if let StreamEvent::Usage(usage) = event {
                reports.push(usage);
            }
        };
        decoder.read(Some(name), data, &mut note).unwrap();
    }
    reports
}

fn sides(reports: &[Usage]) -> Vec<(Reported, Reported)> {
    reports.iter().map(|usage| (usage.input_reported, usage.output_reported)).collect()
}

fn merged(reports: &[Usage]) -> Usage {
    let mut usage = Usage::default();
    reports.iter().for_each(|later| usage.update(later));
    usage
}

const MESSAGES: [Event; 2] = [
    (
        "message_start",
        r#"{"type":"message_start","message":{"content":[],"usage":{"input_tokens":8834,"output_tokens":1}}}"#,
    ),
    (
        "message_delta",
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":18,
            "cache_read_input_tokens":8831,"cache_creation_input_tokens":0,"output_tokens":426}}"#,
    ),
];

const CHAT: [Event; 3] = [
    (
        "",
        r#"{"id":"c","choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":100,"completion_tokens":45}}"#,
    ),
    ("", r#"{"id":"c","choices":[{"delta":{},"finish_reason":"stop"}]}"#),
    (
        "",
        r#"{"id":"c","choices":[],"usage":{"prompt_tokens":100,"completion_tokens":50,
            "prompt_tokens_details":{"cached_tokens":90},"completion_tokens_details":{"reasoning_tokens":40}}}"#,
    ),
];

const GENERATE: [Event; 3] = [
    (
        "",
        r#"{"candidates":[{"content":{"parts":[{"text":"a"}]}}],"usageMetadata":{"trafficType":"ON_DEMAND"}}"#,
    ),
    (
        "",
        r#"{"candidates":[{"content":{"parts":[{"text":"b"}]}}],
            "usageMetadata":{"promptTokenCount":100,"totalTokenCount":100}}"#,
    ),
    (
        "",
        r#"{"candidates":[{"content":{"parts":[{"text":"c"}]},"finishReason":"STOP"}],"usageMetadata":
            {"promptTokenCount":100,"cachedContentTokenCount":80,"candidatesTokenCount":3,"totalTokenCount":103}}"#,
    ),
];

const CONVERSE: [Event; 3] = [
    ("messageStart", r#"{"role":"assistant"}"#),
    ("messageStop", r#"{"stopReason":"end_turn"}"#),
    ("metadata", r#"{"usage":{"inputTokens":3,"outputTokens":4,"totalTokens":7}}"#),
];

#[test]
fn a_report_runs_until_the_model_has_stopped() {
    let messages = reports(anthropic::stream::Decoder::new(), &MESSAGES);
    assert_eq!(sides(&messages), [(Running, No), (Final, Final)]);
    let chat = reports(openai_chat::stream::Decoder::new(), &CHAT);
    assert_eq!(sides(&chat), [(Running, Running), (Final, Final)]);
    let generate = reports(gemini::stream::Decoder::new(), &GENERATE);
    assert_eq!(sides(&generate), [(No, No), (Running, Running), (Final, Final)]);
    let converse = reports(bedrock::stream::Decoder::new(), &CONVERSE);
    assert_eq!(sides(&converse), [(Final, Final)]);
    let early = reports(bedrock::stream::Decoder::new(), &[CONVERSE[0], CONVERSE[2]]);
    assert_eq!(sides(&early), [(Running, Running)]);
    let response =
        r#"{"type":"response.incomplete","response":{"status":"incomplete","usage":{"input_tokens":2}}}"#;
    let responses = reports(openai_responses::stream::Decoder::new(), &[("", response)]);
    assert_eq!(sides(&responses), [(Final, No)]);
}

#[test]
fn a_claude_stream_that_adds_to_its_report_is_final_only_at_its_stop() {
    let running = (
        "message_delta",
        r#"{"type":"message_delta","delta":{"stop_reason":null},"usage":{"output_tokens":7}}"#,
    );
    let seen = reports(anthropic::stream::Decoder::new(), &[MESSAGES[0], running, MESSAGES[1]]);
    assert_eq!(sides(&seen), [(Running, No), (Running, Running), (Final, Final)]);
    let silent =
        ("message_delta", r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{}}"#);
    let seen = reports(anthropic::stream::Decoder::new(), &[MESSAGES[0], silent]);
    assert_eq!(sides(&seen), [(Running, No), (Final, No)]);
}

#[test]
fn a_later_report_that_splits_the_prompt_anew_counts_nothing_twice() {
    let messages = merged(&reports(anthropic::stream::Decoder::new(), &MESSAGES));
    assert_eq!(messages, Usage { input: 18, cache_read: 8831, output: 426, ..Usage::reported() });
    let chat = merged(&reports(openai_chat::stream::Decoder::new(), &CHAT));
    assert_eq!(chat, Usage { input: 10, cache_read: 90, output: 10, reasoning: 40, ..Usage::reported() });
    let generate = merged(&reports(gemini::stream::Decoder::new(), &GENERATE));
    assert_eq!(generate, Usage { input: 20, cache_read: 80, output: 3, ..Usage::reported() });
}

/// What a client's stream says it used, when the backend reports as [`MESSAGES`] or [`CHAT`].
fn told(mut encoder: impl StreamEncoder, decoder: impl StreamDecoder, events: &[Event]) -> String {
    let mut out = Vec::new();
    for usage in reports(decoder, events) {
        encoder.write(&StreamEvent::Usage(usage), &mut out);
    }
    encoder.write(&StreamEvent::End, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn clients_are_told_the_last_report() {
    let shown = AnswerHead::default;
    let to_chat =
        told(openai_chat::stream::Encoder::new(shown(), true), anthropic::stream::Decoder::new(), &MESSAGES);
    assert!(to_chat.contains(r#""prompt_tokens":8849,"completion_tokens":426,"#), "{to_chat}");
    let to_messages =
        told(anthropic::stream::Encoder::new(shown()), openai_chat::stream::Decoder::new(), &CHAT);
    let expected = r#""input_tokens":10,"cache_creation_input_tokens":0,"cache_read_input_tokens":90,"output_tokens":50,"#;
    assert!(to_messages.contains(expected), "{to_messages}");
}

fn of_answers(usage: Option<Usage>) -> (Reported, Reported) {
    sides(&[usage.unwrap()])[0]
}

#[test]
fn a_whole_answer_is_final_in_what_it_says() {
    let anthropic = |usage: &str| {
        let body = format!(r#"{{"content":[],"stop_reason":"end_turn","usage":{usage}}}"#);
        of_answers(anthropic::answer::decode(body.as_bytes()).unwrap().usage)
    };
    assert_eq!(anthropic(r#"{"input_tokens":1,"output_tokens":0}"#), (Final, Final));
    assert_eq!(anthropic(r#"{"output_tokens":2}"#), (No, Final));
    let chat = |usage: &str| {
        let body = format!(r#"{{"choices":[{{"message":{{"content":"a"}}}}],"usage":{usage}}}"#);
        of_answers(openai_chat::answer::decode(body.as_bytes()).unwrap().usage)
    };
    assert_eq!(chat(r#"{"prompt_tokens":0,"completion_tokens":0}"#), (Final, Final));
    assert_eq!(chat(r#"{"prompt_tokens":1}"#), (Final, No));
    let response = |status: &str| {
        let body = format!(r#"{{"status":"{status}","usage":{{"input_tokens":1,"output_tokens":2}}}}"#);
        of_answers(openai_responses::answer::decode(body.as_bytes()).unwrap().usage)
    };
    assert_eq!(response("completed"), (Final, Final));
    assert_eq!(response("in_progress"), (Running, Running), "it works in the background");
    let converse =
        br#"{"output":{"message":{"content":[]}},"stopReason":"end_turn","usage":{"inputTokens":1}}"#;
    assert_eq!(of_answers(bedrock::answer::decode(converse).unwrap().usage), (Final, No));
}

#[test]
fn embeddings_have_no_answer_to_count() {
    let said = |usage: &str| {
        let body = format!(r#"{{"data":[],"usage":{usage}}}"#);
        of_answers(crate::openai_embeddings::answer::usage(body.as_bytes()).unwrap())
    };
    assert_eq!(said(r#"{"prompt_tokens":4}"#), (Final, Final));
    assert_eq!(said("{}"), (No, Final));
    assert!(bedrock::invoke::usage([Some(7), None, None, None]).unwrap().is_final());
}
