//! Writes a Messages request.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

use super::blocks::Blocks;
use super::turns::{Message, messages};
use crate::adapt::{Place, TargetModel};
use crate::anthropic::wire::CacheControlOut;
use crate::claude::{self, Plan, Thinking};
use crate::error::FormatError;
use crate::exchange::{OutputForm, Request, SystemText, Text, Tool, ToolChoice};
use crate::json;
use crate::unmapped::Unmapped;

/// Longest name of a tool, bytes.
const MAX_TOOL_NAME_BYTES: usize = 128;

/// What this API takes, whatever the model.
pub const PLACE: Place =
    Place { takes_unmarked_proofs: true, has_system_turns: true, most_name_letters: 128 };

/// Writes a request for `model`. Thoughts of other models are left out in any case: no provider wants them back.
///
/// # Errors
/// When something has no place here and may not be left out, or the conversation does not begin with the user.
pub fn encode(
    request: &Request<'_>,
    target: TargetModel<'_>,
    unmapped: &mut Unmapped,
) -> Result<Vec<u8>, FormatError> {
    let model = target.name;
    refuse_unmappable(request, unmapped)?;
    let plan = claude::plan(request, model, unmapped)?;
    let body = Body {
        model,
        max_tokens: plan.max_tokens,
        system: system(&request.system),
        messages: messages(request, unmapped)?,
        tools: tools(&request.tools)?,
        tool_choice: tool_choice(request),
        output_config: output_config(request, &plan, unmapped)?,
        temperature: temperature(request, &plan, unmapped)?,
        // 1 bounds nothing, and newer models refuse it beside a temperature.
        top_p: request.sampling.top_p.filter(|top_p| !plan.thinks() && *top_p != 1.0),
        top_k: request.sampling.top_k.filter(|_| !plan.thinks()),
        thinking: plan.thinking,
        stop_sequences: &request.sampling.stop,
        stream: request.stream,
        metadata: request.end_user.as_deref().map(|user_id| Metadata { user_id }),
        service_tier: service_tier(request, unmapped)?,
    };
    let mut out = Vec::with_capacity(1_024);
    json::write(&mut out, &body);
    Ok(out)
}

#[derive(serde::Serialize)]
struct Body<'r, 'a> {
    model: &'r str,
    max_tokens: u64,
    #[serde(skip_serializing_if = "System::is_empty")]
    system: System<'r, 'a>,
    messages: Vec<Message<'r, 'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tools: Vec<ToolOut<'r, 'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<ChoiceOut<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<Thinking>,
    #[serde(skip_serializing_if = "OutputConfig::is_empty")]
    output_config: OutputConfig<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop_sequences: &'r [Text<'a>],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'static str>,
}

#[derive(serde::Serialize)]
struct Metadata<'r> {
    user_id: &'r str,
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
    unmapped.given("metadata", request.metadata.filter(|labels| labels.get() != "{}").as_ref())?;
    for extra in &request.extras {
        unmapped.param(extra.name.clone().into_owned())?;
    }
    Ok(())
}

struct System<'r, 'a>(Vec<&'r SystemText<'a>>);

/// Without empty texts, which the API refuses.
fn system<'r, 'a>(texts: &'r [SystemText<'a>]) -> System<'r, 'a> {
    System(texts.iter().filter(|text| !text.text.is_empty()).collect())
}

impl System<'_, '_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for System<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [SystemText { text, cache: None }] => serializer.serialize_str(text),
            texts => serializer.collect_seq(texts.iter().map(|text| Blocks::text(&text.text, text.cache))),
        }
    }
}

struct ToolOut<'r, 'a>(&'r Tool<'a>);

fn tools<'r, 'a>(tools: &'r [Tool<'a>]) -> Result<Vec<ToolOut<'r, 'a>>, FormatError> {
    for tool in tools {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if tool.name.len() > MAX_TOOL_NAME_BYTES || tool.name.is_empty() || !tool.name.bytes().all(is_plain) {
            let shown: String = tool.name.chars().take(MAX_TOOL_NAME_BYTES).collect();
            return Err(FormatError::invalid(
                format!(
                    "the tool name `{shown}` cannot be used with the model behind this alias; \
                     use 1 to {MAX_TOOL_NAME_BYTES} letters, digits, `_` and `-`"
                ),
                "tools",
            ));
        }
    }
    Ok(tools.iter().map(ToolOut).collect())
}

