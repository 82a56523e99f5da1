//! The reading end of the spool: from a position on, across segments, while they are written.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tollgate_eventlog::segment::{Read, SegmentReader};

use super::super::lsn::Lsn;
use super::Spool;

/// A reader of the spool.
#[derive(Debug)]
pub(crate) struct Tail {
    spool: Arc<Spool>,
    reader: Option<SegmentReader>,
    at: Lsn,
    payload: Vec<u8>,
}

/// Where a record starts and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: Lsn,
    pub(crate) end: Lsn,
}

/// One look at the current segment.
enum Look {
    Record(Span),
    /// The segment is finished, or gone.
    Finished,
    Nothing,
}

impl Tail {
    pub(crate) fn new(spool: Arc<Spool>, at: Lsn) -> Self {
        Self { spool, reader: None, at, payload: Vec::new() }
    }

    /// The next record, none when there is no more for now. The position is behind it afterwards.
    ///
    /// # Errors
    /// When a segment cannot be read.
    pub(crate) fn next(&mut self) -> io::Result<Option<(Span, &[u8])>> {
        loop {
            match self.look()? {
                Look::Record(span) => return Ok(Some((span, &self.payload))),
                Look::Nothing => return Ok(None),
                Look::Finished => match self.spool.next_after(self.at.segment) {
                    Some(segment) => self.seek(Lsn { segment, offset: 0 }),
                    None => return Ok(None),
                },
            }
        }
    }

    /// Goes on at `at`.
    pub(crate) fn seek(&mut self, at: Lsn) {
        if self.reader.as_ref().is_none_or(|reader| reader.id() != at.segment) {
            self.reader = None;
        } else if let Some(reader) = &mut self.reader {
            reader.seek(at.offset);
        }
        self.at = at;
    }

    fn look(&mut self) -> io::Result<Look> {
        let Some((limit, finished)) = self.spool.readable(self.at.segment) else { return Ok(Look::Finished) };
        let reader = match &mut self.reader {
            Some(reader) => reader,
            None => {
                let mut reader = SegmentReader::open(&*self.spool.files, &self.spool.dir, self.at.segment)?;
                reader.seek(self.at.offset.min(limit));
                self.reader.insert(reader)
            }
        };
        match reader.read(limit)? {
            Read::Record { offset, payload } => {
                self.payload.clear();
                self.payload.extend_from_slice(payload);
                let start = Lsn { segment: self.at.segment, offset };
                self.at.offset = reader.offset();
                Ok(Look::Record(Span { start, end: self.at }))
            }
            Read::End if finished => Ok(Look::Finished),
            Read::End => Ok(Look::Nothing),
            Read::Torn if finished => {
                let lost = limit.saturating_sub(reader.offset());
                tracing::error!(segment = self.at.segment, bytes = lost, "damaged spool records are skipped");
                self.spool.counters.damaged_bytes.fetch_add(lost, Ordering::Relaxed);
                Ok(Look::Finished)
            }
            Read::Torn => Err(io::Error::new(io::ErrorKind::InvalidData, "the active segment is damaged")),
        }
    }
}

/// The record at a known place; none when it cannot be read any more.
pub(crate) fn read_record(spool: &Spool, at: Lsn) -> io::Result<Option<Vec<u8>>> {
    let mut reader = SegmentReader::open(&*spool.files, &spool.dir, at.segment)?;
    reader.seek(at.offset);
    Ok(match reader.read(u64::MAX)? {
        Read::Record { payload, .. } => Some(payload.to_vec()),
        Read::End | Read::Torn => None,
    })
}
