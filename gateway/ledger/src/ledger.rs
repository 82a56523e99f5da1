//! The request path's side of the ledger.
//!
//! Invariants:
//!
//! * an intent is in the spool when [`Ledger::intent`] returns a ticket, and a ticket ends in exactly one
//!   record: a settlement, or a release when it is dropped;
//! * a call is one serialisation into a buffer that is used again and one write under a short lock: no
//!   message to another thread, and no wait for the disk unless [`FsyncPolicy::Each`] asks for it.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use tollgate_eventlog::segment::files::{Files, OsFiles};
use tollgate_eventlog::segment::frame::Frame;
use tollgate_schemas::ids::BootId;
use tollgate_schemas::topics::Topic;
use tollgate_schemas::usage::{BOOT_CLOSED_TYPE, BootClosed, EVENT_TYPE, LedgerPosition, UsageEvent};

use super::content::ContentMessage;
use super::error::LedgerError;
use super::record::{self, Event, Head, Kind};
use super::spool::{Class, Spool, SpoolOptions, unix_ms};
use super::status::{LedgerStatus, count, get};

/// Settings of a ledger.
#[derive(Debug, Clone)]
pub struct LedgerOptions {
    /// Folder of the spool; made when it does not exist. One process at a time.
    pub dir: PathBuf,
    /// Configured name of the gateway replica.
    pub gateway_id: Arc<str>,
    /// When records are forced to the disk.
    pub fsync: FsyncPolicy,
    /// How much may wait for the event log, bytes.
    pub max_bytes: u64,
    /// What happens to attempts that cannot be written down.
    pub on_full: OnFull,
    /// Size at which a segment is closed, bytes.
    pub segment_bytes: u64,
}

/// When records are forced to the disk. They survive the death of the process in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FsyncPolicy {
    /// By the operating system alone.
    None,
    /// Together, this often: a loss of power may turn so much of the past into recovered attempts.
    Group {
        /// Longest wait.
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
    /// Segments left.
    pub segments: u64,
    /// Their size, bytes.
    pub bytes: u64,
    /// Bytes behind the last complete records.
    pub torn_bytes: u64,
}

/// The ledger of this process. Clones share it.
#[derive(Debug, Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    spool: Arc<Spool>,
    gateway_id: Arc<str>,
    boot_id: BootId,
    on_full: OnFull,
    seq: AtomicU64,
    next_intent: AtomicU64,
    closed: AtomicBool,
}

/// An attempt that has begun. Dropped without [`Ledger::settle`], its intent's own event is published.
#[derive(Debug)]
#[must_use = "an attempt ends with Ledger::settle"]
pub struct IntentTicket {
    inner: Arc<Inner>,
    /// None when the attempt could not be written down and is served all the same.
    intent: Option<u64>,
    traceparent: Traceparent,
    settled: bool,
}

/// Trace context of a request, kept without an allocation; one that is too long is left out.
#[derive(Debug, Clone, Copy)]
struct Traceparent {
    bytes: [u8; 55],
    length: u8,
}

thread_local! {
    static FRAME: RefCell<Frame> = const { RefCell::new(Frame::new()) };
}

/// Memory that a thread keeps for its next record, bytes.
const KEEP_FRAME_BYTES: usize = 256 << 10;

impl Ledger {
    /// Opens the spool and recovers what earlier processes left, before it returns.
    ///
    /// # Errors
    /// When another process uses the folder or its files cannot be read.
    pub fn open(options: LedgerOptions) -> Result<(Self, Recovered), LedgerError> {
        Self::open_with(Arc::new(OsFiles), options)
    }

    /// As [`Ledger::open`], on another file system.
    ///
    /// # Errors
    /// As [`Ledger::open`].
    pub fn open_with(
        files: Arc<dyn Files>,
        options: LedgerOptions,
    ) -> Result<(Self, Recovered), LedgerError> {
        let LedgerOptions { dir, gateway_id, fsync, max_bytes, on_full, segment_bytes } = options;
        let (spool, recovered) = Spool::open(files, SpoolOptions { dir, fsync, max_bytes, segment_bytes })?;
        let inner = Inner {
            gateway_id,
            boot_id: BootId::now(),
            on_full,
            seq: AtomicU64::new(0),
            next_intent: AtomicU64::new(spool.first_intent),
            closed: AtomicBool::new(false),
            spool: Arc::new(spool),
        };
        Ok((Self { inner: Arc::new(inner) }, recovered))
    }

    /// The next place in this boot's gapless sequence. Each one must reach the ledger in an event: a hole
    /// counts as a lost event.
    #[must_use]
    pub fn next_position(&self) -> LedgerPosition {
        LedgerPosition {
            gateway_id: Arc::clone(&self.inner.gateway_id),
            boot_id: self.inner.boot_id,
            seq: self.inner.seq.fetch_add(1, Ordering::Relaxed) + 1,
        }
    }

