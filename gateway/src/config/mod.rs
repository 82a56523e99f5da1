//! The configuration file: types, defaults and documentation of every field.
//!
//! One YAML file is read into [`Config`] (unknown keys are refused, see [`tollgate_settings::load`]), checked
//! as a whole by [`validate`], and resolved into the immutable [`crate::snapshot::Snapshot`] that requests use.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use tollgate_eventlog::config::{EmbeddedConfig, EventLogConfig};
use tollgate_settings::SecretTemplate;
use tollgate_settings::units::{Bytes, Time, Tokens};

pub mod validate;

/// Everything the gateway is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of this replica in events and metrics; the host name when absent.
    #[serde(default = "defaults::gateway_id")]
    pub gateway_id: Arc<str>,
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
    /// How usage events are kept until they are published.
    #[serde(default)]
    pub spool: SpoolConfig,
    /// Logs and traces.
    #[serde(default)]
    pub telemetry: TelemetryConfig,
}

/// An endpoint that serves models.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackendConfig {
    /// The API format it speaks.
    pub format: BackendFormat,
    /// Base URL, with the version path where it has one: `https://api.openai.com/v1`.
    pub url: String,
    /// The company that serves it, for price lookup; the format's usual one when absent.
    #[serde(default)]
    pub provider: Option<Arc<str>>,
    /// Region label in events and reports.
    #[serde(default)]
    pub region: Option<Arc<str>>,
    /// How the gateway identifies itself there.
    #[serde(default)]
    pub credentials: Option<CredentialsConfig>,
    /// How long each step may take.
    #[serde(default)]
    pub timeouts: TimeoutsConfig,
    /// When the circuit breaker opens.
    #[serde(default)]
    pub circuit: CircuitConfig,
}

/// API format of a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackendFormat {
    /// OpenAI Chat Completions and whatever is compatible with it.
    #[serde(rename = "openai")]
    OpenAi,
}

impl BackendFormat {
    /// Its name in configuration, events and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
        }
    }
}

/// Credentials towards a backend: exactly one kind.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CredentialsConfig {
    /// A header with a secret value.
    Header(HeaderCredential),
}

/// A header with a secret value.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderCredential {
    /// Name of the header.
    pub name: String,
    /// Its value, for example `Bearer ${secret:env:OPENAI_API_KEY}`.
    pub value: SecretTemplate,
}

/// How long each step of an upstream call may take.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
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

/// When a deployment's circuit opens, and for how long.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CircuitConfig {
    /// Failures in a row that open it.
    pub consecutive_failures: u32,
    /// How long it stays open when the backend does not say.
    pub open_for: Time,
    /// Longest that a `Retry-After` of the backend may keep it open.
    pub max_open: Time,
}

impl Default for CircuitConfig {
    fn default() -> Self {
        Self { consecutive_failures: 5, open_for: seconds(10), max_open: seconds(300) }
    }
}

/// A model as clients see it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Where requests for it go.
    pub targets: Vec<TargetConfig>,
    /// Whether its answers are cached.
    #[serde(default)]
    pub cache: Option<CacheConfig>,
    /// Not listed by `/models`, but usable.
    #[serde(default)]
    pub hidden: bool,
}

/// One way to serve a model.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetConfig {
    /// Name of the backend.
    pub backend: Arc<str>,
    /// The model's name there.
    pub model: Arc<str>,
    /// Lower numbers are tried first.
    #[serde(default = "defaults::priority")]
    pub priority: u32,
    /// Share of the traffic within the priority group.
    #[serde(default = "defaults::weight")]
    pub weight: u32,
}

/// Caching of a model's answers.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CacheConfig {
    /// Answers are used again for the same question.
    Exact(ExactCacheConfig),
    /// Answers are used again for the same question and for questions that mean the same.
    Semantic(SemanticCacheConfig),
}

/// Answers are used again for the same question.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExactCacheConfig {
    /// How long an answer may be used again.
    pub ttl: Time,
    /// Who shares answers.
    #[serde(default)]
    pub scope: CacheScope,
}

/// Answers are used again for questions that mean the same.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SemanticCacheConfig {
    /// Lowest cosine similarity of two questions, above 0 and up to 1; higher is stricter.
    pub min_similarity: f32,
    /// How long an answer may be used again.
    pub ttl: Time,
    /// Who shares answers.
    #[serde(default)]
    pub scope: CacheScope,
}

/// Who shares cached answers; never wider than one tenant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheScope {
    /// One gateway key.
    Key,
    /// One subscription.
    #[default]
    Subscription,
    /// One team of a tenant.
    Team,
    /// One tenant.
    Tenant,
}

/// A bundle of models and limits.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProductConfig {
    /// Aliases that its subscriptions may use.
    pub models: Vec<Arc<str>>,
    /// Limits on their use.
    #[serde(default)]
    pub limits: Vec<LimitConfig>,
}

