//! Writes a Converse request.

use serde::Serialize;
use serde_json::value::RawValue;

use super::additional::{Additional, AdditionalFields, additional};
use super::blocks::{Block, BlockWriter};
use super::messages::{Message, messages};
use super::tools::{ToolConfig, tool_config};
use crate::adapt::{Place, TargetModel};
use crate::bedrock::family::Family;
use crate::error::FormatError;
use crate::exchange::{OutputForm, Request, SystemText, Text};
use crate::json;
use crate::unmapped::Unmapped;

/// What this API takes, whatever the model.
pub const PLACE: Place =
    Place { takes_unmarked_proofs: false, has_system_turns: false, most_name_letters: 64 };

/// Writes a request for `model`, which is not part of it but decides what goes into
/// `additionalModelRequestFields`. Thoughts that Bedrock has not signed are left out in any case.
///
/// # Errors
/// When something has no place here and may not be left out, or the conversation does not hold together.
pub fn encode(
    request: &Request<'_>,
    target: TargetModel<'_>,
    unmapped: &mut Unmapped,
) -> Result<Vec<u8>, FormatError> {
    let model = target.name;
    refuse_unmappable(request, unmapped)?;
    let additional = additional(request, model, unmapped)?;
    let inference_config = inference_config(request, &additional, unmapped)?;
    let tool_config = tool_config(request, additional.has_tool_choice, unmapped)?;
    let output_config =
        OutputConfig { text_format: text_format(request, unmapped)?, effort: additional.effort };
    let service_tier = service_tier(request, unmapped)?;
    let has_stop_text = Family::of_model(model) == Family::Claude && !request.sampling.stop.is_empty();
    let body = Body {
        messages: messages(&request.turns, &mut BlockWriter::new(unmapped))?,
        system: system(&request.system),
        inference_config,
        tool_config,
        additional_model_request_fields: additional.fields,
        additional_model_response_field_paths: has_stop_text.then_some(["/stop_sequence"]),
        request_metadata: request.metadata.filter(|labels| labels.get() != "{}"),
        service_tier,
        output_config: output_config.says_something().then_some(output_config),
    };
    let mut out = Vec::with_capacity(1_024);
    json::write(&mut out, &body);
    Ok(out)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'r> {
    messages: Vec<Message<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<Block<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inference_config: Option<InferenceConfig<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<ToolConfig<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    additional_model_request_fields: Option<AdditionalFields<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    additional_model_response_field_paths: Option<[&'static str; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_metadata: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<ServiceTier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<OutputConfig<'r>>,
}

/// What no request of this format can say, by the names of OpenAI's chat format.
fn refuse_unmappable(request: &Request<'_>, unmapped: &mut Unmapped) -> Result<(), FormatError> {
    let sampling = &request.sampling;
    let has_effect = |penalty: &&f64| **penalty != 0.0;
    unmapped.given("seed", sampling.seed.as_ref())?;
    unmapped.given("frequency_penalty", sampling.frequency_penalty.as_ref().filter(has_effect))?;
    unmapped.given("presence_penalty", sampling.presence_penalty.as_ref().filter(has_effect))?;
    unmapped.given("n", sampling.choices.as_ref().filter(|choices| **choices != 1))?;
    unmapped.given("logprobs", sampling.top_logprobs.as_ref())?;
    unmapped.given("logit_bias", sampling.logit_bias.filter(|bias| bias.get() != "{}").as_ref())?;
    unmapped.given("user", request.end_user.as_ref())?;
    for extra in &request.extras {
        unmapped.param(extra.name.clone().into_owned())?;
    }
    Ok(())
}

fn system<'r>(texts: &'r [SystemText<'_>]) -> Vec<Block<'r>> {
    let mut blocks = Vec::with_capacity(texts.len());
    for text in texts.iter().filter(|text| !text.text.trim_ascii().is_empty()) {
        blocks.push(Block::Text(&text.text));
        blocks.extend(text.cache.map(|mark| Block::CachePoint(mark.into())));
    }
    blocks
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InferenceConfig<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop_sequences: &'r [Text<'r>],
}

/// The scale of temperatures ends at 1 here, and Claude wants its sampling untouched while it thinks.
fn inference_config<'r>(
    request: &'r Request<'_>,
    additional: &Additional<'_>,
    unmapped: &mut Unmapped,
) -> Result<Option<InferenceConfig<'r>>, FormatError> {
    let sampling = &request.sampling;
    // 1 bounds nothing, and newer models refuse it beside a temperature.
    let (mut temperature, mut top_p) = (sampling.temperature, sampling.top_p.filter(|top_p| *top_p != 1.0));
    if additional.keeps_sampling {
        let is_changed = |value: &&f64| **value != 1.0;
        unmapped.given("temperature", temperature.take().as_ref().filter(is_changed))?;
        unmapped.given("top_p", top_p.take().as_ref().filter(is_changed))?;
    }
    if temperature.is_some_and(|temperature| temperature > 1.0) {
        unmapped.param("temperature")?;
        temperature = Some(1.0);
    }
    let config = InferenceConfig {
        max_tokens: additional.max_tokens,
        temperature,
        top_p,
        stop_sequences: &sampling.stop,
    };
    let says_something = config.max_tokens.is_some()
        || config.temperature.is_some()
        || config.top_p.is_some()
        || !config.stop_sequences.is_empty();
    Ok(says_something.then_some(config))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutputConfig<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    text_format: Option<TextFormat<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
}

impl OutputConfig<'_> {
    const fn says_something(&self) -> bool {
        self.text_format.is_some() || self.effort.is_some()
    }
}

#[derive(Serialize)]
struct TextFormat<'r> {
    r#type: &'static str,
    structure: Structure<'r>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Structure<'r> {
    json_schema: JsonSchema<'r>,
}

/// The schema is a text here that holds JSON.
#[derive(Serialize)]
struct JsonSchema<'r> {
    schema: &'r str,
    name: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'r str>,
}

/// A schema has a place; any JSON object has none.
fn text_format<'r>(
    request: &'r Request<'_>,
    unmapped: &mut Unmapped,
) -> Result<Option<TextFormat<'r>>, FormatError> {
    Ok(match &request.output {
        OutputForm::Text => None,
        OutputForm::JsonObject => {
            unmapped.param("response_format")?;
            None
        }
        OutputForm::JsonSchema { name, description, schema, .. } => {
            let json_schema = JsonSchema { schema: schema.get(), name, description: description.as_deref() };
            Some(TextFormat { r#type: "json_schema", structure: Structure { json_schema } })
        }
    })
}

#[derive(Serialize)]
struct ServiceTier {
    r#type: &'static str,
}

fn service_tier(request: &Request<'_>, unmapped: &mut Unmapped) -> Result<Option<ServiceTier>, FormatError> {
    let kind = match request.service_tier.as_deref() {
        None | Some("auto") => return Ok(None),
        Some("default" | "standard_only") => "default",
        Some("flex") => "flex",
        Some("priority") => "priority",
        Some(_) => return unmapped.param("service_tier").map(|()| None),
    };
    Ok(Some(ServiceTier { r#type: kind }))
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;
