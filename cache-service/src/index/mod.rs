//! Where entries are kept and found: the port and its two implementations.
//!
//! Invariants of every implementation:
//! * an entry is found only by its own [`CachePartition`], compared part by part, never by a prefix or a
//!   similarity;
//! * an entry is found only before its `expires_at_ms`;
//! * once [`VectorIndex::upsert`] is done, its entries survive a crash of the process;
//! * writing the same entry again changes nothing.

mod breaker;
pub mod embedded;
mod journal;
mod memory;
mod partition;
pub mod qdrant;
mod qdrant_points;
mod quantize;
mod written;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::value::RawValue;
use tollgate_schemas::cache::{CacheInvalidate, CachePartition};
use tollgate_schemas::ids::EventId;

use crate::guard::Fingerprint;

/// An entry to keep.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The usage event of the answer; the entry's id.
    pub event_id: EventId,
    /// The only place where it may be found.
    pub partition: CachePartition,
    /// Found by this exactly. The newest entry of a partition wins.
    pub exact_key: Arc<str>,
    /// Found by this approximately; `None` for exact matches only.
    pub meaning: Option<Meaning>,
    /// ms since the Unix epoch.
    pub stored_at_ms: i64,
    /// From here on it is not found, ms since the Unix epoch.
    pub expires_at_ms: i64,
    /// The answer.
    pub response: Box<RawValue>,
}

/// What similarity is judged by.
#[derive(Debug, Clone, PartialEq)]
pub struct Meaning {
    /// Of length 1.
    pub vector: Vec<f32>,
    /// Must be equal in question and entry.
    pub guard: Fingerprint,
}

/// A question by meaning.
#[derive(Debug, Clone)]
pub struct Query {
    /// Where to look.
    pub partition: CachePartition,
    /// What to look for.
    pub meaning: Meaning,
    /// Lowest cosine similarity of an answer.
    pub min_similarity: f32,
    /// Entries that expire at or before this moment are not found, ms since the Unix epoch.
    pub now_ms: i64,
}

/// An entry that was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// The entry's id.
    pub event_id: EventId,
    /// Cosine similarity; 1 for an exact match.
    pub similarity: f32,
    /// ms since the Unix epoch.
    pub stored_at_ms: i64,
    /// The answer.
    pub response: Box<RawValue>,
}

/// How full an index is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IndexStats {
    /// Entries.
    pub entries: u64,
    /// Bytes on disk; 0 where unknown.
    pub bytes: u64,
}

/// How many entries an index keeps; the oldest leave first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// In one partition.
    pub per_partition: usize,
    /// In total.
    pub total: usize,
}

/// Why an index did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// Files cannot be read or written.
    #[error("the cache's files failed")]
    Io(#[from] std::io::Error),
    /// The vector store does not answer, or not in time. Worth another try.
    #[error("the vector store cannot be reached: {0}")]
    Unreachable(String),
    /// Not asked, because the vector store has just failed several times. Worth another try later.
    #[error("the vector store is being left alone after failures")]
    CircuitOpen,
    /// The vector store or its content is not what it should be.
    #[error("the vector store refused: {0}")]
    Refused(String),
}

/// An operation under way.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, IndexError>> + Send + 'a>>;

/// Keeps entries and finds them again.
pub trait VectorIndex: Send + Sync + fmt::Debug {
    /// The newest entry of the partition with that exact key.
    fn exact<'a>(
        &'a self,
        partition: &'a CachePartition,
        exact_key: &'a str,
        now_ms: i64,
    ) -> Pending<'a, Option<Found>>;

    /// The most similar entry that obeys the query.
    fn search<'a>(&'a self, query: &'a Query) -> Pending<'a, Option<Found>>;

    /// Keeps entries; when it is done, they are durable and the partition's capacity is respected.
    fn upsert(&self, entries: Vec<Entry>) -> Pending<'_, ()>;

    /// Forgets entries by id; ids that are not there are ignored.
    fn remove<'a>(&'a self, ids: &'a [EventId]) -> Pending<'a, ()>;

    /// Forgets what the filter names.
    fn invalidate<'a>(&'a self, filter: &'a CacheInvalidate) -> Pending<'a, ()>;

    /// Forgets what has expired, and the oldest entries above the total capacity.
    fn sweep(&self, now_ms: i64) -> Pending<'_, ()>;

    /// How full it is; an error means that it cannot serve.
    fn stats(&self) -> Pending<'_, IndexStats>;
}
