//! librdkafka settings: Tollgate's own, then the operator's over them. Topic names with their prefix.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaConfRes;
use secrecy::{ExposeSecret, SecretString};
use tollgate_settings::SecretTemplate;

use crate::config::KafkaConfig;
use crate::port::{LogError, Topic};

/// Settings of every client.
const COMMON: &[(&str, &str)] = &[
    ("client.id", "tollgate"),
    ("socket.keepalive.enable", "true"),
    ("reconnect.backoff.max.ms", "2000"),
    ("topic.metadata.refresh.interval.ms", "60000"),
    ("allow.auto.create.topics", "false"),
];

/// Producers: no loss, order per key, a bounded window.
const PRODUCER: &[(&str, &str)] = &[
    ("enable.idempotence", "true"),
    ("acks", "all"),
    ("compression.type", "zstd"),
    // Small events of one shape: the higher levels cost CPU and gain little.
    ("compression.level", "1"),
    ("partitioner", "murmur2_random"),
    ("linger.ms", "100"),
    ("batch.size", "1000000"),
    // At least the largest record of any topic and its framing. MAX_BATCH_BYTES has the same value.
    ("message.max.bytes", "1200000"),
    ("message.timeout.ms", "300000"),
    ("queue.buffering.max.messages", "20000"),
    ("queue.buffering.max.kbytes", "65536"),
];

/// Consumers: nothing is committed unless the caller commits; memory is bounded.
const CONSUMER: &[(&str, &str)] = &[
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "earliest"),
    ("partition.assignment.strategy", "cooperative-sticky"),
    ("isolation.level", "read_committed"),
    ("max.poll.interval.ms", "300000"),
    ("queued.max.messages.kbytes", "16384"),
    ("statistics.interval.ms", "5000"),
];

/// Tollgate's own `message.max.bytes`.
const MAX_BATCH_BYTES: u32 = 1_200_000;

pub(super) struct Settings {
    pub(super) brokers: String,
    topic_prefix: String,
    pub(super) replication_factor: Option<u16>,
    properties: BTreeMap<String, SecretString>,
    names: [(Topic, String); Topic::ALL.len()],
}

impl Settings {
    pub(super) fn new(config: &KafkaConfig) -> Result<Self, LogError> {
        if config.brokers.is_empty() {
            return Err(LogError::Config("kafka.brokers is empty; name at least one host:port".to_owned()));
        }
        Ok(Self {
            brokers: config.brokers.join(","),
            topic_prefix: config.topic_prefix.clone(),
            replication_factor: config.replication_factor,
            properties: resolve(&config.properties)?,
            names: Topic::ALL.map(|topic| (topic, format!("{}{}", config.topic_prefix, topic.name()))),
        })
    }

    pub(super) fn producer(&self) -> ClientConfig {
        self.client(PRODUCER, is_consumer_only)
    }

    /// A producer that never sends two records in one batch.
    pub(super) fn single_record_producer(&self) -> ClientConfig {
        let mut config = self.producer();
        config.set("batch.num.messages", "1");
        config.set("linger.ms", "0");
        // Another name of `linger.ms`, which the operator may have used.
        config.remove("queue.buffering.max.ms");
        config
    }

    /// Largest batch that a producer may send, bytes: what topics must accept, whose limit is per batch.
    pub(super) fn max_batch_bytes(&self) -> u32 {
        let set = self.producer().get("message.max.bytes").and_then(|bytes| bytes.parse().ok());
        set.unwrap_or(MAX_BATCH_BYTES)
    }

    pub(super) fn consumer(&self, group: &str) -> ClientConfig {
        let mut config = self.client(CONSUMER, is_producer_only);
        config.set("group.id", group);
        config
    }

    /// A consumer that names its partitions itself. librdkafka wants a group for that too, but never joins it
    /// and keeps nothing there.
    pub(super) fn tail(&self) -> ClientConfig {
        let mut config = self.consumer("tollgate-tail");
        config.remove("group.instance.id");
        config.set("statistics.interval.ms", "0");
        // Little comes, and what comes should be known soon.
        config.set("fetch.wait.max.ms", "500");
        config
    }

    pub(super) fn admin(&self) -> ClientConfig {
        self.client(&[], |name| is_consumer_only(name) || is_producer_only(name))
    }

    fn client(&self, own: &[(&str, &str)], foreign: fn(&str) -> bool) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set_log_level(RDKafkaLogLevel::Info);
        config.set("bootstrap.servers", &self.brokers);
        for (name, value) in COMMON.iter().chain(own) {
            config.set(*name, *value);
        }
        for (name, value) in self.properties.iter().filter(|(name, _)| !foreign(name)) {
            config.set(name, value.expose_secret());
        }
        config
    }

    /// The topic's name in the cluster.
    pub(super) fn name(&self, topic: Topic) -> &str {
        self.names.iter().find(|(known, _)| *known == topic).map_or(topic.name(), |(_, name)| name)
    }

    /// The topic of that name in the cluster.
    pub(super) fn topic(&self, name: &str) -> Option<Topic> {
        self.names.iter().find(|(_, known)| known == name).map(|(topic, _)| *topic)
    }
}

