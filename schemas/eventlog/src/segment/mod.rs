//! Segment files: append-only runs of checksummed records, shared by the embedded log and the gateway's
//! spool.
//!
//! # Byte layout (integers little-endian)
//!
//! ```text
//! file    header 16 bytes, then frames without gaps
//! header  magic 8 bytes "TGSEG\0\1\n" | segment id u64
//! frame   length u32 (of the payload, 1 ..= MAX_PAYLOAD) | checksum u32 | payload
//! ```
//!
//! The checksum is CRC-32C over length and payload, exclusive-or a mask made of the segment id and the
//! frame's offset. So a frame is valid at one place only: bytes of another segment that a file system shows
//! after a power cut are never taken for records.
//!
//! # Invariants
//!
//! * A record is written by one positioned write behind the last complete record. A failed or short write
//!   leaves bytes that the next write covers and that a reader does not accept.
//! * A reader stops at the first byte that is not a valid frame. It returns every record before the damage
//!   and none behind it; it never searches for the next frame, because a match could be chance.
//! * A segment's file and its folder are synced before the first record goes into it.
//! * A failed `fsync` is never tried again on the same file: the kernel may have dropped the pages and would
//!   report success. The owner goes on in a fresh segment and writes again what was not known to be durable.
//!
//! Modules in reading order: [`files`] (what is needed of a file system), [`frame`], [`SegmentWriter`],
//! [`SegmentReader`]; `fake` is a file system in memory with power cuts and faults, for tests.

#[cfg(any(test, feature = "fake-files"))]
pub mod fake;
pub mod files;
pub mod frame;
mod reader;
mod small;
#[cfg(test)]
mod tests;
mod writer;

use std::path::{Path, PathBuf};

pub use reader::{Read, SegmentReader};
pub use small::{read_small, write_small};
pub use writer::{Opened, SegmentWriter};

/// Bytes before the first frame.
pub const HEADER_BYTES: u64 = 16;

const MAGIC: [u8; 8] = *b"TGSEG\0\x01\n";
const EXTENSION: &str = ".seg";

/// The file of segment `id` in `dir`: 20 digits, so that names sort as numbers do.
#[must_use]
pub fn segment_path(dir: &Path, id: u64) -> PathBuf {
    dir.join(format!("{id:020}{EXTENSION}"))
}

/// The id in a segment's file name; `None` for other files.
fn segment_id(file_name: &str) -> Option<u64> {
    file_name.strip_suffix(EXTENSION).filter(|digits| digits.len() == 20)?.parse().ok()
}

/// The ids of all segments in `dir`, ascending; empty when there is no such folder.
///
/// # Errors
/// When the folder cannot be read.
pub fn list_segments(files: &dyn files::Files, dir: &Path) -> std::io::Result<Vec<u64>> {
    let mut ids: Vec<u64> = files.list(dir)?.iter().filter_map(|name| segment_id(name)).collect();
    ids.sort_unstable();
    Ok(ids)
}

fn header(id: u64) -> [u8; HEADER_BYTES as usize] {
    let mut bytes = [0; HEADER_BYTES as usize];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..].copy_from_slice(&id.to_le_bytes());
    bytes
}
