//! Fills the cache from its topic: read → embed → write → commit.
//!
//! Invariants:
//! * an offset is committed only after everything below it is durable in the index, so a crash costs no
//!   entry; it makes some be written again, which changes nothing (entries are keyed by event id);
//! * while the index does not take entries, nothing is read: the log keeps them. The member goes on polling,
//!   so it stays in its group;
//! * a record that cannot be understood is counted and passed over, it never stops the topic.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tollgate_eventlog::{Consumer, InRecord, Polled, TopicPartition};
use tollgate_schemas::cache::{CacheInvalidate, CacheStore, INVALIDATE_TYPE, STORE_TYPE};

use crate::config::Limits;
use crate::guard::fingerprint;
use crate::index::{Entry, IndexError, Meaning};
use crate::lookup::Cache;
use crate::metrics::RecordResult;
use tollgate_base::errors::chain;

const POLL: Duration = Duration::from_millis(200);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Entries written, synced and committed together.
const BATCH: usize = 32;

/// The consumer's side of the cache; one thread.
pub(crate) struct Filler {
    cache: Cache,
    consumer: Box<dyn Consumer>,
    limits: Limits,
    progress: Arc<Progress>,
    runtime: Handle,
    /// Read and not yet written.
    pending: VecDeque<InRecord>,
    pause: Duration,
    paused: bool,
}

/// What the consumer's thread and the rest of the service tell each other.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    stop: AtomicBool,
    reading: AtomicBool,
}

impl Progress {
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Whether events are being read.
    pub(crate) fn is_reading(&self) -> bool {
        self.reading.load(Ordering::Acquire)
    }
}

/// Holds [`Progress::is_reading`] true, until the thread ends in whatever way.
struct Reading<'a>(&'a Progress);

impl<'a> Reading<'a> {
    fn begin(progress: &'a Progress) -> Self {
        progress.reading.store(true, Ordering::Release);
        Self(progress)
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.reading.store(false, Ordering::Release);
    }
}

/// What a record asks for.
enum Change {
    Store(Box<CacheStore>),
    Invalidate(CacheInvalidate),
}

impl Filler {
    pub(crate) fn new(
        cache: Cache,
        consumer: Box<dyn Consumer>,
        limits: Limits,
        progress: Arc<Progress>,
    ) -> Self {
        let runtime = cache.runtime.clone();
        let pending = VecDeque::new();
        Self { cache, consumer, limits, progress, runtime, pending, pause: FIRST_PAUSE, paused: false }
    }

    /// Works until it is told to stop.
    pub(crate) fn run(mut self) {
        let progress = Arc::clone(&self.progress);
        let _reading = Reading::begin(&progress);
        while !progress.stop.load(Ordering::Acquire) {
            self.step();
        }
    }

    /// Writes what is pending, or else waits for more.
    fn step(&mut self) {
        if self.pending.is_empty() {
            self.set_paused(false);
            self.poll(POLL);
            return;
        }
        match self.write_batch() {
            Ok(written) => {
                self.pause = FIRST_PAUSE;
                self.commit(written);
            }
            Err(error) => {
                // The index is down: nothing is lost, the cache only learns later.
                self.cache.metrics.index_failures.inc();
                let pause_ms = u64::try_from(self.pause.as_millis()).unwrap_or(u64::MAX);
                tracing::warn!(error = %chain(&error), pause_ms, "writing to the cache index failed, trying again");
                self.set_paused(true);
                self.poll(self.pause);
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            }
        }
    }

    fn poll(&mut self, wait: Duration) {
        match self.consumer.poll(wait) {
            Ok(Polled::Idle) => {}
            Ok(Polled::Assigned(partitions)) => {
                tracing::info!(partitions = partitions.len(), "cache topic partitions assigned");
            }
            Ok(Polled::Records(records)) => self.pending.extend(records),
            // Their next reader starts at the committed offset and gets them again.
            Ok(Polled::Revoked(partitions)) => {
                self.pending.retain(|record| !partitions.contains(&partition_of(record)));
            }
            Err(error) => {
                tracing::warn!(error = %chain(&error), "reading the cache topic failed");
                std::thread::sleep(FIRST_PAUSE);
            }
        }
        if let Some(lag) = self.consumer.lag() {
            let lag = lag.saturating_add(self.pending.len() as u64);
            self.cache.metrics.lag.set(i64::try_from(lag).unwrap_or(i64::MAX));
        }
    }

