//! Tests of segment files: what was written comes back, torn tails are cut, damage is found.

use std::path::Path;

use proptest::prelude::*;

use super::fake::FakeFiles;
use super::files::Files;
use super::frame::Frame;
use super::*;

const DIR: &str = "/log";

fn disk() -> FakeFiles {
    let files = FakeFiles::new();
    files.create_dir(Path::new(DIR)).unwrap();
    files
}

fn append(writer: &mut SegmentWriter, payload: &[u8]) -> std::io::Result<u64> {
    writer.append(Frame::new().build(|buffer| buffer.extend_from_slice(payload)).unwrap())
}

fn write(files: &FakeFiles, id: u64, payloads: &[Vec<u8>]) -> (SegmentWriter, Vec<u64>) {
    let mut writer = SegmentWriter::create(files, Path::new(DIR), id).unwrap();
    let offsets = payloads.iter().map(|payload| append(&mut writer, payload).unwrap()).collect();
    (writer, offsets)
}

fn read_all(files: &FakeFiles, id: u64) -> Vec<Vec<u8>> {
    let mut reader = SegmentReader::open(files, Path::new(DIR), id).unwrap();
    let mut found = Vec::new();
    while let Read::Record { payload, .. } = reader.read(u64::MAX).unwrap() {
        found.push(payload.to_vec());
    }
    found
}

#[test]
fn records_come_back_in_order_with_their_offsets() {
    let files = disk();
    let payloads = vec![b"one".to_vec(), vec![7; 300_000], b"three".to_vec()];
    let (_, offsets) = write(&files, 1, &payloads);
    assert_eq!(read_all(&files, 1), payloads);
    let mut reader = SegmentReader::open(&files, Path::new(DIR), 1).unwrap();
    reader.seek(offsets[2]);
    assert_eq!(reader.read(u64::MAX).unwrap(), Read::Record { offset: offsets[2], payload: b"three" });
    assert_eq!(reader.read(u64::MAX).unwrap(), Read::End);
}

#[test]
fn a_reader_stops_at_the_limit_and_goes_on_when_it_moves() {
    let files = disk();
    let (mut writer, _) = write(&files, 1, &[b"one".to_vec()]);
    let mut reader = SegmentReader::open(&files, Path::new(DIR), 1).unwrap();
    let limit = writer.end();
    append(&mut writer, b"two").unwrap();
    assert!(matches!(reader.read(limit).unwrap(), Read::Record { payload: b"one", .. }));
    assert_eq!(reader.read(limit).unwrap(), Read::End);
    assert!(matches!(reader.read(writer.end()).unwrap(), Read::Record { payload: b"two", .. }));
}

#[test]
fn opening_cuts_a_torn_tail_and_appends_behind_the_last_record() {
    let files = disk();
    let (writer, _) = write(&files, 1, &[b"one".to_vec(), b"two".to_vec()]);
    let end = usize::try_from(writer.end()).unwrap();
    files.damage(&segment_path(Path::new(DIR), 1), |bytes| bytes.truncate(end - 1));
    let mut seen = Vec::new();
    let (mut writer, opened) =
        SegmentWriter::open(&files, Path::new(DIR), 1, |_, payload| seen.push(payload.to_vec())).unwrap();
    assert_eq!(opened, Opened { records: 1, torn_bytes: 10 });
    assert_eq!(seen, [b"one".to_vec()]);
    append(&mut writer, b"three").unwrap();
    assert_eq!(read_all(&files, 1), [b"one".to_vec(), b"three".to_vec()]);
}

#[test]
fn a_segment_whose_header_was_lost_is_empty_and_usable_again() {
    for length in [0, 5, 16] {
        let files = disk();
        write(&files, 1, &[b"one".to_vec()]);
        files.damage(&segment_path(Path::new(DIR), 1), |bytes| {
            bytes.truncate(length);
            bytes.fill(0);
        });
        assert!(read_all(&files, 1).is_empty());
        let (mut writer, opened) = SegmentWriter::open(&files, Path::new(DIR), 1, |_, _| {}).unwrap();
        assert_eq!(opened.records, 0);
        append(&mut writer, b"new").unwrap();
        assert_eq!(read_all(&files, 1), [b"new".to_vec()]);
    }
}

