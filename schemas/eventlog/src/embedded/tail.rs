//! Reads all of a topic, in no group.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::Core;
use super::reader::{PartitionReader, PollReader};
use crate::port::{InRecord, LogError, Tail, Topic};

#[derive(Debug)]
pub(super) struct EmbeddedTail {
    core: Arc<Core>,
    readers: Vec<PartitionReader>,
    poll_reader: PollReader,
}

impl EmbeddedTail {
    pub(super) fn new(core: Arc<Core>, topic: Topic) -> Result<Self, LogError> {
        let partitions = core.topic(topic)?;
        let readers = partitions.iter().map(|partition| PartitionReader::new(Arc::clone(partition), 0));
        Ok(Self { readers: readers.collect(), core, poll_reader: PollReader::default() })
    }
}

impl Tail for EmbeddedTail {
    fn poll(&mut self, timeout: Duration, records: &mut Vec<InRecord>) -> Result<(), LogError> {
        let (deadline, before) = (Instant::now() + timeout, records.len());
        loop {
            let seen = self.core.change_count();
            self.poll_reader.read(self.readers.iter_mut(), records)?;
            if records.len() > before || !self.core.wait_for_change(seen, deadline) {
                return Ok(());
            }
        }
    }
}
