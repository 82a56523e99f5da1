//! The durable outbox: everything that must reach the event log stands here first.
//!
//! ```text
//! DIR/lock                held by the one process that uses the folder
//! DIR/NNN.seg             records, see `record`; every process starts a segment of its own
//! DIR/progress            how far publishing has come
//! DIR/dead-letters/       events that nobody took, see `letters`
//! ```
//!
//! Invariants:
//!
//! * a record is in the page cache before its writer goes on: `kill -9` loses nothing;
//! * a segment is removed only after a cursor behind it was made durable, and never while it holds an intent
//!   that is still open;
//! * an intent of a dead process gets a release record at the next start, so its own event is published
//!   unchanged; a crash during recovery only leaves fewer intents to recover;
//! * whatever fails, the spool goes on by itself in a fresh segment when the disk takes records again;
//! * to free space needs no space and no file descriptor, so a volume that the spool itself has filled recovers
//!   when the event log takes records again.
//!
//! One limit is known: records whose sync failed, whose process was then killed before it could write them
//! again, and which then meet a power cut, are lost: the next process sees them in the page cache and cannot
//! know that the disk has not got them.
//!
//! Modules in reading order: `writer` (appends), `health` (when to try again), `cursor`, `cursor_file`, `recover`
//! (start), `maintain`, `letters`, `volume` (the bound), `tail` (the publisher's reading end).

mod cursor;
mod cursor_file;
mod health;
mod letters;
mod maintain;
mod recover;
mod tail;
#[cfg(test)]
mod tests;
pub(crate) mod volume;
mod writer;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::{Mutex, MutexGuard};
use tollgate_eventlog::segment::files::{Files, LockGuard};
use tollgate_eventlog::segment::segment_path;

pub(crate) use self::cursor::Progress;
use self::letters::Letters;
use self::maintain::Persisted;
pub(crate) use self::tail::{Rereader, Span, Tail};
use self::writer::Writer;
use super::error::LedgerError;
use super::options::{FsyncPolicy, Recovered};
use super::record::Kind;
use super::status::{Counters, count};

/// Content is shed when the spool is this full, in quarters of its bound.
const CONTENT_QUARTERS: u64 = 3;

/// Most that dead letters may take, bytes: so many can be copied at a start without a noticeable wait.
const MAX_LETTER_BYTES: u64 = 64 << 20;

/// Unsynced bytes at which a writer syncs by itself, because nobody else seems to.
const SYNC_AT_BYTES: usize = 8 << 20;

/// How important a record is when room runs short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Shed first.
    Content,
    /// Refused when the spool is full.
    Usage,
    /// Taken in any case: its intent was accepted, or the process is about to end.
    Owed {
        /// The intent; 0 if the record belongs to no attempt.
        intent: u64,
    },
}

#[derive(Debug)]
pub(crate) struct Spool {
    pub(crate) files: Arc<dyn Files>,
    pub(crate) dir: PathBuf,
    fsync: FsyncPolicy,
    max_bytes: u64,
    writer: Mutex<Writer>,
    /// One sync at a time: those who wait find their records synced by the one before.
    syncing: Mutex<()>,
    progress: Mutex<Progress>,
    persisted: Mutex<Persisted>,
    letters: Mutex<Letters>,
    /// What the letters take, bytes: part of the spool's bound.
    letter_bytes: AtomicU64,
    pub(crate) counters: Counters,
    /// Numbers of this process's intents are above this.
    pub(crate) first_intent: u64,
    _lock: Box<dyn LockGuard>,
}

#[derive(Debug, Clone)]
pub(crate) struct SpoolOptions {
    pub(crate) dir: PathBuf,
    pub(crate) fsync: FsyncPolicy,
    pub(crate) max_bytes: u64,
    pub(crate) segment_bytes: u64,
}

