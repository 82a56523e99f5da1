//! OpenAI's usage object: totals with details inside them, taken apart into disjoint classes and put together.

use serde::Deserialize;

use crate::exchange::{Reported, Usage};
use crate::json::Object;

/// `usage` of an answer or of a stream's chunk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct UsageReport {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
    #[serde(default)]
    total_tokens: Option<u64>,
    #[serde(default)]
    prompt_tokens_details: Option<PromptDetails>,
    #[serde(default)]
    completion_tokens_details: Option<CompletionDetails>,
    /// Where DeepSeek says what came from its cache.
    #[serde(default)]
    prompt_cache_hit_tokens: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Option<u64>,
    #[serde(default)]
    audio_tokens: Option<u64>,
    #[serde(default)]
    image_tokens: Option<u64>,
    /// Of gateways in front of providers that bill it.
    #[serde(default)]
    cache_write_tokens: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
struct CompletionDetails {
    #[serde(default)]
    reasoning_tokens: Option<u64>,
    #[serde(default)]
    audio_tokens: Option<u64>,
}

impl UsageReport {
    /// Disjoint classes: details are taken out of their totals.
    ///
    /// Some servers keep reasoning out of `completion_tokens` and count it in `total_tokens` alone (Gemini's
    /// compatible endpoint, xAI): what the total has beyond its parts is reasoning. Where one part is missing, the
    /// total tells it.
    #[must_use]
    pub(crate) fn usage(&self) -> Usage {
        let rest_of = |part: Option<u64>| Some(self.total_tokens?.saturating_sub(part?));
        let prompt_said = self.prompt_tokens.or_else(|| rest_of(self.completion_tokens));
        let completion_said = self.completion_tokens.or_else(|| rest_of(self.prompt_tokens));
        let (prompt, said) = (prompt_said.unwrap_or(0), completion_said.unwrap_or(0));
        let hidden = match (prompt_said, completion_said) {
            (Some(_), Some(_)) => self.total_tokens.unwrap_or(0).saturating_sub(prompt.saturating_add(said)),
            _ => 0,
        };
        let mut input = Rest(prompt);
        let details = self.prompt_tokens_details.unwrap_or_default();
        let cache_read = input.take(details.cached_tokens.or(self.prompt_cache_hit_tokens));
        let cache_write_5m = input.take(details.cache_write_tokens);
        let input_audio = input.take(details.audio_tokens);
        let input_image = input.take(details.image_tokens);
        let mut output = Rest(said.saturating_add(hidden));
        let details = self.completion_tokens_details.unwrap_or_default();
        let reasoning = output.take(Some(details.reasoning_tokens.unwrap_or(0).max(hidden)));
        let output_audio = output.take(details.audio_tokens);
        Usage {
            input: input.0,
            cache_read,
            cache_write_5m,
            input_audio,
            input_image,
            output: output.0,
            reasoning,
            output_audio,
            input_reported: Reported::of(prompt_said),
            output_reported: Reported::of(completion_said),
            ..Usage::default()
        }
    }

    /// The usage of embeddings, which have a prompt only.
    #[must_use]
    pub(crate) fn embedding(&self) -> Usage {
        let said = self.prompt_tokens.or(self.total_tokens);
        Usage { embedding: said.unwrap_or(0), input_reported: Reported::of(said), ..Usage::reported() }
    }
}

/// What is left of a total; a detail larger than it would make tokens from nothing.
struct Rest(u64);

impl Rest {
    fn take(&mut self, detail: Option<u64>) -> u64 {
        let taken = detail.unwrap_or(0).min(self.0);
        self.0 -= taken;
        taken
    }
}

