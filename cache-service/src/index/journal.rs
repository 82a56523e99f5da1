//! The embedded index on disk: one segment file at a time, and what its records mean.
//!
//! # Records (integers little-endian)
//!
//! ```text
//! ready   1 | dimensions u32                     everything that was live is before this record
//! put     2 | head length u32 | vector length u32 | head JSON | vector, one byte each | response JSON
//! remove  3 | ids, 16 bytes each
//! ```
//!
//! # Invariants
//!
//! * A new segment first receives all live entries, then `ready`, and is synced before the old one is
//!   removed. So the newest segment with `ready` is complete, and any other segment may be removed.
//! * An entry is acknowledged after its record was written and synced.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tollgate_eventlog::segment::files::{FileHandle, Files, LockGuard, OsFiles};
use tollgate_eventlog::segment::frame::{FRAME_HEADER, Frame};
use tollgate_eventlog::segment::{SegmentWriter, list_segments, segment_path};
use tollgate_schemas::ids::EventId;
use uuid::Uuid;

use super::partition::Extent;
use super::written::{Head, Written};

const READY: u8 = 1;
const PUT: u8 = 2;
const REMOVE: u8 = 3;

/// A record as it was read.
#[derive(Debug)]
pub(super) enum Record {
    Ready { dimensions: u32 },
    Put(Written),
    Remove(Vec<EventId>),
}

/// The open journal.
#[derive(Debug)]
pub(super) struct Journal {
    dir: PathBuf,
    segment: SegmentWriter,
    frame: Frame,
    /// One process at a time.
    _lock: Box<dyn LockGuard>,
}

impl Journal {
    /// Opens or makes the journal in `dir`; `visit` sees the records of the complete segment in order.
    ///
    /// # Errors
    /// When files cannot be read or written, or another process has the journal open.
    pub(super) fn open(dir: &Path, dimensions: usize, mut visit: impl FnMut(Record)) -> io::Result<Self> {
        let files = OsFiles;
        files.create_dir(dir)?;
        let lock = files.lock(&dir.join("lock"))?;
        let ids = list_segments(&files, dir)?;
        let next = ids.last().map_or(1, |id| id + 1);
        let mut complete = None;
        for id in ids.into_iter().rev() {
            if complete.is_none() && is_complete(&files, dir, id, length(dimensions))? {
                let read = |offset, payload: &[u8]| {
                    if let Some(record) = parse(offset, payload) {
                        visit(record);
                    }
                };
                let (segment, opened) = SegmentWriter::open(&files, dir, id, read)?;
                if opened.torn_bytes > 0 {
                    tracing::warn!(torn_bytes = opened.torn_bytes, "cache journal had a torn tail, cut off");
                }
                complete = Some(segment);
            } else {
                files.remove(&segment_path(dir, id))?;
            }
        }
        let is_new = complete.is_none();
        let segment = complete.map_or_else(|| SegmentWriter::create(&files, dir, next), Ok)?;
        let mut journal = Self { dir: dir.to_path_buf(), segment, frame: Frame::new(), _lock: lock };
        if is_new {
            journal.ready(dimensions)?;
        }
        Ok(journal)
    }

    /// Writes an entry; tells where its answer stands and how long the record is.
    pub(super) fn put(&mut self, head: &Head, vector: &[i8], response: &[u8]) -> io::Result<(Extent, u64)> {
        let json = serde_json::to_vec(head)?;
        let before = FRAME_HEADER + 1 + 4 + 4 + json.len() + vector.len();
        let (offset, record_bytes) = self.append(|out| {
            out.push(PUT);
            out.extend_from_slice(&length(json.len()).to_le_bytes());
            out.extend_from_slice(&length(vector.len()).to_le_bytes());
            out.extend_from_slice(&json);
            out.extend(vector.iter().map(|value| value.cast_unsigned()));
            out.extend_from_slice(response);
        })?;
        Ok((Extent { offset: offset + before as u64, bytes: length(response.len()) }, record_bytes))
    }

