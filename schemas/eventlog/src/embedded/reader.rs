//! Reads a partition from an offset on, across segments.

use std::io;
use std::sync::Arc;

use super::codec;
use super::partition::Partition;
use crate::segment::{Read, SegmentReader};
use crate::{InRecord, Position};

/// A position in a partition.
#[derive(Debug)]
pub(super) struct PartitionReader {
    partition: Arc<Partition>,
    /// Offset of the next record to return.
    next: u64,
    current: Option<(SegmentReader, u64)>,
}

/// How much one read may return.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    pub(super) records: usize,
    pub(super) bytes: usize,
}

impl PartitionReader {
    pub(super) fn new(partition: Arc<Partition>, next: u64) -> Self {
        Self { partition, next, current: None }
    }

    /// Readable records that were not returned yet; an upper bound where the topic is compacted.
    pub(super) fn lag(&self) -> u64 {
        self.partition.visible().saturating_sub(self.next)
    }

    /// Appends records to `out` until the budget is used up or nothing more is readable.
    pub(super) fn read(&mut self, budget: &mut Budget, out: &mut Vec<InRecord>) -> io::Result<()> {
        while budget.records > 0 && budget.bytes > 0 && self.next < self.partition.visible() {
            if self.current.is_none() && !self.find()? {
                return Ok(());
            }
            if !self.read_segment(budget, out)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Reads the current segment; false when nothing more is readable for now.
    fn read_segment(&mut self, budget: &mut Budget, out: &mut Vec<InRecord>) -> io::Result<bool> {
        let Some((reader, epoch)) = &mut self.current else { return Ok(false) };
        let (this, following) = self.partition.around(reader.id());
        let Some(this) = this.filter(|located| located.epoch == *epoch) else {
            self.current = None;
            return Ok(true);
        };
        while budget.records > 0 && budget.bytes > 0 {
            match reader.read(this.end)? {
                Read::Record { payload, .. } => {
                    let bytes = payload.len();
                    let Some(stored) = codec::decode(payload) else { continue };
                    if stored.offset < self.next {
                        continue;
                    }
                    self.next = stored.offset + 1;
                    budget.records -= 1;
                    budget.bytes = budget.bytes.saturating_sub(bytes);
                    out.push(in_record(&self.partition, stored));
                }
                Read::End => return self.advance(following.map(|located| located.segment)),
                Read::Torn => {
                    tracing::error!(
                        dir = %self.partition.dir.display(), segment = reader.id(), offset = reader.offset(),
                        "damaged records are skipped"
                    );
                    return self.advance(following.map(|located| located.segment));
                }
            }
        }
        Ok(true)
    }

    fn find(&mut self) -> io::Result<bool> {
        let Some(located) = self.partition.locate(self.next) else { return Ok(false) };
        self.open(located.segment, located.epoch)
    }

    fn advance(&mut self, following: Option<u64>) -> io::Result<bool> {
        let Some((_, epoch)) = self.current else { return Ok(false) };
        match following {
            Some(segment) => self.open(segment, epoch),
            None => Ok(false),
        }
    }

    fn open(&mut self, segment: u64, epoch: u64) -> io::Result<bool> {
        match SegmentReader::open(&*self.partition.files, &self.partition.dir, segment) {
            Ok(reader) => self.current = Some((reader, epoch)),
            // Retention was faster; look again.
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.current = None,
            Err(error) => return Err(error),
        }
        Ok(true)
    }
}

fn in_record(partition: &Partition, stored: codec::Stored) -> InRecord {
    let at = partition.at;
    InRecord {
        at: Position { topic: at.topic, partition: at.partition, offset: stored.offset },
        key: stored.key,
        headers: stored.headers,
        payload: stored.payload,
        timestamp_ms: stored.timestamp_ms,
    }
}
