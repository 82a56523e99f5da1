//! Backends: where they are, what they speak, how long they may take, when they are left alone.

use std::sync::Arc;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use tollgate_formats::BackendFormat;
use tollgate_settings::units::Time;

use super::tls::BackendTlsConfig;
use super::{
    CapacityConfig, CircuitConfig, CredentialsConfig, DeploymentConfig, ProbeConfig, RetryConfig, seconds,
};

/// An endpoint that serves models.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BackendConfig {
    /// The API format it speaks.
    pub format: BackendFormat,
    /// Base URL. For `openai` with the version path where it has one (`https://api.openai.com/v1`); for the
    /// other formats the host alone (`https://api.anthropic.com`, `https://NAME.openai.azure.com`,
    /// `https://bedrock-runtime.REGION.amazonaws.com`, `https://generativelanguage.googleapis.com`).
    pub url: String,
    /// Azure OpenAI: the dated API version, for deployments in the path; the undated `v1` API when absent.
    #[serde(default)]
    pub api_version: Option<String>,
    /// Whether it serves the Responses API itself; others get Responses requests as chat completions. When absent:
    /// Azure OpenAI and api.openai.com do, servers that are only compatible do not.
    #[serde(default)]
    pub serves_responses: Option<bool>,
    /// The one of OpenAI's two APIs that conversations go to (`openai` and `azure-openai` alone). When absent, each
    /// client's own one where the model takes the request there, else the other.
    #[serde(default)]
    pub api: Option<ConversationApi>,
    /// The one tenant that its account belongs to. Only then may requests name what the provider keeps for the
    /// account: conversations, files, vector stores, containers, prompts, items of earlier answers. When absent, the
    /// account is shared, and such handles are refused with `unbound_handle`; ids of responses are always bound to
    /// their subscription.
    #[serde(default)]
    pub tenant: Option<Arc<str>>,
    /// Further headers that it is sent, by name.
    #[serde(default)]
    pub headers: IndexMap<String, String>,
    /// Requests that run there at a time; no bound when absent.
    #[serde(default)]
    pub max_running: Option<usize>,
    /// The company that serves it, for price lookup; the format's usual one when absent.
    #[serde(default)]
    pub provider: Option<Arc<str>>,
    /// Region label in events and reports.
    #[serde(default)]
    pub region: Option<Arc<str>>,
    /// How the gateway identifies itself there.
    #[serde(default)]
    pub credentials: Option<CredentialsConfig>,
    /// Whom it must be signed by, and the certificate that the gateway shows.
    #[serde(default)]
    pub tls: BackendTlsConfig,
    /// How long each step may take.
    #[serde(default)]
    pub timeouts: TimeoutsConfig,
    /// Further calls of one of its models before the next target, unless the alias sets `retries`; 0 when absent.
    #[serde(default)]
    pub retries: Option<RetryConfig>,
    /// When the circuit breaker opens.
    #[serde(default)]
    pub circuit: CircuitConfig,
    /// Cheap calls that look after its health; `None` without it.
    #[serde(default)]
    pub probe: Option<ProbeConfig>,
    /// Throughput that it has committed to, shared by its models; `None` without it.
    #[serde(default)]
    pub capacity: Option<CapacityConfig>,
    /// What is different for one model there, by the model's name at the backend.
    #[serde(default)]
    pub deployments: IndexMap<Arc<str>, DeploymentConfig>,
}

impl BackendConfig {
    /// Whether Responses requests pass as they are.
    #[must_use]
    pub fn serves_responses(&self) -> bool {
        let by_itself = match self.format {
            BackendFormat::AzureOpenAi => true,
            BackendFormat::OpenAi => self.url.starts_with("https://api.openai.com/"),
            _ => false,
        };
        self.serves_responses.unwrap_or(by_itself || self.api == Some(ConversationApi::Responses))
    }
}

/// One of OpenAI's two APIs for conversations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ConversationApi {
    /// Chat completions.
    Chat,
    /// Responses.
    Responses,
}

/// How long each step of an upstream call may take.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct TimeoutsConfig {
    /// TCP and TLS handshake.
    pub connect: Time,
    /// From the request's last byte to the first byte of the answer.
    pub first_byte: Time,
    /// Longest silence within an answer.
    pub idle: Time,
    /// The whole call.
    pub total: Time,
}

impl Default for TimeoutsConfig {
    fn default() -> Self {
        Self { connect: seconds(5), first_byte: seconds(120), idle: seconds(60), total: seconds(900) }
    }
}