    /// Writes down that an attempt begins, before its upstream call. `event` is what will be published if
    /// this process dies: version 0, outcome recovered, estimated usage.
    ///
    /// # Errors
    /// When the attempt cannot be written down and [`OnFull::Reject`] says not to serve it then.
    pub fn intent(&self, event: &UsageEvent, traceparent: Option<&str>) -> Result<IntentTicket, LedgerError> {
        let inner = &self.inner;
        if inner.closed.load(Ordering::Acquire) {
            return Err(LedgerError::Closed);
        }
        let intent = inner.next_intent.fetch_add(1, Ordering::Relaxed);
        let traceparent = Traceparent::new(traceparent);
        let written = inner.usage(Class::Usage, Kind::Intent, intent, event, traceparent.as_str());
        let intent = match (written, inner.on_full) {
            (Ok(()), _) => {
                count(&inner.spool.counters.open_intents);
                Some(intent)
            }
            (Err(LedgerError::Full { .. } | LedgerError::Storage(_)), OnFull::AllowUnmetered) => None,
            (Err(error), _) => {
                count(&inner.spool.counters.refused);
                return Err(error);
            }
        };
        Ok(IntentTicket { inner: Arc::clone(inner), intent, traceparent, settled: false })
    }

    /// Writes down how an attempt ended, before the last byte goes to the client.
    ///
    /// # Errors
    /// [`LedgerError::Deferred`] when the disk refuses: the ledger keeps the event and writes it as soon as
    /// it can. There is nothing left to do for the caller but to log it.
    pub fn settle(&self, mut ticket: IntentTicket, event: &UsageEvent) -> Result<(), LedgerError> {
        ticket.settled = true;
        let inner = &self.inner;
        let traceparent = ticket.traceparent.as_str();
        let Some(intent) = ticket.intent else {
            // Perhaps there is room again.
            let written = inner.usage(Class::Usage, Kind::Event, 0, event, traceparent);
            if written.is_err() {
                count(&inner.spool.counters.unmetered);
            }
            return Ok(());
        };
        inner.spool.counters.open_intents.fetch_sub(1, Ordering::Relaxed);
        let written = inner.usage(Class::Owed { intent }, Kind::Settle, intent, event, traceparent);
        if let Err(LedgerError::Unwritable(reason)) = &written {
            tracing::error!(reason, event_id = %event.event_id, "settlement replaced by the intent's event");
            inner.release(intent);
        }
        written
    }

    /// Writes down an event without an attempt: an answer from the cache, a refusal.
    ///
    /// # Errors
    /// When the spool is full or the disk refuses; the event is not recorded then.
    pub fn record(&self, event: &UsageEvent, traceparent: Option<&str>) -> Result<(), LedgerError> {
        let written = self.inner.usage(Class::Usage, Kind::Event, 0, event, traceparent);
        if written.is_err() {
            count(&self.inner.spool.counters.refused);
        }
        written
    }

    /// Hands a content event over for publishing. Content is shed first when the spool runs short.
    ///
    /// # Errors
    /// When the event was shed; it is counted.
    pub fn content(&self, message: ContentMessage) -> Result<(), LedgerError> {
        let event = Event {
            topic: message.topic,
            id: message.id,
            time_ms: message.time_ms,
            sequence: None,
            kind: message.kind,
            traceparent: None,
            key: &message.key,
            subject: message.subject.as_deref(),
            data: &message.payload,
        };
        let head = Head { kind: Kind::Content, intent: 0, written_ms: unix_ms() };
        let written = self.inner.write(Class::Content, head, Some(&event), |_| Ok(()));
        if written.is_err() {
            count(&self.inner.spool.counters.shed);
        }
        written
    }

    /// The ledger at this moment.
    #[must_use]
    pub fn status(&self) -> LedgerStatus {
        let spool = &self.inner.spool;
        let gauge = spool.gauge();
        let progress = spool.progress();
        let counters = &spool.counters;
        let oldest = progress.oldest_ms.map_or(0, |written| unix_ms().saturating_sub(written).max(0));
        LedgerStatus {
            refusing: gauge.refusing,
            spool_bytes: gauge.used_bytes,
            backlog_records: get(&counters.publishable).saturating_sub(progress.published),
            backlog_bytes: gauge.backlog_bytes,
            oldest_unpublished_ms: u64::try_from(oldest).unwrap_or(0),
            open_intents: get(&counters.open_intents),
            deferred: gauge.deferred,
            shed: get(&counters.shed),
            refused: get(&counters.refused),
            unmetered: get(&counters.unmetered),
            recovered: get(&counters.recovered),
            published: progress.published,
            dead_letters: get(&counters.dead_letters),
            failed_fsync: get(&counters.failed_fsync),
            damaged_bytes: get(&counters.damaged_bytes),
            actor_restarts: get(&counters.actor_restarts),
            seq: self.inner.seq.load(Ordering::Relaxed),
        }
    }

