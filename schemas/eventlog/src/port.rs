//! The port that every implementation of the log fills: its traits, records and errors.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
pub use tollgate_schemas::envelope::Headers;
pub use tollgate_schemas::topics::{Topic, TopicSpec};

/// A connection to the log, shared by everything in a process.
pub trait EventLog: Send + Sync + fmt::Debug {
    /// Creates the topics that do not exist yet.
    ///
    /// # Errors
    /// When the log cannot be reached or refuses; the caller may go on and try again later.
    fn ensure_topics(&self, topics: &[TopicSpec]) -> Result<(), LogError>;

    /// A producer. Cheap enough to make again after [`DeliveryError::Fatal`].
    ///
    /// # Errors
    /// When the configuration is refused; an unreachable broker is not an error here.
    fn producer(&self) -> Result<Box<dyn Producer>, LogError>;

    /// A member of consumer group `group`, reading `topics` from the earliest record that the group has
    /// not committed.
    ///
    /// # Errors
    /// When the configuration is refused; an unreachable broker is not an error here.
    fn consumer(&self, group: &str, topics: &[Topic]) -> Result<Box<dyn Consumer>, LogError>;

    /// Reads all of a topic, from its oldest record on, by itself and in no group: for compacted topics that
    /// every process wants to know whole.
    ///
    /// # Errors
    /// When the configuration is refused; an unreachable broker is not an error here.
    fn tail(&self, topic: Topic) -> Result<Box<dyn Tail>, LogError>;
}

/// A record on its way into the log.
#[derive(Debug, Clone)]
pub struct OutRecord {
    /// The topic to append to.
    pub topic: Topic,
    /// Decides the partition; records of one key keep their order.
    pub key: Bytes,
    /// CloudEvents attributes, see [`tollgate_schemas::envelope`].
    pub headers: Headers,
    /// The data; `None` deletes the key from a compacted topic.
    pub payload: Option<Bytes>,
    /// Event time, ms since the Unix epoch. Logs go by it or by their own time in retention.
    pub timestamp_ms: i64,
}

impl OutRecord {
    /// Bytes that count towards the topic's largest record: key, headers and data.
    #[must_use]
    pub fn size(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.key.len() + headers + self.payload.as_ref().map_or(0, Bytes::len)
    }
}

/// Appends records and reports what became of each.
pub trait Producer: Send {
    /// Takes a record over without waiting for the log. `token` comes back in the [`Delivery`].
    ///
    /// # Errors
    /// [`SendError::Full`] gives the record back: poll, then try again.
    fn send(&mut self, record: OutRecord, token: u64) -> Result<(), SendError>;

    /// Waits up to `timeout` for deliveries and appends them to `done`, in order of completion.
    fn poll(&mut self, timeout: Duration, done: &mut Vec<Delivery>);

    /// Records taken over and not yet reported.
    fn in_flight(&self) -> usize;
}

/// What became of one record.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The token that [`Producer::send`] was given.
    pub token: u64,
    /// Where the record stands, or why it may not be in the log.
    pub result: Result<Position, DeliveryError>,
}

/// A place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// The topic.
    pub topic: Topic,
    /// The partition.
    pub partition: u16,
    /// The record's offset.
    pub offset: u64,
}

/// A topic's partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic.
    pub topic: Topic,
    /// The partition.
    pub partition: u16,
}

/// A record read from the log.
#[derive(Debug, Clone)]
pub struct InRecord {
    /// Where it stands.
    pub at: Position,
    /// Its key.
    pub key: Bytes,
    /// CloudEvents attributes.
    pub headers: Headers,
    /// The data; `None` if the key was deleted from its compacted topic.
    pub payload: Option<Bytes>,
    /// The producer's event time, or the time of the append where the topic keeps that; ms since the Unix epoch, 0 if
    /// unknown.
    pub timestamp_ms: i64,
}

/// What a poll brought.
#[derive(Debug)]
pub enum Polled {
    /// Nothing within the timeout.
    Idle,
    /// Records, in order within each partition.
    Records(Vec<InRecord>),
    /// This member now reads these partitions as well.
    Assigned(Vec<TopicPartition>),
    /// This member no longer reads these partitions: records of them that are still in memory must be
    /// dropped, because their next reader starts at the committed offset.
    Revoked(Vec<TopicPartition>),
}

/// Reads records as a member of a group.
pub trait Consumer: Send {
    /// Waits up to `timeout` for something to happen. Must be called at least every few minutes, or the
    /// group takes the member for dead.
    ///
    /// # Errors
    /// Transient errors are retried inside; what is returned is worth a log line and a pause. No record and no rebalance
    /// is lost by it: the next call goes on where the one before ended.
    fn poll(&mut self, timeout: Duration) -> Result<Polled, LogError>;

    /// Marks everything below `next_offset` of the partition as done, durably.
    ///
    /// # Errors
    /// When the mark could not be kept: the records will be read again.
    fn commit(&mut self, partition: TopicPartition, next_offset: u64) -> Result<(), LogError>;

    /// Stops (`true`) or resumes (`false`) delivery from all partitions, for back-pressure; the member
    /// stays in its group as long as it is polled.
    ///
    /// # Errors
    /// When the log refuses.
    fn pause(&mut self, paused: bool) -> Result<(), LogError>;

    /// Records of all assigned partitions that were not read yet; `None` if unknown.
    fn lag(&self) -> Option<u64>;
}

/// Reads all partitions of one topic. Nothing is committed: a new tail starts at the oldest record again.
pub trait Tail: Send {
    /// Waits up to `timeout` for records and appends them to `records`, in order within each partition.
    ///
    /// # Errors
    /// Transient errors are retried inside; what is returned is worth a log line and a pause. Nothing was appended then,
    /// and the next call goes on where the one before ended.
    fn poll(&mut self, timeout: Duration, records: &mut Vec<InRecord>) -> Result<(), LogError>;
}

/// Why a record was not taken over.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The bounded queue is full.
    #[error("the producer's queue is full")]
    Full(OutRecord),
    /// The record can never be delivered (too large, unknown topic).
    #[error("the record cannot be sent: {0}")]
    Refused(String),
}

/// Why a record may not be in the log.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DeliveryError {
    /// It may or may not be in the log: send it again, duplicates are harmless.
    #[error("delivery failed: {0}")]
    Retry(String),
    /// The log will never take this record.
    #[error("the log refused the record: {0}")]
    Refused(String),
    /// The producer is broken: make a new one and send again everything that was not reported.
    #[error("the producer must be replaced: {0}")]
    Fatal(String),
}

/// Why an operation on the log failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// The settings are wrong.
    #[error("event log configuration: {0}")]
    Config(String),
    /// The log cannot be reached.
    #[error("the event log cannot be reached: {0}")]
    Unreachable(String),
    /// Files of the embedded log cannot be read or written.
    #[error("event log files: {0}")]
    Io(Arc<std::io::Error>),
    /// Anything else the log said.
    #[error("event log: {0}")]
    Other(String),
}

impl From<std::io::Error> for LogError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}
