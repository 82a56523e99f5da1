//! The process dies at each point of an attempt's life; the disk is copied at that moment and opened again.

use tollgate_schemas::topics::Topic;

use super::*;

/// What the log holds after a restart from `files` and a full publication.
fn after_restart(files: &FakeFiles, sink: &Sink) -> Recovered {
    let (ledger, recovered) = open(files);
    drain(&ledger, sink);
    assert_eq!(ledger.status().backlog_records, 0);
    recovered
}

#[test]
fn a_kill_before_the_intent_leaves_nothing() {
    let files = FakeFiles::new();
    let (_ledger, _) = open(&files);
    let sink = Sink::default();
    assert_eq!(after_restart(&files.after_kill(), &sink).orphans, 0);
    assert!(sink.taken().is_empty());
}

#[test]
fn a_kill_after_the_intent_publishes_the_intent_unchanged() {
    let files = FakeFiles::new();
    let (ledger, _) = open(&files);
    let mut event = begun();
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let _ticket = ledger.intent(&mut event, Some(traceparent)).unwrap();
    let sink = Sink::default();
    assert_eq!(after_restart(&files.after_kill(), &sink).orphans, 1);
    assert_eq!(sink.usage(), [event]);
    let headers = sink.taken().remove(0).headers;
    assert!(headers.iter().any(|(name, value)| name == "ce_traceparent" && value == traceparent));
}

#[test]
fn a_kill_after_the_settlement_publishes_the_settlement_alone() {
    let files = FakeFiles::new();
    let (ledger, _) = open(&files);
    let mut event = begun();
    let ticket = ledger.intent(&mut event, None).unwrap();
    ledger.settle(ticket, &ended(&event)).unwrap();
    let sink = Sink::default();
    assert_eq!(after_restart(&files.after_kill(), &sink).orphans, 0);
    assert_eq!(sink.usage(), [ended(&event)]);
}

#[test]
fn a_record_that_was_half_written_does_not_exist() {
    let files = FakeFiles::new();
    let (ledger, _) = open(&files);
    let mut event = begun();
    let ticket = ledger.intent(&mut event, None).unwrap();
    ledger.settle(ticket, &ended(&event)).unwrap();
    let copy = files.after_kill();
    copy.damage(&newest_segment(&copy), |bytes| bytes.truncate(bytes.len() - 3));
    let sink = Sink::default();
    let recovered = after_restart(&copy, &sink);
    assert!(recovered.orphans == 1 && recovered.torn_bytes > 0);
    assert_eq!(sink.usage(), std::slice::from_ref(&event));

    let torn_intent = FakeFiles::new();
    let (ledger, _) = open(&torn_intent);
    let _ticket = ledger.intent(&mut event, None).unwrap();
    let copy = torn_intent.after_kill();
    copy.damage(&newest_segment(&copy), |bytes| bytes.truncate(bytes.len() - 3));
    let sink = Sink::default();
    assert_eq!(after_restart(&copy, &sink).orphans, 0);
    assert!(sink.taken().is_empty());
}

#[test]
fn a_kill_between_publishing_and_the_cursor_publishes_twice_and_counts_once() {
    let files = FakeFiles::new();
    let (ledger, _) = open(&files);
    let mut event = begun();
    let ticket = ledger.intent(&mut event, None).unwrap();
    ledger.settle(ticket, &ended(&event)).unwrap();
    let sink = Sink::default();
    drain(&ledger, &sink);
    let before_cursor = files.after_kill();
    ledger.spool().persist_progress(Instant::now(), true).unwrap();
    let after_cursor = files.after_kill();

    after_restart(&after_cursor, &sink);
    assert_eq!(sink.usage().len(), 1);
    after_restart(&before_cursor, &sink);
    assert_eq!(sink.usage().len(), 2);
    assert_eq!(report(&sink).into_values().collect::<Vec<_>>(), [ended(&event)]);
}

