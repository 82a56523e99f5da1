//! Reads a partition from an offset on, across segments.

use std::io;
use std::sync::Arc;

use super::codec;
use super::partition::{Around, Partition};
use crate::port::{InRecord, LogError, Position};
use crate::segment::{Read, SegmentReader};

#[derive(Debug)]
pub(super) struct PartitionReader {
    partition: Arc<Partition>,
    /// Offset of the next record to return.
    next: u64,
    current: Option<OpenSegment>,
}

#[derive(Debug)]
struct OpenSegment {
    reader: SegmentReader,
    /// The partition's epoch when it was opened: after a compaction the file is another one.
    epoch: u64,
}

/// How much a poll may still return.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    records: usize,
    bytes: usize,
}

impl Budget {
    const POLL: Self = Self { records: 1_000, bytes: 4 << 20 };

    fn is_used_up(self) -> bool {
        self.records == 0 || self.bytes == 0
    }
}

/// Reads several partitions for one poll.
#[derive(Debug, Default)]
pub(super) struct PollReader {
    /// The error of one partition that came while records of others were read.
    deferred_error: Option<io::Error>,
}

impl PollReader {
    /// Appends what is readable to `out`. A partition that cannot be read does not keep the others back.
    ///
    /// # Errors
    /// Only if nothing was appended. Otherwise the error is kept for the next call: the readers have moved on, and a
    /// caller that is told of a failure may throw away what came with it.
    pub(super) fn read<'a>(
        &mut self,
        readers: impl Iterator<Item = &'a mut PartitionReader>,
        out: &mut Vec<InRecord>,
    ) -> Result<(), LogError> {
        if let Some(error) = self.deferred_error.take() {
            return Err(error.into());
        }
        let before = out.len();
        let mut budget = Budget::POLL;
        for reader in readers {
            if let Err(error) = reader.read(&mut budget, out) {
                self.deferred_error.get_or_insert(error);
            }
        }
        match self.deferred_error.take() {
            Some(error) if out.len() == before => Err(error.into()),
            deferred => {
                self.deferred_error = deferred;
                Ok(())
            }
        }
    }
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
    ///
    /// # Errors
    /// As the file system says. What was appended before stays read; the next call goes on behind it.
    fn read(&mut self, budget: &mut Budget, out: &mut Vec<InRecord>) -> io::Result<()> {
        while !budget.is_used_up() && self.next < self.partition.visible() {
            if self.current.is_none() {
                let Some(located) = self.partition.locate(self.next) else { return Ok(()) };
                self.open(located.segment, located.epoch)?;
            }
            self.read_segment(budget, out)?;
        }
        Ok(())
    }

    /// Reads the current segment and, at its end, opens the next one.
    fn read_segment(&mut self, budget: &mut Budget, out: &mut Vec<InRecord>) -> io::Result<()> {
        let Some(OpenSegment { reader, epoch }) = &mut self.current else { return Ok(()) };
        let around = self.partition.around(reader.id());
        let Some(this) = around.this.filter(|located| located.epoch == *epoch) else {
            self.current = None;
            return Ok(());
        };
        while !budget.is_used_up() {
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
                Read::End => return self.advance(around, this.epoch),
                Read::Torn => {
                    tracing::error!(
                        dir = %self.partition.dir.display(), segment = reader.id(), offset = reader.offset(),
                        "damaged records are skipped"
                    );
                    return self.advance(around, this.epoch);
                }
            }
        }
        Ok(())
    }

    /// Goes on behind a segment of which nothing more can be read.
    fn advance(&mut self, around: Around, epoch: u64) -> io::Result<()> {
        match around.following {
            Some(segment) => self.open(segment, epoch),
            None => {
                // Offsets whose sync failed, and those of compacted or damaged records, are never read.
                self.next = self.next.max(around.visible);
                Ok(())
            }
        }
    }

    fn open(&mut self, segment: u64, epoch: u64) -> io::Result<()> {
        match SegmentReader::open(&*self.partition.files, &self.partition.dir, segment) {
            Ok(reader) => self.current = Some(OpenSegment { reader, epoch }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.current = None;
                // Retention was faster: the next look finds the segment behind it. A file that somebody else removed
                // would be looked for without end.
                if self.partition.around(segment).this.is_some() {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
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
