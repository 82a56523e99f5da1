//! Settings of the accounting service: one YAML file, unknown fields refused.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use tollgate_eventlog::config::EventLogConfig;

use crate::batch::Limits;
use crate::error::Error;
use crate::secret::{self, SecretRef};

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address of the HTTP server (reports, health, metrics). Default `127.0.0.1:8091`.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// Where events come from.
    pub events: EventLogConfig,
    /// Consumer group. Default `tollgate-accounting`.
    #[serde(default = "default_group")]
    pub group: String,
    /// Where rows go.
    pub store: StoreConfig,
    /// The price book, a YAML file.
    pub price_book: PathBuf,
    /// When rows are stored.
    #[serde(default)]
    pub batch: BatchConfig,
    /// Time between two runs of the rollup. Default 30 s.
    #[serde(default = "default_rollup_interval", deserialize_with = "duration")]
    pub rollup_interval: Duration,
    /// Time between two reconciliations. Default 60 s.
    #[serde(default = "default_reconcile_interval", deserialize_with = "duration")]
    pub reconcile_interval: Duration,
    /// Longest time that one attempt may take; holes in a gateway's sequence that are younger are pending,
    /// not missing. Default 15 min.
    #[serde(default = "default_reconcile_grace", deserialize_with = "duration")]
    pub reconcile_grace: Duration,
}

/// Where rows go: exactly one of the two.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum StoreConfig {
    /// A ClickHouse server.
    Clickhouse(ClickhouseConfig),
    /// The engine inside this process.
    Embedded(EmbeddedStoreConfig),
}

/// A ClickHouse server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClickhouseConfig {
    /// HTTP address, `http://host:8123`.
    pub url: String,
    /// Database; made when it does not exist. Default `tollgate`.
    #[serde(default = "default_database")]
    pub database: String,
    /// User.
    #[serde(default)]
    pub user: Option<String>,
    /// Password, as a secret reference.
    #[serde(default)]
    pub password: Option<SecretRef>,
    /// Longest time for one statement. Default 30 s.
    #[serde(default = "default_timeout", deserialize_with = "duration")]
    pub timeout: Duration,
}

/// The engine inside this process.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbeddedStoreConfig {
    /// Folder of the ledger; made when it does not exist. One process at a time.
    pub path: PathBuf,
    /// The engine's library. Default `$TOLLGATE_HOME/lib/libchdb.so`, where `deploy/setup/chdb` puts it.
    #[serde(default = "default_library")]
    pub library: PathBuf,
    /// Database; made when it does not exist. Default `tollgate`.
    #[serde(default = "default_database")]
    pub database: String,
    /// Most memory that the engine may take, MiB. Default 1024.
    #[serde(default = "default_max_memory_mib")]
    pub max_memory_mib: u32,
    /// Loopback address on which SQL clients may read the ledger over ClickHouse's HTTP protocol.
    /// Default: none.
    #[serde(default)]
    pub http_listen: Option<SocketAddr>,
}

/// When rows are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchConfig {
    /// As soon as there are this many. Default 10000.
    pub records: usize,
    /// As soon as the oldest has waited this long. Default 1 s.
    #[serde(deserialize_with = "duration")]
    pub age: Duration,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self { records: 10_000, age: Duration::from_secs(1) }
    }
}

impl From<BatchConfig> for Limits {
    fn from(config: BatchConfig) -> Self {
        Self { records: config.records, age: config.age }
    }
}

