//! The sequence of a boot has no holes, whatever is refused: a hole counts as a lost event.

use std::collections::BTreeSet;

use tollgate_schemas::topics::Topic;
use tollgate_schemas::usage::{BOOT_CLOSED_TYPE, BootClosed};

use super::*;
use crate::LedgerError;

/// Numbers up to the last one that any event of the boot names and that no event has: what a reconciliation
/// counts as lost.
fn missing(sink: &Sink) -> u64 {
    let seen: BTreeSet<u64> = report(sink).values().map(|event| event.ledger.seq).collect();
    let last = seen.last().copied().max(last_seq(sink)).unwrap_or(0);
    last - seen.len() as u64
}

/// What the end of the boot says.
fn last_seq(sink: &Sink) -> Option<u64> {
    let is_end = |record: &tollgate_eventlog::OutRecord| {
        record.headers.iter().any(|(name, value)| name == "ce_type" && value == BOOT_CLOSED_TYPE)
    };
    let end = sink.taken().into_iter().filter(|record| record.topic == Topic::Usage).find(is_end)?;
    Some(serde_json::from_slice::<BootClosed>(&end.payload.unwrap()).unwrap().last_seq)
}

fn attempt(ledger: &Ledger) -> Result<(), LedgerError> {
    let mut event = begun();
    let ticket = ledger.intent(&mut event, None)?;
    ledger.settle(ticket, &ended(&event))
}

#[test]
fn refusals_of_a_full_spool_leave_no_hole_when_the_log_is_back() {
    let files = FakeFiles::new();
    let (ledger, _) = open_with(&files, LedgerOptions { max_bytes: 20 << 10, ..options() });
    while attempt(&ledger).is_ok() {}
    for _ in 0..5 {
        assert!(matches!(attempt(&ledger), Err(LedgerError::Full { .. })));
        let mut refusal = ended(&begun());
        ledger.record(&mut refusal, None).unwrap_err();
        assert_eq!(refusal.ledger, LedgerPosition::unassigned());
    }
    let sink = Sink::default();
    drain(&ledger, &sink);
    ledger.spool().persist_progress(Instant::now(), true).unwrap();
    attempt(&ledger).unwrap();
    ledger.close().unwrap();
    drain(&ledger, &sink);
    let rows = report(&sink).len() as u64;
    assert!(rows > 10);
    assert_eq!((missing(&sink), last_seq(&sink), ledger.status().seq), (0, Some(rows), rows));
}

#[test]
fn a_disk_that_refuses_uses_up_no_number() {
    let files = FakeFiles::new();
    let (ledger, _) = open(&files);
    attempt(&ledger).unwrap();
    files.set_free_bytes(Some(0));
    (0..3).for_each(|_| assert!(matches!(attempt(&ledger), Err(LedgerError::Storage(_)))));
    files.set_free_bytes(None);
    ledger.spool().maintain(Instant::now() + Duration::from_secs(10));
    attempt(&ledger).unwrap();
    let sink = Sink::default();
    drain(&ledger, &sink);
    let seqs: Vec<u64> = sink.usage().iter().map(|event| event.ledger.seq).collect();
    assert_eq!(seqs, [1, 2]);
}

#[test]
fn an_event_that_the_topic_would_refuse_for_its_size_is_refused_at_once_and_uses_up_no_number() {
    let (ledger, _) = open(&FakeFiles::new());
    let mut large = ended(&begun());
    large.call.model_requested = "a".repeat(65_000).into();
    assert!(matches!(ledger.record(&mut large, None), Err(LedgerError::Unwritable(_))));
    assert!(matches!(ledger.intent(&mut large, None), Err(LedgerError::Unwritable(_))));
    let mut event = begun();
    let ticket = ledger.intent(&mut event, None).unwrap();
    let mut settlement = ended(&event);
    settlement.call.model = "a".repeat(65_000).into();
    assert!(matches!(ledger.settle(ticket, &settlement), Err(LedgerError::Unwritable(_))));
    let sink = Sink::default();
    drain(&ledger, &sink);
    assert_eq!(sink.usage(), [event]);
    assert_eq!((missing(&sink), ledger.status().dead_letters), (0, 0));
}

