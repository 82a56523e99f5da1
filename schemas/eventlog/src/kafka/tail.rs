//! Reads all of a topic, in no group. The cluster is asked for the topic's partitions until it answers.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::record::in_record;
use super::settings::{QuietContext, Settings, config_error, is_transient};
use crate::port::{InRecord, LogError, Tail, Topic};

/// Most that one poll returns.
const MAX_RECORDS: usize = 1_000;
/// How often the client is asked while nothing comes.
const ASK_EVERY: Duration = Duration::from_millis(20);

impl ConsumerContext for QuietContext {}

pub(super) struct KafkaTail {
    client: BaseConsumer<QuietContext>,
    topic: Topic,
    name: String,
    assigned: bool,
    /// An error that came behind records that were handed over.
    deferred_error: Option<LogError>,
}

impl KafkaTail {
    pub(super) fn new(settings: &Settings, topic: Topic) -> Result<Self, LogError> {
        let client = settings.tail().create_with_context(QuietContext::default()).map_err(config_error)?;
        Ok(Self {
            client,
            topic,
            name: settings.name(topic).to_owned(),
            assigned: false,
            deferred_error: None,
        })
    }

    /// Starts to read every partition; false while the cluster does not say which there are.
    fn assign(&mut self, timeout: Duration) -> Result<bool, LogError> {
        // The client logs a failure itself, once.
        let Ok(metadata) = self.client.fetch_metadata(Some(&self.name), timeout) else { return Ok(false) };
        let topic =
            metadata.topics().iter().find(|topic| topic.name() == self.name && topic.error().is_none());
        let Some(topic) = topic.filter(|topic| !topic.partitions().is_empty()) else { return Ok(false) };
        let mut all = TopicPartitionList::new();
        for partition in topic.partitions() {
            all.add_partition_offset(&self.name, partition.id(), Offset::Beginning).map_err(other)?;
        }
        self.client.assign(&all).map_err(other)?;
        self.assigned = true;
        Ok(true)
    }

    /// Reads until the deadline while nothing came, and after that what is there.
    fn read(&mut self, deadline: Instant, records: &mut Vec<InRecord>) -> Result<(), LogError> {
        let before = records.len();
        while records.len() - before < MAX_RECORDS {
            // The client is not asked to wait: each of its waits ends with a millisecond of spinning.
            match self.client.poll(Duration::ZERO) {
                Some(Ok(message)) => records.extend(in_record(self.topic, &message)),
                Some(Err(error)) if is_transient(&error) => break,
                Some(Err(error)) if records.len() == before => return Err(other(error)),
                Some(Err(error)) => {
                    // The caller may throw away what comes with an error, and the client has moved past it.
                    self.deferred_error = Some(other(error));
                    break;
                }
                None => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() || records.len() > before {
                        break;
                    }
                    std::thread::sleep(left.min(ASK_EVERY));
                }
            }
        }
        Ok(())
    }
}

impl Tail for KafkaTail {
    fn poll(&mut self, timeout: Duration, records: &mut Vec<InRecord>) -> Result<(), LogError> {
        if let Some(error) = self.deferred_error.take() {
            return Err(error);
        }
        let deadline = Instant::now() + timeout;
        if self.assigned || self.assign(timeout)? {
            return self.read(deadline, records);
        }
        // The cluster answers at once that it does not know the topic, so the next question needs a pause.
        let rest = deadline.saturating_duration_since(Instant::now());
        match self.client.poll(rest) {
            Some(Err(error)) if !is_transient(&error) => Err(other(error)),
            _ => Ok(()),
        }
    }
}

fn other(error: rdkafka::error::KafkaError) -> LogError {
    LogError::Other(error.to_string())
}
