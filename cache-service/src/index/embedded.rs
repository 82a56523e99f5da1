//! The index inside the process: an exact scan over 8-bit vectors, durable by a journal.
//!
//! Everything but the answers is in memory; an answer is read from the journal when it is a hit. A scan of
//! 10,000 entries of 384 dimensions takes well under a millisecond, and every result is exact.
//!
//! Invariants:
//! * writers hold the journal's lock throughout; the memory's write lock is held only to swap what is in
//!   memory, never during I/O, so lookups do not wait for a disk;
//! * an entry is in memory only after its record was written, and leaves it only after its removal was.

use std::io;
use std::path::Path;
use std::sync::Arc;

use ahash::AHashMap as HashMap;
use parking_lot::{Mutex, MutexGuard, RwLock};
use serde_json::value::RawValue;
use tollgate_schemas::cache::{CacheInvalidate, CachePartition};
use tollgate_schemas::ids::EventId;

use super::journal::{Journal, Record};
use super::memory::{Match, Memory};
use super::quantize::quantize;
use super::written::{Head, Written};
use super::{Capacity, Entry, Found, IndexError, IndexStats, Pending, Query, VectorIndex};

/// Dead bytes below which rewriting the journal is not worth it.
const MIN_DEAD_BYTES: u64 = 1 << 20;
/// Rows from which a scan leaves the calling thread.
const INLINE_ROWS: usize = 1_000;

/// The embedded index; a cheap handle. Writes block the calling thread for as long as the disk takes.
#[derive(Debug, Clone)]
pub struct EmbeddedIndex(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    journal: Mutex<Journal>,
    memory: RwLock<Memory>,
}

impl EmbeddedIndex {
    /// Opens or makes the index in folder `path` for vectors of `dimensions` components. Entries of another
    /// number of dimensions are forgotten: they came from another model.
    ///
    /// # Errors
    /// When files cannot be read or written, or another process has the index open.
    pub fn open(path: &Path, dimensions: usize, capacity: Capacity) -> io::Result<Self> {
        let mut live: HashMap<EventId, Written> = HashMap::new();
        let journal = Journal::open(path, dimensions, |record| match record {
            Record::Ready { .. } => {}
            Record::Put(entry) => {
                live.insert(entry.head.event_id, entry);
            }
            Record::Remove(ids) => ids.iter().for_each(|id| {
                live.remove(id);
            }),
        })?;
        let mut memory = Memory::new(dimensions, capacity, journal.file());
        let mut live: Vec<Written> = live.into_values().collect();
        // The newest of two answers to one question is admitted last and wins.
        live.sort_by_key(|entry| (entry.head.stored_at_ms, entry.head.event_id));
        live.into_iter().for_each(|entry| memory.admit(entry));
        Ok(Self(Arc::new(Shared { journal: Mutex::new(journal), memory: RwLock::new(memory) })))
    }
}

impl Shared {
    fn search(&self, query: &Query) -> Result<Option<Found>, IndexError> {
        let found = self.memory.read().search(query);
        found.map(read_answer).transpose()
    }

    /// Writes one entry, and the removal of those that leave for it. Not synced.
    fn write(&self, journal: &mut Journal, entry: Entry) -> io::Result<()> {
        let memory = self.memory.read();
        let twin = memory.twin(&entry.partition, &entry.exact_key);
        if memory.contains(entry.event_id) || twin.is_some_and(|(_, stored)| stored > entry.stored_at_ms) {
            return Ok(());
        }
        let twin = twin.map(|(id, _)| id);
        let leaving: Vec<EventId> =
            twin.into_iter().chain(memory.crowded_out(&entry.partition, twin)).collect();
        let meaning = entry.meaning.filter(|meaning| meaning.vector.len() == memory.dimensions());
        drop(memory);
        let (values, guard) = match meaning {
            Some(meaning) => (quantize(&meaning.vector).values, Some(meaning.guard.to_string())),
            None => (Vec::new(), None),
        };
        let head = Head {
            event_id: entry.event_id,
            partition: entry.partition,
            exact_key: entry.exact_key,
            stored_at_ms: entry.stored_at_ms,
            expires_at_ms: entry.expires_at_ms,
            guard,
        };
        let (response, record_bytes) = journal.put(&head, &values, entry.response.get().as_bytes())?;
        journal.remove(&leaving)?;
        let mut memory = self.memory.write();
        memory.dismiss(&leaving);
        memory.admit(Written { head, values, response, record_bytes });
        Ok(())
    }

