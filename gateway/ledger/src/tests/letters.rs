//! Events that neither their topic nor the dead-letter topic takes.

use tollgate_eventlog::segment::frame::Frame;
use tollgate_eventlog::segment::{Read, SegmentReader, SegmentWriter};
use tollgate_schemas::topics::Topic;

use super::*;

fn write(ledger: &Ledger, count: usize) {
    (0..count).for_each(|_| ledger.record(&mut ended(&begun()), None).unwrap());
}

fn ledger_with(files: &FakeFiles, count: usize) -> Ledger {
    let (ledger, _) = open(files);
    write(&ledger, count);
    ledger
}

/// Files among the dead letters.
fn letters(files: &FakeFiles) -> usize {
    files.paths().iter().filter(|path| path.to_string_lossy().contains("dead-letters")).count()
}

#[test]
fn dead_letters_that_nobody_takes_are_kept_in_one_file() {
    let files = FakeFiles::new();
    let ledger = ledger_with(&files, 9);
    let sink = Sink::default();
    sink.refuse_topic(Topic::UsageDeadLetter);
    sink.script([Behaviour::Refuse; 8]);
    drain(&ledger, &sink);
    assert_eq!((letters(&files), report(&sink).len(), ledger.status().dead_letters), (1, 1, 8));
}

#[test]
fn each_start_offers_dead_letters_once_more() {
    let files = FakeFiles::new();
    let ledger = ledger_with(&files, 4);
    let sink = Sink::default();
    sink.refuse_topic(Topic::UsageDeadLetter);
    sink.script([Behaviour::Refuse; 4]);
    drain(&ledger, &sink);
    assert!(sink.taken().is_empty());
    ledger.spool().persist_progress(Instant::now(), true).unwrap();

    let files = files.after_power_cut(5);
    let (ledger, _) = open(&files);
    assert_eq!((letters(&files), ledger.status().backlog_records), (0, 4));
    // One of them is refused again.
    sink.script([Behaviour::Refuse]);
    drain(&ledger, &sink);
    assert_eq!((letters(&files), report(&sink).len(), ledger.status().backlog_records), (1, 3, 0));

    let (ledger, _) = open(&files.after_kill());
    drain(&ledger, &sink);
    assert_eq!(report(&sink).len(), 4);
}

#[test]
fn dead_letters_that_cannot_be_offered_now_are_kept() {
    let files = FakeFiles::new();
    let ledger = ledger_with(&files, 2);
    let sink = Sink::default();
    sink.refuse_topic(Topic::UsageDeadLetter);
    sink.script([Behaviour::Refuse; 2]);
    drain(&ledger, &sink);
    let full = files.after_kill();
    full.set_free_bytes(Some(0));
    let (ledger, _) = open(&full);
    assert!(letters(&full) == 1 && ledger.status().refusing);
    let (ledger, _) = open(&full.after_kill());
    drain(&ledger, &sink);
    assert_eq!(report(&sink).len(), 2);
}

#[test]
fn dead_letters_are_bounded_and_what_has_no_room_among_them_waits_in_the_spool() {
    let files = FakeFiles::new();
    let (ledger, _) = open_with(&files, LedgerOptions { max_bytes: 40 << 10, ..options() });
    write(&ledger, 20);
    let sink = Sink::default();
    sink.refuse_topic(Topic::UsageDeadLetter);
    sink.refuse_topic(Topic::Usage);
    let mut publisher = publisher(&ledger, &sink);
    let now = Instant::now();
    for step in 0..50 {
        publisher.step(now + step * Duration::from_secs(10), Duration::ZERO);
    }
    publisher.report(now, true);
    let status = ledger.status();
    assert!(status.dead_letters > 3 && status.backlog_records > 3, "{status:?}");
    assert_eq!(status.dead_letters + status.backlog_records, 20);
    ledger.spool().persist_progress(now + Duration::from_secs(1_000), true).unwrap();
    assert!(ledger.status().spool_bytes > status.backlog_bytes + 3_000, "letters count as part of the spool");
}

#[test]
fn letters_of_an_earlier_release_stand_in_files_of_their_own_and_are_offered_too() {
    let files = FakeFiles::new();
    let ledger = ledger_with(&files, 1);
    let sink = Sink::default();
    sink.refuse_topic(Topic::UsageDeadLetter);
    sink.script([Behaviour::Refuse]);
    drain(&ledger, &sink);
    let dir = Path::new(DIR).join("dead-letters");
    let first = SegmentReader::open(&files, &dir, 1).unwrap().read(u64::MAX).map(copied).unwrap();
    for id in 2..5 {
        let mut frame = Frame::new();
        let sealed = frame.build(|out| out.extend_from_slice(&first)).unwrap();
        SegmentWriter::create(&files, &dir, id).unwrap().append(sealed).unwrap();
    }
    let (ledger, _) = open(&files.after_kill());
    drain(&ledger, &sink);
    assert!(sink.usage().len() >= 4);
}

fn copied(read: Read<'_>) -> Vec<u8> {
    let Read::Record { payload, .. } = read else { panic!("no letter") };
    payload.to_vec()
}
