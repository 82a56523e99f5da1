//! How Claude models are told to think, in Messages and in Converse's additional fields alike: with a budget of tokens
//! or, newer ones, with an effort.

use serde::Serialize;

use crate::error::FormatError;
use crate::exchange::{Effort, Part, Reasoning, Request, ToolChoice, Turn, TurnRole};
use crate::unmapped::Unmapped;

/// How a model is told to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ThinkingStyle {
    /// `thinking: {type: enabled, budget_tokens}`: Claude before 4.6, and other providers with this format.
    Budget,
    /// `thinking: {type: adaptive}` and `output_config.effort`: Claude from 4.6 on, which no longer wants budgets.
    Adaptive,
}

/// `max_tokens` when the client gives none: the format demands one. Every model takes it; what is thought comes on
/// top.
pub(crate) const DEFAULT_MAX_TOKENS: u64 = 4_096;
/// The first version of Claude that thinks adaptively.
const ADAPTIVE_SINCE: (u32, u32) = (4, 6);
/// Lowest budget that the API takes, tokens.
const LEAST_BUDGET: u64 = 1_024;
/// Most tokens that an answer and its thoughts get when the client names no number: each model with budgets
/// takes that many.
const MOST_UNASKED: u64 = 32_000;

impl ThinkingStyle {
    /// By the model's name, with or without the prefixes and dates of resellers. Claude without a version is
    /// taken for a new one.
    fn of_model(model: &str) -> Self {
        let Some((_, name)) = model.split_once("claude") else { return Self::Budget };
        let mut numbers = name
            .split(|letter: char| !letter.is_ascii_alphanumeric())
            .skip_while(|word| !is_version(word))
            .map_while(|word| is_version(word).then(|| word.parse().unwrap_or(0)));
        let Some(major) = numbers.next() else { return Self::Adaptive };
        if (major, numbers.next().unwrap_or(0)) >= ADAPTIVE_SINCE { Self::Adaptive } else { Self::Budget }
    }
}

/// Dates have more digits.
fn is_version(word: &str) -> bool {
    (1..=2).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// What is written about thinking, and what follows from it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) thinking: Option<Thinking>,
    pub(crate) effort: Option<&'static str>,
    pub(crate) max_tokens: u64,
}

impl Plan {
    /// Whether the model thinks; it wants its temperature untouched then.
    pub(crate) fn thinks(&self) -> bool {
        matches!(&self.thinking, Some(Thinking { kind: "enabled" | "adaptive", .. }))
    }
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Thinking {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    display: Option<&'static str>,
}

/// Decides how the model is told to think.
pub(crate) fn plan(request: &Request<'_>, model: &str, unmapped: &mut Unmapped) -> Result<Plan, FormatError> {
    let max_tokens = request.sampling.max_output_tokens;
    let none = Plan { thinking: None, effort: None, max_tokens: max_tokens.unwrap_or(DEFAULT_MAX_TOKENS) };
    let Some(reasoning) = request.reasoning else { return Ok(none) };
    if reasoning.effort == Some(Effort::None) && reasoning.budget_tokens.is_none() {
        let disabled = Thinking { kind: "disabled", budget_tokens: None, display: None };
        return Ok(Plan { thinking: Some(disabled), ..none });
    }
    let style = ThinkingStyle::of_model(model);
    let forced = matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_)));
    let thinking = match style {
        _ if forced => None,
        ThinkingStyle::Adaptive => Some(adaptive(reasoning, none.max_tokens)),
        ThinkingStyle::Budget if reasoning.effort.is_none() && reasoning.budget_tokens.is_none() => {
            return Ok(none);
        }
        ThinkingStyle::Budget if lacks_thoughts(&request.turns) => None,
        ThinkingStyle::Budget => budget(reasoning, max_tokens),
    };
    match thinking {
        Some(plan) => Ok(plan),
        None => {
            unmapped.param("reasoning_effort")?;
            Ok(none)
        }
    }
}

fn adaptive(reasoning: Reasoning, max_tokens: u64) -> Plan {
    let display = reasoning.show.map(|show| if show { "summarized" } else { "omitted" });
    let effort = reasoning.effort.or_else(|| reasoning.budget_tokens.map(Effort::from_budget));
    let effort = effort.map(|effort| match effort {
        Effort::None | Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::XHigh | Effort::Max => "max",
    });
    Plan { thinking: Some(Thinking { kind: "adaptive", budget_tokens: None, display }), effort, max_tokens }
}

