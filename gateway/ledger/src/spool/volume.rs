//! How much of its volume the spool may take.

use std::path::Path;

/// Smallest segment, bytes: the largest record fits.
const MIN_SEGMENT_BYTES: u64 = 128 << 10;

/// `max_bytes`, or less if the volume of `dir` is too small for it. The bound that refuses requests in good order
/// must come before the end of the volume, which refuses everybody's writes.
pub(crate) fn bounded(dir: &Path, max_bytes: u64) -> u64 {
    let exists = |path: &&Path| !path.as_os_str().is_empty() && path.exists();
    let volume = dir.ancestors().find(exists).unwrap_or(Path::new("."));
    match rustix::fs::statvfs(volume) {
        Ok(found) => {
            let total_bytes = found.f_blocks.saturating_mul(found.f_frsize);
            let bound = bound(max_bytes, total_bytes);
            if bound < max_bytes {
                tracing::warn!(
                    max_bytes,
                    total_bytes,
                    bound,
                    "the spool may be larger than its volume; the bound is lowered"
                );
            }
            bound
        }
        Err(error) => {
            tracing::warn!(%error, dir = %dir.display(), "the size of the spool's volume is not known");
            max_bytes
        }
    }
}

/// A twentieth of the volume is left for what else stands on it: the cursor, dead letters, file system tables.
fn bound(max_bytes: u64, total_bytes: u64) -> u64 {
    match total_bytes {
        // Some network and memory file systems say nothing of their size.
        0 => max_bytes,
        _ => max_bytes.min(total_bytes - total_bytes / 20),
    }
}

/// `segment_bytes`, or less where the bound of the spool has no room for several such segments: only whole ones are given
/// back.
pub(crate) fn segment_bytes(segment_bytes: u64, max_bytes: u64) -> u64 {
    segment_bytes.min((max_bytes / 8).max(MIN_SEGMENT_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_above_the_volume_is_lowered_and_another_one_kept() {
        assert_eq!(bound(8 << 30, 5_000), 4_750);
        assert_eq!(bound(4_000, 5_000), 4_000);
        assert_eq!(bound(4_000, 0), 4_000);
    }

    #[test]
    fn a_small_volume_has_small_segments() {
        assert_eq!(segment_bytes(64 << 20, 8 << 30), 64 << 20);
        assert_eq!(segment_bytes(64 << 20, 80 << 20), 10 << 20);
        assert_eq!(segment_bytes(1 << 20, 100), MIN_SEGMENT_BYTES);
    }

    #[test]
    fn the_volume_of_a_folder_that_is_not_made_yet_is_that_of_its_parent() {
        let dir = tempfile::tempdir().unwrap();
        let bound = bounded(&dir.path().join("not/there"), u64::MAX);
        assert!(bound < u64::MAX);
        assert_eq!(bounded(&dir.path().join("not/there"), 1), 1);
    }
}
