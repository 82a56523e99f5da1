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
use std::path::PathBuf;
use std::sync::Arc;

use crate::segment::files::Files;
use crate::segment::frame::Frame;
use crate::segment::{Read, SegmentReader, SegmentWriter, list_segments, segment_path};
use crate::{Topic, TopicPartition};

/// Size at which the log of changes is rewritten, bytes.
const REWRITE_BYTES: u64 = 1 << 20;

#[derive(Debug)]
pub(super) struct Offsets {
    files: Arc<dyn Files>,
    dir: PathBuf,
    committed: BTreeMap<(String, TopicPartition), u64>,
    writer: SegmentWriter,
    dirty: bool,
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
        let next = old.last().map_or(1, |last| last + 1);
        let mut frame = Frame::new();
        let writer = rewrite(&*files, &dir, next, &committed, &mut frame)?;
        for id in old {
            files.remove(&segment_path(&dir, id))?;
        }
        Ok(Self { files, dir, committed, writer, dirty: false, frame })
    }

    pub(super) fn get(&self, group: &str, partition: TopicPartition) -> Option<u64> {
        self.committed.get(&(group.to_owned(), partition)).copied()
    }

    pub(super) fn commit(&mut self, group: &str, partition: TopicPartition, next: u64) -> io::Result<()> {
        if self.writer.end() >= REWRITE_BYTES {
            self.start_over()?;
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
        self.dirty = false;
        if self.writer.file().sync().is_err() {
            self.dirty = true;
            self.start_over()?;
            self.dirty = false;
        }
        Ok(())
    }

    fn start_over(&mut self) -> io::Result<()> {
        let old = self.writer.id();
        self.writer = rewrite(&*self.files, &self.dir, old + 1, &self.committed, &mut self.frame)?;
        self.files.remove(&segment_path(&self.dir, old))
    }
}

/// A fresh, durable file with all committed offsets.
fn rewrite(
    files: &dyn Files,
    dir: &std::path::Path,
    id: u64,
    committed: &BTreeMap<(String, TopicPartition), u64>,
    frame: &mut Frame,
) -> io::Result<SegmentWriter> {
    let mut writer = SegmentWriter::create(files, dir, id)?;
    let mut fill = || {
        for ((group, partition), next) in committed {
            let sealed =
                frame.build(|out| encode(out, group, *partition, *next)).map_err(io::Error::other)?;
            writer.append(sealed)?;
        }
        writer.file().sync()
    };
    if let Err(error) = fill() {
        // The older file still says everything.
        let _ = files.remove(&segment_path(dir, id));
        return Err(error);
    }
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
    fn after_a_failed_sync_the_commits_are_durable_in_a_fresh_file() {
        let files = FakeFiles::new();
        let mut offsets = open(&files);
        offsets.commit("accounting", AT, 7).unwrap();
        files.fail_syncs(1);
        offsets.sync().unwrap();
        assert_eq!(open(&files.after_power_cut(3)).get("accounting", AT), Some(7));
    }
}
