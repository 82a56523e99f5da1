//! The consumer's steps, one by one, over a scripted log and an index that fails on demand.

use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::value::RawValue;
use tollgate_eventlog::{LogError, Position, Topic};
use tollgate_schemas::cache::CachePartition;
use tollgate_schemas::ids::{EventId, RequestId};

use super::*;
use crate::clock::Clock;
use crate::index::{Found, IndexStats, Pending, Query, VectorIndex};
use crate::metrics::Metrics;
use crate::testing::{id, now, partition};

/// What happened, in order.
#[derive(Debug, Clone, PartialEq)]
enum Event {
    Upserted(Vec<EventId>),
    Invalidated(String),
    Committed(u16, u64),
    Paused(bool),
}

type Events = Arc<Mutex<Vec<Event>>>;

#[derive(Debug)]
struct ScriptedConsumer {
    script: VecDeque<Polled>,
    events: Events,
}

impl Consumer for ScriptedConsumer {
    fn poll(&mut self, _: Duration) -> Result<Polled, LogError> {
        Ok(self.script.pop_front().unwrap_or(Polled::Idle))
    }

    fn commit(&mut self, partition: TopicPartition, next_offset: u64) -> Result<(), LogError> {
        self.events.lock().push(Event::Committed(partition.partition, next_offset));
        Ok(())
    }

    fn pause(&mut self, paused: bool) -> Result<(), LogError> {
        self.events.lock().push(Event::Paused(paused));
        Ok(())
    }

    fn lag(&self) -> Option<u64> {
        Some(40)
    }
}

#[derive(Debug)]
struct ScriptedIndex {
    down: Arc<AtomicBool>,
    events: Events,
}

impl ScriptedIndex {
    fn note(&self, event: Event) -> Result<(), IndexError> {
        if self.down.load(Ordering::Acquire) {
            return Err(IndexError::Unreachable("scripted".to_owned()));
        }
        self.events.lock().push(event);
        Ok(())
    }
}

impl VectorIndex for ScriptedIndex {
    fn exact<'a>(&'a self, _: &'a CachePartition, _: &'a str, _: i64) -> Pending<'a, Option<Found>> {
        Box::pin(async { Ok(None) })
    }

    fn search<'a>(&'a self, _: &'a Query) -> Pending<'a, Option<Found>> {
        Box::pin(async { Ok(None) })
    }

    fn upsert(&self, entries: Vec<Entry>) -> Pending<'_, ()> {
        let ids = entries.iter().map(|entry| entry.event_id).collect();
        Box::pin(async move { self.note(Event::Upserted(ids)) })
    }

    fn remove<'a>(&'a self, _: &'a [EventId]) -> Pending<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn invalidate<'a>(&'a self, filter: &'a CacheInvalidate) -> Pending<'a, ()> {
        Box::pin(async { self.note(Event::Invalidated(filter.tenant.to_string())) })
    }

    fn sweep(&self, _: i64) -> Pending<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn stats(&self) -> Pending<'_, IndexStats> {
        Box::pin(async { Ok(IndexStats::default()) })
    }
}

/// A filler over scripted parts, and the runtime that it needs.
struct Scene {
    filler: Filler,
    events: Events,
    down: Arc<AtomicBool>,
    _runtime: tokio::runtime::Runtime,
}

impl Scene {
    fn new(script: Vec<Polled>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let (events, down) = (Events::default(), Arc::new(AtomicBool::new(false)));
        let cache = Cache {
            index: Arc::new(ScriptedIndex { down: Arc::clone(&down), events: Arc::clone(&events) }),
            embeddings: None,
            metrics: Arc::new(Metrics::default()),
            clock: Clock::new(now),
            runtime: runtime.handle().clone(),
            invalidations: Arc::default(),
        };
        let consumer = Box::new(ScriptedConsumer { script: script.into(), events: Arc::clone(&events) });
        let limits = Limits { max_response_bytes: 100, max_ttl_s: 100, ..Limits::default() };
        let filler = Filler::new(cache, consumer, limits, Arc::default());
        Self { filler, events, down, _runtime: runtime }
    }

    fn steps(&mut self, count: usize) -> Vec<Event> {
        (0..count).for_each(|_| self.filler.step());
        std::mem::take(&mut *self.events.lock())
    }

    fn count(&self, result: RecordResult) -> u64 {
        self.filler.cache.metrics.records(result)
    }
}

fn store(n: u64) -> CacheStore {
    CacheStore {
        event_id: id(n),
        request_id: RequestId::at_ms(now()),
        partition: partition("acme"),
        exact_key: format!("key-{n}").into(),
        text: "hello".to_owned(),
        response: RawValue::from_string("{}".to_owned()).unwrap(),
        stored_at_ms: now(),
        ttl_s: 60,
        semantic: true,
    }
}

fn record(partition: u16, offset: u64, kind: &'static str, payload: Option<Vec<u8>>) -> InRecord {
    InRecord {
        at: Position { topic: Topic::Cache, partition, offset },
        key: Bytes::new(),
        headers: vec![("ce_type".into(), Bytes::from_static(kind.as_bytes()))],
        payload: payload.map(Bytes::from),
        timestamp_ms: now(),
    }
}

