//! Answers whose models go on after them (Responses in the background), until their ends are written down.
//!
//! Each is kept in a log beside the spool before its client can know its id, so that the next process asks for it after
//! a crash. What has ended leaves the log only after its row is on the disk: a crash in between finds the end twice,
//! and writes the same version of the same row again.
//!
//! [`entry`] is what is kept of one, [`table`] who is asked when.

pub mod entry;
pub mod table;
#[cfg(test)]
pub mod testing;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tollgate_backends::drains::Drains;
use tollgate_base::time::now_ms;
use tollgate_config::DrainConfig;
use tollgate_ledger::{Ledger, LedgerError, PendingLog};
use tollgate_schemas::ids::EventId;
use tollgate_schemas::usage::UsageEvent;
use tollgate_settings::units::Time;
use uuid::Uuid;

use self::entry::Entry;
use self::table::{Finding, GivenUp, Table};

/// How long the answer that such work begins with may take when its client has gone.
const DRAIN: Duration = Duration::from_secs(60);

/// How much may be pending, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct PendingRules {
    /// Answers at most.
    pub max: usize,
    /// Nobody asks for one that is older.
    pub deadline: Duration,
}

/// Why no more work is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRoom {
    /// As much is pending as may be.
    Full,
    /// The disk does not take what would be pending.
    Unwritable,
}

/// Answers whose models go on after them.
#[derive(Debug)]
pub struct Pending {
    log: PendingLog,
    table: Mutex<Table>,
    /// Answers whose ends are in the ledger and that leave the log after its next sync.
    written: Mutex<Vec<Uuid>>,
    rules: PendingRules,
    /// Whoever begins such work is read to the answer it begins with, also without its client.
    pub drains: Drains,
    /// Told when there is something new to ask for; one task may wait.
    pub changed: Notify,
    /// Told when there is something to put on the disk; one task may wait.
    pub unsynced: Notify,
}

impl Pending {
    /// Opens the log in `dir` and goes on with what earlier processes left there.
    ///
    /// # Errors
    /// When its files cannot be read.
    pub fn open(dir: PathBuf, rules: PendingRules) -> Result<Self, LedgerError> {
        let log = PendingLog::open(dir)?;
        let mut table = Table::new(rules.max);
        let now_ms = now_ms();
        for (id, content) in log.all() {
            match serde_json::from_slice::<Entry>(&content) {
                Ok(entry) => table.begin(Arc::new(entry), now_ms),
                Err(error) => {
                    tracing::error!(%id, %error, "what is kept of a background answer cannot be read")
                }
            }
        }
        let drains = Drains::new(DrainConfig { max: Time(DRAIN), ..DrainConfig::default() });
        Ok(Self {
            log,
            table: Mutex::new(table),
            written: Mutex::default(),
            rules,
            drains,
            changed: Notify::new(),
            unsynced: Notify::new(),
        })
    }

    /// Why a subscription may not begin such work now; `None` if it may.
    #[must_use]
    pub fn refuses(&self, subscription: &str) -> Option<NoRoom> {
        if !self.log.is_written() {
            return Some(NoRoom::Unwritable);
        }
        (!self.table.lock().has_room(subscription)).then_some(NoRoom::Full)
    }

    /// Keeps an answer whose stream is still relayed.
    pub fn hold(&self, event: &UsageEvent, response: &Arc<str>) {
        let entry = self.entry(event, response);
        self.keep(&entry);
        self.table.lock().hold(entry);
    }

    /// Keeps an answer whose model goes on: it is asked for from now on.
    pub fn begin(&self, event: &UsageEvent, response: &Arc<str>) {
        let entry = self.entry(event, response);
        self.keep(&entry);
        self.table.lock().begin(entry, now_ms());
        self.changed.notify_one();
    }

    fn entry(&self, event: &UsageEvent, response: &Arc<str>) -> Arc<Entry> {
        let lasts_ms = i64::try_from(self.rules.deadline.as_millis()).unwrap_or(i64::MAX);
        let deadline_ms = event.event_time_ms.saturating_add(lasts_ms);
        Arc::new(Entry { event: event.clone(), response: Arc::clone(response), deadline_ms })
    }

    fn keep(&self, entry: &Entry) {
        let content = serde_json::to_vec(entry).unwrap_or_default();
        if let Err(error) = self.log.put(entry.id().0, content) {
            // It is asked for all the same, and no more work is begun until the disk has it.
            tracing::error!(event_id = %entry.id(), %error, "a background answer is kept in memory alone");
        }
        self.unsynced.notify_one();
    }

    /// The answer that a backend calls by this id.
    #[must_use]
    pub fn find(&self, backend: &str, response: &str) -> Option<Arc<Entry>> {
        self.table.lock().find(&backend.into(), &response.into())
    }

    /// Whether the stream that began the answer is still relayed.
    #[must_use]
    pub fn is_streamed(&self, backend: &str, response: &str) -> bool {
        self.table.lock().is_held(&backend.into(), &response.into())
    }

    /// Takes an answer to write its end down; `None` if somebody else did.
    #[must_use]
    pub fn take(&self, id: EventId) -> Option<Arc<Entry>> {
        self.table.lock().take(id)
    }

    /// Puts an answer back whose end could not be written down.
    pub fn put_back(&self, entry: Arc<Entry>) {
        self.table.lock().put_back(entry, now_ms());
        self.changed.notify_one();
    }

    /// Notes that the end of an answer is in the ledger.
    pub fn ended(&self, id: EventId) {
        let _ = self.take(id);
        self.written.lock().push(id.0);
        self.unsynced.notify_one();
    }

    /// The next answer to ask for, if one is due.
    #[must_use]
    pub fn next_to_ask(&self) -> Option<Arc<Entry>> {
        self.table.lock().next_to_ask(now_ms())
    }

    /// Until the next answer is due; `None` if none waits.
    #[must_use]
    pub fn next_due(&self) -> Option<Duration> {
        let due_ms = self.table.lock().next_due_ms()?;
        Some(Duration::from_millis(u64::try_from(due_ms - now_ms()).unwrap_or(0)))
    }

    /// Notes what was found of an answer; says why it is given up, if it is.
    #[must_use]
    pub fn found(&self, id: EventId, finding: Finding) -> Option<GivenUp> {
        self.table.lock().found(id, finding, now_ms())
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.table.lock().len()
    }

    /// Puts on the disk what is pending, and forgets what has ended once its row is there too. Blocks.
    ///
    /// # Errors
    /// When a disk refuses. Nothing is forgotten then.
    pub fn sync(&self, ledger: &Ledger) -> Result<(), LedgerError> {
        let written = std::mem::take(&mut *self.written.lock());
        if !written.is_empty()
            && let Err(error) = ledger.sync()
        {
            self.written.lock().extend(written);
            return Err(error);
        }
        let forgotten = self.log.remove(&written).and_then(|()| self.log.sync());
        forgotten.map_err(|error| LedgerError::Storage(Arc::new(error)))
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
