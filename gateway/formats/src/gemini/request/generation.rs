//! How tokens are chosen, how the answer looks, how much the model may think.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::error::FormatError;
use crate::exchange::{Effort, OutputForm, Reasoning, Request, Text};
use crate::unmapped::Unmapped;

/// Most thinking tokens of 2.5 Flash and of 2.5 Pro, and the least of Pro, which cannot do without.
const MOST_BUDGET: u64 = 24_576;
const MOST_BUDGET_PRO: u64 = 32_768;
const LEAST_BUDGET_PRO: u64 = 128;

/// Generations of models that are asked differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Generation {
    /// Up to 2.5, and models with names of their own: thinking has a budget.
    Budgets,
    /// From 3 on: thinking has levels and cannot be switched off, calls of tools come back with their proof.
    Levels,
}

impl Generation {
    /// By the model's name; Gemini without a version (`gemini-flash-latest`) is taken for a new one.
    pub(super) fn of_model(model: &str) -> Self {
        let Some((_, name)) = model.split_once("gemini-") else { return Self::Budgets };
        let digits = name.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(name.len());
        match name.get(..digits).unwrap_or_default().parse::<u32>() {
            Ok(major) if major < 3 => Self::Budgets,
            _ => Self::Levels,
        }
    }
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GenerationConfig<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_sequences: Option<&'r [Text<'r>]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_mime_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_json_schema: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_config: Option<ThinkingConfig>,
    #[serde(skip)]
    is_empty: bool,
}

impl GenerationConfig<'_> {
    pub(super) const fn is_empty(&self) -> bool {
        self.is_empty
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ThinkingConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    include_thoughts: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_budget: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_level: Option<&'static str>,
}

pub(super) fn generation_config<'r>(
    request: &'r Request<'_>,
    model: &str,
    generation: Generation,
    unmapped: &mut Unmapped,
) -> Result<GenerationConfig<'r>, FormatError> {
    let sampling = &request.sampling;
    let seed = sampling.seed.and_then(|seed| i32::try_from(seed).ok());
    if seed.is_none() {
        unmapped.given("seed", sampling.seed.as_ref())?;
    }
    let (response_mime_type, response_json_schema) = match &request.output {
        OutputForm::Text => (None, None),
        OutputForm::JsonObject => (Some("application/json"), None),
        OutputForm::JsonSchema { schema, .. } => (Some("application/json"), Some(*schema)),
    };
    let thinking_config = match request.reasoning {
        Some(reasoning) => thinking(reasoning, model, generation, unmapped)?,
        None => None,
    };
    let has_effect = |penalty: &f64| *penalty != 0.0;
    let mut config = GenerationConfig {
        max_output_tokens: sampling.max_output_tokens,
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        top_k: sampling.top_k,
        stop_sequences: (!sampling.stop.is_empty()).then_some(&*sampling.stop),
        seed,
        frequency_penalty: sampling.frequency_penalty.filter(has_effect),
        presence_penalty: sampling.presence_penalty.filter(has_effect),
        response_logprobs: sampling.top_logprobs.map(|_| true),
        logprobs: sampling.top_logprobs.filter(|most| *most > 0),
        response_mime_type,
        response_json_schema,
        thinking_config,
        is_empty: false,
    };
    config.is_empty = says_nothing(&config);
    Ok(config)
}

const fn says_nothing(config: &GenerationConfig<'_>) -> bool {
    config.max_output_tokens.is_none()
        && config.temperature.is_none()
        && config.top_p.is_none()
        && config.top_k.is_none()
        && config.stop_sequences.is_none()
        && config.seed.is_none()
        && config.frequency_penalty.is_none()
        && config.presence_penalty.is_none()
        && config.response_logprobs.is_none()
        && config.response_mime_type.is_none()
        && config.thinking_config.is_none()
}

/// A budget and a level exclude each other. A number of tokens stays one for every model; a word is what the
/// model's generation calls it.
fn thinking(
    reasoning: Reasoning,
    model: &str,
    generation: Generation,
    unmapped: &mut Unmapped,
) -> Result<Option<ThinkingConfig>, FormatError> {
    let mut config =
        ThinkingConfig { include_thoughts: reasoning.show, thinking_budget: None, thinking_level: None };
    match (generation, reasoning.effort, reasoning.budget_tokens) {
        (_, _, Some(budget)) => config.thinking_budget = Some(budget),
        (_, None, None) => {}
        (Generation::Levels, Some(Effort::None), None) => unmapped.param("reasoning_effort")?,
        (Generation::Levels, Some(effort), None) => config.thinking_level = Some(level(effort)),
        (Generation::Budgets, Some(effort), None) => match budget(effort, model) {
            Some(budget) => config.thinking_budget = Some(budget),
            None => unmapped.param("reasoning_effort")?,
        },
    }
    let says_something = config.include_thoughts.is_some()
        || config.thinking_budget.is_some()
        || config.thinking_level.is_some();
    Ok(says_something.then_some(config))
}

/// Every model has the two outer levels; those between are the provider's to refuse.
const fn level(effort: Effort) -> &'static str {
    match effort {
        Effort::None | Effort::Minimal => "minimal",
        Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High | Effort::XHigh | Effort::Max => "high",
    }
}

/// `None` if the model cannot do without thinking.
fn budget(effort: Effort, model: &str) -> Option<u64> {
    let wanted = effort.budget_tokens();
    if !model.contains("pro") {
        return Some(wanted.min(MOST_BUDGET));
    }
    (effort != Effort::None).then(|| wanted.clamp(LEAST_BUDGET_PRO, MOST_BUDGET_PRO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unmapped::OnUnmappable;

    #[test]
    fn the_generation_follows_the_version_in_the_name() {
        for old in ["gemini-2.5-flash", "models/gemini-2.0-flash", "gemini-1.5-pro-002", "gemma-3-27b-it"] {
            assert_eq!(Generation::of_model(old), Generation::Budgets, "{old}");
        }
        for new in ["gemini-3-pro-preview", "gemini-3.5-flash", "gemini-flash-latest", "models/gemini-10"] {
            assert_eq!(Generation::of_model(new), Generation::Levels, "{new}");
        }
    }

    fn config(effort: Effort, model: &str) -> Result<String, FormatError> {
        let reasoning = Reasoning { effort: Some(effort), ..Reasoning::default() };
        let mut unmapped = Unmapped::new(OnUnmappable::Reject);
        let config = thinking(reasoning, model, Generation::of_model(model), &mut unmapped)?;
        Ok(serde_json::to_string(&config).unwrap())
    }

    #[test]
    fn words_become_budgets_for_older_models() {
        let said = |effort| config(effort, "gemini-2.5-flash").unwrap();
        assert_eq!(said(Effort::None), r#"{"thinkingBudget":0}"#);
        assert_eq!(said(Effort::Medium), r#"{"thinkingBudget":8192}"#);
        assert_eq!(said(Effort::Max), r#"{"thinkingBudget":24576}"#);
        assert_eq!(config(Effort::Max, "gemini-2.5-pro").unwrap(), r#"{"thinkingBudget":32768}"#);
        assert!(config(Effort::None, "gemini-2.5-pro").is_err(), "Pro cannot do without");
    }

    #[test]
    fn words_become_levels_for_newer_models() {
        let said = |effort| config(effort, "gemini-3-flash").unwrap();
        assert_eq!(said(Effort::Minimal), r#"{"thinkingLevel":"minimal"}"#);
        assert_eq!(said(Effort::Max), r#"{"thinkingLevel":"high"}"#);
        assert!(config(Effort::None, "gemini-3-flash").is_err());
    }
}
