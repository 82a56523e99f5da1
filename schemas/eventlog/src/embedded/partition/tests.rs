//! Tests of one partition: what happens when a step fails.

use bytes::Bytes;

use super::*;
use crate::port::Topic;
use crate::segment::fake::FakeFiles;

const HOUR_MS: i64 = 3_600_000;

fn open(files: &FakeFiles) -> io::Result<Partition> {
    let at = TopicPartition { topic: Topic::Usage, partition: 0 };
    Partition::open(Arc::new(files.clone()), PathBuf::from("/log/0"), at, 100)
}

fn record(key: &str, timestamp_ms: i64) -> OutRecord {
    OutRecord {
        topic: Topic::Usage,
        key: Bytes::copy_from_slice(key.as_bytes()),
        headers: Vec::new(),
        payload: Some(Bytes::from_static(b"thirty bytes of a record's data")),
        timestamp_ms,
    }
}

fn append_and_sync(partition: &Partition, count: usize, timestamp_ms: i64) {
    for _ in 0..count {
        partition.append(&record("k", timestamp_ms)).unwrap();
        partition.sync().unwrap();
    }
}

fn segments(files: &FakeFiles) -> usize {
    files.paths().iter().filter(|path| path.extension().is_some_and(|it| it == "seg")).count()
}

#[test]
fn no_segment_is_started_while_a_sync_of_the_old_one_may_still_fail() {
    let partition = open(&FakeFiles::new()).unwrap();
    let offsets: Vec<u64> = (0..2).map(|_| partition.append(&record("k", 0)).unwrap()).collect();
    let running = partition.begin_sync().unwrap();
    assert!(partition.must_wait(&partition.state.lock()));
    // The failure is told to one sync only: a second one would call the records durable.
    let failed = running.file.sync().and(Err(io::ErrorKind::Other.into()));
    assert!(partition.end_sync(&running, failed).is_err());
    assert!(!partition.must_wait(&partition.state.lock()));
    assert!(offsets.iter().all(|offset| partition.fate(*offset) == Fate::Lost));
    let next = partition.append(&record("k", 0)).unwrap();
    partition.sync().unwrap();
    assert_eq!(partition.fate(next), Fate::Durable);
}

#[test]
fn records_whose_sync_failed_are_not_read_by_the_next_process() {
    let files = FakeFiles::new();
    let partition = open(&files).unwrap();
    append_and_sync(&partition, 1, 0);
    partition.append(&record("k", 0)).unwrap();
    files.fail_syncs(1);
    assert!(partition.sync().is_err());
    let next = open(&files.after_kill()).unwrap();
    assert_eq!(next.visible(), 1);
    append_and_sync(&next, 1, 0);
}

#[test]
fn records_that_cannot_be_synced_at_the_start_are_written_again() {
    let files = FakeFiles::new();
    let partition = open(&files).unwrap();
    partition.append(&record("k", 0)).unwrap();
    let killed = files.after_kill();
    killed.fail_syncs(1);
    assert_eq!(open(&killed).unwrap().visible(), 1);
    for seed in 0..20 {
        assert_eq!(open(&killed.after_power_cut(seed)).unwrap().visible(), 1);
    }
}

#[test]
fn syncs_that_fail_one_after_the_other_are_remembered_as_one_range() {
    let files = FakeFiles::new();
    let partition = open(&files).unwrap();
    files.fail_syncs(100);
    // Creating a segment syncs as well, so about every second append gets through.
    for _ in 0..100 {
        if partition.append(&record("k", 0)).is_ok() {
            assert!(partition.sync().is_err() || files.syncs() > 100);
        }
    }
    assert!(partition.state.lock().lost.len() <= 1);
}

#[test]
fn a_full_disk_does_not_keep_old_segments_from_being_removed() {
    let files = FakeFiles::new();
    let partition = open(&files).unwrap();
    append_and_sync(&partition, 9, 0);
    let before = segments(&files);
    assert!(before >= 3);
    files.set_free_bytes(Some(0));
    partition.retain(2 * HOUR_MS, HOUR_MS).unwrap();
    assert_eq!(segments(&files), 1);
    assert!(partition.append(&record("k", HOUR_MS)).is_ok());
}

#[test]
fn a_segment_that_cannot_be_removed_is_removed_later_and_one_that_is_gone_is_forgotten() {
    let files = FakeFiles::new();
    let partition = open(&files).unwrap();
    append_and_sync(&partition, 9, 0);
    files.fail_removes(1);
    assert!(partition.retain(2 * HOUR_MS, HOUR_MS).is_err());
    let first = files.paths().remove(0);
    files.remove(&first).unwrap();
    partition.retain(2 * HOUR_MS, HOUR_MS).unwrap();
    assert_eq!(segments(&files), 1);
}

#[test]
fn records_written_while_the_clock_was_ahead_do_not_keep_the_ones_before_them_for_ever() {
    let files = FakeFiles::new();
    let partition = open(&files).unwrap();
    append_and_sync(&partition, 9, 1_000 * HOUR_MS);
    append_and_sync(&partition, 9, 0);
    append_and_sync(&partition, 9, 9 * HOUR_MS);
    let before = segments(&files);
    partition.retain(HOUR_MS / 2, HOUR_MS).unwrap();
    assert_eq!(segments(&files), before);
    partition.retain(10 * HOUR_MS, 2 * HOUR_MS).unwrap();
    assert!(segments(&files) < before / 2, "{} of {before}", segments(&files));
    assert_eq!(partition.visible(), 27);
}

#[test]
fn a_compaction_that_failed_at_any_step_is_done_again() {
    let faults: [fn(&FakeFiles); 6] = [
        |files| files.fail_opens(1),
        |files| files.fail_reads(1),
        |files| files.fail_renames(1),
        |files| files.fail_dir_syncs(3),
        |files| files.fail_removes(1),
        |files| files.set_free_bytes(Some(30)),
    ];
    for fault in faults {
        let files = FakeFiles::new();
        let partition = open(&files).unwrap();
        append_and_sync(&partition, 9, 0);
        fault(&files);
        assert!(partition.compact(0, 1).is_err());
        files.heal();
        partition.compact(0, 1).unwrap();
        assert!(segments(&files) <= 2, "{:?}", files.paths());
        for seed in 0..10 {
            assert_eq!(open(&files.after_power_cut(seed)).unwrap().visible(), 9);
        }
    }
}

#[test]
fn leftovers_of_segments_that_could_not_be_made_are_stepped_over() {
    let files = FakeFiles::new();
    let partition = open(&files).unwrap();
    append_and_sync(&partition, 2, 0);
    for id in 2..5 {
        files.create(&crate::segment::segment_path(&partition.dir, id)).unwrap();
    }
    assert_eq!(partition.append(&record("k", 0)).unwrap(), 5);
}

#[test]
fn a_segment_that_was_neither_made_nor_removed_does_not_hide_records_from_the_next_process() {
    for more in [1, 4] {
        let files = FakeFiles::new();
        let partition = open(&files).unwrap();
        append_and_sync(&partition, 1, 0);
        files.fail_dir_syncs(1);
        files.fail_removes(1);
        assert!(partition.compact(0, 1).is_err());
        append_and_sync(&partition, more, 0);
        let next = open(&files.after_kill()).unwrap();
        assert_eq!(next.visible(), partition.visible());
        assert_eq!(next.locate(1).unwrap().segment, 0);
        assert!(next.append(&record("k", 0)).unwrap() > partition.visible() - 1);
    }
}
