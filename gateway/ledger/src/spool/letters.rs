//! Dead letters that not even their topic takes, kept on the disk.
//!
//! ```text
//! DIR/dead-letters/NNN.seg    spool records; earlier releases wrote a segment for each
//! ```
//!
//! Invariants:
//!
//! * letters count as part of the spool, and are bounded: when there is no room for another one, its event stays
//!   in the spool and is tried again;
//! * every start offers each letter once more to the event log, because what refused it may have been mended. It is
//!   removed when its copy in the spool is on the disk.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use tollgate_base::time::now_ms;
use tollgate_eventlog::segment::files::Files;
use tollgate_eventlog::segment::frame::Frame;
use tollgate_eventlog::segment::{
    HEADER_BYTES, Read, SegmentReader, SegmentWriter, list_segments, segment_path,
};

use super::super::record::{self, Head, Kind};
use super::super::status::Counters;
use super::writer::Writer;

/// The letters of a spool.
#[derive(Debug)]
pub(super) struct Letters {
    dir: PathBuf,
    /// Most that all letters may take, bytes.
    max_bytes: u64,
    /// The segment that letters go to; made with the first one.
    active: Option<SegmentWriter>,
    /// Other segments, and their sizes.
    earlier: Vec<(u64, u64)>,
    next_segment: u64,
}

impl Letters {
    /// # Errors
    /// When the folder cannot be read.
    pub(super) fn open(files: &dyn Files, spool: &Path, max_bytes: u64) -> io::Result<Self> {
        let dir = spool.join("dead-letters");
        let mut earlier = Vec::new();
        for id in list_segments(files, &dir)? {
            earlier.push((id, files.open(&segment_path(&dir, id))?.size()?));
        }
        let next_segment = earlier.last().map_or(1, |(id, _)| id + 1);
        Ok(Self { dir, max_bytes, active: None, earlier, next_segment })
    }

    /// What they take on the disk, bytes.
    pub(super) fn bytes(&self) -> u64 {
        let earlier: u64 = self.earlier.iter().map(|(_, size)| size).sum();
        earlier + self.active.as_ref().map_or(0, SegmentWriter::end)
    }

    /// Keeps a spool record, durably.
    ///
    /// # Errors
    /// When there is no room for it or the disk refuses.
    pub(super) fn keep(&mut self, files: &dyn Files, record: &[u8]) -> io::Result<()> {
        let mut frame = Frame::new();
        let sealed = frame.build(|out| out.extend_from_slice(record)).map_err(io::Error::other)?;
        if self.bytes() + HEADER_BYTES + sealed.len() as u64 > self.max_bytes {
            return Err(io::Error::new(
                io::ErrorKind::QuotaExceeded,
                "there is no room for more dead letters",
            ));
        }
        let mut active = match self.active.take() {
            Some(active) => active,
            None => {
                files.create_dir(&self.dir)?;
                let id = self.next_segment;
                self.next_segment += 1;
                SegmentWriter::create(files, &self.dir, id)?
            }
        };
        let kept = active.append(sealed).and_then(|_| active.file().sync());
        match kept {
            Ok(()) => self.active = Some(active),
            // A file whose sync failed must not be synced again.
            Err(_) => self.earlier.push((active.id(), active.end())),
        }
        kept
    }

    /// Writes all letters into the spool again, to be published like new events. When they cannot be read or
    /// written they stay, and some may be published twice.
    pub(super) fn offer_again(&mut self, files: &dyn Files, writer: &mut Writer, counters: &Counters) {
        let mut offered = 0;
        match self.copy_all(files, writer, &mut offered) {
            Ok(()) if offered > 0 => {
                tracing::info!(offered, "dead letters are offered to the event log again");
            }
            Ok(()) => {}
            Err(error) => tracing::warn!(%error, "dead letters cannot be offered again; they are kept"),
        }
        counters.publishable.fetch_add(offered, Ordering::Relaxed);
    }

    fn copy_all(&mut self, files: &dyn Files, writer: &mut Writer, copied: &mut u64) -> io::Result<()> {
        for &(id, _) in &self.earlier {
            copy(SegmentReader::open(files, &self.dir, id)?, writer, copied)?;
        }
        if *copied > 0 {
            writer.sync_active()?;
        }
        while let Some(&(id, _)) = self.earlier.last() {
            files.remove(&segment_path(&self.dir, id))?;
            self.earlier.pop();
        }
        Ok(())
    }
}

fn copy(mut letters: SegmentReader, writer: &mut Writer, copied: &mut u64) -> io::Result<()> {
    let mut frame = Frame::new();
    while let Read::Record { payload, offset } = letters.read(u64::MAX)? {
        let Some(event) = record::decode(payload).and_then(|record| record.event) else {
            tracing::error!(offset, "a dead letter cannot be read and is dropped");
            continue;
        };
        let head = Head { kind: Kind::Event, intent: 0, written_ms: now_ms() };
        let sealed = frame.build(|out| record::encode(out, head, Some(&event))).map_err(io::Error::other)?;
        writer.append(sealed).map_err(io::Error::other)?;
        *copied += 1;
    }
    Ok(())
}
