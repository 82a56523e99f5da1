//! Models as clients see them, and the targets that serve them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tollgate_families::TraitsOverrides;
use tollgate_settings::units::Tokens;

use super::{
    CacheConfig, ConversationApi, FailoverConfig, HedgeConfig, OnDisconnectConfig, PoolConfig, RetryConfig,
    TimeoutOverrides,
};

/// A model as clients see it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Where requests for it go.
    pub targets: Vec<TargetConfig>,
    /// What a request has when its client does not say.
    #[serde(default)]
    pub defaults: AliasDefaults,
    /// The most that a client may ask for.
    #[serde(default)]
    pub caps: AliasCaps,
    /// What happens to parameters that the API format of the target has no place for.
    #[serde(default)]
    pub on_unmappable: OnUnmappableConfig,
    /// Whether the gateway marks prompts for the provider's prompt cache where the client set no mark.
    #[serde(default)]
    pub prompt_cache: PromptCacheConfig,
    /// How one of them is chosen.
    #[serde(default)]
    pub pool: PoolConfig,
    /// How far a request goes to find a target that answers.
    #[serde(default)]
    pub failover: FailoverConfig,
    /// Further calls of the same target before the next one; those of the target's backend when absent.
    #[serde(default)]
    pub retries: Option<RetryConfig>,
    /// Timeouts that replace those of the backends.
    #[serde(default)]
    pub timeouts: TimeoutOverrides,
    /// What becomes of an answer whose client has gone.
    #[serde(default)]
    pub on_disconnect: OnDisconnectConfig,
    /// A second call to another target when the first is slow; never when absent.
    #[serde(default)]
    pub hedge: Option<HedgeConfig>,
    /// Whether its answers are cached.
    #[serde(default)]
    pub cache: Option<CacheConfig>,
    /// Not listed by `/models`, but usable.
    #[serde(default)]
    pub hidden: bool,
}

/// One way to serve a model.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TargetConfig {
    /// Name of the backend.
    pub backend: Arc<str>,
    /// The model's name there.
    pub model: Arc<str>,
    /// The real model's name, where `model` says nothing of it: a deployment, an inference profile of an application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_model: Option<Arc<str>>,
    /// The family whose traits it has, of `model_families` or built in; found by the names when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<Arc<str>>,
    /// What it takes that its family does not, and the other way round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traits: Option<Box<TraitsOverrides>>,
    /// The one of OpenAI's two APIs that conversations go to; the backend's `api` when absent.
    #[serde(default)]
    pub api: Option<ConversationApi>,
    /// Lower numbers are tried first.
    #[serde(default = "super::defaults::priority")]
    pub priority: u32,
    /// Name of the variant in a weighted trial: in usage events and in `x-tollgate-variant`.
    #[serde(default)]
    pub variant: Option<Arc<str>>,
    /// Share of the traffic within the priority group.
    #[serde(default = "super::defaults::weight")]
    pub weight: u32,
}

/// What a request has when its client does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AliasDefaults {
    /// Most tokens of the answer.
    pub max_output_tokens: Option<Tokens>,
    /// Temperature, on the client's scale.
    pub temperature: Option<f64>,
}

/// The most that a client may ask for; more is lowered to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AliasCaps {
    /// Most tokens of the answer; also for requests that do not say.
    pub max_output_tokens: Option<Tokens>,
    /// Temperature, on the client's scale.
    pub temperature: Option<f64>,
}

impl AliasDefaults {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl AliasCaps {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What happens to parameters that the API format of the target has no place for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OnUnmappableConfig {
    /// The request is refused with `unsupported_parameter`.
    #[default]
    Reject,
    /// They are left out and named in `x-tollgate-dropped-parameters`.
    Drop,
}

/// Whether the gateway marks prompts for the provider's prompt cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PromptCacheConfig {
    /// Translated requests to Claude and Nova get marks behind the instructions (behind the tools where there are none)
    /// and behind the last two turns of the user, if the client set none.
    #[default]
    Auto,
    /// Only the client's own marks are sent.
    Off,
}

impl From<OnUnmappableConfig> for tollgate_formats::OnUnmappable {
    fn from(config: OnUnmappableConfig) -> Self {
        match config {
            OnUnmappableConfig::Reject => Self::Reject,
            OnUnmappableConfig::Drop => Self::Drop,
        }
    }
}
