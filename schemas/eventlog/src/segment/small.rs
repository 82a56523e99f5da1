//! Small files that are replaced as a whole: a reader sees the old content or the new one, never a mixture.

use std::io;
use std::path::Path;

use super::files::{Files, parent, remove_if_present};

/// Replaces the file at `path` durably: temporary file, sync, rename, sync of the folder. A checksum goes
/// behind the content.
///
/// # Errors
/// As the file system says; the old content is then still there.
pub fn write_small(files: &dyn Files, path: &Path, content: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = Path::new(&temporary);
    remove_if_present(files, temporary)?;
    let file = files.create(temporary)?;
    let mut bytes = content.to_vec();
    bytes.extend_from_slice(&crc32c::crc32c(content).to_le_bytes());
    file.write_all_at(&bytes, 0)?;
    file.sync()?;
    files.rename(temporary, path)?;
    files.sync_dir(parent(path))
}

/// The content of a file written by [`write_small`]; `None` if it is missing or damaged.
///
/// # Errors
/// As the file system says.
pub fn read_small(files: &dyn Files, path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match files.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut content = vec![0; usize::try_from(file.size()?).unwrap_or(0)];
    let mut got = 0;
    while got < content.len() {
        match file.read_at(&mut content[got..], got as u64)? {
            0 => break,
            more => got += more,
        }
    }
    content.truncate(got);
    let Some((data, crc)) = content.split_last_chunk::<4>() else { return Ok(None) };
    let valid = crc32c::crc32c(data) == u32::from_le_bytes(*crc);
    let length = data.len();
    content.truncate(length);
    Ok(valid.then_some(content))
}
