//! `generationConfig`: how tokens are chosen, how the answer looks, how much the model may think.

use serde_json::value::RawValue;

use super::body::{Config, Thinking, Whole};
use super::others::{extend, take_hints};
use crate::error::FormatError;
use crate::exchange::{Effort, Extra, OutputForm, Request, Text};
use crate::json::Str;
use crate::view::text_of;

/// Name for a JSON schema: formats that need one have no other source for it.
const SCHEMA_NAME: &str = "response";
/// Fields that do not change what an answer means.
const HINTS: [&str; 2] = ["mediaResolution", "media_resolution"];

/// What Gemini's models do unless they are told otherwise (Google's pages of its models). Its command-line agent writes
/// them in every request; to the models of others they are no wish that could be refused.
const OWN_TOP_P: f64 = 0.95;
const OWN_TOP_K: u64 = 64;

pub(super) fn read<'a>(mut config: Config<'a>, request: &mut Request<'a>) -> Result<(), FormatError> {
    let others = std::mem::take(&mut config.others);
    let others = take_hints(&mut request.hints, others, &HINTS, || "generationConfig".to_owned());
    extend(&mut request.extras, others, || "generationConfig".to_owned());
    if let Some(thinking) = config.thinking.take() {
        read_thinking(&thinking, request)?;
    }
    read_form(&config, request);
    let sampling = &mut request.sampling;
    sampling.max_output_tokens = count(config.max_output_tokens, "maxOutputTokens")?;
    sampling.temperature = config.temperature;
    sampling.top_p = config.top_p.filter(|wanted| *wanted != OWN_TOP_P);
    if sampling.top_p != config.top_p {
        request.hints.push("generationConfig.topP".into());
    }
    let top_k = count(config.top_k, "topK")?;
    sampling.top_k = top_k.filter(|wanted| *wanted != OWN_TOP_K);
    if sampling.top_k != top_k {
        request.hints.push("generationConfig.topK".into());
    }
    sampling.stop = config.stop_sequences.unwrap_or_default().into_iter().map(Str::into_text).collect();
    sampling.seed = config.seed.map(|seed| seed.0);
    sampling.frequency_penalty = config.frequency_penalty;
    sampling.presence_penalty = config.presence_penalty;
    sampling.choices = count(config.candidate_count, "candidateCount")?;
    if config.response_logprobs == Some(true) {
        let top = count(config.logprobs, "logprobs")?.unwrap_or(0);
        sampling.top_logprobs = Some(u8::try_from(top).unwrap_or(u8::MAX));
    }
    Ok(())
}

fn count(given: Option<Whole>, name: &str) -> Result<Option<u64>, FormatError> {
    given.map(|number| number.count().ok_or_else(|| below_zero(name))).transpose()
}

fn below_zero(name: &str) -> FormatError {
    let param = format!("generationConfig.{name}");
    FormatError::Invalid { message: format!("`{param}` must not be below zero"), param: Some(param.into()) }
}

fn read_form<'a>(config: &Config<'a>, request: &mut Request<'a>) {
    let mut keep = |name: &'static str, value: &'a RawValue| {
        request.extras.push(Extra { name: format!("generationConfig.{name}").into(), value });
    };
    let is_text_alone = |raw: &&RawValue| {
        let said: Vec<Str<'_>> = serde_json::from_str(raw.get()).unwrap_or_default();
        said.iter().all(|modality| modality.eq_ignore_ascii_case("text"))
    };
    if let Some(modalities) = config.response_modalities.filter(|raw| !is_text_alone(raw)) {
        keep("responseModalities", modalities);
    }
    let schema = config.response_json_schema.or(config.response_schema);
    match config.response_mime_type.map(|raw| (raw, text_of(raw))) {
        Some((_, Some(kind))) if kind == "application/json" => {
            request.output = match schema {
                // The match is promised here, but not every schema is one that other providers promise to match.
                Some(schema) => OutputForm::JsonSchema {
                    name: SCHEMA_NAME.into(),
                    description: None,
                    schema,
                    strict: None,
                },
                None => OutputForm::JsonObject,
            };
        }
        Some((_, Some(kind))) if kind.is_empty() || kind == "text/plain" => {}
        Some((raw, _)) => keep("responseMimeType", raw),
        None => {}
    }
}

fn read_thinking(thinking: &Thinking<'_>, request: &mut Request<'_>) -> Result<(), FormatError> {
    let reasoning = request.reasoning.get_or_insert_default();
    reasoning.show = thinking.include_thoughts;
    reasoning.show_param =
        thinking.include_thoughts.map(|_| "generationConfig.thinkingConfig.includeThoughts");
    if let Some(level) = thinking.thinking_level.as_deref() {
        let level = level.to_ascii_lowercase();
        let effort = Effort::from_name(&level).filter(|effort| *effort != Effort::None);
        match effort {
            Some(_) => reasoning.effort = effort,
            None if level == "thinking_level_unspecified" => {}
            None => {
                let param = "generationConfig.thinkingConfig.thinkingLevel";
                return Err(FormatError::invalid(format!("`{param}` is none of the known levels"), param));
            }
        }
    }
    match thinking.thinking_budget {
        Some(Whole(0)) => reasoning.effort = Some(Effort::None),
        Some(budget) => {
            // Below zero: as much as the model likes.
            reasoning.budget_tokens = budget.count();
            reasoning.adapts = reasoning.budget_tokens.is_none();
        }
        None => {}
    }
    Ok(())
}

/// A tier in the words that formats share; `None` where it is the usual one.
pub(super) fn service_tier(tier: &str) -> Option<Text<'static>> {
    match tier.to_ascii_lowercase().as_str() {
        "" | "unspecified" | "service_tier_unspecified" => None,
        "standard" => Some("default".into()),
        other => Some(other.to_owned().into()),
    }
}
