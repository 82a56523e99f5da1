//! The event log of one process: topics × partitions as segment files under one folder.
//!
//! ```text
//! lock                         held by the one process that uses the folder
//! offsets/NNN.seg              committed offsets of all groups
//! TOPIC/partitions             how many partitions the topic has
//! TOPIC/PARTITION/NNN.seg      records; NNN is at most the first record's offset
//! ```
//!
//! Invariants: a delivery is reported, and a record shown to consumers, only after its file was synced; both
//! survive `kill -9` and a power cut. Syncs are grouped: one thread syncs what became dirty within a few
//! milliseconds. No thread polls: all that wait share one condition variable.
//!
//! Modules in reading order: `core` (what all handles share), `partition`, `reader`, `codec`, `murmur`,
//! `group`, `offsets`, `producer`, `consumer`, `tail`.

mod codec;
mod consumer;
mod core;
mod group;
mod murmur;
mod offsets;
mod partition;
mod producer;
mod reader;
#[cfg(test)]
mod schedules;
mod tail;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

pub use self::murmur::partition_of;

use self::consumer::EmbeddedConsumer;
use self::core::Core;
use self::producer::EmbeddedProducer;
use self::tail::EmbeddedTail;
use crate::config::EmbeddedConfig;
use crate::port::{Consumer, EventLog, LogError, Producer, Tail, Topic, TopicSpec};
use crate::segment::files::{Files, OsFiles};

/// How often retention and compaction look at the topics.
const CLEAN_EVERY: Duration = Duration::from_secs(60);

/// The embedded log. Dropping it syncs what is left; producers and consumers keep the folder locked.
#[derive(Debug)]
pub struct EmbeddedLog {
    core: Arc<Core>,
    syncer: Option<JoinHandle<()>>,
}

impl EmbeddedLog {
    /// Opens the log's folder, or creates it.
    ///
    /// # Errors
    /// When another process uses the folder or its files cannot be read or written.
    pub fn open(config: &EmbeddedConfig) -> Result<Self, LogError> {
        Self::open_with(Arc::new(OsFiles), config)
    }

    /// As [`EmbeddedLog::open`], on another file system.
    ///
    /// # Errors
    /// As [`EmbeddedLog::open`].
    pub fn open_with(files: Arc<dyn Files>, config: &EmbeddedConfig) -> Result<Self, LogError> {
        let core = Arc::new(Core::open(files, config)?);
        let shared = Arc::clone(&core);
        let syncer = std::thread::Builder::new()
            .name("eventlog-sync".to_owned())
            .spawn(move || shared.run(CLEAN_EVERY))?;
        Ok(Self { core, syncer: Some(syncer) })
    }
}

impl EventLog for EmbeddedLog {
    fn ensure_topics(&self, topics: &[TopicSpec]) -> Result<(), LogError> {
        for spec in topics {
            self.core.topic_with(*spec)?;
        }
        Ok(())
    }

    fn producer(&self) -> Result<Box<dyn Producer>, LogError> {
        Ok(Box::new(EmbeddedProducer::new(Arc::clone(&self.core))))
    }

    fn consumer(&self, group: &str, topics: &[Topic]) -> Result<Box<dyn Consumer>, LogError> {
        Ok(Box::new(EmbeddedConsumer::join(Arc::clone(&self.core), group, topics)?))
    }

    fn tail(&self, topic: Topic) -> Result<Box<dyn Tail>, LogError> {
        Ok(Box::new(EmbeddedTail::new(Arc::clone(&self.core), topic)?))
    }
}

impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        self.core.stop();
        if let Some(syncer) = self.syncer.take() {
            // A panicked syncer has nothing more to say.
            let _ = syncer.join();
        }
    }
}
