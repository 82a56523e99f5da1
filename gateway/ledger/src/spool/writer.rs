//! The writing end of the spool: one at a time, under the spool's mutex.
//!
//! Invariants:
//!
//! * an append is one write into the page cache;
//! * what is not known to be on the disk is also in `unsynced` (unless syncs are off), so that a failed sync
//!   loses nothing: it is written again into a fresh segment;
//! * while the disk refuses, nothing is written to the old segment; settlements wait in a bounded list.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tollgate_base::time::now_ms;
use tollgate_eventlog::segment::files::{FileHandle, Files};
use tollgate_eventlog::segment::frame::{Frame, sealed_length};
use tollgate_eventlog::segment::{HEADER_BYTES, SegmentWriter, segment_path};

use super::super::lsn::Lsn;
use super::super::record::{self, Head, Kind};
use super::health::Health;

/// Most that settlements may take in memory while the disk refuses, bytes. Beyond it only the intents'
/// numbers are kept, and the intents' own events are published.
const MAX_DEFERRED_BYTES: usize = 16 << 20;

#[derive(Debug)]
pub(crate) struct Writer {
    files: Arc<dyn Files>,
    dir: PathBuf,
    segment_bytes: u64,
    keep_unsynced: bool,
    active: Option<SegmentWriter>,
    /// The next segment, made ahead so that rotation costs neither a sync nor a file descriptor.
    prepared: Option<SegmentWriter>,
    /// Finished segments and their ends.
    closed: BTreeMap<u64, u64>,
    closed_bytes: u64,
    next_segment: u64,
    /// Whether the active segment had to grow because no next one could be made.
    lacks_next: bool,
    /// Sealed frames that are not known to be on the disk, oldest first.
    unsynced: Vec<u8>,
    /// How many bytes went through `unsynced` before its first.
    unsynced_from: u64,
    /// Finished files that hold unsynced frames, each with the end of its frames in the count of
    /// `unsynced_from`: a sync that comes late must not take a file off that it has not seen.
    older: Vec<(u64, Arc<dyn FileHandle>)>,
    pub(super) health: Health,
    deferred: VecDeque<Vec<u8>>,
    deferred_bytes: usize,
    /// Intents whose settlement did not fit into memory either, and orphans not yet released.
    releases: Vec<u64>,
    /// The last sequence number that was used up.
    pub(super) last_seq: u64,
    /// Whether the record with the last sequence number was written: no number is given after it.
    pub(super) is_ended: bool,
}

/// What a sync has to do, taken under the lock and done outside it.
#[derive(Debug)]
pub(crate) struct SyncWork {
    pub(super) files: Vec<Arc<dyn FileHandle>>,
    upto: u64,
}

impl Writer {
    pub(super) fn new(
        files: Arc<dyn Files>,
        dir: PathBuf,
        segment_bytes: u64,
        keep_unsynced: bool,
        closed: BTreeMap<u64, u64>,
        next_segment: u64,
    ) -> Self {
        let closed_bytes = closed.values().sum();
        Self {
            files,
            dir,
            segment_bytes,
            keep_unsynced,
            active: None,
            prepared: None,
            closed,
            closed_bytes,
            next_segment,
            lacks_next: false,
            unsynced: Vec::new(),
            unsynced_from: 0,
            older: Vec::new(),
            health: Health::Good,
            deferred: VecDeque::new(),
            deferred_bytes: 0,
            releases: Vec::new(),
            last_seq: 0,
            is_ended: false,
        }
    }

