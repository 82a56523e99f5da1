//! What a partition knows of its files.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::Path;

use crate::embedded::codec;
use crate::segment::files::{Files, remove_if_present};
use crate::segment::frame::Frame;
use crate::segment::{Read, SegmentReader, SegmentWriter, list_segments, segment_path};

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) segments: BTreeMap<u64, Meta>,
    /// `None` before the first append and after a failed sync.
    pub(super) active: Option<SegmentWriter>,
    pub(super) next_offset: u64,
    /// Everything below is durable and readable.
    pub(super) visible: u64,
    /// A sync of the active segment is running.
    pub(super) syncing: bool,
    /// Offsets whose sync failed, ascending; neighbours are merged.
    pub(super) lost: Vec<Range<u64>>,
    pub(super) last_timestamp_ms: Option<i64>,
    pub(super) appended_since_compaction: u64,
    /// Counts compactions: a reader of an older epoch looks its place up again.
    pub(super) epoch: u64,
    pub(super) frame: Frame,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Meta {
    /// Readable bytes.
    pub(super) end: u64,
    pub(super) first_timestamp_ms: Option<i64>,
}

/// Where a reader finds an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::embedded) struct Located {
    pub(in crate::embedded) segment: u64,
    pub(in crate::embedded) end: u64,
    pub(in crate::embedded) epoch: u64,
}

impl State {
    /// Looks at all segments in `dir` and reads the last one through.
    pub(super) fn read(files: &dyn Files, dir: &Path) -> io::Result<Self> {
        let mut state = Self::default();
        let mut ids = list_segments(files, dir)?;
        let Some(last) = ids.pop() else { return Ok(state) };
        for id in ids {
            state.add_closed(files, dir, id)?;
        }
        // A segment that could not be made completely nor be removed again is empty, and the one before it went on.
        let goes_on = match state.segments.keys().next_back() {
            Some(&before) if is_empty(files, dir, last)? => {
                last_offset(files, dir, before)?.filter(|offset| *offset >= last).map(|_| before)
            }
            _ => None,
        };
        if let Some(before) = goes_on {
            files.remove(&segment_path(dir, last))?;
            state.open_active(files, dir, before)?;
        } else {
            state.open_active(files, dir, last)?;
        }
        Ok(state)
    }

    /// An empty segment is left out: its id may lie among the offsets of the segment before it.
    fn add_closed(&mut self, files: &dyn Files, dir: &Path, id: u64) -> io::Result<()> {
        let file = files.open(&segment_path(dir, id))?;
        let end = file.size()?;
        match SegmentReader::new(file, id)?.read(u64::MAX)? {
            Read::Record { payload, .. } => {
                let first_timestamp_ms = codec::head(payload).map(|head| head.timestamp_ms);
                self.segments.insert(id, Meta { end, first_timestamp_ms });
            }
            Read::End => {
                if let Err(error) = files.remove(&segment_path(dir, id)) {
                    tracing::warn!(%error, dir = %dir.display(), segment = id, "an empty segment cannot be removed");
                }
            }
            Read::Torn => {
                tracing::error!(dir = %dir.display(), segment = id, "a damaged segment is left out")
            }
        }
        Ok(())
    }

    fn open_active(&mut self, files: &dyn Files, dir: &Path, id: u64) -> io::Result<()> {
        let mut first = None;
        let mut next = id;
        let mut last = None;
        let (mut writer, opened) = SegmentWriter::open(files, dir, id, |_, bytes| {
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
        if writer.file().sync().is_err() {
            // A second sync of this file would succeed without having written them, so they go into a new one.
            writer = copy_to_new_file(files, dir, id, &writer)?;
        }
        self.segments.insert(id, Meta { end: writer.end(), first_timestamp_ms: first });
        self.next_offset = next;
        self.visible = next;
        self.last_timestamp_ms = last;
        self.appended_since_compaction = opened.records;
        self.active = Some(writer);
        Ok(())
    }

    /// Notes that everything below `next_offset`, and below byte `end` of the segment, is durable.
    pub(super) fn set_readable(&mut self, segment: u64, end: u64, next_offset: u64) {
        self.visible = next_offset;
        if let Some(meta) = self.segments.get_mut(&segment) {
            meta.end = end;
        }
    }

    /// Makes a new segment the active one. Everything before it is durable.
    pub(super) fn start_segment(&mut self, writer: SegmentWriter) {
        self.next_offset = writer.id();
        self.visible = writer.id();
        self.segments.insert(writer.id(), Meta { end: writer.end(), first_timestamp_ms: None });
        self.active = Some(writer);
    }

    /// After a failed sync: what is not durable is lost, and the file is not written again.
    pub(super) fn give_up_active(&mut self) {
        if let Some(active) = self.active.take()
            && let Some(meta) = self.segments.get(&active.id())
            && let Err(error) = active.file().set_size(meta.end)
        {
            // The cut keeps the next process from reading, out of the page cache, what never reached the disk.
            tracing::warn!(%error, segment = active.id(), "records whose sync failed could not be cut off");
        }
        if self.visible < self.next_offset {
            // One offset more than was given: a segment id must be new even if nothing of the failed one is durable.
            let lost = self.visible..self.next_offset + 1;
            self.next_offset = lost.end;
            self.visible = lost.end;
            match self.lost.last_mut() {
                Some(before) if before.end == lost.start => before.end = lost.end,
                _ => self.lost.push(lost),
            }
        }
    }

    pub(super) fn located(&self, segment: u64, meta: Meta) -> Located {
        Located { segment, end: meta.end, epoch: self.epoch }
    }
}

fn is_empty(files: &dyn Files, dir: &Path, id: u64) -> io::Result<bool> {
    Ok(!matches!(SegmentReader::open(files, dir, id)?.read(u64::MAX)?, Read::Record { .. }))
}

/// Offset of the segment's last record; `None` if it has none.
fn last_offset(files: &dyn Files, dir: &Path, id: u64) -> io::Result<Option<u64>> {
    let mut reader = SegmentReader::open(files, dir, id)?;
    let mut last = None;
    while let Read::Record { payload, .. } = reader.read(u64::MAX)? {
        last = codec::head(payload).map(|head| head.offset).or(last);
    }
    Ok(last)
}

/// Copies the records of a segment to a new, durable file that takes its name.
fn copy_to_new_file(
    files: &dyn Files,
    dir: &Path,
    id: u64,
    old: &SegmentWriter,
) -> io::Result<SegmentWriter> {
    let path = dir.join("copy.tmp");
    remove_if_present(files, &path)?;
    let mut reader = SegmentReader::new(old.file().clone(), id)?;
    let mut writer = SegmentWriter::create_at(files, &path, id)?;
    let mut frame = Frame::new();
    while let Read::Record { payload, .. } = reader.read(old.end())? {
        let sealed = frame.build(|out| out.extend_from_slice(payload)).map_err(io::Error::other)?;
        writer.append(sealed)?;
    }
    writer.file().sync()?;
    files.rename(&path, &segment_path(dir, id))?;
    files.sync_dir(dir)?;
    Ok(writer)
}