#[test]
fn the_largest_event_that_is_accepted_fits_into_the_topic() {
    let (ledger, _) = open(&FakeFiles::new());
    let mut event = ended(&begun());
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for length in (0..65_536).rev() {
        event.call.model_requested = "a".repeat(length).into();
        if ledger.record(&mut event, Some(traceparent)).is_ok() {
            break;
        }
    }
    let sink = Sink::default();
    drain(&ledger, &sink);
    let size = sink.taken()[0].size();
    let limit = Topic::Usage.spec().max_record_bytes as usize;
    assert!((limit - 1_024..=limit).contains(&size), "{size}");
}

#[test]
fn attempts_that_are_served_unmetered_use_up_no_number() {
    let files = FakeFiles::new();
    let (ledger, _) = open_with(&files, LedgerOptions { on_full: OnFull::AllowUnmetered, ..options() });
    files.set_free_bytes(Some(0));
    (0..3).for_each(|_| attempt(&ledger).unwrap());
    let mut late = begun();
    let ticket = ledger.intent(&mut late, None).unwrap();
    files.set_free_bytes(None);
    ledger.spool().maintain(Instant::now() + Duration::from_secs(10));
    ledger.settle(ticket, &ended(&late)).unwrap();
    attempt(&ledger).unwrap();
    let sink = Sink::default();
    drain(&ledger, &sink);
    assert_eq!((missing(&sink), report(&sink).len(), ledger.status().unmetered), (0, 2, 3));
}

#[test]
fn no_number_is_given_after_the_end_of_the_boot_was_written() {
    for _ in 0..20 {
        let (ledger, _) = open(&FakeFiles::new());
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| while !matches!(attempt(&ledger), Err(LedgerError::Closed)) {});
            }
            while ledger.status().seq < 10 {
                std::thread::yield_now();
            }
            ledger.close().unwrap();
        });
        assert!(matches!(ledger.record(&mut ended(&begun()), None), Err(LedgerError::Closed)));
        let sink = Sink::default();
        drain(&ledger, &sink);
        assert_eq!((missing(&sink), last_seq(&sink)), (0, Some(report(&sink).len() as u64)));
    }
}

#[test]
fn a_later_version_of_an_event_keeps_its_number_and_wins_also_when_another_process_writes_it_twice() {
    let files = FakeFiles::new();
    let (ledger, _) = open(&files);
    let mut event = begun();
    let ticket = ledger.intent(&mut event, None).unwrap();
    ledger.settle(ticket, &ended(&event)).unwrap();
    attempt(&ledger).unwrap();
    let (ledger, _) = open(&files.after_kill());
    let lines = vec![UsageLine { class: TokenClass::Output, qty: 7 }];
    let corrected = UsageEvent { version: VERSION_FINAL + 2, lines, ..ended(&event) };
    ledger.correct(&corrected).unwrap();
    ledger.correct(&corrected).unwrap();
    ledger.sync().unwrap();
    let sink = Sink::default();
    drain(&ledger, &sink);
    let rows = report(&sink);
    assert_eq!((rows.len(), missing(&sink)), (2, 0));
    assert_eq!(rows[&event.event_id], corrected);
}

#[test]
fn a_later_version_that_the_disk_refuses_is_not_kept_in_memory() {
    let files = FakeFiles::new();
    let (ledger, _) = open(&files);
    let mut event = ended(&begun());
    ledger.record(&mut event, None).unwrap();
    files.set_free_bytes(Some(0));
    assert!(matches!(ledger.correct(&event), Err(LedgerError::Storage(_))));
    assert_eq!(ledger.status().deferred, 0);
}