/// A limit on tokens, counted apart for each value of its counter key.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitConfig {
    /// The counter key.
    pub per: CounterScope,
    /// Tokens per minute: prompt and completion together.
    pub tokens_per_minute: Tokens,
}

/// What a limit counts apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CounterScope {
    /// Each gateway key.
    Key,
    /// Each subscription.
    Subscription,
    /// Each team of a tenant.
    Team,
    /// Each tenant.
    Tenant,
    /// All subscriptions of the product together.
    Product,
}

impl CounterScope {
    /// Its name in counter keys and errors.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Subscription => "subscription",
            Self::Team => "team",
            Self::Tenant => "tenant",
            Self::Product => "product",
        }
    }
}

/// Who may call, and who pays.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionConfig {
    /// The product it is made for.
    pub product: Arc<str>,
    /// The company or business unit that pays.
    #[serde(default = "defaults::tenant")]
    pub tenant: Arc<str>,
    /// `cost_center`, `team` and `app` are columns of every report; further tags are kept beside them.
    #[serde(default)]
    pub tags: IndexMap<Arc<str>, Arc<str>>,
    /// The gateway keys that belong to it.
    #[serde(default)]
    pub keys: Vec<KeyConfig>,
}

/// A gateway key, as its hash.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyConfig {
    /// Public name of the key in events and reports; made from its hash when absent.
    #[serde(default)]
    pub id: Option<Arc<str>>,
    /// SHA-256 of the key in hexadecimal digits (`printf %s KEY | sha256sum`).
    pub sha256: String,
}

/// Whether prompts and completions are published; they leave the gateway only when this says so.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ContentConfig {
    /// Publish request bodies.
    pub prompts: bool,
    /// Publish answers.
    pub completions: bool,
    /// Longer texts are cut.
    pub max_size: Bytes,
}

impl Default for ContentConfig {
    fn default() -> Self {
        Self { prompts: false, completions: false, max_size: Bytes(256 << 10) }
    }
}

/// Where the cache service is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheServiceConfig {
    /// Its base URL.
    pub url: String,
    /// A lookup that takes longer is a miss.
    #[serde(default = "defaults::cache_deadline")]
    pub deadline: Time,
    /// Longer answers are not stored.
    #[serde(default = "defaults::cache_max_answer")]
    pub max_answer: Bytes,
}

/// Bounds on what clients may send and how long anything may take.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// Largest request body.
    pub max_body: Bytes,
    /// Largest answer that is not a stream, and largest single event of a stream.
    pub max_answer: Bytes,
    /// From the connection's first byte to the end of the headers.
    pub header_timeout: Time,
    /// Longest silence while a request body arrives.
    pub body_timeout: Time,
    /// Longest silence between two requests of one connection.
    pub keep_alive: Time,
    /// Connections per worker.
    pub max_connections: usize,
    /// How long running requests may go on after SIGTERM.
    pub drain: Time,
    /// Completion tokens reserved for a request that does not say how many it wants.
    pub default_completion_tokens: Tokens,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            max_body: Bytes(16 << 20),
            max_answer: Bytes(32 << 20),
            header_timeout: seconds(10),
            body_timeout: seconds(30),
            keep_alive: seconds(75),
            max_connections: 20_000,
            drain: seconds(60),
            default_completion_tokens: Tokens(1_024),
        }
    }
}

/// How usage events are kept until they are published.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpoolConfig {
    /// When records are forced to the disk. Records always survive the death of the process; this is
    /// about loss of power.
    pub fsync: FsyncConfig,
    /// How much may wait for the event log.
    pub max_size: Bytes,
    /// What happens to requests when that is full.
    pub on_full: OnFullConfig,
}

impl Default for SpoolConfig {
    fn default() -> Self {
        Self { fsync: FsyncConfig::Group, max_size: Bytes(8 << 30), on_full: OnFullConfig::Reject }
    }
}

/// When spool records are forced to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FsyncConfig {
    /// By the operating system alone.
    None,
    /// Within 20 ms, many at a time.
    Group,
    /// Each before its answer is complete.
    Each,
}

/// What happens to requests when the spool is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFullConfig {
    /// They are refused with 503.
    Reject,
    /// They are served without a usage event, and counted.
    AllowUnmetered,
}

/// Logs and traces.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// Log filter in the form of `tracing` (`info`, `tollgate_gateway=debug,info`).
    pub log: String,
    /// Logs as JSON lines.
    pub json: bool,
    /// OTLP/gRPC endpoint for traces; none are made without it.
    pub otlp_endpoint: Option<String>,
    /// Share of requests that are traced, 0 to 1.
    pub sample_ratio: f64,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { log: "info".to_owned(), json: false, otlp_endpoint: None, sample_ratio: 1.0 }
    }
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
