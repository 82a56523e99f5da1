//! Committed offsets of all groups: a log of changes, rewritten when it grows.
//!
//! ```text
//! partition u16 | next offset u64 | topic length u8 | topic | group to the end
//! ```
//!
//! A commit survives the death of the process at once and a power cut after the next sync; a commit that is
//! lost only makes records be read again.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::port::{Topic, TopicPartition};
use crate::segment::files::{Files, remove_if_present};
use crate::segment::frame::Frame;
use crate::segment::{Read, SegmentReader, SegmentWriter, list_segments, segment_path};

/// Size at which the log of changes is rewritten, bytes.
const REWRITE_BYTES: u64 = 1 << 20;

#[derive(Debug)]
pub(super) struct Offsets {
    files: Arc<dyn Files>,
    dir: PathBuf,
    committed: BTreeMap<(String, TopicPartition), u64>,
    writer: SegmentWriter,
    dirty: bool,
    /// A sync of the file failed: a second one would succeed without having written what the first one lost.
    broken: bool,
    frame: Frame,
}

impl Offsets {
    /// Reads what was committed and starts a fresh file with it.
    pub(super) fn open(files: Arc<dyn Files>, dir: PathBuf) -> io::Result<Self> {
        files.create_dir(&dir)?;
        let old = list_segments(&*files, &dir)?;
        let mut committed = BTreeMap::new();
        for id in &old {
            let mut reader = SegmentReader::open(&*files, &dir, *id)?;
            while let Read::Record { payload, .. } = reader.read(u64::MAX)? {
                committed.extend(decode(payload));
            }
        }
        let mut frame = Frame::new();
        let next = old.last().map_or(1, |last| last + 1);
        let writer = rewrite(&*files, &dir, next, &committed, &mut frame)?;
        files.sync_dir(&dir)?;
        let offsets = Self { files, dir, committed, writer, dirty: false, broken: false, frame };
        offsets.remove_older();
        Ok(offsets)
    }

    pub(super) fn get(&self, group: &str, partition: TopicPartition) -> Option<u64> {
        self.committed.get(&(group.to_owned(), partition)).copied()
    }

    pub(super) fn commit(&mut self, group: &str, partition: TopicPartition, next: u64) -> io::Result<()> {
        if self.writer.end() >= REWRITE_BYTES
            && let Err(error) = self.start_over()
        {
            // The old file still takes commits; it is only longer than it should be.
            tracing::warn!(%error, "committed offsets could not be rewritten");
        }
        let sealed = self.frame.build(|out| encode(out, group, partition, next)).map_err(io::Error::other)?;
        self.writer.append(sealed)?;
        self.committed.insert((group.to_owned(), partition), next);
        self.dirty = true;
        Ok(())
    }

    /// Makes commits survive a power cut. After a failed sync everything goes into a fresh file.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if !self.dirty {
            return Ok(());
        }
        self.broken = self.broken || self.writer.file().sync().is_err();
        if self.broken {
            self.start_over()?;
        }
        self.dirty = false;
        Ok(())
    }

    fn start_over(&mut self) -> io::Result<()> {
        let next = self.writer.id() + 1;
        self.writer = rewrite(&*self.files, &self.dir, next, &self.committed, &mut self.frame)?;
        // Until the folder is synced a power cut may take the new name away, so the old file stays.
        self.broken = true;
        self.files.sync_dir(&self.dir)?;
        self.broken = false;
        self.remove_older();
        Ok(())
    }

    /// Removes the files that the present one replaces. What cannot be removed now is removed with the next rewrite:
    /// being read before the newer file, it does no harm.
    fn remove_older(&self) {
        let removed = list_segments(&*self.files, &self.dir).and_then(|ids| {
            let older = ids.into_iter().filter(|id| *id < self.writer.id());
            older.map(|id| self.files.remove(&segment_path(&self.dir, id))).fold(Ok(()), Result::and)
        });
        if let Err(error) = removed {
            tracing::warn!(%error, "old files of committed offsets could not be removed");
        }
    }
}

/// A new file `id` with all committed offsets. Its content is durable, its name only after a sync of the folder. It
/// gets the name when it is complete: half a file would be read behind the old one and hide newer commits.
fn rewrite(
    files: &dyn Files,
    dir: &Path,
    id: u64,
    committed: &BTreeMap<(String, TopicPartition), u64>,
    frame: &mut Frame,
) -> io::Result<SegmentWriter> {
    let path = dir.join("offsets.tmp");
    remove_if_present(files, &path)?;
    let mut writer = SegmentWriter::create_at(files, &path, id)?;
    for ((group, partition), next) in committed {
        let sealed = frame.build(|out| encode(out, group, *partition, *next)).map_err(io::Error::other)?;
        writer.append(sealed)?;
    }
    writer.file().sync()?;
    files.rename(&path, &segment_path(dir, id))?;
    Ok(writer)
}

