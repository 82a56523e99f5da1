//! The request path's side of the ledger.
//!
//! Invariants:
//!
//! * an intent is in the spool when [`Ledger::intent`] returns a ticket, and a ticket ends in exactly one
//!   record: a settlement, or a release when it is dropped;
//! * a call is one serialisation into a buffer that is used again and one write under a short lock: no
//!   message to another thread, and no wait for the disk unless [`FsyncPolicy::Each`] asks for it;
//! * sequence numbers have no holes: an event gets its number under the spool's lock, and the number is used
//!   up only when the spool has taken the event.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use tollgate_base::time::now_ms;
use tollgate_eventlog::segment::files::{Files, OsFiles};
use tollgate_eventlog::segment::frame::Frame;
use tollgate_schemas::ids::BootId;
use tollgate_schemas::topics::Topic;
use tollgate_schemas::usage::{BOOT_CLOSED_TYPE, BootClosed, EVENT_TYPE, LedgerPosition, UsageEvent};

use super::content::ContentMessage;
use super::error::LedgerError;
use super::options::{FsyncPolicy, LedgerOptions, OnFull, Recovered};
use super::record::{self, Event, Head, Kind};
use super::spool::{Class, Spool, SpoolOptions, volume};
use super::status::{LedgerStatus, count, get};

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
    next_intent: AtomicU64,
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

/// Headers of a record in the log, names included, without the texts that differ in length.
const ENVELOPE_BYTES: usize = 512;

