//! Retention by age and compaction by key. Both are called by one thread only.
//!
//! Each may fail at any step, and is then done again from the start with the next call: nothing is counted as done,
//! and no segment is forgotten, before its file is.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;

use super::Partition;
use super::state::{Meta, State};
use crate::embedded::codec;
use crate::segment::files::remove_if_present;
use crate::segment::frame::Frame;
use crate::segment::{HEADER_BYTES, Read, SegmentReader, SegmentWriter, segment_path};

/// How long the deletion of a key stays readable in a compacted topic, ms.
const TOMBSTONE_MS: i64 = 24 * 3_600_000;

impl Partition {
    /// Removes segments all of whose records are older than `age_ms`.
    pub(in crate::embedded) fn retain(&self, now_ms: i64, age_ms: i64) -> io::Result<()> {
        let mut guard = self.between_syncs();
        let state = &mut *guard;
        // Before a segment is started: that needs a block, which a full disk has only after a removal.
        self.remove_old(state, now_ms, age_ms)?;
        let stale = state.last_timestamp_ms.is_some_and(|last| last < now_ms - age_ms);
        let has_records = state.active.as_ref().is_some_and(|active| active.end() > HEADER_BYTES);
        if stale && has_records && state.visible == state.next_offset {
            self.roll(state)?;
            self.remove_old(state, now_ms, age_ms)?;
        }
        Ok(())
    }

    fn remove_old(&self, state: &mut State, now_ms: i64, age_ms: i64) -> io::Result<()> {
        while let Some((&first, _)) = state.segments.first_key_value() {
            let following = state.segments.range(first + 1..);
            if following.clone().next().is_none() {
                break;
            }
            let begun_at =
                following.filter_map(|(_, meta)| meta.first_timestamp_ms).chain(state.last_timestamp_ms);
            // A time that is still to come was written while the clock was ahead. It would keep everything before it
            // until that day.
            let newest_possible = begun_at.into_iter().find(|at| *at <= now_ms);
            if newest_possible.is_none_or(|newest| newest >= now_ms - age_ms) {
                break;
            }
            self.remove_segment(state, first)?;
        }
        Ok(())
    }

    fn remove_segment(&self, state: &mut State, id: u64) -> io::Result<()> {
        remove_if_present(&*self.files, &segment_path(&self.dir, id))?;
        state.segments.remove(&id);
        Ok(())
    }

    /// Keeps the last record of each key when at least `min_appended` records came since the last time.
    pub(in crate::embedded) fn compact(&self, now_ms: i64, min_appended: u64) -> io::Result<()> {
        let (closed, counted) = {
            let mut guard = self.between_syncs();
            let state = &mut *guard;
            if state.appended_since_compaction < min_appended || state.visible < state.next_offset {
                return Ok(());
            }
            self.roll(state)?;
            let active = state.active.as_ref().map_or(u64::MAX, SegmentWriter::id);
            let closed: Vec<u64> = state.segments.keys().copied().filter(|id| *id < active).collect();
            (closed, state.appended_since_compaction)
        };
        let Some(&first) = closed.first() else { return Ok(()) };
        let compacted = self.write_live(&closed, now_ms)?;
        {
            // Under the lock, so that no reader opens the new file and takes it for the old one.
            let mut state = self.state.lock();
            self.files.rename(&self.compacted_path(), &segment_path(&self.dir, first))?;
            state.segments.insert(first, compacted);
            state.epoch += 1;
        }
        // Before anything is removed: a power cut must not leave the old first segment without the others.
        self.files.sync_dir(&self.dir)?;
        {
            let mut state = self.state.lock();
            for id in &closed[1..] {
                self.remove_segment(&mut state, *id)?;
            }
            state.appended_since_compaction = state.appended_since_compaction.saturating_sub(counted);
        }
        self.files.sync_dir(&self.dir)
    }

    fn compacted_path(&self) -> PathBuf {
        self.dir.join("compacted.tmp")
    }

    /// Writes the live records of the closed segments to a new file that is to take the place of the first.
    /// A crash before the others are removed leaves old records beside it, which is harmless.
    fn write_live(&self, closed: &[u64], now_ms: i64) -> io::Result<Meta> {
        let mut last: HashMap<Vec<u8>, u64> = HashMap::new();
        self.visit(closed, |bytes| {
            if let (Some(key), Some(head)) = (codec::key(bytes), codec::head(bytes)) {
                let newest = last.entry(key.to_vec()).or_default();
                // Not the last one read: old records may stand behind the compacted ones after a crash.
                *newest = head.offset.max(*newest);
            }
            Ok(())
        })?;
        let path = self.compacted_path();
        remove_if_present(&*self.files, &path)?;
        let first = closed.first().copied().unwrap_or_default();
        let mut writer = SegmentWriter::create_at(&*self.files, &path, first)?;
        let mut frame = Frame::new();
        let mut first_timestamp_ms = None;
        let mut next = 0;
        self.visit(closed, |bytes| {
            let (Some(key), Some(head)) = (codec::key(bytes), codec::head(bytes)) else { return Ok(()) };
            let live = last.get(key) == Some(&head.offset) && head.offset >= next;
            if live && (head.has_data || head.timestamp_ms > now_ms - TOMBSTONE_MS) {
                first_timestamp_ms.get_or_insert(head.timestamp_ms);
                let sealed = frame.build(|out| out.extend_from_slice(bytes)).map_err(io::Error::other)?;
                writer.append(sealed)?;
                next = head.offset + 1;
            }
            Ok(())
        })?;
        writer.file().sync()?;
        Ok(Meta { end: writer.end(), first_timestamp_ms })
    }

    fn visit(&self, ids: &[u64], mut see: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        for id in ids {
            let limit = self.around(*id).this.map_or(0, |located| located.end);
            let mut reader = SegmentReader::open(&*self.files, &self.dir, *id)?;
            while let Read::Record { payload, .. } = reader.read(limit)? {
                see(payload)?;
            }
        }
        Ok(())
    }
}
