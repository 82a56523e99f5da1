//! Tests of the embedded log: order, groups, restarts and damage on disk.

use std::path::PathBuf;

use bytes::Bytes;

use super::*;
use crate::port::{Delivery, DeliveryError, InRecord, OutRecord, Polled, SendError, TopicPartition};
use crate::segment::fake::FakeFiles;

const WAIT: Duration = Duration::from_secs(10);
const HOUR_MS: i64 = 3_600_000;

fn open(files: &FakeFiles) -> EmbeddedLog {
    EmbeddedLog::open_with(Arc::new(files.clone()), &config("/log", 1_000)).unwrap()
}

fn config(path: impl Into<PathBuf>, segment_bytes: u64) -> EmbeddedConfig {
    EmbeddedConfig { path: path.into(), segment_bytes }
}

fn record(topic: Topic, key: &str, payload: &str, timestamp_ms: i64) -> OutRecord {
    OutRecord {
        topic,
        key: Bytes::copy_from_slice(key.as_bytes()),
        headers: vec![("ce_id".into(), Bytes::from_static(b"1"))],
        payload: Some(Bytes::copy_from_slice(payload.as_bytes())),
        timestamp_ms,
    }
}

/// Sends and waits until all are reported.
fn produce(log: &EmbeddedLog, records: Vec<OutRecord>) -> Vec<Delivery> {
    let mut producer = log.producer().unwrap();
    for (token, record) in records.into_iter().enumerate() {
        producer.send(record, token as u64).unwrap();
    }
    let mut done = Vec::new();
    while producer.in_flight() > 0 {
        producer.poll(WAIT, &mut done);
    }
    done
}

fn texts(count: usize) -> Vec<OutRecord> {
    (0..count)
        .map(|number| record(Topic::Usage, &format!("key-{}", number % 7), &number.to_string(), 0))
        .collect()
}

/// Polls until `count` records came.
fn consume(consumer: &mut dyn Consumer, count: usize) -> Vec<InRecord> {
    let mut found = Vec::new();
    while found.len() < count {
        match consumer.poll(WAIT).unwrap() {
            Polled::Records(records) => found.extend(records),
            Polled::Idle => panic!("{} of {count} records came", found.len()),
            Polled::Assigned(_) | Polled::Revoked(_) => {}
        }
    }
    found
}

fn payload(record: &InRecord) -> String {
    String::from_utf8(record.payload.clone().unwrap().to_vec()).unwrap()
}

/// Everything that is readable without waiting, by a new group.
fn all(log: &EmbeddedLog, topic: Topic) -> Vec<InRecord> {
    let mut consumer = log.consumer("everything", &[topic]).unwrap();
    let mut found = Vec::new();
    loop {
        match consumer.poll(Duration::ZERO).unwrap() {
            Polled::Records(records) => found.extend(records),
            Polled::Idle => return found,
            Polled::Assigned(_) | Polled::Revoked(_) => {}
        }
    }
}

#[test]
fn tails_read_everything_each_by_itself_and_wait_for_more() {
    let log = open(&FakeFiles::new());
    produce(&log, texts(30));
    let mut tails = [log.tail(Topic::Usage).unwrap(), log.tail(Topic::Usage).unwrap()];
    for tail in &mut tails {
        let mut found = Vec::new();
        tail.poll(WAIT, &mut found).unwrap();
        assert_eq!(found.len(), 30);
        tail.poll(Duration::ZERO, &mut found).unwrap();
        assert_eq!(found.len(), 30);
    }
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let mut found = Vec::new();
            tails[0].poll(WAIT, &mut found).unwrap();
            found.len()
        });
        produce(&log, texts(1));
        assert_eq!(waiting.join().unwrap(), 1);
    });
}

