//! How a model is told to think, and what becomes of its thoughts.

use serde::{Deserialize, Serialize};

use crate::effort::{Effort, Nearest};
use crate::group::{group, words};

words! {
    /// How a model is told to think, in the words of the place that serves it.
    Style {
        /// Not at all: it does not think, or its name decides; the fields are refused.
        None,
        /// An effort word: `reasoning_effort`, `reasoning.effort`.
        Effort,
        /// Claude's `thinking: {type: enabled, budget_tokens}`.
        ClaudeBudget,
        /// Claude's `thinking: {type: adaptive}` with `output_config.effort`.
        ClaudeAdaptive,
        /// Gemini's `thinkingBudget`.
        GeminiBudget,
        /// Gemini's `thinkingLevel`.
        GeminiLevel,
        /// `thinking: {type: enabled | disabled}`, with `reasoning_effort` where there are efforts.
        ThinkingType,
        /// `enable_thinking` and `thinking_budget`, with `reasoning_effort` where there are efforts.
        EnableThinking,
        /// Amazon Nova's `reasoningConfig {type, maxReasoningEffort}`.
        ReasoningConfig,
        /// Cohere's `thinking: {type, token_budget}`.
        TokenBudget,
    }
}

words! {
    /// Whether a model thinks without being told.
    Thinks {
        /// No.
        Off,
        /// Yes; it can be told not to.
        On,
        /// Yes, whatever it is told.
        Always,
    }
}

words! {
    /// How a model is told not to think.
    Off {
        /// By leaving the fields out, because it does not think by itself.
        Omit,
        /// By the effort `none`.
        Word,
        /// By a budget of 0.
        BudgetZero,
        /// By `thinking: {type: disabled}` (or its like in the same style).
        Disabled,
        /// By `enable_thinking: false`.
        EnableFalse,
        /// It always thinks; nearest is Claude's `thinking: {type: between_tools}`.
        BetweenTools,
        /// It always thinks.
        Cannot,
    }
}

words! {
    /// Whether forced tools (`required`, one by name) are taken.
    Forced {
        /// Yes.
        Taken,
        /// Not while the model thinks.
        NotThinking,
        /// Never; `auto` is nearest.
        Refused,
    }
}

words! {
    /// Whether the answer shows thoughts.
    Shown {
        /// By itself.
        Always,
        /// If the request asks for them.
        Asked,
        /// Never.
        Never,
    }
}

words! {
    /// In which form thoughts of earlier turns come back to the model.
    Returned {
        /// Not at all: the model or the place that serves it refuses or ignores them.
        Nothing,
        /// Claude's `thinking` blocks with `signature`, and `redacted_thinking`.
        Signed,
        /// Items of Responses, with `encrypted_content`.
        Items,
        /// Gemini's `thoughtSignature` on the first call of each step.
        Signature,
        /// `reasoning_content` of an assistant message.
        ReasoningContent,
        /// `reasoning` of an assistant message.
        Reasoning,
        /// `reasoning_details` of an assistant message, unchanged and in order.
        ReasoningDetails,
        /// Parts of type `thinking` in an assistant message.
        Parts,
    }
}

words! {
    /// On which earlier turns the model wants its thoughts.
    When {
        /// On none; the answers are better with them.
        Optional,
        /// On turns of tool use that are not finished.
        ToolLoop,
        /// On assistant turns with calls of tools; an empty text will do where there are none.
        CallTurns,
        /// On each assistant turn of a conversation that used tools.
        EachTurn,
    }
}

words! {
    /// What the proof of a thought is bound to.
    Binding {
        /// Nothing: there are no proofs.
        None,
        /// The model and the place that made it.
        Model,
        /// These, and all text before it.
        Prefix,
    }
}

impl Style {
    /// Whether a number of thinking tokens can be said.
    #[must_use]
    pub const fn has_budgets(self) -> bool {
        matches!(
            self,
            Self::ClaudeBudget
                | Self::ClaudeAdaptive
                | Self::GeminiBudget
                | Self::EnableThinking
                | Self::TokenBudget
        )
    }
}

