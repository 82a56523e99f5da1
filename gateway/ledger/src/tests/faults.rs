//! Full disks, failing syncs, a full spool.

use tollgate_schemas::topics::Topic;

use super::*;
use crate::{ContentMessage, LedgerError};

const LATER: Duration = Duration::from_secs(10);

fn content(bytes: usize) -> ContentMessage {
    ContentMessage {
        topic: Topic::Prompt,
        key: "request".into(),
        id: EventId::now().0,
        kind: "dev.tollgate.prompt.recorded.v1",
        time_ms: 0,
        subject: None,
        payload: vec![b'x'; bytes].into(),
    }
}

#[test]
fn a_full_disk_refuses_intents_keeps_settlements_and_comes_back_by_itself() {
    let files = FakeFiles::new();
    let (ledger, _) = open(&files);
    let mut event = begun();
    let ticket = ledger.intent(&mut event, None).unwrap();
    files.set_free_bytes(Some(100));
    let mut refused = begun();
    assert!(matches!(ledger.intent(&mut refused, None), Err(LedgerError::Storage(_))));
    assert!(matches!(ledger.settle(ticket, &ended(&event)), Err(LedgerError::Deferred(_))));
    let status = ledger.status();
    assert!(status.refusing && status.deferred == 1 && status.refused == 1);
    ledger.spool().maintain(Instant::now() + LATER);
    assert!(ledger.status().refusing);

    files.set_free_bytes(None);
    ledger.spool().maintain(Instant::now() + 2 * LATER);
    let status = ledger.status();
    assert!(!status.refusing && status.deferred == 0);
    let sink = Sink::default();
    drain(&ledger, &sink);
    assert_eq!(sink.usage(), [ended(&event)]);
    assert_eq!(ledger.status().backlog_records, 0);
}

#[test]
fn a_settlement_in_memory_at_a_kill_becomes_a_recovered_attempt() {
    let files = FakeFiles::new();
    let (ledger, _) = open(&files);
    let mut event = begun();
    let ticket = ledger.intent(&mut event, None).unwrap();
    files.set_free_bytes(Some(0));
    ledger.settle(ticket, &ended(&event)).unwrap_err();
    let sink = Sink::default();
    let (after, recovered) = open(&files.after_kill());
    assert_eq!(recovered.orphans, 1);
    drain(&after, &sink);
    assert_eq!(sink.usage(), [event]);
}

#[test]
fn a_failed_sync_loses_nothing_even_if_the_power_goes_after_the_recovery() {
    for seed in 0..20 {
        let files = FakeFiles::new();
        let (ledger, _) = open(&files);
        let mut early = begun();
        let ticket = ledger.intent(&mut early, None).unwrap();
        ledger.settle(ticket, &ended(&early)).unwrap();
        files.fail_syncs(1);
        ledger.spool().sync().unwrap_err();
        assert_eq!(ledger.status().failed_fsyncs, 1);
        assert!(matches!(ledger.intent(&mut begun(), None), Err(LedgerError::Storage(_))));
        ledger.spool().maintain(Instant::now() + LATER);
        assert!(!ledger.status().refusing);
        let sink = Sink::default();
        let (after, _) = open(&files.after_power_cut(seed));
        drain(&after, &sink);
        assert_eq!(report(&sink).into_values().collect::<Vec<_>>(), [ended(&early)]);
    }
}

#[test]
fn a_file_whose_sync_failed_is_not_synced_again() {
    let files = FakeFiles::new();
    let (ledger, _) = open(&files);
    ledger.record(&mut ended(&begun()), None).unwrap();
    files.fail_syncs(1);
    ledger.spool().sync().unwrap_err();
    let before = files.syncs();
    ledger.spool().sync().unwrap_err();
    assert_eq!(files.syncs(), before);
}

#[test]
fn each_record_is_on_the_disk_when_that_was_asked_for() {
    let files = FakeFiles::new();
    let (ledger, _) = open_with(&files, LedgerOptions { fsync: FsyncPolicy::Each, ..options() });
    let mut event = ended(&begun());
    ledger.record(&mut event, None).unwrap();
    let sink = Sink::default();
    drain(&open(&files.after_power_cut(1)).0, &sink);
    assert_eq!(sink.usage(), [event]);
}

#[test]
fn a_group_sync_makes_everything_before_it_durable_across_a_rotation() {
    let files = FakeFiles::new();
    let (ledger, _) = open(&files);
    for _ in 0..30 {
        ledger.record(&mut ended(&begun()), None).unwrap();
    }
    ledger.spool().sync().unwrap();
    for seed in 0..20 {
        let sink = Sink::default();
        drain(&open(&files.after_power_cut(seed)).0, &sink);
        assert_eq!(report(&sink).len(), 30);
    }
}

