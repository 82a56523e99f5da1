//! What operators see of the ledger.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// The ledger at one moment. Serialised as the admin interface shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LedgerStatus {
    /// Bytes of the spool's segments and dead letters.
    pub spool_bytes: u64,
    /// Records that wait to be published.
    pub backlog_records: u64,
    /// Age of the oldest of them, ms; 0 if there is none.
    pub backlog_age_ms: u64,
    /// Attempts that have begun and not ended.
    pub open_intents: u64,
    /// Records that the event log has taken since the spool was opened.
    pub published: u64,
    /// Attempts of dead processes that were recovered when the spool was opened.
    pub recovered: u64,
    /// Content events dropped because the spool ran short.
    pub shed: u64,
    /// Intents and events refused because the spool was full or could not be written.
    pub refused: u64,
    /// Attempts that were served although they could not be written down.
    pub unmetered: u64,
    /// Settlements that wait in memory for the disk.
    pub deferred: u64,
    /// Events that the event log refused for good; usage among them is in the dead-letter topic or folder.
    pub dead_letters: u64,
    /// Records that could not be read for so long that they were passed over. Their events are missing in the ledger.
    pub unreadable: u64,
    /// Syncs that failed.
    pub failed_fsyncs: u64,
    /// Last sequence number given.
    pub seq: u64,
    /// Whether new intents are refused now: the disk refuses or the spool is full.
    #[serde(skip)]
    pub refusing: bool,
    /// Bytes of the spool that are not published yet, intents included.
    #[serde(skip)]
    pub backlog_bytes: u64,
    /// Bytes of segments that could not be read.
    #[serde(skip)]
    pub damaged_bytes: u64,
    /// Times an actor died and was replaced.
    #[serde(skip)]
    pub actor_restarts: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) open_intents: AtomicU64,
    /// Records to publish that were written or found since the spool was opened.
    pub(crate) publishable: AtomicU64,
    pub(crate) shed: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) unmetered: AtomicU64,
    pub(crate) recovered: AtomicU64,
    pub(crate) dead_letters: AtomicU64,
    pub(crate) unreadable: AtomicU64,
    pub(crate) failed_fsync: AtomicU64,
    pub(crate) damaged_bytes: AtomicU64,
    pub(crate) actor_restarts: AtomicU64,
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

pub(crate) fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
