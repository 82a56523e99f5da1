//! The event log on a Kafka cluster, through librdkafka.
//!
//! Invariants:
//!
//! * the producer is idempotent and waits for all in-sync replicas; a record is reported exactly once, by
//!   librdkafka's delivery callback, with the caller's token in its opaque (no future per record);
//! * librdkafka's queue is a bounded window, never the buffer: what is not delivered stays with the caller;
//! * offsets are committed only when told to, synchronously;
//! * values of settings are never logged: only their names are.
//!
//! Modules in reading order: `settings`, `record`, `reports`, `producer`, `stash`, `consumer`, `tail`, `admin`.

mod admin;
mod consumer;
mod producer;
mod record;
mod reports;
mod settings;
mod stash;
mod tail;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use self::consumer::KafkaConsumer;
use self::producer::KafkaProducer;
use self::settings::Settings;
use self::tail::KafkaTail;
use crate::config::KafkaConfig;
use crate::port::{Consumer, EventLog, LogError, Producer, Tail, Topic, TopicSpec};

pub(crate) struct KafkaLog {
    settings: Arc<Settings>,
}

impl KafkaLog {
    /// Checks the settings and resolves their secrets. Nothing is connected yet.
    pub(crate) fn new(config: &KafkaConfig) -> Result<Self, LogError> {
        Ok(Self { settings: Arc::new(Settings::new(config)?) })
    }
}

impl EventLog for KafkaLog {
    fn ensure_topics(&self, topics: &[TopicSpec]) -> Result<(), LogError> {
        admin::ensure_topics(&self.settings, topics)
    }

    fn producer(&self) -> Result<Box<dyn Producer>, LogError> {
        Ok(Box::new(KafkaProducer::new(Arc::clone(&self.settings))?))
    }

    fn consumer(&self, group: &str, topics: &[Topic]) -> Result<Box<dyn Consumer>, LogError> {
        Ok(Box::new(KafkaConsumer::join(&self.settings, group, topics)?))
    }

    fn tail(&self, topic: Topic) -> Result<Box<dyn Tail>, LogError> {
        Ok(Box::new(KafkaTail::new(&self.settings, topic)?))
    }
}

impl fmt::Debug for KafkaLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KafkaLog").field(&self.settings).finish()
    }
}
