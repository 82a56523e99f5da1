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
    /// The alias decides the model.
    model: Option<IgnoredAny>,
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

#[derive(Debug, Default)]
pub(super) struct FunctionCall<'a> {
    pub(super) id: Option<Str<'a>>,
    pub(super) name: Option<Str<'a>>,
    pub(super) args: Option<&'a RawValue>,
    pub(super) others: Others<'a>,
}

#[derive(Debug, Default)]
pub(super) struct FunctionResponse<'a> {
    pub(super) id: Option<Str<'a>>,
    pub(super) name: Option<Str<'a>>,
    pub(super) response: Option<&'a RawValue>,
    pub(super) parts: Option<Vec<Part<'a>>>,
    pub(super) others: Others<'a>,
}

#[derive(Debug, Default)]
pub(super) struct Tool<'a> {
    pub(super) function_declarations: Option<Vec<Declaration<'a>>>,
    /// Tools that Google runs itself.
    pub(super) others: Others<'a>,
}

#[derive(Debug, Default)]
pub(super) struct Declaration<'a> {
    pub(super) name: Option<Str<'a>>,
    pub(super) description: Option<Str<'a>>,
    /// JSON Schema by now.
    pub(super) parameters: Option<&'a RawValue>,
    pub(super) parameters_json_schema: Option<&'a RawValue>,
    /// What has no effect here: what a function gives is seen in its result, and that calls do not wait is of
    /// Google's live API.
    pub(super) others: Others<'a>,
}

#[derive(Debug, Default)]
pub(super) struct ToolConfig<'a> {
    pub(super) calling: Option<Calling<'a>>,
    pub(super) others: Others<'a>,
}

#[derive(Debug, Default)]
pub(super) struct Calling<'a> {
    pub(super) mode: Option<Str<'a>>,
    pub(super) allowed_function_names: Option<Vec<Str<'a>>>,
    pub(super) others: Others<'a>,
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

impl<'de: 'a, 'a> Deserialize<'de> for Tool<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        members::<Tool<'de>, D>(deserializer)
    }
}

/// Reads the members of an object by their names in either spelling, and keeps the others.
macro_rules! read_by_members {
    ($($kind:ident: $expected:literal { $($($name:literal)|+ => $field:ident),* $(,)? })*) => {$(
        impl<'de> Members<'de> for $kind<'de> {
            const EXPECTED: &'static str = $expected;

            fn take<A: MapAccess<'de>>(&mut self, name: Text<'de>, map: &mut A) -> Result<(), A::Error> {
                match &*camel(&name) {
                    $($($name)|+ => self.$field = map.next_value()?,)*
                    _ => keep(&mut self.others, name, map)?,
                }
                Ok(())
            }
        }

        impl<'de: 'a, 'a> Deserialize<'de> for $kind<'a> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                members::<$kind<'de>, D>(deserializer)
            }
        }
    )*};
}

read_by_members! {
    Body: "a request" {
        "model" => model,
        "contents" => contents,
        "systemInstruction" => system_instruction,
        "tools" => tools,
        "toolConfig" => tool_config,
        "generationConfig" => generation_config,
        "serviceTier" => service_tier,
    }
    Part: "a part" {
        "text" => text,
        "thought" => thought,
        "thoughtSignature" => thought_signature,
        "inlineData" => inline_data,
        "fileData" => file_data,
        "functionCall" => function_call,
        "functionResponse" => function_response,
    }
    FunctionCall: "a call" {
        "id" => id,
        "name" => name,
        "args" => args,
    }
    FunctionResponse: "a result" {
        "id" => id,
        "name" => name,
        "response" => response,
        "parts" => parts,
    }
    Declaration: "a function" {
        "name" => name,
        "description" => description,
        "parameters" => parameters,
        "parametersJsonSchema" => parameters_json_schema,
    }
    ToolConfig: "a configuration of tools" {
        "functionCallingConfig" => calling,
    }
    Calling: "a configuration of calls" {
        "mode" => mode,
        "allowedFunctionNames" => allowed_function_names,
    }
    Config: "a configuration of the answer" {
        "maxOutputTokens" => max_output_tokens,
        "temperature" => temperature,
        "topP" => top_p,
        "topK" => top_k,
        "stopSequences" => stop_sequences,
        "seed" => seed,
        "frequencyPenalty" => frequency_penalty,
        "presencePenalty" => presence_penalty,
        "candidateCount" => candidate_count,
        "responseLogprobs" => response_logprobs,
        "logprobs" => logprobs,
        "responseMimeType" => response_mime_type,
        "responseSchema" => response_schema,
        "responseJsonSchema" | "ResponseJsonSchema" => response_json_schema,
        "responseModalities" => response_modalities,
        "thinkingConfig" => thinking,
    }
}
