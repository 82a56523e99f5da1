//! What keeps the spool in order beside the requests: the durable cursor, deletions, recovery, the next segment.

use std::io;
use std::time::{Duration, Instant};

use tollgate_eventlog::segment::files::Files;
use tollgate_eventlog::segment::{SegmentWriter, segment_path};

use super::Spool;
use super::cursor::Progress;
use super::cursor_file::CursorFile;

/// Cursors are made durable at most this often.
const PERSIST_EVERY: Duration = Duration::from_millis(250);

/// What the cursor file says.
#[derive(Debug)]
pub(super) struct Persisted {
    file: CursorFile,
    progress: Progress,
    at: Option<Instant>,
}

impl Persisted {
    /// The cursor as it was found. Its file is made now, because later there may be no room for it.
    pub(super) fn new(files: &dyn Files, file: CursorFile, progress: Progress) -> Self {
        let mut persisted = Self { file, at: None, progress: progress.clone() };
        if !persisted.file.is_made()
            && let Err(error) = persisted.store(files, &progress)
        {
            tracing::warn!(%error, "the file of the cursor cannot be made yet");
        }
        persisted
    }

    fn store(&mut self, files: &dyn Files, progress: &Progress) -> io::Result<()> {
        self.progress = self.file.store(files, progress)?;
        Ok(())
    }
}

impl Spool {
    /// Everything that is not on the request path: the cursor, deletions, recovery, the next segment.
    pub(crate) fn maintain(&self, now: Instant) {
        let retries = {
            let mut writer = self.writer.lock();
            let is_due = writer.health.retry_is_due(now);
            if is_due {
                // Only a finished segment can be removed, and its removal may be all that is missing.
                writer.finish_active(now);
            }
            is_due
        };
        self.seal_published();
        if let Err(error) = self.persist_progress(now, retries) {
            tracing::warn!(%error, dir = %self.dir.display(), "the cursor cannot be made durable");
        }
        if retries {
            let _ = self.writer.lock().recover(now);
        }
        self.prepare_segment();
    }

    /// Closes the active segment when everything in it is published and the spool is half full, so that it can be
    /// removed: the bound may be smaller than one segment.
    fn seal_published(&self) {
        let cursor = self.progress().cursor;
        let mut writer = self.writer.lock();
        if writer.used_bytes() > self.max_bytes / 2 && writer.is_active_upto(cursor) {
            writer.seal_active();
        }
    }

    /// Closes a segment that cannot be read any more: nothing is written to it.
    pub(crate) fn seal(&self, segment: u64) {
        let mut writer = self.writer.lock();
        if writer.is_active(segment) {
            writer.seal_active();
        }
    }

    fn prepare_segment(&self) {
        let Some(id) = self.writer.lock().wants_prepared() else { return };
        match SegmentWriter::create(&*self.files, &self.dir, id) {
            Ok(segment) => self.writer.lock().set_prepared(segment),
            Err(error) => {
                tracing::debug!(%error, dir = %self.dir.display(), "no segment could be made ahead")
            }
        }
    }

    /// Makes the cursor durable, then removes segments that it has left behind.
    ///
    /// # Errors
    /// When the cursor cannot be made durable or a segment cannot be removed. Only what the last durable cursor
    /// has left behind is removed.
    pub(crate) fn persist_progress(&self, now: Instant, at_once: bool) -> io::Result<()> {
        let mut persisted = self.persisted.lock();
        let recent = persisted.at.is_some_and(|at| now.saturating_duration_since(at) < PERSIST_EVERY);
        if recent && !at_once {
            return Ok(());
        }
        persisted.at = Some(now);
        let progress = self.progress();
        let moved =
            (progress.cursor, &progress.open) != (persisted.progress.cursor, &persisted.progress.open);
        let stored = if moved { persisted.store(&*self.files, &progress) } else { Ok(()) };
        // Also when the cursor could not be stored: that there is no room may be the reason.
        self.remove_published(&persisted.progress).and(stored)
    }

    /// Removes what can be removed; says the first reason why something could not.
    fn remove_published(&self, durable: &Progress) -> io::Result<()> {
        let finished = self.writer.lock().finished_segments();
        let mut result = Ok(());
        for (id, _) in finished.into_iter().filter(|(id, end)| durable.is_done_with(*id, *end)) {
            match self.files.remove(&segment_path(&self.dir, id)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => result = result.and(Err(error)),
                _ => self.writer.lock().forget(id),
            }
        }
        result
    }
}
