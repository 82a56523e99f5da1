//! Writes a Converse request.

use serde::Serialize;
use serde_json::value::RawValue;
use tollgate_families::{Traits, Vendor};

use super::additional::{Additional, AdditionalFields, additional};
use super::blocks::{Block, BlockWriter};
use super::messages::{Message, has_system, messages};
use super::tools::{Declared, ToolConfig, tool_config};
use crate::adapt::{Place, TargetModel};
use crate::claude::{self, Choice, Form};
use crate::error::FormatError;
use crate::exchange::{Request, SystemText, Text};
use crate::json;
use crate::unmapped::Unmapped;

/// What this API takes, whatever the model.
pub const PLACE: Place = Place {
    takes_unmarked_proofs: false,
    has_system_turns: false,
    most_name_letters: 64,
    has_allowed_tools: false,
};

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
    let traits = target.traits;
    refuse_unmappable(request, unmapped)?;
    let mut choice = claude::choice(request, traits, unmapped);
    let declared = Declared::of(request, traits, choice, unmapped)?;
    if declared == Declared::Stubs {
        choice = Some(Choice::None);
    }
    let has_tools = declared != Declared::Nothing;
    let additional = additional(request, traits, choice, has_tools, unmapped)?;
    let inference_config = inference_config(request, traits, &additional, unmapped)?;
    let tool_config = tool_config(request, traits, declared, choice, additional.has_tool_choice, unmapped);
    let form = claude::form(request, traits, unmapped);
    let output_config = OutputConfig { text_format: text_format(&form), effort: additional.effort };
    let service_tier = service_tier(request, unmapped);
    let has_stop_text = traits.vendor == Vendor::Claude && !request.sampling.stop.is_empty();
    let body = Body {
        messages: messages(request, &form, &mut BlockWriter::new(traits, unmapped))?,
        system: if has_system(traits) { system(&request.system, &form) } else { Vec::new() },
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
    // Who asks does not change the answer.
    if request.end_user.is_some() {
        unmapped.hint("user");
    }
    for extra in &request.extras {
        unmapped.param(extra.name.clone().into_owned())?;
    }
    Ok(())
}

fn system<'r>(texts: &'r [SystemText<'_>], form: &'r Form<'_>) -> Vec<Block<'r>> {
    let mut blocks = Vec::with_capacity(texts.len());
    for text in texts.iter().filter(|text| !text.text.trim_ascii().is_empty()) {
        blocks.push(Block::text(&text.text));
        blocks.extend(text.cache.map(|mark| Block::CachePoint(mark.into())));
    }
    if let Form::Told(text) = form {
        blocks.push(Block::text(text));
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

fn inference_config<'r>(
    request: &'r Request<'_>,
    traits: &Traits,
    additional: &Additional<'_>,
    unmapped: &mut Unmapped,
) -> Result<Option<InferenceConfig<'r>>, FormatError> {
    let stop = Some(&*request.sampling.stop).filter(|stop| !stop.is_empty());
    let stop = claude::taken(stop, traits.sampling.stop.fate(false, false), "stop", unmapped)?;
    let config = InferenceConfig {
        max_tokens: additional.max_tokens,
        temperature: additional.temperature,
        top_p: additional.top_p,
        stop_sequences: stop.unwrap_or_default(),
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
    schema: String,
    name: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'r str>,
}

fn text_format<'r>(form: &Form<'r>) -> Option<TextFormat<'r>> {
    let Form::Schema { name, description, schema } = form else { return None };
    let mut text = Vec::new();
    json::write(&mut text, schema);
    let schema = String::from_utf8(text).unwrap_or_default();
    let json_schema = JsonSchema { schema, name, description: *description };
    Some(TextFormat { r#type: "json_schema", structure: Structure { json_schema } })
}

#[derive(Serialize)]
struct ServiceTier {
    r#type: &'static str,
}

/// Tiers change the price and the wait, not the answer.
fn service_tier(request: &Request<'_>, unmapped: &mut Unmapped) -> Option<ServiceTier> {
    let kind = match request.service_tier.as_deref()? {
        "auto" => return None,
        "default" | "standard_only" => "default",
        "flex" => "flex",
        "priority" => "priority",
        _ => {
            unmapped.hint("service_tier");
            return None;
        }
    };
    Some(ServiceTier { r#type: kind })
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "rules_tests.rs"]
mod rules_tests;
