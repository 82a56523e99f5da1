//! The event log: how events travel between the services.
//!
//! One port, two implementations: [`embedded`] keeps topics as segment files of one process, `kafka` (behind the
//! cargo feature of that name) talks to a Kafka cluster. Both have partitions, offsets, consumer groups and keys;
//! both deliver at least once and keep the order of each key, except for records that are sent again. Producers and
//! consumers are used from one thread each and never from an async task: their calls may block up to the given
//! timeout.

use std::sync::Arc;

pub mod config;
pub mod embedded;
#[cfg(feature = "kafka")]
mod kafka;
mod port;
pub mod segment;

pub use embedded::partition_of;
pub use port::{
    Consumer, Delivery, DeliveryError, EventLog, Headers, InRecord, LogError, OutRecord, Polled, Position,
    Producer, SendError, Tail, Topic, TopicPartition, TopicSpec,
};

use config::{EventLogConfig, KafkaConfig};

/// Opens the log with the secrets that its settings refer to. A Kafka cluster need not be reachable yet.
///
/// # Errors
/// When the settings are wrong, a secret is missing, the embedded log's folder cannot be used, or the settings name a
/// Kafka cluster and this build has no Kafka client.
pub fn open(config: &EventLogConfig) -> Result<Arc<dyn EventLog>, LogError> {
    match config {
        EventLogConfig::Kafka(config) => open_kafka(config),
        EventLogConfig::Embedded(config) => Ok(Arc::new(embedded::EmbeddedLog::open(config)?)),
    }
}

#[cfg(feature = "kafka")]
fn open_kafka(config: &KafkaConfig) -> Result<Arc<dyn EventLog>, LogError> {
    Ok(Arc::new(kafka::KafkaLog::new(config)?))
}

#[cfg(not(feature = "kafka"))]
fn open_kafka(_: &KafkaConfig) -> Result<Arc<dyn EventLog>, LogError> {
    let why = "this program was built without the Kafka client (cargo feature `kafka`); \
               use `embedded`, or a program that has it";
    Err(LogError::Config(why.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kafka(properties: serde_json::Value) -> EventLogConfig {
        let kafka = serde_json::json!({ "kafka": { "brokers": ["a:1"], "properties": properties } });
        serde_json::from_value(kafka).unwrap()
    }

    #[cfg(not(feature = "kafka"))]
    #[test]
    fn a_build_without_the_kafka_client_says_so_when_a_cluster_is_opened() {
        let Err(LogError::Config(why)) = open(&kafka(serde_json::json!({}))) else {
            panic!("the log opened")
        };
        assert!(why.contains("built without the Kafka client"), "{why}");
    }

    #[cfg(feature = "kafka")]
    #[test]
    fn a_missing_secret_is_found_with_its_property_before_and_when_the_log_is_opened() {
        let config = kafka(serde_json::json!({
            "sasl.username": "hunter1",
            "sasl.password": "hunter2${secret:env:TOLLGATE_NO_SUCH_VARIABLE}",
        }));
        let checked = config.mistakes().to_string();
        assert!(checked.starts_with("kafka.properties.sasl.password: "), "{checked}");
        let Err(LogError::Config(opened)) = open(&config) else { panic!("the log opened") };
        for text in [checked, opened, format!("{config:?}")] {
            assert!(text.contains("sasl.password") && !text.contains("hunter"), "{text}");
        }
    }

    #[cfg(feature = "kafka")]
    #[test]
    fn secrets_of_properties_are_resolved_when_the_log_is_opened() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let reference = format!("${{secret:file:{}}}", file.path().display());
        // An unknown name is refused by librdkafka when a client is made.
        let config = kafka(serde_json::json!({ "security.protocol": reference }));
        std::fs::write(file.path(), "no-such-protocol\n").unwrap();
        assert!(matches!(open(&config).unwrap().producer(), Err(LogError::Config(_))));
        std::fs::write(file.path(), "plaintext\n").unwrap();
        open(&config).unwrap().producer().unwrap();
    }
}
