//! Answers of each kind, cut anywhere.

use base64::Engine as _;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use tollgate_admission::MemoryBudget;
use tollgate_crossing::Wire;
use tollgate_formats::bedrock::event_stream::encode_event;
use tollgate_formats::openai_media::MediaKind;

use super::*;

/// Bytes of memory.
const LIMIT: u64 = 1 << 20;

fn headers(kind: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))])
}

fn observer(reading: Reading, kind: &'static str) -> Observer {
    let server = ServerConfig::default();
    Observer::new(Some(reading), &headers(kind), &server, MemoryBudget::new(2 * LIMIT).hold(&"s".into()))
}

/// Tokens and model heard of an answer that comes in pieces of `size` bytes.
fn heard(reading: Reading, kind: &'static str, answer: &[u8], size: usize) -> (Option<u64>, Option<String>) {
    let mut observer = observer(reading, kind);
    for piece in answer.chunks(size) {
        observer.read(&Bytes::copy_from_slice(piece));
    }
    observer.end();
    assert!(observer.is_done());
    (observer.produced().usage.map(|usage| usage.total()), observer.model().map(str::to_owned))
}

fn check(reading: Reading, kind: &'static str, answer: &[u8], tokens: Option<u64>, model: Option<&str>) {
    for size in [1, 7, answer.len().max(1)] {
        let expected = (tokens, model.map(str::to_owned));
        assert_eq!(heard(reading, kind, answer, size), expected, "{reading:?} in pieces of {size}");
    }
}

#[test]
fn streams_of_each_format_say_what_was_used() {
    let chat = b"data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-x\",\"choices\":\
        [{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\n\
        data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-x\",\"choices\":[],\
        \"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}}\n\ndata: [DONE]\n\n";
    check(Reading::Wire(Wire::Chat), "text/event-stream; charset=utf-8", chat, Some(5), Some("gpt-x"));
    let image = b"data: {\"type\":\"image_generation.completed\",\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}\n\n";
    let media = Reading::Wire(Wire::Media(MediaKind::ImageGeneration));
    check(media, "text/event-stream", image, Some(7), None);
}