#[test]
fn records_of_a_key_stay_in_order_across_segments() {
    let log = open(&FakeFiles::new());
    let done = produce(&log, texts(500));
    assert!(done.iter().all(|delivery| delivery.result.is_ok()));
    let found = consume(&mut *log.consumer("accounting", &[Topic::Usage]).unwrap(), 500);
    for key in 0..7 {
        let key = format!("key-{key}");
        let numbers: Vec<usize> =
            found.iter().filter(|r| r.key == key).map(|r| payload(r).parse().unwrap()).collect();
        assert!(numbers.is_sorted() && numbers.len() >= 71, "{key}: {numbers:?}");
    }
    let first = &found[0];
    assert_eq!(first.headers, [("ce_id".into(), Bytes::from_static(b"1"))]);
}

#[test]
fn a_group_resumes_at_its_commit_and_another_group_reads_from_the_start() {
    let files = FakeFiles::new();
    let log = open(&files);
    produce(&log, vec![record(Topic::Usage, "k", "one", 0), record(Topic::Usage, "k", "two", 0)]);
    let mut consumer = log.consumer("a", &[Topic::Usage]).unwrap();
    let first = consume(&mut *consumer, 2).remove(0);
    let at = TopicPartition { topic: first.at.topic, partition: first.at.partition };
    consumer.commit(at, first.at.offset + 1).unwrap();

    let after = open(&files.after_kill());
    let again = consume(&mut *after.consumer("a", &[Topic::Usage]).unwrap(), 1);
    assert_eq!(payload(&again[0]), "two");
    assert_eq!(all(&after, Topic::Usage).len(), 2);
}

#[test]
fn a_delivered_record_survives_a_power_cut() {
    let files = FakeFiles::new();
    let log = open(&files);
    produce(&log, texts(100));
    for seed in 0..20 {
        assert_eq!(all(&open(&files.after_power_cut(seed)), Topic::Usage).len(), 100);
    }
}

#[test]
fn what_a_consumer_saw_keeps_its_offset_after_a_power_cut() {
    let files = FakeFiles::new();
    let log = open(&files);
    let mut producer = log.producer().unwrap();
    for record in texts(50) {
        producer.send(record, 0).unwrap();
    }
    let seen = all(&log, Topic::Usage);
    let after = open(&files.after_power_cut(5));
    let found = all(&after, Topic::Usage);
    for record in seen {
        let same = found.iter().find(|other| other.at == record.at).unwrap();
        assert_eq!(same.payload, record.payload);
    }
}

#[test]
fn a_member_that_joins_takes_over_half_and_its_commits_count() {
    let log = open(&FakeFiles::new());
    let mut first = log.consumer("g", &[Topic::Usage]).unwrap();
    assert!(matches!(first.poll(WAIT).unwrap(), Polled::Assigned(all) if all.len() == 8));
    let mut second = log.consumer("g", &[Topic::Usage]).unwrap();
    let Polled::Revoked(moved) = first.poll(WAIT).unwrap() else { panic!("nothing was revoked") };
    assert_eq!(moved.len(), 4);
    assert!(first.commit(moved[0], 1).is_err());
    assert!(matches!(second.poll(WAIT).unwrap(), Polled::Assigned(new) if new == moved));
    second.commit(moved[0], 1).unwrap();
    drop(second);
    assert!(matches!(first.poll(WAIT).unwrap(), Polled::Assigned(back) if back == moved));
}

#[test]
fn a_waiting_consumer_is_woken_by_a_record() {
    let log = open(&FakeFiles::new());
    let mut consumer = log.consumer("g", &[Topic::Usage]).unwrap();
    consumer.poll(WAIT).unwrap();
    let waiting = std::thread::spawn(move || consume(&mut *consumer, 1));
    produce(&log, texts(1));
    assert_eq!(payload(&waiting.join().unwrap()[0]), "0");
}

