//! The families that are known, and which one a model belongs to.

use std::sync::Arc;

use crate::traits::{Traits, TraitsOverrides};

/// The API format that a model is called in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ApiFormat {
    /// OpenAI Chat Completions or Responses, and whatever is compatible.
    #[serde(rename = "openai")]
    OpenAi,
    /// The same on Azure.
    #[serde(rename = "azure-openai")]
    AzureOpenAi,
    /// Anthropic Messages.
    Anthropic,
    /// Amazon Bedrock Converse.
    Bedrock,
    /// Google Gemini generateContent.
    Gemini,
}

/// What is known of a target.
#[derive(Debug, Clone, Copy)]
pub struct Lookup<'a> {
    /// The model's name at the backend.
    pub model: &'a str,
    /// The real model's name, if the configuration gives it.
    pub base_model: Option<&'a str>,
    /// Name of the family, if the configuration gives it.
    pub family: Option<&'a str>,
    /// The format that it is called in.
    pub format: ApiFormat,
    /// The company that serves it, if the configuration gives it.
    pub provider: Option<&'a str>,
    /// Host of the backend's URL.
    pub host: &'a str,
    /// Traits that replace those that are found.
    pub overrides: Option<&'a TraitsOverrides>,
}

/// The families that are known.
#[derive(Debug, Clone, Default)]
pub struct Families {}

impl Families {
    /// Those that the gateway knows by itself.
    #[must_use]
    pub fn built_in() -> Self {
        Self {}
    }

    /// What a model takes. One that nobody knows gets the traits of `unknown`.
    #[must_use]
    pub fn resolve(&self, lookup: &Lookup<'_>) -> Arc<Traits> {
        let mut traits = Traits::default();
        if let Some(overrides) = lookup.overrides {
            overrides.put(&mut traits);
        }
        Arc::new(traits)
    }
}