fn encode(out: &mut Vec<u8>, group: &str, partition: TopicPartition, next: u64) {
    let topic = partition.topic.name();
    out.extend_from_slice(&partition.partition.to_le_bytes());
    out.extend_from_slice(&next.to_le_bytes());
    out.push(topic.len() as u8);
    out.extend_from_slice(topic.as_bytes());
    out.extend_from_slice(group.as_bytes());
}

fn decode(bytes: &[u8]) -> Option<((String, TopicPartition), u64)> {
    let (partition, rest) = bytes.split_first_chunk::<2>()?;
    let (next, rest) = rest.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first()?;
    let (topic, group) = rest.split_at_checked(usize::from(*length))?;
    let topic = Topic::from_name(std::str::from_utf8(topic).ok()?)?;
    let partition = TopicPartition { topic, partition: u16::from_le_bytes(*partition) };
    Some(((std::str::from_utf8(group).ok()?.to_owned(), partition), u64::from_le_bytes(*next)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::fake::FakeFiles;

    const AT: TopicPartition = TopicPartition { topic: Topic::Usage, partition: 3 };

    fn open(files: &FakeFiles) -> Offsets {
        Offsets::open(Arc::new(files.clone()), PathBuf::from("/log/offsets")).unwrap()
    }

    #[test]
    fn a_commit_survives_a_kill_and_after_a_sync_a_power_cut() {
        let files = FakeFiles::new();
        let mut offsets = open(&files);
        offsets.commit("accounting", AT, 7).unwrap();
        assert_eq!(open(&files.after_kill()).get("accounting", AT), Some(7));
        offsets.sync().unwrap();
        offsets.commit("accounting", AT, 9).unwrap();
        for seed in 0..20 {
            assert!(open(&files.after_power_cut(seed)).get("accounting", AT) >= Some(7));
        }
    }

    #[test]
    fn groups_do_not_see_each_other() {
        let files = FakeFiles::new();
        let mut offsets = open(&files);
        offsets.commit("a", AT, 7).unwrap();
        assert_eq!(offsets.get("b", AT), None);
    }

    #[test]
    fn the_file_is_rewritten_instead_of_growing_for_ever() {
        let files = FakeFiles::new();
        let mut offsets = open(&files);
        for next in 0..30_000 {
            offsets.commit("accounting", AT, next).unwrap();
        }
        assert!(offsets.writer.id() > 1 && offsets.writer.end() < REWRITE_BYTES);
        assert_eq!(open(&files.after_kill()).get("accounting", AT), Some(29_999));
    }

    #[test]
    fn a_failed_rewrite_keeps_every_commit_and_is_done_later() {
        for step in 0..5 {
            let files = FakeFiles::new();
            let mut offsets = open(&files);
            offsets.commit("accounting", AT, 7).unwrap();
            files.fail_syncs(1 + u32::from(step == 0));
            match step {
                0 => {}
                1 => files.fail_opens(1),
                2 => files.fail_renames(1),
                3 => files.fail_dir_syncs(1),
                _ => files.set_free_bytes(Some(20)),
            }
            assert!(offsets.sync().is_err(), "step {step}");
            files.heal();
            offsets.commit("accounting", AT, 9).unwrap();
            assert_eq!(open(&files.after_kill()).get("accounting", AT), Some(9), "step {step}");
            offsets.sync().unwrap();
            for seed in 0..10 {
                assert_eq!(open(&files.after_power_cut(seed)).get("accounting", AT), Some(9), "step {step}");
            }
        }
    }

    #[test]
    fn a_file_that_cannot_be_rewritten_or_removed_still_takes_commits() {
        let files = FakeFiles::new();
        let mut offsets = open(&files);
        files.fail_removes(u32::MAX);
        files.fail_opens(u32::MAX);
        for next in 0..30_000 {
            offsets.commit("accounting", AT, next).unwrap();
        }
        files.heal();
        offsets.commit("accounting", AT, 30_000).unwrap();
        assert_eq!(files.paths().len(), 1);
        assert_eq!(open(&files.after_kill()).get("accounting", AT), Some(30_000));
    }

    #[test]
    fn after_a_failed_sync_the_commits_are_durable_in_a_fresh_file() {
        let files = FakeFiles::new();
        let mut offsets = open(&files);
        offsets.commit("accounting", AT, 7).unwrap();
        files.fail_syncs(1);
        offsets.sync().unwrap();
        assert_eq!(open(&files.after_power_cut(3)).get("accounting", AT), Some(7));
    }
}