    /// Puts the active segment on the disk, whatever the policy is.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(super) fn sync_active(&mut self) -> io::Result<()> {
        let synced = self.active.as_ref().map_or(Ok(()), |active| active.file().sync());
        synced.inspect_err(|error| {
            let error = Arc::new(io::Error::new(error.kind(), error.to_string()));
            self.health.fail(error, true, Instant::now());
        })
    }

    /// Appends a sealed frame.
    ///
    /// # Errors
    /// When the disk refuses, now or since an earlier attempt.
    pub(super) fn append(&mut self, sealed: &mut [u8]) -> Result<Lsn, Arc<io::Error>> {
        if let Some(error) = self.health.error() {
            return Err(Arc::clone(error));
        }
        let written = self.make_room(sealed.len() as u64).and_then(|()| match &mut self.active {
            Some(active) => active.append(sealed).map(|offset| Lsn { segment: active.id(), offset }),
            None => Err(io::ErrorKind::NotFound.into()),
        });
        match written {
            Ok(at) => {
                if self.keep_unsynced {
                    self.unsynced.extend_from_slice(sealed);
                }
                Ok(at)
            }
            Err(error) => {
                if let Some(active) = &self.active {
                    // Blocks of a record that did not fit are missing elsewhere.
                    let _ = active.file().set_size(active.end());
                }
                let error = Arc::new(error);
                self.health.fail(Arc::clone(&error), false, Instant::now());
                tracing::error!(%error, dir = %self.dir.display(), "the spool cannot be written");
                Err(error)
            }
        }
    }

    /// Goes on in the next segment when the active one is full. If none can be made now, for lack of a file
    /// descriptor for example, the active one grows beyond its size: that is no reason to refuse anybody.
    fn make_room(&mut self, bytes: u64) -> io::Result<()> {
        let full =
            |active: &SegmentWriter| active.end() > HEADER_BYTES && active.end() + bytes > self.segment_bytes;
        if !self.active.as_ref().is_none_or(full) {
            return Ok(());
        }
        if let Some(prepared) = self.prepared.take() {
            self.replace_active(prepared);
        } else if self.active.is_none() || !self.lacks_next {
            match self.create() {
                Ok(next) => self.replace_active(next),
                Err(error) if self.active.is_none() => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, dir = %self.dir.display(), "no next segment; this one grows");
                    self.lacks_next = true;
                }
            }
        }
        Ok(())
    }

    fn replace_active(&mut self, next: SegmentWriter) {
        // Ids ascend in the order of writing, so a segment made ahead is of no use behind a later one.
        if let Some(overtaken) = self.prepared.take_if(|prepared| prepared.id() < next.id()) {
            let _ = self.files.remove(&segment_path(&self.dir, overtaken.id()));
        }
        self.close_active();
        self.active = Some(next);
        self.lacks_next = false;
    }

    pub(super) fn is_active(&self, id: u64) -> bool {
        self.active.as_ref().is_some_and(|active| active.id() == id)
    }

    /// Whether the active segment has records, and all of them are before `at`.
    pub(super) fn is_active_upto(&self, at: Lsn) -> bool {
        let upto = |active: &SegmentWriter| {
            active.id() == at.segment && active.end() <= at.offset && active.end() > HEADER_BYTES
        };
        self.active.as_ref().is_some_and(upto)
    }

    /// Closes the active segment before it has its size. The next record begins another one.
    pub(super) fn seal_active(&mut self) {
        match self.prepared.take() {
            Some(next) => self.replace_active(next),
            None => self.close_active(),
        }
    }

    fn close_active(&mut self) {
        let Some(old) = self.active.take() else { return };
        if old.end() == HEADER_BYTES && self.files.remove(&segment_path(&self.dir, old.id())).is_ok() {
            // Nobody would ever come past an empty segment and have it removed.
            return;
        }
        self.closed_bytes += old.end();
        self.closed.insert(old.id(), old.end());
        if !self.unsynced.is_empty() {
            self.older.push((self.unsynced_end(), Arc::clone(old.file())));
        }
    }

    fn create(&mut self) -> io::Result<SegmentWriter> {
        let id = self.next_segment;
        self.next_segment += 1;
        SegmentWriter::create(&*self.files, &self.dir, id)
    }

    /// The id for the segment that is made ahead, `None` if there is one. It is made long before it is needed,
    /// so that rotation works without a free descriptor.
    pub(super) fn wants_prepared(&mut self) -> Option<u64> {
        if self.prepared.is_some() || self.health.error().is_some() {
            return None;
        }
        let id = self.next_segment;
        self.next_segment += 1;
        Some(id)
    }

    pub(super) fn set_prepared(&mut self, segment: SegmentWriter) {
        // A rotation may have happened meanwhile: ids must ascend, so an overtaken segment is not used.
        let newest = self.active.as_ref().map(SegmentWriter::id).max(self.closed.keys().next_back().copied());
        if self.prepared.is_none() && newest < Some(segment.id()) {
            self.prepared = Some(segment);
        } else {
            let _ = self.files.remove(&segment_path(&self.dir, segment.id()));
        }
    }

    /// Keeps a settlement in memory until the disk takes records again. The end of the boot is kept in any case: no
    /// intent can stand in for it.
    pub(super) fn defer(&mut self, sealed: &[u8], intent: u64) {
        if intent == 0 || self.deferred_bytes + sealed.len() <= MAX_DEFERRED_BYTES {
            self.deferred_bytes += sealed.len();
            self.deferred.push_back(sealed.to_vec());
        } else {
            self.release_later(intent);
        }
    }

    /// Has the intent's own event published as soon as the disk takes records.
    pub(super) fn release_later(&mut self, intent: u64) {
        self.releases.push(intent);
    }

    pub(super) fn deferred(&self) -> u64 {
        (self.deferred.len() + self.releases.len()) as u64
    }

    /// What must be synced; `None` if everything is on the disk or the disk refuses.
    pub(super) fn sync_work(&self) -> Option<SyncWork> {
        let active =
            self.active.as_ref().filter(|_| !self.unsynced.is_empty() && self.health.error().is_none())?;
        let older = self.older.iter().map(|(_, file)| file);
        let files = older.chain([active.file()]).map(Arc::clone).collect();
        Some(SyncWork { files, upto: self.unsynced_end() })
    }

    /// Bytes that went through `unsynced` so far.
    fn unsynced_end(&self) -> u64 {
        self.unsynced_from + self.unsynced.len() as u64
    }

    /// Notes that everything is on the disk.
    fn forget_unsynced(&mut self) {
        self.unsynced_from = self.unsynced_end();
        self.unsynced.clear();
        self.older.clear();
    }

    pub(super) fn unsynced_bytes(&self) -> usize {
        self.unsynced.len()
    }

    /// Notes that the sync of `work` has reported success.
    pub(super) fn synced(&mut self, work: &SyncWork) {
        if self.health.sync_failed() {
            // Another sync of these files failed meanwhile. The kernel tells that once, so this success may be the
            // answer to pages that were dropped.
            return;
        }
        let done = usize::try_from(work.upto.saturating_sub(self.unsynced_from)).unwrap_or(0);
        self.unsynced.drain(..done.min(self.unsynced.len()));
        self.unsynced_from = self.unsynced_from.max(work.upto);
        self.older.retain(|(end, _)| *end > work.upto);
    }

    /// Makes a fresh segment with everything that is not on the disk yet, and goes on in it.
    ///
    /// # Errors
    /// When the disk still refuses; the next attempt is due later.
    pub(super) fn recover(&mut self, now: Instant) -> Result<(), Arc<io::Error>> {
        self.finish_active(now);
        match self.rewrite() {
            Ok(fresh) => {
                self.forget_unsynced();
                self.deferred.clear();
                self.deferred_bytes = 0;
                self.releases.clear();
                self.replace_active(fresh);
                self.health = Health::Good;
                tracing::info!(dir = %self.dir.display(), "the spool can be written again");
                Ok(())
            }
            Err(error) => {
                let error = Arc::new(error);
                self.health.fail(Arc::clone(&error), false, now);
                Err(error)
            }
        }
    }

    /// Closes a segment that refused a record or a sync: nothing goes into it any more, and when it is
    /// published it can be removed.
    pub(super) fn finish_active(&mut self, now: Instant) {
        if !self.health.sync_failed() {
            // What was written before need not be repeated if it is on the disk.
            let older = self.older.iter().map(|(_, file)| file);
            let active = self.active.as_ref().map(SegmentWriter::file);
            let synced = older.chain(active).try_for_each(|file| file.sync());
            match synced {
                Ok(()) => self.forget_unsynced(),
                // The kernel may have dropped the pages: the file must not be synced again.
                Err(error) => self.health.fail(Arc::new(error), true, now),
            }
        }
        self.close_active();
        if self.health.sync_failed() {
            // These are never synced again, and an open file keeps its space after its removal.
            self.older.clear();
        }
    }

    /// A fresh, durable segment with the frames that are in memory only.
    fn rewrite(&mut self) -> io::Result<SegmentWriter> {
        let mut fresh = match self.prepared.take() {
            Some(prepared) => prepared,
            None => self.create()?,
        };
        let result = self.copy_into(&mut fresh).and_then(|()| fresh.file().sync());
        if let Err(error) = result {
            // Should it stay, its records are published twice, which harms nothing.
            let _ = self.files.remove(&segment_path(&self.dir, fresh.id()));
            return Err(error);
        }
        Ok(fresh)
    }

    fn copy_into(&mut self, fresh: &mut SegmentWriter) -> io::Result<()> {
        let mut rest = &mut self.unsynced[..];
        while let Some(length) = sealed_length(rest) {
            let (frame, behind) = rest.split_at_mut(length);
            fresh.append(frame)?;
            rest = behind;
        }
        for frame in &mut self.deferred {
            fresh.append(frame)?;
        }
        let mut frame = Frame::new();
        for intent in &self.releases {
            let head = Head { kind: Kind::Release, intent: *intent, written_ms: now_ms() };
            let sealed = frame.build(|out| record::encode(out, head, None)).map_err(io::Error::other)?;
            fresh.append(sealed)?;
        }
        Ok(())
    }

    /// Readable bytes of a segment, and whether it is finished; `None` if it is gone.
    pub(super) fn readable(&self, id: u64) -> Option<(u64, bool)> {
        match &self.active {
            Some(active) if active.id() == id => Some((active.end(), false)),
            _ => self.closed.get(&id).map(|end| (*end, true)),
        }
    }

    /// The first segment with records behind `id`.
    pub(super) fn next_after(&self, id: u64) -> Option<u64> {
        let closed = self.closed.range(id + 1..).next().map(|(id, _)| *id);
        closed.or_else(|| self.active.as_ref().map(SegmentWriter::id).filter(|active| *active > id))
    }

    /// Segments that are finished, and their ends.
    pub(super) fn finished_segments(&self) -> Vec<(u64, u64)> {
        self.closed.iter().map(|(id, end)| (*id, *end)).collect()
    }

    pub(super) fn forget(&mut self, id: u64) {
        if let Some(end) = self.closed.remove(&id) {
            self.closed_bytes -= end;
        }
    }

    /// Bytes of all segments.
    pub(super) fn used_bytes(&self) -> u64 {
        self.closed_bytes + self.active.as_ref().map_or(0, SegmentWriter::end)
    }

    /// Bytes from `at` to the end of the spool.
    pub(super) fn bytes_behind(&self, at: Lsn) -> u64 {
        let active = self.active.iter().map(|active| (active.id(), active.end()));
        let all = self.closed.range(at.segment..).map(|(id, end)| (*id, *end)).chain(active);
        let start = |id: u64| if id == at.segment { at.offset.max(HEADER_BYTES) } else { HEADER_BYTES };
        all.filter(|(id, _)| *id >= at.segment).map(|(id, end)| end.saturating_sub(start(id))).sum()
    }
}
