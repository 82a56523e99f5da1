//! Records that can never be read.

use tollgate_eventlog::segment::{Read, SegmentReader};

use super::*;
use crate::tests::newest_segment;

/// Offsets of the records in the newest segment, and its path.
fn places(files: &FakeFiles) -> (std::path::PathBuf, Vec<usize>) {
    let path = newest_segment(files);
    let mut offsets = Vec::new();
    let id = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let mut reader = SegmentReader::open(files, path.parent().unwrap(), id).unwrap();
    while let Read::Record { offset, .. } = reader.read(u64::MAX).unwrap() {
        offsets.push(offset as usize);
    }
    (path, offsets)
}

/// Steps for longer than any patience.
fn outwait(publisher: &mut Publisher) {
    let mut now = Instant::now();
    for _ in 0..400 {
        now += 10 * SECOND;
        publisher.step(now, Duration::ZERO);
    }
    publisher.report(now, true);
}

#[test]
fn a_record_that_can_never_be_read_is_passed_over_and_counted_and_the_others_are_published() {
    for lost in [0, 2, 4] {
        let (files, ledger) = ledger_with(5);
        let (path, offsets) = places(&files);
        files.lose_bytes(&path, offsets[lost] + 40, offsets[lost] + 60);
        let sink = Sink::default();
        let mut publisher = publisher(&ledger, &sink);
        outwait(&mut publisher);
        assert!(publisher.is_drained(), "{lost}");
        assert_eq!((report(&sink).len(), ledger.status().unreadable), (4, 1), "{lost}");
        let seen: Vec<u64> = sink.usage().iter().map(|event| event.ledger.seq).collect();
        assert!(
            !seen.contains(&(lost as u64 + 1)),
            "its number is a hole that a reconciliation names: {seen:?}"
        );
        write(&ledger, 1);
        outwait(&mut publisher);
        assert_eq!(report(&sink).len(), 5);
    }
}

#[test]
fn a_record_whose_length_can_never_be_read_costs_the_rest_of_its_segment_and_no_other_one() {
    let (files, ledger) = ledger_with(5);
    let (path, offsets) = places(&files);
    files.lose_bytes(&path, offsets[3], offsets[3] + 1);
    let sink = Sink::default();
    let mut publisher = publisher(&ledger, &sink);
    outwait(&mut publisher);
    write(&ledger, 2);
    outwait(&mut publisher);
    assert!(publisher.is_drained());
    assert_eq!((report(&sink).len(), ledger.status().unreadable), (5, 1));
    assert!(ledger.status().damaged_bytes > 0);
}

#[test]
fn a_record_that_can_never_be_read_again_does_not_wait_for_good() {
    let (files, ledger) = ledger_with(3);
    let sink = Sink::default();
    sink.script([Behaviour::Retry; 3]);
    let mut publisher = publisher(&ledger, &sink);
    publisher.step(Instant::now(), Duration::ZERO);
    let (path, offsets) = places(&files);
    files.lose_bytes(&path, offsets[1] + 40, offsets[1] + 60);
    outwait(&mut publisher);
    assert!(publisher.is_drained());
    let status = ledger.status();
    assert_eq!((report(&sink).len(), status.unreadable, status.dead_letters), (2, 1, 0));
}
