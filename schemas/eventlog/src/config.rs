//! Settings of the event log, shared by all services' configuration files.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::embedded::EmbeddedLog;
use crate::kafka::KafkaLog;
use crate::{EventLog, LogError};

/// Where events go: exactly one of the two.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum EventLogConfig {
    /// A Kafka cluster.
    Kafka(KafkaConfig),
    /// Segment files of this process.
    Embedded(EmbeddedConfig),
}

impl EventLogConfig {
    /// Opens the log. A Kafka cluster need not be reachable yet.
    ///
    /// # Errors
    /// When the settings are wrong, or the embedded log's folder cannot be used.
    pub fn open(&self) -> Result<Arc<dyn EventLog>, LogError> {
        Ok(match self {
            Self::Kafka(config) => Arc::new(KafkaLog::new(config)?),
            Self::Embedded(config) => Arc::new(EmbeddedLog::open(config)?),
        })
    }
}

/// A Kafka cluster. Its `Debug` output names the properties and hides their values.
#[derive(Clone, Serialize, Deserialize)]
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