#[test]
fn a_full_spool_sheds_content_first_then_refuses_usage_and_never_a_settlement() {
    let files = FakeFiles::new();
    let (ledger, _) = open_with(&files, LedgerOptions { max_bytes: 40 << 10, ..options() });
    let mut event = begun();
    let ticket = ledger.intent(&mut event, None).unwrap();
    while ledger.content(content(1_000)).is_ok() {}
    assert!(ledger.status().spool_bytes < 31 << 10);
    assert_eq!(ledger.status().shed, 1);
    while ledger.record(&mut ended(&begun()), None).is_ok() {}
    assert!(matches!(ledger.intent(&mut event, None), Err(LedgerError::Full { .. })));
    ledger.settle(ticket, &ended(&event)).unwrap();

    let sink = Sink::default();
    drain(&ledger, &sink);
    ledger.spool().persist_progress(Instant::now(), true).unwrap();
    assert!(!ledger.status().refusing);
    assert!(report(&sink).contains_key(&event.event_id));
    drop(ledger.intent(&mut event, None).unwrap());
    ledger.content(content(10)).unwrap();
}

#[test]
fn unmetered_service_is_counted_where_it_is_allowed() {
    let files = FakeFiles::new();
    let options = LedgerOptions { on_full: OnFull::AllowUnmetered, ..options() };
    let (ledger, _) = open_with(&files, options);
    files.set_free_bytes(Some(0));
    let mut event = begun();
    let ticket = ledger.intent(&mut event, None).unwrap();
    ledger.settle(ticket, &ended(&event)).unwrap();
    assert_eq!((ledger.status().unmetered, ledger.status().open_intents), (1, 0));

    let ticket = ledger.intent(&mut event, None).unwrap();
    files.set_free_bytes(None);
    ledger.spool().maintain(Instant::now() + LATER);
    ledger.settle(ticket, &ended(&event)).unwrap();
    let sink = Sink::default();
    drain(&ledger, &sink);
    let numbered = sink.usage().remove(0);
    assert_eq!(numbered.ledger.seq, 1);
    assert_eq!(UsageEvent { ledger: LedgerPosition::unassigned(), ..numbered }, ended(&event));
    assert_eq!(ledger.status().unmetered, 1);
}

#[test]
fn a_spool_on_a_full_disk_opens_and_recovers_its_orphans_when_there_is_room() {
    let files = FakeFiles::new();
    let (ledger, _) = open(&files);
    let mut event = begun();
    let _ticket = ledger.intent(&mut event, None).unwrap();
    let full = files.after_kill();
    full.set_free_bytes(Some(0));
    let (ledger, recovered) = open(&full);
    assert!(recovered.orphans == 1 && ledger.status().refusing);
    full.set_free_bytes(None);
    ledger.spool().maintain(Instant::now() + LATER);
    let sink = Sink::default();
    drain(&ledger, &sink);
    assert_eq!(sink.usage(), [event]);
}

#[test]
fn a_segment_is_made_ahead_so_that_rotation_needs_no_sync() {
    let files = FakeFiles::new();
    let (ledger, _) = open_with(&files, LedgerOptions { fsync: FsyncPolicy::None, ..options() });
    let mut syncs = 0;
    for _ in 0..40 {
        ledger.spool().maintain(Instant::now());
        let before = files.syncs();
        ledger.record(&mut ended(&begun()), None).unwrap();
        syncs += files.syncs() - before;
    }
    assert_eq!(syncs, 0);
    assert!(segments(&files) > 3);
    let sink = Sink::default();
    drain(&ledger, &sink);
    assert_eq!(report(&sink).len(), 40);
}

#[test]
fn damage_in_an_old_segment_costs_only_what_stands_behind_it_there() {
    let files = FakeFiles::new();
    let (ledger, _) = open(&files);
    for _ in 0..30 {
        ledger.record(&mut ended(&begun()), None).unwrap();
    }
    let copy = files.after_kill();
    let first =
        copy.paths().into_iter().filter(|path| path.to_string_lossy().ends_with(".seg")).min().unwrap();
    copy.damage(&first, |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    });
    let (ledger, recovered) = open(&copy);
    assert!(recovered.torn_bytes > 0 && ledger.status().damaged_bytes > 0);
    let sink = Sink::default();
    drain(&ledger, &sink);
    let kept = report(&sink).len();
    assert!((22..30).contains(&kept), "{kept}");
}

