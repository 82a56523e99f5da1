//! The top level of a Responses request as it stands in the body.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess};
use serde_json::value::RawValue;

use crate::exchange::{Extra, Text};
use crate::json::{Members, Str, members};
use crate::number::whole;

#[derive(Debug, Default)]
pub(super) struct Body<'a> {
    pub(super) input: Option<&'a RawValue>,
    pub(super) instructions: Option<Str<'a>>,
    pub(super) max_output_tokens: Option<u64>,
    pub(super) temperature: Option<f64>,
    pub(super) top_p: Option<f64>,
    pub(super) tools: Option<Vec<&'a RawValue>>,
    pub(super) tool_choice: Option<&'a RawValue>,
    pub(super) parallel_tool_calls: Option<bool>,
    pub(super) text: Option<TextBody<'a>>,
    pub(super) reasoning: Option<ReasoningBody<'a>>,
    pub(super) stream: Option<bool>,
    pub(super) top_logprobs: Option<u8>,
    pub(super) user: Option<Str<'a>>,
    pub(super) safety_identifier: Option<Str<'a>>,
    pub(super) service_tier: Option<Str<'a>>,
    pub(super) metadata: Option<&'a RawValue>,
    pub(super) include: Vec<Str<'a>>,
    /// What has no place in the common view and decides what is answered.
    pub(super) extras: Vec<Extra<'a>>,
    /// What has no place there and does not.
    pub(super) hints: Vec<Text<'a>>,
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct TextBody<'a> {
    #[serde(borrow, default)]
    pub(super) format: Option<FormatBody<'a>>,
    #[serde(borrow, default)]
    pub(super) verbosity: Option<&'a RawValue>,
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct FormatBody<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Str<'a>,
    #[serde(borrow, default)]
    pub(super) name: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) description: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) schema: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) strict: Option<bool>,
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct ReasoningBody<'a> {
    #[serde(borrow, default)]
    pub(super) effort: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) summary: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) generate_summary: Option<Str<'a>>,
    /// How OpenAI's service runs the model, and how much of earlier thoughts it shows it.
    #[serde(borrow, default)]
    pub(super) mode: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) context: Option<Str<'a>>,
}

impl ReasoningBody<'_> {
    /// What only OpenAI's service understands of it, by name.
    pub(super) fn hints(&self) -> impl Iterator<Item = &'static str> {
        let other =
            |said: &Option<Str<'_>>, default: &str| said.as_deref().is_some_and(|said| said != default);
        let mode = other(&self.mode, "standard").then_some("reasoning.mode");
        let context = other(&self.context, "auto").then_some("reasoning.context");
        mode.into_iter().chain(context)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Body<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        members::<Body<'de>, D>(deserializer)
    }
}

impl<'de> Members<'de> for Body<'de> {
    const EXPECTED: &'static str = "a Responses request";

    fn take<A: MapAccess<'de>>(&mut self, name: Text<'de>, map: &mut A) -> Result<(), A::Error> {
        match &*name {
            "input" => self.input = map.next_value()?,
            "instructions" => self.instructions = map.next_value()?,
            "max_output_tokens" => self.max_output_tokens = whole(map)?,
            "temperature" => self.temperature = map.next_value()?,
            "top_p" => self.top_p = map.next_value()?,
            "tools" => self.tools = map.next_value()?,
            "tool_choice" => self.tool_choice = map.next_value()?,
            "parallel_tool_calls" => self.parallel_tool_calls = map.next_value()?,
            "text" => self.text = map.next_value()?,
            "reasoning" => self.reasoning = map.next_value()?,
            "stream" => self.stream = map.next_value()?,
            "top_logprobs" => self.top_logprobs = whole(map)?,
            "user" => self.user = map.next_value()?,
            "safety_identifier" => self.safety_identifier = map.next_value()?,
            "service_tier" => self.service_tier = map.next_value()?,
            "metadata" => self.metadata = map.next_value()?,
            "include" => self.include = map.next_value::<Option<_>>()?.unwrap_or_default(),
            // The alias decides the model; events are numbered, and a stream hides nothing.
            "model" | "stream_options" => {
                map.next_value::<IgnoredAny>()?;
            }
            _ => {
                let value: &RawValue = map.next_value()?;
                match says_nothing(&name, value.get()) {
                    true => {}
                    false if DECISIVE.contains(&&*name) => self.extras.push(Extra { name, value }),
                    false => self.hints.push(name),
                }
            }
        }
        Ok(())
    }
}

/// Parameters without which the answer would be another one, and those that another format has too. Clients send many
/// others that only OpenAI's own service understands.
const DECISIVE: [&str; 9] = [
    "background",
    "conversation",
    "max_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_retention",
    "store",
    "truncation",
];

/// Whether a parameter only says what happens anyway.
fn says_nothing(name: &str, value: &str) -> bool {
    matches!((name, value), (_, "null") | ("store" | "background", "false") | ("truncation", "\"disabled\""))
}