/// Errors name the property, never its value.
fn resolve(
    properties: &BTreeMap<String, SecretTemplate>,
) -> Result<BTreeMap<String, SecretString>, LogError> {
    let resolved = properties.iter().map(|(name, value)| match value.resolve() {
        Ok(value) => Ok((name.clone(), value)),
        Err(error) => Err(LogError::Config(format!("kafka.properties.{name}: {error}"))),
    });
    resolved.collect()
}

/// Settings that librdkafka refuses or warns about in a producer.
fn is_consumer_only(name: &str) -> bool {
    CONSUMER.iter().any(|(own, _)| *own == name && name != "statistics.interval.ms")
        || ["session.timeout.ms", "heartbeat.interval.ms", "group.protocol", "group.instance.id"]
            .contains(&name)
        || name.starts_with("fetch.")
}

/// Settings that librdkafka refuses or warns about in a consumer.
fn is_producer_only(name: &str) -> bool {
    PRODUCER.iter().any(|(own, _)| *own == name && name != "message.max.bytes")
        || ["retries", "message.send.max.retries", "request.timeout.ms", "delivery.timeout.ms"]
            .contains(&name)
        || name.starts_with("queue.buffering.")
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("brokers", &self.brokers)
            .field("topic_prefix", &self.topic_prefix)
            .field("replication_factor", &self.replication_factor)
            .field("properties", &self.properties.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// Passes librdkafka's messages on to the log: once when the cluster goes away, once when it is back.
#[derive(Debug, Default)]
pub(super) struct Reporter {
    away: AtomicBool,
}

impl Reporter {
    pub(super) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
        if (level as i32) <= RDKafkaLogLevel::Critical as i32 {
            tracing::error!(target: "librdkafka", facility, message);
        } else {
            tracing::debug!(target: "librdkafka", facility, message);
        }
    }

    /// librdkafka repeats connection errors for as long as they last.
    pub(super) fn error(&self, error: &KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AllBrokersDown) => {
                if !self.away.swap(true, Ordering::Relaxed) {
                    tracing::warn!(reason, "no Kafka broker can be reached");
                }
            }
            Some(RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::Resolve) => {
                tracing::debug!(reason, "connection to a Kafka broker failed");
            }
            _ => tracing::warn!(%error, reason, "Kafka client error"),
        }
    }

    pub(super) fn reached(&self) {
        if self.away.load(Ordering::Relaxed) && self.away.swap(false, Ordering::Relaxed) {
            tracing::info!("Kafka can be reached again");
        }
    }
}

/// Whether librdkafka will try again by itself.
pub(super) fn is_transient(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::RequestTimedOut
                | RDKafkaErrorCode::UnknownTopicOrPartition
        )
    )
}

/// Context of clients that need nothing but logging.
#[derive(Debug, Default)]
pub(super) struct QuietContext(Reporter);

impl ClientContext for QuietContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        Reporter::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(&error, reason);
    }
}

/// librdkafka repeats the value that it refuses; it may be a secret, so only its property is named.
pub(super) fn config_error(error: KafkaError) -> LogError {
    LogError::Config(match error {
        KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, _, name, _) => {
            format!("kafka.properties.{name}: librdkafka has no such setting")
        }
        KafkaError::ClientConfig(_, _, name, _) => {
            format!("kafka.properties.{name}: librdkafka does not accept this value")
        }
        other => other.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(properties: &[(&str, &str)]) -> Settings {
        Settings::new(&KafkaConfig {
            brokers: vec!["a:1".to_owned(), "b:2".to_owned()],
            topic_prefix: "team.".to_owned(),
            replication_factor: None,
            properties: properties.iter().map(|(k, v)| ((*k).to_owned(), v.parse().unwrap())).collect(),
        })
        .unwrap()
    }

    #[test]
    fn the_operator_has_the_last_word() {
        let settings = settings(&[("linger.ms", "5"), ("security.protocol", "ssl")]);
        let producer = settings.producer();
        assert_eq!(producer.get("linger.ms"), Some("5"));
        assert_eq!(producer.get("acks"), Some("all"));
        assert_eq!(producer.get("bootstrap.servers"), Some("a:1,b:2"));
        assert_eq!(settings.consumer("g").get("linger.ms"), None);
        assert_eq!(settings.consumer("g").get("security.protocol"), Some("ssl"));
    }

    #[test]
    fn all_own_settings_are_known_to_librdkafka() {
        let settings = settings(&[]);
        settings.producer().create_native_config().unwrap();
        settings.consumer("g").create_native_config().unwrap();
        settings.admin().create_native_config().unwrap();
        settings.single_record_producer().create_native_config().unwrap();
        settings.tail().create_native_config().unwrap();
    }

    #[test]
    fn values_of_properties_are_not_printed() {
        let settings = settings(&[("sasl.password", "hunter2")]);
        let text = format!("{settings:?}");
        assert!(text.contains("sasl.password") && !text.contains("hunter2"), "{text}");
    }

    #[test]
    fn a_refused_value_is_not_repeated_but_its_property_is_named() {
        for (name, why) in [("security.protocol", "value"), ("no.such.setting", "no such setting")] {
            let error =
                settings(&[(name, "hunter2")]).producer().create_native_config().map(drop).unwrap_err();
            let text = config_error(error).to_string();
            assert!(text.contains(name) && text.contains(why) && !text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn topic_names_carry_the_prefix() {
        assert_eq!(settings(&[]).name(Topic::Usage), "team.llm.usage.v1");
    }
}
