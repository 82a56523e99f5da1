//! Whatever comes, nothing panics; what is written reads the same.

use proptest::prelude::*;

use super::{answer, count_tokens, error, request, stream, view};
use tollgate_families::ApiFormat;

use crate::exchange::{AnswerHead, StreamDecoder, StreamEncoder};
use crate::testing::target;
use crate::unmapped::{OnUnmappable, Unmapped};

/// JSON built from the words of the format, so that readers get past the first field.
fn almost_a_body() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "type",
        "text",
        "messages",
        "content",
        "role",
        "user",
        "assistant",
        "tool_use",
        "tool_result",
        "image",
        "source",
        "base64",
        "url",
        "data",
        "id",
        "name",
        "input",
        "thinking",
        "signature",
        "system",
        "tools",
        "max_tokens",
        "index",
        "delta",
        "content_block",
        "message",
        "message_start",
        "content_block_start",
        "content_block_delta",
        "text_delta",
        "usage",
        "error",
        "output_tokens",
        "stop_reason",
        "document",
    ]);
    let leaf = prop_oneof![
        word.clone().prop_map(|word| format!("\"{word}\"")),
        any::<i64>().prop_map(|number| number.to_string()),
        Just("null".to_owned()),
        Just("true".to_owned()),
        "\"[ -~]{0,8}\"".prop_map(|text| serde_json::to_string(&text).unwrap_or_default()),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        let member = (word.clone(), inner.clone()).prop_map(|(name, value)| format!("\"{name}\":{value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    })
}

/// Runs everything that reads.
fn read_all(body: &[u8]) {
    let _ = view::view(body);
    let _ = count_tokens::decode(body);
    let _ = error::decode(500, body);
    for policy in [OnUnmappable::Reject, OnUnmappable::Drop] {
        if let Ok(request) = request::decode(body) {
            let _ =
                request::encode(&request, target("claude", ApiFormat::Anthropic), &mut Unmapped::new(policy));
        }
    }
    if let Ok(read) = answer::decode(body) {
        let written = answer::encode(&read, &AnswerHead::default());
        assert!(answer::decode(&written).is_ok());
    }
    if let Ok(data) = std::str::from_utf8(body) {
        let mut decoder = stream::Decoder::new();
        let mut encoder = stream::Encoder::new(AnswerHead::default());
        let mut out = Vec::new();
        let start = r#"{"type":"message_start","message":{}}"#;
        let names =
            ["content_block_start", "content_block_delta", "content_block_stop", "message_delta", "error"];
        let events = [(None, start), (None, data)].into_iter().chain(names.map(|name| (Some(name), data)));
        for (name, data) in events {
            let _ = decoder.read(name, data, &mut |event| encoder.write(&event, &mut out));
        }
        let _ = decoder.finish(&mut |event| encoder.write(&event, &mut out));
        assert!(std::str::from_utf8(&out).is_ok());
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(body in prop::collection::vec(any::<u8>(), 0..256)) {
        read_all(&body);
    }

    #[test]
    fn bodies_that_are_nearly_right_are_read_without_panic(body in almost_a_body()) {
        read_all(body.as_bytes());
    }

    #[test]
    fn a_conversation_means_the_same_when_it_is_read_again(
        texts in prop::collection::vec("\\PC{0,11}[a-z]", 1..8),
        arguments in prop::collection::btree_map("[a-z]{1,4}", any::<i32>(), 0..4),
        max_tokens in 1_u64..64_000,
        hundredths in 0_u8..=100,
    ) {
        let messages: Vec<_> = texts
            .iter()
            .enumerate()
            .map(|(index, text)| match index % 2 {
                0 => serde_json::json!({"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": format!("t{index}"), "content": text},
                    {"type": "text", "text": text, "cache_control": {"type": "ephemeral"}},
                ]}),
                _ => serde_json::json!({"role": "assistant", "content": [
                    {"type": "text", "text": text},
                    {"type": "tool_use", "id": format!("t{}", index + 1), "name": "f", "input": arguments},
                ]}),
            })
            .collect();
        let body = serde_json::json!({
            "model": "claude-sonnet-4-5", "max_tokens": max_tokens, "messages": messages,
            "temperature": f64::from(hundredths) / 100.0, "stop_sequences": texts,
        });
        let text = body.to_string();
        let read = request::decode(text.as_bytes()).unwrap();
        let written = request::encode(&read, target("claude-sonnet-4-5", ApiFormat::Anthropic), &mut Unmapped::default()).unwrap();
        prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&written).unwrap(), body);
    }
}