fn stored(partition: u16, offset: u64) -> InRecord {
    record(partition, offset, STORE_TYPE, Some(serde_json::to_vec(&store(offset)).unwrap()))
}

fn invalidated(offset: u64, tenant: &str, before: Option<i64>) -> InRecord {
    let filter =
        CacheInvalidate { tenant: tenant.into(), scope: None, model: None, stored_before_ms: before };
    record(0, offset, INVALIDATE_TYPE, Some(serde_json::to_vec(&filter).unwrap()))
}

#[test]
fn entries_are_committed_after_they_are_written() {
    let mut scene = Scene::new(vec![Polled::Records(vec![stored(0, 5), stored(1, 8), stored(0, 6)])]);
    assert_eq!(
        scene.steps(2),
        [Event::Upserted(vec![id(5), id(8), id(6)]), Event::Committed(0, 7), Event::Committed(1, 9)]
    );
    assert_eq!(scene.count(RecordResult::StoredExactOnly), 3);
}

#[test]
fn an_invalidation_takes_its_place_among_the_entries() {
    let records = vec![stored(0, 1), invalidated(2, "acme", None), stored(0, 3)];
    let mut scene = Scene::new(vec![Polled::Records(records)]);
    assert_eq!(
        scene.steps(4),
        [
            Event::Upserted(vec![id(1)]),
            Event::Committed(0, 2),
            Event::Invalidated("acme".to_owned()),
            Event::Committed(0, 3),
            Event::Upserted(vec![id(3)]),
            Event::Committed(0, 4),
        ]
    );
}

#[test]
fn while_the_index_is_down_nothing_is_read_or_committed_and_nothing_is_lost() {
    let mut scene = Scene::new(vec![Polled::Records(vec![stored(0, 1)])]);
    scene.down.store(true, Ordering::Release);
    assert_eq!(scene.steps(4), [Event::Paused(true)]);
    assert_eq!(scene.filler.cache.metrics.index_failures.get(), 3);
    scene.down.store(false, Ordering::Release);
    assert_eq!(scene.steps(2), [Event::Upserted(vec![id(1)]), Event::Committed(0, 2), Event::Paused(false)]);
    assert_eq!(scene.filler.cache.metrics.lag.get(), 40);
}

#[test]
fn records_of_a_partition_that_was_taken_away_are_left_to_its_next_reader() {
    let revoked = TopicPartition { topic: Topic::Cache, partition: 0 };
    let mut scene =
        Scene::new(vec![Polled::Records(vec![stored(0, 1), stored(1, 2)]), Polled::Revoked(vec![revoked])]);
    scene.down.store(true, Ordering::Release);
    scene.steps(2);
    scene.down.store(false, Ordering::Release);
    assert_eq!(scene.steps(1), [Event::Upserted(vec![id(2)]), Event::Committed(1, 3)]);
}

#[test]
fn what_cannot_be_understood_is_counted_and_passed_over() {
    let records = vec![
        record(0, 1, STORE_TYPE, Some(b"{".to_vec())),
        record(0, 2, STORE_TYPE, None),
        record(0, 3, "dev.tollgate.unknown.v9", Some(b"{}".to_vec())),
        InRecord { headers: vec![], ..stored(0, 4) },
        stored(0, 5),
    ];
    let mut scene = Scene::new(vec![Polled::Records(records)]);
    assert_eq!(scene.steps(2), [Event::Upserted(vec![id(5)]), Event::Committed(0, 6)]);
    assert_eq!(scene.count(RecordResult::Unreadable), 4);
}

#[test]
fn what_is_not_worth_keeping_is_not_kept() {
    let large = RawValue::from_string(format!("\"{}\"", "x".repeat(100))).unwrap();
    let check = |store: CacheStore, result: RecordResult| {
        let payload = serde_json::to_vec(&store).unwrap();
        let mut scene = Scene::new(vec![Polled::Records(vec![record(0, 1, STORE_TYPE, Some(payload))])]);
        assert_eq!(scene.steps(2), [Event::Committed(0, 2)]);
        assert_eq!(scene.count(result), 1, "{result:?}");
    };
    check(CacheStore { response: large, ..store(1) }, RecordResult::SkippedTooLarge);
    check(CacheStore { ttl_s: 0, ..store(1) }, RecordResult::SkippedExpired);
    check(CacheStore { stored_at_ms: now() - 60_000, ..store(1) }, RecordResult::SkippedExpired);
    // A longer life than allowed is cut to 100 s.
    check(
        CacheStore { stored_at_ms: now() - 100_000, ttl_s: 9_999, ..store(1) },
        RecordResult::SkippedExpired,
    );
}

#[test]
fn an_entry_that_comes_after_its_invalidation_is_not_kept() {
    let records =
        vec![invalidated(1, "acme", Some(now() + 1)), stored(0, 2), invalidated(3, "acme", Some(now()))];
    let mut scene = Scene::new(vec![Polled::Records(records)]);
    scene.steps(4);
    assert_eq!(scene.count(RecordResult::SkippedInvalidated), 1);
    assert_eq!(scene.count(RecordResult::Invalidated), 2);
}