    fn set_paused(&mut self, paused: bool) {
        if self.paused == paused {
            return;
        }
        match self.consumer.pause(paused) {
            Ok(()) => self.paused = paused,
            // Unpaused reading only means more records in memory; it is tried again at the next step.
            Err(error) => tracing::warn!(error = %chain(&error), paused, "pausing the cache topic failed"),
        }
    }

    /// Carries out the first records: a run of entries, or one invalidation. Returns how many.
    fn write_batch(&mut self) -> Result<usize, IndexError> {
        let mut entries = Vec::new();
        let mut results = Vec::new();
        for record in self.pending.iter().take(BATCH) {
            match read(record) {
                Some(Change::Store(store)) => {
                    let (entry, result) = self.entry(*store);
                    entries.extend(entry);
                    results.push(result);
                }
                Some(Change::Invalidate(filter)) if results.is_empty() => {
                    self.cache.invalidations.add(filter.clone());
                    self.runtime.block_on(self.cache.index.invalidate(&filter))?;
                    results.push(RecordResult::Invalidated);
                    break;
                }
                // Only after the entries before it.
                Some(Change::Invalidate(_)) => break,
                None => results.push(RecordResult::Unreadable),
            }
        }
        if !entries.is_empty() {
            self.runtime.block_on(self.cache.index.upsert(entries))?;
        }
        results.iter().for_each(|result| self.cache.metrics.record(*result));
        Ok(results.len())
    }

    /// The entry to keep, if it is worth it.
    fn entry(&self, store: CacheStore) -> (Option<Entry>, RecordResult) {
        let ttl_ms = i64::from(store.ttl_s.min(self.limits.max_ttl_s)) * 1_000;
        let expires_at_ms = store.stored_at_ms.saturating_add(ttl_ms);
        if store.response.get().len() > self.limits.max_response_bytes {
            return (None, RecordResult::SkippedTooLarge);
        }
        if expires_at_ms <= self.cache.clock.now_ms() {
            return (None, RecordResult::SkippedExpired);
        }
        if self.cache.invalidations.cover(&store.partition, store.stored_at_ms) {
            return (None, RecordResult::SkippedInvalidated);
        }
        let meaning = self.meaning(&store);
        let result = if meaning.is_some() { RecordResult::Stored } else { RecordResult::StoredExactOnly };
        let entry = Entry {
            event_id: store.event_id,
            partition: store.partition,
            exact_key: store.exact_key,
            meaning,
            stored_at_ms: store.stored_at_ms,
            expires_at_ms,
            response: store.response,
        };
        (Some(entry), result)
    }

    /// `None` if the text cannot be embedded: the entry is then found by exact match only.
    fn meaning(&self, store: &CacheStore) -> Option<Meaning> {
        let embeddings =
            self.cache.embeddings.as_ref().filter(|_| store.semantic && !store.text.is_empty())?;
        match embeddings.embed_blocking(&store.text) {
            Ok(vector) => {
                Some(Meaning { vector: vector.to_vec(), guard: fingerprint(&store.text, embeddings.name()) })
            }
            Err(error) => {
                tracing::debug!(event_id = %store.event_id, error = %error, "cache entry is for exact matches only");
                None
            }
        }
    }

    /// Marks the first `written` records as done. A mark that cannot be kept makes them come again.
    fn commit(&mut self, written: usize) {
        let mut next = BTreeMap::new();
        for record in self.pending.drain(..written.min(self.pending.len())) {
            next.insert(partition_of(&record), record.at.offset + 1);
        }
        for (partition, offset) in next {
            if let Err(error) = self.consumer.commit(partition, offset) {
                tracing::warn!(error = %chain(&error), "committing the cache topic failed");
            }
        }
    }
}

fn partition_of(record: &InRecord) -> TopicPartition {
    TopicPartition { topic: record.at.topic, partition: record.at.partition }
}

/// The content of a record; `None` if it cannot be read.
fn read(record: &InRecord) -> Option<Change> {
    let kind = record.headers.iter().find(|(name, _)| name == "ce_type").map(|(_, value)| value.as_ref())?;
    let payload = record.payload.as_ref()?;
    let change = match std::str::from_utf8(kind).ok()? {
        STORE_TYPE => serde_json::from_slice(payload).map(|store| Change::Store(Box::new(store))),
        INVALIDATE_TYPE => serde_json::from_slice(payload).map(Change::Invalidate),
        _ => return None,
    };
    match change {
        Ok(change) => Some(change),
        Err(error) => {
            tracing::warn!(offset = record.at.offset, error = %error, "cache record cannot be read");
            None
        }
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
