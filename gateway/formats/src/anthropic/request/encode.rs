//! Writes a Messages request.

use serde::ser::{Serialize, SerializeMap, Serializer};
use tollgate_families::Traits;

use super::blocks::Blocks;
use super::turns::{Message, messages};
use crate::adapt::{Place, TargetModel};
use crate::anthropic::wire::CacheControlOut;
use crate::claude::{self, Choice, Form, Thinking};
use crate::error::FormatError;
use crate::exchange::{Request, SystemText, Text, Tool};
use crate::json;
use crate::schema::{self, Schema};
use crate::unmapped::Unmapped;

/// Longest name of a tool, bytes.
const MAX_TOOL_NAME_BYTES: usize = 128;
/// Longest `metadata.user_id`, bytes.
const MAX_USER_BYTES: usize = 256;
/// `max_tokens` when neither the client nor the model's family says one: the format demands it, and every model takes
/// as many.
const DEFAULT_MAX_TOKENS: u64 = 4_096;

/// What this API takes, whatever the model.
pub const PLACE: Place = Place {
    takes_unmarked_proofs: true,
    has_system_turns: true,
    most_name_letters: 128,
    has_allowed_tools: false,
};

/// Writes a request for `model`. Thoughts of other models are left out in any case: no provider wants them back.
///
/// # Errors
/// When something has no place here and may not be left out, or there is nothing to answer.
pub fn encode(
    request: &Request<'_>,
    target: TargetModel<'_>,
    unmapped: &mut Unmapped,
) -> Result<Vec<u8>, FormatError> {
    let TargetModel { name: model, traits, .. } = target;
    refuse_unmappable(request, unmapped)?;
    let choice = claude::choice(request, traits, unmapped);
    let plan = claude::plan(request, traits, choice.is_some_and(Choice::is_forced), unmapped);
    let sampled = claude::sampled(request, traits, plan.thinks, unmapped)?;
    let form = claude::form(request, traits, unmapped);
    let stop = stop_sequences(request, traits, unmapped)?;
    let most = || claude::most_output(request, traits).unwrap_or(DEFAULT_MAX_TOKENS);
    let body = Body {
        model,
        max_tokens: plan.max_tokens.unwrap_or_else(most),
        system: system(&request.system, &form),
        messages: messages(request, traits, unmapped)?,
        tools: tools(&request.tools, traits, unmapped)?,
        tool_choice: tool_choice(request, choice),
        output_config: OutputConfig { effort: plan.effort, format: FormatOut::of(&form) },
        temperature: sampled.temperature,
        top_p: sampled.top_p,
        top_k: sampled.top_k,
        thinking: plan.thinking,
        stop_sequences: stop,
        stream: request.stream,
        metadata: metadata(request, unmapped),
        service_tier: service_tier(request, unmapped),
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
    output_config: OutputConfig<'r>,
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
    // Labels are for the caller's own books.
    if request.metadata.is_some_and(|labels| labels.get() != "{}") {
        unmapped.hint("metadata");
    }
    for extra in &request.extras {
        unmapped.param(extra.name.clone().into_owned())?;
    }
    Ok(())
}

/// The name of the caller's user, where it is not longer than the API takes.
fn metadata<'r>(request: &'r Request<'_>, unmapped: &mut Unmapped) -> Option<Metadata<'r>> {
    let user_id = request.end_user.as_deref()?;
    if user_id.len() > MAX_USER_BYTES {
        unmapped.hint("user");
        return None;
    }
    Some(Metadata { user_id })
}

fn stop_sequences<'r, 'a>(
    request: &'r Request<'a>,
    traits: &Traits,
    unmapped: &mut Unmapped,
) -> Result<&'r [Text<'a>], FormatError> {
    let stop = Some(&*request.sampling.stop).filter(|stop| !stop.is_empty());
    Ok(claude::taken(stop, traits.sampling.stop.fate(false, false), "stop", unmapped)?.unwrap_or_default())
}