/// Writes a usage object, as OpenAI does with all its details.
pub(crate) fn write(out: &mut Vec<u8>, usage: &Usage) {
    let mut object = Object::new(out);
    object
        .put("prompt_tokens", &usage.input_total())
        .put("completion_tokens", &usage.output_total())
        .put("total_tokens", &usage.total());
    object.object("prompt_tokens_details", |details| {
        details.put("cached_tokens", &usage.cache_read).put("audio_tokens", &usage.input_audio);
        let written = usage.cache_write_5m.saturating_add(usage.cache_write_1h);
        details.given("cache_write_tokens", (written > 0).then_some(written));
        details.given("image_tokens", (usage.input_image > 0).then_some(usage.input_image));
    });
    object.object("completion_tokens_details", |details| {
        details.put("reasoning_tokens", &usage.reasoning).put("audio_tokens", &usage.output_audio);
        details.put("accepted_prediction_tokens", &0).put("rejected_prediction_tokens", &0);
    });
    object.end();
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(json: &str, expected: Usage) {
        assert_eq!(serde_json::from_str::<UsageReport>(json).unwrap().usage(), expected, "{json}");
    }

    #[test]
    fn details_are_taken_out_of_their_totals() {
        check(
            r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
                "prompt_tokens_details":{"cached_tokens":60},"completion_tokens_details":{"reasoning_tokens":20}}"#,
            Usage { input: 40, cache_read: 60, output: 30, reasoning: 20, ..Usage::reported() },
        );
    }

    #[test]
    fn reasoning_beside_the_completion_is_found_in_the_total() {
        check(
            r#"{"prompt_tokens":12,"completion_tokens":8,"total_tokens":135}"#,
            Usage { input: 12, output: 8, reasoning: 115, ..Usage::reported() },
        );
        check(
            r#"{"prompt_tokens":32,"completion_tokens":9,"total_tokens":166,"completion_tokens_details":{"reasoning_tokens":125}}"#,
            Usage { input: 32, output: 9, reasoning: 125, ..Usage::reported() },
        );
    }

    #[test]
    fn null_details_and_an_explicit_zero_are_values() {
        check(r#"{"prompt_tokens":0,"completion_tokens":0,"prompt_tokens_details":null}"#, Usage::reported());
    }

    #[test]
    fn a_part_that_is_not_said_is_told_by_the_total_or_unknown() {
        let both = Usage { input: 9, output: 4, ..Usage::reported() };
        check(r#"{"completion_tokens":4,"total_tokens":13}"#, both);
        check(r#"{"prompt_tokens":9,"total_tokens":13}"#, both);
        check(r#"{"total_tokens":13}"#, Usage::default());
        let prompt = Usage { input: 9, input_reported: Reported::Final, ..Usage::default() };
        check(r#"{"prompt_tokens":9}"#, prompt);
    }

    #[test]
    fn cache_hits_in_the_words_of_other_servers_count() {
        check(
            r#"{"prompt_tokens":10,"completion_tokens":1,"prompt_cache_hit_tokens":6,"prompt_cache_miss_tokens":4}"#,
            Usage { input: 4, cache_read: 6, output: 1, ..Usage::reported() },
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(classes in proptest::array::uniform8(0u64..1_000_000)) {
            let [input, cache_read, cache_write_5m, input_audio, input_image, output, reasoning, output_audio] = classes;
            let usage = Usage { input, cache_read, cache_write_5m, input_audio, input_image, output, reasoning, output_audio, ..Usage::reported() };
            let mut json = Vec::new();
            write(&mut json, &usage);
            prop_assert_eq!(serde_json::from_slice::<UsageReport>(&json).unwrap().usage(), usage);
        }

        #[test]
        fn classes_add_up_to_the_totals(p in 0u64..1_000_000, c in 0u64..1_000_000, details in proptest::array::uniform4(0u64..2_000_000)) {
            let report = UsageReport {
                prompt_tokens: Some(p),
                completion_tokens: Some(c),
                prompt_tokens_details: Some(PromptDetails { cached_tokens: Some(details[0]), audio_tokens: Some(details[1]), ..PromptDetails::default() }),
                completion_tokens_details: Some(CompletionDetails { reasoning_tokens: Some(details[2]), audio_tokens: Some(details[3]) }),
                ..UsageReport::default()
            };
            prop_assert_eq!(report.usage().total(), p + c);
        }
    }
}
