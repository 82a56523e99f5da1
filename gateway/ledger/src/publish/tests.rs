//! The publisher against a log that does what the test says.

use tollgate_eventlog::segment::fake::FakeFiles;
use tollgate_schemas::topics::Topic;
use uuid::Uuid;

use super::*;
use crate::tests::{Behaviour, Sink, begun, drain, ended, open, publisher, report};
use crate::{ContentMessage, Ledger};

#[path = "unreadable_tests.rs"]
mod unreadable;

const SECOND: Duration = Duration::from_secs(1);

/// A ledger with `count` finished events.
fn ledger_with(count: usize) -> (FakeFiles, Ledger) {
    let files = FakeFiles::new();
    let (ledger, _) = open(&files);
    write(&ledger, count);
    (files, ledger)
}

fn write(ledger: &Ledger, count: usize) {
    for _ in 0..count {
        ledger.record(&mut ended(&begun()), None).unwrap();
    }
}

fn prompt(payload: &'static str) -> ContentMessage {
    ContentMessage {
        topic: Topic::Prompt,
        key: "request".into(),
        id: Uuid::from_u128(9),
        kind: "dev.tollgate.prompt.recorded.v1",
        time_ms: 0,
        subject: Some("checkout-team".into()),
        payload: payload.into(),
    }
}

#[test]
fn events_arrive_once_in_order_under_the_payers_key() {
    let (_files, ledger) = ledger_with(20);
    let sink = Sink::default();
    drain(&ledger, &sink);
    let seqs: Vec<u64> = sink.usage().iter().map(|event| event.ledger.seq).collect();
    assert_eq!(seqs, (1..=20).collect::<Vec<_>>());
    assert!(sink.taken().iter().all(|record| &record.key[..] == b"key-1"));
    let status = ledger.status();
    assert_eq!((status.published, status.backlog_records, status.backlog_bytes), (20, 0, 0));
}

#[test]
fn a_failed_delivery_is_sent_again_and_holds_the_cursor_until_then() {
    let (_files, ledger) = ledger_with(3);
    let sink = Sink::default();
    sink.script([Behaviour::Take, Behaviour::Retry, Behaviour::Take]);
    let mut publisher = publisher(&ledger, &sink);
    let now = Instant::now();
    publisher.step(now, Duration::ZERO);
    publisher.report(now, true);
    assert_eq!((ledger.status().published, ledger.status().backlog_records), (1, 2));
    publisher.step(now, Duration::ZERO);
    assert_eq!(sink.usage().len(), 2, "sent again without a pause");
    publisher.step(now + SECOND, Duration::ZERO);
    publisher.report(now, true);
    assert_eq!(ledger.status().published, 3);
    assert_eq!(report(&sink).len(), 3);
}

#[test]
fn a_broken_producer_is_replaced_and_everything_behind_the_cursor_is_sent_again() {
    let (_files, ledger) = ledger_with(5);
    let sink = Sink::default();
    sink.script([Behaviour::Take, Behaviour::Take, Behaviour::Fatal]);
    drain(&ledger, &sink);
    assert_eq!(sink.producers(), 2);
    assert_eq!(report(&sink).len(), 5);
    assert_eq!(ledger.status().published, 5);
}

#[test]
fn a_broken_producer_loses_no_intent_that_is_open() {
    let files = FakeFiles::new();
    let (ledger, _) = open(&files);
    let mut event = begun();
    let ticket = ledger.intent(&mut event, None).unwrap();
    write(&ledger, 2);
    let sink = Sink::default();
    sink.script([Behaviour::Fatal]);
    let mut publisher = publisher(&ledger, &sink);
    let now = Instant::now();
    publisher.step(now, Duration::ZERO);
    drop(ticket);
    for seconds in 1..5 {
        publisher.step(now + seconds * SECOND, Duration::ZERO);
    }
    assert!(publisher.is_drained());
    assert_eq!(report(&sink).get(&event.event_id), Some(&event));
}

#[test]
fn a_full_producer_is_waited_for() {
    let (_files, ledger) = ledger_with(4);
    let sink = Sink::default();
    sink.script([Behaviour::Full, Behaviour::Take, Behaviour::Full, Behaviour::Full]);
    drain(&ledger, &sink);
    assert_eq!(sink.usage().len(), 4);
}

