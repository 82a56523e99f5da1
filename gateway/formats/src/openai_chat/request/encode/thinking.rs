//! How much the model is told to think, in the words of the place that serves it.

use tollgate_families::{Effort, Off, Shown, Style, Thinks, Traits, Vendor};

use crate::exchange::{Reasoning, Request};
use crate::json::Object;
use crate::unmapped::Unmapped;

/// What is written about thinking, and what follows from it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Whether the model will think.
    pub(super) thinks: bool,
    /// `reasoning_effort`.
    effort: Option<Effort>,
    /// `thinking.type`.
    kind: Option<&'static str>,
    /// `enable_thinking`.
    is_enabled: Option<bool>,
    /// Thinking tokens, in the words of the style.
    budget: Option<u64>,
}

/// Decides how the model is told to think. A wish that it cannot follow becomes the nearest that it can, and is named.
pub(super) fn plan(request: &Request<'_>, traits: &Traits, has_tools: bool, unmapped: &mut Unmapped) -> Plan {
    let plan = decided(request, traits, has_tools, unmapped);
    // In this format nobody can ask for thoughts: they are there or not.
    let shows = plan.thinks && traits.reasoning.shown == Shown::Always;
    let missed = request.reasoning.into_iter().flat_map(|reasoning| reasoning.missed(plan.thinks, shows));
    missed.for_each(|name| unmapped.hint(name));
    plan
}

fn decided(request: &Request<'_>, traits: &Traits, has_tools: bool, unmapped: &mut Unmapped) -> Plan {
    let wanted = request.reasoning.and_then(|reasoning| reasoning.wanted(traits));
    let told = wanted.and_then(|wanted| told(wanted, traits, unmapped));
    let thinks = traits.thinks(told.or(wanted.filter(|wanted| *wanted == Effort::None)));
    // Such a model takes tools here without thinking alone.
    if has_tools && traits.reasoning.chat_tools_without_effort && thinks {
        unmapped.hint("reasoning_effort");
        return Plan { effort: Some(Effort::None), ..Plan::default() };
    }
    let Some(told) = told else { return Plan { thinks, ..Plan::default() } };
    Plan { thinks, ..in_words(told, request.reasoning.unwrap_or_default(), traits) }
}

/// The nearest effort that the model takes; `None` if nothing is to be said.
fn told(wanted: Effort, traits: &Traits, unmapped: &mut Unmapped) -> Option<Effort> {
    let reasoning = &traits.reasoning;
    if wanted == Effort::None && !reasoning.always() {
        // What does not think by itself need not be told so, and servers that nobody knows may not know the word.
        let is_told = reasoning.off != Off::Omit
            && !(traits.vendor == Vendor::Unknown && reasoning.default == Thinks::Off);
        return is_told.then_some(Effort::None);
    }
    let is_switch =
        matches!(reasoning.style, Style::ThinkingType | Style::EnableThinking | Style::TokenBudget);
    if is_switch && reasoning.efforts.is_empty() {
        if wanted == Effort::None {
            unmapped.hint("reasoning_effort");
            return None;
        }
        return Some(wanted);
    }
    let nearest = reasoning.nearest(wanted, false);
    if nearest.is_none_or(|nearest| nearest.changed) {
        unmapped.hint("reasoning_effort");
    }
    nearest.map(|nearest| nearest.effort)
}

fn in_words(told: Effort, wanted: Reasoning, traits: &Traits) -> Plan {
    let is_on = told != Effort::None;
    let effort = Some(told).filter(|_| is_on && !traits.reasoning.efforts.is_empty());
    let budget = || wanted.budget_tokens.unwrap_or_else(|| told.budget_tokens());
    let tokens = || traits.reasoning.budget_within(budget()).filter(|_| !wanted.is_up_to_model());
    match traits.reasoning.style {
        Style::None => Plan::default(),
        Style::ThinkingType => {
            // The field is for models that can be told not to.
            let kind = if is_on { "enabled" } else { "disabled" };
            let is_switch = !traits.reasoning.always();
            Plan { effort, kind: is_switch.then_some(kind), ..Plan::default() }
        }
        Style::TokenBudget => {
            let kind = Some(if is_on { "enabled" } else { "disabled" });
            Plan { kind, budget: is_on.then(tokens).flatten(), ..Plan::default() }
        }
        Style::EnableThinking => {
            let is_switch = !traits.reasoning.always();
            let tokens = if is_on && effort.is_none() { tokens() } else { None };
            Plan { effort, is_enabled: is_switch.then_some(is_on), budget: tokens, ..Plan::default() }
        }
        _ => Plan { effort: Some(told), ..Plan::default() },
    }
}

impl Plan {
    pub(super) fn write(&self, body: &mut Object<'_>) {
        body.given("reasoning_effort", self.effort.map(Effort::as_str));
        if let Some(kind) = self.kind {
            body.object("thinking", |thinking| {
                thinking.put("type", kind).given("token_budget", self.budget);
            });
        } else if let Some(tokens) = self.budget {
            body.given("enable_thinking", self.is_enabled).put("thinking_budget", &tokens);
            return;
        }
        body.given("enable_thinking", self.is_enabled);
    }
}