#[test]
fn binary_streams_of_bedrock_say_what_was_used() {
    let kind = "application/vnd.amazon.eventstream";
    let mut converse = Vec::new();
    encode_event("messageStart", r#"{"role":"assistant"}"#, &mut converse).unwrap();
    encode_event("messageStop", r#"{"stopReason":"end_turn"}"#, &mut converse).unwrap();
    let usage = r#"{"usage":{"inputTokens":8,"outputTokens":3,"totalTokens":11},"metrics":{"latencyMs":1}}"#;
    encode_event("metadata", usage, &mut converse).unwrap();
    check(Reading::Wire(Wire::Converse), kind, &converse, Some(11), None);

    let event = r#"{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":9,"outputTokenCount":4}}"#;
    let payload = format!(r#"{{"bytes":"{}"}}"#, base64::engine::general_purpose::STANDARD.encode(event));
    let mut invoke = Vec::new();
    encode_event("chunk", &payload, &mut invoke).unwrap();
    check(Reading::Invoke, kind, &invoke, Some(13), None);
}

#[test]
fn whole_answers_are_read_at_their_end() {
    let message = br#"{"id":"m","type":"message","role":"assistant","model":"claude-x","content":[],
        "stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":6,"output_tokens":1}}"#;
    check(Reading::Wire(Wire::Messages), "application/json", message, Some(7), Some("claude-x"));
    check(Reading::Wire(Wire::Messages), "application/json", b"{\"broken", None, None);
    check(Reading::Wire(Wire::Media(MediaKind::Speech)), "audio/mpeg", &[0xff; 64], None, None);
}

#[test]
fn what_is_compressed_unknown_or_of_another_type_is_left_alone() {
    let mut gzip = headers("application/json");
    gzip.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    let hold = || MemoryBudget::new(2 * LIMIT).hold(&"s".into());
    for (reading, headers) in [
        (Some(Reading::Wire(Wire::Chat)), gzip),
        (Some(Reading::Wire(Wire::Chat)), headers("application/octet-stream")),
        (Some(Reading::Wire(Wire::Chat)), headers("application/vnd.amazon.eventstream")),
        (None, headers("application/json")),
    ] {
        let mut observer = Observer::new(reading, &headers, &ServerConfig::default(), hold());
        observer.read(&Bytes::from_static(b"{}"));
        assert!(!observer.is_done() && !observer.is_stream());
        observer.end();
        assert_eq!(observer.produced().usage, None);
    }
}

#[test]
fn an_answer_beyond_the_bound_or_the_memory_is_not_held() {
    let budget = MemoryBudget::new(200);
    let reading = Some(Reading::Wire(Wire::Chat));
    let mut observer = Observer::new(
        reading,
        &headers("application/json"),
        &ServerConfig::default(),
        budget.hold(&"s".into()),
    );
    observer.read(&Bytes::from(vec![b' '; 60]));
    assert_eq!(budget.used_bytes(), 60);
    observer.read(&Bytes::from(vec![b' '; 60]));
    assert_eq!(budget.used_bytes(), 0);
    let small =
        ServerConfig { max_answer: Some(tollgate_settings::units::Bytes(8)), ..ServerConfig::default() };
    let mut observer = Observer::new(reading, &headers("application/json"), &small, budget.hold(&"s".into()));
    observer.read(&Bytes::from(vec![b' '; 9]));
    assert_eq!(budget.used_bytes(), 0);
}

#[test]
fn a_stream_that_the_backend_breaks_off_with_an_error_has_failed() {
    let mut observer = observer(Reading::Wire(Wire::Messages), "text/event-stream");
    observer.read(&Bytes::from_static(
        b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"no\"}}\n\n",
    ));
    assert!(observer.is_done() && observer.has_failed() && !observer.produced().complete);
}

#[test]
fn invoke_is_read_from_headers_alone() {
    let mut headers = headers("application/json");
    headers
        .insert(HeaderName::from_static("x-amzn-bedrock-input-token-count"), HeaderValue::from_static("5"));
    let hold = MemoryBudget::new(1).hold(&"s".into());
    let observer = Observer::new(Some(Reading::Invoke), &headers, &ServerConfig::default(), hold);
    assert_eq!(observer.produced().usage.unwrap().embedding, 5);
}

/// Bytes of what was generated, as far as it was understood, of an answer that is cut.
fn cut(reading: Reading, kind: &'static str, answer: &[u8]) -> (String, u64) {
    let mut observer = observer(reading, kind);
    observer.read(&Bytes::copy_from_slice(answer));
    let produced = observer.produced();
    assert!(
        !produced.complete && produced.prompt_sent && produced.usage.is_none_or(|usage| !usage.is_final())
    );
    (produced.text.to_owned(), produced.text_beyond)
}

#[test]
fn of_a_stream_that_is_cut_the_text_is_known() {
    let chunk = |text: &str| {
        format!(
            "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":\
             [{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":null}}]}}\n\n"
        )
    };
    let chat = [chunk("Hello"), chunk(" there")].concat();
    assert_eq!(
        cut(Reading::Wire(Wire::Chat), "text/event-stream", chat.as_bytes()),
        ("Hello there".into(), 0)
    );
    let claude = b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\
        \"role\":\"assistant\",\"model\":\"c\",\"content\":[],\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}}\n\n\
        event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\
        \"text\",\"text\":\"\"}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\
        \"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\n";
    assert_eq!(cut(Reading::Wire(Wire::Messages), "text/event-stream", claude), ("Hello".into(), 0));
    let event = r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"Hello"}}"#;
    let payload = format!(r#"{{"bytes":"{}"}}"#, base64::engine::general_purpose::STANDARD.encode(event));
    let mut invoke = Vec::new();
    encode_event("chunk", &payload, &mut invoke).unwrap();
    assert_eq!(cut(Reading::Invoke, "application/vnd.amazon.eventstream", &invoke), (String::new(), 5));
}

#[test]
fn of_what_cannot_be_read_the_bytes_are_known() {
    assert_eq!(cut(Reading::Wire(Wire::Chat), "application/json", b"{\"id\":"), (String::new(), 6));
    assert_eq!(cut(Reading::Wire(Wire::Chat), "text/plain", b"Hello"), (String::new(), 5));
}

#[test]
fn a_whole_answer_that_does_not_say_what_it_used_is_known_by_its_text() {
    let chat = br#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,
        "message":{"role":"assistant","content":"Hello there"},"finish_reason":"stop"}]}"#;
    let mut observer = observer(Reading::Wire(Wire::Chat), "application/json");
    observer.read(&Bytes::from_static(chat));
    observer.end();
    let produced = observer.produced();
    assert_eq!((produced.text, produced.text_beyond, produced.usage), ("Hello there", 0, None));
}
