//! Reads as a member of a Kafka consumer group, synchronously.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{self, BaseConsumer, CommitMode, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::record::in_record;
use super::settings::{Reporter, Settings, config_error, is_transient};
use super::stash::{Rebalance, Rebalances, Stash};
use crate::port::{Consumer, LogError, Polled, Topic, TopicPartition};

/// Most that one poll returns.
const MAX_RECORDS: usize = 1_000;
const MAX_BYTES: usize = 4 << 20;

pub(super) struct KafkaConsumer {
    client: BaseConsumer<Events>,
    events: Arc<Shared>,
    names: Vec<(Topic, String)>,
    /// Records that came while delivery was paused, or behind a rebalance that was not told yet.
    stash: Stash,
    paused: bool,
}

/// Filled by librdkafka's callbacks, which run inside `poll`.
#[derive(Debug, Default)]
struct Shared {
    rebalances: Mutex<Rebalances>,
    lag: AtomicI64,
    reporter: Reporter,
}

struct Events {
    shared: Arc<Shared>,
    names: Vec<(Topic, String)>,
}

impl Events {
    fn partitions(&self, list: &TopicPartitionList) -> Vec<TopicPartition> {
        let known = |name: &str| self.names.iter().find(|(_, own)| own == name).map(|(topic, _)| *topic);
        let elements = list.elements();
        let all = elements.iter().filter_map(|element| {
            let partition = u16::try_from(element.partition()).ok()?;
            Some(TopicPartition { topic: known(element.topic())?, partition })
        });
        all.collect()
    }
}

impl ClientContext for Events {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        Reporter::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.shared.reporter.error(&error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        let partitions = statistics.topics.values().flat_map(|topic| topic.partitions.values());
        let lag = partitions.map(|partition| partition.consumer_lag.max(0)).sum();
        self.shared.lag.store(lag, Ordering::Relaxed);
    }
}

impl ConsumerContext for Events {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &consumer::Rebalance<'_>) {
        let rebalance = match rebalance {
            consumer::Rebalance::Assign(list) => Rebalance::Assigned(self.partitions(list)),
            consumer::Rebalance::Revoke(list) => Rebalance::Revoked(self.partitions(list)),
            consumer::Rebalance::Error(error) => {
                tracing::warn!(%error, "rebalance failed");
                return;
            }
        };
        self.shared.rebalances.lock().push(rebalance);
    }
}

impl KafkaConsumer {
    pub(super) fn join(settings: &Settings, group: &str, topics: &[Topic]) -> Result<Self, LogError> {
        let names: Vec<(Topic, String)> =
            topics.iter().map(|topic| (*topic, settings.name(*topic).to_owned())).collect();
        let events = Arc::new(Shared { lag: AtomicI64::new(-1), ..Shared::default() });
        let context = Events { shared: Arc::clone(&events), names: names.clone() };
        let client: BaseConsumer<Events> =
            settings.consumer(group).create_with_context(context).map_err(config_error)?;
        let subscription: Vec<&str> = names.iter().map(|(_, name)| name.as_str()).collect();
        client.subscribe(&subscription).map_err(config_error)?;
        Ok(Self { client, events, names, stash: Stash::default(), paused: false })
    }

    fn next_rebalance(&mut self) -> Result<Option<Polled>, LogError> {
        let shared = Arc::clone(&self.events);
        // Before it is taken off the queue: an assignment whose pause failed must be told after all.
        if self.paused && shared.rebalances.lock().next_assigns() {
            self.apply_pause(true)?;
        }
        Ok(self.stash.tell(&mut shared.rebalances.lock()))
    }

    /// Polls until something came, the batch is full, or a rebalance happened; that one is told first.
    fn fetch(&mut self, timeout: Duration) -> Result<(), LogError> {
        let mut bytes = 0;
        let mut wait = timeout;
        while self.stash.len() < MAX_RECORDS && bytes < MAX_BYTES {
            let Some(result) = self.client.poll(wait) else { break };
            wait = Duration::ZERO;
            match result {
                Ok(message) => {
                    self.events.reporter.reached();
                    bytes += message.payload_len();
                    let topic = self.names.iter().find(|(_, name)| name == message.topic());
                    if let Some(record) = topic.and_then(|(topic, _)| in_record(*topic, &message)) {
                        // Rebalances of this poll came before its message.
                        self.stash.push(self.events.rebalances.lock().happened(), record);
                    }
                }
                Err(error) => return self.explain(error),
            }
            if !self.events.rebalances.lock().are_all_told() {
                break;
            }
        }
        Ok(())
    }

    /// librdkafka retries transient errors itself.
    fn explain(&self, error: KafkaError) -> Result<(), LogError> {
        self.events.reporter.error(&error, "while consuming");
        if is_transient(&error) { Ok(()) } else { Err(LogError::Other(error.to_string())) }
    }

    fn apply_pause(&self, paused: bool) -> Result<(), LogError> {
        let assignment = self.client.assignment().map_err(other)?;
        let result = if paused { self.client.pause(&assignment) } else { self.client.resume(&assignment) };
        result.map_err(other)
    }
}

impl Consumer for KafkaConsumer {
    fn poll(&mut self, timeout: Duration) -> Result<Polled, LogError> {
        if let Some(rebalance) = self.next_rebalance()? {
            return Ok(rebalance);
        }
        let ready = !self.stash.is_empty() && !self.paused;
        self.fetch(if ready { Duration::ZERO } else { timeout })?;
        if let Some(rebalance) = self.next_rebalance()? {
            return Ok(rebalance);
        }
        if self.paused || self.stash.is_empty() {
            return Ok(Polled::Idle);
        }
        Ok(Polled::Records(self.stash.take()))
    }

    fn commit(&mut self, partition: TopicPartition, next_offset: u64) -> Result<(), LogError> {
        let name = self.names.iter().find(|(topic, _)| *topic == partition.topic).map(|(_, name)| name);
        let Some(name) = name else {
            return Err(LogError::Other(format!("{} is not read here", partition.topic.name())));
        };
        let offset = Offset::Offset(i64::try_from(next_offset).unwrap_or(i64::MAX));
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(name, i32::from(partition.partition), offset).map_err(other)?;
        self.client.commit(&list, CommitMode::Sync).map_err(other)
    }

    fn pause(&mut self, paused: bool) -> Result<(), LogError> {
        if self.paused != paused {
            self.apply_pause(paused)?;
            self.paused = paused;
        }
        Ok(())
    }

    fn lag(&self) -> Option<u64> {
        u64::try_from(self.events.lag.load(Ordering::Relaxed)).ok()
    }
}

fn other(error: KafkaError) -> LogError {
    LogError::Other(error.to_string())
}
