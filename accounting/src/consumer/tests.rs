//! The consumer over a scripted log and a store that fails when told to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use tollgate_eventlog::{OutRecord, Position, Producer, SendError, TopicSpec};
use tollgate_schemas::envelope::Envelope;
use tollgate_schemas::tokens::TokenClass;
use tollgate_schemas::usage::EVENT_TYPE;

use super::*;
use crate::store::engine::{Answer, Engine, StoreError};
use crate::testing::{NOW_MS, event};

const WAIT: Duration = Duration::from_secs(20);

/// What the log was asked to do, and what it will say next.
#[derive(Debug, Default)]
struct LogState {
    script: VecDeque<Polled>,
    committed: BTreeMap<TopicPartition, u64>,
    polls: usize,
    paused: bool,
    pauses: usize,
    dead_letters: Vec<OutRecord>,
}

#[derive(Debug, Clone, Default)]
struct FakeLog(Arc<Mutex<LogState>>);

impl EventLog for FakeLog {
    fn ensure_topics(&self, _: &[TopicSpec]) -> Result<(), LogError> {
        Err(LogError::Unreachable("not yet".to_owned()))
    }

    fn producer(&self) -> Result<Box<dyn Producer>, LogError> {
        Ok(Box::new(self.clone()))
    }

    fn consumer(&self, _: &str, _: &[Topic]) -> Result<Box<dyn Consumer>, LogError> {
        Ok(Box::new(self.clone()))
    }

    fn tail(&self, _: Topic) -> Result<Box<dyn tollgate_eventlog::Tail>, LogError> {
        Err(LogError::Config("accounting reads in a group".to_owned()))
    }
}

impl Consumer for FakeLog {
    fn poll(&mut self, timeout: Duration) -> Result<Polled, LogError> {
        let next = {
            let mut state = self.0.lock();
            state.polls += 1;
            if state.paused && matches!(state.script.front(), Some(Polled::Records(_))) {
                None
            } else {
                state.script.pop_front()
            }
        };
        Ok(next.unwrap_or_else(|| {
            std::thread::sleep(timeout.min(Duration::from_millis(2)));
            Polled::Idle
        }))
    }

    fn commit(&mut self, partition: TopicPartition, next_offset: u64) -> Result<(), LogError> {
        self.0.lock().committed.insert(partition, next_offset);
        Ok(())
    }

    fn pause(&mut self, paused: bool) -> Result<(), LogError> {
        let mut state = self.0.lock();
        state.paused = paused;
        state.pauses += usize::from(paused);
        Ok(())
    }

    fn lag(&self) -> Option<u64> {
        None
    }
}

impl Producer for FakeLog {
    fn send(&mut self, record: OutRecord, _: u64) -> Result<(), SendError> {
        self.0.lock().dead_letters.push(record);
        Ok(())
    }

    fn poll(&mut self, _: Duration, _: &mut Vec<tollgate_eventlog::Delivery>) {}

    fn in_flight(&self) -> usize {
        0
    }
}

/// Keeps the blocks; refuses while `failing`.
#[derive(Debug, Default)]
struct FakeStore {
    failing: AtomicBool,
    tries: AtomicUsize,
    blocks: Mutex<Vec<Block>>,
}

impl Engine for FakeStore {
    fn execute<'a>(&'a self, _: &'a str) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn select<'a>(&'a self, _: &'a str, _: &'a str) -> Answer<'a, Vec<u8>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn insert<'a>(&'a self, block: &'a Block) -> Answer<'a, ()> {
        Box::pin(async {
            self.tries.fetch_add(1, Ordering::SeqCst);
            if self.failing.load(Ordering::SeqCst) {
                return Err(StoreError::Unreachable("told to fail".to_owned()));
            }
            self.blocks.lock().push(block.clone());
            Ok(())
        })
    }
}

struct Bench {
    log: FakeLog,
    store: Arc<FakeStore>,
    health: Arc<Health>,
    metrics: Metrics,
    limits: Limits,
}

impl Bench {
    fn new(records: usize) -> Self {
        let limits = Limits { records, age: Duration::from_millis(5) };
        let (store, health) = (Arc::<FakeStore>::default(), Health::new());
        Self { log: FakeLog::default(), store, health, metrics: Metrics::default(), limits }
    }

    fn start(&self) -> ConsumerThread {
        ConsumerThread::start(Parts {
            log: Arc::new(self.log.clone()),
            group: "g".to_owned(),
            store: LedgerStore::new(self.store.clone()),
            book: Arc::new(PriceBook::empty()),
            limits: self.limits,
            metrics: self.metrics.clone(),
            health: Arc::clone(&self.health),
            runtime: Handle::current(),
        })
        .unwrap()
    }

    fn say(&self, polled: Polled) {
        self.log.0.lock().script.push_back(polled);
    }

    fn committed(&self, number: u16) -> Option<u64> {
        self.log.0.lock().committed.get(&partition(number)).copied()
    }

