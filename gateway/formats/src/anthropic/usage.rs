//! Usage reports. Classes are disjoint on this wire, except thinking, which is part of `output_tokens`.

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::exchange::{Reported, Usage};
use crate::json::Str;

/// A report; those at the end of a stream leave out what they do not repeat.
#[derive(Debug, Default, serde::Deserialize)]
pub(super) struct UsageIn<'a> {
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default)]
    cache_creation_input_tokens: Option<u64>,
    #[serde(default)]
    cache_read_input_tokens: Option<u64>,
    #[serde(default)]
    cache_creation: Option<CacheCreation>,
    #[serde(default)]
    output_tokens: Option<u64>,
    #[serde(default)]
    output_tokens_details: Option<OutputDetails>,
    /// Tier that served the request.
    #[serde(borrow, default)]
    pub(super) service_tier: Option<Str<'a>>,
}

#[derive(Debug, serde::Deserialize)]
struct CacheCreation {
    #[serde(default)]
    ephemeral_1h_input_tokens: u64,
    #[serde(default)]
    ephemeral_5m_input_tokens: u64,
}

#[derive(Debug, serde::Deserialize)]
struct OutputDetails {
    #[serde(default)]
    thinking_tokens: Option<u64>,
}

impl UsageIn<'_> {
    /// The report in disjoint classes, on top of an earlier one of the same answer. What either of them says counts
    /// as final.
    pub(super) fn after(&self, earlier: &Usage) -> Usage {
        let mut usage = *earlier;
        if let Some(total) = self.output_tokens {
            let details = self.output_tokens_details.as_ref().and_then(|details| details.thinking_tokens);
            usage.reasoning = details.unwrap_or(earlier.reasoning).min(total);
            usage.output = total - usage.reasoning;
            usage.output_reported = Reported::Final;
        }
        if self.says_input(earlier) {
            (usage.cache_write_5m, usage.cache_write_1h) = self.cache_writes(earlier);
            usage.input = self.input_tokens.unwrap_or(earlier.input);
            usage.cache_read = self.cache_read_input_tokens.unwrap_or(earlier.cache_read);
        }
        if earlier.input_reported != Reported::No || self.says_input(earlier) {
            usage.input_reported = Reported::Final;
        }
        usage
    }

    /// Some servers that report the prompt at the start of a stream put zeros in its place at the end.
    fn says_input(&self, earlier: &Usage) -> bool {
        let said =
            [self.input_tokens, self.cache_creation_input_tokens, self.cache_read_input_tokens].into_iter();
        let most = said.flatten().max();
        most.is_some_and(|most| most > 0 || earlier.input_total() == 0) || self.cache_creation.is_some()
    }

    /// Tokens written for five minutes and for an hour. A total without its split keeps the hour's tokens of the
    /// earlier report: what is new is of the default kind.
    fn cache_writes(&self, earlier: &Usage) -> (u64, u64) {
        let split = self.cache_creation.as_ref();
        if split.is_none() && self.cache_creation_input_tokens.is_none() {
            return (earlier.cache_write_5m, earlier.cache_write_1h);
        }
        let hour = split.map_or(earlier.cache_write_1h, |split| split.ephemeral_1h_input_tokens);
        let five_minutes = split.map_or(0, |split| split.ephemeral_5m_input_tokens);
        let total = self.cache_creation_input_tokens.unwrap_or(0);
        (five_minutes.max(total.saturating_sub(hour)), hour)
    }
}

/// Writes a report. Prompt tokens of other media count as plain input here.
pub(super) struct UsageOut<'u>(pub(super) &'u Usage, pub(super) Option<&'u str>);

#[derive(serde::Serialize)]
struct Split {
    ephemeral_5m_input_tokens: u64,
    ephemeral_1h_input_tokens: u64,
}

#[derive(serde::Serialize)]
struct Details {
    thinking_tokens: u64,
}

impl Serialize for UsageOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let usage = self.0;
        let cache_writes = usage.cache_write_5m.saturating_add(usage.cache_write_1h);
        let input = usage.input_total().saturating_sub(cache_writes).saturating_sub(usage.cache_read);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("input_tokens", &input)?;
        map.serialize_entry("cache_creation_input_tokens", &cache_writes)?;
        map.serialize_entry("cache_read_input_tokens", &usage.cache_read)?;
        if cache_writes > 0 {
            let split = Split {
                ephemeral_5m_input_tokens: usage.cache_write_5m,
                ephemeral_1h_input_tokens: usage.cache_write_1h,
            };
            map.serialize_entry("cache_creation", &split)?;
        }
        map.serialize_entry("output_tokens", &usage.output_total())?;
        if usage.reasoning > 0 {
            map.serialize_entry("output_tokens_details", &Details { thinking_tokens: usage.reasoning })?;
        }
        if let Some(tier) = self.1 {
            map.serialize_entry("service_tier", tier)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, earlier: &Usage) -> Usage {
        serde_json::from_str::<UsageIn<'_>>(text).unwrap().after(earlier)
    }

    #[test]
    fn classes_are_disjoint() {
        let usage = read(
            r#"{"input_tokens":10,"cache_creation_input_tokens":70,"cache_read_input_tokens":5,
                "cache_creation":{"ephemeral_5m_input_tokens":50,"ephemeral_1h_input_tokens":20},
                "output_tokens":30,"output_tokens_details":{"thinking_tokens":12},"server_tool_use":null}"#,
            &Usage::default(),
        );
        let expected = Usage {
            input: 10,
            cache_read: 5,
            cache_write_5m: 50,
            cache_write_1h: 20,
            output: 18,
            reasoning: 12,
            ..Usage::reported()
        };
        assert_eq!(usage, expected);
        assert_eq!(usage.total(), 115);
    }

    #[test]
    fn a_total_without_its_split_does_not_count_the_hour_twice() {
        let earlier = Usage { cache_write_1h: 40, cache_write_5m: 2, ..Usage::reported() };
        let usage = read(r#"{"cache_creation_input_tokens":42,"output_tokens":3}"#, &earlier);
        assert_eq!((usage.cache_write_5m, usage.cache_write_1h), (2, 40));
        let fresh = read(r#"{"cache_creation_input_tokens":42}"#, &Usage::default());
        assert_eq!((fresh.cache_write_5m, fresh.cache_write_1h), (42, 0));
    }

    #[test]
    fn zeros_at_the_end_of_a_stream_do_not_take_the_prompt_back() {
        let earlier = Usage { input: 10, cache_read: 5000, ..Usage::reported() };
        let usage = read(r#"{"input_tokens":0,"output_tokens":3}"#, &earlier);
        assert_eq!((usage.input, usage.cache_read, usage.output), (10, 5000, 3));
        let usage = read(r#"{"input_tokens":18,"cache_read_input_tokens":8831}"#, &earlier);
        assert_eq!((usage.input, usage.cache_read), (18, 8831));
    }

    #[test]
    fn what_is_written_reads_the_same() {
        let usage = Usage {
            input: 1,
            cache_read: 2,
            cache_write_5m: 3,
            cache_write_1h: 4,
            output: 5,
            reasoning: 6,
            ..Usage::reported()
        };
        let text = serde_json::to_string(&UsageOut(&usage, None)).unwrap();
        assert_eq!(read(&text, &Usage::default()), usage, "{text}");
        let heard = Usage { input: 1, input_audio: 2, ..Usage::reported() };
        assert!(serde_json::to_string(&UsageOut(&heard, None)).unwrap().contains(r#""input_tokens":3"#));
    }
}
