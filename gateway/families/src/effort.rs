//! How much a model may think, in words, and the nearest word that a model knows.

use serde::{Deserialize, Serialize};

/// How much a model may think, in words, from the least to the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Effort {
    /// Not at all.
    None,
    /// Hardly.
    Minimal,
    /// A little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
    /// More than `high`; a value of its own at OpenAI and Anthropic.
    XHigh,
    /// As much as it can.
    Max,
}

/// The word that a model is told, and whether it is another than the wanted one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nearest {
    /// What the model is told.
    pub effort: Effort,
    /// Whether the client asked for something else and should be told so.
    pub changed: bool,
}

impl Effort {
    /// All of them, from the least to the most.
    pub const ALL: [Self; 7] =
        [Self::None, Self::Minimal, Self::Low, Self::Medium, Self::High, Self::XHigh, Self::Max];

    /// Its word in the API formats that have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// From its word.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|effort| effort.as_str() == name)
    }

    /// Thinking tokens that stand for it where a format counts tokens: a fixed table, not a provider's rule.
    #[must_use]
    pub const fn budget_tokens(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Minimal => 1_024,
            Self::Low => 2_048,
            Self::Medium => 8_192,
            Self::High => 24_576,
            Self::XHigh => 32_768,
            Self::Max => 65_536,
        }
    }

    /// The word for a number of thinking tokens: the least that allows as many, `max` above them all.
    #[must_use]
    pub fn from_budget(tokens: u64) -> Self {
        let enough = |effort: &Self| tokens <= effort.budget_tokens();
        Self::ALL.into_iter().find(enough).unwrap_or(Self::Max)
    }

    /// The nearest of the words that a model knows (in any order); `None` if it knows none. Goes down to the next
    /// lower one, but `minimal` becomes `low` and `none` the lowest where there is nothing below.
    #[must_use]
    pub fn nearest(self, known: &[Self]) -> Option<Nearest> {
        // `none` switches thinking off; no other wish is meant that way.
        let below = known
            .iter()
            .copied()
            .filter(|word| *word <= self && (*word != Self::None || self == Self::None))
            .max();
        let effort = below.or_else(|| {
            known.iter().copied().filter(|word| *word != Self::None || self == Self::None).min()
        })?;
        Some(Nearest { effort, changed: effort != self })
    }
}

#[cfg(test)]
mod tests {
    use super::Effort::*;
    use super::*;

    #[test]
    fn the_nearest_word_is_the_next_lower_one_that_exists() {
        for (wanted, known, expected) in [
            (Max, &[Low, Medium, High, XHigh, Max][..], Max),
            (Max, &[Low, Medium, High, XHigh], XHigh),
            (Max, &[Low, Medium, High], High),
            (XHigh, &[Low, Medium, High, Max], High),
            (XHigh, &[Low, High, Max], High),
            (Medium, &[Low, High, Max], Low),
            (Minimal, &[None, Low, Medium, High], Low),
            (Minimal, &[Minimal, Low, Medium, High], Minimal),
            (None, &[None, Low], None),
            (None, &[Low, Medium, High], Low),
            (None, &[Minimal, Low], Minimal),
            (Low, &[High], High),
            (Low, &[Medium, High, XHigh], Medium),
        ] {
            let found = wanted.nearest(known).unwrap();
            assert_eq!(
                found,
                Nearest { effort: expected, changed: wanted != expected },
                "{wanted:?} {known:?}"
            );
        }
        assert_eq!(High.nearest(&[]), Option::None);
        assert_eq!(High.nearest(&[None]), Option::None);
    }

    #[test]
    fn words_and_budgets_lead_to_each_other() {
        for effort in Effort::ALL {
            assert_eq!(Effort::from_name(effort.as_str()), Some(effort));
            assert_eq!(Effort::from_budget(effort.budget_tokens()), effort);
        }
        assert_eq!(Effort::from_budget(1), Minimal);
        assert_eq!(Effort::from_budget(u64::MAX), Max);
        assert_eq!(Effort::from_name("ultra"), Option::None);
    }
}
