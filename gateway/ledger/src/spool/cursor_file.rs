//! The file that says how far publishing has come.
//!
//! ```text
//! two slots of SLOT_BYTES; slot: count u64 | length u32 | CRC-32C of count, length and content u32 | content
//! ```
//!
//! Both slots are written out when the file is made, and afterwards in place, in turn. So moving the cursor needs
//! neither a free block nor a file descriptor: segments can be removed, and a full volume recovers, without help
//! from outside. (A file system that copies on write may still need a block.)
//!
//! Invariant: the slot that was made durable last is not touched until the other one is durable, so a torn or
//! failed write leaves the last progress readable.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tollgate_eventlog::segment::files::{FileHandle, Files};
use tollgate_eventlog::segment::read_small;

use super::cursor::Progress;

/// Room for one progress, with some 5,000 open intents. With more of them the cursor stays a little behind.
const SLOT_BYTES: usize = 128 << 10;

const HEAD_BYTES: usize = 16;
const NAME: &str = "progress";
/// The file of earlier releases, which was replaced as a whole.
const OLD_NAME: &str = "cursor";

/// The cursor's file, opened or made when it is first needed.
#[derive(Debug)]
pub(super) struct CursorFile {
    path: PathBuf,
    file: Option<Arc<dyn FileHandle>>,
    /// Count of the newest durable slot; its parity says which one that is.
    count: u64,
}

impl CursorFile {
    /// Reads the progress in `dir`, `None` if there is none that can be read. Nothing is changed.
    ///
    /// # Errors
    /// As the file system says.
    pub(super) fn load(files: &dyn Files, dir: &Path) -> io::Result<(Self, Option<Progress>)> {
        let path = dir.join(NAME);
        let file = match files.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            file => Some(file?),
        };
        let mut newest = None;
        if let Some(file) = &file {
            for slot in 0..2 {
                newest = newest.max(read_slot(&**file, slot)?);
            }
        }
        let is_complete = match &file {
            Some(file) => file.size()? >= 2 * SLOT_BYTES as u64,
            None => false,
        };
        // A file that was not finished is made again.
        let complete = file.filter(|_| is_complete);
        let (count, progress) = match newest {
            Some((count, content)) => (count, Progress::decode(&content)),
            None => {
                (0, read_small(files, &dir.join(OLD_NAME))?.and_then(|content| Progress::decode(&content)))
            }
        };
        Ok((Self { path, file: complete, count }, progress))
    }

    /// Whether the file is there with room for both slots.
    pub(super) fn is_made(&self) -> bool {
        self.file.is_some()
    }

    /// Makes `progress` durable, or as much of it as fits, and returns that.
    ///
    /// # Errors
    /// As the file system says; the progress before it is then still there.
    pub(super) fn store(&mut self, files: &dyn Files, progress: &Progress) -> io::Result<Progress> {
        let count = self.count + 1;
        let stored = progress.bounded(SLOT_BYTES - HEAD_BYTES);
        let slot = slot_bytes(count, &stored.encode());
        match &self.file {
            Some(file) => {
                file.write_all_at(&slot, offset(count))?;
                file.sync()?;
            }
            None => match self.create(files, &slot, count) {
                Ok(file) => self.file = Some(file),
                // A volume that an earlier release has filled: its own file is all that can be written.
                Err(error) => return self.overwrite_old(files, progress).map_err(|_| error),
            },
        }
        self.count = count;
        Ok(stored)
    }

    /// Writes over the file of an earlier release in place. A torn write leaves no progress, so everything is
    /// published again: better than a volume that stays full.
    fn overwrite_old(&self, files: &dyn Files, progress: &Progress) -> io::Result<Progress> {
        let file = files.open(&self.path.with_file_name(OLD_NAME))?;
        let room = usize::try_from(file.size()?).unwrap_or(0).saturating_sub(4);
        let stored = progress.bounded(room);
        let mut content = stored.encode();
        let crc = crc32c::crc32c(&content);
        content.extend_from_slice(&crc.to_le_bytes());
        file.write_all_at(&content, 0)?;
        file.set_size(content.len() as u64)?;
        file.sync()?;
        Ok(stored)
    }

    /// Writes the whole file out with its first progress in it.
    fn create(&self, files: &dyn Files, slot: &[u8], count: u64) -> io::Result<Arc<dyn FileHandle>> {
        let dir = self.path.parent().unwrap_or(Path::new("."));
        let file = match files.open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => files.create(&self.path)?,
            file => file?,
        };
        let mut content = vec![0; 2 * SLOT_BYTES];
        let at = usize::try_from(offset(count)).map_err(io::Error::other)?;
        content[at..at + slot.len()].copy_from_slice(slot);
        let made =
            file.write_all_at(&content, 0).and_then(|()| file.sync()).and_then(|()| files.sync_dir(dir));
        if let Err(error) = made {
            // Half a file holds space that is missing, and no progress.
            let _ = files.remove(&self.path);
            return Err(error);
        }
        // Should it stay, it is never read again.
        let _ = files.remove(&dir.join(OLD_NAME));
        Ok(file)
    }
}

/// The slots take turns.
fn offset(count: u64) -> u64 {
    (count % 2) * SLOT_BYTES as u64
}

