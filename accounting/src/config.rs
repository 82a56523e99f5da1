//! Settings of the accounting service: one YAML file, unknown fields refused.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tollgate_eventlog::config::EventLogConfig;
use tollgate_settings::load::{parse_checked, read_checked};
use tollgate_settings::units::Time;
use tollgate_settings::{ConfigError, Mistakes, SecretTemplate, plain_secrets};

use crate::batch::Limits;

/// Where the service listens unless told otherwise, and where commands look for it.
pub(crate) const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8091);

/// Settings of the accounting service.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address of the HTTP server (reports, health, metrics). Default `127.0.0.1:8091`.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// Where events come from.
    pub events: EventLogConfig,
    /// Whether secrets of `events` may stand in this file in plain text, instead of as references like
    /// `${secret:env:NAME}`.
    #[serde(default)]
    pub allow_plain_secrets: bool,
    /// Consumer group. Default `tollgate-accounting`.
    #[serde(default = "default_group")]
    pub group: String,
    /// Where rows go.
    pub store: StoreConfig,
    /// The price book, a YAML file.
    pub price_book: PathBuf,
    /// How many rows are collected before they are stored, and for how long.
    #[serde(default)]
    pub batch: BatchConfig,
    /// Time between two runs of the rollup. Default 30 s.
    #[serde(default = "default_rollup_interval")]
    pub rollup_interval: Time,
    /// Time between two reconciliations. Default 60 s.
    #[serde(default = "default_reconcile_interval")]
    pub reconcile_interval: Time,
    /// Longest time that one attempt may take; holes in a gateway's sequence that are younger are pending,
    /// not missing. Default 15 min.
    #[serde(default = "default_reconcile_grace")]
    pub reconcile_grace: Time,
    /// Months that events stay in the ledger, from the time of the event; all services of a ledger must agree.
    /// Default 25, 3 to 240. Older ones are deleted in the background, so a smaller value than before deletes
    /// events soon after the start, for good. The hourly sums (`rollup_hourly`) stay; dead letters stay for 90
    /// days.
    #[serde(default = "default_retention_months")]
    pub retention_months: u32,
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
    /// Address of its HTTP interface: `https://host:8443`, or `http://host:8123` on this machine. Rows and the
    /// password would cross a network unprotected by plain HTTP, so elsewhere it must be allowed as well.
    pub url: String,
    /// PEM file of the certificate authorities that an `https` server is trusted by. Default: the system's.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Allows an `http` address on another machine, for a network that nobody else is in. Default false.
    #[serde(default)]
    pub allow_plain_http: bool,
    /// Database; made when it does not exist. Default `tollgate`.
    #[serde(default = "default_database")]
    pub database: String,
    /// User. Default: the server's default user.
    #[serde(default)]
    pub user: Option<String>,
    /// Password, as a secret reference: `${secret:env:NAME}` or `${secret:file:/path}`.
    #[serde(default)]
    pub password: Option<SecretTemplate>,
    /// Longest time for one statement. Default 30 s.
    #[serde(default = "default_timeout")]
    pub timeout: Time,
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

/// How many rows are collected before they are stored, and for how long: whichever comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchConfig {
    /// Most records of a batch. Default 10000.
    pub records: usize,
    /// Longest wait of a batch's oldest record. Default 1 s.
    pub age: Time,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self { records: 10_000, age: Time::from_secs(1) }
    }
}

impl From<BatchConfig> for Limits {
    fn from(config: BatchConfig) -> Self {
        Self { records: config.records, age: config.age.0 }
    }
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// When the file cannot be read or has mistakes: all values out of range and missing secrets of the event
    /// log are reported together.
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

    /// Every value out of range, with its path and what to use instead.
    #[must_use]
    pub fn mistakes(&self) -> Mistakes {
        let mut mistakes = Mistakes::default();
        mistakes.add_section("events", self.events.mistakes());
        if !self.allow_plain_secrets {
            mistakes.add_section("events", plain_secrets(&self.events));
        }
        mistakes.check(!self.group.is_empty(), "group", "is empty");
        mistakes.check((1..=1_000_000).contains(&self.batch.records), "batch.records", "use 1 to 1000000");
        mistakes.check(self.batch.age <= Time::from_secs(60), "batch.age", "use at most 60s");
        let second = Time::from_secs(1);
        mistakes.check(self.rollup_interval >= second, "rollup_interval", "use at least 1s");
        mistakes.check(self.reconcile_interval >= second, "reconcile_interval", "use at least 1s");
        mistakes.check((3..=240).contains(&self.retention_months), "retention_months", "use 3 to 240");
        match &self.store {
            StoreConfig::Clickhouse(server) => mistakes.add_section("store.clickhouse", server.mistakes()),
            StoreConfig::Embedded(embedded) => mistakes.add_section("store.embedded", embedded.mistakes()),
        }
        mistakes
    }
}

impl ClickhouseConfig {
    fn mistakes(&self) -> Mistakes {
        let mut mistakes = Mistakes::default();
        match Transport::of(&self.url) {
            None => mistakes.add("url", "use https://host:8443 or http://host:8123"),
            Some(Transport::Plain) if !self.allow_plain_http => {
                mistakes
                    .add("url", "is plain HTTP to another machine: use https, or set allow_plain_http: true");
            }
            Some(Transport::Plain | Transport::Local) => {
                mistakes.check(self.ca.is_none(), "ca", "is for an https url");
            }
            Some(Transport::Tls) => {}
        }
        mistakes.check(is_name(&self.database), "database", "use letters, digits and _");
        mistakes.check(
            self.password.as_ref().is_none_or(SecretTemplate::is_reference),
            "password",
            "give ${secret:env:NAME} or ${secret:file:/path}, never the password itself",
        );
        mistakes
    }
}

