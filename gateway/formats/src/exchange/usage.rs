//! What an exchange used, in disjoint classes.

use smallvec::SmallVec;
use tollgate_schemas::tokens::{TokenClass, UsageLine};

/// Lines of one answer; few enough to stay on the stack.
pub type Lines = SmallVec<[UsageLine; 6]>;

/// How far a provider has reported one side of an exchange.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reported {
    /// Not at all: the side's zeros mean "unknown".
    #[default]
    No,
    /// Up to now: the model had not stopped, so the true quantities may be larger.
    Running,
    /// Completely: zero means zero.
    Final,
}

impl Reported {
    /// What the last report says of a side, by its total.
    pub(crate) const fn of(total: Option<u64>) -> Self {
        if total.is_some() { Self::Final } else { Self::No }
    }
}

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
    /// How far the prompt's classes are reported: `input` to `input_image`, and `embedding`.
    pub input_reported: Reported,
    /// How far the answer's classes are reported: `output` to `output_audio`, and `images`.
    pub output_reported: Reported,
}

impl Usage {
    /// A final report of zeros, to build others upon. [`Usage::default`] is the one of which nothing is reported.
    #[must_use]
    pub const fn reported() -> Self {
        Self { input_reported: Reported::Final, output_reported: Reported::Final, ..Self::UNKNOWN }
    }

    /// The same report, made before the model stopped: what is final in it is running.
    #[must_use]
    pub const fn running(self) -> Self {
        const fn running(side: Reported) -> Reported {
            match side {
                Reported::No => Reported::No,
                Reported::Running | Reported::Final => Reported::Running,
            }
        }
        Self {
            input_reported: running(self.input_reported),
            output_reported: running(self.output_reported),
            ..self
        }
    }

    /// Whether nothing is missing on either side.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!((self.input_reported, self.output_reported), (Reported::Final, Reported::Final))
    }

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

    /// Takes over a later report of the same answer. Each side that it reports replaces the earlier one as a whole,
    /// because providers move tokens between classes from one report to the next. Zero replaces no count: servers
    /// that say a side only once fill it with zeros in their other reports.
    pub fn update(&mut self, later: &Self) {
        let replaces =
            |later: u64, reported: Reported, mine: u64| later > 0 || (mine == 0 && reported != Reported::No);
        let earlier = *self;
        if replaces(later.input_total(), later.input_reported, earlier.input_total()) {
            *self = Self {
                output: self.output,
                reasoning: self.reasoning,
                output_audio: self.output_audio,
                images: self.images,
                output_reported: self.output_reported,
                ..*later
            };
        }
        if replaces(later.produced(), later.output_reported, earlier.produced()) {
            self.output = later.output;
            self.reasoning = later.reasoning;
            self.output_audio = later.output_audio;
            self.images = later.images;
            self.output_reported = later.output_reported;
        }
    }

    /// Whether nobody said yet how long the prompt is. Zeros at the start of a stream are placeholders: no prompt is
    /// empty.
    #[must_use]
    pub const fn lacks_input(&self) -> bool {
        self.input_total() == 0 && !matches!(self.input_reported, Reported::Final)
    }

    /// Fills in a prompt that was not reported with what the gateway counted. Gives whether it did.
    pub fn complete_input(&mut self, counted: UsageLine) -> bool {
        if !self.lacks_input() || counted.qty == 0 {
            return false;
        }
        match counted.class {
            TokenClass::Embedding => self.embedding = counted.qty,
            _ => self.input = counted.qty,
        }
        true
    }

    /// Raises an answer that is not reported to its end to the tokens that the gateway counted in what it relayed.
    /// Gives whether it did.
    pub fn complete_output(&mut self, counted: u64) -> bool {
        let missing = counted.saturating_sub(self.output_total());
        if self.output_reported == Reported::Final || missing == 0 {
            return false;
        }
        self.output = self.output.saturating_add(missing);
        true
    }

    /// The answer's side in one number; only zero matters.
    const fn produced(&self) -> u64 {
        self.output_total().saturating_add(self.images)
    }

    const UNKNOWN: Self = Self {
        input: 0,
        cache_read: 0,
        cache_write_5m: 0,
        cache_write_1h: 0,
        input_audio: 0,
        input_image: 0,
        output: 0,
        reasoning: 0,
        output_audio: 0,
        embedding: 0,
        images: 0,
        input_reported: Reported::No,
        output_reported: Reported::No,
    };

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
    fn a_later_report_replaces_each_side_that_it_reports() {
        let mut usage = Usage { input: 8834, ..Usage::reported() }.running();
        usage.update(&Usage { output: 7, output_reported: Reported::Running, ..Usage::default() });
        assert_eq!((usage.input, usage.output, usage.input_reported), (8834, 7, Reported::Running));
        let last = Usage { input: 18, cache_read: 8831, output: 3, reasoning: 9, ..Usage::reported() };
        usage.update(&last);
        assert_eq!(usage, last);
        usage.update(&Usage::default());
        assert_eq!(usage, last);
    }

    #[test]
    fn zeros_replace_no_count_but_they_do_replace_silence() {
        let mut usage = Usage::default();
        usage.update(&Usage::reported().running());
        assert_eq!(usage, Usage::reported().running());
        let counted = Usage { input: 10, output: 4, ..Usage::reported() };
        usage.update(&counted);
        usage.update(&Usage::reported());
        assert_eq!(usage, counted);
    }

    #[test]
    fn what_a_provider_left_open_is_completed_and_what_it_said_is_not_touched() {
        let line = |class, qty| UsageLine { class, qty };
        let mut cut = Usage { input: 10, ..Usage::default() };
        cut.input_reported = Reported::Running;
        assert!(!cut.complete_input(line(TokenClass::Input, 99)) && cut.complete_output(5));
        assert_eq!((cut.input, cut.output), (10, 5));
        let mut behind = Usage { input: 10, output: 2, reasoning: 3, ..Usage::reported() }.running();
        assert!(behind.complete_output(9) && !behind.complete_output(9));
        assert_eq!(behind.output_total(), 9);
        let mut last = Usage::reported();
        assert!(!last.complete_input(line(TokenClass::Input, 1)) && !last.complete_output(1));
        let mut silent = Usage::default();
        assert!(silent.complete_input(line(TokenClass::Embedding, 6)) && !silent.complete_output(0));
        assert_eq!((silent.embedding, silent.input), (6, 0));
    }
}