    /// Writes the removal of entries, then lets them go. Not synced: a removal that a power cut undoes
    /// comes again with the next sweep; who needs more, syncs.
    fn forget(&self, journal: &mut Journal, mut ids: Vec<EventId>) -> io::Result<()> {
        {
            let memory = self.memory.read();
            ids.retain(|id| memory.contains(*id));
        }
        journal.remove(&ids)?;
        self.memory.write().dismiss(&ids);
        Ok(())
    }

    /// Writes a new journal when more than half of this one is dead.
    fn compact_if_worth_it(&self, journal: &mut Journal) -> io::Result<()> {
        let memory = self.memory.read();
        let dead = journal.bytes().saturating_sub(memory.live_bytes());
        if dead < MIN_DEAD_BYTES || dead <= memory.live_bytes() {
            return Ok(());
        }
        let mut moved = Vec::with_capacity(memory.len());
        journal.rewrite(memory.dimensions(), |journal| {
            for (head, values, extent) in memory.entries() {
                let response = extent.read(&*memory.file)?;
                let (extent, record_bytes) = journal.put(&head, &values, &response)?;
                moved.push((head.event_id, extent, record_bytes));
            }
            Ok(())
        })?;
        drop(memory);
        self.memory.write().relocate(journal.file(), moved);
        Ok(())
    }

    /// Gives the lock back, then waits for the disk.
    fn sync(journal: MutexGuard<'_, Journal>) -> io::Result<()> {
        let file = journal.file();
        drop(journal);
        file.sync()
    }
}

impl VectorIndex for EmbeddedIndex {
    fn exact<'a>(
        &'a self,
        partition: &'a CachePartition,
        exact_key: &'a str,
        now_ms: i64,
    ) -> Pending<'a, Option<Found>> {
        Box::pin(async move {
            let found = self.0.memory.read().exact(partition, exact_key, now_ms);
            found.map(read_answer).transpose()
        })
    }

    fn search<'a>(&'a self, query: &'a Query) -> Pending<'a, Option<Found>> {
        Box::pin(async move {
            if self.0.memory.read().rows(&query.partition) <= INLINE_ROWS {
                return self.0.search(query);
            }
            self.search_elsewhere(query.clone()).await
        })
    }

    fn upsert(&self, entries: Vec<Entry>) -> Pending<'_, ()> {
        Box::pin(async move {
            let mut journal = self.0.journal.lock();
            entries.into_iter().try_for_each(|entry| self.0.write(&mut journal, entry))?;
            self.0.compact_if_worth_it(&mut journal)?;
            Ok(Shared::sync(journal)?)
        })
    }

    fn remove<'a>(&'a self, ids: &'a [EventId]) -> Pending<'a, ()> {
        Box::pin(async move { Ok(self.0.forget(&mut self.0.journal.lock(), ids.to_vec())?) })
    }

    fn invalidate<'a>(&'a self, filter: &'a CacheInvalidate) -> Pending<'a, ()> {
        Box::pin(async move {
            let mut journal = self.0.journal.lock();
            let ids = self.0.memory.read().matching(filter);
            self.0.forget(&mut journal, ids)?;
            Ok(Shared::sync(journal)?)
        })
    }

    fn sweep(&self, now_ms: i64) -> Pending<'_, ()> {
        Box::pin(async move {
            let mut journal = self.0.journal.lock();
            let ids = self.0.memory.read().sweepings(now_ms);
            self.0.forget(&mut journal, ids)?;
            Ok(self.0.compact_if_worth_it(&mut journal)?)
        })
    }

    fn stats(&self) -> Pending<'_, IndexStats> {
        Box::pin(async move {
            let entries = self.0.memory.read().len() as u64;
            Ok(IndexStats { entries, bytes: self.0.journal.lock().bytes() })
        })
    }
}

impl EmbeddedIndex {
    /// A long scan would keep the other requests of an asynchronous thread waiting.
    async fn search_elsewhere(&self, query: Query) -> Result<Option<Found>, IndexError> {
        let shared = Arc::clone(&self.0);
        let scan = tokio::task::spawn_blocking(move || shared.search(&query));
        scan.await.map_err(|error| IndexError::Refused(error.to_string()))?
    }
}

fn read_answer(found: Match) -> Result<Found, IndexError> {
    let bytes = found.response.read(&*found.file)?;
    let text = String::from_utf8(bytes).map_err(io::Error::other)?;
    let response = RawValue::from_string(text).map_err(io::Error::other)?;
    Ok(Found { event_id: found.id, similarity: found.similarity, stored_at_ms: found.stored_at_ms, response })
}

#[cfg(test)]
#[path = "embedded_tests.rs"]
mod tests;
