//! A member of a consumer group.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::Core;
use super::group::{Change, MemberId};
use super::reader::{Budget, PartitionReader};
use crate::{Consumer, InRecord, LogError, Polled, Topic, TopicPartition};

/// Most that one poll returns.
const POLL: Budget = Budget { records: 1_000, bytes: 4 << 20 };

#[derive(Debug)]
pub(super) struct EmbeddedConsumer {
    core: Arc<Core>,
    group: String,
    id: MemberId,
    readers: BTreeMap<TopicPartition, PartitionReader>,
    /// Where the next poll starts, so that no partition starves the others.
    turn: usize,
    paused: bool,
}

impl EmbeddedConsumer {
    pub(super) fn join(core: Arc<Core>, group: &str, topics: &[Topic]) -> Result<Self, LogError> {
        let mut wants = Vec::new();
        for topic in topics {
            wants.extend(core.topic(*topic)?.iter().map(|partition| partition.at));
        }
        let id = core.next_member();
        core.groups.lock().entry(group.to_owned()).or_default().join(id, wants);
        core.ring();
        Ok(Self { core, group: group.to_owned(), id, readers: BTreeMap::new(), turn: 0, paused: false })
    }

    /// Takes part in a rebalance, if there is one.
    fn take_change(&mut self) -> Result<Option<Polled>, LogError> {
        let change =
            self.core.groups.lock().get_mut(&self.group).and_then(|group| group.take_change(self.id));
        match change {
            None => Ok(None),
            Some(Change::Revoked(partitions)) => {
                self.readers.retain(|at, _| !partitions.contains(at));
                self.core.ring();
                Ok(Some(Polled::Revoked(partitions)))
            }
            Some(Change::Assigned(partitions)) => {
                for at in &partitions {
                    let reader = self.start_reading(*at)?;
                    self.readers.insert(*at, reader);
                }
                Ok(Some(Polled::Assigned(partitions)))
            }
        }
    }

    fn start_reading(&self, at: TopicPartition) -> Result<PartitionReader, LogError> {
        let partitions = self.core.topic(at.topic)?;
        let committed = self.core.offsets.lock().get(&self.group, at).unwrap_or(0);
        match partitions.get(usize::from(at.partition)) {
            Some(partition) => Ok(PartitionReader::new(Arc::clone(partition), committed)),
            None => Err(LogError::Other(format!("{} has no partition {}", at.topic.name(), at.partition))),
        }
    }

    fn read(&mut self) -> Result<Vec<InRecord>, LogError> {
        let mut records = Vec::new();
        let mut budget = POLL;
        let count = self.readers.len();
        self.turn = if count == 0 { 0 } else { (self.turn + 1) % count };
        let order: Vec<_> = self.readers.keys().copied().cycle().skip(self.turn).take(count).collect();
        for at in order {
            if let Some(reader) = self.readers.get_mut(&at) {
                reader.read(&mut budget, &mut records)?;
            }
        }
        Ok(records)
    }
}

impl Consumer for EmbeddedConsumer {
    fn poll(&mut self, timeout: Duration) -> Result<Polled, LogError> {
        let deadline = Instant::now() + timeout;
        loop {
            let seen = self.core.rung();
            if let Some(change) = self.take_change()? {
                return Ok(change);
            }
            if !self.paused {
                let records = self.read()?;
                if !records.is_empty() {
                    return Ok(Polled::Records(records));
                }
            }
            if !self.core.wait(seen, deadline) {
                return Ok(Polled::Idle);
            }
        }
    }

    fn commit(&mut self, partition: TopicPartition, next_offset: u64) -> Result<(), LogError> {
        if !self.core.groups.lock().get(&self.group).is_some_and(|group| group.owns(self.id, partition)) {
            let TopicPartition { topic, partition } = partition;
            return Err(LogError::Other(format!("{}/{partition} is not assigned", topic.name())));
        }
        self.core.offsets.lock().commit(&self.group, partition, next_offset)?;
        self.core.mark_committed();
        Ok(())
    }

    fn pause(&mut self, paused: bool) -> Result<(), LogError> {
        self.paused = paused;
        Ok(())
    }

    fn lag(&self) -> Option<u64> {
        Some(self.readers.values().map(PartitionReader::lag).sum())
    }
}

impl Drop for EmbeddedConsumer {
    fn drop(&mut self) {
        if let Some(group) = self.core.groups.lock().get_mut(&self.group) {
            group.leave(self.id);
        }
        self.core.ring();
    }
}
