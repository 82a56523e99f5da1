//! The standalone configuration: one file with a section for each service.
//!
//! ```yaml
//! data_dir: ./data            # everything on disk is below it
//! gateway: { … }              # as in the gateway's own file
//! accounting: { … }           # optional
//! cache_service: { … }        # optional; on by itself when a model has a `cache`
//! allow_plain_secrets: false  # true: secrets may stand in this file itself
//! ```
//!
//! What ties the services together (`events`, addresses of each other, folders) is filled in. `events` is one
//! setting for all of them and stands at the top, not in the sections.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::json;
use tollgate_cache_service::config::{EmbedderConfig, MiniLmConfig};
use tollgate_eventlog::config::{EmbeddedConfig, EventLogConfig};
use tollgate_settings::load::{malformed, parse_yaml, read_text};
use tollgate_settings::{ConfigError, Mistakes, plain_secrets};

use crate::engines;
use crate::section::{Additions, Fields, Section};

/// Size at which a segment of the embedded log is closed, bytes.
const SEGMENT_BYTES: u64 = 64 << 20;

/// Where the gateway looks for the cache service unless told otherwise.
const CACHE_SERVICE: &str = "127.0.0.1:8092";

/// What the process runs.
#[derive(Debug, Clone)]
pub struct Config {
    /// The log that all services share.
    pub events: EventLogConfig,
    /// The gateway.
    pub gateway: tollgate_gateway::Config,
    /// Accounting.
    pub accounting: tollgate_accounting::Config,
    /// The cache service; `None` if no model caches its answers and there is no section for it.
    pub cache_service: Option<tollgate_cache_service::Config>,
    /// Whether the gateway asks the cache service of this process and not one that the file names.
    pub own_cache: bool,
    /// Where a first price book is written when the file names none.
    pub first_prices: Option<PathBuf>,
}

/// The file's outer shape, read first: what is there decides what has to be filled in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Outline {
    #[serde(default = "Outline::default_data_dir")]
    data_dir: PathBuf,
    #[serde(default)]
    events: Option<EventLogConfig>,
    #[serde(default)]
    allow_plain_secrets: bool,
    #[serde(default)]
    gateway: Fields,
    #[serde(default)]
    accounting: Option<Fields>,
    #[serde(default)]
    cache_service: Option<Fields>,
}

impl Outline {
    fn default_data_dir() -> PathBuf {
        "./data".into()
    }

    fn events(&self) -> EventLogConfig {
        self.events.clone().unwrap_or_else(|| {
            EventLogConfig::Embedded(EmbeddedConfig {
                path: self.data_dir.join("log"),
                segment_bytes: SEGMENT_BYTES,
            })
        })
    }

    /// `events` in a section would split the log in two.
    fn check(&self) -> Result<(), Mistakes> {
        let mut mistakes = Mistakes::default();
        let none = Fields::default();
        let sections = [
            ("gateway", &self.gateway),
            ("accounting", self.accounting.as_ref().unwrap_or(&none)),
            ("cache_service", self.cache_service.as_ref().unwrap_or(&none)),
        ];
        for (section, given) in sections {
            if given.contains("events") {
                mistakes.add(
                    format!("{section}.events"),
                    "all services of this process share one log: set `events` at the top of the file",
                );
            }
        }
        mistakes.into_result()
    }
}

/// Reads and checks the file.
///
/// # Errors
/// When it cannot be read, has unknown fields, or its parts do not fit together: every mistake with its place.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    parse(path, &read_text(path)?)
}

/// Reads and checks text that came from `path`.
///
/// # Errors
/// As [`load`].
pub fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
    let config = read_sections(path, text)?;
    mistakes_in(&config).into_result().map_err(|mistakes| invalid(path, mistakes))?;
    Ok(config)
}

/// Reads the settings of accounting alone, for commands that ask the ledger: secrets that the gateway would need
/// may be missing.
///
/// # Errors
/// As [`load`], without what is wrong with the other sections' values.
pub fn load_accounting(path: &Path) -> Result<tollgate_accounting::Config, ConfigError> {
    let config = read_sections(path, &read_text(path)?)?.accounting;
    let mut mistakes = Mistakes::default();
    mistakes.add_section("accounting", without_events(config.mistakes()));
    mistakes.into_result().map_err(|mistakes| invalid(path, mistakes))?;
    Ok(config)
}

fn read_sections(path: &Path, text: &str) -> Result<Config, ConfigError> {
    let outline: Outline = parse_yaml(path, text)?;
    outline.check().map_err(|mistakes| invalid(path, mistakes))?;
    serde_saphyr::with_deserializer_from_str(text, |yaml| Sections { outline: &outline }.deserialize(yaml))
        .map_err(|error| malformed(path, &error))
}

