//! What a family is looked up by.

use serde::Deserialize;

use crate::traits::TraitsOverrides;

/// The API format that a model is called in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum ApiFormat {
    /// OpenAI Chat Completions or Responses, and whatever is compatible.
    #[serde(rename = "openai")]
    OpenAi,
    /// The same on Azure.
    #[serde(rename = "azure-openai")]
    AzureOpenAi,
    /// Anthropic Messages.
    #[serde(rename = "anthropic")]
    Anthropic,
    /// Amazon Bedrock Converse.
    #[serde(rename = "bedrock")]
    Bedrock,
    /// Google Gemini generateContent.
    #[serde(rename = "gemini")]
    Gemini,
}

/// What is known of a target.
#[derive(Debug, Clone, Copy)]
pub struct Lookup<'a> {
    /// The model's name at the backend.
    pub model: &'a str,
    /// The real model's name, if the configuration gives it: for deployments and profiles whose names say nothing.
    pub base_model: Option<&'a str>,
    /// Name of the family, if the configuration gives it.
    pub family: Option<&'a str>,
    /// The format that it is called in.
    pub format: ApiFormat,
    /// The company that serves it, if the configuration gives it.
    pub provider: Option<&'a str>,
    /// Host of the backend's URL, with the port where there is one.
    pub host: &'a str,
    /// Traits that replace those that are found.
    pub overrides: Option<&'a TraitsOverrides>,
}

impl<'a> Lookup<'a> {
    /// Of a model in this format, when nothing else is known.
    #[must_use]
    pub const fn new(model: &'a str, format: ApiFormat) -> Self {
        Self { model, base_model: None, family: None, format, provider: None, host: "", overrides: None }
    }
}
