//! Reads a segment's records in order, also while it is being written.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::files::{FileHandle, Files};
use super::frame::{FRAME_HEADER, Place, is_valid, payload_length};
use super::{HEADER_BYTES, header, segment_path};

/// Bytes read from the file at once.
const CHUNK: usize = 256 << 10;

/// What stands at the reader's position.
#[derive(Debug, PartialEq, Eq)]
pub enum Read<'a> {
    /// A record; the position is now behind it.
    Record {
        /// Where its frame starts.
        offset: u64,
        /// Its bytes.
        payload: &'a [u8],
    },
    /// Nothing more up to the limit; more may be appended later.
    End,
    /// Bytes that are not a valid record. The position stays before them.
    Torn,
}

/// A sequential reader. Records may be appended while it reads, as long as the limit that it is given never lies inside
/// a frame that is still being written.
#[derive(Debug)]
pub struct SegmentReader {
    file: Arc<dyn FileHandle>,
    id: u64,
    offset: u64,
    /// Holds the file's bytes from `buffer_at` on.
    buffer: Vec<u8>,
    buffer_at: u64,
    torn_header: bool,
    tries_exactly: bool,
}

impl SegmentReader {
    /// Reads segment `id` of `dir` from its first record.
    ///
    /// # Errors
    /// When the file cannot be opened or read.
    pub fn open(files: &dyn Files, dir: &Path, id: u64) -> io::Result<Self> {
        Self::new(files.open(&segment_path(dir, id))?, id)
    }

    /// Reads an open file from its first record.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn new(file: Arc<dyn FileHandle>, id: u64) -> io::Result<Self> {
        let mut reader = Self {
            file,
            id,
            offset: HEADER_BYTES,
            buffer: Vec::new(),
            buffer_at: HEADER_BYTES,
            torn_header: false,
            tries_exactly: false,
        };
        let mut found = [0; HEADER_BYTES as usize];
        let got = read_full(&*reader.file, &mut found, 0)?;
        if got < found.len() || found != header(id) {
            reader.torn_header = true;
            reader.offset = 0;
        }
        Ok(reader)
    }

    /// The same reader that asks for one record alone where it could not read ahead: what stands behind a record may be
    /// all that cannot be read.
    #[must_use]
    pub fn trying_exactly(mut self) -> Self {
        self.tries_exactly = true;
        self
    }

    /// Passes over the record at the position without reading it, if its length can be read and it ends at or before
    /// `limit`. Answers the bytes of its frame.
    pub fn pass_over(&mut self, limit: u64) -> Option<u64> {
        let mut head = [0; FRAME_HEADER];
        let got = read_full(&*self.file, &mut head, self.offset).ok().filter(|_| !self.torn_header)?;
        let total = (FRAME_HEADER + payload_length(&head[..got])?) as u64;
        let end = self.offset.checked_add(total).filter(|end| *end <= limit)?;
        self.offset = end;
        Some(total)
    }

    /// Goes on at `offset`, which must be the start of a frame or the end of the segment.
    pub fn seek(&mut self, offset: u64) {
        if !self.torn_header {
            self.offset = offset.max(HEADER_BYTES);
        }
    }

    /// Id of the segment.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Start of the next frame.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next record whose frame ends at or before `limit`, an offset in the file.
    ///
    /// # Errors
    /// As the file says; the position is unchanged.
    pub fn read(&mut self, limit: u64) -> io::Result<Read<'_>> {
        if self.torn_header {
            return Ok(if self.file.size()? == 0 { Read::End } else { Read::Torn });
        }
        let have = self.fill(FRAME_HEADER, limit)?;
        if have == 0 {
            return Ok(Read::End);
        }
        let Some(length) = payload_length(self.window()) else { return Ok(Read::Torn) };
        let total = FRAME_HEADER + length;
        if self.fill(total, limit)? < total {
            return Ok(Read::Torn);
        }
        let place = Place { segment: self.id, offset: self.offset };
        let start = self.start();
        if !is_valid(&self.buffer[start..start + total], place) {
            return Ok(Read::Torn);
        }
        self.offset += total as u64;
        Ok(Read::Record { offset: place.offset, payload: &self.buffer[start + FRAME_HEADER..start + total] })
    }

    /// Makes at least `want` bytes from the position available where file and limit have them; returns how
    /// many there are, at most `want`.
    fn fill(&mut self, want: usize, limit: u64) -> io::Result<usize> {
        let allowed = usize::try_from(limit.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let want = want.min(allowed);
        if self.window().len() < want {
            let present = self.file.size()?.saturating_sub(self.offset);
            let present = usize::try_from(present).unwrap_or(usize::MAX);
            // The memory of the last chunk is used again: a busy spool is read many times a second.
            let mut chunk = std::mem::take(&mut self.buffer);
            chunk.resize(want.max(CHUNK).min(allowed).min(present), 0);
            let mut read = read_full(&*self.file, &mut chunk, self.offset);
            if read.is_err() && self.tries_exactly && chunk.len() > want {
                chunk.truncate(want);
                read = read_full(&*self.file, &mut chunk, self.offset);
            }
            let got = read?;
            chunk.truncate(got);
            self.buffer = chunk;
            self.buffer_at = self.offset;
        }
        Ok(self.window().len().min(want))
    }

    /// Index of the position in the buffer.
    fn start(&self) -> usize {
        match self.offset.checked_sub(self.buffer_at) {
            Some(skip) => usize::try_from(skip).unwrap_or(usize::MAX).min(self.buffer.len()),
            None => self.buffer.len(),
        }
    }

    fn window(&self) -> &[u8] {
        &self.buffer[self.start()..]
    }
}

/// Reads until the buffer is full or the file ends.
fn read_full(file: &dyn FileHandle, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match file.read_at(&mut buffer[got..], offset + got as u64)? {
            0 => break,
            more => got += more,
        }
    }
    Ok(got)
}
