//! Reads all of a topic, in no group.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::Core;
use super::reader::{Budget, PartitionReader};
use crate::{InRecord, LogError, Tail, Topic};

/// Most that one poll returns.
const POLL: Budget = Budget { records: 1_000, bytes: 4 << 20 };

#[derive(Debug)]
pub(super) struct EmbeddedTail {
    core: Arc<Core>,
    readers: Vec<PartitionReader>,
}

impl EmbeddedTail {
    pub(super) fn new(core: Arc<Core>, topic: Topic) -> Result<Self, LogError> {
        let partitions = core.topic(topic)?;
        let readers = partitions.iter().map(|partition| PartitionReader::new(Arc::clone(partition), 0));
        Ok(Self { readers: readers.collect(), core })
    }
}

impl Tail for EmbeddedTail {
    fn poll(&mut self, timeout: Duration, records: &mut Vec<InRecord>) -> Result<(), LogError> {
        let (deadline, before) = (Instant::now() + timeout, records.len());
        loop {
            let seen = self.core.rung();
            let mut budget = POLL;
            for reader in &mut self.readers {
                reader.read(&mut budget, records)?;
            }
            if records.len() > before || !self.core.wait(seen, deadline) {
                return Ok(());
            }
        }
    }
}
