//! `additionalModelRequestFields`: parameters of one family of models, in its own words.

use serde::Serialize;

use crate::bedrock::family::Family;
use crate::claude::{self, Thinking};
use crate::error::FormatError;
use crate::exchange::{Effort, Request, ToolChoice};
use crate::unmapped::Unmapped;

#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct AdditionalFields<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<Thinking>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<ClaudeChoice<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    k: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", rename = "inferenceConfig")]
    nova: Option<NovaInference>,
    #[serde(skip_serializing_if = "Option::is_none", rename = "reasoningConfig")]
    nova_reasoning: Option<NovaReasoning>,
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

/// Claude's own choice of tools; it stands in the place of Converse's, which cannot say "one at a time".
#[derive(Debug, PartialEq, Serialize)]
struct ClaudeChoice<'r> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'r str>,
    disable_parallel_tool_use: bool,
}

/// What follows from the model's family.
#[derive(Debug, Default)]
pub(super) struct Additional<'r> {
    /// `None` if there is nothing to say.
    pub(super) fields: Option<AdditionalFields<'r>>,
    /// `outputConfig.effort`.
    pub(super) effort: Option<&'static str>,
    /// `inferenceConfig.maxTokens`, thoughts included.
    pub(super) max_tokens: Option<u64>,
    /// Whether the model thinks and wants its sampling untouched.
    pub(super) keeps_sampling: bool,
    /// Whether the choice of tools is among the fields, so that `toolConfig` must not hold one.
    pub(super) has_tool_choice: bool,
}

/// Writes what the family of the model has its own words for.
pub(super) fn additional<'r>(
    request: &'r Request<'_>,
    model: &str,
    unmapped: &mut Unmapped,
) -> Result<Additional<'r>, FormatError> {
    let family = Family::of_model(model);
    let mut fields = AdditionalFields::default();
    let mut out = Additional { max_tokens: request.sampling.max_output_tokens, ..Additional::default() };
    reasoning(request, model, family, &mut fields, &mut out, unmapped)?;
    if let Some(top_k) = request.sampling.top_k {
        match family {
            Family::Claude if !out.keeps_sampling => fields.top_k = Some(top_k),
            Family::Nova | Family::Nova2 => fields.nova = Some(NovaInference { top_k }),
            Family::Command => fields.k = Some(top_k),
            _ => unmapped.param("top_k")?,
        }
    }
    if request.parallel_tool_calls == Some(false) && !request.tools.is_empty() {
        match family {
            Family::Claude => fields.tool_choice = claude_choice(request.tool_choice.as_ref()),
            // A client of OpenAI's old form did not ask for it, and reads the first call alone.
            _ if request.legacy_functions => {}
            _ => unmapped.param("parallel_tool_calls")?,
        }
    }
    out.has_tool_choice = fields.tool_choice.is_some();
    out.fields = (fields != AdditionalFields::default()).then_some(fields);
    Ok(out)
}

fn reasoning(
    request: &Request<'_>,
    model: &str,
    family: Family,
    fields: &mut AdditionalFields<'_>,
    out: &mut Additional<'_>,
    unmapped: &mut Unmapped,
) -> Result<(), FormatError> {
    let Some(reasoning) = request.reasoning else { return Ok(()) };
    let effort = reasoning.effort.or_else(|| reasoning.budget_tokens.map(Effort::from_budget));
    match (family, effort) {
        (Family::Claude, _) => {
            let plan = claude::plan(request, model, unmapped)?;
            out.keeps_sampling = plan.thinks();
            if out.keeps_sampling {
                // Thoughts are part of the bound; without them the model's own bound stands.
                out.max_tokens = request.sampling.max_output_tokens.map_or_else(
                    || plan.effort.is_none().then_some(plan.max_tokens),
                    |_| Some(plan.max_tokens),
                );
            }
            out.effort = plan.effort;
            fields.thinking = plan.thinking;
        }
        (Family::Nova2, Some(Effort::None)) => {
            fields.nova_reasoning = Some(NovaReasoning { kind: "disabled", max_reasoning_effort: None });
        }
        (Family::Nova2, Some(effort)) => {
            let max_reasoning_effort = Some(three_words(effort));
            fields.nova_reasoning = Some(NovaReasoning { kind: "enabled", max_reasoning_effort });
        }
        (Family::GptOss, Some(effort)) if effort != Effort::None => {
            fields.reasoning_effort = Some(three_words(effort));
        }
        // Nothing but whether thoughts are shown: they are where there are any.
        (_, None) => {}
        (_, Some(_)) => unmapped.param("reasoning_effort")?,
    }
    Ok(())
}

const fn three_words(effort: Effort) -> &'static str {
    match effort {
        Effort::None | Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High | Effort::XHigh | Effort::Max => "high",
    }
}

/// `None` if the model must not ask for any.
fn claude_choice<'r>(choice: Option<&'r ToolChoice<'_>>) -> Option<ClaudeChoice<'r>> {
    let (kind, name) = match choice {
        None | Some(ToolChoice::Auto) => ("auto", None),
        Some(ToolChoice::Required) => ("any", None),
        Some(ToolChoice::Named(name)) => ("tool", Some(&**name)),
        Some(ToolChoice::None) => return None,
    };
    Some(ClaudeChoice { kind, name, disable_parallel_tool_use: true })
}