/// How a server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    Tls,
    /// Plain HTTP that stays on this machine.
    Local,
    /// Plain HTTP over a network.
    Plain,
}

impl Transport {
    /// `None` for what is no address of a server, or one with credentials in it: those have their own fields.
    fn of(url: &str) -> Option<Self> {
        let uri: hyper::Uri = url.parse().ok()?;
        let host = uri.authority().filter(|authority| !authority.as_str().contains('@'))?.host();
        match uri.scheme_str()? {
            "https" => Some(Self::Tls),
            "http" => {
                let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
                let local = host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback());
                Some(if local { Self::Local } else { Self::Plain })
            }
            _ => None,
        }
    }
}

impl EmbeddedStoreConfig {
    fn mistakes(&self) -> Mistakes {
        let mut mistakes = Mistakes::default();
        mistakes.check(is_name(&self.database), "database", "use letters, digits and _");
        mistakes.check(self.max_memory_mib >= 256, "max_memory_mib", "use at least 256");
        let loopback = self.http_listen.is_none_or(|at| at.ip().is_loopback());
        mistakes.check(loopback, "http_listen", "use a loopback address such as 127.0.0.1:8123");
        mistakes
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn default_listen() -> SocketAddr {
    DEFAULT_LISTEN
}

fn default_group() -> String {
    "tollgate-accounting".to_owned()
}

fn default_database() -> String {
    "tollgate".to_owned()
}

fn default_rollup_interval() -> Time {
    Time::from_secs(30)
}

fn default_reconcile_interval() -> Time {
    Time::from_secs(60)
}

fn default_reconcile_grace() -> Time {
    Time::from_secs(15 * 60)
}

fn default_retention_months() -> u32 {
    25
}

fn default_timeout() -> Time {
    Time::from_secs(30)
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

    fn parse(yaml: &str) -> Result<Config, String> {
        Config::parse(Path::new("accounting.yaml"), yaml).map_err(|error| error.to_string())
    }

    const SMALL: &str = "
events: { embedded: { path: /tmp/log } }
store: { embedded: { path: /tmp/ledger } }
price_book: prices.yaml
";

    #[test]
    fn a_small_file_has_the_documented_defaults() {
        let config = parse(SMALL).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8091");
        assert_eq!(config.group, "tollgate-accounting");
        assert_eq!(config.batch, BatchConfig { records: 10_000, age: Time::from_secs(1) });
        assert_eq!(config.rollup_interval, Time::from_secs(30));
        assert_eq!(config.retention_months, 25);
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
        assert!(parse(&file("${secret:env:PASSWORD}")).is_ok());
        let error = parse(&file("hunter2")).unwrap_err();
        assert!(error.contains("store.clickhouse.password: give ${secret:env:NAME}"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn plain_http_to_another_machine_must_be_allowed() {
        let check = |fields: &str, expected: Option<&str>| {
            let result = parse(&SMALL.replace(
                "store: { embedded: { path: /tmp/ledger } }",
                &format!("store: {{ clickhouse: {{ {fields} }} }}"),
            ));
            match (result, expected) {
                (Ok(_), None) => {}
                (Err(error), Some(part)) => assert!(error.contains(part), "{fields}: {error}"),
                (result, _) => panic!("{fields}: {result:?}"),
            }
        };
        for local in ["http://127.0.0.1:8123", "http://localhost:8123", "http://[::1]:8123"] {
            check(&format!("url: '{local}'"), None);
        }
        check("url: https://clickhouse:8443", None);
        check("url: https://clickhouse:8443, ca: /etc/ca.pem", None);
        check("url: http://clickhouse:8123, allow_plain_http: true", None);
        check("url: http://clickhouse:8123", Some("store.clickhouse.url: is plain HTTP to another machine"));
        check("url: http://localhost.example:8123", Some("is plain HTTP"));
        check(
            "url: http://127.0.0.1:8123, ca: /etc/ca.pem",
            Some("store.clickhouse.ca: is for an https url"),
        );
        for wrong in ["tcp://clickhouse:9000", "clickhouse:8123", "https://u:hunter2@clickhouse"] {
            check(&format!("url: '{wrong}'"), Some("use https://host:8443"));
        }
    }

    #[test]
    fn unknown_fields_are_refused_with_their_place_and_what_was_meant() {
        let error = parse(&format!("{SMALL}lisen: 127.0.0.1:1\n")).unwrap_err();
        assert!(error.starts_with("accounting.yaml:5:1: ") && error.contains("`lisen`"), "{error}");
        assert!(error.ends_with("did you mean `listen`?"), "{error}");
    }

    #[test]
    fn times_may_be_sums() {
        let config = parse(&format!("{SMALL}reconcile_grace: 1h 30m\n")).unwrap();
        assert_eq!(config.reconcile_grace, Time::from_secs(5_400));
    }

    #[test]
    fn all_values_out_of_range_are_reported_at_once() {
        let error = parse(
            "
events: { kafka: { brokers: [b], properties: { sasl.password: \"${secret:env:TOLLGATE_TEST_NOT_SET}\" } } }
store: { embedded: { path: /tmp/ledger, http_listen: 0.0.0.0:8123, database: \"a`b\" } }
price_book: prices.yaml
batch: { records: 0, age: 5m }
retention_months: 2
",
        )
        .unwrap_err();
        for part in [
            "batch.records",
            "batch.age",
            "retention_months",
            "http_listen",
            "embedded.database",
            "TOLLGATE_TEST_NOT_SET",
        ] {
            assert!(error.contains(part), "{part} is not in {error}");
        }
    }
}
