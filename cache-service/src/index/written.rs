//! An entry of the embedded index as it stands in the journal.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tollgate_schemas::cache::CachePartition;
use tollgate_schemas::ids::EventId;

use super::partition::Extent;

/// What a `put` says besides vector and answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) event_id: EventId,
    pub(super) partition: CachePartition,
    pub(super) exact_key: Arc<str>,
    pub(super) stored_at_ms: i64,
    pub(super) expires_at_ms: i64,
    /// 32 hex digits; `None` without a vector.
    pub(super) guard: Option<String>,
}

/// An entry whose record is in the journal.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) head: Head,
    pub(super) values: Vec<i8>,
    pub(super) response: Extent,
    pub(super) record_bytes: u64,
}
