//! How Claude models are told to think: with a budget of tokens or, newer ones, with an effort.

use serde::Serialize;
use tollgate_families::{Effort, Off, Shown, Style, Traits};

use crate::exchange::{Part, Reasoning, Request, Turn, TurnRole};
use crate::unmapped::Unmapped;

/// Tokens of the answer beside a budget of thoughts when neither the client nor the family names a bound.
const ANSWER_TOKENS: u64 = 4_096;
/// Lowest budget where the family names none, tokens.
const LEAST_BUDGET: u64 = 1_024;
/// Most tokens that an answer and its thoughts get when neither the client nor the family names a number.
const MOST_UNASKED: u64 = 32_000;

/// Thoughts are shown, as a summary.
const SUMMARIZED: &str = "summarized";

/// What is written about thinking, and what follows from it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) thinking: Option<Thinking>,
    pub(crate) effort: Option<&'static str>,
    /// The client's bound, or the one that a budget needs; `None` if there is neither.
    pub(crate) max_tokens: Option<u64>,
    /// Whether the model thinks.
    pub(crate) thinks: bool,
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

impl Plan {
    /// Nothing is said of thinking here: the model is told in other words.
    pub(crate) fn told_elsewhere(request: &Request<'_>, traits: &Traits, unmapped: &mut Unmapped) -> Self {
        let thinks = traits.thinks(request.reasoning.and_then(|reasoning| reasoning.wanted(traits)));
        let plan = Self { thinks, ..Self::silent(request, traits, unmapped) };
        let missed = |reasoning: Reasoning| reasoning.missed(thinks, plan.shows(traits));
        request.reasoning.into_iter().flat_map(missed).for_each(|name| unmapped.hint(name));
        plan
    }

    fn silent(request: &Request<'_>, traits: &Traits, unmapped: &mut Unmapped) -> Self {
        let max_tokens = given_bound(request, traits, unmapped);
        Self { thinking: None, effort: None, max_tokens, thinks: traits.thinks(None) }
    }

    /// Whether the answer shows what the model thinks.
    fn shows(&self, traits: &Traits) -> bool {
        match self.thinking.as_ref().and_then(|thinking| thinking.display) {
            Some(display) => display == SUMMARIZED,
            None => self.thinks && traits.reasoning.shown == Shown::Always,
        }
    }
}

impl Thinking {
    const fn of(kind: &'static str) -> Option<Self> {
        Some(Self { kind, budget_tokens: None, display: None })
    }
}

/// Most tokens of an answer of the model; `None` if that is not known.
pub(crate) fn most_output(request: &Request<'_>, traits: &Traits) -> Option<u64> {
    let output = &traits.output;
    let unstreamed = output.most_unstreamed.filter(|_| !request.stream);
    [output.most, unstreamed].into_iter().flatten().min()
}

/// Decides how the model is told to think. `forced` says that it must use a tool. What it cannot be told is named and
/// never refused: how much a model thinks does not change what was asked.
pub(crate) fn plan(request: &Request<'_>, traits: &Traits, forced: bool, unmapped: &mut Unmapped) -> Plan {
    let silent = Plan::silent(request, traits, unmapped);
    let Some(mut reasoning) = request.reasoning else { return silent };
    // A model that cannot adapt gets a budget, as large as newer ones take it when they are told nothing.
    if traits.reasoning.style == Style::ClaudeBudget && reasoning.is_up_to_model() {
        reasoning.effort = Some(Effort::High);
    }
    let plan = decided(request, reasoning, traits, forced, silent, unmapped);
    reasoning.missed(plan.thinks, plan.shows(traits)).for_each(|name| unmapped.hint(name));
    plan
}

fn decided(
    request: &Request<'_>,
    reasoning: Reasoning,
    traits: &Traits,
    forced: bool,
    silent: Plan,
    unmapped: &mut Unmapped,
) -> Plan {
    let is_wanted =
        reasoning.effort.is_some_and(|effort| effort != Effort::None) || reasoning.budget_tokens.is_some();
    let has_effort = reasoning.effort.is_some() || reasoning.budget_tokens.is_some();
    match traits.reasoning.style {
        Style::ClaudeBudget | Style::ClaudeAdaptive if has_effort && !is_wanted => {
            off(traits, silent, unmapped)
        }
        Style::ClaudeAdaptive => adaptive(reasoning, traits, silent, unmapped),
        Style::ClaudeBudget if is_wanted => {
            within_budget(request, reasoning, traits, forced, silent, unmapped)
        }
        // Nothing but whether thoughts are shown: they are where there are any.
        _ if !is_wanted => silent,
        _ => {
            unmapped.hint("reasoning_effort");
            silent
        }
    }
}