impl Serialize for ToolOut<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct NoArguments {
            r#type: &'static str,
            properties: std::collections::BTreeMap<(), ()>,
        }

        let tool = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", &tool.name)?;
        if let Some(description) = &tool.description {
            map.serialize_entry("description", description)?;
        }
        match tool.parameters {
            Some(schema) => map.serialize_entry("input_schema", schema)?,
            None => map.serialize_entry(
                "input_schema",
                &NoArguments { r#type: "object", properties: std::collections::BTreeMap::new() },
            )?,
        }
        // Not strict is the default, and older models know no other.
        if tool.strict == Some(true) {
            map.serialize_entry("strict", &true)?;
        }
        if let Some(mark) = tool.cache {
            map.serialize_entry("cache_control", &CacheControlOut(mark))?;
        }
        map.end()
    }
}

#[derive(serde::Serialize)]
struct ChoiceOut<'r> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'r str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    disable_parallel_tool_use: bool,
}

fn tool_choice<'r>(request: &'r Request<'_>) -> Option<ChoiceOut<'r>> {
    if request.tools.is_empty() {
        return None;
    }
    let one_at_a_time = request.parallel_tool_calls == Some(false);
    let (kind, name) = match request.tool_choice.as_ref() {
        None if !one_at_a_time => return None,
        None | Some(ToolChoice::Auto) => ("auto", None),
        Some(ToolChoice::Required) => ("any", None),
        Some(ToolChoice::None) => ("none", None),
        Some(ToolChoice::Named(name)) => ("tool", Some(&**name)),
    };
    Some(ChoiceOut { r#type: kind, name, disable_parallel_tool_use: one_at_a_time && kind != "none" })
}

#[derive(serde::Serialize)]
struct OutputConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<FormatOut<'a>>,
}

impl OutputConfig<'_> {
    const fn is_empty(&self) -> bool {
        self.effort.is_none() && self.format.is_none()
    }
}

#[derive(serde::Serialize)]
struct FormatOut<'a> {
    r#type: &'static str,
    schema: &'a RawValue,
}

/// A schema has a place; its name is a label without effect. Any JSON object has none.
fn output_config<'a>(
    request: &Request<'a>,
    plan: &Plan,
    unmapped: &mut Unmapped,
) -> Result<OutputConfig<'a>, FormatError> {
    let format = match &request.output {
        OutputForm::Text => None,
        OutputForm::JsonObject => {
            unmapped.param("response_format")?;
            None
        }
        OutputForm::JsonSchema { schema, .. } => Some(FormatOut { r#type: "json_schema", schema }),
    };
    Ok(OutputConfig { effort: plan.effort, format })
}

/// The scale ends at 1 here, and a model that thinks wants its sampling untouched.
fn temperature(
    request: &Request<'_>,
    plan: &Plan,
    unmapped: &mut Unmapped,
) -> Result<Option<f64>, FormatError> {
    let sampling = &request.sampling;
    let is_changed = |value: &&f64| **value != 1.0;
    if plan.thinks() {
        unmapped.given("temperature", sampling.temperature.as_ref().filter(is_changed))?;
        unmapped.given("top_p", sampling.top_p.as_ref().filter(is_changed))?;
        unmapped.given("top_k", sampling.top_k.as_ref())?;
        return Ok(None);
    }
    match sampling.temperature {
        Some(above) if above > 1.0 => {
            unmapped.param("temperature")?;
            Ok(Some(1.0))
        }
        other => Ok(other),
    }
}

/// OpenAI's `default` is what `standard_only` says here.
fn service_tier(request: &Request<'_>, unmapped: &mut Unmapped) -> Result<Option<&'static str>, FormatError> {
    Ok(match request.service_tier.as_deref() {
        None => None,
        Some("auto") => Some("auto"),
        Some("default" | "standard_only") => Some("standard_only"),
        Some(_) => {
            unmapped.param("service_tier")?;
            None
        }
    })
}
