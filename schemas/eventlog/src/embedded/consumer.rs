//! A member of a consumer group.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::Core;
use super::group::{Change, MemberId};
use super::partition::Partition;
use super::reader::{PartitionReader, PollReader};
use crate::port::{Consumer, InRecord, LogError, Polled, Topic, TopicPartition};

#[derive(Debug)]
pub(super) struct EmbeddedConsumer {
    core: Arc<Core>,
    group: String,
    id: MemberId,
    /// All partitions of the topics it subscribed to. They are opened before it joins, so that nothing can fail once
    /// the group has handed one over.
    partitions: BTreeMap<TopicPartition, Arc<Partition>>,
    readers: BTreeMap<TopicPartition, PartitionReader>,
    poll_reader: PollReader,
    /// Where the next poll starts, so that no partition starves the others.
    turn: usize,
    paused: bool,
}

impl EmbeddedConsumer {
    pub(super) fn join(core: Arc<Core>, group: &str, topics: &[Topic]) -> Result<Self, LogError> {
        let mut partitions = BTreeMap::new();
        for topic in topics {
            partitions
                .extend(core.topic(*topic)?.iter().map(|partition| (partition.at, Arc::clone(partition))));
        }
        let id = core.next_member();
        core.groups.lock().entry(group.to_owned()).or_default().join(id, partitions.keys().copied());
        core.announce_change();
        Ok(Self {
            core,
            group: group.to_owned(),
            id,
            partitions,
            readers: BTreeMap::new(),
            poll_reader: PollReader::default(),
            turn: 0,
            paused: false,
        })
    }

    /// Takes part in a rebalance, if there is one.
    fn take_change(&mut self) -> Option<Polled> {
        let change =
            self.core.groups.lock().get_mut(&self.group).and_then(|group| group.take_change(self.id))?;
        Some(match change {
            Change::Revoked(partitions) => {
                self.readers.retain(|at, _| !partitions.contains(at));
                self.core.announce_change();
                Polled::Revoked(partitions)
            }
            Change::Assigned(partitions) => {
                for at in &partitions {
                    self.start_reading(*at);
                }
                Polled::Assigned(partitions)
            }
        })
    }

    fn start_reading(&mut self, at: TopicPartition) {
        // The group assigns only what its member asked for.
        let Some(partition) = self.partitions.get(&at) else { return };
        let committed = self.core.offsets.lock().get(&self.group, at).unwrap_or(0);
        self.readers.insert(at, PartitionReader::new(Arc::clone(partition), committed));
    }

    fn read(&mut self) -> Result<Vec<InRecord>, LogError> {
        let mut records = Vec::new();
        let count = self.readers.len();
        self.turn = if count == 0 { 0 } else { (self.turn + 1) % count };
        let mut in_turn: Vec<_> = self.readers.values_mut().collect();
        in_turn.rotate_left(self.turn);
        self.poll_reader.read(in_turn.into_iter(), &mut records)?;
        Ok(records)
    }
}

impl Consumer for EmbeddedConsumer {
    fn poll(&mut self, timeout: Duration) -> Result<Polled, LogError> {
        let deadline = Instant::now() + timeout;
        loop {
            let seen = self.core.change_count();
            if let Some(change) = self.take_change() {
                return Ok(change);
            }
            if !self.paused {
                let records = self.read()?;
                if !records.is_empty() {
                    return Ok(Polled::Records(records));
                }
            }
            if !self.core.wait_for_change(seen, deadline) {
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
        self.core.announce_change();
    }
}