impl Config {
    /// Reads a file and resolves the secret references of the event log's settings.
    ///
    /// # Errors
    /// When the file cannot be read or has mistakes: all values out of range are reported together.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::Config { path: path.into(), message: error.to_string() })?;
        Self::parse(&text).map_err(|message| Error::Config { path: path.into(), message })
    }

    /// Reads a text.
    ///
    /// # Errors
    /// With every mistake, one a line.
    pub fn parse(yaml: &str) -> Result<Self, String> {
        let mut config: Self = serde_saphyr::from_str(yaml).map_err(|error| error.to_string())?;
        let mut mistakes = config.mistakes();
        if let EventLogConfig::Kafka(kafka) = &mut config.events {
            for (name, value) in &mut kafka.properties {
                match secret::resolve(value) {
                    Ok(resolved) => *value = resolved,
                    Err(error) => mistakes.push(format!("events.kafka.properties.{name}: {error}")),
                }
            }
        }
        if mistakes.is_empty() { Ok(config) } else { Err(mistakes.join("\n")) }
    }

    /// Every value out of range, with its path and what to use instead.
    #[must_use]
    pub fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        let mut check = |fine: bool, message: &str| {
            if !fine {
                mistakes.push(message.to_owned());
            }
        };
        check(!self.group.is_empty(), "group: is empty");
        check((1..=1_000_000).contains(&self.batch.records), "batch.records: use 1 to 1000000");
        check(self.batch.age <= Duration::from_secs(60), "batch.age: use at most 60s");
        let second = Duration::from_secs(1);
        check(self.rollup_interval >= second, "rollup_interval: use at least 1s");
        check(self.reconcile_interval >= second, "reconcile_interval: use at least 1s");
        match &self.store {
            StoreConfig::Clickhouse(server) => {
                check(server.url.starts_with("http://"), "store.clickhouse.url: use http://host:8123");
                check(is_name(&server.database), "store.clickhouse.database: use letters, digits and _");
            }
            StoreConfig::Embedded(embedded) => {
                check(is_name(&embedded.database), "store.embedded.database: use letters, digits and _");
                check(embedded.max_memory_mib >= 256, "store.embedded.max_memory_mib: use at least 256");
                let loopback = embedded.http_listen.is_none_or(|at| at.ip().is_loopback());
                check(loopback, "store.embedded.http_listen: use a loopback address such as 127.0.0.1:8123");
            }
        }
        mistakes
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// `30s`, `5m`, `1h 30m` …
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text).map_err(serde::de::Error::custom)
}

pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration such as 30s or 5m");
    let signed: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    signed.try_into().map_err(|_| wrong())
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8091))
}

fn default_group() -> String {
    "tollgate-accounting".to_owned()
}

fn default_database() -> String {
    "tollgate".to_owned()
}

fn default_rollup_interval() -> Duration {
    Duration::from_secs(30)
}

fn default_reconcile_interval() -> Duration {
    Duration::from_secs(60)
}

fn default_reconcile_grace() -> Duration {
    Duration::from_secs(15 * 60)
}

fn default_timeout() -> Duration {
    Duration::from_secs(30)
}

fn default_max_memory_mib() -> u32 {
    1024
}

/// `$TOLLGATE_HOME/lib/libchdb.so`; `TOLLGATE_HOME` is `$HOME/.local/share/tollgate` where it is not set.
#[must_use]
pub fn default_library() -> PathBuf {
    let home = std::env::var_os("TOLLGATE_HOME").map(PathBuf::from).unwrap_or_else(|| {
        PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".local/share/tollgate")
    });
    home.join("lib/libchdb.so")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "
events: { embedded: { path: /tmp/log } }
store: { embedded: { path: /tmp/ledger } }
price_book: prices.yaml
";

    #[test]
    fn a_small_file_has_the_documented_defaults() {
        let config = Config::parse(SMALL).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8091");
        assert_eq!(config.group, "tollgate-accounting");
        assert_eq!(config.batch, BatchConfig { records: 10_000, age: Duration::from_secs(1) });
        assert_eq!(config.rollup_interval, Duration::from_secs(30));
        let StoreConfig::Embedded(embedded) = config.store else { panic!() };
        assert!(embedded.library.ends_with("lib/libchdb.so"));
        assert_eq!(embedded.http_listen, None);
    }

    #[test]
    fn a_server_takes_its_password_by_reference_only() {
        let file = |password: &str| {
            format!(
                "
events: {{ kafka: {{ brokers: [\"127.0.0.1:9092\"] }} }}
store: {{ clickhouse: {{ url: \"http://127.0.0.1:8123\", user: ledger, password: \"{password}\", timeout: 5s }} }}
price_book: prices.yaml
"
            )
        };
        assert!(Config::parse(&file("${secret:env:PASSWORD}")).is_ok());
        let error = Config::parse(&file("hunter2")).unwrap_err();
        assert!(error.contains("${secret:env:NAME}"), "{error}");
    }

    #[test]
    fn unknown_fields_are_refused_with_their_line() {
        let error = Config::parse(&format!("{SMALL}lisen: 127.0.0.1:1\n")).unwrap_err();
        assert!(error.contains("lisen") && error.contains("line"), "{error}");
    }

    #[test]
    fn all_values_out_of_range_are_reported_at_once() {
        let error = Config::parse(
            "
events: { kafka: { brokers: [b], properties: { sasl.password: \"${secret:env:TOLLGATE_TEST_NOT_SET}\" } } }
store: { embedded: { path: /tmp/ledger, http_listen: 0.0.0.0:8123, database: \"a`b\" } }
price_book: prices.yaml
batch: { records: 0, age: 5m }
",
        )
        .unwrap_err();
        for part in
            ["batch.records", "batch.age", "http_listen", "embedded.database", "TOLLGATE_TEST_NOT_SET"]
        {
            assert!(error.contains(part), "{part} is not in {error}");
        }
    }
}
