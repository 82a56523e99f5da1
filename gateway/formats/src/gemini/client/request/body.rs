//! The fields of a request as they stand on the wire, in either spelling. What has no place here is kept by name.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::exchange::{Extra, Text};
use crate::gemini::client::names::camel;
use crate::json::{Members, Str, members};

/// Fields that are not known here, by name.
pub(super) type Others<'a> = Vec<Extra<'a>>;

/// A request.
#[derive(Debug, Default)]
pub(super) struct Body<'a> {
    pub(super) contents: Option<Vec<Content<'a>>>,
    pub(super) system_instruction: Option<Content<'a>>,
    pub(super) tools: Option<Vec<Tool<'a>>>,
    pub(super) tool_config: Option<ToolConfig<'a>>,
    pub(super) generation_config: Option<Config<'a>>,
    pub(super) service_tier: Option<Str<'a>>,
    pub(super) others: Others<'a>,
}

/// What one side says.
#[derive(Debug, Default, serde::Deserialize)]
pub(super) struct Content<'a> {
    #[serde(borrow, default)]
    pub(super) role: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) parts: Option<Vec<Part<'a>>>,
}

/// A union of which one field is set, beside what is said about it.
#[derive(Debug, Default)]
pub(super) struct Part<'a> {
    pub(super) text: Option<Str<'a>>,
    pub(super) thought: Option<bool>,
    pub(super) thought_signature: Option<Str<'a>>,
    pub(super) inline_data: Option<Blob<'a>>,
    pub(super) file_data: Option<FileData<'a>>,
    pub(super) function_call: Option<FunctionCall<'a>>,
    pub(super) function_response: Option<FunctionResponse<'a>>,
    pub(super) others: Others<'a>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Blob<'a> {
    #[serde(borrow, default, alias = "mime_type")]
    pub(super) mime_type: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) data: Str<'a>,
    #[serde(borrow, default, alias = "display_name")]
    pub(super) display_name: Option<Str<'a>>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileData<'a> {
    #[serde(borrow, default, alias = "mime_type")]
    pub(super) mime_type: Option<Str<'a>>,
    #[serde(borrow, alias = "file_uri")]
    pub(super) file_uri: &'a RawValue,
    #[serde(borrow, default, alias = "display_name")]
    pub(super) display_name: Option<Str<'a>>,
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct FunctionCall<'a> {
    #[serde(borrow, default)]
    pub(super) id: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) name: Str<'a>,
    #[serde(borrow, default)]
    pub(super) args: Option<&'a RawValue>,
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct FunctionResponse<'a> {
    #[serde(borrow, default)]
    pub(super) id: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) name: Str<'a>,
    #[serde(borrow, default)]
    pub(super) response: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) parts: Option<Vec<Part<'a>>>,
}

#[derive(Debug, Default)]
pub(super) struct Tool<'a> {
    pub(super) function_declarations: Option<Vec<Declaration<'a>>>,
    /// Tools that Google runs itself.
    pub(super) others: Others<'a>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Declaration<'a> {
    #[serde(borrow)]
    pub(super) name: Str<'a>,
    #[serde(borrow, default)]
    pub(super) description: Option<Str<'a>>,
    /// JSON Schema by now.
    #[serde(borrow, default)]
    pub(super) parameters: Option<&'a RawValue>,
    #[serde(borrow, default, alias = "parameters_json_schema")]
    pub(super) parameters_json_schema: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) response: Option<IgnoredAny>,
    #[serde(default)]
    pub(super) behavior: Option<IgnoredAny>,
}

#[derive(Debug, Default)]
pub(super) struct ToolConfig<'a> {
    pub(super) calling: Option<Calling<'a>>,
    pub(super) others: Others<'a>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Calling<'a> {
    #[serde(borrow, default)]
    pub(super) mode: Option<Str<'a>>,
    #[serde(borrow, default, alias = "allowed_function_names")]
    pub(super) allowed_function_names: Option<Vec<Str<'a>>>,
}

#[derive(Debug, Default)]
pub(super) struct Config<'a> {
    pub(super) max_output_tokens: Option<Whole>,
    pub(super) temperature: Option<f64>,
    pub(super) top_p: Option<f64>,
    pub(super) top_k: Option<Whole>,
    pub(super) stop_sequences: Option<Vec<Str<'a>>>,
    pub(super) seed: Option<Whole>,
    pub(super) frequency_penalty: Option<f64>,
    pub(super) presence_penalty: Option<f64>,
    pub(super) candidate_count: Option<Whole>,
    pub(super) response_logprobs: Option<bool>,
    pub(super) logprobs: Option<Whole>,
    pub(super) response_mime_type: Option<&'a RawValue>,
    pub(super) response_schema: Option<&'a RawValue>,
    pub(super) response_json_schema: Option<&'a RawValue>,
    pub(super) response_modalities: Option<&'a RawValue>,
    pub(super) thinking: Option<Thinking<'a>>,
    pub(super) others: Others<'a>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Thinking<'a> {
    #[serde(default, alias = "include_thoughts")]
    pub(super) include_thoughts: Option<bool>,
    #[serde(default, alias = "thinking_budget")]
    pub(super) thinking_budget: Option<Whole>,
    #[serde(borrow, default, alias = "thinking_level")]
    pub(super) thinking_level: Option<Str<'a>>,
}

/// A whole number. Google's SDKs write some with a point (`40.0`), and its JSON holds large ones as texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Whole(pub(super) i64);

