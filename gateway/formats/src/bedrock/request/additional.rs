//! `additionalModelRequestFields`: parameters of one family of models, in its own words.

use serde::Serialize;
use tollgate_families::{Effort, Forced, Off, Style, Traits, Vendor};

use crate::claude::{self, Choice, Thinking};
use crate::error::FormatError;
use crate::exchange::Request;
use crate::unmapped::Unmapped;

#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct AdditionalFields<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<Thinking>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<ClaudeChoice<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    anthropic_beta: Vec<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    k: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", rename = "inferenceConfig")]
    nova: Option<NovaInference>,
    #[serde(skip_serializing_if = "Option::is_none", rename = "reasoningConfig")]
    nova_reasoning: Option<NovaReasoning>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<OpenAiReasoning>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'static str>,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct NovaInference {
    top_k: u64,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct NovaReasoning {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_reasoning_effort: Option<&'static str>,
}

#[derive(Debug, PartialEq, Serialize)]
struct OpenAiReasoning {
    effort: &'static str,
}

/// Claude's own choice of tools; it stands in the place of Converse's, which can say neither "none" nor "one at a
/// time".
#[derive(Debug, PartialEq, Serialize)]
struct ClaudeChoice<'r> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'r str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    disable_parallel_tool_use: bool,
}

/// What follows from the model's family.
#[derive(Debug, Default)]
pub(super) struct Additional<'r> {
    /// `None` if there is nothing to say.
    pub(super) fields: Option<AdditionalFields<'r>>,
    /// `outputConfig.effort`.
    pub(super) effort: Option<&'static str>,
    /// `inferenceConfig`.
    pub(super) max_tokens: Option<u64>,
    pub(super) temperature: Option<f64>,
    pub(super) top_p: Option<f64>,
    /// Whether the choice of tools is among the fields, so that `toolConfig` must not hold one.
    pub(super) has_tool_choice: bool,
}

impl AdditionalFields<'_> {
    fn take_top_k(&mut self, top_k: u64, vendor: Vendor, unmapped: &mut Unmapped) -> Result<(), FormatError> {
        match vendor {
            Vendor::Claude => self.top_k = Some(top_k),
            Vendor::Nova | Vendor::Nova2 => self.nova = Some(NovaInference { top_k }),
            Vendor::Command => self.k = Some(top_k),
            _ => unmapped.param("top_k")?,
        }
        Ok(())
    }
}

/// Writes what the family of the model has its own words for. `has_tools` says that tools are declared.
pub(super) fn additional<'r>(
    request: &'r Request<'_>,
    traits: &Traits,
    choice: Option<Choice<'r>>,
    has_tools: bool,
    unmapped: &mut Unmapped,
) -> Result<Additional<'r>, FormatError> {
    let plan = match traits.reasoning.style {
        Style::ReasoningConfig | Style::Effort => claude::Plan::told_elsewhere(request, traits, unmapped),
        _ => claude::plan(request, traits, choice.is_some_and(Choice::is_forced), unmapped),
    };
    let sampled = claude::sampled(request, traits, plan.thinks, unmapped)?;
    let mut out = Additional {
        effort: plan.effort,
        max_tokens: plan.max_tokens,
        temperature: sampled.temperature,
        top_p: sampled.top_p,
        ..Additional::default()
    };
    let mut fields = AdditionalFields { thinking: plan.thinking, ..AdditionalFields::default() };
    match traits.reasoning.style {
        Style::ReasoningConfig => nova_reasoning(request, traits, &mut fields, &mut out, unmapped)?,
        Style::Effort => effort_word(request, traits, &mut fields, unmapped),
        _ => {}
    }
    if let Some(top_k) = sampled.top_k {
        fields.take_top_k(top_k, traits.vendor, unmapped)?;
    }
    if has_tools {
        fields.tool_choice = claude_choice(request, traits, choice, unmapped);
    }
    fields.anthropic_beta = betas(request, traits, unmapped);
    out.has_tool_choice = fields.tool_choice.is_some();
    out.fields = (fields != AdditionalFields::default()).then_some(fields);
    Ok(out)
}

