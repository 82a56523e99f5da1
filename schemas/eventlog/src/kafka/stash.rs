//! Records that were read and not yet handed over, and rebalances that happened and were not yet told.
//!
//! librdkafka makes several rebalances within one poll where it must, and they are told one by one. A record is
//! therefore kept with the number of rebalances before it: when a revocation is told, records of the partition that
//! were read after a later assignment stay. The client has moved past them and would not read them again.

use std::collections::VecDeque;

use crate::port::{InRecord, Polled, TopicPartition};

#[derive(Debug)]
pub(super) enum Rebalance {
    Assigned(Vec<TopicPartition>),
    Revoked(Vec<TopicPartition>),
}

/// Rebalances in the order in which they happened.
#[derive(Debug, Default)]
pub(super) struct Rebalances {
    happened: u64,
    untold: VecDeque<(u64, Rebalance)>,
}

impl Rebalances {
    pub(super) fn push(&mut self, rebalance: Rebalance) {
        self.happened += 1;
        self.untold.push_back((self.happened, rebalance));
    }

    /// How many there were so far.
    pub(super) fn happened(&self) -> u64 {
        self.happened
    }

    pub(super) fn are_all_told(&self) -> bool {
        self.untold.is_empty()
    }

    pub(super) fn next_assigns(&self) -> bool {
        matches!(self.untold.front(), Some((_, Rebalance::Assigned(_))))
    }
}

#[derive(Debug, Default)]
pub(super) struct Stash {
    /// Each with the number of rebalances that had happened when it was read.
    records: VecDeque<(u64, InRecord)>,
}

impl Stash {
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(super) fn push(&mut self, happened: u64, record: InRecord) {
        self.records.push_back((happened, record));
    }

    /// Everything that is kept, in the order in which it was read.
    pub(super) fn take(&mut self) -> Vec<InRecord> {
        self.records.drain(..).map(|(_, record)| record).collect()
    }

    /// Tells the next rebalance. Records that were read before a revocation are dropped: whoever reads the partition
    /// next, perhaps this member, starts at the committed offset.
    pub(super) fn tell(&mut self, rebalances: &mut Rebalances) -> Option<Polled> {
        let (number, rebalance) = rebalances.untold.pop_front()?;
        Some(match rebalance {
            Rebalance::Assigned(partitions) => Polled::Assigned(partitions),
            Rebalance::Revoked(lost) => {
                self.records.retain(|(happened, record)| *happened >= number || !lost.contains(&at(record)));
                Polled::Revoked(lost)
            }
        })
    }
}

fn at(record: &InRecord) -> TopicPartition {
    TopicPartition { topic: record.at.topic, partition: record.at.partition }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::port::{Position, Topic};

    fn partition(partition: u16) -> TopicPartition {
        TopicPartition { topic: Topic::Usage, partition }
    }

    fn record(partition: u16, offset: u64) -> InRecord {
        InRecord {
            at: Position { topic: Topic::Usage, partition, offset },
            key: Bytes::new(),
            headers: Vec::new(),
            payload: None,
            timestamp_ms: 0,
        }
    }

    fn places(stash: &mut Stash) -> Vec<(u16, u64)> {
        stash.take().iter().map(|record| (record.at.partition, record.at.offset)).collect()
    }

    #[test]
    fn a_revocation_drops_what_was_read_of_its_partitions_and_nothing_else() {
        let (mut stash, mut rebalances) = (Stash::default(), Rebalances::default());
        rebalances.push(Rebalance::Assigned(vec![partition(1), partition(2)]));
        stash.push(rebalances.happened(), record(1, 10));
        stash.push(rebalances.happened(), record(2, 20));
        rebalances.push(Rebalance::Revoked(vec![partition(1)]));
        assert!(rebalances.next_assigns());
        assert!(matches!(stash.tell(&mut rebalances), Some(Polled::Assigned(all)) if all.len() == 2));
        assert_eq!(stash.len(), 2);
        assert!(matches!(stash.tell(&mut rebalances), Some(Polled::Revoked(lost)) if lost == [partition(1)]));
        assert!(rebalances.are_all_told() && stash.tell(&mut rebalances).is_none());
        assert_eq!(places(&mut stash), [(2, 20)]);
    }

    #[test]
    fn records_read_after_a_partition_came_back_within_the_same_poll_are_kept() {
        let (mut stash, mut rebalances) = (Stash::default(), Rebalances::default());
        stash.push(rebalances.happened(), record(1, 10));
        rebalances.push(Rebalance::Revoked(vec![partition(1)]));
        rebalances.push(Rebalance::Assigned(vec![partition(1)]));
        stash.push(rebalances.happened(), record(1, 7));
        stash.push(rebalances.happened(), record(1, 8));
        assert!(matches!(stash.tell(&mut rebalances), Some(Polled::Revoked(_))));
        assert!(matches!(stash.tell(&mut rebalances), Some(Polled::Assigned(_))));
        assert_eq!(places(&mut stash), [(1, 7), (1, 8)]);
    }

    #[test]
    fn of_two_quick_revocations_each_drops_what_came_before_it() {
        let (mut stash, mut rebalances) = (Stash::default(), Rebalances::default());
        for (offset, back) in [(10, true), (7, true), (5, false)] {
            stash.push(rebalances.happened(), record(1, offset));
            if back {
                rebalances.push(Rebalance::Revoked(vec![partition(1)]));
                rebalances.push(Rebalance::Assigned(vec![partition(1)]));
            }
        }
        while stash.tell(&mut rebalances).is_some() {}
        assert_eq!(places(&mut stash), [(1, 5)]);
    }
}