impl Ledger {
    /// Opens the spool and recovers what earlier processes left, before it returns.
    ///
    /// # Errors
    /// When another process uses the folder or its files cannot be read.
    pub fn open(options: LedgerOptions) -> Result<(Self, Recovered), LedgerError> {
        let max_bytes = volume::bounded(&options.dir, options.max_bytes);
        let options = LedgerOptions { max_bytes, ..options };
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
            next_intent: AtomicU64::new(spool.first_intent),
            spool: Arc::new(spool),
        };
        Ok((Self { inner: Arc::new(inner) }, recovered))
    }

    /// Writes down that an attempt begins, before its upstream call. `event` is what will be published if
    /// this process dies: version 0, outcome recovered, estimated usage. Its [`UsageEvent::ledger`] is filled
    /// in here; whatever the caller put there is overwritten.
    ///
    /// # Errors
    /// When the attempt cannot be written down and [`OnFull::Reject`] says not to serve it then. No sequence
    /// number is used up.
    pub fn intent(
        &self,
        event: &mut UsageEvent,
        traceparent: Option<&str>,
    ) -> Result<IntentTicket, LedgerError> {
        let inner = &self.inner;
        let intent = inner.next_intent.fetch_add(1, Ordering::Relaxed);
        let traceparent = Traceparent::new(traceparent);
        let written = inner.numbered(Kind::Intent, intent, event, traceparent.as_str());
        let intent = match (written, inner.on_full) {
            (Ok(()), _) => {
                count(&inner.spool.counters.open_intents);
                Some(intent)
            }
            (Err(LedgerError::Full { .. } | LedgerError::Storage(_)), OnFull::AllowUnmetered) => None,
            (Err(error), _) => {
                if !matches!(error, LedgerError::Closed) {
                    count(&inner.spool.counters.refused);
                }
                return Err(error);
            }
        };
        Ok(IntentTicket { inner: Arc::clone(inner), intent, traceparent, settled: false })
    }

    /// Writes down how an attempt ended, before the last byte goes to the client. `event` is the one that
    /// [`Ledger::intent`] was given, changed to what is known now: its id, time and place in the sequence
    /// stay.
    ///
    /// # Errors
    /// [`LedgerError::Deferred`] when the disk refuses: the ledger keeps the event and writes it as soon as
    /// it can. There is nothing left to do for the caller but to log it.
    pub fn settle(&self, mut ticket: IntentTicket, event: &UsageEvent) -> Result<(), LedgerError> {
        ticket.settled = true;
        let inner = &self.inner;
        let traceparent = ticket.traceparent.as_str();
        let Some(intent) = ticket.intent else {
            // Perhaps there is room again. Without an intent the event has no number yet.
            let written = inner.numbered(Kind::Event, 0, &mut event.clone(), traceparent);
            if written.is_err() {
                count(&inner.spool.counters.unmetered);
            }
            return Ok(());
        };
        inner.spool.counters.open_intents.fetch_sub(1, Ordering::Relaxed);
        let written = inner.settlement(intent, event, traceparent);
        if let Err(LedgerError::Unwritable(reason)) = &written {
            tracing::error!(reason, event_id = %event.event_id, "settlement replaced by the intent's event");
            inner.release(intent);
        }
        written
    }

    /// Writes down an event without an attempt: an answer from the cache, a refusal. Its
    /// [`UsageEvent::ledger`] is filled in here.
    ///
    /// # Errors
    /// When the spool is full or the disk refuses; the event is not recorded then, and no sequence number is
    /// used up.
    pub fn record(&self, event: &mut UsageEvent, traceparent: Option<&str>) -> Result<(), LedgerError> {
        let written = self.inner.numbered(Kind::Event, 0, event, traceparent);
        if matches!(&written, Err(error) if !matches!(error, LedgerError::Closed)) {
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
        let head = Head { kind: Kind::Content, intent: 0, written_ms: now_ms() };
        let written = FRAME.with_borrow_mut(|frame| {
            let sealed = seal(frame, head, Some(&event), |_| Ok(()))?;
            let written = self.inner.spool.write(Class::Content, Kind::Content, sealed);
            frame.shrink_to(KEEP_FRAME_BYTES);
            written
        });
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
        let oldest = progress.oldest_ms.map_or(0, |written| now_ms().saturating_sub(written).max(0));
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
            seq: gauge.last_seq,
        }
    }

    /// Ends the boot in good order: says what its last sequence number was and syncs. New intents are
    /// refused afterwards; open ones may still be settled. Does nothing the second time.
    ///
    /// # Errors
    /// When the disk refuses; what could not be written is kept in memory.
    pub fn close(&self) -> Result<(), LedgerError> {
        let inner = &self.inner;
        FRAME
            .with_borrow_mut(|frame| inner.spool.write_last(|last_seq| inner.boot_closed(frame, last_seq)))?;
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
    /// Writes an event with the next sequence number, which is used up only if the spool takes it.
    fn numbered(
        &self,
        kind: Kind,
        intent: u64,
        event: &mut UsageEvent,
        traceparent: Option<&str>,
    ) -> Result<(), LedgerError> {
        let written = FRAME.with_borrow_mut(|frame| {
            let written = self.spool.write_numbered(kind, |seq| {
                event.ledger =
                    LedgerPosition { gateway_id: Arc::clone(&self.gateway_id), boot_id: self.boot_id, seq };
                self.usage(frame, kind, intent, event, traceparent)
            });
            frame.shrink_to(KEEP_FRAME_BYTES);
            written
        });
        if written.is_err() {
            event.ledger = LedgerPosition::unassigned();
        }
        written
    }

    /// Writes how an attempt ended; the event has the number of its intent.
    fn settlement(
        &self,
        intent: u64,
        event: &UsageEvent,
        traceparent: Option<&str>,
    ) -> Result<(), LedgerError> {
        FRAME.with_borrow_mut(|frame| {
            let sealed = self.usage(frame, Kind::Settle, intent, event, traceparent);
            let written = self.spool.write(Class::Owed { intent }, Kind::Settle, sealed?);
            frame.shrink_to(KEEP_FRAME_BYTES);
            written
        })
    }

    /// Has the intent's own event published.
    fn release(&self, intent: u64) {
        let head = Head { kind: Kind::Release, intent, written_ms: now_ms() };
        let written = FRAME.with_borrow_mut(|frame| {
            let sealed = seal(frame, head, None, |_| Ok(()))?;
            self.spool.write(Class::Owed { intent }, Kind::Release, sealed)
        });
        if let Err(error) = written {
            tracing::warn!(%error, "a release waits in memory");
        }
    }

    /// The frame of a usage event.
    ///
    /// # Errors
    /// When the event log would refuse it for its size: it must not get a number then, because it would
    /// count as lost.
    fn usage<'f>(
        &self,
        frame: &'f mut Frame,
        kind: Kind,
        intent: u64,
        event: &UsageEvent,
        traceparent: Option<&str>,
    ) -> Result<&'f mut [u8], LedgerError> {
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
        let head = Head { kind, intent, written_ms: now_ms() };
        let sealed = seal(frame, head, Some(&envelope), |out| json(out, event))?;
        // The key is said twice in the log, once as a header.
        let bytes = sealed.len() + envelope.key.len() + self.gateway_id.len() + ENVELOPE_BYTES;
        let limit = Topic::Usage.spec().max_record_bytes as usize;
        if bytes > limit {
            return Err(LedgerError::Unwritable(format!("{bytes} bytes, and the topic takes {limit}")));
        }
        Ok(sealed)
    }

    /// The frame that says what the last sequence number of this boot was.
    fn boot_closed<'f>(&self, frame: &'f mut Frame, last_seq: u64) -> Result<&'f mut [u8], LedgerError> {
        let data = BootClosed { gateway_id: Arc::clone(&self.gateway_id), boot_id: self.boot_id, last_seq };
        let now_ms = now_ms();
        let event = Event {
            topic: Topic::Usage,
            id: self.boot_id.0,
            time_ms: now_ms,
            sequence: Some(last_seq).filter(|seq| *seq > 0),
            kind: BOOT_CLOSED_TYPE,
            traceparent: None,
            key: self.gateway_id.as_bytes(),
            subject: None,
            data: &[],
        };
        let head = Head { kind: Kind::Event, intent: 0, written_ms: now_ms };
        seal(frame, head, Some(&event), |out| json(out, &data))
    }
}

/// Encodes a record, its data appended by `data`, and seals its frame.
fn seal<'f>(
    frame: &'f mut Frame,
    head: Head,
    event: Option<&Event<'_>>,
    data: impl FnOnce(&mut Vec<u8>) -> Result<(), LedgerError>,
) -> Result<&'f mut [u8], LedgerError> {
    let mut encoded = Ok(());
    let sealed = frame.build(|out| {
        record::encode(out, head, event);
        encoded = data(out);
    });
    encoded?;
    sealed.map_err(|error| LedgerError::Unwritable(error.to_string()))
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
