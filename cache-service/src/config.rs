//! Settings of the service: one YAML file. Every default is beside its field.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use tollgate_eventlog::config::EventLogConfig;
use tollgate_settings::load::{parse_checked, read_checked};
use tollgate_settings::{ConfigError, Mistakes, SecretTemplate, plain_secrets};

use crate::embed::EmbeddingBounds;
use crate::index::Capacity;

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
    /// When present, callers of `/v1/…` must send it as `Authorization: Bearer …`; gateways are given the same one
    /// as `cache_service.token`. Health and metrics need none. Default: everybody who reaches the port may ask, and
    /// may invalidate.
    #[serde(default)]
    pub token: Option<SecretTemplate>,
    /// Whether secrets may stand in this file itself. Default no: they are references such as
    /// `${secret:env:NAME}` or `${secret:file:/path}`.
    #[serde(default)]
    pub allow_plain_secrets: bool,
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
    /// Reads and checks a file.
    ///
    /// # Errors
    /// When the file cannot be read or has mistakes, with their place; missing secrets are reported together.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        read_checked(path, |config: &Self| config.mistakes().into_result())
    }

    /// Reads and checks a text that came from `path`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(path: &Path, yaml: &str) -> Result<Self, ConfigError> {
        parse_checked(path, yaml, |config: &Self| config.mistakes().into_result())
    }

    /// What no type says: secrets that are missing or in plain text, and settings that the event log refuses.
    #[must_use]
    pub fn mistakes(&self) -> Mistakes {
        let mut mistakes = Mistakes::default();
        mistakes.add_section("events", self.events.mistakes());
        for (path, secret) in self.secrets() {
            match secret.resolve() {
                Err(error) => mistakes.add(path, error.to_string()),
                // An empty token would let everybody in who sends none.
                Ok(secret) if secret.expose_secret().is_empty() => mistakes.add(path, "is empty"),
                Ok(_) => {}
            }
        }
        if !self.allow_plain_secrets {
            mistakes.append(plain_secrets(self));
        }
        mistakes
    }

    /// The service's own secrets, each with its path.
    fn secrets(&self) -> impl Iterator<Item = (&'static str, &SecretTemplate)> {
        let token = self.token.as_ref();
        let api_key = match &self.index {
            IndexConfig::Qdrant(qdrant) => qdrant.api_key.as_ref(),
            IndexConfig::Embedded(_) => None,
        };
        let header = match &self.embedder {
            EmbedderConfig::Openai(openai) => openai.header.as_ref().map(|header| &header.value),
            EmbedderConfig::None | EmbedderConfig::Minilm(_) => None,
        };
        [("token", token), ("index.qdrant.api_key", api_key), ("embedder.openai.header.value", header)]
            .into_iter()
            .filter_map(|(path, secret)| Some((path, secret?)))
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

    fn parse(yaml: &str) -> Result<Config, String> {
        Config::parse(Path::new("cache.yaml"), yaml).map_err(|error| error.to_string())
    }

    #[test]
    fn a_short_file_is_enough() {
        let config = parse(
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
        let secret = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(secret.path(), "s3cret").unwrap();
        let text = "listen: 0.0.0.0:9000
token: ${secret:file:SECRET}
events: { kafka: { brokers: ['kafka:9092'] } }
index: { qdrant: { url: 'http://qdrant:6334', api_key: '${secret:file:SECRET}' } }
embedder:
  openai:
    url: https://api.openai.com/v1/embeddings
    model: text-embedding-3-small
    dimensions: 1536
    header: { name: Authorization, value: 'Bearer ${secret:file:SECRET}' }
limits: { max_ttl_s: 60 }
";
        let config = parse(&text.replace("SECRET", &secret.path().display().to_string())).unwrap();
        assert!(matches!(config.index, IndexConfig::Qdrant(qdrant) if qdrant.collection == "tollgate_cache"));
        assert!(matches!(config.embedder, EmbedderConfig::Openai(openai) if openai.timeout_ms == 2_000));
        assert_eq!(config.limits.max_ttl_s, 60);
    }

    #[test]
    fn all_missing_secrets_are_reported_at_once_with_their_path() {
        let error = parse(
            "token: ${secret:env:TOLLGATE_NOT_SET_1}
events: { kafka: { brokers: ['k:9092'], properties: { sasl.password: '${secret:env:TOLLGATE_NOT_SET_2}' } } }
index: { qdrant: { url: 'http://qdrant:6334', api_key: '${secret:file:/not/there}' } }
",
        )
        .unwrap_err();
        let lines: Vec<_> = error.lines().map(str::trim).collect();
        assert_eq!(lines.len(), 4, "{error}");
        assert!(lines[1].starts_with("events.kafka.properties.sasl.password: "), "{error}");
        assert!(lines[2].starts_with("token: environment variable TOLLGATE_NOT_SET_1"), "{error}");
        assert!(lines[3].starts_with("index.qdrant.api_key: secret file /not/there"), "{error}");
    }

    #[test]
    fn secrets_in_plain_text_are_mistakes_unless_the_file_allows_them() {
        let text = "token: hunter1
events: { kafka: { brokers: ['k:9092'], properties: { sasl.password: hunter2, client.id: me } } }
index: { qdrant: { url: 'http://qdrant:6334', api_key: hunter3 } }
embedder: { openai: { url: 'http://e/v1', model: m, dimensions: 8, header: { name: a, value: 'Bearer hunter4' } } }
";
        let error = parse(text).unwrap_err();
        for path in ["token", "events.kafka.properties.sasl.password", "index.qdrant.api_key", "header.value"]
        {
            assert!(error.contains(&format!("{path}: is written in plain text")), "{path}: {error}");
        }
        assert!(error.lines().count() == 5 && !error.contains("hunter"), "{error}");
        parse(&format!("allow_plain_secrets: true\n{text}")).unwrap();
        let empty = text.replace("hunter1", "''");
        let error = parse(&format!("allow_plain_secrets: true\n{empty}")).unwrap_err();
        assert!(error.ends_with("token: is empty"), "{error}");
    }

    #[test]
    fn an_unknown_field_is_named_with_its_place_and_what_was_meant() {
        let error = parse(
            "events: { embedded: { path: /e } }\nindex: { embedded: { path: /c } }\nlimits: { max_tll_s: 60 }\n",
        )
        .unwrap_err();
        assert!(error.starts_with("cache.yaml:3:"), "{error}");
        assert!(error.contains("`max_tll_s`") && error.ends_with("did you mean `max_ttl_s`?"), "{error}");
    }
}