fn invalid(path: &Path, mistakes: Mistakes) -> ConfigError {
    ConfigError::Invalid { path: path.to_owned(), mistakes }
}

/// What the services find wrong with their sections, with its place in this file.
fn mistakes_in(config: &Config) -> Mistakes {
    let mut all = Mistakes::default();
    all.add_section("events", config.events.mistakes());
    if !config.gateway.allow_plain_secrets {
        all.add_section("events", plain_secrets(&config.events));
    }
    let gateway = tollgate_gateway::check(&config.gateway).err().unwrap_or_default();
    all.add_section("gateway", without_events(gateway));
    all.add_section("accounting", without_events(config.accounting.mistakes()));
    if let Some(cache_service) = &config.cache_service {
        all.add_section("cache_service", without_events(cache_service.mistakes()));
    }
    all
}

/// The log is one for all services; what is wrong with it stands at the top of the file.
fn without_events(mut mistakes: Mistakes) -> Mistakes {
    mistakes.0.retain(|mistake| !mistake.path.starts_with("events."));
    mistakes
}

/// Reads the sections, completed with what the outline says.
struct Sections<'a> {
    outline: &'a Outline,
}

impl<'de> DeserializeSeed<'de> for Sections<'_> {
    type Value = Config;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Config, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Sections<'_> {
    type Value = Config;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the sections of a standalone configuration")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Config, A::Error> {
        use serde::de::Error as _;
        let (mut gateway, mut accounting, mut cache_service) = (None, None, None);
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "gateway" => gateway = Some(map.next_value_seed(Section::new(self.outline.for_gateway()))?),
                "accounting" => {
                    accounting = Some(map.next_value_seed(Section::new(self.outline.for_accounting()))?)
                }
                "cache_service" => {
                    cache_service =
                        Some(map.next_value_seed(Section::new(self.outline.for_cache_service()))?);
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let alone = |error: serde_json::Error| A::Error::custom(error);
        let gateway: tollgate_gateway::Config = match gateway {
            Some(gateway) => gateway,
            None => self.outline.for_gateway().alone().map_err(alone)?,
        };
        let accounting = match accounting {
            Some(accounting) => accounting,
            None => self.outline.for_accounting().alone().map_err(alone)?,
        };
        if cache_service.is_none() && gateway.models.values().any(|model| model.cache.is_some()) {
            cache_service = Some(self.outline.for_cache_service().alone().map_err(alone)?);
        }
        let own_cache = !self.outline.gateway.contains("cache_service");
        let names_prices = self.outline.accounting.as_ref().is_some_and(|given| given.contains("price_book"));
        let first_prices = (!names_prices).then(|| self.outline.prices());
        Ok(Config {
            events: self.outline.events(),
            gateway,
            accounting,
            cache_service,
            own_cache,
            first_prices,
        })
    }
}

impl Outline {
    fn for_gateway(&self) -> Additions {
        let mut additions = self.shared(&self.gateway);
        additions.add(&self.gateway, "data_dir", json!(self.data_dir.join("gateway")));
        // Its address is known once it listens; see `host`.
        additions.add(&self.gateway, "cache_service", json!({ "url": format!("http://{CACHE_SERVICE}") }));
        additions
    }

    fn for_accounting(&self) -> Additions {
        let given = self.accounting.clone().unwrap_or_default();
        let mut additions = self.shared(&given);
        let store = json!({ "embedded": { "path": self.data_dir.join("ledger") } });
        additions.add(&given, "store", store);
        additions.add(&given, "price_book", json!(self.prices()));
        additions
    }

    fn for_cache_service(&self) -> Additions {
        let given = self.cache_service.clone().unwrap_or_default();
        let mut additions = self.shared(&given);
        additions.add(&given, "index", json!({ "embedded": { "path": self.data_dir.join("cache") } }));
        additions.add(
            &given,
            "embedder",
            json!(EmbedderConfig::Minilm(MiniLmConfig::installed_in(&engines::home()))),
        );
        additions
    }

    fn prices(&self) -> PathBuf {
        self.data_dir.join("prices.yaml")
    }

    fn shared(&self, given: &Fields) -> Additions {
        let mut additions = Additions::default();
        additions.add(given, "events", json!(self.events()));
        additions.add(given, "allow_plain_secrets", json!(self.allow_plain_secrets));
        additions
    }
}

