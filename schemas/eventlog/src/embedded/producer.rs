//! Appends at once; reports a delivery when the record is durable.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::Core;
use super::murmur::partition_of;
use super::partition::{Fate, Partition};
use crate::port::{Delivery, DeliveryError, OutRecord, Position, Producer, SendError};

/// Records that may wait for their sync.
const MAX_IN_FLIGHT: usize = 20_000;

#[derive(Debug)]
pub(super) struct EmbeddedProducer {
    core: Arc<Core>,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    token: u64,
    partition: Arc<Partition>,
    offset: u64,
}

impl EmbeddedProducer {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core, waiting: VecDeque::new() }
    }

    fn collect(&mut self, done: &mut Vec<Delivery>) -> usize {
        let before = done.len();
        while let Some(first) = self.waiting.front() {
            let result = match first.partition.fate(first.offset) {
                Fate::Pending => break,
                Fate::Durable => Ok(position(first)),
                Fate::Lost => Err(DeliveryError::Retry("the record could not be made durable".to_owned())),
            };
            done.push(Delivery { token: first.token, result });
            self.waiting.pop_front();
        }
        done.len() - before
    }
}

fn position(waiting: &Waiting) -> Position {
    let at = waiting.partition.at;
    Position { topic: at.topic, partition: at.partition, offset: waiting.offset }
}

impl Producer for EmbeddedProducer {
    fn send(&mut self, record: OutRecord, token: u64) -> Result<(), SendError> {
        let (bytes, limit) = (record.size(), self.core.max_record_bytes(record.topic));
        if bytes > limit {
            return Err(SendError::Refused(format!("{bytes} bytes are more than the topic's {limit}")));
        }
        if self.waiting.len() >= MAX_IN_FLIGHT {
            return Err(SendError::Full(record));
        }
        let appended = self.core.topic(record.topic).and_then(|partitions| {
            let index = partition_of(&record.key, u16::try_from(partitions.len()).unwrap_or(u16::MAX));
            let partition = Arc::clone(&partitions[usize::from(index)]);
            partition.append(&record).map(|offset| (partition, offset))
        });
        match appended {
            Ok((partition, offset)) => {
                self.core.mark_dirty(&partition);
                self.waiting.push_back(Waiting { token, partition, offset });
                Ok(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => {
                Err(SendError::Refused(error.to_string()))
            }
            Err(error) => {
                tracing::warn!(%error, topic = record.topic.name(), "append to the embedded log failed");
                Err(SendError::Full(record))
            }
        }
    }

    fn poll(&mut self, timeout: Duration, done: &mut Vec<Delivery>) {
        let deadline = Instant::now() + timeout;
        loop {
            let seen = self.core.change_count();
            if self.collect(done) > 0 || self.waiting.is_empty() || !self.core.wait_for_change(seen, deadline)
            {
                return;
            }
        }
    }

    fn in_flight(&self) -> usize {
        self.waiting.len()
    }
}