/// Bounds of a budget of thinking tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Fewest tokens.
    pub least: u64,
    /// Most tokens; no bound of its own when absent.
    #[serde(default)]
    pub most: Option<u64>,
}

group! {
    /// How a model is told to think.
    Reasoning, ReasoningOverrides {
        /// In which words.
        style: Style = Style::Effort,
        /// Efforts that it knows. `none` among them switches thinking off by the word.
        efforts: Vec<Effort> = Effort::ALL.to_vec(),
        /// Further efforts where it is asked by Responses.
        responses_efforts: Vec<Effort> = Vec::new(),
        /// Bounds of a budget; no budgets when absent.
        budget: Option<Budget> = None,
        /// Whether it thinks without being told.
        default: Thinks = Thinks::Off,
        /// The effort that holds without one, where known.
        default_effort: Option<Effort> = None,
        /// How it is told not to think.
        off: Off = Off::Word,
        /// Efforts that may stand beside the form of `off`; any when empty.
        off_efforts: Vec<Effort> = Vec::new(),
        /// Whether chat completions refuse function tools unless the effort is `none`.
        chat_tools_without_effort: bool = false,
        /// Whether forced tools are taken.
        forced_tools: Forced = Forced::Taken,
        /// Whether the answer shows thoughts.
        shown: Shown = Shown::Always,
    }
}

group! {
    /// Thoughts of earlier turns.
    Thoughts, ThoughtsOverrides {
        /// In which form they come back.
        returned: Returned = Returned::Nothing,
        /// On which turns the model wants them.
        when: When = When::Optional,
        /// What their proofs are bound to.
        bound_to: Binding = Binding::None,
    }
}

impl Reasoning {
    /// Whether the model thinks when it is told this effort; `None` for a request that says nothing.
    #[must_use]
    pub fn thinks(&self, effort: Option<Effort>) -> bool {
        match effort {
            Some(Effort::None) => self.always(),
            Some(_) => self.style != Style::None || self.always(),
            None => self.default != Thinks::Off,
        }
    }

    /// Whether it thinks whatever it is told.
    #[must_use]
    pub fn always(&self) -> bool {
        self.default == Thinks::Always || matches!(self.off, Off::Cannot | Off::BetweenTools)
    }

    /// The word for a wanted effort, `None` if it knows none. `none` of a model that can be told not to think stays
    /// `none`, whatever the form of [`Self::off`].
    #[must_use]
    pub fn nearest(&self, wanted: Effort, by_responses: bool) -> Option<Nearest> {
        if wanted == Effort::None && !self.always() {
            return Some(Nearest { effort: Effort::None, changed: false });
        }
        if !by_responses || self.responses_efforts.is_empty() {
            return wanted.nearest(&self.efforts);
        }
        wanted.nearest(&[&*self.efforts, &*self.responses_efforts].concat())
    }

    /// Makes the rest follow from how the model is asked and whether it always thinks: a place that asks in other
    /// words switches off in other words too.
    pub(crate) fn settle(&mut self) {
        self.off = self.off_that_fits();
        if !self.style.has_budgets() {
            self.budget = None;
        }
        if self.style == Style::None {
            self.efforts.clear();
            self.responses_efforts.clear();
        }
        if self.style != Style::ClaudeAdaptive {
            self.off_efforts.clear();
        }
        if self.off != Off::Word {
            self.efforts.retain(|effort| *effort != Effort::None);
        } else if !self.efforts.contains(&Effort::None) {
            self.efforts.insert(0, Effort::None);
        }
    }