/// The client's bound. More than the model can is no more than the model can.
fn given_bound(request: &Request<'_>, traits: &Traits, unmapped: &mut Unmapped) -> Option<u64> {
    let given = request.sampling.max_output_tokens?;
    let most = most_output(request, traits).filter(|most| given > *most);
    if most.is_some() {
        unmapped.hint("max_tokens");
    }
    most.or(Some(given))
}

/// No thinking: where the model always thinks, as little as it can.
fn off(traits: &Traits, silent: Plan, unmapped: &mut Unmapped) -> Plan {
    let reasoning = &traits.reasoning;
    match reasoning.off {
        Off::Omit => return silent,
        Off::Disabled => return Plan { thinking: Thinking::of("disabled"), thinks: false, ..silent },
        _ => unmapped.hint("reasoning_effort"),
    }
    let kind = if reasoning.off == Off::BetweenTools { "between_tools" } else { "adaptive" };
    let lowest = reasoning.nearest(Effort::None, false).map(|near| near.effort.as_str());
    Plan { thinking: Thinking::of(kind), effort: lowest, thinks: true, ..silent }
}

/// The nearest word that the model knows; another than the wanted one is named.
fn word(wanted: Effort, traits: &Traits, unmapped: &mut Unmapped) -> Option<&'static str> {
    let near = traits.reasoning.nearest(wanted, false)?;
    if near.changed {
        unmapped.hint("reasoning_effort");
    }
    Some(near.effort.as_str())
}

fn adaptive(reasoning: Reasoning, traits: &Traits, silent: Plan, unmapped: &mut Unmapped) -> Plan {
    let display = reasoning.show.map(|show| if show { SUMMARIZED } else { "omitted" });
    // A number of tokens is brought to the nearest word anyway.
    let from_budget = || reasoning.budget_tokens.map(Effort::from_budget);
    let effort = match reasoning.effort {
        Some(wanted) => word(wanted, traits, unmapped),
        None => from_budget()
            .and_then(|wanted| traits.reasoning.nearest(wanted, false))
            .map(|near| near.effort.as_str()),
    };
    Plan {
        thinking: Some(Thinking { kind: "adaptive", budget_tokens: None, display }),
        effort,
        thinks: true,
        ..silent
    }
}

/// Thinking with a budget. Where it is not possible for this turn (a forced tool, thoughts that are missing), the bound
/// stays what it is for the others.
fn within_budget(
    request: &Request<'_>,
    reasoning: Reasoning,
    traits: &Traits,
    forced: bool,
    silent: Plan,
    unmapped: &mut Unmapped,
) -> Plan {
    let (budget, max_tokens) = match budget(request, reasoning, traits, silent.max_tokens) {
        Some((budget, max_tokens)) => (Some(budget), Some(max_tokens)),
        None => (None, silent.max_tokens),
    };
    let Some(budget) = budget.filter(|_| !forced && !lacks_thoughts(&request.turns)) else {
        unmapped.hint("reasoning_effort");
        return Plan { max_tokens, ..silent };
    };
    // A word beside the budget bounds the answer as well, where the model knows words.
    let effort =
        reasoning.budget_tokens.and(reasoning.effort).and_then(|wanted| word(wanted, traits, unmapped));
    let thinking = Thinking { kind: "enabled", budget_tokens: Some(budget), display: None };
    Plan { thinking: Some(thinking), effort, max_tokens, thinks: true }
}

/// The budget and the bound of the whole answer; `None` if the bound leaves no room for the lowest budget.
fn budget(
    request: &Request<'_>,
    reasoning: Reasoning,
    traits: &Traits,
    given: Option<u64>,
) -> Option<(u64, u64)> {
    let wanted = reasoning.budget_tokens.or_else(|| reasoning.effort.map(Effort::budget_tokens))?;
    let asked = reasoning.budget_tokens.is_some();
    let least = traits.reasoning.budget.map_or(LEAST_BUDGET, |budget| budget.least).max(1);
    // The budget is part of the bound and below it. A word leaves a quarter for what the client reads.
    let bound = given.or_else(|| most_output(request, traits));
    let room = match bound {
        Some(most) if most <= least => return None,
        Some(most) if asked => most - 1,
        Some(most) => most - most / 4,
        None if asked => u64::MAX,
        None => MOST_UNASKED - ANSWER_TOKENS,
    };
    let budget = traits.reasoning.budget_within(wanted).unwrap_or(wanted).min(room).max(least);
    Some((budget, bound.unwrap_or_else(|| budget.saturating_add(ANSWER_TOKENS))))
}

