//! One message of a chat request as it stands in the body.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::super::thoughts::ThinkingBlock;
use super::super::wire::{CacheControl, CallWire, Content, ToolCallWire};
use crate::exchange::Text;
use crate::json::Str;

#[derive(Debug, Default)]
pub(super) struct Message<'a> {
    pub(super) role: Option<Str<'a>>,
    pub(super) content: Content<'a>,
    pub(super) name: Option<Str<'a>>,
    pub(super) tool_calls: Option<Vec<ToolCallWire<'a>>>,
    pub(super) tool_call_id: Option<Str<'a>>,
    pub(super) function_call: Option<CallWire<'a>>,
    pub(super) refusal: Option<Str<'a>>,
    pub(super) reasoning: Option<Str<'a>>,
    pub(super) thinking_blocks: Option<Vec<ThinkingBlock<'a>>>,
    pub(super) reasoning_details: Option<&'a RawValue>,
    pub(super) cache_control: Option<CacheControl<'a>>,
    /// Fields that are not known.
    pub(super) others: Vec<(Text<'a>, &'a RawValue)>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Message<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Messages;

        impl<'de> Visitor<'de> for Messages {
            type Value = Message<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a message")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut message = Message::default();
                while let Some(name) = map.next_key::<Str<'de>>()? {
                    message.take(name, &mut map)?;
                }
                Ok(message)
            }
        }

        deserializer.deserialize_map(Messages)
    }
}

impl<'de> Message<'de> {
    fn take<A: MapAccess<'de>>(&mut self, name: Str<'de>, map: &mut A) -> Result<(), A::Error> {
        match &*name {
            "role" => self.role = Some(map.next_value()?),
            "content" => self.content = map.next_value()?,
            "name" => self.name = map.next_value()?,
            "tool_calls" => self.tool_calls = map.next_value()?,
            "tool_call_id" => self.tool_call_id = map.next_value()?,
            "function_call" => self.function_call = map.next_value()?,
            "refusal" => self.refusal = map.next_value()?,
            "reasoning_content" | "reasoning" => {
                let text: Option<Str<'de>> = map.next_value()?;
                self.reasoning = text.or(self.reasoning.take());
            }
            "thinking_blocks" => self.thinking_blocks = map.next_value()?,
            "reasoning_details" => self.reasoning_details = Some(map.next_value()?),
            "cache_control" => self.cache_control = map.next_value()?,
            // What models add to their answers and clients send back; it says nothing to the next model.
            "annotations" | "id" | "finish_reason" => {
                map.next_value::<IgnoredAny>()?;
            }
            _ => {
                let value: &RawValue = map.next_value()?;
                if value.get() != "null" {
                    self.others.push((name.0, value));
                }
            }
        }
        Ok(())
    }
}
