//! Appends records to one segment file.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::files::{FileHandle, Files, parent};
use super::frame::{Place, toggle_place};
use super::{HEADER_BYTES, Read, SegmentReader, header, segment_path};

/// The only writer of a segment.
#[derive(Debug)]
pub struct SegmentWriter {
    file: Arc<dyn FileHandle>,
    id: u64,
    end: u64,
}

/// What opening an existing segment found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// Complete records.
    pub records: u64,
    /// Bytes behind the last complete record, which were cut off.
    pub torn_bytes: u64,
}

impl SegmentWriter {
    /// Creates segment `id` and makes file and name durable.
    ///
    /// # Errors
    /// When the file exists or cannot be made durable; a half-made one is removed where possible.
    pub fn create(files: &dyn Files, dir: &Path, id: u64) -> io::Result<Self> {
        Self::create_at(files, &segment_path(dir, id), id)
    }

    /// As [`SegmentWriter::create`], under a temporary name: the caller renames it when it is complete.
    ///
    /// # Errors
    /// As [`SegmentWriter::create`].
    pub(crate) fn create_at(files: &dyn Files, path: &Path, id: u64) -> io::Result<Self> {
        let file = files.create(path)?;
        let made = file
            .write_all_at(&header(id), 0)
            .and_then(|()| file.sync())
            .and_then(|()| files.sync_dir(parent(path)));
        if let Err(error) = made {
            // An empty leftover is harmless; the caller goes on with another id.
            let _ = files.remove(path);
            return Err(error);
        }
        Ok(Self { file, id, end: HEADER_BYTES })
    }

    /// Opens segment `id` to append behind its last complete record; a torn tail is cut off. `visit` sees
    /// every record with its offset. The segment's name is durable then.
    ///
    /// # Errors
    /// When the file cannot be read, cut or synced.
    pub fn open(
        files: &dyn Files,
        dir: &Path,
        id: u64,
        mut visit: impl FnMut(u64, &[u8]),
    ) -> io::Result<(Self, Opened)> {
        let file = files.open(&segment_path(dir, id))?;
        let size = file.size()?;
        let mut reader = SegmentReader::new(Arc::clone(&file), id)?;
        let mut records = 0;
        while let Read::Record { offset, payload } = reader.read(u64::MAX)? {
            visit(offset, payload);
            records += 1;
        }
        let end = reader.offset().max(HEADER_BYTES);
        let torn_bytes = size.saturating_sub(reader.offset());
        if size < HEADER_BYTES || reader.offset() != size {
            file.set_size(end)?;
            file.write_all_at(&header(id), 0)?;
            file.sync()?;
        }
        // Whoever made it may have died before its name was durable.
        files.sync_dir(dir)?;
        Ok((Self { file, id, end }, Opened { records, torn_bytes }))
    }

    /// Appends a sealed frame by one write and returns its offset. The frame itself is not changed, so that
    /// it can be written again elsewhere.
    ///
    /// # Errors
    /// As the file says; the segment then ends where it ended before.
    pub fn append(&mut self, sealed: &mut [u8]) -> io::Result<u64> {
        let place = Place { segment: self.id, offset: self.end };
        toggle_place(sealed, place);
        let written = self.file.write_all_at(sealed, self.end);
        toggle_place(sealed, place);
        written?;
        self.end += sealed.len() as u64;
        Ok(place.offset)
    }

    /// The segment's id.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Offset behind the last record: the length of the segment, bytes.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The file, to be synced by whoever groups syncs, and to be read.
    #[must_use]
    pub fn file(&self) -> &Arc<dyn FileHandle> {
        &self.file
    }
}
