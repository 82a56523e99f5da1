//! `usageMetadata`: totals per direction with details by modality, taken apart into disjoint classes.

use serde::Deserialize;

use crate::exchange::{Reported, Usage};
use crate::json::Str;

/// Tokens of one exchange. `promptTokenCount` includes what came from the cache; `candidatesTokenCount` leaves
/// thoughts out; results of Google's own tools come on top of the prompt.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct UsageMetadata<'a> {
    prompt_token_count: Option<u64>,
    cached_content_token_count: u64,
    candidates_token_count: Option<u64>,
    thoughts_token_count: Option<u64>,
    tool_use_prompt_token_count: u64,
    total_token_count: Option<u64>,
    #[serde(borrow)]
    prompt_tokens_details: Vec<ModalityCount<'a>>,
    #[serde(borrow)]
    cache_tokens_details: Vec<ModalityCount<'a>>,
    #[serde(borrow)]
    candidates_tokens_details: Vec<ModalityCount<'a>>,
}

impl UsageMetadata<'_> {
    /// Tokens of the answer, if they are said. Google leaves zeros out: an answer without any shows only in a total
    /// that is the prompt's.
    fn produced(&self, prompt: u64) -> Option<u64> {
        let is_empty =
            self.total_token_count == Some(prompt.saturating_add(self.tool_use_prompt_token_count));
        self.candidates_token_count.or(self.thoughts_token_count).or(is_empty.then_some(0))
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ModalityCount<'a> {
    #[serde(borrow)]
    modality: Str<'a>,
    #[serde(default)]
    token_count: u64,
}

fn of(details: &[ModalityCount<'_>], modality: &str) -> u64 {
    details
        .iter()
        .filter(|detail| &*detail.modality == modality)
        .fold(0, |sum: u64, detail| sum.saturating_add(detail.token_count))
}

/// Takes up to `most` out of `rest`, so that parts never exceed their total.
fn take(rest: &mut u64, most: u64) -> u64 {
    let taken = most.min(*rest);
    *rest -= taken;
    taken
}

impl From<&UsageMetadata<'_>> for Usage {
    fn from(usage: &UsageMetadata<'_>) -> Self {
        let uncached = |modality| {
            of(&usage.prompt_tokens_details, modality)
                .saturating_sub(of(&usage.cache_tokens_details, modality))
        };
        let prompt = usage.prompt_token_count.unwrap_or(0);
        let mut input = prompt;
        let cache_read = take(&mut input, usage.cached_content_token_count);
        let input_audio = take(&mut input, uncached("AUDIO"));
        let input_image = take(&mut input, uncached("IMAGE"));
        let mut output = usage.candidates_token_count.unwrap_or(0);
        let output_audio = take(&mut output, of(&usage.candidates_tokens_details, "AUDIO"));
        Self {
            input: input.saturating_add(usage.tool_use_prompt_token_count),
            cache_read,
            input_audio,
            input_image,
            output,
            output_audio,
            reasoning: usage.thoughts_token_count.unwrap_or(0),
            input_reported: Reported::of(usage.prompt_token_count),
            output_reported: Reported::of(usage.produced(prompt)),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn usage(json: &str) -> Usage {
        Usage::from(&serde_json::from_str::<UsageMetadata<'_>>(json).unwrap())
    }

    #[test]
    fn classes_are_disjoint_and_add_up_to_the_total() {
        let read = usage(
            r#"{"promptTokenCount":100,"cachedContentTokenCount":40,"candidatesTokenCount":20,
            "thoughtsTokenCount":30,"toolUsePromptTokenCount":5,"totalTokenCount":155,
            "promptTokensDetails":[{"modality":"TEXT","tokenCount":60},{"modality":"AUDIO","tokenCount":25},
                {"modality":"IMAGE","tokenCount":15}],
            "cacheTokensDetails":[{"modality":"TEXT","tokenCount":30},{"modality":"AUDIO","tokenCount":10}],
            "candidatesTokensDetails":[{"modality":"AUDIO","tokenCount":8},{"modality":"TEXT","tokenCount":12}]}"#,
        );
        let expected = Usage {
            input: 35,
            cache_read: 40,
            input_audio: 15,
            input_image: 15,
            output: 12,
            output_audio: 8,
            reasoning: 30,
            ..Usage::reported()
        };
        assert_eq!(read, expected);
        assert_eq!(read.total(), 155);
    }

    #[test]
    fn what_is_not_said_is_unknown_unless_the_total_says_that_it_is_zero() {
        assert_eq!(usage(r#"{"trafficType":"ON_DEMAND"}"#), Usage::default());
        let prompt = Usage { input: 9, input_reported: Reported::Final, ..Usage::default() };
        assert_eq!(usage(r#"{"promptTokenCount":9}"#), prompt);
        let blocked = Usage { input: 9, ..Usage::reported() };
        assert_eq!(usage(r#"{"promptTokenCount":9,"totalTokenCount":9}"#), blocked);
    }

    proptest! {
        #[test]
        fn parts_never_exceed_what_the_provider_counted(
            prompt in 0_u64..1_000, cached in 0_u64..2_000, audio in 0_u64..2_000, image in 0_u64..2_000,
        ) {
            let json = format!(
                r#"{{"promptTokenCount":{prompt},"cachedContentTokenCount":{cached},"promptTokensDetails":[
                {{"modality":"AUDIO","tokenCount":{audio}}},{{"modality":"IMAGE","tokenCount":{image}}}]}}"#
            );
            prop_assert_eq!(usage(&json).input_total(), prompt);
        }
    }
}
