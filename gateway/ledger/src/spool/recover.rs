//! Reads what earlier processes left: only segments that are not published yet.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use tollgate_eventlog::segment::files::Files;
use tollgate_eventlog::segment::{HEADER_BYTES, Read, SegmentReader, list_segments, segment_path};

use super::super::lsn::Lsn;
use super::super::options::Recovered;
use super::super::record::{self, Kind};
use super::super::status::Counters;
use super::cursor::Progress;
use super::cursor_file::CursorFile;

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) progress: Progress,
    pub(super) cursor_file: CursorFile,
    /// Segments and the end of their last complete record.
    pub(super) segments: BTreeMap<u64, u64>,
    /// Segments without a record, which no cursor would ever come past.
    pub(super) empty: Vec<u64>,
    /// Intents of which nothing more was heard.
    pub(super) orphans: Vec<u64>,
    /// Records that wait to be published.
    pub(super) backlog: u64,
    pub(super) torn_bytes: u64,
    /// An id above every one that was ever used.
    pub(super) next_segment: u64,
}

impl Found {
    pub(super) fn summary(&self) -> Recovered {
        Recovered {
            orphans: self.orphans.len() as u64,
            backlog_records: self.backlog,
            segments: self.segments.len() as u64,
            bytes: self.segments.values().sum(),
            torn_bytes: self.torn_bytes,
        }
    }

    pub(super) fn counters(&self) -> Counters {
        let orphans = self.orphans.len() as u64;
        Counters {
            recovered: orphans.into(),
            damaged_bytes: self.torn_bytes.into(),
            publishable: (self.backlog + orphans).into(),
            ..Counters::default()
        }
    }
}

/// Reads the spool's folder. Nothing is changed, so a crash in here costs nothing.
pub(super) fn scan(files: &dyn Files, dir: &Path) -> io::Result<Found> {
    let (cursor_file, progress) = CursorFile::load(files, dir)?;
    let mut found = Found {
        progress: progress.unwrap_or_default(),
        cursor_file,
        segments: BTreeMap::new(),
        empty: Vec::new(),
        orphans: Vec::new(),
        backlog: 0,
        torn_bytes: 0,
        next_segment: 0,
    };
    let cursor = found.progress.cursor;
    let mut open = found.progress.open.clone();
    for id in list_segments(files, dir)? {
        if id < cursor.segment {
            found.segments.insert(id, files.open(&segment_path(dir, id))?.size()?);
        } else {
            let from = if id == cursor.segment { cursor.offset } else { 0 };
            scan_segment(files, dir, id, from, &mut open, &mut found)?;
        }
    }
    found.orphans = open.into_keys().collect();
    if found.progress == Progress::default() && !found.segments.is_empty() {
        tracing::warn!(dir = %dir.display(), "no cursor can be read; everything in the spool is published");
    }
    let used = found.segments.keys().chain(&found.empty).copied();
    let named = found.progress.open.values().map(|at| at.segment).chain([cursor.segment]);
    found.next_segment = used.chain(named).max().unwrap_or(0) + 1;
    Ok(found)
}

fn scan_segment(
    files: &dyn Files,
    dir: &Path,
    id: u64,
    from: u64,
    open: &mut BTreeMap<u64, Lsn>,
    found: &mut Found,
) -> io::Result<()> {
    let file = files.open(&segment_path(dir, id))?;
    let size = file.size()?;
    let mut reader = SegmentReader::new(file, id)?;
    // After a power cut the cursor may lie behind the end of what is left.
    reader.seek(from.min(size));
    while let Read::Record { offset, payload } = reader.read(u64::MAX)? {
        let Some(head) = record::head(payload) else { continue };
        match head.kind {
            Kind::Intent => {
                open.insert(head.intent, Lsn { segment: id, offset });
            }
            Kind::Settle | Kind::Release => {
                open.remove(&head.intent);
            }
            Kind::Event | Kind::Content => {}
        }
        found.backlog += u64::from(head.kind.publishes());
    }
    let end = reader.offset();
    if size == 0 || size == HEADER_BYTES && end == HEADER_BYTES {
        found.empty.push(id);
        return Ok(());
    }
    found.torn_bytes += size.saturating_sub(end);
    found.segments.insert(id, end.max(HEADER_BYTES));
    Ok(())
}