#[test]
fn a_paused_consumer_gets_nothing_until_it_resumes() {
    let log = open(&FakeFiles::new());
    produce(&log, texts(3));
    let mut consumer = log.consumer("g", &[Topic::Usage]).unwrap();
    consumer.poll(WAIT).unwrap();
    consumer.pause(true).unwrap();
    assert!(matches!(consumer.poll(Duration::ZERO).unwrap(), Polled::Idle));
    assert_eq!(consumer.lag(), Some(3));
    consumer.pause(false).unwrap();
    assert_eq!(consume(&mut *consumer, 3).len(), 3);
    assert_eq!(consumer.lag(), Some(0));
}

#[test]
fn an_oversize_record_is_refused_and_a_full_disk_gives_the_record_back() {
    let files = FakeFiles::new();
    let log = open(&files);
    let mut producer = log.producer().unwrap();
    let large = "x".repeat(65 << 10);
    let error = producer.send(record(Topic::Usage, "k", &large, 0), 1).unwrap_err();
    assert!(matches!(error, SendError::Refused(_)));
    files.set_free_bytes(Some(0));
    let error = producer.send(record(Topic::Usage, "k", "small", 0), 1).unwrap_err();
    let SendError::Full(record) = error else { panic!("{error}") };
    files.set_free_bytes(None);
    producer.send(record, 1).unwrap();
}

#[test]
fn a_failed_sync_is_reported_for_retry_and_the_retry_arrives() {
    let files = FakeFiles::new();
    let log = open(&files);
    produce(&log, vec![record(Topic::BackendState, "k", "before", 0)]);
    files.fail_syncs(1);
    let done = produce(&log, vec![record(Topic::BackendState, "k", "again", 0)]);
    assert!(matches!(done[0].result, Err(DeliveryError::Retry(_))));
    assert!(all(&log, Topic::BackendState).iter().all(|r| payload(r) == "before"));
    let done = produce(&log, vec![record(Topic::BackendState, "k", "again", 0)]);
    assert!(done[0].result.is_ok());
    let found: Vec<String> =
        all(&open(&files.after_power_cut(1)), Topic::BackendState).iter().map(payload).collect();
    assert_eq!(found, ["before", "again"]);
}

#[test]
fn a_read_that_fails_loses_neither_what_was_read_before_nor_what_other_partitions_have() {
    // Records of several partitions and segments: failures meet readers at every stage.
    for count in 1..60 {
        let files = FakeFiles::new();
        let log = open(&files);
        produce(&log, texts(100));
        let mut consumer = log.consumer("g", &[Topic::Usage]).unwrap();
        let mut tail = log.tail(Topic::Usage).unwrap();
        assert!(matches!(consumer.poll(WAIT).unwrap(), Polled::Assigned(_)));
        let (mut consumed, mut tailed, mut failures) = (Vec::new(), Vec::new(), 0);
        while consumed.len() < 100 || tailed.len() < 100 {
            if failures < count {
                files.fail_opens(1);
                files.fail_reads(u32::from(failures % 2 == 0));
            }
            failures += 1;
            assert!(failures < 400, "{} records consumed, {} tailed", consumed.len(), tailed.len());
            if let Ok(Polled::Records(records)) = consumer.poll(Duration::ZERO) {
                consumed.extend(records);
            }
            let mut records = Vec::new();
            if tail.poll(Duration::ZERO, &mut records).is_ok() {
                tailed.extend(records);
            }
        }
        for mut records in [consumed, tailed] {
            records.sort_by_key(|record| record.at);
            records.dedup_by_key(|record| record.at);
            assert_eq!(records.len(), 100);
        }
    }
}

#[test]
fn a_partition_that_cannot_be_cleaned_does_not_keep_the_others_from_it() {
    let files = FakeFiles::new();
    let log = open(&files);
    let large = "x".repeat(1_000);
    produce(&log, (0..60).map(|number| record(Topic::Usage, &format!("k{number}"), &large, 0)).collect());
    let before = files.paths().len();
    files.fail_removes(1);
    assert!(log.core.clean(1_000 * 24 * HOUR_MS, 1).is_err());
    assert!(files.paths().len() < before - 30, "{} of {before}", files.paths().len());
}

