//! What is not over when its row is written, kept beside the spool until it is: a small log of its own.
//!
//! ```text
//! DIR/NNN.seg    records: kind u8 (1 put, 2 removed) | id 16 bytes | what was put
//! ```
//!
//! Invariants:
//!
//! * what was put is in the page cache when [`PendingLog::put`] returns: `kill -9` loses nothing;
//! * a log that grows with what was removed is written anew, and the old segments go only when the new one is on the
//!   disk; a crash in between leaves both, and reading both in their order gives the same;
//! * what could not be written stays in memory and is part of the next segment.
//!
//! A removal may be lost in a crash. So whoever puts something must be able to find it twice.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use tollgate_eventlog::segment::files::{Files, OsFiles};
use tollgate_eventlog::segment::frame::Frame;
use tollgate_eventlog::segment::{Read, SegmentReader, SegmentWriter, list_segments, segment_path};
use uuid::Uuid;

use super::error::LedgerError;

/// A segment is not written anew below this size, bytes.
const MIN_SEGMENT_BYTES: u64 = 1 << 20;
/// Nor while so much of it is still wanted: bytes of the segment to those of its content.
const GARBAGE_FACTOR: u64 = 4;

const PUT: u8 = 1;
const REMOVED: u8 = 2;

/// What is kept, by id. One process at a time: it lies beside the spool, whose lock is held.
#[derive(Debug)]
pub struct PendingLog {
    files: Arc<dyn Files>,
    dir: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// `None` if the disk refused: the next call begins a new segment.
    active: Option<SegmentWriter>,
    kept: BTreeMap<Uuid, Vec<u8>>,
    kept_bytes: u64,
    next_segment: u64,
    unsynced: bool,
    frame: Frame,
}

impl PendingLog {
    /// Opens the log in `dir`, which is made if it is missing, and reads what earlier processes left.
    ///
    /// # Errors
    /// When its files cannot be read. A disk that takes no records is no error.
    pub fn open(dir: PathBuf) -> Result<Self, LedgerError> {
        Self::open_with(Arc::new(OsFiles), dir)
    }

    /// As [`PendingLog::open`], on another file system.
    pub(crate) fn open_with(files: Arc<dyn Files>, dir: PathBuf) -> Result<Self, LedgerError> {
        let failed = |source| LedgerError::Open { dir: dir.clone(), source: Arc::new(source) };
        let state = State::read(&*files, &dir).map_err(failed)?;
        let log = Self { files, dir, state: Mutex::new(state) };
        if let Err(error) = log.rewrite(&mut log.state.lock()) {
            tracing::error!(%error, dir = %log.dir.display(), "what is pending cannot be written");
        }
        Ok(log)
    }

    /// Everything that is kept, in the order of the ids.
    #[must_use]
    pub fn all(&self) -> Vec<(Uuid, Vec<u8>)> {
        self.state.lock().kept.iter().map(|(id, content)| (*id, content.clone())).collect()
    }

    /// Keeps something under an id, in place of what was kept under it before.
    ///
    /// # Errors
    /// When the disk refuses. It is kept in memory then, and written as soon as the disk takes it.
    pub fn put(&self, id: Uuid, content: Vec<u8>) -> io::Result<()> {
        let mut state = self.state.lock();
        state.keep(id, content);
        self.write(&mut state, PUT, &[id])
    }

    /// Forgets what is kept under these ids.
    ///
    /// # Errors
    /// When the disk refuses; a next process may find them again.
    pub fn remove(&self, ids: &[Uuid]) -> io::Result<()> {
        let mut state = self.state.lock();
        let known: Vec<Uuid> = ids.iter().copied().filter(|id| state.forget(*id)).collect();
        if known.is_empty() { Ok(()) } else { self.write(&mut state, REMOVED, &known) }
    }

    /// Whether the disk took the last record.
    #[must_use]
    pub fn is_written(&self) -> bool {
        self.state.lock().active.is_some()
    }