#[test]
fn a_kill_during_recovery_loses_no_orphan() {
    let files = FakeFiles::new();
    let (ledger, _) = open(&files);
    let mut tickets = Vec::new();
    for _ in 0..5 {
        tickets.push(ledger.intent(&mut begun(), None).unwrap());
    }
    let mut copy = files.after_kill();
    for round in 0..4 {
        let (_ledger, recovered) = open(&copy);
        // The second start and later find the releases of the first.
        assert_eq!(recovered.orphans, if round == 0 { 5 } else { 0 });
        copy = copy.after_kill();
    }
    let sink = Sink::default();
    after_restart(&copy, &sink);
    assert_eq!(report(&sink).len(), 5);
    assert_eq!(sink.usage().len(), 5);
}

#[test]
fn an_intent_that_stays_open_keeps_its_segment_while_others_go() {
    let files = FakeFiles::new();
    let (ledger, _) = open(&files);
    let mut long = begun();
    let long_ticket = ledger.intent(&mut long, None).unwrap();
    let sink = Sink::default();
    for _ in 0..50 {
        let mut event = begun();
        let ticket = ledger.intent(&mut event, None).unwrap();
        ledger.settle(ticket, &ended(&event)).unwrap();
    }
    drain(&ledger, &sink);
    assert!(segments(&files) > 3);
    ledger.spool().persist_progress(Instant::now(), true).unwrap();
    assert_eq!(segments(&files), 2);

    let killed = Sink::default();
    assert_eq!(after_restart(&files.after_kill(), &killed).orphans, 1);
    assert_eq!(killed.usage(), std::slice::from_ref(&long));

    ledger.settle(long_ticket, &ended(&long)).unwrap();
    drain(&ledger, &sink);
    ledger.spool().persist_progress(Instant::now() + Duration::from_secs(1), true).unwrap();
    assert_eq!(segments(&files), 1);
    assert_eq!(report(&sink).len(), 51);
}

#[test]
fn a_dropped_ticket_publishes_the_intent_without_a_restart() {
    let files = FakeFiles::new();
    let (ledger, _) = open(&files);
    let mut event = begun();
    drop(ledger.intent(&mut event, None).unwrap());
    assert_eq!(ledger.status().open_intents, 0);
    let sink = Sink::default();
    drain(&ledger, &sink);
    assert_eq!(sink.usage(), [event]);
}

#[test]
fn a_lost_cursor_publishes_again_and_loses_nothing() {
    let files = FakeFiles::new();
    let (ledger, _) = open(&files);
    let sink = Sink::default();
    for _ in 0..3 {
        ledger.record(&mut ended(&begun()), None).unwrap();
    }
    drain(&ledger, &sink);
    ledger.spool().persist_progress(Instant::now(), true).unwrap();
    let copy = files.after_kill();
    copy.damage(&Path::new(DIR).join("progress"), |bytes| bytes.fill(0));
    after_restart(&copy, &sink);
    assert_eq!((sink.usage().len(), report(&sink).len()), (6, 3));
}

#[test]
fn an_orderly_end_says_the_last_sequence_number() {
    let files = FakeFiles::new();
    let (ledger, _) = open(&files);
    ledger.record(&mut ended(&begun()), None).unwrap();
    ledger.close().unwrap();
    ledger.close().unwrap();
    let mut event = begun();
    assert!(matches!(ledger.intent(&mut event, None), Err(crate::LedgerError::Closed)));
    let sink = Sink::default();
    after_restart(&files.after_power_cut(4), &sink);
    let closed = &sink.taken()[1];
    assert_eq!(closed.topic, Topic::Usage);
    let said: tollgate_schemas::usage::BootClosed =
        serde_json::from_slice(closed.payload.as_ref().unwrap()).unwrap();
    assert_eq!((said.last_seq, &*said.gateway_id), (1, "gw-1"));
    assert_eq!(sink.taken().len(), 2);
}

#[test]
fn two_processes_cannot_share_a_spool() {
    let files = FakeFiles::new();
    let (_ledger, _) = open(&files);
    let error = Ledger::open_with(Arc::new(files), options()).unwrap_err();
    assert!(error.to_string().contains("another process"), "{error}");
}
