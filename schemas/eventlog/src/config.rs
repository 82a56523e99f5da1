//! Settings of the event log, shared by all services' configuration files.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where events go: exactly one of the two.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum EventLogConfig {
    /// A Kafka cluster.
    Kafka(KafkaConfig),
    /// Segment files of this process.
    Embedded(EmbeddedConfig),
}

/// A Kafka cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
    /// references and resolved before they come here.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
}

/// Segment files of this process.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