    /// Puts everything on the disk. Blocks.
    ///
    /// # Errors
    /// When the disk refuses. Nothing is lost as long as the process lives.
    pub fn sync(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        if state.active.is_none() {
            return self.rewrite(&mut state);
        }
        if !std::mem::take(&mut state.unsynced) {
            return Ok(());
        }
        let synced = state.active.as_ref().map_or(Ok(()), |active| active.file().sync());
        if synced.is_err() {
            // A file whose sync failed is not synced again: the next one has everything.
            state.active = None;
        }
        synced
    }

    fn write(&self, state: &mut State, kind: u8, ids: &[Uuid]) -> io::Result<()> {
        if state.is_due_for_rewrite() {
            return self.rewrite(state);
        }
        let written = ids.iter().try_for_each(|id| state.append(kind, *id));
        state.unsynced = true;
        if written.is_err() {
            state.active = None;
        }
        written
    }

    /// Begins a segment with everything that is kept, durably, and removes those before it.
    fn rewrite(&self, state: &mut State) -> io::Result<()> {
        let id = state.next_segment;
        state.next_segment += 1;
        // Until it is done, the disk has not taken the last record.
        state.active = None;
        self.files.create_dir(&self.dir)?;
        let before = list_segments(&*self.files, &self.dir)?;
        state.active = Some(SegmentWriter::create(&*self.files, &self.dir, id)?);
        let ids: Vec<Uuid> = state.kept.keys().copied().collect();
        let written = ids.into_iter().try_for_each(|id| state.append(PUT, id));
        let synced = written.and_then(|()| state.active.as_ref().map_or(Ok(()), |new| new.file().sync()));
        if let Err(error) = synced {
            state.active = None;
            // Should it stay, it says nothing that those before it do not say.
            let _ = self.files.remove(&segment_path(&self.dir, id));
            return Err(error);
        }
        state.unsynced = false;
        for old in before {
            // One that stays is read before this one, and goes with the next.
            let _ = self.files.remove(&segment_path(&self.dir, old));
        }
        Ok(())
    }
}

impl State {
    fn read(files: &dyn Files, dir: &std::path::Path) -> io::Result<Self> {
        let mut state = Self::default();
        for id in list_segments(files, dir)? {
            let mut reader = SegmentReader::open(files, dir, id)?;
            while let Read::Record { payload, .. } = reader.read(u64::MAX)? {
                let Some((kind, id, content)) = parts(payload) else { continue };
                match kind {
                    PUT => state.keep(id, content.to_vec()),
                    _ => {
                        state.forget(id);
                    }
                }
            }
            state.next_segment = id + 1;
        }
        Ok(state)
    }

    fn keep(&mut self, id: Uuid, content: Vec<u8>) {
        self.kept_bytes += content.len() as u64;
        if let Some(before) = self.kept.insert(id, content) {
            self.kept_bytes -= before.len() as u64;
        }
    }

    fn forget(&mut self, id: Uuid) -> bool {
        let Some(content) = self.kept.remove(&id) else { return false };
        self.kept_bytes -= content.len() as u64;
        true
    }

    fn is_due_for_rewrite(&self) -> bool {
        let full =
            |active: &SegmentWriter| active.end() > MIN_SEGMENT_BYTES.max(self.kept_bytes * GARBAGE_FACTOR);
        self.active.as_ref().is_none_or(full)
    }

    fn append(&mut self, kind: u8, id: Uuid) -> io::Result<()> {
        let Some(active) = &mut self.active else { return Err(io::ErrorKind::NotFound.into()) };
        let content = self.kept.get(&id).map_or(&[][..], Vec::as_slice);
        let sealed = self.frame.build(|out| {
            out.push(kind);
            out.extend_from_slice(id.as_bytes());
            out.extend_from_slice(content);
        });
        active.append(sealed.map_err(io::Error::other)?).map(|_| ())
    }
}

fn parts(payload: &[u8]) -> Option<(u8, Uuid, &[u8])> {
    let (kind, rest) = payload.split_first()?;
    let (id, content) = rest.split_first_chunk::<16>()?;
    Some((*kind, Uuid::from_bytes(*id), content))
}

#[cfg(test)]
#[path = "pending_log_tests.rs"]
mod tests;
