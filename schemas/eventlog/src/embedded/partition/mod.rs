//! One partition: its segments, offsets, durability, retention and compaction.
//!
//! Invariants:
//!
//! * a segment's id is at most the offset of its first record, and segments do not overlap in offsets;
//! * a record is readable only when it is durable: an offset that a consumer saw never changes its record;
//! * an offset is not given twice within a process; those whose sync failed are skipped.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use super::codec;
use crate::segment::files::Files;
use crate::segment::frame::Frame;
use crate::segment::{HEADER_BYTES, Read, SegmentReader, SegmentWriter, list_segments, segment_path};
use crate::{OutRecord, TopicPartition};

/// How long the deletion of a key stays readable in a compacted topic, ms.
const TOMBSTONE_MS: i64 = 24 * 3_600_000;

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
}

#[derive(Debug, Default)]
struct State {
    segments: BTreeMap<u64, Meta>,
    active: Option<SegmentWriter>,
    next_offset: u64,
    /// Everything below is durable and readable.
    visible: u64,
    /// Offsets whose sync failed.
    lost: Vec<Range<u64>>,
    last_timestamp_ms: Option<i64>,
    appended_since_compaction: u64,
    /// Counts compactions: a reader of an older epoch looks its place up again.
    epoch: u64,
    frame: Frame,
}

#[derive(Debug, Clone, Copy)]
struct Meta {
    /// Readable bytes.
    end: u64,
    first_timestamp_ms: Option<i64>,
}

/// Where a reader finds an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Located {
    pub(super) segment: u64,
    pub(super) end: u64,
    pub(super) epoch: u64,
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
        let mut state = State::default();
        let ids = list_segments(&*files, &dir)?;
        if let Some((last, closed)) = ids.split_last() {
            for id in closed {
                let meta = Meta {
                    end: files.open(&segment_path(&dir, *id))?.size()?,
                    first_timestamp_ms: first_timestamp(&*files, &dir, *id)?,
                };
                state.segments.insert(*id, meta);
            }
            state.open_active(&*files, &dir, *last)?;
        }
        Ok(Self { at, files, dir, segment_bytes, state: Mutex::new(state) })
    }

    /// Appends a record and returns its offset. It becomes readable by [`Partition::sync`].
    pub(super) fn append(&self, record: &OutRecord) -> io::Result<u64> {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        if state.active.as_ref().is_none_or(|active| active.end() >= self.segment_bytes) {
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

    /// Makes everything appended so far durable and readable.
    ///
    /// # Errors
    /// The records since the last sync are lost then ([`Fate::Lost`]); the next append starts a segment.
    pub(super) fn sync(&self) -> io::Result<()> {
        let (file, segment, end, offset) = {
            let state = self.state.lock();
            match &state.active {
                Some(active) if state.visible < state.next_offset => {
                    (Arc::clone(active.file()), active.id(), active.end(), state.next_offset)
                }
                _ => return Ok(()),
            }
        };
        let result = file.sync();
        let mut state = self.state.lock();
        if result.is_err() {
            state.give_up_active();
        } else if state.active.as_ref().is_some_and(|active| active.id() == segment) {
            state.visible = offset;
            if let Some(meta) = state.segments.get_mut(&segment) {
                meta.end = end;
            }
        }
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

    /// The segment itself as it is now, and the next one.
    pub(super) fn around(&self, segment: u64) -> (Option<Located>, Option<Located>) {
        let state = self.state.lock();
        let this = state.segments.get(&segment).map(|meta| state.located(segment, *meta));
        let next = state.segments.range(segment + 1..).next().map(|(id, meta)| state.located(*id, *meta));
        (this, next)
    }

    /// Removes segments all of whose records are older than `cutoff_ms`. Called by one thread only.
    pub(super) fn retain(&self, cutoff_ms: i64) -> io::Result<()> {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let stale = state.last_timestamp_ms.is_some_and(|last| last < cutoff_ms);
        let has_records = state.active.as_ref().is_some_and(|active| active.end() > HEADER_BYTES);
        if stale && has_records && state.visible == state.next_offset {
            self.roll(state)?;
        }
        while let Some((&first, _)) = state.segments.first_key_value() {
            let Some((_, next)) = state.segments.range(first + 1..).next() else { break };
            let newest_possible = next.first_timestamp_ms.or(state.last_timestamp_ms);
            if newest_possible.is_none_or(|newest| newest >= cutoff_ms) {
                break;
            }
            self.files.remove(&segment_path(&self.dir, first))?;
            state.segments.remove(&first);
        }
        Ok(())
    }

    /// Keeps the last record of each key when at least `min_appended` records came since the last time.
    /// Called by one thread only.
    pub(super) fn compact(&self, now_ms: i64, min_appended: u64) -> io::Result<()> {
        let closed: Vec<u64> = {
            let mut guard = self.state.lock();
            let state = &mut *guard;
            if state.appended_since_compaction < min_appended || state.visible < state.next_offset {
                return Ok(());
            }
            self.roll(state)?;
            let active = state.active.as_ref().map_or(u64::MAX, SegmentWriter::id);
            state.segments.keys().copied().filter(|id| *id < active).collect()
        };
        let Some(&first) = closed.first() else { return Ok(()) };
        let compacted = self.rewrite(&closed, first, now_ms)?;
        let mut state = self.state.lock();
        state.segments.insert(first, compacted);
        state.epoch += 1;
        state.appended_since_compaction = 0;
        for id in &closed[1..] {
            self.files.remove(&segment_path(&self.dir, *id))?;
            state.segments.remove(id);
        }
        self.files.sync_dir(&self.dir)
    }

    /// Writes the live records of the closed segments to a new file and puts it in the place of the first.
    /// A crash before the others are removed leaves old records beside it, which is harmless.
    fn rewrite(&self, closed: &[u64], first: u64, now_ms: i64) -> io::Result<Meta> {
        let mut last: HashMap<Vec<u8>, u64> = HashMap::new();
        self.visit(closed, |bytes| {
            if let (Some(key), Some(head)) = (codec::key(bytes), codec::head(bytes)) {
                last.insert(key.to_vec(), head.offset);
            }
            Ok(())
        })?;
        let path = self.dir.join("compacted.tmp");
        match self.files.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut writer = SegmentWriter::create_at(&*self.files, &path, first)?;
        let mut frame = Frame::new();
        let mut first_timestamp_ms = None;
        self.visit(closed, |bytes| {
            let (Some(key), Some(head)) = (codec::key(bytes), codec::head(bytes)) else { return Ok(()) };
            let live = last.get(key) == Some(&head.offset);
            if live && (head.has_data || head.timestamp_ms > now_ms - TOMBSTONE_MS) {
                first_timestamp_ms.get_or_insert(head.timestamp_ms);
                let sealed = frame.build(|out| out.extend_from_slice(bytes)).map_err(io::Error::other)?;
                writer.append(sealed)?;
            }
            Ok(())
        })?;
        writer.file().sync()?;
        self.files.rename(&path, &segment_path(&self.dir, first))?;
        self.files.sync_dir(&self.dir)?;
        Ok(Meta { end: writer.end(), first_timestamp_ms })
    }

    fn visit(&self, ids: &[u64], mut see: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        for id in ids {
            let limit = self.around(*id).0.map_or(0, |located| located.end);
            let mut reader = SegmentReader::open(&*self.files, &self.dir, *id)?;
            while let Read::Record { payload, .. } = reader.read(limit)? {
                see(payload)?;
            }
        }
        Ok(())
    }

    /// Closes the active segment (its records must be durable or are made so) and starts the next.
    fn roll(&self, state: &mut State) -> io::Result<()> {
        if let Some(active) = &state.active {
            if active.end() == HEADER_BYTES {
                return Ok(());
            }
            if state.visible < state.next_offset {
                if let Err(error) = active.file().sync() {
                    state.give_up_active();
                    return Err(error);
                }
                let (id, end) = (active.id(), active.end());
                state.visible = state.next_offset;
                if let Some(meta) = state.segments.get_mut(&id) {
                    meta.end = end;
                }
            }
        }
        let writer = match SegmentWriter::create(&*self.files, &self.dir, state.next_offset) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // The empty leftover of a failed creation: step over it.
                state.next_offset += 1;
                state.visible = state.next_offset;
                SegmentWriter::create(&*self.files, &self.dir, state.next_offset)?
            }
            writer => writer?,
        };
        let meta = Meta { end: writer.end(), first_timestamp_ms: None };
        state.segments.insert(writer.id(), meta);
        state.active = Some(writer);
        Ok(())
    }
}

