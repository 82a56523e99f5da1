//! How tokens are chosen, how the answer looks, how much the model may think.

use std::borrow::Cow;

use serde::Serialize;
use tollgate_families::{Effort, SeedWord, Style, Traits};

use crate::error::FormatError;
use crate::exchange::{OutputForm, Reasoning, Request, Text};
use crate::sampling::chosen;
use crate::schema::{self, Fitted};
use crate::unmapped::Unmapped;

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
    response_json_schema: Option<Json<'r>>,
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
    thinking_budget: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_level: Option<&'static str>,
}

/// Text that is JSON already.
#[derive(Debug)]
pub(super) struct Json<'r>(pub(super) Cow<'r, str>);

impl Serialize for Json<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &serde_json::value::RawValue =
            serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

/// Whether the form of the answer can be said; beside tools only newer models take one.
pub(super) fn takes_form(request: &Request<'_>, traits: &Traits, has_tools: bool) -> bool {
    let takes = &traits.structured;
    (takes.with_tools || !has_tools)
        && match &request.output {
            OutputForm::Text => true,
            OutputForm::JsonObject => takes.json_object,
            OutputForm::JsonSchema { .. } => takes.json_schema,
        }
}

pub(super) fn generation_config<'r>(
    request: &'r Request<'_>,
    traits: &Traits,
    takes_form: bool,
    unmapped: &mut Unmapped,
) -> Result<GenerationConfig<'r>, FormatError> {
    let thinking_config = request.reasoning.and_then(|reasoning| thinking(reasoning, traits, unmapped));
    let thinks = traits.thinks(request.reasoning.and_then(|reasoning| reasoning.wanted(traits)));
    let mut config = GenerationConfig { thinking_config, ..GenerationConfig::default() };
    sampling(&mut config, request, traits, thinks, unmapped)?;
    match &request.output {
        OutputForm::Text => {}
        _ if !takes_form => unmapped.hint("response_format"),
        OutputForm::JsonObject => config.response_mime_type = Some("application/json"),
        OutputForm::JsonSchema { schema, .. } => {
            config.response_mime_type = Some("application/json");
            let Fitted { json, is_looser, .. } = schema::fitted(schema, &traits.schema);
            if is_looser {
                unmapped.hint("response_format.json_schema");
            }
            config.response_json_schema = Some(Json(json));
        }
    }
    config.is_empty = says_nothing(&config);
    Ok(config)
}

fn sampling<'r>(
    config: &mut GenerationConfig<'r>,
    request: &'r Request<'_>,
    traits: &Traits,
    thinks: bool,
    unmapped: &mut Unmapped,
) -> Result<(), FormatError> {
    let chosen = chosen(request, traits, thinks, unmapped)?;
    let has_effect = |penalty: &f64| *penalty != 0.0;
    config.max_output_tokens = chosen.max_output_tokens;
    config.temperature = chosen.temperature;
    config.top_p = chosen.top_p;
    config.top_k = chosen.top_k;
    config.frequency_penalty = chosen.frequency_penalty.filter(has_effect);
    config.presence_penalty = chosen.presence_penalty.filter(has_effect);
    config.response_logprobs = chosen.top_logprobs.map(|_| true);
    config.logprobs = chosen.top_logprobs.filter(|most| *most > 0);
    config.stop_sequences = (!chosen.stop.is_empty()).then_some(chosen.stop);
    let seed = request.sampling.seed.filter(|_| traits.sampling.seed != SeedWord::None);
    config.seed = seed.and_then(|seed| i32::try_from(seed).ok());
    if config.seed.is_none() {
        unmapped.given("seed", request.sampling.seed.as_ref())?;
    }
    Ok(())
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

/// The budget that leaves it to the model how much it thinks.
const UP_TO_MODEL: i64 = -1;

/// In the words of the model, a budget or a level. A wish that it cannot follow becomes the nearest that it can, and
/// is named.
fn thinking(reasoning: Reasoning, traits: &Traits, unmapped: &mut Unmapped) -> Option<ThinkingConfig> {
    let mut config =
        ThinkingConfig { include_thoughts: reasoning.show, thinking_budget: None, thinking_level: None };
    let wanted = reasoning.wanted(traits);
    match traits.reasoning.style {
        Style::GeminiBudget if reasoning.is_up_to_model() => config.thinking_budget = Some(UP_TO_MODEL),
        Style::GeminiBudget => {
            let asked = reasoning.budget_tokens.or_else(|| wanted.map(Effort::budget_tokens));
            let told = asked.and_then(|tokens| budget(tokens, traits));
            config.thinking_budget = told.and_then(|tokens| i64::try_from(tokens).ok());
            let is_off = asked == Some(0);
            if is_off && config.thinking_budget != Some(0) {
                unmapped.hint("reasoning_effort");
            }
        }
        Style::GeminiLevel => {
            let nearest = wanted.and_then(|wanted| traits.reasoning.nearest(wanted, false));
            if nearest.is_some_and(|nearest| nearest.changed) {
                unmapped.hint("reasoning_effort");
            }
            config.thinking_level = nearest.map(|nearest| nearest.effort).and_then(level);
        }
        // Such a model refuses the field altogether.
        _ => {
            if wanted.is_some_and(|wanted| wanted != Effort::None) {
                unmapped.hint("reasoning_effort");
            }
            reasoning.missed(traits.thinks(wanted), false).for_each(|name| unmapped.hint(name));
            return None;
        }
    }
    let says_something = config.include_thoughts.is_some()
        || config.thinking_budget.is_some()
        || config.thinking_level.is_some();
    says_something.then_some(config)
}

fn level(effort: Effort) -> Option<&'static str> {
    (effort != Effort::None).then(|| effort.as_str())
}