/// Whether the model is in the midst of using tools and its thoughts before the call are not there: with a budget
/// the API wants them back, signed.
fn lacks_thoughts(turns: &[Turn<'_>]) -> bool {
    let brings_results = |turn: &Turn<'_>| {
        turn.role == TurnRole::User && turn.parts.iter().any(|part| matches!(part, Part::ToolResult(_)))
    };
    let is_model = |turn: &Turn<'_>| turn.role == TurnRole::Assistant;
    if !turns.iter().rev().take_while(|turn| !is_model(turn)).any(brings_results) {
        return false;
    }
    let before = turns.iter().rev().skip_while(|turn| !is_model(turn));
    let opening = before.take_while(|turn| is_model(turn)).filter_map(|turn| turn.parts.first()).last();
    !matches!(opening, Some(Part::Reasoning { signature, redacted, .. }) if signature.is_some() || redacted.is_some())
}

#[cfg(test)]
mod tests {
    use tollgate_families::ApiFormat;

    use super::*;
    use crate::testing::target;
    use crate::unmapped::OnUnmappable;

    fn planned(reasoning: Reasoning, max_tokens: Option<u64>, model: &str) -> (Plan, Vec<String>) {
        let mut request = Request { reasoning: Some(reasoning), ..Request::default() };
        request.sampling.max_output_tokens = max_tokens;
        let mut unmapped = Unmapped::new(OnUnmappable::Reject);
        let plan = plan(&request, target(model, ApiFormat::Anthropic).traits, false, &mut unmapped);
        (plan, unmapped.dropped().iter().map(|name| name.clone().into_owned()).collect())
    }

    fn by_word(effort: Effort, max_tokens: Option<u64>, model: &str) -> (Plan, Vec<String>) {
        planned(Reasoning { effort: Some(effort), ..Reasoning::default() }, max_tokens, model)
    }

    fn budget_of(effort: Effort, max_tokens: Option<u64>, model: &str) -> (Option<u64>, Option<u64>) {
        let (plan, _) = by_word(effort, max_tokens, model);
        (plan.thinking.and_then(|thinking| thinking.budget_tokens), plan.max_tokens)
    }

    #[test]
    fn a_word_becomes_a_budget_that_leaves_room_for_the_answer() {
        let sonnet = |effort, max_tokens| budget_of(effort, max_tokens, "claude-sonnet-4-5");
        assert_eq!(sonnet(Effort::Medium, None), (Some(8_192), Some(64_000)));
        assert_eq!(sonnet(Effort::Max, None), (Some(48_000), Some(64_000)));
        assert_eq!(sonnet(Effort::Medium, Some(4_000)), (Some(3_000), Some(4_000)));
        assert_eq!(sonnet(Effort::Low, Some(1_025)), (Some(1_024), Some(1_025)));
        assert_eq!(sonnet(Effort::None, Some(100)), (None, Some(100)));
        assert_eq!(budget_of(Effort::Medium, None, "backend-model"), (Some(8_192), Some(12_288)));
    }

    #[test]
    fn a_bound_without_room_for_thoughts_is_kept_and_the_thinking_named() {
        let (plan, named) = by_word(Effort::Low, Some(1_024), "claude-sonnet-4-5");
        assert_eq!((plan.thinking, plan.max_tokens), (None, Some(1_024)));
        assert_eq!(named, ["reasoning_effort"]);
    }

    #[test]
    fn a_bound_above_the_models_own_is_lowered_and_named() {
        let (plan, named) = planned(Reasoning::default(), Some(200_000), "claude-haiku-4-5");
        assert_eq!((plan.max_tokens, named), (Some(64_000), vec!["max_tokens".to_owned()]));
    }

    #[test]
    fn newer_models_are_told_the_nearest_word_that_they_know() {
        for (model, wanted, told, named) in [
            ("claude-opus-4-7", Effort::Max, "max", 0),
            ("claude-opus-4-7", Effort::XHigh, "xhigh", 0),
            ("claude-sonnet-4-6", Effort::XHigh, "high", 1),
            ("claude-sonnet-5-5", Effort::Minimal, "low", 1),
        ] {
            let (plan, dropped) = by_word(wanted, Some(100), model);
            assert_eq!((plan.effort, plan.thinks, dropped.len()), (Some(told), true, named), "{model}");
        }
    }

