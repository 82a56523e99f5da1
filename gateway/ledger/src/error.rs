//! Why the ledger did not do what it was asked.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Why the ledger did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LedgerError {
    /// The spool holds as much as it may; the event log is not keeping up or cannot be reached.
    #[error("the usage spool is full ({used_bytes} of {max_bytes} bytes)")]
    Full {
        /// Bytes of segments and dead letters.
        used_bytes: u64,
        /// Their bound, bytes.
        max_bytes: u64,
    },
    /// The disk refuses. The ledger tries a fresh segment from time to time.
    #[error("the usage spool cannot be written")]
    Storage(#[source] Arc<io::Error>),
    /// The disk refuses, so the settlement is kept in memory and written as soon as possible; if the
    /// process dies first, the attempt's intent is published instead.
    #[error("a settlement waits in memory because the usage spool cannot be written")]
    Deferred(#[source] Arc<io::Error>),
    /// The ledger was closed.
    #[error("the usage ledger is closed")]
    Closed,
    /// The event cannot be written down at all.
    #[error("the event cannot be written down: {0}")]
    Unwritable(String),
    /// Another process uses the spool folder.
    #[error("{} is used by another process; one gateway per spool folder", .0.display())]
    Locked(PathBuf),
    /// The spool folder cannot be opened.
    #[error("the spool folder {} cannot be opened", dir.display())]
    Open {
        /// The folder.
        dir: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
}