    pub(super) fn remove(&mut self, ids: &[EventId]) -> io::Result<()> {
        // Far below the largest record: 16 bytes each.
        for ids in ids.chunks(10_000) {
            self.append(|out| {
                out.push(REMOVE);
                ids.iter().for_each(|id| out.extend_from_slice(id.0.as_bytes()));
            })?;
        }
        Ok(())
    }

    /// Length of the file, bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.segment.end()
    }

    /// The file, for reading answers while the journal is written.
    pub(super) fn file(&self) -> Arc<dyn FileHandle> {
        Arc::clone(self.segment.file())
    }

    /// Begins a new segment; `write` must put everything that is live into it. The old one is removed when
    /// the new one is complete and durable; after an error the journal goes on with the old one.
    pub(super) fn rewrite(
        &mut self,
        dimensions: usize,
        write: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> io::Result<()> {
        let files = OsFiles;
        let next = SegmentWriter::create(&files, &self.dir, self.segment.id() + 1)?;
        let old = std::mem::replace(&mut self.segment, next);
        let written = write(self).and_then(|()| self.ready(dimensions));
        let gone = match &written {
            Ok(()) => old.id(),
            Err(_) => std::mem::replace(&mut self.segment, old).id(),
        };
        // A segment that stays behind is removed at the next start.
        let _ = files.remove(&segment_path(&self.dir, gone));
        written
    }

    fn ready(&mut self, dimensions: usize) -> io::Result<()> {
        self.append(|out| {
            out.push(READY);
            out.extend_from_slice(&length(dimensions).to_le_bytes());
        })?;
        self.segment.file().sync()
    }

    fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> io::Result<(u64, u64)> {
        let sealed = self.frame.build(write).map_err(io::Error::other)?;
        let bytes = sealed.len() as u64;
        Ok((self.segment.append(sealed)?, bytes))
    }
}

/// Whether a segment has its `ready` record, for vectors of this length.
fn is_complete(files: &dyn Files, dir: &Path, id: u64, wanted: u32) -> io::Result<bool> {
    let mut ready = None;
    SegmentWriter::open(files, dir, id, |offset, payload| {
        if let Some(Record::Ready { dimensions }) = parse(offset, payload) {
            ready = Some(dimensions);
        }
    })?;
    if let Some(dimensions) = ready.filter(|dimensions| *dimensions != wanted) {
        tracing::warn!(dimensions, wanted, "the cache was filled by another embedder and starts empty");
    }
    Ok(ready == Some(wanted))
}

/// Reads the record at `offset`; `None` if it is of an unknown kind.
fn parse(offset: u64, payload: &[u8]) -> Option<Record> {
    let (kind, body) = payload.split_first()?;
    match *kind {
        READY => Some(Record::Ready { dimensions: u32::from_le_bytes(body.try_into().ok()?) }),
        REMOVE => {
            let ids = body.chunks_exact(16).filter_map(|id| Uuid::from_slice(id).ok()).map(EventId);
            Some(Record::Remove(ids.collect()))
        }
        PUT => {
            let (head_bytes, body) = body.split_first_chunk::<4>()?;
            let (vector_bytes, body) = body.split_first_chunk::<4>()?;
            let (json, body) = body.split_at_checked(u32::from_le_bytes(*head_bytes) as usize)?;
            let (vector, answer) = body.split_at_checked(u32::from_le_bytes(*vector_bytes) as usize)?;
            let begins = FRAME_HEADER + payload.len() - answer.len();
            Some(Record::Put(Written {
                head: serde_json::from_slice(json).ok()?,
                values: vector.iter().map(|byte| byte.cast_signed()).collect(),
                response: Extent { offset: offset + begins as u64, bytes: length(answer.len()) },
                record_bytes: (FRAME_HEADER + payload.len()) as u64,
            }))
        }
        _ => None,
    }
}

/// Records are at most a few MiB, so the lengths of their parts fit.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
