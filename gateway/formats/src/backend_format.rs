//! The API formats that backends speak.

use serde::{Deserialize, Serialize};

/// API format of a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum BackendFormat {
    /// OpenAI Chat Completions and whatever is compatible with it.
    #[serde(rename = "openai")]
    OpenAi,
    /// Azure OpenAI, deployments in the path or in the body.
    #[serde(rename = "azure-openai")]
    AzureOpenAi,
    /// Anthropic Messages.
    Anthropic,
    /// Amazon Bedrock: Converse, and InvokeModel for embeddings.
    Bedrock,
    /// Google Gemini: generateContent.
    Gemini,
}

impl BackendFormat {
    /// Its name in configuration, events and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::AzureOpenAi => "azure-openai",
            Self::Anthropic => "anthropic",
            Self::Bedrock => "bedrock",
            Self::Gemini => "gemini",
        }
    }

    /// Headers that every request in this format has.
    #[must_use]
    pub const fn fixed_headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            // The version that is spoken (Anthropic API reference, "Versions").
            Self::Anthropic => &[("anthropic-version", "2023-06-01")],
            _ => &[],
        }
    }

    /// Headers of a client that mean something to such a backend and to no other.
    #[must_use]
    pub const fn client_headers(self) -> &'static [&'static str] {
        match self {
            Self::OpenAi | Self::AzureOpenAi => &["openai-beta"],
            Self::Anthropic => &["anthropic-beta", "anthropic-version"],
            Self::Gemini => &["x-goog-api-client"],
            // What it knows of Anthropic's betas stands in the body.
            Self::Bedrock => &[],
        }
    }
}