struct System<'r, 'a> {
    texts: Vec<&'r SystemText<'a>>,
    /// What the form of the answer is told by.
    form: Option<&'r str>,
}

/// Without blank texts, which the API refuses.
fn system<'r, 'a>(texts: &'r [SystemText<'a>], form: &'r Form<'_>) -> System<'r, 'a> {
    let form = if let Form::Told(text) = form { Some(text.as_str()) } else { None };
    System { texts: texts.iter().filter(|text| !text.text.trim_ascii().is_empty()).collect(), form }
}

impl System<'_, '_> {
    const fn is_empty(&self) -> bool {
        self.texts.is_empty() && self.form.is_none()
    }
}

impl Serialize for System<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.texts.as_slice(), self.form) {
            ([SystemText { text, cache: None }], None) => serializer.serialize_str(text),
            ([], Some(form)) => serializer.serialize_str(form),
            (texts, form) => {
                let texts = texts.iter().map(|text| (&*text.text, text.cache));
                let all = texts.chain(form.map(|form| (form, None)));
                serializer.collect_seq(all.map(|(text, cache)| Blocks::text(text, cache)))
            }
        }
    }
}

struct ToolOut<'r, 'a> {
    tool: &'r Tool<'a>,
    schema: Schema<'a>,
    strict: bool,
}

fn tools<'r, 'a>(
    tools: &'r [Tool<'a>],
    traits: &Traits,
    unmapped: &mut Unmapped,
) -> Result<Vec<ToolOut<'r, 'a>>, FormatError> {
    let mut out = Vec::with_capacity(tools.len());
    let mut strict_left = claude::StrictTools::of(traits);
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
        let schema = schema::arguments(tool.parameters, &traits.schema);
        out.push(ToolOut { tool, schema, strict: strict_left.takes(tool, unmapped) });
    }
    Ok(out)
}

impl Serialize for ToolOut<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let tool = self.tool;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", &tool.name)?;
        if let Some(description) = &tool.description {
            map.serialize_entry("description", description)?;
        }
        map.serialize_entry("input_schema", &self.schema)?;
        if self.strict {
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

fn tool_choice<'r>(request: &Request<'_>, choice: Option<Choice<'r>>) -> Option<ChoiceOut<'r>> {
    if request.tools.is_empty() {
        return None;
    }
    let one_at_a_time = request.parallel_tool_calls == Some(false);
    let (kind, name) = match choice {
        None if !one_at_a_time => return None,
        None | Some(Choice::Auto) => ("auto", None),
        Some(Choice::Any) => ("any", None),
        Some(Choice::None) => ("none", None),
        Some(Choice::Named(name)) => ("tool", Some(name)),
    };
    Some(ChoiceOut { r#type: kind, name, disable_parallel_tool_use: one_at_a_time && kind != "none" })
}

#[derive(serde::Serialize)]
struct OutputConfig<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<FormatOut<'r>>,
}

impl OutputConfig<'_> {
    const fn is_empty(&self) -> bool {
        self.effort.is_none() && self.format.is_none()
    }
}

#[derive(serde::Serialize)]
struct FormatOut<'r> {
    r#type: &'static str,
    schema: &'r Schema<'r>,
}

impl<'r> FormatOut<'r> {
    /// A schema's name and description are labels without effect.
    const fn of(form: &'r Form<'r>) -> Option<Self> {
        match form {
            Form::Schema { schema, .. } => Some(Self { r#type: "json_schema", schema }),
            Form::Free | Form::Told(_) => None,
        }
    }
}

/// OpenAI's `default` is what `standard_only` says here. Others change the price and the wait, not the answer.
fn service_tier(request: &Request<'_>, unmapped: &mut Unmapped) -> Option<&'static str> {
    match request.service_tier.as_deref()? {
        "auto" => Some("auto"),
        "default" | "standard_only" => Some("standard_only"),
        _ => {
            unmapped.hint("service_tier");
            None
        }
    }
}