fn slot_bytes(count: u64, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(HEAD_BYTES + content.len());
    bytes.extend_from_slice(&count.to_le_bytes());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&checksum(&bytes, content).to_le_bytes());
    bytes.extend_from_slice(content);
    bytes
}

fn checksum(head: &[u8], content: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(head), content)
}

/// Count and content of a slot, `None` if it holds nothing valid.
fn read_slot(file: &dyn FileHandle, slot: u64) -> io::Result<Option<(u64, Vec<u8>)>> {
    let at = slot * SLOT_BYTES as u64;
    let mut head = [0; HEAD_BYTES];
    if !read_exactly(file, &mut head, at)? {
        return Ok(None);
    }
    let [count @ .., _, _, _, _, _, _, _, _] = head;
    let [.., l0, l1, l2, l3, c0, c1, c2, c3] = head;
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    if length > SLOT_BYTES - HEAD_BYTES {
        return Ok(None);
    }
    let mut content = vec![0; length];
    let is_whole = read_exactly(file, &mut content, at + HEAD_BYTES as u64)?;
    let is_valid = is_whole && checksum(&head[..12], &content) == u32::from_le_bytes([c0, c1, c2, c3]);
    Ok(is_valid.then_some((u64::from_le_bytes(count), content)).filter(|(count, _)| *count > 0))
}

/// Fills the buffer; false when the file ends before.
fn read_exactly(file: &dyn FileHandle, buffer: &mut [u8], at: u64) -> io::Result<bool> {
    let mut got = 0;
    while got < buffer.len() {
        match file.read_at(&mut buffer[got..], at + got as u64)? {
            0 => return Ok(false),
            more => got += more,
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use tollgate_eventlog::segment::fake::FakeFiles;
    use tollgate_eventlog::segment::write_small;

    use super::super::super::lsn::Lsn;
    use super::*;

    const DIR: &str = "/spool";

    fn at(segment: u64) -> Progress {
        Progress { cursor: Lsn { segment, offset: 16 }, ..Progress::default() }
    }

    fn disk() -> FakeFiles {
        let files = FakeFiles::new();
        files.create_dir(Path::new(DIR)).unwrap();
        files
    }

    fn load(files: &FakeFiles) -> (CursorFile, Option<Progress>) {
        CursorFile::load(files, Path::new(DIR)).unwrap()
    }

    #[test]
    fn the_newest_progress_comes_back_also_after_a_power_cut() {
        let files = disk();
        let (mut file, none) = load(&files);
        assert_eq!(none, None);
        for segment in 1..=5 {
            file.store(&files, &at(segment)).unwrap();
            assert_eq!(load(&files.after_power_cut(segment)).1, Some(at(segment)));
        }
        let (mut again, _) = load(&files);
        again.store(&files, &at(6)).unwrap();
        assert_eq!(load(&files).1, Some(at(6)));
    }

    #[test]
    fn moving_the_cursor_needs_neither_room_nor_a_descriptor() {
        let files = disk();
        let (mut file, _) = load(&files);
        file.store(&files, &at(1)).unwrap();
        files.set_free_bytes(Some(0));
        files.fail_opens(u32::MAX);
        file.store(&files, &at(2)).unwrap();
        files.fail_opens(0);
        assert_eq!(load(&files).1, Some(at(2)));
    }

    #[test]
    fn a_torn_or_failed_write_leaves_the_progress_before_it() {
        let files = disk();
        let (mut file, _) = load(&files);
        for segment in 1..=3 {
            file.store(&files, &at(segment)).unwrap();
        }
        files.fail_syncs(1);
        file.store(&files, &at(4)).unwrap_err();
        file.store(&files, &at(5)).unwrap();
        // The third slot written is the older one; the newest is torn.
        files.damage(&Path::new(DIR).join(NAME), |bytes| bytes[20] ^= 1);
        assert_eq!(load(&files).1, Some(at(3)));
        files.damage(&Path::new(DIR).join(NAME), |bytes| bytes[SLOT_BYTES + 20] ^= 1);
        assert_eq!(load(&files).1, None);
    }

    #[test]
    fn the_file_of_an_earlier_release_is_taken_over() {
        let files = disk();
        let old = Path::new(DIR).join(OLD_NAME);
        write_small(&files, &old, &at(7).encode()).unwrap();
        let (mut file, progress) = load(&files);
        assert_eq!(progress, Some(at(7)));
        // An earlier release has filled the volume.
        files.set_free_bytes(Some(100));
        file.store(&files, &at(8)).unwrap();
        assert_eq!(load(&files.after_power_cut(1)).1, Some(at(8)));
        files.set_free_bytes(None);
        file.store(&files, &at(9)).unwrap();
        assert!(!files.paths().contains(&old));
        assert_eq!(load(&files).1, Some(at(9)));
    }

    #[test]
    fn a_file_that_was_not_finished_is_made_again() {
        let files = disk();
        let (mut file, _) = load(&files);
        file.store(&files, &at(1)).unwrap();
        files.damage(&Path::new(DIR).join(NAME), |bytes| bytes.truncate(SLOT_BYTES + 4));
        let (mut file, progress) = load(&files);
        assert_eq!(progress, None);
        file.store(&files, &at(2)).unwrap();
        assert_eq!(load(&files).1, Some(at(2)));
    }
}