/// `None` if `max_tokens` leaves no room for the lowest budget.
fn budget(reasoning: Reasoning, max_tokens: Option<u64>) -> Option<Plan> {
    let wanted = reasoning.budget_tokens.or_else(|| reasoning.effort.map(Effort::budget_tokens))?;
    let asked = reasoning.budget_tokens.is_some();
    // The budget is part of `max_tokens` and below it. A word leaves a quarter for what the client reads.
    let room = match max_tokens {
        Some(most) if most <= LEAST_BUDGET => return None,
        Some(most) if asked => most - 1,
        Some(most) => most - most / 4,
        None if asked => u64::MAX,
        None => MOST_UNASKED - DEFAULT_MAX_TOKENS,
    };
    let budget = wanted.min(room).max(LEAST_BUDGET);
    Some(Plan {
        thinking: Some(Thinking { kind: "enabled", budget_tokens: Some(budget), display: None }),
        effort: None,
        max_tokens: max_tokens.unwrap_or_else(|| budget.saturating_add(DEFAULT_MAX_TOKENS)),
    })
}

/// Whether the model is in the midst of using tools and its thoughts before the call are not there: with a budget
/// the API wants them back, signed.
fn lacks_thoughts(turns: &[Turn<'_>]) -> bool {
    let brings_results = |turn: &Turn<'_>| {
        turn.role == TurnRole::User && turn.parts.iter().any(|part| matches!(part, Part::ToolResult(_)))
    };
    if !turns.iter().rev().take_while(|turn| turn.role == TurnRole::User).any(brings_results) {
        return false;
    }
    let mut before = turns.iter().rev().skip_while(|turn| turn.role == TurnRole::User);
    let mut opening = None;
    for turn in before.by_ref().take_while(|turn| turn.role == TurnRole::Assistant) {
        opening = turn.parts.first().or(opening);
    }
    !matches!(opening, Some(Part::Reasoning { signature, redacted, .. }) if signature.is_some() || redacted.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unmapped::OnUnmappable;

    #[test]
    fn the_style_follows_the_version_in_the_name() {
        for old in [
            "claude-3-7-sonnet-20250219",
            "claude-sonnet-4-20250514",
            "claude-opus-4-1-20250805",
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "claude-haiku-4-5@20251001",
            "glm-4.6",
        ] {
            assert_eq!(ThinkingStyle::of_model(old), ThinkingStyle::Budget, "{old}");
        }
        for new in
            ["claude-opus-4-6", "anthropic.claude-sonnet-4-6", "claude-opus-5", "claude-mythos-preview"]
        {
            assert_eq!(ThinkingStyle::of_model(new), ThinkingStyle::Adaptive, "{new}");
        }
    }

    fn planned(effort: Effort, max_tokens: Option<u64>, model: &str) -> Result<Plan, FormatError> {
        let mut request = Request {
            reasoning: Some(Reasoning { effort: Some(effort), ..Reasoning::default() }),
            ..Request::default()
        };
        request.sampling.max_output_tokens = max_tokens;
        plan(&request, model, &mut Unmapped::new(OnUnmappable::Reject))
    }

    fn budget_of(effort: Effort, max_tokens: Option<u64>) -> (Option<u64>, u64) {
        let plan = planned(effort, max_tokens, "claude-sonnet-4-5").unwrap();
        (plan.thinking.and_then(|thinking| thinking.budget_tokens), plan.max_tokens)
    }

    #[test]
    fn a_word_becomes_a_budget_that_leaves_room_for_the_answer() {
        assert_eq!(budget_of(Effort::Medium, None), (Some(8_192), 12_288));
        assert_eq!(budget_of(Effort::Max, None), (Some(27_904), 32_000));
        assert_eq!(budget_of(Effort::Medium, Some(4_000)), (Some(3_000), 4_000));
        assert_eq!(budget_of(Effort::Low, Some(1_025)), (Some(1_024), 1_025));
        assert_eq!(budget_of(Effort::None, Some(100)), (None, 100));
        assert!(planned(Effort::Low, Some(1_024), "claude-sonnet-4-5").is_err());
    }

    #[test]
    fn newer_models_are_told_the_word() {
        let plan = planned(Effort::Max, Some(100), "claude-opus-4-7").unwrap();
        assert_eq!((plan.effort, plan.max_tokens, plan.thinks()), (Some("max"), 100, true));
    }
}