#[test]
fn a_refused_event_becomes_a_dead_letter_and_blocks_nobody() {
    for behaviour in [Behaviour::Refuse, Behaviour::RefuseAtOnce] {
        let (_files, ledger) = ledger_with(3);
        let sink = Sink::default();
        sink.script([Behaviour::Take, behaviour]);
        drain(&ledger, &sink);
        assert_eq!(report(&sink).len(), 2);
        let letters: Vec<_> =
            sink.taken().into_iter().filter(|record| record.topic == Topic::UsageDeadLetter).collect();
        let header = |name| letters[0].headers.iter().find(|(key, _)| key == name).map(|(_, v)| v.clone());
        assert_eq!(letters.len(), 1);
        assert_eq!(header(wrap::REASON_HEADER).unwrap(), "scripted");
        assert_eq!((ledger.status().dead_letters, ledger.status().backlog_records), (1, 0));
    }
}

#[test]
fn refused_content_goes_nowhere_else() {
    let (files, ledger) = ledger_with(1);
    ledger.content(prompt("a secret")).unwrap();
    let sink = Sink::default();
    sink.refuse_topic(Topic::Prompt);
    drain(&ledger, &sink);
    assert!(sink.taken().iter().all(|record| record.topic == Topic::Usage));
    assert!(!files.paths().iter().any(|path| path.to_string_lossy().contains("dead-letters")));
    assert_eq!(ledger.status().dead_letters, 1);
}

#[test]
fn content_that_cannot_be_delivered_is_shed_and_holds_up_no_usage() {
    let (_files, ledger) = ledger_with(0);
    ledger.content(prompt("{}")).unwrap();
    write(&ledger, 3);
    let sink = Sink::default();
    let mut publisher = publisher(&ledger, &sink);
    let now = Instant::now();
    for try_at in 0..6 {
        sink.script([Behaviour::Retry]);
        publisher.step(now + try_at * 10 * SECOND, Duration::ZERO);
    }
    publisher.report(now, true);
    assert!(sink.taken().iter().all(|record| record.topic == Topic::Usage));
    assert_eq!(sink.usage().len(), 3);
    let status = ledger.status();
    assert_eq!((status.shed, status.backlog_records), (1, 0));
}

#[test]
fn usage_that_cannot_be_delivered_is_tried_for_ever() {
    let (_files, ledger) = ledger_with(1);
    let sink = Sink::default();
    let mut publisher = publisher(&ledger, &sink);
    let now = Instant::now();
    for try_at in 0..50 {
        sink.script([Behaviour::Retry]);
        publisher.step(now + try_at * 10 * SECOND, Duration::ZERO);
    }
    assert!(sink.usage().is_empty());
    publisher.step(now + 1_000 * SECOND, Duration::ZERO);
    assert_eq!(sink.usage().len(), 1);
}

#[test]
fn content_goes_to_its_own_topic_with_its_own_key() {
    let (_files, ledger) = ledger_with(0);
    ledger.content(prompt("{}")).unwrap();
    let sink = Sink::default();
    drain(&ledger, &sink);
    let record = sink.taken().remove(0);
    assert_eq!((record.topic, &record.key[..]), (Topic::Prompt, &b"request"[..]));
}

#[test]
fn an_unreachable_log_keeps_the_backlog_and_little_memory() {
    let (_files, ledger) = ledger_with(10);
    let sink = Sink::default();
    sink.set_reachable(false);
    let mut publisher = publisher(&ledger, &sink);
    let now = Instant::now();
    for seconds in 0..5 {
        assert_eq!(publisher.step(now + seconds * 10 * SECOND, Duration::ZERO), Step::Idle);
    }
    assert_eq!(ledger.status().backlog_records, 10);
    assert!(ledger.spool().progress().oldest_ms.is_some());
    sink.set_reachable(true);
    publisher.step(now + 100 * SECOND, Duration::ZERO);
    assert_eq!(sink.usage().len(), 10);
}

#[test]
fn a_silent_log_fills_the_window_and_no_more() {
    let (_files, ledger) = ledger_with(MAX_IN_FLIGHT + 100);
    let sink = Sink::default();
    sink.hold(true);
    let mut publisher = publisher(&ledger, &sink);
    let now = Instant::now();
    for _ in 0..5 {
        publisher.step(now, Duration::ZERO);
    }
    assert_eq!(sink.usage().len(), MAX_IN_FLIGHT);
    let status = ledger.status();
    assert_eq!(status.backlog_records, MAX_IN_FLIGHT as u64 + 100);
    sink.hold(false);
    drain(&ledger, &sink);
    assert_eq!(report(&sink).len(), MAX_IN_FLIGHT + 100);
}