/// Attempts until the spool refuses; returns how many were taken.
fn fill(ledger: &Ledger) -> usize {
    let mut taken = 0;
    while let Ok(()) = ledger.record(&mut ended(&begun()), None) {
        taken += 1;
    }
    taken
}

#[test]
fn a_volume_that_the_spool_itself_has_filled_recovers_when_the_log_is_back() {
    for free in [100, 700, 5_000, 20_000, 40_000] {
        let files = FakeFiles::new();
        let (ledger, _) = open(&files);
        let sink = Sink::default();
        let mut written = fill_some(&ledger);
        files.set_free_bytes(Some(free));
        written += fill(&ledger);
        assert!(ledger.status().refusing, "{free}");
        drain(&ledger, &sink);
        let mut now = Instant::now();
        for _ in 0..3 {
            now += LATER;
            ledger.spool().maintain(now);
        }
        assert!(!ledger.status().refusing, "{free}");
        assert!(fill(&ledger) > 0, "{free}");
        drain(&ledger, &sink);
        assert!(report(&sink).len() > written, "{free}");
    }
}

fn fill_some(ledger: &Ledger) -> usize {
    (0..3).for_each(|_| ledger.record(&mut ended(&begun()), None).unwrap());
    3
}

#[test]
fn a_full_volume_recovers_also_after_a_restart() {
    let files = FakeFiles::new();
    let (ledger, _) = open(&files);
    fill_some(&ledger);
    files.set_free_bytes(Some(12_000));
    fill(&ledger);
    let full = files.after_kill();
    full.set_free_bytes(Some(0));
    let (ledger, _) = open(&full);
    assert!(ledger.status().refusing);
    let sink = Sink::default();
    drain(&ledger, &sink);
    ledger.spool().maintain(Instant::now() + LATER);
    ledger.spool().maintain(Instant::now() + 2 * LATER);
    assert!(!ledger.status().refusing);
    fill_some(&ledger);
}

#[test]
fn a_record_that_did_not_fit_leaves_no_bytes_behind() {
    let files = FakeFiles::new();
    let (ledger, _) = open(&files);
    fill_some(&ledger);
    let end = ledger.status().spool_bytes;
    files.set_free_bytes(Some(100));
    fill(&ledger);
    let mut size = 0;
    files.damage(&newest_segment(&files), |bytes| size = bytes.len() as u64);
    assert_eq!(size, end);
}

#[test]
fn a_process_without_free_descriptors_goes_on_writing_and_publishing_frees_space() {
    let files = FakeFiles::new();
    let (ledger, _) = open(&files);
    let sink = Sink::default();
    fill_some(&ledger);
    drain(&ledger, &sink);
    ledger.spool().maintain(Instant::now());
    files.fail_opens(u32::MAX);
    let mut now = Instant::now();
    for _ in 0..100 {
        ledger.record(&mut ended(&begun()), None).unwrap();
        now += LATER;
        ledger.spool().maintain(now);
    }
    assert!(!ledger.status().refusing);
    files.fail_opens(0);
    now += LATER;
    ledger.spool().maintain(now);
    drain(&ledger, &sink);
    fill_some(&ledger);
    ledger.spool().persist_progress(now + LATER, true).unwrap();
    assert!(ledger.status().spool_bytes < 9 << 10);
    drain(&ledger, &sink);
    assert_eq!(report(&sink).len(), 106);
}

#[test]
fn a_segment_that_was_made_ahead_and_never_used_goes_at_the_next_start() {
    let mut files = FakeFiles::new();
    for _ in 0..5 {
        let (ledger, _) = open(&files);
        ledger.spool().maintain(Instant::now());
        assert_eq!(segments(&files), 2);
        files = files.after_kill();
    }
}

#[test]
fn a_spool_smaller_than_one_segment_takes_records_again_when_they_are_published() {
    let files = FakeFiles::new();
    let (ledger, _) =
        open_with(&files, LedgerOptions { max_bytes: 6 << 10, segment_bytes: 64 << 10, ..options() });
    let sink = Sink::default();
    let (mut written, mut now) = (0, Instant::now());
    for round in 0..5 {
        let taken = fill(&ledger);
        assert!(taken > 0, "round {round}");
        written += taken;
        drain(&ledger, &sink);
        ledger.spool().sync().unwrap();
        now += LATER;
        ledger.spool().maintain(now);
    }
    assert_eq!(report(&sink).len(), written);
    assert!(segments(&files) <= 2);
}
