//! One partition: its segments, offsets and durability. Retention and compaction are in `clean`.
//!
//! Invariants:
//!
//! * a segment's id is at most the offset of its first record, and segments do not overlap in offsets;
//! * a record is readable only when it is durable: an offset that a consumer saw never changes its record;
//! * an offset is not given twice within a process; those whose sync failed are skipped;
//! * what is known in memory changes only after the call to the file system that it describes has succeeded.

mod clean;
mod state;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex, MutexGuard};

use self::state::{Located, State};
use super::codec;
use crate::port::{OutRecord, TopicPartition};
use crate::segment::files::{FileHandle, Files};
use crate::segment::{HEADER_BYTES, SegmentWriter};

/// What became of an appended record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Durable,
    Pending,
    Lost,
}

#[derive(Debug)]
pub(super) struct Partition {
    pub(super) at: TopicPartition,
    pub(super) files: Arc<dyn Files>,
    pub(super) dir: PathBuf,
    segment_bytes: u64,
    state: Mutex<State>,
    sync_ended: Condvar,
}

/// A segment and what is behind it, all seen at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around {
    /// `None` if the segment was removed.
    pub(super) this: Option<Located>,
    pub(super) following: Option<u64>,
    /// Offset behind the last readable record.
    pub(super) visible: u64,
}

/// A sync that is running; [`Partition::end_sync`] takes its result.
struct RunningSync {
    file: Arc<dyn FileHandle>,
    segment: u64,
    end: u64,
    next_offset: u64,
}

impl Partition {
    /// Opens the partition's folder; only the last segment is read through.
    pub(super) fn open(
        files: Arc<dyn Files>,
        dir: PathBuf,
        at: TopicPartition,
        segment_bytes: u64,
    ) -> io::Result<Self> {
        files.create_dir(&dir)?;
        let state = Mutex::new(State::read(&*files, &dir)?);
        Ok(Self { at, files, dir, segment_bytes, state, sync_ended: Condvar::new() })
    }

    /// Appends a record and returns its offset. It becomes readable by [`Partition::sync`].
    ///
    /// # Errors
    /// `InvalidInput` if the record can never be stored. After every other error it may be appended again.
    pub(super) fn append(&self, record: &OutRecord) -> io::Result<u64> {
        let mut guard = self.state.lock();
        while self.must_wait(&guard) {
            self.sync_ended.wait(&mut guard);
        }
        let state = &mut *guard;
        if self.needs_segment(state) {
            self.roll(state)?;
        }
        let offset = state.next_offset;
        let Some(active) = &mut state.active else { return Err(io::ErrorKind::NotFound.into()) };
        let sealed = state
            .frame
            .build(|out| codec::encode(out, offset, record))
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        active.append(sealed)?;
        if let Some(meta) = state.segments.get_mut(&active.id()) {
            meta.first_timestamp_ms.get_or_insert(record.timestamp_ms);
        }
        state.next_offset += 1;
        state.appended_since_compaction += 1;
        state.last_timestamp_ms = state.last_timestamp_ms.max(Some(record.timestamp_ms));
        Ok(offset)
    }

    fn needs_segment(&self, state: &State) -> bool {
        state.active.as_ref().is_none_or(|active| active.end() >= self.segment_bytes)
    }

    /// Whether an append must wait for the sync that is running. A new segment needs a sync of the old one, and of two
    /// syncs of one file only one is told that pages were lost: the other would call them durable.
    fn must_wait(&self, state: &State) -> bool {
        state.syncing && self.needs_segment(state)
    }

    /// The state while no sync is running.
    fn between_syncs(&self) -> MutexGuard<'_, State> {
        let mut guard = self.state.lock();
        while guard.syncing {
            self.sync_ended.wait(&mut guard);
        }
        guard
    }

    /// Makes everything appended so far durable and readable.
    ///
    /// # Errors
    /// The records since the last sync are lost then ([`Fate::Lost`]); the next append starts a segment.
    pub(super) fn sync(&self) -> io::Result<()> {
        let Some(running) = self.begin_sync() else { return Ok(()) };
        // Appends go on meanwhile: the lock is not held.
        let result = running.file.sync();
        self.end_sync(&running, result)
    }

    /// `None` if everything is durable already.
    fn begin_sync(&self) -> Option<RunningSync> {
        let mut state = self.between_syncs();
        if state.visible >= state.next_offset {
            return None;
        }
        let active = state.active.as_ref()?;
        let running = RunningSync {
            file: Arc::clone(active.file()),
            segment: active.id(),
            end: active.end(),
            next_offset: state.next_offset,
        };
        state.syncing = true;
        Some(running)
    }

    fn end_sync(&self, running: &RunningSync, result: io::Result<()>) -> io::Result<()> {
        let mut state = self.state.lock();
        state.syncing = false;
        match result {
            Ok(()) => state.set_readable(running.segment, running.end, running.next_offset),
            Err(_) => state.give_up_active(),
        }
        self.sync_ended.notify_all();
        result
    }

    pub(super) fn fate(&self, offset: u64) -> Fate {
        let state = self.state.lock();
        if state.lost.iter().any(|range| range.contains(&offset)) {
            Fate::Lost
        } else if offset < state.visible {
            Fate::Durable
        } else {
            Fate::Pending
        }
    }

    /// Offset behind the last readable record.
    pub(super) fn visible(&self) -> u64 {
        self.state.lock().visible
    }

    /// The segment that holds `offset`, or the first one behind it.
    pub(super) fn locate(&self, offset: u64) -> Option<Located> {
        let state = self.state.lock();
        let at_or_before = state.segments.range(..=offset).next_back();
        at_or_before.or_else(|| state.segments.first_key_value()).map(|(id, meta)| state.located(*id, *meta))
    }

    /// The segment as it is now, and what is behind it.
    pub(super) fn around(&self, segment: u64) -> Around {
        let state = self.state.lock();
        Around {
            this: state.segments.get(&segment).map(|meta| state.located(segment, *meta)),
            following: state.segments.range(segment + 1..).next().map(|(id, _)| *id),
            visible: state.visible,
        }
    }

    /// Closes the active segment (its records must be durable or are made so) and starts the next. No sync may be
    /// running.
    fn roll(&self, state: &mut State) -> io::Result<()> {
        if let Some(active) = &state.active {
            if active.end() == HEADER_BYTES {
                return Ok(());
            }
            if state.visible < state.next_offset {
                let (id, end) = (active.id(), active.end());
                if let Err(error) = active.file().sync() {
                    state.give_up_active();
                    return Err(error);
                }
                state.set_readable(id, end, state.next_offset);
            }
        }
        let mut id = state.next_offset;
        let writer = loop {
            match SegmentWriter::create(&*self.files, &self.dir, id) {
                // The empty leftover of a failed creation: step over it.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => id += 1,
                created => break created?,
            }
        };
        state.start_segment(writer);
        Ok(())
    }
}
