//! What an exchange used, in disjoint classes.

use smallvec::SmallVec;
use tollgate_schemas::tokens::{TokenClass, UsageLine};

/// Lines of one answer; few enough to stay on the stack.
pub type Lines = SmallVec<[UsageLine; 6]>;

/// Tokens of an exchange. Classes are disjoint: cached input is not part of `input`, reasoning is not part of
/// `output`. Providers that report totals are taken apart when they are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Prompt tokens at full price.
    pub input: u64,
    /// Prompt tokens from the provider's prompt cache.
    pub cache_read: u64,
    /// Prompt tokens written to the five-minute prompt cache.
    pub cache_write_5m: u64,
    /// Prompt tokens written to the one-hour prompt cache.
    pub cache_write_1h: u64,
    /// Audio tokens of the prompt.
    pub input_audio: u64,
    /// Image tokens of the prompt, where they are counted apart.
    pub input_image: u64,
    /// Visible tokens of the answer.
    pub output: u64,
    /// Tokens spent on thinking.
    pub reasoning: u64,
    /// Audio tokens of the answer.
    pub output_audio: u64,
    /// Tokens embedded.
    pub embedding: u64,
    /// Images produced.
    pub images: u64,
}

impl Usage {
    /// All prompt tokens.
    #[must_use]
    pub const fn input_total(&self) -> u64 {
        self.input
            .saturating_add(self.cache_read)
            .saturating_add(self.cache_write_5m)
            .saturating_add(self.cache_write_1h)
            .saturating_add(self.input_audio)
            .saturating_add(self.input_image)
            .saturating_add(self.embedding)
    }

    /// All tokens of the answer.
    #[must_use]
    pub const fn output_total(&self) -> u64 {
        self.output.saturating_add(self.reasoning).saturating_add(self.output_audio)
    }

    /// Prompt and answer together: what a token limit is charged.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.input_total().saturating_add(self.output_total())
    }

    /// Takes over a later report: each class counts up during a stream, so the larger value is the newer one.
    pub fn update(&mut self, later: &Self) {
        for (mine, new) in self.classes_mut().into_iter().zip(later.classes()) {
            *mine.1 = (*mine.1).max(new.1);
        }
    }

    /// As lines of a usage event; classes of zero are left out.
    #[must_use]
    pub fn lines(&self) -> Lines {
        self.classes()
            .into_iter()
            .filter(|(_, qty)| *qty > 0)
            .map(|(class, qty)| UsageLine { class, qty })
            .collect()
    }

    const fn classes(&self) -> [(TokenClass, u64); 11] {
        [
            (TokenClass::Input, self.input),
            (TokenClass::InputCacheRead, self.cache_read),
            (TokenClass::InputCacheWrite5m, self.cache_write_5m),
            (TokenClass::InputCacheWrite1h, self.cache_write_1h),
            (TokenClass::InputAudio, self.input_audio),
            (TokenClass::InputImage, self.input_image),
            (TokenClass::Output, self.output),
            (TokenClass::OutputReasoning, self.reasoning),
            (TokenClass::OutputAudio, self.output_audio),
            (TokenClass::Embedding, self.embedding),
            (TokenClass::Image, self.images),
        ]
    }

    fn classes_mut(&mut self) -> [(TokenClass, &mut u64); 11] {
        [
            (TokenClass::Input, &mut self.input),
            (TokenClass::InputCacheRead, &mut self.cache_read),
            (TokenClass::InputCacheWrite5m, &mut self.cache_write_5m),
            (TokenClass::InputCacheWrite1h, &mut self.cache_write_1h),
            (TokenClass::InputAudio, &mut self.input_audio),
            (TokenClass::InputImage, &mut self.input_image),
            (TokenClass::Output, &mut self.output),
            (TokenClass::OutputReasoning, &mut self.reasoning),
            (TokenClass::OutputAudio, &mut self.output_audio),
            (TokenClass::Embedding, &mut self.embedding),
            (TokenClass::Image, &mut self.images),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_hold_every_class_that_is_not_zero() {
        let usage = Usage { input: 3, cache_read: 2, reasoning: 1, ..Usage::default() };
        let lines: Vec<_> = usage.lines().iter().map(|line| (line.class, line.qty)).collect();
        let expected =
            [(TokenClass::Input, 3), (TokenClass::InputCacheRead, 2), (TokenClass::OutputReasoning, 1)];
        assert_eq!(lines, expected);
        assert_eq!(usage.total(), 6);
    }

    #[test]
    fn a_later_report_never_loses_what_an_earlier_one_said() {
        let mut usage = Usage { input: 10, output: 1, ..Usage::default() };
        usage.update(&Usage { output: 25, ..Usage::default() });
        assert_eq!((usage.input, usage.output), (10, 25));
    }
}
