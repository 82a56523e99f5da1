//! Token counts: exact by the o200k encoding, or a cheap estimate.

use serde::Serialize;
use tiktoken_rs::o200k_base_singleton;

use crate::sim::request::ChatRequest;

/// How tokens are counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TokenMode {
    /// Four bytes a token, rounded up: takes no time.
    #[default]
    Estimate,
    /// With the tokenizer of current models; the first use loads it.
    Exact,
}

/// The `usage` object of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Usage {
    /// Tokens of the prompt, those from the prompt cache included.
    pub prompt_tokens: u64,
    /// Tokens of the answer, those of reasoning included.
    pub completion_tokens: u64,
    /// Both.
    pub total_tokens: u64,
    /// Parts of the prompt.
    pub prompt_tokens_details: PromptDetails,
    /// Parts of the answer.
    pub completion_tokens_details: CompletionDetails,
}

/// Parts of [`Usage::prompt_tokens`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct PromptDetails {
    /// Tokens that were served from the prompt cache.
    pub cached_tokens: u64,
    /// Tokens of audio; always 0.
    pub audio_tokens: u64,
}

/// Parts of [`Usage::completion_tokens`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct CompletionDetails {
    /// Tokens spent on reasoning.
    pub reasoning_tokens: u64,
}

impl Usage {
    /// Puts the counts together.
    #[must_use]
    pub fn new(prompt: u64, cached: u64, visible: u64, reasoning: u64) -> Self {
        Self {
            prompt_tokens: prompt,
            completion_tokens: visible + reasoning,
            total_tokens: prompt + visible + reasoning,
            prompt_tokens_details: PromptDetails { cached_tokens: cached, audio_tokens: 0 },
            completion_tokens_details: CompletionDetails { reasoning_tokens: reasoning },
        }
    }
}

impl TokenMode {
    /// Tokens of a text.
    #[must_use]
    pub fn count(self, text: &str) -> u64 {
        let tokens = match self {
            Self::Estimate => text.len().div_ceil(4),
            Self::Exact => o200k_base_singleton().encode_ordinary(text).len(),
        };
        tokens as u64
    }

    /// Tokens of a chat prompt: its texts, 3 a message for the frame around it, and 3 that open the answer.
    #[must_use]
    pub fn count_prompt(self, request: &ChatRequest<'_>) -> u64 {
        let frames = 3 * request.messages.len() as u64 + 3;
        let texts = request.messages.iter().map(|message| {
            let content: u64 = message.texts().map(|text| self.count(text)).sum();
            self.count(&message.role) + content
        });
        frames + texts.sum::<u64>()
    }
}

/// Prompts shorter than this are never served from the prompt cache.
const SHORTEST_CACHED: u64 = 1024;

/// How much of a prompt whose beginning was seen before comes from the prompt cache: the half, in steps of 128.
#[must_use]
pub fn cached_part(prompt_tokens: u64) -> u64 {
    if prompt_tokens < SHORTEST_CACHED { 0 } else { prompt_tokens / 2 / 128 * 128 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_counts_are_those_of_the_encoding() {
        assert_eq!(TokenMode::Exact.count("hello world"), 2);
        assert_eq!(TokenMode::Exact.count(""), 0);
    }

    #[test]
    fn cached_tokens_come_in_steps_and_never_for_short_prompts() {
        assert_eq!(cached_part(1023), 0);
        assert_eq!(cached_part(1024), 512);
        assert_eq!(cached_part(1300), 640);
    }
}