    fn stored_rows(&self) -> usize {
        self.store.blocks.lock().iter().map(|block| block.rows).sum()
    }
}

/// Waits until it is so.
async fn until(what: &str, so: impl Fn() -> bool) {
    let deadline = Instant::now() + WAIT;
    while !so() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn partition(number: u16) -> TopicPartition {
    TopicPartition { topic: Topic::Usage, partition: number }
}

fn record(partition: u16, offset: u64, payload: Vec<u8>) -> InRecord {
    let envelope = Envelope {
        id: uuid::Uuid::now_v7(),
        kind: EVENT_TYPE.to_owned(),
        source: "/tollgate/gateway/gw-1".to_owned(),
        time_ms: NOW_MS,
        subject: None,
        partition_key: None,
        traceparent: None,
        sequence: None,
    };
    InRecord {
        at: Position { topic: Topic::Usage, partition, offset },
        key: Bytes::from_static(b"key-1"),
        headers: envelope.to_headers(),
        payload: Some(Bytes::from(payload)),
        timestamp_ms: NOW_MS,
    }
}

fn usage(partition: u16, offset: u64) -> InRecord {
    let event = event(offset, &[(TokenClass::Input, 1)]);
    record(partition, offset, serde_json::to_vec(&event).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_are_committed_after_the_rows_are_stored() {
    let bench = Bench::new(100);
    bench.say(Polled::Records(vec![usage(0, 4), usage(1, 7), usage(0, 5)]));
    let thread = bench.start();
    until("the commit", || bench.committed(0) == Some(6) && bench.committed(1) == Some(8)).await;
    assert_eq!(bench.stored_rows(), 3);
    tokio::task::spawn_blocking(|| thread.stop()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_store_is_tried_again_with_the_same_block_while_the_log_is_polled() {
    let bench = Bench::new(100);
    bench.store.failing.store(true, Ordering::SeqCst);
    bench.say(Polled::Records(vec![usage(0, 4)]));
    let thread = bench.start();
    until("three tries", || bench.store.tries.load(Ordering::SeqCst) >= 3).await;
    let polls = bench.log.0.lock().polls;
    until("further polls", || bench.log.0.lock().polls > polls + 5).await;
    assert_eq!(bench.committed(0), None);
    assert!(bench.health.trouble().unwrap().contains("told to fail"));
    bench.store.failing.store(false, Ordering::SeqCst);
    until("the commit", || bench.committed(0) == Some(5)).await;
    assert_eq!(bench.stored_rows(), 1);
    assert_eq!(bench.health.trouble(), None);
    tokio::task::spawn_blocking(|| thread.stop()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_stops_at_one_full_batch_beside_the_insert_in_flight_and_goes_on_after_it() {
    let bench = Bench::new(2);
    bench.store.failing.store(true, Ordering::SeqCst);
    for offset in 0..8 {
        bench.say(Polled::Records(vec![usage(0, offset)]));
    }
    let thread = bench.start();
    until("the pause", || bench.log.0.lock().paused).await;
    let left = bench.log.0.lock().script.len();
    assert!(left >= 3, "{left} polls are left, the reader did not stop");
    bench.store.failing.store(false, Ordering::SeqCst);
    until("the last commit", || bench.committed(0) == Some(8)).await;
    assert_eq!(bench.stored_rows(), 8);
    assert!(!bench.log.0.lock().paused);
    tokio::task::spawn_blocking(|| thread.stop()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn revoked_partitions_are_neither_stored_from_memory_nor_committed() {
    let bench = Bench::new(2);
    bench.store.failing.store(true, Ordering::SeqCst);
    bench.say(Polled::Assigned(vec![partition(0), partition(1)]));
    bench.say(Polled::Records(vec![usage(0, 0), usage(1, 0)]));
    let thread = bench.start();
    // The first batch is in flight when partition 0 goes; the record after it is only in memory.
    until("a try", || bench.store.tries.load(Ordering::SeqCst) >= 1).await;
    assert!(bench.health.is_leader());
    bench.say(Polled::Records(vec![usage(0, 1)]));
    bench.say(Polled::Revoked(vec![partition(0)]));
    until("the revocation", || !bench.health.is_leader()).await;
    bench.store.failing.store(false, Ordering::SeqCst);
    bench.say(Polled::Records(vec![usage(1, 1)]));
    until("the commit", || bench.committed(1) == Some(2)).await;
    assert_eq!(bench.committed(0), None);
    assert_eq!(bench.stored_rows(), 3, "one of partition 0 in flight, two of partition 1");
    tokio::task::spawn_blocking(|| thread.stop()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_cannot_be_read_goes_to_the_dead_letters_and_the_offset_goes_on() {
    let bench = Bench::new(100);
    bench.say(Polled::Records(vec![usage(0, 0), record(0, 1, b"{".to_vec()), usage(0, 2)]));
    let thread = bench.start();
    until("the commit", || bench.committed(0) == Some(3)).await;
    let tables: Vec<_> = bench.store.blocks.lock().iter().map(|b| (b.table, b.rows)).collect();
    assert_eq!(tables, [("usage_events", 2), ("dead_letters", 1)]);
    let sent = bench.log.0.lock().dead_letters.clone();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].payload.as_deref(), Some(&b"{"[..]));
    let reason = sent[0].headers.iter().find(|(name, _)| name == "tollgate_dlq_reason").unwrap();
    assert_eq!(reason.1, "data");
    assert!(bench.metrics.to_text().contains("tollgate_accounting_dead_letters_total{reason=\"data\"} 1"));
    tokio::task::spawn_blocking(|| thread.stop()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_stores_and_commits_what_was_read() {
    let mut bench = Bench::new(100);
    bench.limits.age = Duration::from_secs(60);
    bench.say(Polled::Records(vec![usage(0, 0), usage(0, 1)]));
    let thread = bench.start();
    until("the read", || bench.metrics.to_text().contains("records_total{kind=\"usage\"} 2")).await;
    assert_eq!(bench.committed(0), None);
    tokio::task::spawn_blocking(|| thread.stop()).await.unwrap();
    assert_eq!(bench.committed(0), Some(2));
    assert_eq!(bench.stored_rows(), 2);
}
