//! The reading end of the spool: from a position on, across segments, while they are written.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tollgate_eventlog::segment::{HEADER_BYTES, Read, SegmentReader};

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

    /// The next record, `None` if there is no more for now. The position is behind it afterwards.
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
                    None => {
                        // A file that is kept open after its removal keeps its space on the disk.
                        self.reader = None;
                        return Ok(None);
                    }
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

    /// Where the next record is read.
    pub(crate) fn at(&self) -> Lsn {
        self.at
    }

    /// Passes over what cannot be read: one record where its length can be, else the rest of its segment, to which
    /// nothing is written any more then.
    pub(crate) fn pass_over(&mut self) -> Span {
        let start = self.at;
        let Some((limit, _)) = self.spool.readable(start.segment) else { return Span { start, end: start } };
        let reader = SegmentReader::open(&*self.spool.files, &self.spool.dir, start.segment);
        let passed = reader.ok().and_then(|mut reader| {
            reader.seek(start.offset.min(limit));
            reader.pass_over(limit).map(|_| reader.offset())
        });
        self.reader = None;
        self.at.offset = passed.unwrap_or_else(|| {
            self.spool.seal(start.segment);
            self.spool.readable(start.segment).map_or(limit, |(end, _)| end)
        });
        let bytes = self.at.offset.saturating_sub(start.offset.max(HEADER_BYTES));
        self.spool.counters.damaged_bytes.fetch_add(bytes, Ordering::Relaxed);
        Span { start, end: self.at }
    }

    fn look(&mut self) -> io::Result<Look> {
        let Some((limit, finished)) = self.spool.readable(self.at.segment) else { return Ok(Look::Finished) };
        if finished && self.at.offset >= limit {
            return Ok(Look::Finished);
        }
        let reader = match &mut self.reader {
            Some(reader) => reader,
            None => {
                let reader = SegmentReader::open(&*self.spool.files, &self.spool.dir, self.at.segment)?;
                let mut reader = reader.trying_exactly();
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

/// Reads records again whose place is known. Keeps the segment of the last one open, because records that are
/// sent again mostly stand side by side.
#[derive(Debug)]
pub(crate) struct Rereader {
    spool: Arc<Spool>,
    reader: Option<SegmentReader>,
}

impl Rereader {
    pub(crate) fn new(spool: Arc<Spool>) -> Self {
        Self { spool, reader: None }
    }

    /// The record at a known place, `None` if its segment is gone or it is damaged.
    ///
    /// # Errors
    /// When the segment cannot be opened or read now.
    pub(crate) fn read(&mut self, at: Lsn) -> io::Result<Option<&[u8]>> {
        let Some((limit, _)) = self.spool.readable(at.segment) else { return Ok(None) };
        if self.reader.as_ref().is_none_or(|reader| reader.id() != at.segment) {
            self.reader = match SegmentReader::open(&*self.spool.files, &self.spool.dir, at.segment) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                reader => Some(reader?.trying_exactly()),
            };
        }
        let Some(reader) = &mut self.reader else { return Ok(None) };
        reader.seek(at.offset);
        // Bytes behind the limit may be half written now and whole when they are asked for.
        Ok(match reader.read(limit)? {
            Read::Record { payload, .. } => Some(payload),
            Read::End | Read::Torn => None,
        })
    }

    /// Closes the file: one that is kept open after its removal keeps its space on the disk.
    pub(crate) fn close(&mut self) {
        self.reader = None;
    }
}