#[test]
fn commits_whose_sync_failed_are_synced_with_the_next_records() {
    let files = FakeFiles::new();
    let log = open(&files);
    let mut consumer = log.consumer("g", &[Topic::Usage]).unwrap();
    let Polled::Assigned(partitions) = consumer.poll(WAIT).unwrap() else { panic!("nothing was assigned") };
    log.core.sync_all();
    files.fail_syncs(2);
    log.core.offsets.lock().commit("g", partitions[0], 7).unwrap();
    log.core.sync_all();
    files.heal();
    log.core.sync_all();
    for seed in 0..20 {
        let after = open(&files.after_power_cut(seed));
        assert_eq!(after.core.offsets.lock().get("g", partitions[0]), Some(7));
    }
}

#[test]
fn old_segments_are_removed_and_readers_go_on_behind_them() {
    let files = FakeFiles::new();
    let log = open(&files);
    let day = |number: i64| record(Topic::UsageDeadLetter, "k", &"x".repeat(400), number * 24 * HOUR_MS);
    produce(&log, (0..40).map(day).collect());
    let mut slow = log.consumer("slow", &[Topic::UsageDeadLetter]).unwrap();
    log.core.clean(100 * 24 * HOUR_MS, 1).unwrap();
    let left = all(&log, Topic::UsageDeadLetter);
    assert!(left.len() < 35 && left.iter().any(|r| r.timestamp_ms == 10 * 24 * HOUR_MS), "{}", left.len());
    assert_eq!(consume(&mut *slow, left.len()).len(), left.len());
    log.core.clean(1_000 * 24 * HOUR_MS, 1).unwrap();
    assert!(all(&log, Topic::UsageDeadLetter).is_empty());
    produce(&log, vec![day(1_000)]);
    assert_eq!(consume(&mut *slow, 1).len(), 1);
}

#[test]
fn compaction_keeps_the_last_record_of_each_key_and_drops_old_deletions() {
    let files = FakeFiles::new();
    let log = open(&files);
    let mut records: Vec<_> = (0..200)
        .map(|number| record(Topic::BackendState, &format!("b{}", number % 3), &number.to_string(), 0))
        .collect();
    records.push(OutRecord { payload: None, ..record(Topic::BackendState, "b0", "", 0) });
    produce(&log, records);
    let mut slow = log.consumer("slow", &[Topic::BackendState]).unwrap();
    while !matches!(slow.poll(WAIT).unwrap(), Polled::Records(_)) {}
    log.core.clean(48 * HOUR_MS, 1).unwrap();
    let state =
        |log: &EmbeddedLog| -> Vec<String> { all(log, Topic::BackendState).iter().map(payload).collect() };
    assert_eq!(state(&log), ["197", "199"].map(str::to_owned));
    produce(&log, vec![record(Topic::BackendState, "b9", "new", 0)]);
    assert_eq!(payload(consume(&mut *slow, 1).last().unwrap()), "new");
    assert_eq!(state(&open(&files.after_power_cut(2))).last().unwrap(), "new");
}

#[test]
fn two_logs_cannot_share_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(&config(dir.path(), 1 << 20)).unwrap();
    let error = EmbeddedLog::open(&config(dir.path(), 1 << 20)).unwrap_err();
    assert!(error.to_string().contains("another process"), "{error}");
    drop(log);
    EmbeddedLog::open(&config(dir.path(), 1 << 20)).unwrap();
}

#[test]
fn real_files_are_read_again_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(&config(dir.path(), 2_000)).unwrap();
    produce(&log, texts(200));
    drop(log);
    let log = EmbeddedLog::open(&config(dir.path(), 2_000)).unwrap();
    assert_eq!(all(&log, Topic::Usage).len(), 200);
}
