//! Settings of the service: one YAML file. Every default is beside its field.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use tollgate_eventlog::config::EventLogConfig;

use crate::embed::EmbeddingBounds;
use crate::index::Capacity;
use crate::secret::{SecretError, SecretTemplate};

/// The service's settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where lookups are served; default `127.0.0.1:8092`.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// Threads that serve lookups; default 1.
    #[serde(default = "one")]
    pub workers: usize,
    /// When present, callers of `/v1/…` must send it as `Authorization: Bearer …`.
    #[serde(default)]
    pub token: Option<SecretTemplate>,
    /// The event log to read from.
    pub events: EventLogConfig,
    /// Consumer group; default `tollgate-cache`. Services that share an index share a group.
    #[serde(default = "default_group")]
    pub group: String,
    /// Where entries are kept.
    pub index: IndexConfig,
    /// What compares questions by meaning; default `none`: exact matches only.
    #[serde(default)]
    pub embedder: EmbedderConfig,
    /// Bounds.
    #[serde(default)]
    pub limits: Limits,
}

/// Where entries are kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum IndexConfig {
    /// In files of this process.
    Embedded(EmbeddedIndexConfig),
    /// In a Qdrant server.
    Qdrant(QdrantConfig),
}

/// An index in files of this process.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbeddedIndexConfig {
    /// Its folder; made when it does not exist.
    pub path: PathBuf,
}

/// An index in a Qdrant server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QdrantConfig {
    /// Address of its gRPC port, for example `http://qdrant:6334`.
    pub url: String,
    /// API key.
    #[serde(default)]
    pub api_key: Option<SecretTemplate>,
    /// Collection, made when it does not exist; default `tollgate_cache`.
    #[serde(default = "default_collection")]
    pub collection: String,
    /// Longest wait for a search, ms; default 250. The caller's deadline applies besides.
    #[serde(default = "default_lookup_timeout")]
    pub lookup_timeout_ms: u64,
    /// Longest wait for a write, ms; default 5,000.
    #[serde(default = "default_write_timeout")]
    pub write_timeout_ms: u64,
}

/// What compares questions by meaning.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum EmbedderConfig {
    /// Nothing: exact matches only.
    #[default]
    None,
    /// all-MiniLM-L6-v2 in this process.
    Minilm(MiniLmConfig),
    /// An endpoint of OpenAI's embeddings format.
    Openai(OpenAiEmbedderConfig),
}

/// all-MiniLM-L6-v2 in this process.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MiniLmConfig {
    /// Folder with `model.onnx` and `tokenizer.json`.
    pub model_dir: PathBuf,
    /// The shared library of the ONNX runtime.
    pub onnxruntime: PathBuf,
    /// Texts embedded at a time; default 1. Each takes about 100 MB.
    #[serde(default = "one")]
    pub sessions: usize,
}

impl MiniLmConfig {
    /// The model as `deploy/setup/minilm` installs it below `home`.
    #[must_use]
    pub fn installed_in(home: &Path) -> Self {
        Self {
            model_dir: home.join("models/all-MiniLM-L6-v2"),
            onnxruntime: home.join("lib/libonnxruntime.so"),
            sessions: one(),
        }
    }
}

/// An endpoint of OpenAI's embeddings format.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenAiEmbedderConfig {
    /// The whole address, for example `https://api.openai.com/v1/embeddings`.
    pub url: String,
    /// The model.
    pub model: String,
    /// Components of its vectors.
    pub dimensions: usize,
    /// Whether to ask for that many components; default no, as not every model knows the field.
    #[serde(default)]
    pub send_dimensions: bool,
    /// Credential.
    #[serde(default)]
    pub header: Option<HeaderConfig>,
    /// Longest wait, ms; default 2,000. The caller's deadline applies besides.
    #[serde(default = "default_embed_timeout")]
    pub timeout_ms: u64,
    /// Requests of lookups at a time; default 8.
    #[serde(default = "default_concurrency")]
    pub concurrency: usize,
}

impl OpenAiEmbedderConfig {
    /// Longest wait.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

/// A header that is sent along.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderConfig {
    /// Its name, for example `Authorization`.
    pub name: String,
    /// Its value, with secret references: `Bearer ${secret:env:OPENAI_API_KEY}`.
    pub value: SecretTemplate,
}

