//! The configuration file: types, defaults and documentation of every field.
//!
//! One YAML file is read into [`Config`] (unknown keys are refused, see [`tollgate_settings::load`]), checked
//! as a whole by [`validate`], and resolved into the immutable snapshot that requests use.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use tollgate_eventlog::config::{EmbeddedConfig, EventLogConfig};
use tollgate_families::FamilyConfig;
use tollgate_settings::units::{Bytes, Time};

pub mod apis;
pub mod backends;
pub mod cache;
pub mod circuits;
pub mod cors;
pub mod credentials;
pub mod events;
pub mod families;
pub mod models;
pub mod overload;
pub mod products;
#[cfg(feature = "schema")]
pub mod reference;
mod references;
pub mod resiliency;
pub mod responses;
#[cfg(feature = "schema")]
pub mod schema;
pub mod server;
pub mod subscriptions;
pub mod telemetry;
pub mod tls;
pub mod validate;
mod validate_aliases;
mod validate_circuits;
mod validate_families;
mod validate_formats;
mod validate_kept;
mod validate_resiliency;

pub use apis::ApiConfig;
pub use backends::{BackendConfig, ConversationApi, TimeoutsConfig};
pub use cache::{CacheConfig, CacheScope, CacheServiceConfig, ExactCacheConfig, SemanticCacheConfig};
pub use circuits::{CapacityConfig, CircuitConfig, DeploymentConfig, ProbeConfig, ReplicasConfig};
pub use cors::CorsConfig;
pub use credentials::CredentialsConfig;
pub use events::{ContentConfig, FsyncConfig, OnFullConfig, SpoolConfig};
pub use models::{
    AliasCaps, AliasDefaults, ModelConfig, OnUnmappableConfig, PromptCacheConfig, TargetConfig,
};
pub use overload::OverloadConfig;
pub use products::{CounterScope, LimitConfig, ProductConfig};
pub use resiliency::{
    AffinityConfig, DrainConfig, FailoverConfig, HedgeConfig, OnDisconnectConfig, PoolConfig, RetryConfig,
    Strategy, TimeoutOverrides,
};
pub use responses::{BackgroundConfig, ResponsesConfig};
pub use server::ServerConfig;
pub use subscriptions::{KeyConfig, SubscriptionConfig};
pub use telemetry::TelemetryConfig;
pub use tls::{BackendTlsConfig, ClientCertificateConfig};

/// Everything the gateway is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of this replica in events and metrics; the host name when absent.
    #[serde(default = "defaults::gateway_id")]
    pub gateway_id: Arc<str>,
    /// Whether secrets may stand in this file in plain text, instead of as references like `${secret:env:NAME}`.
    #[serde(default)]
    pub allow_plain_secrets: bool,
    /// Region of this replica; aliases may prefer backends of the same one.
    #[serde(default)]
    pub region: Option<Arc<str>>,
    /// Address of the model API.
    #[serde(default = "defaults::listen")]
    pub listen: SocketAddr,
    /// Address of health, metrics and admin pages. Keep it off the public network.
    #[serde(default = "defaults::admin_listen")]
    pub admin_listen: SocketAddr,
    /// Worker threads; the number of cores when absent.
    #[serde(default)]
    pub workers: Option<usize>,
    /// The model API is served below `/v1` and below this path.
    #[serde(default = "defaults::base_path")]
    pub base_path: String,
    /// Folder for what must survive a crash: the spool of usage events.
    #[serde(default = "defaults::data_dir")]
    pub data_dir: PathBuf,
    /// Where usage events are published.
    #[serde(default = "defaults::events")]
    pub events: EventLogConfig,
    /// The endpoints that serve models, by name.
    #[serde(default)]
    pub backends: IndexMap<Arc<str>, BackendConfig>,
    /// The models that clients see, by alias.
    #[serde(default)]
    pub models: IndexMap<Arc<str>, ModelConfig>,
    /// Families of models that the gateway does not know, or not as they are here: what their models take. The first
    /// one that fits a target's model is taken, and those that the gateway knows come after them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub model_families: Vec<FamilyConfig>,
    /// APIs of backends that are passed through as they are, by name.
    #[serde(default)]
    pub apis: IndexMap<Arc<str>, ApiConfig>,
    /// Bundles of models and limits that subscriptions are made for.
    #[serde(default)]
    pub products: IndexMap<Arc<str>, ProductConfig>,
    /// Who may call, and who pays.
    #[serde(default)]
    pub subscriptions: IndexMap<Arc<str>, SubscriptionConfig>,
    /// Whether prompts and completions are published.
    #[serde(default)]
    pub content_events: ContentConfig,
    /// The cache service; without it no answer is cached.
    #[serde(default)]
    pub cache_service: Option<CacheServiceConfig>,
    /// Bounds on what clients may send and how long anything may take.
    #[serde(default)]
    pub server: ServerConfig,
    /// Which pages of other origins may call the model API from a browser. When absent, no page may.
    #[serde(default)]
    pub cors: CorsConfig,
    /// What replicas of the gateway tell each other.
    #[serde(default)]
    pub replicas: ReplicasConfig,
    /// What happens when more is asked than can be served.
    #[serde(default)]
    pub overload: OverloadConfig,
    /// Answers that providers keep for clients.
    #[serde(default)]
    pub responses: ResponsesConfig,
    /// How usage events are kept until they are published.
    #[serde(default)]
    pub spool: SpoolConfig,
    /// Logs and traces.
    #[serde(default)]
    pub telemetry: TelemetryConfig,
}

const fn seconds(count: u64) -> Time {
    Time(Duration::from_secs(count))
}

mod defaults {
    use super::*;

    pub(super) fn gateway_id() -> Arc<str> {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let name = name.trim();
        if name.is_empty() { "gateway".into() } else { name.into() }
    }
    pub(super) fn listen() -> SocketAddr {
        (Ipv4Addr::LOCALHOST, 8080).into()
    }
    pub(super) fn admin_listen() -> SocketAddr {
        (Ipv4Addr::LOCALHOST, 8081).into()
    }
    pub(super) fn base_path() -> String {
        "/llm/v1".to_owned()
    }
    pub(super) fn data_dir() -> PathBuf {
        "./data/gateway".into()
    }
    pub(super) fn events() -> EventLogConfig {
        EventLogConfig::Embedded(EmbeddedConfig { path: "./data/log".into(), segment_bytes: 64 << 20 })
    }
    pub(super) fn priority() -> u32 {
        1
    }
    pub(super) fn weight() -> u32 {
        1
    }
    pub(super) fn tier() -> u8 {
        1
    }
    pub(super) fn tenant() -> Arc<str> {
        "default".into()
    }
    pub(super) fn cache_deadline() -> Time {
        Time(Duration::from_millis(50))
    }
    pub(super) fn cache_max_answer() -> Bytes {
        Bytes(64 << 10)
    }
}
