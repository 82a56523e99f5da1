//! Reads the usage topic from outside, with a consumer of its own that belongs to no group.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tollgate_schemas::ids::EventId;
use tollgate_schemas::topics::Topic;
use tollgate_schemas::usage::{BOOT_CLOSED_TYPE, BootClosed, EVENT_TYPE, UsageEvent};

/// How long the broker may take to answer.
const ANSWER: Duration = Duration::from_secs(15);

/// The usage topic of one test.
#[derive(Debug, Clone)]
pub struct UsageTopic {
    brokers: String,
    name: String,
}

/// What was in the topic, in the order of each partition.
#[derive(Debug, Clone, Default)]
pub struct Records {
    /// Usage events, repetitions included.
    pub events: Vec<UsageEvent>,
    /// Ends of boots.
    pub closed: Vec<BootClosed>,
}

impl Records {
    /// The versions of each event.
    #[must_use]
    pub fn by_id(&self) -> BTreeMap<EventId, Vec<&UsageEvent>> {
        let mut by_id: BTreeMap<EventId, Vec<&UsageEvent>> = BTreeMap::new();
        for event in &self.events {
            by_id.entry(event.event_id).or_default().push(event);
        }
        by_id
    }

    /// What a report shows: the highest version of each event, repetitions once.
    #[must_use]
    pub fn rows(&self) -> Vec<&UsageEvent> {
        let by_id = self.by_id();
        by_id
            .values()
            .filter_map(|versions| versions.iter().copied().max_by_key(|event| event.version))
            .collect()
    }
}

impl UsageTopic {
    /// The topic with that prefix at that broker.
    #[must_use]
    pub fn new(brokers: &str, prefix: &str) -> Self {
        Self { brokers: brokers.to_owned(), name: format!("{prefix}{}", Topic::Usage.name()) }
    }

    /// Reads everything there is.
    ///
    /// # Errors
    /// When the broker does not answer, or a record is not what it says.
    pub async fn read(&self) -> Result<Records> {
        let this = self.clone();
        tokio::task::spawn_blocking(move || this.read_blocking()).await?
    }

    /// Reads again and again until `enough` says so.
    ///
    /// # Errors
    /// When it does not within `limit`; the error says how many events there were.
    pub async fn read_until(&self, limit: Duration, enough: impl Fn(&Records) -> bool) -> Result<Records> {
        let end = Instant::now() + limit;
        loop {
            // A topic that is being created, or a broker that is being started, is no failure yet.
            let read = self.read().await;
            if read.as_ref().is_ok_and(&enough) {
                return read;
            }
            if Instant::now() >= end {
                let events = read?.events.len();
                bail!("after {limit:?} the topic has {events} events, and they are not enough");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits for `count` events with different ids.
    ///
    /// # Errors
    /// When there are fewer after `limit`.
    pub async fn wait_for(&self, count: usize, limit: Duration) -> Result<Records> {
        self.read_until(limit, |records| records.by_id().len() >= count).await
    }

    /// The different event ids in the topic, read from the headers alone: fast.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn count_ids(&self) -> Result<usize> {
        let this = self.clone();
        let count = move || {
            let mut ids = HashSet::new();
            this.each(|message| {
                if header(message, "ce_type").as_deref() == Some(EVENT_TYPE) {
                    ids.insert(header(message, "ce_id"));
                }
                Ok(())
            })?;
            Ok(ids.len())
        };
        tokio::task::spawn_blocking(count).await?
    }

    fn read_blocking(&self) -> Result<Records> {
        let mut records = Records::default();
        self.each(|message| {
            let payload = message.payload().unwrap_or_default();
            match header(message, "ce_type").as_deref() {
                Some(EVENT_TYPE) => records.events.push(parse(payload)?),
                Some(BOOT_CLOSED_TYPE) => records.closed.push(parse(payload)?),
                other => bail!("a record of type {other:?} is in the usage topic"),
            }
            Ok(())
        })?;
        Ok(records)
    }

    /// Shows every record that is in the topic now.
    fn each(&self, mut show: impl FnMut(&BorrowedMessage<'_>) -> Result<()>) -> Result<()> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .set("group.id", "tests-without-group")
            .set("enable.auto.commit", "false")
            .set("log_level", "0")
            .create()?;
        let mut open = self.assign_all(&consumer)?;
        let mut silent_since = Instant::now();
        while !open.is_empty() {
            let Some(polled) = consumer.poll(Duration::from_millis(200)) else {
                anyhow::ensure!(
                    silent_since.elapsed() < ANSWER,
                    "{} went silent with {open:?} to read",
                    self.name
                );
                continue;
            };
            let message = polled.with_context(|| format!("cannot read {}", self.name))?;
            silent_since = Instant::now();
            show(&message)?;
            if open.get(&message.partition()).is_some_and(|end| message.offset() + 1 >= *end) {
                open.remove(&message.partition());
            }
        }
        Ok(())
    }

    /// Starts reading at the beginning; says which partitions have something, and where they end.
    fn assign_all(&self, consumer: &BaseConsumer) -> Result<BTreeMap<i32, i64>> {
        let metadata = consumer.fetch_metadata(Some(&self.name), ANSWER)?;
        let partitions =
            metadata.topics().iter().flat_map(|topic| topic.partitions()).map(|partition| partition.id());
        let mut open = BTreeMap::new();
        let mut assignment = TopicPartitionList::new();
        for partition in partitions {
            let (low, high) = consumer.fetch_watermarks(&self.name, partition, ANSWER)?;
            if high > low {
                open.insert(partition, high);
                assignment.add_partition_offset(&self.name, partition, Offset::Beginning)?;
            }
        }
        consumer.assign(&assignment)?;
        Ok(open)
    }
}

fn header(message: &BorrowedMessage<'_>, name: &str) -> Option<String> {
    let headers = message.headers()?;
    let found = headers.iter().find(|header| header.key == name)?;
    found.value.map(|value| String::from_utf8_lossy(value).into_owned())
}

pub(super) fn parse<T: serde::de::DeserializeOwned>(payload: &[u8]) -> Result<T> {
    serde_json::from_slice(payload)
        .with_context(|| format!("not an event: {}", String::from_utf8_lossy(payload)))
}
