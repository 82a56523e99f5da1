//! The fields of a request as they stand on the wire.

use serde::de::{Deserialize, Deserializer, MapAccess};
use serde_json::value::RawValue;

use crate::anthropic::wire::{CacheControl, Content};
use crate::exchange::{Extra, Text};
use crate::json::{Members, Str, members};
use crate::number::Whole;

/// A request. Fields that have no place in the common view are kept in `extras`.
#[derive(Debug, Default)]
pub(super) struct Body<'a> {
    pub(super) max_tokens: Option<Whole>,
    pub(super) messages: Option<Vec<Message<'a>>>,
    pub(super) system: Option<Content<'a>>,
    pub(super) tools: Option<Vec<ToolEntry<'a>>>,
    pub(super) tool_choice: Option<ToolChoice<'a>>,
    pub(super) thinking: Option<Thinking<'a>>,
    pub(super) output_config: Option<OutputConfig<'a>>,
    pub(super) output_format: Option<OutputFormat<'a>>,
    pub(super) stop_sequences: Option<Vec<Str<'a>>>,
    pub(super) temperature: Option<f64>,
    pub(super) top_p: Option<f64>,
    pub(super) top_k: Option<Whole>,
    pub(super) stream: Option<bool>,
    pub(super) metadata: Option<Metadata<'a>>,
    pub(super) service_tier: Option<Str<'a>>,
    pub(super) extras: Vec<Extra<'a>>,
    pub(super) hints: Vec<Text<'a>>,
}

/// Fields that change how the provider serves, keeps or caches a conversation, not what it answers.
const HINTS: [&str; 3] = ["cache_control", "context_management", "speed"];

#[derive(Debug, serde::Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    pub(super) role: Str<'a>,
    #[serde(borrow)]
    pub(super) content: Content<'a>,
}

/// A tool of any type; only custom ones have a schema.
#[derive(Debug, serde::Deserialize)]
pub(super) struct ToolEntry<'a> {
    #[serde(borrow, default, rename = "type")]
    pub(super) kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) name: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) description: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) input_schema: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) strict: Option<bool>,
    #[serde(borrow, default)]
    pub(super) cache_control: Option<CacheControl<'a>>,
    #[serde(borrow, default)]
    pub(super) allowed_callers: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) defer_loading: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) input_examples: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) eager_input_streaming: Option<bool>,
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct ToolChoice<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Str<'a>,
    #[serde(borrow, default)]
    pub(super) name: Option<Str<'a>>,
    #[serde(default)]
    pub(super) disable_parallel_tool_use: Option<bool>,
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct Thinking<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: &'a RawValue,
    #[serde(default)]
    pub(super) budget_tokens: Option<Whole>,
    #[serde(borrow, default)]
    pub(super) display: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) block_binding: Option<&'a RawValue>,
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct OutputConfig<'a> {
    #[serde(borrow, default)]
    pub(super) effort: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) format: Option<OutputFormat<'a>>,
    #[serde(borrow, default)]
    pub(super) task_budget: Option<&'a RawValue>,
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct OutputFormat<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: &'a RawValue,
    #[serde(borrow, default)]
    pub(super) schema: Option<&'a RawValue>,
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct Metadata<'a> {
    #[serde(borrow, default)]
    pub(super) user_id: Option<Str<'a>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Body<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        members::<Body<'de>, D>(deserializer)
    }
}

impl<'de> Members<'de> for Body<'de> {
    const EXPECTED: &'static str = "a request";

    fn take<A: MapAccess<'de>>(&mut self, name: Text<'de>, map: &mut A) -> Result<(), A::Error> {
        match &*name {
            "model" => drop(map.next_value::<&RawValue>()?),
            "max_tokens" => self.max_tokens = map.next_value()?,
            "messages" => self.messages = map.next_value()?,
            "system" => self.system = map.next_value()?,
            "tools" => self.tools = map.next_value()?,
            "tool_choice" => self.tool_choice = map.next_value()?,
            "thinking" => self.thinking = map.next_value()?,
            "output_config" => self.output_config = map.next_value()?,
            "output_format" => self.output_format = map.next_value()?,
            "stop_sequences" => self.stop_sequences = map.next_value()?,
            "temperature" => self.temperature = map.next_value()?,
            "top_p" => self.top_p = map.next_value()?,
            "top_k" => self.top_k = map.next_value()?,
            "stream" => self.stream = map.next_value()?,
            "metadata" => self.metadata = map.next_value()?,
            "service_tier" => self.service_tier = map.next_value()?,
            _ => {
                let value: &RawValue = map.next_value()?;
                match value.get() {
                    "null" => {}
                    _ if HINTS.contains(&&*name) => self.hints.push(name),
                    _ => self.extras.push(Extra { name, value }),
                }
            }
        }
        Ok(())
    }
}
