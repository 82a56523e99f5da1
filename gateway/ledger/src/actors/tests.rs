//! The actors on their threads: real time, real files, and the embedded log.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tollgate_eventlog::config::EmbeddedConfig;
use tollgate_eventlog::embedded::EmbeddedLog;
use tollgate_eventlog::segment::fake::FakeFiles;
use tollgate_eventlog::{EventLog, Polled, Topic};
use tollgate_schemas::usage::UsageEvent;

use super::super::tests::{Sink, begun, ended, open, options, report};
use super::super::{Ledger, LedgerOptions};
use super::*;

const LIMIT: Duration = Duration::from_secs(20);

/// Waits until `condition` holds.
fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn attempt(ledger: &Ledger) -> UsageEvent {
    let mut event = begun();
    let ticket = ledger.intent(&mut event, None).unwrap();
    ledger.settle(ticket, &ended(&event)).unwrap();
    event
}

fn embedded(dir: &Path) -> Arc<EmbeddedLog> {
    let config = EmbeddedConfig { path: dir.join("log"), segment_bytes: 1 << 20 };
    Arc::new(EmbeddedLog::open(&config).unwrap())
}

fn on_disk(dir: &Path) -> Ledger {
    let options = LedgerOptions { dir: dir.join("spool"), segment_bytes: 1 << 20, ..options() };
    Ledger::open(options).unwrap().0
}

/// All usage records of the log.
fn usage(log: &EmbeddedLog) -> usize {
    let mut consumer = log.consumer("test", &[Topic::Usage]).unwrap();
    let mut count = 0;
    loop {
        match consumer.poll(Duration::ZERO).unwrap() {
            Polled::Records(records) => count += records.len(),
            Polled::Idle => return count,
            Polled::Assigned(_) | Polled::Revoked(_) => {}
        }
    }
}

#[test]
fn what_is_written_down_is_published_and_its_segments_go() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, log) = (on_disk(dir.path()), embedded(dir.path()));
    let handle = start(ledger.clone(), log.clone());
    (0..500).for_each(|_| {
        attempt(&ledger);
    });
    until("publication", || ledger.status().backlog_records == 0);
    let report = handle.shutdown(LIMIT);
    assert_eq!(report, ShutdownReport { drained: true, left_records: 0 });
    // One more: the end of the boot.
    assert_eq!(usage(&log), 501);
    drop(ledger);
    let again = on_disk(dir.path());
    assert_eq!(again.status().backlog_records, 0);
}

#[test]
fn a_spool_that_is_opened_again_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let log = embedded(dir.path());
    for round in 1..=3 {
        let ledger = on_disk(dir.path());
        let handle = start(ledger.clone(), log.clone());
        (0..50).for_each(|_| {
            attempt(&ledger);
        });
        drop(handle);
        drop(ledger);
        assert!(round > 0);
    }
    let ledger = on_disk(dir.path());
    let handle = start(ledger.clone(), log.clone());
    assert!(handle.shutdown(LIMIT).drained);
    // Handles that were dropped may have left records to publish twice, but none unpublished.
    assert!(usage(&log) >= 151);
}

#[test]
fn a_shutdown_without_a_log_keeps_to_its_deadline_and_leaves_the_rest_in_the_spool() {
    let files = FakeFiles::new();
    let (ledger, _) = open(&files);
    let sink = Sink::default();
    sink.set_reachable(false);
    let handle = start(ledger.clone(), Arc::new(sink.clone()));
    attempt(&ledger);
    let report = handle.shutdown(Duration::from_millis(50));
    assert_eq!(report, ShutdownReport { drained: false, left_records: 2 });
    let (after, _) = open(&files.after_power_cut(3));
    assert_eq!(after.status().backlog_records, 2);
}

#[test]
fn actors_that_panic_are_replaced_and_lose_nothing() {
    let (ledger, _) = open(&FakeFiles::new());
    let sink = Sink::default();
    let handle = start(ledger.clone(), Arc::new(sink.clone()));
    for round in 1..=3 {
        attempt(&ledger);
        handle.crash_actors();
        // Requests go on in the meantime.
        attempt(&ledger);
        until("replacement", || ledger.status().actor_restarts == 2 * round);
        attempt(&ledger);
    }
    assert!(handle.shutdown(LIMIT).drained);
    assert_eq!(report(&sink).len(), 9);
}

#[test]
fn a_log_that_comes_late_gets_everything() {
    let (ledger, _) = open(&FakeFiles::new());
    let sink = Sink::default();
    sink.set_reachable(false);
    let handle = start(ledger.clone(), Arc::new(sink.clone()));
    (0..100).for_each(|_| {
        attempt(&ledger);
    });
    assert_eq!(ledger.status().backlog_records, 100);
    sink.set_reachable(true);
    until("publication", || ledger.status().backlog_records == 0);
    drop(handle);
    assert_eq!(report(&sink).len(), 100);
}

#[test]
fn a_handle_that_is_dropped_stops_its_threads_although_the_log_is_silent() {
    let (ledger, _) = open(&FakeFiles::new());
    let sink = Sink::default();
    sink.hold(true);
    let handle = start(ledger.clone(), Arc::new(sink.clone()));
    attempt(&ledger);
    until("a record in flight", || sink.usage().len() == 1);
    let (stopped, waiting) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        drop(handle);
        stopped.send(()).unwrap();
    });
    waiting.recv_timeout(LIMIT).unwrap();
}

#[test]
fn groups_are_synced_without_being_asked() {
    let files = FakeFiles::new();
    let (ledger, _) = open(&files);
    let sink = Sink::default();
    sink.set_reachable(false);
    let _handle = start(ledger.clone(), Arc::new(sink));
    attempt(&ledger);
    let before = files.syncs();
    until("a sync", || files.syncs() > before);
    until("durability", || open(&files.after_power_cut(9)).0.status().backlog_records == 1);
}

#[test]
fn many_threads_write_at_once_and_every_attempt_arrives() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, log) = (on_disk(dir.path()), embedded(dir.path()));
    let handle = start(ledger.clone(), log.clone());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                (0..250).for_each(|_| {
                    attempt(&ledger);
                });
            });
        }
    });
    assert_eq!(ledger.status().seq, 1_000);
    assert!(handle.shutdown(LIMIT).drained);
    assert_eq!(usage(&log), 1_001);
}
