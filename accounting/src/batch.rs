//! Collects what was read, by partition, until there is enough of it or it is old enough. Pure.
//!
//! Invariants: a batch covers an unbroken range of what one partition delivered; batches of a revoked
//! partition are dropped whole, because the next reader of the partition starts at the committed offset.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tollgate_base::hash::fnv1a;

use tollgate_eventlog::{Position, TopicPartition};

use crate::dead_letter::DeadLetter;
use crate::row::{BootRow, UsageRow};
use crate::store::Block;
use crate::store::rowbinary::encode;

/// When a batch is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most records over all partitions.
    pub records: usize,
    /// Longest wait of the oldest record.
    pub age: Duration,
}

/// A record as it goes into the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A priced event.
    Usage(Box<UsageRow>),
    /// The end of a boot.
    Boot(BootRow),
    /// A record that could not be read.
    DeadLetter(Box<DeadLetter>),
}

/// What one partition delivered since its last batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionBatch {
    /// Which partition.
    pub partition: TopicPartition,
    /// Offset of its first record.
    pub first: u64,
    /// Offset of its last record.
    pub last: u64,
    rows: Vec<UsageRow>,
    boots: Vec<BootRow>,
    dead_letters: Vec<DeadLetter>,
}

/// The batches that are being collected, one for each partition.
#[derive(Debug)]
pub struct Batcher {
    limits: Limits,
    batches: BTreeMap<TopicPartition, PartitionBatch>,
    records: usize,
    opened: Option<Instant>,
}

impl Batcher {
    /// A batcher without records.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, batches: BTreeMap::new(), records: 0, opened: None }
    }

    /// Adds the record at `at`.
    pub fn push(&mut self, at: Position, item: Item, now: Instant) {
        let partition = TopicPartition { topic: at.topic, partition: at.partition };
        let batch =
            self.batches.entry(partition).or_insert_with(|| PartitionBatch::new(partition, at.offset));
        batch.push(at.offset, item);
        self.records += 1;
        self.opened.get_or_insert(now);
    }

    /// Whether there are as many records as one insert should have. If no insert can start then, reading has to stop.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.records >= self.limits.records
    }

    /// How long until the batches are due; `None` if there are no records.
    #[must_use]
    pub fn due_in(&self, now: Instant) -> Option<Duration> {
        let opened = self.opened?;
        if self.is_full() {
            return Some(Duration::ZERO);
        }
        Some(self.limits.age.saturating_sub(now.saturating_duration_since(opened)))
    }

    /// All batches, when they are due.
    pub fn take_due(&mut self, now: Instant) -> Option<Vec<PartitionBatch>> {
        (self.due_in(now)? == Duration::ZERO).then(|| self.take())
    }

    /// All batches, due or not.
    pub fn take(&mut self) -> Vec<PartitionBatch> {
        self.records = 0;
        self.opened = None;
        std::mem::take(&mut self.batches).into_values().collect()
    }

    /// Drops the batches of partitions that another member reads from now on.
    pub fn revoke(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            if let Some(batch) = self.batches.remove(partition) {
                self.records -= batch.records();
            }
        }
        if self.batches.is_empty() {
            self.opened = None;
        }
    }
}

impl PartitionBatch {
    fn new(partition: TopicPartition, first: u64) -> Self {
        let (rows, boots, dead_letters) = (Vec::new(), Vec::new(), Vec::new());
        Self { partition, first, last: first, rows, boots, dead_letters }
    }

    fn push(&mut self, offset: u64, item: Item) {
        self.first = self.first.min(offset);
        self.last = self.last.max(offset);
        match item {
            Item::Usage(row) => self.rows.push(*row),
            Item::Boot(row) => self.boots.push(row),
            Item::DeadLetter(letter) => self.dead_letters.push(*letter),
        }
    }

    fn records(&self) -> usize {
        self.rows.len() + self.boots.len() + self.dead_letters.len()
    }

    /// What to commit once the batch is stored.
    #[must_use]
    pub fn next_offset(&self) -> u64 {
        self.last + 1
    }

    /// Encodes the batch, one block per table, rows in the order of the table's key.
    #[must_use]
    pub fn into_blocks(mut self) -> Vec<Block> {
        let token = self.token();
        self.rows.sort_by(|a, b| {
            let key = |row: &UsageRow| (row.event.event_time_ms / 3_600_000, row.event.event_id);
            a.event.payer.tenant.cmp(&b.event.payer.tenant).then_with(|| key(a).cmp(&key(b)))
        });
        let blocks =
            [encode(&self.rows, Some(token)), encode(&self.boots, None), encode(&self.dead_letters, None)];
        blocks.into_iter().flatten().collect()
    }