/// The effort that is asked for, by a word or by tokens; `None` if nothing is. Another than the wanted word is named.
fn wanted_effort(request: &Request<'_>, traits: &Traits, unmapped: &mut Unmapped) -> Option<Effort> {
    let reasoning = request.reasoning?;
    let near = |wanted| traits.reasoning.nearest(wanted, false);
    let Some(word) = reasoning.effort else {
        return near(reasoning.wanted(traits)?).map(|near| near.effort);
    };
    let near = near(word);
    if near.is_none_or(|near| near.changed) {
        unmapped.hint("reasoning_effort");
    }
    near.map(|near| near.effort)
}

fn nova_reasoning(
    request: &Request<'_>,
    traits: &Traits,
    fields: &mut AdditionalFields<'_>,
    out: &mut Additional<'_>,
    unmapped: &mut Unmapped,
) -> Result<(), FormatError> {
    let Some(effort) = wanted_effort(request, traits, unmapped) else { return Ok(()) };
    if effort == Effort::None {
        fields.nova_reasoning = Some(NovaReasoning { kind: "disabled", max_reasoning_effort: None });
        return Ok(());
    }
    let max_reasoning_effort = Some(effort.as_str());
    fields.nova_reasoning = Some(NovaReasoning { kind: "enabled", max_reasoning_effort });
    // At its highest effort the model takes neither a bound nor sampling.
    if effort == Effort::High {
        if out.max_tokens.take().is_some() {
            unmapped.hint("max_tokens");
        }
        unmapped.given("temperature", out.temperature.take().as_ref())?;
        unmapped.given("top_p", out.top_p.take().as_ref())?;
    }
    Ok(())
}

fn effort_word(
    request: &Request<'_>,
    traits: &Traits,
    fields: &mut AdditionalFields<'_>,
    unmapped: &mut Unmapped,
) {
    let Some(effort) = wanted_effort(request, traits, unmapped) else { return };
    if effort == Effort::None && traits.reasoning.off != Off::Word {
        return;
    }
    let effort = effort.as_str();
    match traits.vendor {
        Vendor::OpenAi => fields.reasoning = Some(OpenAiReasoning { effort }),
        _ => fields.reasoning_effort = Some(effort),
    }
}

/// The choice in Claude's words, where Converse has none for it.
fn claude_choice<'r>(
    request: &Request<'_>,
    traits: &Traits,
    choice: Option<Choice<'r>>,
    unmapped: &mut Unmapped,
) -> Option<ClaudeChoice<'r>> {
    let is_claude = traits.vendor == Vendor::Claude;
    let one_at_a_time = request.parallel_tool_calls == Some(false) && choice != Some(Choice::None);
    // A client of OpenAI's old form did not ask for it, and reads the first call alone.
    if one_at_a_time && !is_claude && !request.legacy_functions {
        unmapped.hint("parallel_tool_calls");
    }
    let (kind, name) = match choice {
        None | Some(Choice::Auto) => ("auto", None),
        Some(Choice::Any) => ("any", None),
        Some(Choice::Named(name)) => ("tool", Some(name)),
        Some(Choice::None) => ("none", None),
    };
    let has_words = match choice {
        // The newest models refuse "none" here as they refuse every choice but their own.
        Some(Choice::None) => is_claude && traits.reasoning.forced_tools != Forced::Refused,
        _ => is_claude && one_at_a_time,
    };
    if choice == Some(Choice::None) && !has_words && request.tool_choice.is_some() {
        unmapped.hint("tool_choice");
    }
    has_words.then_some(ClaudeChoice { kind, name, disable_parallel_tool_use: one_at_a_time })
}

/// Betas of Claude that are known here; an unknown one is refused.
fn betas<'r>(request: &'r Request<'_>, traits: &Traits, unmapped: &mut Unmapped) -> Vec<&'r str> {
    let is_known =
        |beta: &&str| traits.vendor == Vendor::Claude && traits.betas.is_some() && traits.knows_beta(beta);
    let known: Vec<&str> = request.betas.iter().map(|beta| &**beta).filter(is_known).collect();
    if known.len() < request.betas.len() {
        unmapped.hint("anthropic-beta");
    }
    known
}