    fn off_that_fits(&self) -> Off {
        let (asks, off) = (self.style, self.off);
        match self.default {
            Thinks::Always if off == Off::BetweenTools && asks == Style::ClaudeAdaptive => off,
            Thinks::Always => Off::Cannot,
            Thinks::Off if off == Off::Omit || asks == Style::None => Off::Omit,
            Thinks::Off | Thinks::On => match asks {
                Style::Effort if off == Off::Word || self.default == Thinks::On => Off::Word,
                Style::Effort => Off::Omit,
                Style::ClaudeBudget
                | Style::ClaudeAdaptive
                | Style::ThinkingType
                | Style::ReasoningConfig
                | Style::TokenBudget => Off::Disabled,
                Style::GeminiBudget => Off::BudgetZero,
                Style::EnableThinking => Off::EnableFalse,
                Style::None | Style::GeminiLevel => Off::Cannot,
            },
        }
    }

    /// A budget within the bounds, `None` if there are no budgets.
    #[must_use]
    pub fn budget_within(&self, wanted: u64) -> Option<u64> {
        let budget = self.budget?;
        Some(wanted.min(budget.most.unwrap_or(u64::MAX)).max(budget.least))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(reasoning: Reasoning) -> Reasoning {
        let mut reasoning = reasoning;
        reasoning.settle();
        reasoning
    }

    #[test]
    fn switching_off_follows_the_words_of_the_place() {
        let on = |style, off| Reasoning {
            style,
            off,
            default: Thinks::On,
            efforts: vec![Effort::Low],
            ..Reasoning::default()
        };
        for (reasoning, off, efforts) in [
            (on(Style::Effort, Off::Disabled), Off::Word, &[Effort::None, Effort::Low][..]),
            (on(Style::ClaudeBudget, Off::EnableFalse), Off::Disabled, &[Effort::Low]),
            (on(Style::GeminiBudget, Off::Word), Off::BudgetZero, &[Effort::Low]),
            (on(Style::None, Off::Word), Off::Cannot, &[]),
            (
                Reasoning { default: Thinks::Off, ..on(Style::Effort, Off::Disabled) },
                Off::Omit,
                &[Effort::Low],
            ),
            (
                Reasoning { default: Thinks::Always, ..on(Style::Effort, Off::Word) },
                Off::Cannot,
                &[Effort::Low],
            ),
            (
                Reasoning { default: Thinks::Always, ..on(Style::ClaudeAdaptive, Off::BetweenTools) },
                Off::BetweenTools,
                &[Effort::Low],
            ),
        ] {
            let found = settled(reasoning.clone());
            assert_eq!((found.off, &*found.efforts), (off, efforts), "{reasoning:?}");
        }
    }

    #[test]
    fn a_model_that_can_be_switched_off_keeps_the_wish_and_another_gets_its_lowest_word() {
        let mut reasoning = Reasoning {
            efforts: vec![Effort::Low, Effort::High],
            off: Off::Disabled,
            ..Reasoning::default()
        };
        assert_eq!(
            reasoning.nearest(Effort::None, false),
            Some(Nearest { effort: Effort::None, changed: false })
        );
        reasoning.default = Thinks::Always;
        assert_eq!(
            reasoning.nearest(Effort::None, false),
            Some(Nearest { effort: Effort::Low, changed: true })
        );
        assert!(reasoning.thinks(Some(Effort::None)) && reasoning.thinks(None));
        reasoning.responses_efforts = vec![Effort::Max];
        assert_eq!(reasoning.nearest(Effort::Max, false).map(|near| near.effort), Some(Effort::High));
        assert_eq!(
            reasoning.nearest(Effort::Max, true),
            Some(Nearest { effort: Effort::Max, changed: false })
        );
    }

    #[test]
    fn budgets_stay_within_their_bounds() {
        let of = |budget| Reasoning { budget, ..Reasoning::default() };
        let bounds = Some(Budget { least: 128, most: Some(32_768) });
        assert_eq!(
            [1, 500, 99_999].map(|wanted| of(bounds).budget_within(wanted)),
            [Some(128), Some(500), Some(32_768)]
        );
        assert_eq!(of(None).budget_within(5), None);
    }
}