    /// Names the batch by its place in the log and a hash of its events. The place alone would not do: a log
    /// that was begun anew has other events at the same offsets, and the engine drops a block whose token
    /// it knows.
    fn token(&self) -> String {
        let ids = self.rows.iter().flat_map(|row| {
            let (id, version) = (row.event.event_id.0.into_bytes(), row.event.version.to_le_bytes());
            id.into_iter().chain(version)
        });
        let TopicPartition { topic, partition } = self.partition;
        format!("{}:{partition}:{}-{}:{:016x}", topic.name(), self.first, self.last, fnv1a(ids))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::price_book::PriceBook;
    use crate::testing::{NOW_MS, event};
    use tollgate_eventlog::Topic;
    use tollgate_schemas::ids::EventId;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(partition: u16, offset: u64) -> Position {
        Position { topic: Topic::Usage, partition, offset }
    }

    fn usage(at: Position) -> Item {
        Item::Usage(Box::new(UsageRow::price(event(at.offset, &[]), at, &PriceBook::empty()).unwrap()))
    }

    fn filled(records: &[(u16, u64)], now: Instant) -> Batcher {
        let mut batcher = Batcher::new(Limits { records: 3, age: SECOND });
        for &(partition, offset) in records {
            batcher.push(at(partition, offset), usage(at(partition, offset)), now);
        }
        batcher
    }

    #[test]
    fn batches_are_due_when_there_are_enough_records() {
        let now = Instant::now();
        assert!(filled(&[(0, 5), (1, 9)], now).take_due(now).is_none());
        let batches = filled(&[(0, 5), (1, 9), (0, 6)], now).take_due(now).unwrap();
        let ranges: Vec<_> =
            batches.iter().map(|b| (b.partition.partition, b.first, b.next_offset())).collect();
        assert_eq!(ranges, [(0, 5, 7), (1, 9, 10)]);
    }

    #[test]
    fn batches_are_due_when_the_oldest_record_has_waited_long_enough() {
        let now = Instant::now();
        let mut batcher = filled(&[(0, 5)], now);
        batcher.push(at(0, 6), usage(at(0, 6)), now + SECOND / 2);
        assert_eq!(batcher.due_in(now + SECOND / 2), Some(SECOND / 2));
        assert!(batcher.take_due(now + SECOND - Duration::from_nanos(1)).is_none());
        assert_eq!(batcher.take_due(now + SECOND).unwrap().len(), 1);
        assert_eq!(batcher.due_in(now + SECOND), None);
        assert_eq!(batcher.records, 0);
    }

    #[test]
    fn batches_of_revoked_partitions_are_dropped() {
        let now = Instant::now();
        let mut batcher = filled(&[(0, 5), (1, 9), (0, 6)], now);
        batcher.revoke(&[TopicPartition { topic: Topic::Usage, partition: 0 }]);
        assert_eq!(batcher.records, 1);
        let left = batcher.take_due(now + SECOND).unwrap();
        assert_eq!((left.len(), left[0].first), (1, 9));
        let mut batcher = filled(&[(0, 5)], now);
        batcher.revoke(&[TopicPartition { topic: Topic::Usage, partition: 0 }]);
        assert_eq!(batcher.due_in(now), None);
    }

    #[test]
    fn the_same_records_have_the_same_token_and_other_records_at_the_same_place_have_another() {
        let batch = |id: i64| {
            let mut batch = PartitionBatch::new(TopicPartition { topic: Topic::Usage, partition: 2 }, 7);
            let mut event = event(1, &[]);
            event.event_id = EventId(uuid::Uuid::from_u128(id as u128));
            let row = UsageRow::price(event, at(2, 7), &PriceBook::empty()).unwrap();
            batch.push(7, Item::Usage(Box::new(row)));
            batch.into_blocks().remove(0).token.unwrap()
        };
        assert_eq!(batch(1), batch(1));
        assert_ne!(batch(1), batch(2));
        assert!(batch(1).starts_with("llm.usage.v1:2:7-7:"));
    }

    #[test]
    fn rows_are_sorted_by_the_tables_key() {
        let mut batch = PartitionBatch::new(TopicPartition { topic: Topic::Usage, partition: 0 }, 0);
        for (offset, tenant, hour) in [(0, "b", 0), (1, "a", 5), (2, "a", 1)] {
            let mut event = event(offset, &[]);
            event.payer.tenant = tenant.into();
            event.event_time_ms = NOW_MS + hour * 3_600_000;
            let row = UsageRow::price(event, at(0, offset), &PriceBook::empty()).unwrap();
            batch.push(offset, Item::Usage(Box::new(row)));
        }
        let mut sorted = batch.clone();
        sorted.rows.rotate_left(2);
        sorted.rows.swap(1, 2);
        let sorted_tenants: Vec<_> = sorted.rows.iter().map(|row| row.at.offset).collect();
        assert_eq!(sorted_tenants, [2, 1, 0]);
        let (given, expected) =
            (batch.into_blocks().remove(0).data, encode(&sorted.rows, None).unwrap().data);
        assert_eq!(given, expected);
    }

    #[test]
    fn each_kind_of_item_goes_to_its_table() {
        let mut batch = PartitionBatch::new(TopicPartition { topic: Topic::Usage, partition: 0 }, 0);
        batch.push(0, usage(at(0, 0)));
        let closed = tollgate_schemas::usage::BootClosed {
            gateway_id: "gw-1".into(),
            boot_id: event(1, &[]).ledger.boot_id,
            last_seq: 1,
        };
        batch.push(1, Item::Boot(BootRow(closed)));
        assert_eq!(batch.records(), 2);
        let tables: Vec<_> = batch.into_blocks().into_iter().map(|block| block.table).collect();
        assert_eq!(tables, ["usage_events", "boots"]);
    }
}