impl Whole {
    /// `None` below zero.
    pub(super) fn count(self) -> Option<u64> {
        u64::try_from(self.0).ok()
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;

        impl Visitor<'_> for Number {
            type Value = Whole;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Whole, E> {
                Ok(Whole(number))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Whole, E> {
                i64::try_from(number).map(Whole).map_err(|_| E::custom("a number is too large"))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Whole, E> {
                // Beyond this not every whole number is one of 64 bits.
                let is_whole = number.fract() == 0.0 && number.abs() < 9.0e15;
                if is_whole { Ok(Whole(number as i64)) } else { Err(E::custom("expected a whole number")) }
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Whole, E> {
                text.parse().map(Whole).map_err(|_| E::custom("expected a whole number"))
            }
        }

        deserializer.deserialize_any(Number)
    }
}

/// Keeps a member that has no place, unless it says nothing.
fn keep<'de, A: MapAccess<'de>>(
    others: &mut Others<'de>,
    name: Text<'de>,
    map: &mut A,
) -> Result<(), A::Error> {
    let value: &RawValue = map.next_value()?;
    if !matches!(value.get(), "null" | "{}" | "[]") {
        others.push(Extra { name, value });
    }
    Ok(())
}

impl<'de> Members<'de> for Body<'de> {
    const EXPECTED: &'static str = "a request";

    fn take<A: MapAccess<'de>>(&mut self, name: Text<'de>, map: &mut A) -> Result<(), A::Error> {
        match &*camel(&name) {
            "model" => drop(map.next_value::<&RawValue>()?),
            "contents" => self.contents = map.next_value()?,
            "systemInstruction" => self.system_instruction = map.next_value()?,
            "tools" => self.tools = map.next_value()?,
            "toolConfig" => self.tool_config = map.next_value()?,
            "generationConfig" => self.generation_config = map.next_value()?,
            "serviceTier" => self.service_tier = map.next_value()?,
            _ => keep(&mut self.others, name, map)?,
        }
        Ok(())
    }
}

impl<'de> Members<'de> for Part<'de> {
    const EXPECTED: &'static str = "a part";

    fn take<A: MapAccess<'de>>(&mut self, name: Text<'de>, map: &mut A) -> Result<(), A::Error> {
        match &*camel(&name) {
            "text" => self.text = map.next_value()?,
            "thought" => self.thought = map.next_value()?,
            "thoughtSignature" => self.thought_signature = map.next_value()?,
            "inlineData" => self.inline_data = map.next_value()?,
            "fileData" => self.file_data = map.next_value()?,
            "functionCall" => self.function_call = map.next_value()?,
            "functionResponse" => self.function_response = map.next_value()?,
            _ => keep(&mut self.others, name, map)?,
        }
        Ok(())
    }
}

impl<'de> Members<'de> for Tool<'de> {
    const EXPECTED: &'static str = "a tool";

    fn take<A: MapAccess<'de>>(&mut self, name: Text<'de>, map: &mut A) -> Result<(), A::Error> {
        if camel(&name) == "functionDeclarations" {
            self.function_declarations = map.next_value()?;
            return Ok(());
        }
        // A tool without settings is one all the same.
        let value: &RawValue = map.next_value()?;
        if value.get() != "null" {
            self.others.push(Extra { name, value });
        }
        Ok(())
    }
}

impl<'de> Members<'de> for ToolConfig<'de> {
    const EXPECTED: &'static str = "a configuration of tools";

    fn take<A: MapAccess<'de>>(&mut self, name: Text<'de>, map: &mut A) -> Result<(), A::Error> {
        match &*camel(&name) {
            "functionCallingConfig" => self.calling = map.next_value()?,
            _ => keep(&mut self.others, name, map)?,
        }
        Ok(())
    }
}

impl<'de> Members<'de> for Config<'de> {
    const EXPECTED: &'static str = "a configuration of the answer";

    fn take<A: MapAccess<'de>>(&mut self, name: Text<'de>, map: &mut A) -> Result<(), A::Error> {
        match &*camel(&name) {
            "maxOutputTokens" => self.max_output_tokens = map.next_value()?,
            "temperature" => self.temperature = map.next_value()?,
            "topP" => self.top_p = map.next_value()?,
            "topK" => self.top_k = map.next_value()?,
            "stopSequences" => self.stop_sequences = map.next_value()?,
            "seed" => self.seed = map.next_value()?,
            "frequencyPenalty" => self.frequency_penalty = map.next_value()?,
            "presencePenalty" => self.presence_penalty = map.next_value()?,
            "candidateCount" => self.candidate_count = map.next_value()?,
            "responseLogprobs" => self.response_logprobs = map.next_value()?,
            "logprobs" => self.logprobs = map.next_value()?,
            "responseMimeType" => self.response_mime_type = map.next_value()?,
            "responseSchema" => self.response_schema = map.next_value()?,
            "responseJsonSchema" | "ResponseJsonSchema" => self.response_json_schema = map.next_value()?,
            "responseModalities" => self.response_modalities = map.next_value()?,
            "thinkingConfig" => self.thinking = map.next_value()?,
            _ => keep(&mut self.others, name, map)?,
        }
        Ok(())
    }
}

macro_rules! read_by_members {
    ($($name:ident),*) => {$(
        impl<'de: 'a, 'a> Deserialize<'de> for $name<'a> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                members::<$name<'de>, D>(deserializer)
            }
        }
    )*};
}

read_by_members!(Body, Part, Tool, ToolConfig, Config);
