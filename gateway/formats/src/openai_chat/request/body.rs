//! The top level of a chat request as it stands in the body.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess};
use serde_json::value::RawValue;

use super::super::wire::CacheControl;
use super::message::Message;
use crate::exchange::{Extra, Text};
use crate::json::{Members, Str, Texts, members};
use crate::number::whole;

#[derive(Debug, Default)]
pub(super) struct Body<'a> {
    pub(super) messages: Option<Vec<Message<'a>>>,
    pub(super) stream: Option<bool>,
    pub(super) stream_options: Option<&'a RawValue>,
    pub(super) max_tokens: Option<u64>,
    pub(super) max_completion_tokens: Option<u64>,
    pub(super) temperature: Option<f64>,
    pub(super) top_p: Option<f64>,
    pub(super) top_k: Option<u64>,
    pub(super) stop: Texts<'a>,
    pub(super) seed: Option<i64>,
    pub(super) frequency_penalty: Option<f64>,
    pub(super) presence_penalty: Option<f64>,
    pub(super) n: Option<u64>,
    pub(super) logprobs: Option<bool>,
    pub(super) top_logprobs: Option<u8>,
    pub(super) logit_bias: Option<&'a RawValue>,
    pub(super) tools: Option<Vec<&'a RawValue>>,
    pub(super) tool_choice: Option<&'a RawValue>,
    pub(super) parallel_tool_calls: Option<bool>,
    pub(super) functions: Option<Vec<FunctionWire<'a>>>,
    pub(super) function_call: Option<&'a RawValue>,
    pub(super) response_format: Option<&'a RawValue>,
    pub(super) reasoning_effort: Option<Str<'a>>,
    pub(super) user: Option<Str<'a>>,
    pub(super) safety_identifier: Option<&'a RawValue>,
    pub(super) service_tier: Option<Str<'a>>,
    pub(super) metadata: Option<&'a RawValue>,
    pub(super) extras: Vec<Extra<'a>>,
}

/// A tool that is offered.
#[derive(Debug, serde::Deserialize)]
pub(super) struct ToolWire<'a> {
    #[serde(borrow, default, rename = "type")]
    pub(super) kind: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) function: Option<FunctionWire<'a>>,
    #[serde(borrow, default)]
    pub(super) custom: Option<CustomWire<'a>>,
    #[serde(borrow, default)]
    pub(super) cache_control: Option<CacheControl<'a>>,
}

/// A tool that takes free text.
#[derive(Debug, serde::Deserialize)]
pub(super) struct CustomWire<'a> {
    #[serde(borrow)]
    pub(super) name: Str<'a>,
    #[serde(borrow, default)]
    pub(super) description: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) format: Option<&'a RawValue>,
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct FunctionWire<'a> {
    #[serde(borrow)]
    pub(super) name: Str<'a>,
    #[serde(borrow, default)]
    pub(super) description: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) parameters: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) strict: Option<bool>,
    #[serde(borrow, default)]
    pub(super) cache_control: Option<CacheControl<'a>>,
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct ResponseFormat<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Str<'a>,
    #[serde(borrow, default)]
    pub(super) json_schema: Option<JsonSchema<'a>>,
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct JsonSchema<'a> {
    #[serde(borrow)]
    pub(super) name: Str<'a>,
    #[serde(borrow, default)]
    pub(super) description: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) schema: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) strict: Option<bool>,
}

/// `tool_choice` or `function_call`: a word, or the name of one tool.
#[derive(Debug)]
pub(super) enum Choice<'a> {
    Word(Text<'a>),
    /// Type and name, where it has them.
    Tool(Option<Text<'a>>, Option<Text<'a>>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Choice<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        struct Named<'a> {
            #[serde(borrow)]
            name: Str<'a>,
        }
        #[derive(serde::Deserialize)]
        struct Object<'a> {
            #[serde(borrow, default, rename = "type")]
            kind: Option<Str<'a>>,
            #[serde(borrow, default)]
            function: Option<Named<'a>>,
            #[serde(borrow, default)]
            custom: Option<Named<'a>>,
            #[serde(borrow, default)]
            name: Option<Str<'a>>,
        }
        let raw = <&'a RawValue>::deserialize(deserializer)?;
        if let Some(word) = crate::view::text_of(raw) {
            return Ok(Self::Word(word));
        }
        let object: Object<'a> = serde_json::from_str(raw.get()).map_err(serde::de::Error::custom)?;
        let named = object.function.or(object.custom).map(|named| named.name);
        let name = named.or(object.name);
        Ok(Self::Tool(object.kind.map(Str::into_text), name.map(Str::into_text)))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Body<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        members::<Body<'de>, D>(deserializer)
    }
}

impl<'de> Members<'de> for Body<'de> {
    const EXPECTED: &'static str = "a chat request";

    fn take<A: MapAccess<'de>>(&mut self, name: Text<'de>, map: &mut A) -> Result<(), A::Error> {
        match &*name {
            "messages" => self.messages = map.next_value()?,
            "stream" => self.stream = map.next_value()?,
            "stream_options" => self.stream_options = map.next_value()?,
            "max_tokens" => self.max_tokens = whole(map)?,
            "max_completion_tokens" => self.max_completion_tokens = whole(map)?,
            "temperature" => self.temperature = map.next_value()?,
            "top_p" => self.top_p = map.next_value()?,
            "top_k" => self.top_k = whole(map)?,
            "stop" => self.stop = map.next_value()?,
            "seed" => self.seed = whole(map)?,
            "frequency_penalty" => self.frequency_penalty = map.next_value()?,
            "presence_penalty" => self.presence_penalty = map.next_value()?,
            "n" => self.n = whole(map)?,
            "logprobs" => self.logprobs = map.next_value()?,
            "top_logprobs" => self.top_logprobs = whole(map)?,
            "logit_bias" => self.logit_bias = map.next_value()?,
            "tools" => self.tools = map.next_value()?,
            "tool_choice" => self.tool_choice = map.next_value()?,
            "parallel_tool_calls" => self.parallel_tool_calls = map.next_value()?,
            "functions" => self.functions = map.next_value()?,
            "function_call" => self.function_call = map.next_value()?,
            "response_format" => self.response_format = map.next_value()?,
            "reasoning_effort" => self.reasoning_effort = map.next_value()?,
            "user" => self.user = map.next_value()?,
            "safety_identifier" => self.safety_identifier = map.next_value()?,
            "service_tier" => self.service_tier = map.next_value()?,
            "metadata" => self.metadata = map.next_value()?,
            // The alias decides the model.
            "model" => {
                map.next_value::<IgnoredAny>()?;
            }
            _ => {
                let value: &RawValue = map.next_value()?;
                if !says_nothing(&name, value.get()) {
                    self.extras.push(Extra { name, value });
                }
            }
        }
        Ok(())
    }
}

/// Whether a parameter only repeats what happens anyway: clients send such defaults, and no backend need know them.
fn says_nothing(name: &str, value: &str) -> bool {
    matches!(
        (name, value),
        (_, "null") | ("store", "false") | ("modalities", "[\"text\"]") | ("verbosity", "\"medium\"")
    )
}
