//! Counts the usage events that arrive in Kafka, as they arrive.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tollgate_schemas::topics::Topic;
use tollgate_schemas::usage::EVENT_TYPE;
use uuid::Uuid;

/// How long nothing may arrive before what is missing counts as lost.
const PATIENCE: Duration = Duration::from_secs(15);

/// Reads the usage topic from its beginning.
pub(crate) struct Ledger {
    consumer: BaseConsumer,
    topic: String,
    assigned: bool,
    ids: HashSet<Uuid>,
    repeated: u64,
}

impl Ledger {
    /// A reader of the topic with that prefix.
    pub(crate) fn new(broker: &str, prefix: &str) -> Result<Self> {
        let consumer = ClientConfig::new()
            .set("bootstrap.servers", broker)
            .set("group.id", "bench-without-group")
            .set("enable.auto.commit", "false")
            .set("log_level", "0")
            .create()?;
        let topic = format!("{prefix}{}", Topic::Usage.name());
        Ok(Self { consumer, topic, assigned: false, ids: HashSet::new(), repeated: 0 })
    }

    /// Reads until `expected` different events are there, or nothing has come for a while. Says how many are.
    pub(crate) fn count_until(&mut self, expected: usize) -> Result<usize> {
        self.assign()?;
        let mut last = Instant::now();
        while self.ids.len() < expected && last.elapsed() < PATIENCE {
            let Some(polled) = self.consumer.poll(Duration::from_millis(100)) else { continue };
            let message = polled.context("cannot read the usage topic")?;
            let header = |name: &str| {
                let headers = message.headers()?;
                headers.iter().find(|header| header.key == name)?.value
            };
            if header("ce_type") != Some(EVENT_TYPE.as_bytes()) {
                continue;
            }
            let id = header("ce_id")
                .and_then(|id| Uuid::try_parse_ascii(id).ok())
                .context("an event without id")?;
            if self.ids.insert(id) {
                last = Instant::now();
            } else {
                self.repeated += 1;
            }
        }
        Ok(self.ids.len())
    }

    /// Records that came more than once. Harmless: reports count an event once.
    pub(crate) fn repeated(&self) -> u64 {
        self.repeated
    }

    fn assign(&mut self) -> Result<()> {
        if self.assigned {
            return Ok(());
        }
        let metadata = self.consumer.fetch_metadata(Some(&self.topic), PATIENCE)?;
        let mut assignment = TopicPartitionList::new();
        for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
            assignment.add_partition_offset(&self.topic, partition.id(), Offset::Beginning)?;
        }
        anyhow::ensure!(assignment.count() > 0, "the topic {} does not exist", self.topic);
        self.consumer.assign(&assignment)?;
        self.assigned = true;
        Ok(())
    }
}
