//! Settings of the event log, shared by all services' configuration files.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tollgate_settings::{Mistakes, SecretTemplate};

use crate::embedded::EmbeddedLog;
use crate::kafka::KafkaLog;
use crate::{EventLog, LogError};

/// Where events go: exactly one of the two.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum EventLogConfig {
    /// A Kafka cluster.
    Kafka(KafkaConfig),
    /// Segment files of this process.
    Embedded(EmbeddedConfig),
}

impl EventLogConfig {
    /// Opens the log with the secrets that its settings refer to. A Kafka cluster need not be reachable yet.
    ///
    /// # Errors
    /// When the settings are wrong, a secret is missing, or the embedded log's folder cannot be used.
    pub fn open(&self) -> Result<Arc<dyn EventLog>, LogError> {
        Ok(match self {
            Self::Kafka(config) => Arc::new(KafkaLog::new(config)?),
            Self::Embedded(config) => Arc::new(EmbeddedLog::open(config)?),
        })
    }

    /// What [`EventLogConfig::open`] would refuse and no type says, for checks before anything is opened.
    #[must_use]
    pub fn mistakes(&self) -> Mistakes {
        let mut mistakes = Mistakes::default();
        if let Self::Kafka(config) = self {
            mistakes.check(!config.brokers.is_empty(), "kafka.brokers", "name at least one host:port");
            for (name, value) in &config.properties {
                if let Err(error) = value.resolve() {
                    mistakes.add(format!("kafka.properties.{name}"), error.to_string());
                }
            }
        }
        mistakes
    }
}

/// A Kafka cluster. Its `Debug` output names the properties and hides their values.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct KafkaConfig {
    /// Bootstrap servers, `host:port` each.
    pub brokers: Vec<String>,
    /// Put before every topic name, for clusters that are shared.
    #[serde(default)]
    pub topic_prefix: String,
    /// Replication factor of topics that are created; the cluster's default when absent.
    #[serde(default)]
    pub replication_factor: Option<u16>,
    /// librdkafka settings (security, timeouts …) that override Tollgate's own. Secrets are given as
    /// references, which are resolved when the log is opened.
    #[serde(default)]
    pub properties: BTreeMap<String, SecretTemplate>,
}

impl fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaConfig")
            .field("brokers", &self.brokers)
            .field("topic_prefix", &self.topic_prefix)
            .field("replication_factor", &self.replication_factor)
            .field("properties", &self.properties.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// Segment files of this process.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct EmbeddedConfig {
    /// Folder of the log; made when it does not exist. One process at a time.
    pub path: PathBuf,
    /// Size at which a segment is closed, bytes.
    #[serde(default = "EmbeddedConfig::default_segment_bytes")]
    pub segment_bytes: u64,
}

impl EmbeddedConfig {
    fn default_segment_bytes() -> u64 {
        64 << 20
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kafka(properties: serde_json::Value) -> EventLogConfig {
        let kafka = serde_json::json!({ "kafka": { "brokers": ["a:1"], "properties": properties } });
        serde_json::from_value(kafka).unwrap()
    }

    #[test]
    fn a_missing_secret_is_found_with_its_property_before_and_when_the_log_is_opened() {
        let config = kafka(serde_json::json!({
            "sasl.username": "hunter1",
            "sasl.password": "hunter2${secret:env:TOLLGATE_NO_SUCH_VARIABLE}",
        }));
        let checked = config.mistakes().to_string();
        assert!(checked.starts_with("kafka.properties.sasl.password: "), "{checked}");
        let Err(LogError::Config(opened)) = config.open() else { panic!("the log opened") };
        for text in [checked, opened, format!("{config:?}")] {
            assert!(text.contains("sasl.password") && !text.contains("hunter"), "{text}");
        }
    }

    #[test]
    fn secrets_of_properties_are_resolved_when_the_log_is_opened() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let reference = format!("${{secret:file:{}}}", file.path().display());
        // An unknown name is refused by librdkafka when a client is made.
        let config = kafka(serde_json::json!({ "security.protocol": reference }));
        std::fs::write(file.path(), "no-such-protocol\n").unwrap();
        assert!(matches!(config.open().unwrap().producer(), Err(LogError::Config(_))));
        std::fs::write(file.path(), "plaintext\n").unwrap();
        config.open().unwrap().producer().unwrap();
    }

    #[test]
    fn a_cluster_without_brokers_is_a_mistake() {
        let config: EventLogConfig = serde_json::from_str(r#"{ "kafka": { "brokers": [] } }"#).unwrap();
        assert_eq!(config.mistakes().to_string(), "kafka.brokers: name at least one host:port");
    }
}
