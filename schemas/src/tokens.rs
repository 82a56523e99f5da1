//! Token classes: disjoint by definition, so that lines can be added without counting anything twice.

use serde::{Deserialize, Serialize};

/// What one line of usage counts. Classes are disjoint: cached input is not part of `input`,
/// reasoning is not part of `output`. Providers that report totals are normalised when they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum TokenClass {
    /// Prompt tokens that were processed at full price.
    #[serde(rename = "input")]
    Input,
    /// Prompt tokens served from the provider's prompt cache.
    #[serde(rename = "input.cache_read")]
    InputCacheRead,
    /// Prompt tokens written to the provider's five-minute prompt cache.
    #[serde(rename = "input.cache_write_5m")]
    InputCacheWrite5m,
    /// Prompt tokens written to the provider's one-hour prompt cache.
    #[serde(rename = "input.cache_write_1h")]
    InputCacheWrite1h,
    /// Audio tokens in the prompt.
    #[serde(rename = "input.audio")]
    InputAudio,
    /// Image tokens in the prompt, where the provider counts them apart.
    #[serde(rename = "input.image")]
    InputImage,
    /// Visible completion tokens.
    #[serde(rename = "output")]
    Output,
    /// Completion tokens spent on reasoning.
    #[serde(rename = "output.reasoning")]
    OutputReasoning,
    /// Audio tokens in the completion.
    #[serde(rename = "output.audio")]
    OutputAudio,
    /// Tokens embedded.
    #[serde(rename = "embedding")]
    Embedding,
    /// Images produced.
    #[serde(rename = "image")]
    Image,
    /// Requests, where a call itself has a price.
    #[serde(rename = "request")]
    Request,
    /// Seconds of committed capacity.
    #[serde(rename = "ptu_second")]
    PtuSecond,
    /// Bytes of a request's body, where nothing better is known of a call that is passed through.
    #[serde(rename = "request.bytes")]
    RequestBytes,
    /// Bytes of an answer's body, where nothing better is known of a call that is passed through.
    #[serde(rename = "answer.bytes")]
    AnswerBytes,
}

impl TokenClass {
    /// Every class, in the order of reports.
    pub const ALL: [Self; 15] = [
        Self::Input,
        Self::InputCacheRead,
        Self::InputCacheWrite5m,
        Self::InputCacheWrite1h,
        Self::InputAudio,
        Self::InputImage,
        Self::Output,
        Self::OutputReasoning,
        Self::OutputAudio,
        Self::Embedding,
        Self::Image,
        Self::Request,
        Self::PtuSecond,
        Self::RequestBytes,
        Self::AnswerBytes,
    ];

    /// The name used in events, price books and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::InputCacheRead => "input.cache_read",
            Self::InputCacheWrite5m => "input.cache_write_5m",
            Self::InputCacheWrite1h => "input.cache_write_1h",
            Self::InputAudio => "input.audio",
            Self::InputImage => "input.image",
            Self::Output => "output",
            Self::OutputReasoning => "output.reasoning",
            Self::OutputAudio => "output.audio",
            Self::Embedding => "embedding",
            Self::Image => "image",
            Self::Request => "request",
            Self::PtuSecond => "ptu_second",
            Self::RequestBytes => "request.bytes",
            Self::AnswerBytes => "answer.bytes",
        }
    }

    /// Whether the class counts tokens that went towards the model.
    #[must_use]
    pub const fn is_input(self) -> bool {
        matches!(
            self,
            Self::Input
                | Self::InputCacheRead
                | Self::InputCacheWrite5m
                | Self::InputCacheWrite1h
                | Self::InputAudio
                | Self::InputImage
                | Self::Embedding
        )
    }

    /// Whether the class counts tokens that came from the model.
    #[must_use]
    pub const fn is_output(self) -> bool {
        matches!(self, Self::Output | Self::OutputReasoning | Self::OutputAudio)
    }
}

/// One line of usage: so many of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UsageLine {
    /// What is counted.
    pub class: TokenClass,
    /// How many.
    pub qty: u64,
}

/// Tokens towards the model over all lines.
#[must_use]
pub fn input_tokens(lines: &[UsageLine]) -> u64 {
    sum(lines, TokenClass::is_input)
}

/// Tokens from the model over all lines.
#[must_use]
pub fn output_tokens(lines: &[UsageLine]) -> u64 {
    sum(lines, TokenClass::is_output)
}

/// Saturates: backends may report anything.
fn sum(lines: &[UsageLine], counts: fn(TokenClass) -> bool) -> u64 {
    let counted = lines.iter().filter(|line| counts(line.class));
    counted.fold(0, |sum, line| sum.saturating_add(line.qty))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_on_the_wire_match_as_str() {
        for class in TokenClass::ALL {
            assert_eq!(serde_json::to_string(&class).unwrap(), format!("\"{}\"", class.as_str()));
        }
    }

    #[test]
    fn an_absurd_report_is_no_small_sum() {
        let line = |class| UsageLine { class, qty: 1 << 63 };
        let lines = [TokenClass::Input, TokenClass::Output, TokenClass::OutputReasoning].map(line);
        assert_eq!((input_tokens(&lines), output_tokens(&lines)), (1 << 63, u64::MAX));
    }

    #[test]
    fn no_class_is_both_input_and_output() {
        assert!(TokenClass::ALL.iter().all(|class| !(class.is_input() && class.is_output())));
    }
}
