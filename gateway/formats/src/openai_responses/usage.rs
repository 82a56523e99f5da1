//! Usage as Responses tell it.

use serde::Deserialize;

use crate::exchange::{Reported, Usage};
use crate::json::Object;

/// `usage` of a response.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct UsageReport {
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default)]
    output_tokens: Option<u64>,
    #[serde(default)]
    input_tokens_details: Option<InputDetails>,
    #[serde(default)]
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct InputDetails {
    #[serde(default)]
    cached_tokens: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct OutputDetails {
    #[serde(default)]
    reasoning_tokens: Option<u64>,
}

impl UsageReport {
    /// Disjoint classes: details are taken out of their totals.
    pub(super) fn usage(&self) -> Usage {
        let cached = self.input_tokens_details.and_then(|details| details.cached_tokens).unwrap_or(0);
        let reasoning = self.output_tokens_details.and_then(|details| details.reasoning_tokens).unwrap_or(0);
        let (input, output) = (self.input_tokens.unwrap_or(0), self.output_tokens.unwrap_or(0));
        let (cache_read, reasoning) = (cached.min(input), reasoning.min(output));
        Usage {
            input: input - cache_read,
            cache_read,
            output: output - reasoning,
            reasoning,
            input_reported: Reported::of(self.input_tokens),
            output_reported: Reported::of(self.output_tokens),
            ..Usage::default()
        }
    }
}

/// Writes a usage object.
pub(super) fn write(out: &mut Vec<u8>, usage: &Usage) {
    let mut object = Object::new(out);
    object.put("input_tokens", &usage.input_total());
    object.object("input_tokens_details", |details| {
        details.put("cached_tokens", &usage.cache_read);
    });
    object.put("output_tokens", &usage.output_total());
    object.object("output_tokens_details", |details| {
        details.put("reasoning_tokens", &usage.reasoning);
    });
    object.put("total_tokens", &usage.total());
    object.end();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let usage = Usage { input: 40, cache_read: 60, output: 30, reasoning: 20, ..Usage::reported() };
        let mut out = Vec::new();
        write(&mut out, &usage);
        assert_eq!(serde_json::from_slice::<UsageReport>(&out).unwrap().usage(), usage);
    }
}