impl State {
    fn open_active(&mut self, files: &dyn Files, dir: &std::path::Path, id: u64) -> io::Result<()> {
        let mut first = None;
        let mut next = id;
        let mut last = None;
        let (writer, opened) = SegmentWriter::open(files, dir, id, |_, bytes| {
            if let Some(head) = codec::head(bytes) {
                first.get_or_insert(head.timestamp_ms);
                last = last.max(Some(head.timestamp_ms));
                next = head.offset + 1;
            }
        })?;
        if opened.torn_bytes > 0 {
            tracing::warn!(dir = %dir.display(), segment = id, bytes = opened.torn_bytes, "cut a torn tail");
        }
        // Records of a killed process may still be in the page cache only; they are readable from now on.
        writer.file().sync()?;
        self.segments.insert(id, Meta { end: writer.end(), first_timestamp_ms: first });
        self.next_offset = next;
        self.visible = next;
        self.last_timestamp_ms = last;
        self.appended_since_compaction = opened.records;
        self.active = Some(writer);
        Ok(())
    }

    /// After a failed sync: what is not durable is lost, and the file is not written again.
    fn give_up_active(&mut self) {
        self.active = None;
        if self.visible < self.next_offset {
            self.lost.push(self.visible..self.next_offset);
            self.visible = self.next_offset;
            // A segment id must be new even if nothing of the failed one was durable.
            self.next_offset += 1;
            self.visible = self.next_offset;
        }
    }

    fn located(&self, segment: u64, meta: Meta) -> Located {
        Located { segment, end: meta.end, epoch: self.epoch }
    }
}

fn first_timestamp(files: &dyn Files, dir: &std::path::Path, id: u64) -> io::Result<Option<i64>> {
    Ok(match SegmentReader::open(files, dir, id)?.read(u64::MAX)? {
        Read::Record { payload, .. } => codec::head(payload).map(|head| head.timestamp_ms),
        Read::End | Read::Torn => None,
    })
}
