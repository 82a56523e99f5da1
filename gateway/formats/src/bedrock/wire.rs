//! What answers and streams of Converse have in common on the wire.

use serde::Deserialize;

use crate::exchange::{Reported, Stop, Usage};
use crate::json::Str;

/// `TokenUsage`: `inputTokens` leaves cached input out, `outputTokens` includes reasoning.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TokenUsage<'a> {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_write_input_tokens: Option<u64>,
    #[serde(borrow)]
    cache_details: Option<Vec<CacheDetail<'a>>>,
}

/// Tokens written to the cache, by how long they stay.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CacheDetail<'a> {
    #[serde(borrow)]
    ttl: Str<'a>,
    input_tokens: u64,
}

impl From<TokenUsage<'_>> for Usage {
    fn from(usage: TokenUsage<'_>) -> Self {
        let written = usage.cache_write_input_tokens.unwrap_or(0);
        let for_an_hour = usage
            .cache_details
            .iter()
            .flatten()
            .filter(|detail| &*detail.ttl == "1h")
            .fold(0_u64, |sum, detail| sum.saturating_add(detail.input_tokens))
            .min(written);
        Self {
            input: usage.input_tokens.unwrap_or(0),
            cache_read: usage.cache_read_input_tokens.unwrap_or(0),
            cache_write_5m: written - for_an_hour,
            cache_write_1h: for_an_hour,
            output: usage.output_tokens.unwrap_or(0),
            input_reported: Reported::of(usage.input_tokens),
            output_reported: Reported::of(usage.output_tokens),
            ..Self::default()
        }
    }
}

/// What a model adds beyond Converse; asked for with `additionalModelResponseFieldPaths`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AdditionalFields<'a> {
    #[serde(borrow)]
    pub(super) stop_sequence: Option<Str<'a>>,
}

/// `serviceTier`.
#[derive(Debug, Deserialize)]
pub(super) struct ServiceTier<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Str<'a>,
}

/// What a `stopReason` means.
pub(super) fn stop(reason: &str) -> Stop {
    match reason {
        "end_turn" => Stop::End,
        "tool_use" => Stop::ToolUse,
        "max_tokens" | "model_context_window_exceeded" => Stop::Length,
        "stop_sequence" => Stop::StopSequence,
        "guardrail_intervened" | "content_filtered" => Stop::ContentFilter,
        _ => Stop::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(json: &str) -> Usage {
        serde_json::from_str::<TokenUsage<'_>>(json).unwrap().into()
    }

    #[test]
    fn classes_are_disjoint_and_cache_writes_are_split_by_time() {
        let read = usage(
            r#"{"inputTokens":10,"outputTokens":5,"totalTokens":115,"cacheReadInputTokens":60,
                "cacheWriteInputTokens":40,"cacheDetails":[{"ttl":"1h","inputTokens":30},{"ttl":"5m","inputTokens":10}]}"#,
        );
        assert_eq!(
            read,
            Usage {
                input: 10,
                cache_read: 60,
                cache_write_5m: 10,
                cache_write_1h: 30,
                output: 5,
                ..Usage::reported()
            }
        );
        assert_eq!(read.total(), 115);
    }

    #[test]
    fn cache_writes_without_details_are_the_short_ones() {
        let read = usage(r#"{"inputTokens":1,"outputTokens":1,"cacheWriteInputTokens":7}"#);
        assert_eq!((read.cache_write_5m, read.cache_write_1h), (7, 0));
    }
}