#[test]
fn a_new_publisher_goes_on_at_the_last_report() {
    let (_files, ledger) = ledger_with(5);
    let sink = Sink::default();
    let mut first = publisher(&ledger, &sink);
    first.step(Instant::now(), Duration::ZERO);
    drop(first);
    write(&ledger, 5);
    let mut second = publisher(&ledger, &sink);
    second.step(Instant::now(), Duration::ZERO);
    assert!(second.is_drained());
    assert_eq!((sink.usage().len(), report(&sink).len()), (10, 10));
    second.report(Instant::now(), true);
    assert_eq!((ledger.status().published, ledger.status().backlog_records), (10, 0));
}

#[test]
fn the_oldest_waiting_record_is_known() {
    let (_files, ledger) = ledger_with(2);
    let sink = Sink::default();
    sink.hold(true);
    let mut publisher = publisher(&ledger, &sink);
    let now = Instant::now();
    publisher.step(now, Duration::ZERO);
    publisher.report(now, true);
    assert!(ledger.spool().progress().oldest_ms.is_some());
    sink.hold(false);
    publisher.step(now, Duration::ZERO);
    publisher.report(now, true);
    assert_eq!(ledger.status().backlog_age_ms, 0);
}

/// Steps until everything is published; the steps are far enough apart for every pause.
fn finish(publisher: &mut Publisher, ledger: &Ledger) {
    let mut now = Instant::now();
    for _ in 0..100 {
        now += 10 * SECOND;
        publisher.step(now, Duration::ZERO);
        if publisher.is_drained() {
            publisher.report(now, true);
            assert_eq!(ledger.status().backlog_records, 0);
            return;
        }
    }
    panic!("the cursor stands still");
}

#[test]
fn a_record_that_cannot_be_read_when_it_is_sent_again_keeps_its_place() {
    for fault in [FakeFiles::fail_opens, FakeFiles::fail_reads] {
        let (files, ledger) = ledger_with(5);
        let sink = Sink::default();
        sink.script([Behaviour::Retry; 5]);
        let mut publisher = publisher(&ledger, &sink);
        publisher.step(Instant::now(), Duration::ZERO);
        fault(&files, 3);
        finish(&mut publisher, &ledger);
        assert_eq!((report(&sink).len(), ledger.status().published), (5, 5));
        assert_eq!(ledger.status().dead_letters, 0);
    }
}

#[test]
fn a_release_whose_intent_cannot_be_read_now_is_published_later() {
    for fault in [FakeFiles::fail_opens, FakeFiles::fail_reads] {
        let files = FakeFiles::new();
        let (ledger, _) = open(&files);
        let mut event = begun();
        let ticket = ledger.intent(&mut event, None).unwrap();
        let sink = Sink::default();
        let mut publisher = publisher(&ledger, &sink);
        publisher.step(Instant::now(), Duration::ZERO);
        drop(ticket);
        // The reading end has the release in its buffer, so the fault meets the intent.
        assert!(!publisher.is_drained());
        fault(&files, 2);
        finish(&mut publisher, &ledger);
        assert_eq!(sink.usage(), [event]);
    }
}

#[test]
fn a_record_that_cannot_be_read_now_does_not_hold_up_new_ones() {
    let (files, ledger) = ledger_with(1);
    let sink = Sink::default();
    sink.script([Behaviour::Retry]);
    let mut publisher = publisher(&ledger, &sink);
    publisher.step(Instant::now(), Duration::ZERO);
    write(&ledger, 3);
    files.fail_opens(1);
    publisher.step(Instant::now() + 10 * SECOND, Duration::ZERO);
    assert_eq!(sink.usage().len(), 3);
    finish(&mut publisher, &ledger);
    assert_eq!(report(&sink).len(), 4);
}

#[test]
fn a_refused_event_that_cannot_be_read_now_becomes_a_dead_letter_later() {
    let (files, ledger) = ledger_with(2);
    let sink = Sink::default();
    sink.script([Behaviour::Refuse, Behaviour::Take]);
    sink.hold(true);
    let mut publisher = publisher(&ledger, &sink);
    publisher.step(Instant::now(), Duration::ZERO);
    sink.hold(false);
    files.fail_opens(1);
    publisher.step(Instant::now(), Duration::ZERO);
    sink.script([Behaviour::Refuse]);
    finish(&mut publisher, &ledger);
    let topics: Vec<Topic> = sink.taken().iter().map(|record| record.topic).collect();
    assert_eq!(topics.iter().filter(|topic| **topic == Topic::UsageDeadLetter).count(), 1);
    assert_eq!(ledger.status().dead_letters, 1);
}
