//! InvokeModel, whose bodies are the models' own: Bedrock says beside them what was used.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use crate::exchange::Usage;

/// Headers of a whole answer that say what was used: input, answer, read from and written to the cache.
pub const USAGE_HEADERS: [&str; 4] = [
    "x-amzn-bedrock-input-token-count",
    "x-amzn-bedrock-output-token-count",
    "x-amzn-bedrock-cache-read-input-token-count",
    "x-amzn-bedrock-cache-write-input-token-count",
];

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    bytes: &'a str,
}

#[derive(Deserialize)]
struct Last {
    #[serde(rename = "amazon-bedrock-invocationMetrics")]
    metrics: Metrics,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metrics {
    #[serde(default)]
    input_token_count: Option<u64>,
    #[serde(default)]
    output_token_count: Option<u64>,
    #[serde(default)]
    cache_read_input_token_count: Option<u64>,
    #[serde(default)]
    cache_write_input_token_count: Option<u64>,
}

/// What the values of [`USAGE_HEADERS`] say, in their order. A model that produces no tokens embeds.
#[must_use]
pub fn usage(counts: [Option<u64>; 4]) -> Option<Usage> {
    let [input, output, cache_read, cache_write] = counts;
    let input = input?;
    let Some(output) = output else { return Some(Usage { embedding: input, ..Usage::reported() }) };
    Some(Usage {
        input,
        output,
        cache_read: cache_read.unwrap_or(0),
        cache_write_5m: cache_write.unwrap_or(0),
        ..Usage::reported()
    })
}

/// Bytes of text in the payload of a streamed chunk, whichever model wrote it: all texts but those that only say what
/// the others are.
#[must_use]
pub fn text_bytes_of_chunk(payload: &[u8]) -> u64 {
    let chunk: Option<Chunk<'_>> = serde_json::from_slice(payload).ok();
    let event = chunk.and_then(|chunk| STANDARD.decode(chunk.bytes).ok());
    event.and_then(|event| serde_json::from_slice(&event).ok()).map_or(0, |event: Value| text_bytes(&event))
}

fn text_bytes(value: &Value) -> u64 {
    const NO_TEXT: [&str; 6] = ["type", "id", "role", "model", "stop_reason", "signature"];
    match value {
        Value::String(text) => text.len() as u64,
        Value::Array(items) => items.iter().map(text_bytes).sum(),
        Value::Object(fields) => {
            let said = fields.iter().filter(|(name, _)| !NO_TEXT.contains(&name.as_str()));
            said.map(|(_, value)| text_bytes(value)).sum()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

/// What the payload of a streamed chunk says; only the last one does.
#[must_use]
pub fn usage_of_chunk(payload: &[u8]) -> Option<Usage> {
    let chunk: Chunk<'_> = serde_json::from_slice(payload).ok()?;
    let event = STANDARD.decode(chunk.bytes).ok()?;
    let Last { metrics } = serde_json::from_slice(&event).ok()?;
    usage([
        metrics.input_token_count,
        metrics.output_token_count,
        metrics.cache_read_input_token_count,
        metrics.cache_write_input_token_count,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_chunk_of_a_stream_says_what_was_used() {
        let payload = |event: &str| format!(r#"{{"bytes":"{}"}}"#, STANDARD.encode(event));
        let last = r#"{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":9,
            "outputTokenCount":4,"invocationLatency":1,"firstByteLatency":1,"cacheReadInputTokenCount":2}}"#;
        let expected = Usage { input: 9, output: 4, cache_read: 2, ..Usage::reported() };
        assert_eq!(usage_of_chunk(payload(last).as_bytes()), Some(expected));
        assert_eq!(usage_of_chunk(payload(r#"{"type":"ping"}"#).as_bytes()), None);
        assert_eq!(usage_of_chunk(br#"{"bytes":"?"}"#), None);
    }

    #[test]
    fn a_chunk_has_the_bytes_of_its_texts_whoever_wrote_it() {
        let bytes = |event: &str| {
            text_bytes_of_chunk(format!(r#"{{"bytes":"{}"}}"#, STANDARD.encode(event)).as_bytes())
        };
        let claude =
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}"#;
        assert_eq!(bytes(claude), 5);
        assert_eq!(bytes(r#"{"generation":"Hi","prompt_token_count":null,"stop_reason":"length"}"#), 2);
        assert_eq!(bytes(r#"{"outputs":[{"text":"a"},{"text":"bc"}]}"#), 3);
        assert_eq!((bytes("no JSON"), text_bytes_of_chunk(b"{}")), (0, 0));
    }

    #[test]
    fn a_model_without_output_embeds() {
        assert_eq!(usage([Some(7), None, None, None]).unwrap().embedding, 7);
        assert_eq!(usage([None; 4]), None);
    }
}
