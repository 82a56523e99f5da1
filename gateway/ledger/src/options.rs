//! How a ledger is set up, and what opening it found.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Settings of a ledger.
#[derive(Debug, Clone)]
pub struct LedgerOptions {
    /// Folder of the spool; made when it does not exist. One process at a time.
    pub dir: PathBuf,
    /// Configured name of the gateway replica.
    pub gateway_id: Arc<str>,
    /// When records are forced to the disk.
    pub fsync: FsyncPolicy,
    /// How much may wait for the event log, bytes. [`crate::Ledger::open`] lowers it to what the volume holds.
    pub max_bytes: u64,
    /// What happens to attempts that cannot be written down.
    pub on_full: OnFull,
    /// Size at which a segment is closed, bytes.
    pub segment_bytes: u64,
}

/// When records are forced to the disk. They survive the death of the process in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FsyncPolicy {
    /// Whenever the operating system does so.
    None,
    /// Together, this often: a loss of power may turn so much of the past into recovered attempts.
    Group {
        /// Longest time between two syncs.
        every: Duration,
    },
    /// Each record before the call returns.
    Each,
}

/// What happens to attempts that cannot be written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFull {
    /// They are refused.
    Reject,
    /// They are served without a usage event, and counted.
    AllowUnmetered,
}

/// What opening a ledger found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Attempts that a dead process left open; their intents are published.
    pub orphans: u64,
    /// Records that wait to be published, without the orphans.
    pub backlog_records: u64,
    /// Segments that earlier processes left.
    pub segments: u64,
    /// Their size, bytes.
    pub bytes: u64,
    /// Bytes behind the last complete records, torn by a death in the middle of a write.
    pub torn_bytes: u64,
}