    #[test]
    fn no_thinking_is_told_as_far_as_the_model_can_do_without() {
        let kind = |model: &str| {
            let (plan, named) = by_word(Effort::None, None, model);
            (plan.thinking.map(|thinking| thinking.kind), plan.effort, plan.thinks, named.len())
        };
        assert_eq!(kind("claude-3-5-haiku-20241022"), (None, None, false, 0));
        assert_eq!(kind("claude-sonnet-4-5"), (Some("disabled"), None, false, 0));
        assert_eq!(kind("claude-opus-5"), (Some("disabled"), None, false, 0));
        assert_eq!(kind("claude-sonnet-5-5"), (Some("between_tools"), Some("low"), true, 1));
        assert_eq!(kind("claude-opus-5-5"), (Some("adaptive"), Some("low"), true, 1));
    }

    #[test]
    fn a_model_that_is_to_decide_by_itself_adapts_or_gets_a_budget() {
        let adapts = Reasoning { adapts: true, ..Reasoning::default() };
        let told = |model: &str| {
            let (plan, named) = planned(adapts, Some(8_000), model);
            let thinking = plan.thinking.map(|thinking| (thinking.kind, thinking.budget_tokens));
            (thinking, plan.effort, named)
        };
        assert_eq!(told("claude-opus-4-8"), (Some(("adaptive", None)), None, Vec::new()));
        assert_eq!(told("claude-sonnet-4-5"), (Some(("enabled", Some(6_000))), None, Vec::new()));
        let named = vec!["reasoning_effort".to_owned()];
        assert_eq!(told("claude-3-5-haiku-20241022"), (None, None, named));
    }

    #[test]
    fn a_wish_whether_thoughts_are_shown_is_named_where_it_cannot_be_followed() {
        let named = |show, effort, model: &str| {
            let show_param = Some("thinking.display");
            planned(Reasoning { effort, show: Some(show), show_param, ..Reasoning::default() }, None, model).1
        };
        let high = Some(Effort::High);
        assert_eq!(named(false, high, "claude-opus-4-8"), Vec::<String>::new());
        assert_eq!(named(true, high, "claude-sonnet-4-5"), Vec::<String>::new());
        assert_eq!(named(false, high, "claude-sonnet-4-5"), ["thinking.display"]);
        assert_eq!(named(true, None, "claude-sonnet-4-5"), ["thinking.display"]);
        assert_eq!(named(false, None, "claude-sonnet-4-5"), Vec::<String>::new());
    }

    #[test]
    fn a_model_that_is_told_in_other_words_thinks_as_it_was_asked_to() {
        let adapts = Reasoning { adapts: true, ..Reasoning::default() };
        let wish = Reasoning { show: Some(false), show_param: Some("thinking.display"), ..adapts };
        for (model, reasoning, thinks, named) in [
            ("us.amazon.nova-2-lite-v1:0", adapts, true, ""),
            ("us.amazon.nova-2-lite-v1:0", wish, true, "thinking.display"),
            ("us.amazon.nova-2-lite-v1:0", Reasoning::default(), false, ""),
            ("openai.gpt-oss-120b-1:0", adapts, true, ""),
        ] {
            let request = Request { reasoning: Some(reasoning), ..Request::default() };
            let mut unmapped = Unmapped::new(OnUnmappable::Reject);
            let traits = target(model, ApiFormat::Bedrock).traits;
            let plan = Plan::told_elsewhere(&request, traits, &mut unmapped);
            assert_eq!((plan.thinks, &*unmapped.dropped().join(" ")), (thinks, named), "{model}");
        }
    }

    #[test]
    fn a_model_that_does_not_think_is_not_told_to() {
        let (plan, named) = by_word(Effort::High, None, "claude-3-5-haiku-20241022");
        assert_eq!((plan.thinking, plan.effort), (None, None));
        assert_eq!(named, ["reasoning_effort"]);
    }

    #[test]
    fn a_word_stands_beside_a_budget_where_the_model_knows_words() {
        let both =
            Reasoning { effort: Some(Effort::High), budget_tokens: Some(2_000), ..Reasoning::default() };
        assert_eq!(planned(both, None, "claude-opus-4-5").0.effort, Some("high"));
        assert_eq!(planned(both, None, "claude-sonnet-4-5").0.effort, None);
    }
}
