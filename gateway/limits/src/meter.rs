//! What a limit counts, and what a request has consumed of it.

/// What a limit counts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Meter {
    /// Tokens of prompts.
    InputTokens,
    /// Tokens of completions.
    OutputTokens,
    /// Tokens of prompts and completions together.
    Tokens,
    /// Requests, whatever they consume.
    Requests,
}

impl Meter {
    /// Its name in configuration, counter keys and metrics.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::InputTokens => "input_tokens",
            Self::OutputTokens => "output_tokens",
            Self::Tokens => "tokens",
            Self::Requests => "requests",
        }
    }

    /// One unit of it, in a sentence.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::InputTokens => "input token",
            Self::OutputTokens => "output token",
            Self::Tokens => "token",
            Self::Requests => "request",
        }
    }

    /// Several units of it, in a sentence.
    #[must_use]
    pub const fn units(self) -> &'static str {
        match self {
            Self::InputTokens => "input tokens",
            Self::OutputTokens => "output tokens",
            Self::Tokens => "tokens",
            Self::Requests => "requests",
        }
    }

    /// Whether a prompt's size makes a difference.
    pub(super) const fn counts_input(self) -> bool {
        matches!(self, Self::InputTokens | Self::Tokens)
    }

    /// Whether its units are tokens.
    #[must_use]
    pub const fn counts_tokens(self) -> bool {
        !matches!(self, Self::Requests)
    }

    /// What one request comes to.
    pub(super) const fn reading(self, consumed: &Consumed) -> u64 {
        match self {
            Self::InputTokens => consumed.input,
            Self::OutputTokens => consumed.output,
            Self::Tokens => consumed.tokens(),
            Self::Requests => 1,
        }
    }
}

/// What a request has consumed, or is expected to. Zero is the default.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Consumed {
    /// Tokens of its prompt.
    pub input: u64,
    /// Tokens of its completion.
    pub output: u64,
}

impl Consumed {
    /// Prompt and completion together; at most `u64::MAX`, because backends may report anything.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_meter_reads_its_own_part_of_what_a_request_consumed() {
        let consumed = Consumed { input: 30, output: 4 };
        let meters = [Meter::InputTokens, Meter::OutputTokens, Meter::Tokens, Meter::Requests];
        assert_eq!(meters.map(|meter| meter.reading(&consumed)), [30, 4, 34, 1]);
    }

    #[test]
    fn an_absurd_report_is_no_small_sum() {
        assert_eq!(Consumed { input: 1 << 63, output: 1 << 63 }.tokens(), u64::MAX);
    }
}
