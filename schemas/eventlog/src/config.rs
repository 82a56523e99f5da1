//! Settings of the event log, shared by all services' configuration files.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tollgate_settings::{Mistakes, SecretTemplate};

/// Where events go: to exactly one of the two.
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
    /// What [`open`](crate::open) would refuse and no type says, for checks before anything is opened.
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
    /// Prefix of every topic name, for shared clusters.
    #[serde(default)]
    pub topic_prefix: String,
    /// Replication factor of topics that are created; the cluster's default if absent.
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
    /// Folder of the log; created if it does not exist. Used by one process at a time.
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

    #[test]
    fn a_cluster_without_brokers_is_a_mistake() {
        let config: EventLogConfig = serde_json::from_str(r#"{ "kafka": { "brokers": [] } }"#).unwrap();
        assert_eq!(config.mistakes().to_string(), "kafka.brokers: name at least one host:port");
    }
}