/// Bounds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Largest answer that is kept, bytes; default 256 KiB.
    pub max_response_bytes: usize,
    /// Longest text that is compared by meaning, bytes; default 8 KiB.
    pub max_text_bytes: usize,
    /// Largest lookup request, bytes; default 256 KiB.
    pub max_request_bytes: usize,
    /// Entries of one partition, the oldest leave; default 10,000.
    pub max_entries_per_partition: usize,
    /// Entries in total, the oldest leave; default 200,000.
    pub max_entries: usize,
    /// Longest life of an entry, seconds; default 30 days.
    pub max_ttl_s: u32,
    /// Vectors of recent texts kept in memory; default 4,096.
    pub remembered_vectors: usize,
    /// Time between two sweeps of expired entries, seconds; default 30.
    pub sweep_interval_s: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_response_bytes: 256 << 10,
            max_text_bytes: 8 << 10,
            max_request_bytes: 256 << 10,
            max_entries_per_partition: 10_000,
            max_entries: 200_000,
            max_ttl_s: 30 * 24 * 3600,
            remembered_vectors: 4_096,
            sweep_interval_s: 30,
        }
    }
}

impl Limits {
    /// How many entries an index keeps.
    #[must_use]
    pub fn capacity(&self) -> Capacity {
        Capacity { per_partition: self.max_entries_per_partition.max(1), total: self.max_entries.max(1) }
    }

    pub(crate) fn embedding(&self, seats: usize) -> EmbeddingBounds {
        EmbeddingBounds { seats, remembered: self.remembered_vectors, max_text_bytes: self.max_text_bytes }
    }
}

impl Config {
    /// Reads YAML.
    ///
    /// # Errors
    /// With line, column and the field's name.
    pub fn from_yaml(text: &str) -> Result<Self, serde_saphyr::Error> {
        serde_saphyr::from_str(text)
    }

    /// The event log's settings with every secret reference replaced by its secret.
    ///
    /// # Errors
    /// When a reference is malformed or its secret is missing.
    pub fn resolved_events(&self) -> Result<EventLogConfig, SecretError> {
        let mut events = self.events.clone();
        if let EventLogConfig::Kafka(kafka) = &mut events {
            for value in kafka.properties.values_mut() {
                let secret = SecretTemplate::from(value.as_str()).resolve()?;
                *value = secret.expose_secret().to_owned();
            }
        }
        Ok(events)
    }
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8092))
}

fn default_group() -> String {
    "tollgate-cache".to_owned()
}

fn default_collection() -> String {
    "tollgate_cache".to_owned()
}

fn default_lookup_timeout() -> u64 {
    250
}

fn default_write_timeout() -> u64 {
    5_000
}

fn default_embed_timeout() -> u64 {
    2_000
}

fn default_concurrency() -> usize {
    8
}

fn one() -> usize {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_file_is_enough() {
        let config = Config::from_yaml(
            "events: { embedded: { path: /data/events } }\nindex: { embedded: { path: /data/cache } }\n",
        )
        .unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8092");
        assert_eq!(config.group, "tollgate-cache");
        assert!(matches!(config.embedder, EmbedderConfig::None));
        assert_eq!(config.limits.max_entries_per_partition, 10_000);
    }

    #[test]
    fn every_choice_can_be_written() {
        let config = Config::from_yaml(
            "listen: 0.0.0.0:9000
token: ${secret:env:CACHE_TOKEN}
events: { kafka: { brokers: ['kafka:9092'] } }
index: { qdrant: { url: 'http://qdrant:6334', api_key: '${secret:file:/run/secrets/qdrant}' } }
embedder:
  openai:
    url: https://api.openai.com/v1/embeddings
    model: text-embedding-3-small
    dimensions: 1536
    header: { name: Authorization, value: 'Bearer ${secret:env:OPENAI_API_KEY}' }
limits: { max_ttl_s: 60 }
",
        )
        .unwrap();
        assert!(matches!(config.index, IndexConfig::Qdrant(qdrant) if qdrant.collection == "tollgate_cache"));
        assert!(matches!(config.embedder, EmbedderConfig::Openai(openai) if openai.timeout_ms == 2_000));
        assert_eq!(config.limits.max_ttl_s, 60);
    }

    #[test]
    fn secrets_of_the_event_log_are_resolved() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "s3cret\n").unwrap();
        let config = Config::from_yaml(&format!(
            "events: {{ kafka: {{ brokers: ['k:9092'], properties: {{ sasl.password: '${{secret:file:{}}}', acks: all }} }} }}\nindex: {{ embedded: {{ path: /c }} }}\n",
            file.path().display()
        ));
        let EventLogConfig::Kafka(kafka) = config.unwrap().resolved_events().unwrap() else { panic!() };
        assert_eq!(kafka.properties["sasl.password"], "s3cret");
        assert_eq!(kafka.properties["acks"], "all");
    }

    #[test]
    fn an_unknown_field_is_named() {
        let error = Config::from_yaml(
            "events: { embedded: { path: /e } }\nindex: { embedded: { path: /c } }\nlimits: { max_ttl: 60 }\n",
        );
        assert!(error.unwrap_err().to_string().contains("max_ttl"));
    }
}