#[test]
fn a_write_that_hits_the_end_of_the_disk_leaves_no_record_and_can_be_repeated() {
    let files = disk();
    let (mut writer, _) = write(&files, 1, &[b"one".to_vec()]);
    files.set_free_bytes(Some(5));
    assert_eq!(append(&mut writer, b"does not fit").unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    assert_eq!(read_all(&files, 1), [b"one".to_vec()]);
    files.set_free_bytes(None);
    append(&mut writer, b"two").unwrap();
    assert_eq!(read_all(&files, 1), [b"one".to_vec(), b"two".to_vec()]);
}

#[test]
fn a_frame_copied_from_another_segment_is_not_a_record() {
    let files = disk();
    let dir = Path::new(DIR);
    write(&files, 1, &[b"stale".to_vec()]);
    write(&files, 2, &[b"fresh".to_vec()]);
    let mut stale = Vec::new();
    files.damage(&segment_path(dir, 1), |bytes| stale = bytes.clone());
    files.damage(&segment_path(dir, 2), |bytes| bytes[16..].copy_from_slice(&stale[16..]));
    assert!(read_all(&files, 2).is_empty());
}

#[test]
fn a_created_segment_survives_a_power_cut_and_a_synced_record_too() {
    for seed in 0..50 {
        let files = disk();
        let (mut writer, _) = write(&files, 1, &[b"synced".to_vec()]);
        writer.file().sync().unwrap();
        append(&mut writer, b"not synced").unwrap();
        let found = read_all(&files.after_power_cut(seed), 1);
        assert_eq!(found[0], b"synced");
        assert!(found.len() == 1 || found[1] == b"not synced");
    }
}

#[test]
fn a_sync_that_failed_once_does_not_make_the_record_durable_later() {
    let files = disk();
    let (mut writer, _) = write(&files, 1, &[]);
    append(&mut writer, b"lost").unwrap();
    files.fail_syncs(1);
    assert!(writer.file().sync().is_err());
    writer.file().sync().unwrap();
    assert!(read_all(&files.after_power_cut(1), 1).is_empty());
}

#[test]
fn a_failed_read_leaves_the_reader_where_it_was() {
    let files = disk();
    let (_, offsets) = write(&files, 1, &[b"one".to_vec(), vec![7; 300_000], b"three".to_vec()]);
    files.fail_opens(1);
    assert_eq!(SegmentReader::open(&files, Path::new(DIR), 1).unwrap_err().raw_os_error(), Some(24));
    files.fail_reads(1);
    assert!(SegmentReader::open(&files, Path::new(DIR), 1).is_err());
    let mut reader = SegmentReader::open(&files, Path::new(DIR), 1).unwrap();
    for offset in offsets {
        let before = reader.offset();
        files.fail_reads(1);
        // What lies in the reader's buffer needs no read, so the failure may be met later.
        if reader.read(u64::MAX).is_err() {
            assert_eq!(reader.offset(), before);
            assert!(
                matches!(reader.read(u64::MAX).unwrap(), Read::Record { offset: at, .. } if at == offset)
            );
        }
    }
    files.heal();
    assert_eq!(reader.read(u64::MAX).unwrap(), Read::End);
}

#[test]
fn opening_a_segment_that_cannot_be_read_changes_nothing() {
    let files = disk();
    write(&files, 1, &[b"one".to_vec(), b"two".to_vec()]);
    for failures in 1..=2 {
        files.fail_reads(failures);
        for _ in 0..failures {
            assert!(SegmentWriter::open(&files, Path::new(DIR), 1, |_, _| {}).is_err());
        }
        let (_, opened) = SegmentWriter::open(&files, Path::new(DIR), 1, |_, _| {}).unwrap();
        assert_eq!(opened, Opened { records: 2, torn_bytes: 0 });
    }
}

#[test]
fn small_files_are_replaced_as_a_whole() {
    let files = disk();
    let path = Path::new(DIR).join("cursor");
    assert_eq!(read_small(&files, &path).unwrap(), None);
    write_small(&files, &path, b"first").unwrap();
    files.set_free_bytes(Some(2));
    assert!(write_small(&files, &path, b"second").is_err());
    assert_eq!(read_small(&files.after_power_cut(7), &path).unwrap().unwrap(), b"first");
    files.set_free_bytes(None);
    write_small(&files, &path, b"third").unwrap();
    assert_eq!(read_small(&files.after_power_cut(7), &path).unwrap().unwrap(), b"third");
    files.damage(&path, |bytes| bytes[0] ^= 1);
    assert_eq!(read_small(&files, &path).unwrap(), None);
}

#[test]
fn names_of_segments_sort_as_their_numbers() {
    assert_eq!(segment_id("00000000000000000042.seg"), Some(42));
    assert_eq!(segment_id("42.seg"), None);
    assert_eq!(segment_id("00000000000000000042.tmp"), None);
    let files = disk();
    for id in [10, 9, 100] {
        write(&files, id, &[]);
    }
    assert_eq!(list_segments(&files, Path::new(DIR)).unwrap(), [9, 10, 100]);
}

/// How a file is damaged.
#[derive(Debug, Clone)]
enum Damage {
    Cut(usize),
    Flip(usize, u8),
    Zero(usize, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        any::<usize>().prop_map(Damage::Cut),
        (any::<usize>(), 0..8u8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        (any::<usize>(), 1..600usize).prop_map(|(at, length)| Damage::Zero(at, length)),
    ]
}

/// Applies the damage and returns the first byte that changed; none when nothing did.
fn apply(bytes: &mut Vec<u8>, damage: &Damage) -> Option<usize> {
    let before = bytes.clone();
    let size = bytes.len();
    match *damage {
        Damage::Cut(at) => bytes.truncate(at % size),
        Damage::Flip(at, bit) => bytes[at % size] ^= 1 << bit,
        Damage::Zero(at, length) => {
            let from = at % size;
            bytes[from..(from + length).min(size)].fill(0);
        }
    }
    (0..size).find(|&index| bytes.get(index) != before.get(index))
}

proptest! {
    #[test]
    fn damage_never_makes_a_record_nor_loses_one_before_it(
        payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 1..20),
        damage in damage(),
    ) {
        let files = disk();
        let (writer, offsets) = write(&files, 1, &payloads);
        let mut first_changed = None;
        files.damage(&segment_path(Path::new(DIR), 1), |bytes| first_changed = apply(bytes, &damage));
        let changed = first_changed.unwrap_or(usize::MAX) as u64;
        let ends = offsets.iter().skip(1).copied().chain([writer.end()]);
        let intact = if changed < HEADER_BYTES { 0 } else { ends.take_while(|&end| end <= changed).count() };
        prop_assert_eq!(read_all(&files, 1), &payloads[..intact]);
    }

    #[test]
    fn any_bytes_can_be_read_and_opened_without_a_record_or_a_panic(
        noise in proptest::collection::vec(any::<u8>(), 0..2000),
    ) {
        let files = disk();
        write(&files, 1, &[b"x".to_vec()]);
        files.damage(&segment_path(Path::new(DIR), 1), |bytes| {
            bytes.truncate(HEADER_BYTES as usize);
            bytes.extend_from_slice(&noise);
        });
        prop_assert!(read_all(&files, 1).is_empty());
        let (writer, opened) = SegmentWriter::open(&files, Path::new(DIR), 1, |_, _| {}).unwrap();
        prop_assert_eq!(opened, Opened { records: 0, torn_bytes: noise.len() as u64 });
        prop_assert_eq!(writer.end(), HEADER_BYTES);
    }
}