/// Within the bounds of the model; 0 is no thinking, where it can do without.
fn budget(tokens: u64, traits: &Traits) -> Option<u64> {
    if tokens == 0 && !traits.reasoning.always() {
        return Some(0);
    }
    traits.reasoning.budget_within(tokens)
}

#[cfg(test)]
mod tests {
    use tollgate_families::ApiFormat;

    use super::*;
    use crate::testing::target;
    use crate::unmapped::OnUnmappable;

    fn config(reasoning: Reasoning, model: &str) -> (String, bool) {
        let mut unmapped = Unmapped::new(OnUnmappable::Reject);
        let config = thinking(reasoning, target(model, ApiFormat::Gemini).traits, &mut unmapped);
        (serde_json::to_string(&config).unwrap(), !unmapped.dropped().is_empty())
    }

    fn told(effort: Effort, model: &str) -> (String, bool) {
        config(Reasoning { effort: Some(effort), ..Reasoning::default() }, model)
    }

    #[test]
    fn words_become_budgets_for_older_models() {
        for (model, effort, expected, is_named) in [
            ("gemini-2.5-flash", Effort::None, 0, false),
            ("gemini-2.5-flash", Effort::Medium, 8_192, false),
            ("gemini-2.5-flash", Effort::Max, 24_576, false),
            ("gemini-2.5-pro", Effort::Max, 32_768, false),
            ("gemini-2.5-pro", Effort::None, 128, true),
        ] {
            let expected = (format!("{{\"thinkingBudget\":{expected}}}"), is_named);
            assert_eq!(told(effort, model), expected, "{model} {effort:?}");
        }
    }

    #[test]
    fn a_model_that_is_to_decide_by_itself_is_told_so_where_it_has_a_word_for_it() {
        let adapts = Reasoning { adapts: true, ..Reasoning::default() };
        let dynamic = r#"{"thinkingBudget":-1}"#;
        for (model, expected, is_named) in [
            ("gemini-2.5-flash", dynamic, false),
            ("gemini-2.5-flash-lite", dynamic, false),
            ("gemini-3-pro-preview", "null", false),
            ("gemini-2.0-flash", "null", true),
        ] {
            assert_eq!(config(adapts, model), (expected.to_owned(), is_named), "{model}");
        }
    }

    #[test]
    fn words_become_the_nearest_level_for_newer_models() {
        for (model, effort, expected, is_named) in [
            ("gemini-3-flash", Effort::Minimal, "minimal", false),
            ("gemini-3-flash", Effort::Max, "high", true),
            ("gemini-3-flash", Effort::None, "minimal", true),
            ("gemini-3-pro-preview", Effort::Medium, "low", true),
            ("gemini-3-pro-preview", Effort::None, "low", true),
            ("gemini-4-neon", Effort::XHigh, "xhigh", false),
        ] {
            let expected = (format!("{{\"thinkingLevel\":\"{expected}\"}}"), is_named);
            assert_eq!(told(effort, model), expected, "{model} {effort:?}");
        }
    }

    #[test]
    fn a_number_of_tokens_is_told_in_the_words_of_the_model() {
        let of = |tokens, model| {
            config(Reasoning { budget_tokens: Some(tokens), ..Reasoning::default() }, model).0
        };
        assert_eq!(of(100, "gemini-2.5-pro"), r#"{"thinkingBudget":128}"#);
        assert_eq!(of(8_000, "gemini-3.1-pro-preview"), r#"{"thinkingLevel":"medium"}"#);
        assert_eq!(of(8_000, "gemini-2.0-flash"), "null");
    }
}