impl Spool {
    /// Opens the folder and recovers what earlier processes left.
    pub(crate) fn open(
        files: Arc<dyn Files>,
        options: SpoolOptions,
    ) -> Result<(Self, Recovered), LedgerError> {
        let SpoolOptions { dir, fsync, max_bytes, segment_bytes } = options;
        let failed = |source: io::Error| LedgerError::Open { dir: dir.clone(), source: Arc::new(source) };
        files.create_dir(&dir).map_err(failed)?;
        let lock = files.lock(&dir.join("lock")).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => LedgerError::Locked(dir.clone()),
            _ => failed(error),
        })?;
        let found = recover::scan(&*files, &dir).map_err(failed)?;
        let (recovered, counters) = (found.summary(), found.counters());
        if fsync != FsyncPolicy::None {
            sync_earlier(&*files, &dir, &found.segments).map_err(failed)?;
        }
        let persisted = Mutex::new(Persisted::new(&*files, found.cursor_file, found.progress.clone()));
        let mut writer = Writer::new(
            Arc::clone(&files),
            dir.clone(),
            segment_bytes,
            fsync != FsyncPolicy::None,
            found.segments,
            found.next_segment,
        );
        for id in found.empty {
            // Made ahead by a process that ended. One that stays is met again by the next start.
            let _ = files.remove(&segment_path(&dir, id));
        }
        found.orphans.iter().for_each(|intent| writer.release_later(*intent));
        if let Err(error) = writer.recover(Instant::now()) {
            // A full disk is no reason not to start: nothing is accepted until it takes records.
            tracing::error!(%error, dir = %dir.display(), "the spool cannot be written");
        }
        let mut letters =
            Letters::open(&*files, &dir, MAX_LETTER_BYTES.min(max_bytes / 8)).map_err(failed)?;
        letters.offer_again(&*files, &mut writer, &counters);
        let letter_bytes = AtomicU64::new(letters.bytes());
        let spool = Self {
            files,
            dir: dir.clone(),
            fsync,
            max_bytes,
            writer: Mutex::new(writer),
            syncing: Mutex::new(()),
            progress: Mutex::new(found.progress),
            persisted,
            letters: Mutex::new(letters),
            letter_bytes,
            counters,
            first_intent: found.next_segment << 40,
            _lock: lock,
        };
        Ok((spool, recovered))
    }

    /// Writes down a sealed frame that needs no number of its own.
    ///
    /// # Errors
    /// As the class says: full, shed, or the disk refuses. An owed record is kept in memory then.
    pub(crate) fn write(&self, class: Class, kind: Kind, sealed: &mut [u8]) -> Result<(), LedgerError> {
        let unsynced_bytes = self.append(&mut self.revived(), class, kind, sealed)?;
        self.sync_if_due(unsynced_bytes);
        Ok(())
    }

    /// Writes down the frame that `encode` makes of the next sequence number. The number is used up only if
    /// the frame is taken, so the sequence has no holes; that is why encoding happens under the lock.
    ///
    /// # Errors
    /// When the spool was ended or is full, the disk refuses, or `encode` fails.
    pub(crate) fn write_numbered<'f>(
        &self,
        kind: Kind,
        encode: impl FnOnce(u64) -> Result<&'f mut [u8], LedgerError>,
    ) -> Result<(), LedgerError> {
        let unsynced_bytes = {
            let mut writer = self.revived();
            if writer.is_ended {
                return Err(LedgerError::Closed);
            }
            // Nothing is encoded in vain while everything is refused.
            if let Some(error) = writer.health.error() {
                return Err(LedgerError::Storage(Arc::clone(error)));
            }
            self.admit(Class::Usage, writer.used_bytes(), 1)?;
            let seq = writer.last_seq + 1;
            let unsynced_bytes = self.append(&mut writer, Class::Usage, kind, encode(seq)?)?;
            writer.last_seq = seq;
            unsynced_bytes
        };
        self.sync_if_due(unsynced_bytes);
        Ok(())
    }

    /// Writes down the frame that `encode` makes of the last sequence number, and gives no further ones. Does
    /// nothing the second time.
    ///
    /// # Errors
    /// When the disk refuses; the frame is kept in memory then.
    pub(crate) fn write_last<'f>(
        &self,
        encode: impl FnOnce(u64) -> Result<&'f mut [u8], LedgerError>,
    ) -> Result<(), LedgerError> {
        let mut writer = self.revived();
        if std::mem::replace(&mut writer.is_ended, true) {
            return Ok(());
        }
        let sealed = encode(writer.last_seq)?;
        self.append(&mut writer, Class::Owed { intent: 0 }, Kind::Event, sealed).map(|_| ())
    }

    /// The writer, after an attempt to go on in a fresh segment if that is due: also without the spool actor
    /// the ledger comes back by itself.
    fn revived(&self) -> MutexGuard<'_, Writer> {
        let mut writer = self.writer.lock();
        if writer.health.error().is_some() && writer.health.retry_is_due(Instant::now()) {
            let _ = writer.recover(Instant::now());
        }
        writer
    }

    /// Appends a frame and returns how many bytes wait for a sync.
    fn append(
        &self,
        writer: &mut Writer,
        class: Class,
        kind: Kind,
        sealed: &mut [u8],
    ) -> Result<usize, LedgerError> {
        self.admit(class, writer.used_bytes(), sealed.len() as u64)?;
        let written = writer.append(sealed).map_err(|error| match class {
            Class::Owed { intent } => {
                writer.defer(sealed, intent);
                LedgerError::Deferred(error)
            }
            Class::Content | Class::Usage => LedgerError::Storage(error),
        });
        if kind.publishes() && matches!(written, Ok(_) | Err(LedgerError::Deferred(_))) {
            count(&self.counters.publishable);
        }
        written.map(|_| writer.unsynced_bytes())
    }

    fn sync_if_due(&self, unsynced_bytes: usize) {
        if self.fsync == FsyncPolicy::Each || unsynced_bytes > SYNC_AT_BYTES {
            // A failure is no failure of the record: it is kept and written again.
            let _ = self.sync();
        }
    }

    fn admit(&self, class: Class, used_bytes: u64, more: u64) -> Result<(), LedgerError> {
        let bound = match class {
            Class::Content => self.max_bytes / 4 * CONTENT_QUARTERS,
            Class::Usage => self.max_bytes,
            Class::Owed { .. } => return Ok(()),
        };
        let used_bytes = used_bytes + self.letter_bytes.load(Ordering::Relaxed);
        if used_bytes + more > bound {
            return Err(LedgerError::Full { used_bytes, max_bytes: self.max_bytes });
        }
        Ok(())
    }

    /// Puts everything written so far on the disk.
    ///
    /// # Errors
    /// When the disk refuses. Nothing is lost: the records are in memory and go into a fresh segment.
    pub(crate) fn sync(&self) -> Result<(), Arc<io::Error>> {
        let _one_at_a_time = self.syncing.lock();
        let work = {
            let writer = self.writer.lock();
            if let Some(error) = writer.health.error() {
                return Err(Arc::clone(error));
            }
            writer.sync_work()
        };
        let Some(work) = work else { return Ok(()) };
        let result = work.files.iter().try_for_each(|file| file.sync());
        let mut writer = self.writer.lock();
        match result {
            Ok(()) => {
                writer.synced(&work);
                Ok(())
            }
            Err(error) => {
                count(&self.counters.failed_fsync);
                tracing::error!(%error, dir = %self.dir.display(), "sync of the spool failed");
                let error = Arc::new(error);
                writer.health.fail(Arc::clone(&error), true, Instant::now());
                Err(error)
            }
        }
    }

    /// When records are forced to the disk.
    pub(crate) fn fsync_policy(&self) -> FsyncPolicy {
        self.fsync
    }

    /// How far publishing has come, by the last report.
    pub(crate) fn progress(&self) -> Progress {
        self.progress.lock().clone()
    }

    /// The publisher reports how far it has come.
    pub(crate) fn set_progress(&self, progress: Progress) {
        *self.progress.lock() = progress;
    }

    /// Keeps a record that neither its topic nor the dead-letter topic takes.
    ///
    /// # Errors
    /// When there is no room for it or the disk refuses.
    pub(crate) fn keep_letter(&self, record: &[u8]) -> io::Result<()> {
        let mut letters = self.letters.lock();
        let kept = letters.keep(&*self.files, record);
        self.letter_bytes.store(letters.bytes(), Ordering::Relaxed);
        kept
    }

    /// Readable bytes of a segment, and whether it is finished.
    pub(crate) fn readable(&self, segment: u64) -> Option<(u64, bool)> {
        self.writer.lock().readable(segment)
    }

    /// The next segment with records.
    pub(crate) fn next_after(&self, segment: u64) -> Option<u64> {
        self.writer.lock().next_after(segment)
    }

    pub(crate) fn gauge(&self) -> Gauge {
        let writer = self.writer.lock();
        let cursor = self.progress.lock().cursor;
        let used_bytes = writer.used_bytes() + self.letter_bytes.load(Ordering::Relaxed);
        Gauge {
            used_bytes,
            backlog_bytes: writer.bytes_behind(cursor),
            deferred: writer.deferred(),
            refusing: writer.health.error().is_some() || used_bytes >= self.max_bytes,
            last_seq: writer.last_seq,
        }
    }
}

/// What a killed process wrote may still be in the page cache alone.
fn sync_earlier(files: &dyn Files, dir: &Path, segments: &BTreeMap<u64, u64>) -> io::Result<()> {
    segments.keys().try_for_each(|id| files.open(&segment_path(dir, *id))?.sync())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gauge {
    pub(crate) used_bytes: u64,
    pub(crate) backlog_bytes: u64,
    pub(crate) deferred: u64,
    pub(crate) refusing: bool,
    pub(crate) last_seq: u64,
}