    /// Ends the boot in good order: says what its last sequence number was and syncs. New intents are
    /// refused afterwards; open ones may still be settled. Does nothing the second time.
    ///
    /// # Errors
    /// When the disk refuses; what could not be written is kept in memory.
    pub fn close(&self) -> Result<(), LedgerError> {
        let inner = &self.inner;
        if inner.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let last_seq = inner.seq.load(Ordering::Relaxed);
        let closed =
            BootClosed { gateway_id: Arc::clone(&inner.gateway_id), boot_id: inner.boot_id, last_seq };
        let now_ms = unix_ms();
        let event = Event {
            topic: Topic::Usage,
            id: inner.boot_id.0,
            time_ms: now_ms,
            sequence: Some(last_seq).filter(|seq| *seq > 0),
            kind: BOOT_CLOSED_TYPE,
            traceparent: None,
            key: inner.gateway_id.as_bytes(),
            subject: None,
            data: &[],
        };
        let head = Head { kind: Kind::Event, intent: 0, written_ms: now_ms };
        inner.write(Class::Owed { intent: 0 }, head, Some(&event), |out| json(out, &closed))?;
        inner.spool.sync().map_err(LedgerError::Storage)
    }

    pub(crate) fn spool(&self) -> &Arc<Spool> {
        &self.inner.spool
    }

    pub(crate) fn gateway_id(&self) -> &Arc<str> {
        &self.inner.gateway_id
    }

    pub(crate) fn fsync(&self) -> FsyncPolicy {
        self.inner.spool.fsync_policy()
    }
}

impl Inner {
    fn usage(
        &self,
        class: Class,
        kind: Kind,
        intent: u64,
        event: &UsageEvent,
        traceparent: Option<&str>,
    ) -> Result<(), LedgerError> {
        let envelope = Event {
            topic: Topic::Usage,
            id: event.event_id.0,
            time_ms: event.event_time_ms,
            sequence: Some(event.ledger.seq).filter(|seq| *seq > 0),
            kind: EVENT_TYPE,
            traceparent,
            key: event.payer.key_id.as_bytes(),
            subject: Some(&*event.payer.subscription).filter(|subject| !subject.is_empty()),
            data: &[],
        };
        let head = Head { kind, intent, written_ms: unix_ms() };
        self.write(class, head, Some(&envelope), |out| json(out, event))
    }

    /// Has the intent's own event published.
    fn release(&self, intent: u64) {
        let head = Head { kind: Kind::Release, intent, written_ms: unix_ms() };
        if let Err(error) = self.write(Class::Owed { intent }, head, None, |_| Ok(())) {
            tracing::warn!(%error, "a release waits in memory");
        }
    }

    /// Encodes a record, its data appended by `data`, and writes it down.
    fn write(
        &self,
        class: Class,
        head: Head,
        event: Option<&Event<'_>>,
        data: impl FnOnce(&mut Vec<u8>) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        FRAME.with_borrow_mut(|frame| {
            let mut encoded = Ok(());
            let sealed = frame
                .build(|out| {
                    record::encode(out, head, event);
                    encoded = data(out);
                })
                .map_err(|error| LedgerError::Unwritable(error.to_string()));
            encoded?;
            let written = self.spool.write(class, sealed?);
            if head.kind.publishes() && matches!(written, Ok(()) | Err(LedgerError::Deferred(_))) {
                count(&self.spool.counters.publishable);
            }
            frame.shrink_to(KEEP_FRAME_BYTES);
            written
        })
    }
}

fn json(out: &mut Vec<u8>, data: &impl Serialize) -> Result<(), LedgerError> {
    serde_json::to_writer(out, data).map_err(|error| LedgerError::Unwritable(error.to_string()))
}

impl Drop for IntentTicket {
    fn drop(&mut self) {
        if let (false, Some(intent)) = (self.settled, self.intent) {
            self.inner.spool.counters.open_intents.fetch_sub(1, Ordering::Relaxed);
            self.inner.release(intent);
        }
    }
}

impl Traceparent {
    fn new(text: Option<&str>) -> Self {
        let text = text.unwrap_or_default();
        let mut bytes = [0; 55];
        match bytes.get_mut(..text.len()) {
            Some(room) => {
                room.copy_from_slice(text.as_bytes());
                Self { bytes, length: text.len() as u8 }
            }
            None => Self { bytes, length: 0 },
        }
    }

    fn as_str(&self) -> Option<&str> {
        let bytes = self.bytes.get(..usize::from(self.length)).filter(|bytes| !bytes.is_empty())?;
        std::str::from_utf8(bytes).ok()
    }
}
