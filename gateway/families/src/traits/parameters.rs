//! How long an answer may be, and the parameters of sampling.

use crate::group::{group, words};

words! {
    /// The field that bounds an answer in OpenAI's chat format; other formats have one word each.
    OutputWord {
        /// `max_tokens` alone; the other is refused or ignored.
        MaxTokens,
        /// `max_completion_tokens` alone; the other is refused.
        MaxCompletionTokens,
        /// Either, not both.
        Either,
    }
}

words! {
    /// When a parameter is taken.
    Taken {
        /// Always.
        Always,
        /// Taken and without effect.
        Ignored,
        /// Without effect while the model thinks.
        IgnoredThinking,
        /// Refused while the model thinks, unless it is the default.
        NotThinking,
        /// Refused unless it is the default.
        DefaultOnly,
        /// Refused.
        Refused,
    }
}

words! {
    /// What the seed is called.
    SeedWord {
        /// `seed`.
        Seed,
        /// `random_seed`.
        RandomSeed,
        /// There is none.
        None,
    }
}

/// What becomes of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is sent.
    Send,
    /// It is left out, and nothing changes by that: the model does the same without it.
    Leave,
    /// The model would take no notice of it: it is left out, and the client may be told.
    Ignored,
    /// The model would refuse it.
    Refused,
}

impl Taken {
    /// What becomes of it for a request that lets the model think or not. `is_default` says that the wanted value is
    /// what holds without it.
    #[must_use]
    pub const fn fate(self, thinks: bool, is_default: bool) -> Fate {
        match (self, thinks, is_default) {
            (Self::Always, ..) | (Self::IgnoredThinking | Self::NotThinking, false, _) => Fate::Send,
            (Self::Ignored, ..) | (Self::IgnoredThinking, true, _) => Fate::Ignored,
            (Self::NotThinking | Self::DefaultOnly, _, true) => Fate::Leave,
            (Self::NotThinking, true, false) | (Self::DefaultOnly, _, false) | (Self::Refused, ..) => {
                Fate::Refused
            }
        }
    }
}

group! {
    /// How long an answer may be.
    Output, OutputOverrides {
        /// The field that bounds it in OpenAI's chat format.
        word: OutputWord = OutputWord::Either,
        /// Whether a request must have it.
        required: bool = false,
        /// Most tokens of an answer; more is refused.
        most: Option<u64> = None,
        /// Most tokens of an answer that is not streamed, where that is fewer.
        most_unstreamed: Option<u64> = None,
        /// Tokens of prompt and answer together.
        window: Option<u64> = None,
    }
}

group! {
    /// Parameters of sampling.
    Sampling, SamplingOverrides {
        /// `temperature`; the default is 1.
        temperature: Taken = Taken::Always,
        /// Highest `temperature`.
        temperature_most: f64 = 2.0,
        /// `top_p`; the default is 1.
        top_p: Taken = Taken::Always,
        /// Lowest `top_p` while the model thinks.
        top_p_least_thinking: Option<f64> = None,
        /// `top_k`.
        top_k: Taken = Taken::Always,
        /// Whether `temperature` and `top_p` are refused together.
        temperature_or_top_p: bool = false,
        /// `presence_penalty` and `frequency_penalty`; the default is 0.
        penalties: Taken = Taken::Always,
        /// Texts that end the answer.
        stop: Taken = Taken::Always,
        /// Most of them.
        stop_most: Option<u32> = None,
        /// What the seed is called.
        seed: SeedWord = SeedWord::Seed,
        /// `logprobs` and `top_logprobs`.
        logprobs: Taken = Taken::Always,
        /// `logit_bias`.
        logit_bias: Taken = Taken::Always,
        /// Most answers of one request.
        n_most: Option<u32> = None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_sent_left_out_or_refused_by_what_the_request_wants() {
        for (taken, thinking, default_thinking, not_thinking) in [
            (Taken::Always, Fate::Send, Fate::Send, Fate::Send),
            (Taken::Ignored, Fate::Ignored, Fate::Ignored, Fate::Ignored),
            (Taken::IgnoredThinking, Fate::Ignored, Fate::Ignored, Fate::Send),
            (Taken::NotThinking, Fate::Refused, Fate::Leave, Fate::Send),
            (Taken::DefaultOnly, Fate::Refused, Fate::Leave, Fate::Refused),
            (Taken::Refused, Fate::Refused, Fate::Refused, Fate::Refused),
        ] {
            let found = (taken.fate(true, false), taken.fate(true, true), taken.fate(false, false));
            assert_eq!(found, (thinking, default_thinking, not_thinking), "{taken:?}");
        }
    }
}
