//! Syncs that end when the writer has gone on: they run outside its lock.

use tollgate_eventlog::segment::fake::FakeFiles;
use tollgate_eventlog::segment::frame::Frame;
use tollgate_eventlog::segment::{Read, SegmentReader, list_segments};

use super::*;

const DIR: &str = "/spool";

fn writer(files: &FakeFiles) -> Writer {
    files.create_dir(Path::new(DIR)).unwrap();
    let mut writer = Writer::new(Arc::new(files.clone()), PathBuf::from(DIR), 100, true, BTreeMap::new(), 1);
    writer.recover(Instant::now()).unwrap();
    writer
}

fn append(writer: &mut Writer, text: &str) {
    let mut frame = Frame::new();
    writer.append(frame.build(|out| out.extend_from_slice(text.as_bytes())).unwrap()).unwrap();
}

/// All records on the disk.
fn records(files: &FakeFiles) -> Vec<Vec<u8>> {
    let dir = Path::new(DIR);
    let mut found = Vec::new();
    for id in list_segments(files, dir).unwrap() {
        let mut reader = SegmentReader::open(files, dir, id).unwrap();
        while let Read::Record { payload, .. } = reader.read(u64::MAX).unwrap() {
            found.push(payload.to_vec());
        }
    }
    found
}

fn failed() -> Arc<io::Error> {
    Arc::new(io::Error::other("injected"))
}

#[test]
fn a_sync_that_ends_late_takes_no_file_off_that_it_has_not_synced() {
    let files = FakeFiles::new();
    let mut writer = writer(&files);
    // Two segments, so the sync is about a finished one too.
    (0..2).for_each(|_| append(&mut writer, &"a".repeat(80)));
    let late = writer.sync_work().unwrap();
    writer.health.fail(failed(), false, Instant::now());
    writer.recover(Instant::now()).unwrap();
    (0..2).for_each(|_| append(&mut writer, &"b".repeat(80)));
    writer.synced(&late);
    let work = writer.sync_work().unwrap();
    work.files.iter().for_each(|file| file.sync().unwrap());
    let found = records(&files.after_power_cut(3));
    assert_eq!(found.iter().filter(|record| record.starts_with(b"b")).count(), 2);
}

#[test]
fn a_sync_that_succeeds_beside_one_that_failed_proves_nothing() {
    let files = FakeFiles::new();
    let mut writer = writer(&files);
    append(&mut writer, "once");
    let beside = writer.sync_work().unwrap();
    files.fail_syncs(1);
    let error = beside.files[0].sync().unwrap_err();
    writer.health.fail(Arc::new(error), true, Instant::now());
    // The other one asked for the same file and was told that all is well.
    writer.synced(&beside);
    writer.recover(Instant::now()).unwrap();
    for seed in 0..20 {
        assert!(records(&files.after_power_cut(seed)).contains(&b"once".to_vec()));
    }
}

#[test]
fn settlements_beyond_the_memory_for_them_become_releases_and_the_end_of_the_boot_never_does() {
    let files = FakeFiles::new();
    let mut writer = writer(&files);
    writer.health.fail(failed(), false, Instant::now());
    let mut frame = Frame::new();
    let half = frame.build(|out| out.resize(8 + (8 << 20) - 8, b'x')).unwrap().to_vec();
    (0..3).for_each(|intent| writer.defer(&half, 7 + intent));
    let mut frame = Frame::new();
    writer.defer(frame.build(|out| out.extend_from_slice(b"end")).unwrap(), 0);
    writer.recover(Instant::now()).unwrap();
    let found = records(&files);
    let lengths: Vec<usize> = found.iter().map(Vec::len).collect();
    // Two settlements, the end, and the release of the third settlement's intent.
    assert_eq!((lengths.len(), lengths[2], lengths[3]), (4, 3, 17));
}
