//! OpenAI's usage object, turned into disjoint token classes.

use serde::Deserialize;
use smallvec::SmallVec;
use tollgate_schemas::tokens::{TokenClass, UsageLine};

/// Lines of one answer; few enough to stay on the stack.
pub type Lines = SmallVec<[UsageLine; 6]>;

/// `usage` of an answer or of a stream's last chunk. OpenAI reports totals with details inside them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct Usage {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
    #[serde(default)]
    prompt_tokens_details: Option<PromptDetails>,
    #[serde(default)]
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Option<u64>,
    #[serde(default)]
    audio_tokens: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
struct CompletionDetails {
    #[serde(default)]
    reasoning_tokens: Option<u64>,
    #[serde(default)]
    audio_tokens: Option<u64>,
}

impl Usage {
    /// Disjoint lines: details are taken out of their totals, classes of zero are left out.
    #[must_use]
    pub fn lines(&self) -> Lines {
        let mut lines = Lines::new();
        let mut add = |class, qty| {
            if qty > 0 {
                lines.push(UsageLine { class, qty });
            }
        };
        let prompt = self.prompt_tokens.unwrap_or(0);
        let details = self.prompt_tokens_details.unwrap_or_default();
        // A detail larger than its total would make tokens from nothing.
        let cached = details.cached_tokens.unwrap_or(0).min(prompt);
        let audio = details.audio_tokens.unwrap_or(0).min(prompt - cached);
        add(TokenClass::Input, prompt - cached - audio);
        add(TokenClass::InputCacheRead, cached);
        add(TokenClass::InputAudio, audio);
        let completion = self.completion_tokens.unwrap_or(0);
        let details = self.completion_tokens_details.unwrap_or_default();
        let reasoning = details.reasoning_tokens.unwrap_or(0).min(completion);
        let audio = details.audio_tokens.unwrap_or(0).min(completion - reasoning);
        add(TokenClass::Output, completion - reasoning - audio);
        add(TokenClass::OutputReasoning, reasoning);
        add(TokenClass::OutputAudio, audio);
        lines
    }

    /// Prompt and completion together: what a token limit is charged.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.prompt_tokens.unwrap_or(0).saturating_add(self.completion_tokens.unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(json: &str, expected: &[(TokenClass, u64)]) {
        let lines = serde_json::from_str::<Usage>(json).unwrap().lines();
        let lines: Vec<_> = lines.iter().map(|line| (line.class, line.qty)).collect();
        assert_eq!(lines, expected, "{json}");
    }

    #[test]
    fn details_are_taken_out_of_their_totals() {
        check(
            r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
                "prompt_tokens_details":{"cached_tokens":60},"completion_tokens_details":{"reasoning_tokens":20}}"#,
            &[
                (TokenClass::Input, 40),
                (TokenClass::InputCacheRead, 60),
                (TokenClass::Output, 30),
                (TokenClass::OutputReasoning, 20),
            ],
        );
    }

    #[test]
    fn null_details_and_an_explicit_zero_are_values() {
        check(r#"{"prompt_tokens":0,"completion_tokens":0,"prompt_tokens_details":null}"#, &[]);
    }

    proptest! {
        #[test]
        fn lines_add_up_to_the_totals(p in 0u64..1_000_000, c in 0u64..1_000_000, details in proptest::array::uniform4(0u64..2_000_000)) {
            let usage = Usage {
                prompt_tokens: Some(p),
                completion_tokens: Some(c),
                prompt_tokens_details: Some(PromptDetails { cached_tokens: Some(details[0]), audio_tokens: Some(details[1]) }),
                completion_tokens_details: Some(CompletionDetails { reasoning_tokens: Some(details[2]), audio_tokens: Some(details[3]) }),
            };
            prop_assert_eq!(usage.lines().iter().map(|line| line.qty).sum::<u64>(), usage.total());
        }
    }
}
