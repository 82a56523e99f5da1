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
    /// The next segment, made ahead so that rotation costs no sync.
    prepared: Option<SegmentWriter>,
    /// Finished segments and their ends.
    closed: BTreeMap<u64, u64>,
    closed_bytes: u64,
    next_segment: u64,
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
                let error = Arc::new(error);
                self.health.fail(Arc::clone(&error), false, Instant::now());
                tracing::error!(%error, dir = %self.dir.display(), "the spool cannot be written");
                Err(error)
            }
        }
    }

    /// Rotates when the active segment is full or missing.
    fn make_room(&mut self, bytes: u64) -> io::Result<()> {
        let full =
            |active: &SegmentWriter| active.end() > HEADER_BYTES && active.end() + bytes > self.segment_bytes;
        if !self.active.as_ref().is_none_or(full) {
            return Ok(());
        }
        let next = match self.prepared.take() {
            Some(prepared) => prepared,
            None => self.create()?,
        };
        self.replace_active(next);
        Ok(())
    }

    fn replace_active(&mut self, next: SegmentWriter) {
        // Ids ascend in the order of writing, so a segment made ahead is of no use behind a later one.
        if let Some(overtaken) = self.prepared.take_if(|prepared| prepared.id() < next.id()) {
            let _ = self.files.remove(&segment_path(&self.dir, overtaken.id()));
        }
        if let Some(old) = self.active.replace(next) {
            self.closed_bytes += old.end();
            self.closed.insert(old.id(), old.end());
            if !self.unsynced.is_empty() {
                self.older.push((self.unsynced_end(), Arc::clone(old.file())));
            }
        }
    }

    fn create(&mut self) -> io::Result<SegmentWriter> {
        let id = self.next_segment;
        self.next_segment += 1;
        SegmentWriter::create(&*self.files, &self.dir, id)
    }

    /// The id for a segment that is made ahead, when it is time to make one.
    pub(super) fn wants_prepared(&mut self) -> Option<u64> {
        let half_full = self.active.as_ref().is_some_and(|active| active.end() > self.segment_bytes / 2);
        if self.prepared.is_some() || !half_full || self.health.error().is_some() {
            return None;
        }
        let id = self.next_segment;
        self.next_segment += 1;
        Some(id)
    }

    pub(super) fn set_prepared(&mut self, segment: SegmentWriter) {
        // A rotation may have happened meanwhile: ids must ascend, so an overtaken segment is not used.
        if self.active.as_ref().is_none_or(|active| active.id() < segment.id()) {
            self.prepared = Some(segment);
        } else {
            let _ = self.files.remove(&segment_path(&self.dir, segment.id()));
        }
    }

    /// Keeps a settlement in memory until the disk takes records again.
    pub(super) fn defer(&mut self, sealed: &[u8], intent: u64) {
        if self.deferred_bytes + sealed.len() <= MAX_DEFERRED_BYTES {
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

    /// What must be synced; none when everything is on the disk or the disk refuses.
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

    pub(super) fn synced(&mut self, work: &SyncWork) {
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
        self.sync_written(now);
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

    /// Puts what was written on the disk if only writing had failed, so that it need not be repeated.
    fn sync_written(&mut self, now: Instant) {
        let Some(active) = self.active.as_ref().filter(|_| !self.health.sync_failed()) else { return };
        let older = self.older.iter().map(|(_, file)| file);
        let synced = older.chain([active.file()]).try_for_each(|file| file.sync());
        match synced {
            Ok(()) => self.forget_unsynced(),
            // The kernel may have dropped the pages: the file must not be synced again.
            Err(error) => self.health.fail(Arc::new(error), true, now),
        }
    }

    /// A fresh, durable segment with the frames that are in memory only.
    fn rewrite(&mut self) -> io::Result<SegmentWriter> {
        let mut fresh = self.create()?;
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
            let head = Head { kind: Kind::Release, intent: *intent, written_ms: super::unix_ms() };
            let sealed = frame.build(|out| record::encode(out, head, None)).map_err(io::Error::other)?;
            fresh.append(sealed)?;
        }
        Ok(())
    }

    /// Readable bytes of a segment, and whether it is finished; none when it is gone.
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

    pub(super) fn closed_segments(&self) -> Vec<u64> {
        self.closed.keys().copied().collect()
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