#[cfg(test)]
mod tests {
    use tollgate_accounting::config::StoreConfig;

    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        parse(Path::new("tollgate.yaml"), text).map_err(|error| error.to_string())
    }

    const GATEWAY: &str = "
gateway:
  backends: { b: { format: openai, url: 'http://127.0.0.1:1/v1' } }
  models:
    chat: { targets: [ { backend: b, model: m } ] }
    faq: { targets: [ { backend: b, model: m } ], cache: { exact: { ttl: 1h } } }
";

    #[test]
    fn the_gateway_section_alone_is_enough() {
        let config = read(&format!("data_dir: /d{GATEWAY}")).unwrap();
        assert_eq!(config.gateway.data_dir, Path::new("/d/gateway"));
        assert!(matches!(&config.events, EventLogConfig::Embedded(log) if log.path == Path::new("/d/log")));
        let StoreConfig::Embedded(ledger) = &config.accounting.store else {
            panic!("the ledger is embedded")
        };
        assert_eq!(ledger.path, Path::new("/d/ledger"));
        assert_eq!(config.first_prices.as_deref(), Some(Path::new("/d/prices.yaml")));
        assert!(config.cache_service.is_some() && config.own_cache);
    }

    #[test]
    fn the_cache_service_runs_only_where_something_is_cached() {
        let text = "gateway: { models: {} }";
        assert!(read(text).unwrap().cache_service.is_none());
        let with_section = format!("{text}\ncache_service: {{ listen: '127.0.0.1:0' }}");
        assert!(read(&with_section).unwrap().cache_service.is_some());
    }

    #[test]
    fn what_a_section_says_is_kept() {
        let text =
            format!("{GATEWAY}  data_dir: /other\naccounting: {{ price_book: mine.yaml, group: g }}\n");
        let config = read(&text).unwrap();
        assert_eq!(config.gateway.data_dir, Path::new("/other"));
        assert_eq!(config.accounting.price_book, Path::new("mine.yaml"));
        assert_eq!((config.accounting.group.as_str(), config.first_prices), ("g", None));
    }

    #[test]
    fn a_section_cannot_have_a_log_of_its_own() {
        let error = read("accounting: { events: { embedded: { path: x } } }").unwrap_err();
        assert!(error.contains("accounting.events") && error.contains("top of the file"), "{error}");
    }

    #[test]
    fn mistakes_name_their_line_and_what_was_probably_meant() {
        let error = read("gateway:\n  listen: 127.0.0.1:0\n  backend: {}\n").unwrap_err();
        assert!(error.starts_with("tollgate.yaml:3:") && error.contains("`backends`"), "{error}");
        let error = read("gatway: {}\n").unwrap_err();
        assert!(error.starts_with("tollgate.yaml:1:") && error.contains("`gateway`"), "{error}");
    }

    #[test]
    fn a_missing_secret_of_the_log_is_reported_once_and_where_it_stands() {
        let error = read(
            "events: { kafka: { brokers: [k], properties: { sasl.password: '${secret:env:TOLLGATE_NOT_SET}' } } }\n\
             cache_service: { token: '${secret:env:TOLLGATE_NOT_SET_EITHER}' }\n",
        )
        .unwrap_err();
        let lines: Vec<_> = error.lines().map(str::trim).collect();
        assert_eq!(lines.len(), 3, "{error}");
        assert!(lines[1].starts_with("events.kafka.properties.sasl.password: "), "{error}");
        assert!(lines[2].starts_with("cache_service.token: "), "{error}");
    }

    #[test]
    fn plain_secrets_are_allowed_for_all_sections_at_once() {
        let text = "events: { kafka: { brokers: [k], properties: { sasl.password: hunter1 } } }\n\
                    cache_service: { token: hunter2 }\n";
        let error = read(text).unwrap_err();
        for path in ["events.kafka.properties.sasl.password", "cache_service.token"] {
            assert!(error.contains(&format!("{path}: is written in plain text")), "{error}");
        }
        assert!(error.lines().count() == 3 && !error.contains("hunter"), "{error}");
        read(&format!("allow_plain_secrets: true\n{text}")).unwrap();
    }

    #[test]
    fn mistakes_of_all_sections_are_reported_together() {
        let error = read(
            "gateway: { models: { chat: { targets: [ { backend: gone, model: m } ] } } }\n\
             accounting: { batch: { records: 0 } }\n",
        )
        .unwrap_err();
        assert!(error.contains("gateway.models.chat.targets[0].backend"), "{error}");
        assert!(error.contains("accounting.batch.records"), "{error}");
    }
}
